// Matrix products on tensor cores.
//
//   kernel      good for                       launch                           shared memory        bound by
//   product     bf16, f16; f32 as tf32         128 threads a tile of C          4 stages             tensor cores, or the
//     128x128   M, N of hundreds               (grid: tiles x splits x z);      80 KiB               loads' latency where K is
//     64x64     fewer tiles than SMs           warps of 64 x 64, 32 x 32 and    41 KiB               all there is
//     32x32     small M or N                   16 x 16                          20 KiB
//
// a and b are read once a tile, from L2 mostly: K * (BM + BN) elements for BM * BN * K products. Parts of a split sum are
// added up by gemm.cu.
#include "gemm.h"

#include "gemm_job.h"
#include "gemm_mma.h"

namespace {

template <class Tile, bool A_ALONG_K, bool B_ALONG_K>
__global__ void __launch_bounds__(Tile::threads, Tile::blocks) product(const gemm_job job) {
  DYN_SHARED(unsigned char, shared);
  const gemm_work work(job, Tile::BM, Tile::BN);
  float sum[Tile::MI][Tile::NI][4] = {};
  gemm_sum<typename Tile::T, A_ALONG_K, B_ALONG_K, Tile::depth>(
      job, work, [&](const auto &a, const auto &b, int first, int last) {
        mma_product<Tile>(sum, a, b, work.m, work.n, first, last, shared);
      });
  mma_finish<Tile>(sum, gemm_result_of<typename Tile::T>(job, work.z, work.part), work.m, work.n, shared);
}

template <class Tile> int run_tile(const kernel_gemm *g, const kernel_gemm_pointers *p, kernel_stream stream) {
  return gemm_by_axes(*g, [&](auto a_along_k, auto b_along_k) {
    constexpr bool a = decltype(a_along_k)::value, b = decltype(b_along_k)::value;
    using T = typename Tile::T;
    gemm_job job;
    dim3 grid;
    if (!gemm_job_of(*g, *p, Tile::BM, Tile::BN, Tile::depth, a, b, &job, &grid)) return int(cudaErrorInvalidValue);
    constexpr int shared = mma_shared<Tile, gemm_matrix<T, a>, gemm_matrix<T, b>>();
    const int error = LAUNCH((product<Tile, a, b>), grid, dim3(Tile::threads), shared, stream, job);
    return error || g->splits == 1 ? error : gemm_reduce(job, stream);
  });
}

template <class T> using tile_0 = mma_tile<T, 128, 128, 64, 64, 64, 4, 2>;
template <class T> using tile_1 = mma_tile<T, 64, 64, 64, 32, 32, 4, 4>;
template <class T> using tile_2 = mma_tile<T, 32, 32, 64, 16, 16, 4, 8>;
#define X(place, rows, columns, bytes, block, resident)                                                                \
  static_assert(tile_##place<bf16>::BM == rows && tile_##place<bf16>::BN == columns &&                                 \
                    tile_##place<bf16>::depth * 2 == bytes && tile_##place<bf16>::threads == block &&                  \
                    tile_##place<bf16>::blocks == resident,                                                            \
                "as the table says");
KERNEL_GEMM_MMA_TILES(X)
#undef X

} // namespace

int kernel_gemm_mma_run(const kernel_gemm *g, const kernel_gemm_pointers *p, kernel_stream stream) {
  return by_type(g->type, [&](auto element) {
    using T = decltype(element);
    switch (g->tile) {
    case 0: return run_tile<tile_0<T>>(g, p, stream);
    case 1: return run_tile<tile_1<T>>(g, p, stream);
    case 2: return run_tile<tile_2<T>>(g, p, stream);
    }
    return int(cudaErrorInvalidValue);
  });
}
