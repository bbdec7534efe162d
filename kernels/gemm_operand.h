// What products on the CUDA cores (gemm_simt.h) and on tensor cores (gemm_mma.h) share: how a block reads its operands,
// and what becomes of its sums.
//
// A product is C[m,n] = sum over k of A[m,k] B[k,n]. An *operand* is A, whose outer axis is m, or B, whose outer axis is n;
// a tile of it, [outer][k], goes through shared memory in chunks of 16 bytes: vector<T>::width neighbours along k, or along
// the outer axis. An operand is a struct with
//
//   using type = …;                       // of its elements: float, bf16, f16
//   static constexpr bool along_k = …;    // are a chunk's elements neighbours along k? Else along the outer axis.
//   struct cursor { … };                  // what chunks that begin at the same outer index have in common
//   cursor at(int outer) const;           // of the chunks that begin there; outer may lie beyond the last
//   vector<type> load(const cursor &c, int k) const;            // the chunk at k; what lies outside of the operand is 0
//   void copy(const cursor &c, int k, type *to) const;          // the same into shared memory, by cp.async where it can
//                                                               // (gemm_mma.h only)
//
// A thread makes its cursors once and moves along k, so a convolution finds the pixel of an outer index there.
// What becomes of a sum is a struct with
//
//   template <int W> void put(int m, int n, const float (&v)[W]) const;   // elements n … n+W-1 of row m; n is a multiple
//                                                                         // of W; some may lie beyond the last
#pragma once

#include "kit.h"

constexpr int64_t gemm_blocks_most = 2147483647;

// A matrix with any strides.
template <class T, bool ALONG_K> struct gemm_matrix {
  using type = T;
  static constexpr bool along_k = ALONG_K;
  static constexpr int width = vector<T>::width;
  const T *data;
  int64_t outer_step, k_step;
  int outer, depth; // sizes
  bool vectors;     // chunks lie without gaps, on multiples of 16 bytes

  struct cursor {
    const T *p;
    int left; // elements from the chunk's first on: of the row where chunks lie along k, else of the chunk
  };
  __device__ cursor at(int o) const {
    const int left = o < outer ? outer - o : 0;
    return {data + (left ? o * outer_step : 0), ALONG_K ? (left ? depth : 0) : left};
  }
  // How many elements of the chunk at k are there.
  __device__ int there(const cursor &c, int k) const {
    const int n = ALONG_K ? c.left - k : k < depth ? c.left : 0;
    return n < 0 ? 0 : n < width ? n : width;
  }
  __device__ vector<T> load(const cursor &c, int k) const {
    const int n = there(c, k);
    const T *const p = c.p + (n ? k * k_step : 0);
    if (vectors && n == width) return *reinterpret_cast<const vector<T> *>(p);
    const int64_t step = ALONG_K ? k_step : outer_step;
    vector<T> v;
#pragma unroll
    for (int i = 0; i < width; i++) v.v[i] = i < n ? p[i * step] : as<T>(0.0f);
    return v;
  }
  __device__ void copy(const cursor &c, int k, T *to) const {
    const int n = there(c, k);
    const T *const p = c.p + (n ? k * k_step : 0);
    if (vectors) {
      cp_async<16>(to, p, n * int(sizeof(T)));
    } else if constexpr (sizeof(T) == 4) {
      const int64_t step = ALONG_K ? k_step : outer_step;
#pragma unroll
      for (int i = 0; i < width; i++) cp_async<4>(to + i, i < n ? p + i * step : data, i < n ? 4 : 0);
    } else { // there is no asynchronous copy of 2 bytes
      *reinterpret_cast<vector<T> *>(to) = load(c, k);
    }
  }
};

// The chunks of a tile of an operand that a thread carries: OUTER by DEPTH elements among THREADS.
template <class Operand, int OUTER, int DEPTH, int THREADS> struct gemm_share {
  using T = typename Operand::type;
  static constexpr int width = vector<T>::width, along = (Operand::along_k ? DEPTH : OUTER) / width;
  static constexpr int chunks = OUTER * DEPTH / width, each = (chunks + THREADS - 1) / THREADS;
  static constexpr int cursors = Operand::along_k ? each : 1; // chunks along the outer axis all begin at the same one
  static_assert(OUTER % width == 0 && DEPTH % width == 0 && THREADS % along == 0,
                "whole chunks, the same in each round");

  typename Operand::cursor cursor[cursors];

  __device__ static int chunk(int i) { return threadIdx.x + i * THREADS; }
  __device__ static bool has(int i) { return chunks % THREADS == 0 || chunk(i) < chunks; }
  __device__ static int outer(int i) { return Operand::along_k ? chunk(i) / along : threadIdx.x % along * width; }
  __device__ static int k(int i) { return Operand::along_k ? threadIdx.x % along * width : chunk(i) / along; }

  __device__ gemm_share(const Operand &operand, int first) {
#pragma unroll
    for (int i = 0; i < cursors; i++) cursor[i] = operand.at(first + outer(i));
  }
  __device__ const typename Operand::cursor &of(int i) const { return cursor[cursors == 1 ? 0 : i]; }
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
