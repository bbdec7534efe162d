// What products on the CUDA cores (gemm_simt.h) and on tensor cores (gemm_mma.h) share: how a block reads its operands,
// and what becomes of its sums.
//
// A product is C[m,n] = sum over k of A[m,k] B[k,n]. An *operand* is A, whose outer axis is m, or B, whose outer axis is n;
// a tile of it, [outer][k], goes to shared memory in chunks of N neighbours along k, or along the outer axis. An operand is
// a struct with
//
//   using type = …;                       // of its elements: float, bf16, f16
//   static constexpr bool along_k = …;    // are a chunk's elements neighbours along k? Else along the outer axis.
//   static constexpr bool rare = …;       // is `gather` for ends and odd addresses only? Then its code is short, not fast.
//   struct cursor { … };                  // what chunks that begin at the same outer index have in common
//   cursor at(int outer, int k) const;    // of the chunks that begin there; outer may lie beyond the last, what is read
//                                         // there doesn't matter
//   void advance(cursor &c, int by) const;                      // moves it along k
//   bool whole<N>(int end) const;         // may chunks of all k below `end` be copied at once? The same for all threads.
//   void copy<N>(const cursor &c, int k, int ahead, type *to) const;     // … then the chunk at k, which lies `ahead` of
//                                                               // the cursor, with cp.async
//   void gather<N>(const cursor &c, int k, int ahead, type *to) const;   // any chunk, 0 beyond the last k; with cp.async
//                                                               // where elements have the 4 bytes that it takes
//
// A thread makes its cursors once and moves them along k, so a convolution finds the pixel of an outer index there.
// What becomes of a sum is a struct with
//
//   template <int W> void put(int m, int n, const float (&v)[W]) const;   // elements n … n+W-1 of row m; n is a multiple
//                                                                         // of W; some may lie beyond the last
#pragma once

#include "kit.h"

constexpr int64_t gemm_blocks_most = 2147483647;

// A chunk of N elements, each at address(i, inside); those outside are 0.
template <int N, class T, class F> __device__ __forceinline__ void gather_elements(T *to, F address) {
  bool inside;
  if constexpr (sizeof(T) == 4) {
#pragma unroll
    for (int i = 0; i < N; i++) {
      const T *const from = address(i, inside);
      cp_async<4>(to + i, from, inside ? 4 : 0);
    }
  } else { // there is no asynchronous copy of 2 bytes
    vector<T, N> v;
#pragma unroll
    for (int i = 0; i < N; i++) {
      const T *const from = address(i, inside);
      v.v[i] = inside ? *from : as<T>(0.0f);
    }
    *reinterpret_cast<vector<T, N> *>(to) = v;
  }
}

// A matrix. Where chunks lie along k, those are neighbours. ANY: with any strides; else in whole chunks of 16 bytes, as
// `vectors` says.
template <class T, bool ALONG_K, bool ANY> struct gemm_matrix {
  using type = T;
  static constexpr bool along_k = ALONG_K, rare = true;
  const T *data;
  int64_t outer_step, k_step;
  int outer, depth; // sizes
  bool vectors; // chunks of 16 bytes lie without gaps, on multiples of that, and fill the axis along which they lie;
                // where they lie along k and ANY, they need not

  struct cursor {
    const T *p;
    int left; // elements from the chunk's first one to the last of the outer axis
  };
  __device__ cursor at(int o, int k) const {
    const int first = o < outer ? o : ALONG_K || !ANY || vectors ? 0 : outer - 1;
    return {data + first * outer_step + (ALONG_K ? k : k * k_step), outer - first};
  }
  __device__ void advance(cursor &c, int by) const { c.p += ALONG_K ? by : by * k_step; }
  template <int N> __device__ bool whole(int end) const { return (!ANY || N == 1 || vectors) && end <= depth; }
  template <int N> __device__ void copy(const cursor &c, int, int ahead, T *to) const {
    cp_async<N * sizeof(T)>(to, c.p + (ALONG_K ? ahead : ahead * k_step));
  }
  template <int N> __device__ void gather(const cursor &c, int k, int ahead, T *to) const {
    const T *const p = c.p + (ALONG_K ? ahead : ahead * k_step);
    if constexpr (ANY)
      gather_elements<N, T>(to, [&](int i, bool &inside) {
        inside = (ALONG_K ? k + i : k) < depth;
        return !inside ? data : ALONG_K ? p + i : p + lesser(i, c.left - 1) * outer_step;
      });
    else
      cp_async<N * sizeof(T)>(to, k < depth ? p : data, k < depth ? N * int(sizeof(T)) : 0);
  }
};

