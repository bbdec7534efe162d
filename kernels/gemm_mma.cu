// Matrix products on tensor cores.
//
//   kernel      good for                       launch                           shared memory        bound by
//   product     bf16, f16; f32 as tf32         a tile of C a block              4 stages             tensor cores, or the
//     128x256   M, N of thousands              (grid: tiles x splits x z);      96 KiB               loads' latency where K is
//     128x128   M, N of hundreds               256 or 128 threads: warps of     64 KiB               all there is
//     64x64     fewer tiles than SMs; any      64 x 64, 32 x 32                 32 KiB
//               strides
//
// a and b are read once a tile, from L2 mostly: K * (BM + BN) elements for BM * BN * K products. Parts of a split sum are
// added up by gemm.cu.
#include "gemm.h"

#include "gemm_job.h"
#include "gemm_mma.h"

namespace {

template <class Tile, bool A_ALONG_K, bool B_ALONG_K, bool ANY>
__global__ void __launch_bounds__(Tile::threads, ANY ? Tile::blocks / 2 : Tile::blocks) // steps take registers
    product(const gemm_job job) {
  DYN_SHARED(unsigned char, shared);
  const gemm_work work(job, Tile::BM, Tile::BN);
  float sum[Tile::MI][Tile::NI][4] = {};
  gemm_sum<typename Tile::T, A_ALONG_K, B_ALONG_K, ANY, Tile::depth>(
      job, work, [&](const auto &a, const auto &b, int first, int last) {
        mma_product<Tile>(sum, a, b, work.m, work.n, first, last, shared);
      });
  mma_finish<Tile>(sum, gemm_result_of<typename Tile::T>(job, work.z, work.part), work.m, work.n, shared);
}

template <class Tile, bool A_ALONG_K, bool B_ALONG_K, bool ANY>
int run_tile(const kernel_gemm *g, const kernel_gemm_pointers *p, kernel_stream stream) {
  using T = typename Tile::T;
  gemm_job job;
  dim3 grid;
  if (!gemm_job_of(*g, *p, Tile::BM, Tile::BN, Tile::depth, &job, &grid)) return cudaErrorInvalidValue;
  constexpr int shared = mma_shared<Tile, gemm_matrix<T, A_ALONG_K, ANY>, gemm_matrix<T, B_ALONG_K, ANY>>();
  const int error = LAUNCH((product<Tile, A_ALONG_K, B_ALONG_K, ANY>), grid, dim3(Tile::threads), shared, stream, job);
  return error || g->splits == 1 ? error : gemm_reduce(job, stream);
}

template <class T> using tile_0 = mma_tile<T, 128, 256, 64, 64, 64, 4, 1>;
template <class T> using tile_1 = mma_tile<T, 128, 128, 64, 64, 64, 4, 2>;
template <class T> using tile_2 = mma_tile<T, 64, 64, 64, 32, 32, 4, 4>;
#define X(place, rows, columns, bytes, block, resident)                                                                \
  static_assert(tile_##place<bf16>::BM == rows && tile_##place<bf16>::BN == columns &&                                 \
                    tile_##place<bf16>::depth * 2 == bytes && tile_##place<bf16>::threads == block &&                  \
                    tile_##place<bf16>::blocks == resident,                                                            \
                "as the table says");
KERNEL_GEMM_MMA_TILES(X)
#undef X

} // namespace

bool kernel_gemm_in_chunks(const kernel_gemm *g) {
  return gemm_a_on_vectors(*g, nullptr) && gemm_b_on_vectors(*g, nullptr);
}

int kernel_gemm_mma_run(const kernel_gemm *g, const kernel_gemm_pointers *p, kernel_stream stream) {
  const bool chunks = gemm_a_on_vectors(*g, p->a) && gemm_b_on_vectors(*g, p->b);
  return by_type(g->type, [&](auto element) {
    using T = decltype(element);
    return gemm_by_axes(*g, [&](auto a_along_k, auto b_along_k) {
      constexpr bool a = decltype(a_along_k)::value, b = decltype(b_along_k)::value;
      if (!chunks) return run_tile<tile_2<T>, a, b, true>(g, p, stream);
      switch (g->tile) {
      case 0: return run_tile<tile_0<T>, a, b, false>(g, p, stream);
      case 1: return run_tile<tile_1<T>, a, b, false>(g, p, stream);
      case 2: return run_tile<tile_2<T>, a, b, false>(g, p, stream);
      }
      return int(cudaErrorInvalidValue);
    });
  });
}
