// Matrix products on the CUDA cores: f32 (gemm_operand.h).
//
// A block makes a tile of C, each of its warps a part of that, each thread TM x TN elements in groups of four neighbours.
// Tiles of A and B lie in shared memory as [k][outer], twice: while one is multiplied cp.async fills the other, so there is
// one barrier a step.
//
// Loads of 16 bytes for each lane take four turns of the banks, or two where the lanes n and n^1, or n and n^2, ask for the
// same (forums.developer.nvidia.com/t/77228): so neighbouring lanes share columns and differ in rows, or the other way
// round. Single elements arrive from four rows and eight k at once; rows of BM + 4 keep these in different banks.
#pragma once

#include "gemm_operand.h"

// BM x BN: the block's tile, in steps of DEPTH; WM x WN: a warp's; LM x LN lanes of TM x TN;
// BLOCKS: how many should fit a multiprocessor.
template <int BM_, int BN_, int DEPTH_, int WM_, int WN_, int LM_, int BLOCKS> struct simt_tile {
  static constexpr int BM = BM_, BN = BN_, DEPTH = DEPTH_, WM = WM_, WN = WN_, LM = LM_, LN = 32 / LM;
  static constexpr int TM = WM / LM, TN = WN / LN, threads = BM / WM * (BN / WN) * 32, blocks = BLOCKS;
  static_assert(TM % 4 == 0 && TN % 4 == 0 && LM >= 4 && LN >= 4, "groups of four, lanes by two and two");
  struct shared {
    float a[2][DEPTH][BM + 4], b[2][DEPTH][BN + 4];
  };
  // Where group i of four of this thread's rows and columns begins.
  __device__ static int row(int i) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    return warp / (BN / WN) * WM + (lane / (LN * 2) * 2 + lane / 2 % 2) * 4 + i * LM * 4;
  }
  __device__ static int column(int j) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    return warp % (BN / WN) * WN + (lane / 4 % (LN / 2) * 2 + lane % 2) * 4 + j * LN * 4;
  }
};

// Four neighbours in shared memory.
struct alignas(16) simt_four {
  float v[4];
};

// sum += A B over k from `first` on, below `last`, in the tile that begins at (m, n). The operands give 0 beyond their
// last k; first is a multiple of DEPTH, and so is last, or it is K. All threads call it, and may again at once.
template <class Tile, class A, class B>
__device__ __forceinline__ void simt_product(float (&sum)[Tile::TM][Tile::TN], const A &a, const B &b, int m, int n,
                                             int first, int last, typename Tile::shared &tiles) {
  gemm_share<A, Tile::BM, Tile::DEPTH, Tile::threads, A::along_k ? 1 : 4> share_a(a, m, first);
  gemm_share<B, Tile::BN, Tile::DEPTH, Tile::threads, B::along_k ? 1 : 4> share_b(b, n, first);
  const auto fetch = [&](int k, int buffer) {
    share_a.fetch(a, k, [&](int outer, int k) { return &tiles.a[buffer][k][outer]; });
    share_b.fetch(b, k, [&](int outer, int k) { return &tiles.b[buffer][k][outer]; });
    cp_async_commit();
  };

  fetch(first, 0);
  for (int k = first, buffer = 0; k < last; k += Tile::DEPTH, buffer ^= 1) {
    cp_async_wait<0>();
    __syncthreads(); // this tile is there for all, and the other one is used up
    if (k + Tile::DEPTH < last) fetch(k + Tile::DEPTH, buffer ^ 1);
#pragma unroll
    for (int i = 0; i < Tile::DEPTH; i++) {
      simt_four x[Tile::TM / 4], y[Tile::TN / 4];
#pragma unroll
      for (int g = 0; g < Tile::TM / 4; g++)
        x[g] = *reinterpret_cast<const simt_four *>(&tiles.a[buffer][i][Tile::row(g)]);
#pragma unroll
      for (int g = 0; g < Tile::TN / 4; g++)
        y[g] = *reinterpret_cast<const simt_four *>(&tiles.b[buffer][i][Tile::column(g)]);
#pragma unroll
      for (int r = 0; r < Tile::TM; r++)
#pragma unroll
        for (int c = 0; c < Tile::TN; c++) sum[r][c] += x[r / 4].v[r % 4] * y[c / 4].v[c % 4];
    }
  }
  __syncthreads(); // the tiles are free
}

// Hands the sums of the tile at (m, n) on, four neighbours of a row at once.
template <class Tile, class Result>
__device__ __forceinline__ void simt_finish(const float (&sum)[Tile::TM][Tile::TN], const Result &result, int m,
                                            int n) {
#pragma unroll
  for (int r = 0; r < Tile::TM; r++)
#pragma unroll
    for (int g = 0; g < Tile::TN / 4; g++) {
      const float v[4] = {sum[r][g * 4], sum[r][g * 4 + 1], sum[r][g * 4 + 2], sum[r][g * 4 + 3]};
      result.put(m + Tile::row(r / 4) + r % 4, n + Tile::column(g), v);
    }
}
