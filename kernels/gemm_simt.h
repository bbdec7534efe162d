// Matrix products on the CUDA cores: f32 sums of operands of any type (gemm_operand.h).
//
// A block makes a tile of C, each of its warps a part of that, each thread TM x TN elements in groups of four neighbours.
// Tiles of A and B lie in shared memory as [k][outer], in f32, twice: while one is multiplied the next is under way in
// registers, so there is one barrier a step.
#pragma once

#include "gemm_operand.h"

// BM x BN: the block's tile, in steps of DEPTH; WM x WN: a warp's; LM x LN lanes of TM x TN;
// BLOCKS: how many should fit a multiprocessor.
template <int BM_, int BN_, int DEPTH_, int WM_, int WN_, int LM_, int BLOCKS> struct simt_tile {
  static constexpr int BM = BM_, BN = BN_, DEPTH = DEPTH_, WM = WM_, WN = WN_, LM = LM_, LN = 32 / LM;
  static constexpr int TM = WM / LM, TN = WN / LN, threads = BM / WM * (BN / WN) * 32, blocks = BLOCKS;
  static_assert(TM % 4 == 0 && TN % 4 == 0, "groups of four");
  struct shared {
    float a[2][DEPTH][BM + 4], b[2][DEPTH][BN + 4];
  };
  // Where group i of four of this thread's rows and columns begins.
  __device__ static int row(int i) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    return warp / (BN / WN) * WM + lane / LN * 4 + i * LM * 4;
  }
  __device__ static int column(int j) {
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    return warp % (BN / WN) * WN + lane % LN * 4 + j * LN * 4;
  }
};

// Four neighbours in shared memory.
struct alignas(16) simt_four {
  float v[4];
};

// Spreads what a thread has loaded over to[k][outer].
template <class Share, class T, int STRIDE>
__device__ __forceinline__ void simt_put(const vector<T> (&held)[Share::each], float (*to)[STRIDE], bool along_k) {
#pragma unroll
  for (int i = 0; i < Share::each; i++) {
    if (!Share::has(i)) break;
    const int outer = Share::outer(i), k = Share::k(i);
    if (along_k) {
#pragma unroll
      for (int j = 0; j < Share::width; j++) to[k + j][outer] = to_f32(held[i].v[j]);
    } else {
#pragma unroll
      for (int j = 0; j < Share::width; j += 4)
        *reinterpret_cast<simt_four *>(&to[k][outer + j]) = {
            {to_f32(held[i].v[j]), to_f32(held[i].v[j + 1]), to_f32(held[i].v[j + 2]), to_f32(held[i].v[j + 3])}};
    }
  }
}

// sum += A B over k from `first` on, below `last`, in the tile that begins at (m, n). The operands give 0 beyond their
// ends; first is a multiple of DEPTH, and so is last, or it is K. All threads call it, and may again at once.
template <class Tile, class A, class B>
__device__ __forceinline__ void simt_product(float (&sum)[Tile::TM][Tile::TN], const A &a, const B &b, int m, int n,
                                             int first, int last, typename Tile::shared &tiles) {
  using ShareA = gemm_share<A, Tile::BM, Tile::DEPTH, Tile::threads>;
  using ShareB = gemm_share<B, Tile::BN, Tile::DEPTH, Tile::threads>;
  const ShareA share_a(a, m);
  const ShareB share_b(b, n);
  vector<typename A::type> held_a[ShareA::each];
  vector<typename B::type> held_b[ShareB::each];
  const auto fetch = [&](int k) {
#pragma unroll
    for (int i = 0; i < ShareA::each; i++)
      if (ShareA::has(i)) held_a[i] = a.load(share_a.of(i), k + ShareA::k(i));
#pragma unroll
    for (int i = 0; i < ShareB::each; i++)
      if (ShareB::has(i)) held_b[i] = b.load(share_b.of(i), k + ShareB::k(i));
  };
  const auto put = [&](int buffer) {
    simt_put<ShareA>(held_a, tiles.a[buffer], A::along_k);
    simt_put<ShareB>(held_b, tiles.b[buffer], B::along_k);
  };

  fetch(first);
  put(0);
  __syncthreads();
  for (int k = first, buffer = 0; k < last; k += Tile::DEPTH, buffer ^= 1) {
    const bool more = k + Tile::DEPTH < last;
    if (more) fetch(k + Tile::DEPTH);
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
    if (more) put(buffer ^ 1);
    __syncthreads(); // the next tile is there, and this one is used up
  }
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