// The chunks of a tile of an operand that a thread carries: OUTER by DEPTH elements among THREADS, N of them a chunk.
template <class Operand, int OUTER, int DEPTH, int THREADS, int N> struct gemm_share {
  // Neighbouring threads carry neighbouring chunks: single elements along k by eight, as wide as a sector of memory, since
  // then those of a warp go to different banks (gemm_simt.h).
  static constexpr int across = Operand::along_k ? (N == 1 ? 8 : DEPTH / N) : OUTER / N;
  static constexpr int turns = Operand::along_k ? DEPTH / (across * N) : 1; // of the threads, to the end of k
  static constexpr int chunks = OUTER * DEPTH / N, each = chunks / THREADS;
  static constexpr int cursors =
      Operand::along_k ? each / turns : 1; // chunks along the outer axis all begin at the same
  static_assert(chunks % THREADS == 0 && THREADS % across == 0 && each % turns == 0, "the same for all threads");

  typename Operand::cursor cursor[cursors];
  int first; // outer index of the tile

  __device__ static int outer(int i) {
    return Operand::along_k ? threadIdx.x / across + i / turns * (THREADS / across) : threadIdx.x % across * N;
  }
  __device__ static int k(int i) {
    return (Operand::along_k ? threadIdx.x % across * N : threadIdx.x / across) + ahead(i);
  }

  // Chunks of the tile that begins at outer index `first`, from k on.
  __device__ gemm_share(const Operand &operand, int first, int from) : first(first) {
#pragma unroll
    for (int i = 0; i < cursors; i++) cursor[i] = operand.at(first + outer(i * turns), from + k(0));
  }
  // Copies the chunks of the step at `from` to place(outer, k), and goes on to the next step.
  template <class F> __device__ __forceinline__ void fetch(const Operand &operand, int from, F place) {
    if (operand.template whole<N>(from + DEPTH)) {
#pragma unroll
      for (int i = 0; i < each; i++) operand.template copy<N>(of(i), from + k(i), ahead(i), place(outer(i), k(i)));
    } else if constexpr (Operand::rare) {
#pragma unroll 1
      for (int i = 0; i < each; i++)
        operand.template gather<N>(operand.at(first + outer(i), from + k(i)), from + k(i), 0, place(outer(i), k(i)));
    } else {
#pragma unroll
      for (int i = 0; i < each; i++) operand.template gather<N>(of(i), from + k(i), ahead(i), place(outer(i), k(i)));
    }
#pragma unroll
    for (int i = 0; i < cursors; i++) operand.advance(cursor[i], DEPTH);
  }
  __device__ const typename Operand::cursor &of(int i) const { return cursor[cursors == 1 ? 0 : i / turns]; }
  __device__ static constexpr int ahead(int i) {
    return Operand::along_k ? i % turns * (across * N) : i * (THREADS / across);
  }
};

// Neighbours of a row of C, stored at once where they lie so.
template <class T, int W> struct alignas(W * sizeof(T)) gemm_run { T v[W]; };

// C as a matrix with any strides, with what follows a product (gemm.h); or, where there is `partial`, the sums as they are.
template <class T> struct gemm_result {
  T *c;
  const T *bias, *gate;
  float *partial; // [M][N]
  int64_t row, column, bias_row, bias_column;
  int M, N;
  bool relu, vectors; // vectors: rows lie without gaps, on multiples of 16 bytes

  template <int W> __device__ void put(int m, int n, const float (&sum)[W]) const {
    const int there = m < M ? N - n : 0; // of the elements
    if (partial) {
      store<float>(sum, partial + int64_t(m) * N + n, 1, N % W == 0, there);
      return;
    }
    const int64_t at = m * row + n * column;
    float v[W];
#pragma unroll
    for (int j = 0; j < W; j++) v[j] = sum[j];
    if (bias) {
      const T *const from = bias + m * bias_row + n * bias_column;
#pragma unroll
      for (int j = 0; j < W; j++) v[j] += j < there ? to_f32(from[j * bias_column]) : 0;
    }
#pragma unroll
    for (int j = 0; j < W; j++) v[j] = relu && v[j] <= 0 ? 0 : v[j]; // NaN passes
    if (gate) {
#pragma unroll
      for (int j = 0; j < W; j++) v[j] = j < there && to_f32(gate[at + j * column]) > 0 ? v[j] : 0;
    }
    store<T>(v, c + at, column, vectors, there);
  }
  template <class To, int W>
  __device__ static void store(const float (&v)[W], To *to, int64_t step, bool whole, int there) {
    if (whole && there >= W) {
      gemm_run<To, W> run;
#pragma unroll
      for (int j = 0; j < W; j++) run.v[j] = as<To>(v[j]);
      *reinterpret_cast<gemm_run<To, W> *>(to) = run;
    } else {
#pragma unroll
      for (int j = 0; j < W; j++)
        if (j < there) to[j * step] = as<To>(v[j]);
    }
  }
};

// The place of tile `index` of rows x columns of them, in strips of 8 rows, so that blocks that run at the same time share
// what they read.
__device__ __forceinline__ void gemm_place(int index, int rows, int columns, int &m, int &n) {
  constexpr int strip = 8;
  const int first = index / (strip * columns) * strip, high = rows - first < strip ? rows - first : strip;
  const int within = index % (strip * columns);
  m = first + within % high, n = within / high;
}
