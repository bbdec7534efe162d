// Matrix products on the CUDA cores, sums of parts, and sums of columns.
//
//   kernel      good for                     launch                        reads                            bound by
//   product     f32                          64 … 256 threads a tile of C  a and b once a tile: K * (BM +   FMA (f32), or the
//     128x128   M, N of hundreds             (grid: tiles x splits x z)    BN) elements for BM * BN * K     loads' latency
//     64x64     fewer tiles than SMs                                       products, from L2 mostly         where K is all
//     32x32     small M or N                                                                                there is
//   reduce      parts of a split sum         256 threads, grid-stride      splits * 4 bytes an element      memory
//   column_sum  db: rows x columns           32 x 8 threads for 32 (x 4,   x once                           memory
//                                            x 8) columns and a part
//                                            of the rows
//
// A sum that is split, so that few tiles with a large K still fill the device, is added up in the order of its parts:
// the same bits each time.
#include "gemm.h"

#include "gemm_job.h"
#include "gemm_simt.h"

namespace {

// ---- The product --------------------------------------------------------------------------------------------------

template <class Tile, bool A_ALONG_K, bool B_ALONG_K>
__global__ void __launch_bounds__(Tile::threads, Tile::blocks) product(const gemm_job job) {
  SHARED(tiles, typename Tile::shared);
  const gemm_work work(job, Tile::BM, Tile::BN);
  float sum[Tile::TM][Tile::TN] = {};
  gemm_sum<float, A_ALONG_K, B_ALONG_K, true, Tile::DEPTH>(
      job, work, [&](const auto &a, const auto &b, int first, int last) {
        simt_product<Tile>(sum, a, b, work.m, work.n, first, last, tiles);
      });
  simt_finish<Tile>(sum, gemm_result_of<float>(job, work.z, work.part), work.m, work.n);
}

template <class Tile> int run_tile(const kernel_gemm *g, const kernel_gemm_pointers *p, kernel_stream stream) {
  return gemm_by_axes(*g, [&](auto a_along_k, auto b_along_k) {
    constexpr bool a = decltype(a_along_k)::value, b = decltype(b_along_k)::value;
    gemm_job job;
    dim3 grid;
    if (!gemm_job_of(*g, *p, Tile::BM, Tile::BN, Tile::DEPTH, &job, &grid)) return int(cudaErrorInvalidValue);
    const int error = LAUNCH((product<Tile, a, b>), grid, dim3(Tile::threads), 0, stream, job);
    return error || g->splits == 1 ? error : gemm_reduce(job, stream);
  });
}

using tile_0 = simt_tile<128, 128, 16, 32, 64, 4, 2>;
using tile_1 = simt_tile<64, 64, 16, 32, 32, 4, 4>;
using tile_2 = simt_tile<32, 32, 16, 32, 16, 8, 12>;
#define X(place, rows, columns, depth, block, resident)                                                                \
  static_assert(tile_##place::BM == rows && tile_##place::BN == columns && tile_##place::DEPTH == depth &&             \
                    tile_##place::threads == block && tile_##place::blocks == resident,                                \
                "as the table says");
KERNEL_GEMM_TILES(X)
#undef X

// ---- Parts ----------------------------------------------------------------------------------------------------------

// W neighbours of partial [splits][z][M][N] a thread; W divides N.
template <class T, int W> __global__ void reduce(const gemm_job job) {
  const int M = job.g.M, N = job.g.N, splits = job.g.splits;
  const int64_t matrix = int64_t(M) * N, all = matrix * job.matrices;
  for (int64_t i = first_of_grid() * W; i < all; i += size_of_grid() * W) {
    float sum[W] = {};
    for (int part = 0; part < splits; part++) {
      const gemm_run<float, W> run = *reinterpret_cast<const gemm_run<float, W> *>(job.p.partial + part * all + i);
#pragma unroll
      for (int j = 0; j < W; j++) sum[j] += run.v[j];
    }
    const int z = int(i / matrix), m = int(i % matrix / N), n = int(i % N);
    gemm_result<T> result = gemm_result_of<T>(job, z, 0);
    result.partial = nullptr;
    result.put(m, n, sum);
  }
}

// ---- Columns --------------------------------------------------------------------------------------------------------

// W neighbouring columns a lane; the eight warps and the parts share the rows.
template <class T, class To, int W>
__global__ void column_sum(const kernel_column_sum s, const T *x, To *y, int64_t step, int64_t part_step) {
  constexpr int warps = 8;
  SHARED(of_warp, float[warps][32 * W]);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int64_t column = (int64_t(blockIdx.x) * 32 + lane) * W, part = blockIdx.y;
  const int64_t last = s.rows * (part + 1) / s.parts;
  float sum[W] = {};
  if (column < s.columns) {
#pragma unroll 4
    for (int64_t row = s.rows * part / s.parts + warp; row < last; row += warps) {
      const gemm_run<T, W> run = *reinterpret_cast<const gemm_run<T, W> *>(x + row * s.row + column * s.column);
#pragma unroll
      for (int j = 0; j < W; j++) sum[j] += to_f32(run.v[j]);
    }
  }
#pragma unroll
  for (int j = 0; j < W; j++) of_warp[warp][j * 32 + lane] = sum[j];
  __syncthreads();
  for (int i = threadIdx.x; i < 32 * W; i += warps * 32) {
    const int64_t to = (int64_t(blockIdx.x) * 32 + i % 32) * W + i / 32;
    float total = 0;
#pragma unroll
    for (int w = 0; w < warps; w++) total += of_warp[w][i];
    if (to < s.columns) y[part * part_step + to * step] = as<To>(total);
  }
}

template <class T, class To> int sum_columns(const kernel_column_sum &s, const T *x, To *y, kernel_stream stream) {
  constexpr int W = vector<T>::width;
  const bool vectors = on_vectors(x) && s.column == 1 && s.row % W == 0 && s.columns % W == 0;
  const int64_t step = s.parts > 1 ? 1 : s.step, part_step = s.columns, wide = 32 * (vectors ? W : 1);
  const dim3 grid(unsigned((s.columns - 1) / wide + 1), unsigned(s.parts));
  return vectors ? LAUNCH((column_sum<T, To, W>), grid, dim3(256), 0, stream, s, x, y, step, part_step)
                 : LAUNCH((column_sum<T, To, 1>), grid, dim3(256), 0, stream, s, x, y, step, part_step);
}

} // namespace

