// Matrix products on tensor cores: bf16, f16, and f32 rounded to tf32, of operands of one type (gemm_operand.h); f32 sums.
//
// A block makes a tile of C, each of its warps a part of that. Tiles of A and B go through shared memory in STAGES stages
// that cp.async fills ahead; fragments of the next K are loaded while those of this one are multiplied, across the stages,
// too. In shared memory tiles lie as the operands do, [outer][k] or [k][outer], in chunks of 16 bytes whose places in a row
// are exchanged, so that the eight rows of an ldmatrix (or the four of a fragment of tf32 by columns) lie in different
// banks, and so do the chunks that eight lanes copy.
#pragma once

#include "gemm_operand.h"

// BM x BN: the block's tile, in steps of BYTES of k; WM x WN: a warp's; BLOCKS: how many should fit a multiprocessor.
template <class T_, int BM_, int BN_, int BYTES, int WM_, int WN_, int STAGES, int BLOCKS> struct mma_tile {
  using T = T_;
  static constexpr int BM = BM_, BN = BN_, WM = WM_, WN = WN_, stages = STAGES, blocks = BLOCKS;
  static constexpr int depth = BYTES / int(sizeof(T)), threads = BM / WM * (BN / WN) * 32;
  static constexpr int K = 32 / int(sizeof(T)); // of one instruction, 16 x 8 x K
  static constexpr int MI = WM / 16, NI = WN / 8;
  static constexpr int result_row = BN + 8; // of the sums in shared memory: a fragment's rows lie in different banks
  static_assert(WM % 16 == 0 && WN % 16 == 0 && depth % K == 0, "whole fragments");
  __device__ static int row() { return threadIdx.x / 32 / (BN / WN) * WM; }
  __device__ static int column() { return threadIdx.x / 32 % (BN / WN) * WN; }
};

// An operand's tile in shared memory.
template <class Operand, int OUTER, int DEPTH> struct mma_room {
  using T = typename Operand::type;
  // Fragments of tf32 by columns are read by single elements: longer rows keep those in different banks.
  static constexpr bool padded = !Operand::along_k && sizeof(T) == 4;
  static constexpr int row = Operand::along_k ? DEPTH : OUTER + (padded ? 8 : 0);
  static constexpr int size = (Operand::along_k ? OUTER : DEPTH) * row; // elements
  static constexpr int chunk = 16 / int(sizeof(T)), chunks = row / chunk;
  static_assert(padded || chunks == 4 || chunks % 8 == 0,
                "a turn of the banks is one row of eight chunks, or two of four");
  // What the number of a chunk in row i is exchanged with.
  __device__ static int mask(int i) { return padded ? 0 : chunks == 4 ? i / 2 % 4 : i % 8; }
  __device__ static int at(int outer, int k) {
    const int i = Operand::along_k ? outer : k, j = Operand::along_k ? k : outer;
    return i * row + (j / chunk ^ mask(i)) * chunk + j % chunk;
  }
};

// Elements of a chunk that a thread carries: half of it where each needs a cursor of its own.
template <class Operand>
constexpr int mma_carried = Operand::rare || Operand::along_k ? 16 / int(sizeof(typename Operand::type)) : 4;

// Bytes of shared memory.
template <class Tile, class A, class B> constexpr int mma_shared() {
  constexpr int stage = mma_room<A, Tile::BM, Tile::depth>::size + mma_room<B, Tile::BN, Tile::depth>::size;
  constexpr int stages = Tile::stages * stage * int(sizeof(typename Tile::T)), result = Tile::BM * Tile::result_row * 4;
  return stages > result ? stages : result;
}

__device__ __forceinline__ void mma(type_of<bf16>, float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  mma_bf16_16816(d, a, b, d);
}
__device__ __forceinline__ void mma(type_of<f16>, float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  mma_f16_16816(d, a, b, d);
}
__device__ __forceinline__ void mma(type_of<float>, float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  mma_tf32_1688(d, a, b, d);
}

// Fragments of A: rows m … m+15, and of B: columns n … n+15 (two fragments), at k. K: of one instruction.
template <class Room, bool ALONG_K, int K, class T>
__device__ __forceinline__ void mma_load_a(uint32_t (&a)[4], const T *tile, int m, int k) {
  const int lane = threadIdx.x % 32;
  if constexpr (ALONG_K) {
    ldmatrix_x4(a, tile + Room::at(m + lane % 16, k + lane / 16 * (K / 2)));
  } else if constexpr (sizeof(T) == 2) {
    ldmatrix_x4_trans(a, tile + Room::at(m + lane / 8 % 2 * 8, k + lane / 16 * 8 + lane % 8));
  } else {
#pragma unroll
    for (int i = 0; i < 4; i++)
      a[i] = __float_as_uint(tile[Room::at(m + lane / 4 + i % 2 * 8, k + lane % 4 + i / 2 * 4)]);
  }
  if constexpr (sizeof(T) == 4) {
#pragma unroll
    for (int i = 0; i < 4; i++) a[i] = to_tf32(__uint_as_float(a[i]));
  }
}
template <class Room, bool ALONG_K, int K, class T>
__device__ __forceinline__ void mma_load_b(uint32_t (&b)[2][2], const T *tile, int n, int k) {
  const int lane = threadIdx.x % 32;
  uint32_t r[4];
  if constexpr (ALONG_K) {
    ldmatrix_x4(r, tile + Room::at(n + lane / 16 * 8 + lane % 8, k + lane / 8 % 2 * (K / 2)));
  } else if constexpr (sizeof(T) == 2) {
    ldmatrix_x4_trans(r, tile + Room::at(n + lane / 16 * 8, k + lane / 8 % 2 * 8 + lane % 8));
  } else {
#pragma unroll
    for (int i = 0; i < 4; i++)
      r[i] = __float_as_uint(tile[Room::at(n + i / 2 * 8 + lane / 4, k + lane % 4 + i % 2 * 4)]);
  }
#pragma unroll
  for (int i = 0; i < 4; i++) b[i / 2][i % 2] = sizeof(T) == 4 ? to_tf32(__uint_as_float(r[i])) : r[i];
}

