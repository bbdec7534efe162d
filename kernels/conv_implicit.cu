// Convolution as a matrix product on the CUDA cores, f32: the pixels go straight from the tensors to shared memory.
//
//   kernel       good for                    launch                           passes                       bound by
//   way          forward and the data's      128 or 256 threads for a tile    input: M / rows of a tile,   FMA, where tiles
//     128x128    gradient: many channels     of channels out x positions      filter: columns / those of   are full
//     64x64      out, or few positions                                        a tile, from L2; output: 1
//   weights      the filter's gradient:      the same, of filters x (channel, x, y as above; parts are     FMA
//     128x128    many filters                tap), for a part of the          written and added
//     64x64                                  positions each
//   pack         the filter for the data's   256 threads, grid-stride         2                            memory
//                gradient
#include "conv_implicit.h"

#include "conv_job.h"
#include "gemm_simt.h"

namespace {

template <class Tile, class T>
__global__ void __launch_bounds__(Tile::threads, Tile::blocks)
    way(conv_product job, const T *in, const T *filter, conv_after<T> after, T *out) {
  SHARED(tiles, typename Tile::shared);
  float sum[Tile::TM][Tile::TN] = {};
  conv_block<T, Tile::BM, Tile::BN>(
      job, in, filter, after, out,
      [&](const auto &a, const auto &b, int m, int n, int depth) {
        simt_product<Tile>(sum, a, b, m, n, 0, depth, tiles);
      },
      [&](const auto &output, int m, int n) { simt_finish<Tile>(sum, output, m, n); });
}

template <class Tile, class T>
__global__ void __launch_bounds__(Tile::threads, Tile::blocks)
    weights(conv_weights_product job, const T *x, const T *y, T *w, float *part) {
  SHARED(tiles, typename Tile::shared);
  float sum[Tile::TM][Tile::TN] = {};
  conv_weights_block<T, Tile::BM, Tile::BN>(
      job, x, y, w, part,
      [&](const auto &a, const auto &b, int m, int n, int first, int last) {
        simt_product<Tile>(sum, a, b, m, n, first, last, tiles);
      },
      [&](const auto &output, int m, int n) { simt_finish<Tile>(sum, output, m, n); });
}

// packed: [phases][groups][M][row], each row the taps of its phase for all channels in, then nothing.
template <class T> __global__ void pack(conv_way way, int row, int64_t n, const T *w, T *packed) {
  for (int64_t i = first_of_grid(); i < n; i += size_of_grid()) {
    const int d = int(i % row), m = int(i / row % way.M), g = int(i / row / way.M % way.groups);
    const conv_phases phase(way, int(i / row / way.M / way.groups));
    const int taps = phase.taps();
    if (d >= way.C * taps) continue;
    packed[i] = w[way.w_g * g + way.w_m * m + way.w_c * (d / taps) + conv_tap(way, phase, d % taps).r];
  }
}

using tile_0 = simt_tile<128, 128, 16, 32, 64, 4, 2>;
using tile_1 = simt_tile<64, 64, 16, 32, 32, 4, 4>;
#define X(place, rows, columns)                                                                                        \
  static_assert(tile_##place::BM == rows && tile_##place::BN == columns, "as the table says");
KERNEL_CONV_TILES(X)
#undef X

template <class F> int by_tile(int tile, F f) {
  switch (tile) {
#define X(place, rows, columns)                                                                                        \
  case place: return f(tile_##place{});
    KERNEL_CONV_TILES(X)
#undef X
  }
  return cudaErrorInvalidValue;
}

} // namespace

// ---- Launchers -----------------------------------------------------------------------------------------------------

int64_t kernel_conv_packed_filter(const kernel_conv *c) {
  const conv_way way = conv_way_of(*c, false);
  return int64_t(way.phases) * way.groups * way.M * conv_packed_row(way);
}

int kernel_conv_pack_filter(const kernel_conv *c, const void *w, void *packed, kernel_stream stream) {
  const conv_way way = conv_way_of(*c, false);
  const int64_t n = kernel_conv_packed_filter(c);
  return by_type(c->type, [&](auto element) {
    using T = decltype(element);
    return LAUNCH((pack<T>), blocks_for(n), dim3(block_size), 0, stream, way, conv_packed_row(way), n,
                  static_cast<const T *>(w), static_cast<T *>(packed));
  });
}

int kernel_conv_way_simt(const kernel_conv *c, bool forward, int tile, const void *in, const void *filter,
                         const kernel_conv_after *after, void *out, kernel_stream stream) {
  return by_tile(tile, [&](auto shape) {
    using Tile = decltype(shape);
    const conv_product job = conv_product_of(*c, forward, Tile::BM, Tile::BN, filter, *after, out);
    return LAUNCH((way<Tile, float>), conv_grid(job), dim3(Tile::threads), 0, stream, job,
                  static_cast<const float *>(in), static_cast<const float *>(filter), conv_after<float>(*after),
                  static_cast<float *>(out));
  });
}

int kernel_conv_weights_simt(const kernel_conv *c, int tile, const void *x, const void *y, void *w, int parts,
                             float *part, kernel_stream stream) {
  const int error = by_tile(tile, [&](auto shape) {
    using Tile = decltype(shape);
    const conv_weights_product job = conv_weights_product_of(*c, Tile::BM, Tile::BN, Tile::DEPTH, parts, y);
    return LAUNCH((weights<Tile, float>), conv_grid(job, parts), dim3(Tile::threads), 0, stream, job,
                  static_cast<const float *>(x), static_cast<const float *>(y), static_cast<float *>(w),
                  parts > 1 ? part : nullptr);
  });
  return error || parts == 1 ? error : conv_add(*c, parts, part, static_cast<float *>(w), stream);
}