// ---- Launchers ------------------------------------------------------------------------------------------------------

int gemm_reduce(const gemm_job &job, kernel_stream stream) {
  return by_type(job.g.type, [&](auto element) {
    using T = decltype(element);
    const int64_t all = int64_t(job.g.M) * job.g.N * job.matrices;
    return job.g.N % 4 == 0 ? LAUNCH((reduce<T, 4>), blocks_for(all / 4), dim3(block_size), 0, stream, job)
                            : LAUNCH((reduce<T, 1>), blocks_for(all), dim3(block_size), 0, stream, job);
  });
}

size_t kernel_gemm_workspace(const kernel_gemm *g) {
  if (g->splits == 1) return 0;
  return size_t(g->splits) * size_t(gemm_product_of(*g, 0, g->kept)) * size_t(g->M) * size_t(g->N) * sizeof(float);
}

bool kernel_gemm_of_transposes(const kernel_gemm *g) { return gemm_b_along_k(*g) && !gemm_a_along_k(*g); }

int kernel_gemm_run(const kernel_gemm *g, const kernel_gemm_pointers *p, kernel_stream stream) {
  if (g->type != KERNEL_F32) return cudaErrorInvalidValue;
  switch (g->tile) {
  case 0: return run_tile<tile_0>(g, p, stream);
  case 1: return run_tile<tile_1>(g, p, stream);
  case 2: return run_tile<tile_2>(g, p, stream);
  }
  return cudaErrorInvalidValue;
}

int kernel_column_sum_run(const kernel_column_sum *s, const void *x, void *y, float *partial, kernel_stream stream) {
  return by_type(s->type, [&](auto element) {
    using T = decltype(element);
    T *const to = static_cast<T *>(y);
    const T *const from = static_cast<const T *>(x);
    if (s->parts == 1) return sum_columns<T, T>(*s, from, to, stream);
    const int error = sum_columns<T, float>(*s, from, partial, stream);
    if (error) return error;
    kernel_column_sum again = *s;
    again.rows = s->parts, again.row = s->columns, again.column = 1, again.parts = 1;
    return sum_columns<float, T>(again, partial, to, stream);
  });
}