// sum += A B over k from `first` on, below `last`, in the tile that begins at (m, n). The operands give 0 beyond their
// last k; first is a multiple of the tile's depth, and so is last, or it is K. `shared`: mma_shared bytes, aligned to 16.
// All threads call it, and may again at once.
template <class Tile, class A, class B>
__device__ __forceinline__ void mma_product(float (&sum)[Tile::MI][Tile::NI][4], const A &a, const B &b, int m, int n,
                                            int first, int last, void *shared) {
  using T = typename Tile::T;
  using RoomA = mma_room<A, Tile::BM, Tile::depth>;
  using RoomB = mma_room<B, Tile::BN, Tile::depth>;
  constexpr int slices = Tile::depth / Tile::K;
  static_assert(slices % 2 == 0, "fragments take turns");
  gemm_share<A, Tile::BM, Tile::depth, Tile::threads, mma_carried<A>> share_a(a, m, first);
  gemm_share<B, Tile::BN, Tile::depth, Tile::threads, mma_carried<B>> share_b(b, n, first);
  const auto stage = [&](int step) {
    return static_cast<T *>(shared) + step % Tile::stages * (RoomA::size + RoomB::size);
  };
  const auto fetch = [&](int step) {
    T *const tile = stage(step);
    const int from = first + step * Tile::depth;
    share_a.fetch(a, from, [&](int outer, int k) { return tile + RoomA::at(outer, k); });
    share_b.fetch(b, from, [&](int outer, int k) { return tile + RoomA::size + RoomB::at(outer, k); });
  };
  uint32_t x[2][Tile::MI][4], y[2][Tile::NI / 2][2][2];
  const auto load = [&](int turn, int step, int k) {
    const T *const tile = stage(step);
#pragma unroll
    for (int i = 0; i < Tile::MI; i++)
      mma_load_a<RoomA, A::along_k, Tile::K>(x[turn][i], tile, Tile::row() + i * 16, k);
#pragma unroll
    for (int j = 0; j < Tile::NI / 2; j++)
      mma_load_b<RoomB, B::along_k, Tile::K>(y[turn][j], tile + RoomA::size, Tile::column() + j * 16, k);
  };

  const int steps = (last - first + Tile::depth - 1) / Tile::depth;
  for (int step = 0; step < Tile::stages - 1; step++) {
    if (step < steps) fetch(step);
    cp_async_commit(); // groups are counted, so an empty one is committed, too
  }
  cp_async_wait<Tile::stages - 2>();
  __syncthreads(); // the first stage is there for all
  load(0, 0, 0);
  for (int step = 0; step < steps; step++) {
#pragma unroll
    for (int slice = 0; slice < slices; slice++) {
      const bool end = slice == slices - 1;
      if (end) {
        cp_async_wait<Tile::stages - 2>();
        __syncthreads(); // the next stage is there for all, and this one is used up
      }
      load((slice + 1) % 2, end ? step + 1 : step, end ? 0 : (slice + 1) * Tile::K); // after the last step: for nothing
      if (slice == 0) {
        if (step + Tile::stages - 1 < steps) fetch(step + Tile::stages - 1);
        cp_async_commit();
      }
#pragma unroll
      for (int i = 0; i < Tile::MI; i++)
#pragma unroll
        for (int j = 0; j < Tile::NI; j++) mma(type_of<T>{}, sum[i][j], x[slice % 2][i], y[slice % 2][j / 2][j % 2]);
    }
  }
  __syncthreads(); // the stages are free: what was fetched has been waited for, the groups since then are empty
}

// Hands the sums of the tile at (m, n) on, four neighbours of a row at once, by way of `shared`.
template <class Tile, class Result>
__device__ __forceinline__ void mma_finish(const float (&sum)[Tile::MI][Tile::NI][4], const Result &result, int m,
                                           int n, void *shared) {
  float *const tile = static_cast<float *>(shared);
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int i = 0; i < Tile::MI; i++)
#pragma unroll
    for (int j = 0; j < Tile::NI; j++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const int row = Tile::row() + i * 16 + half * 8 + lane / 4, column = Tile::column() + j * 8 + lane % 4 * 2;
        *reinterpret_cast<gemm_run<float, 2> *>(tile + row * Tile::result_row +
                                                column) = {{sum[i][j][half * 2], sum[i][j][half * 2 + 1]}};
      }
  __syncthreads();
  for (int i = threadIdx.x; i < Tile::BM * Tile::BN / 4; i += Tile::threads) {
    const int row = i / (Tile::BN / 4), column = i % (Tile::BN / 4) * 4;
    const gemm_run<float, 4> run =
        *reinterpret_cast<const gemm_run<float, 4> *>(tile + row * Tile::result_row + column);
    result.put(m + row, n + column, run.v);
  }
}
