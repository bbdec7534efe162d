// The filter's gradient of a convolution as a matrix product on tensor cores.
//
//   kernel       good for                    launch                           passes                       bound by
//   weights      bf16, f16; f32 as tf32      a tile of filters x (channel,    x: filters / rows of a       loads of x, an
//     128x128    many filters                tap) and a part of the           tile, y: columns / those     element at a time
//     64x64      few, or few columns         positions a block: 256 or 128    of a tile, from L2; parts
//                                            threads; 4 stages, 80 or 41 KiB  are written and added
#include "conv_implicit.h"

#include "conv_mma.h"

namespace {

template <class Tile, class T>
__global__ void __launch_bounds__(Tile::threads, Tile::blocks)
    weights(conv_weights_product job, const T *x, const T *y, T *w, float *part) {
  DYN_SHARED(unsigned char, shared);
  float sum[Tile::MI][Tile::NI][4] = {};
  conv_weights_block<T, Tile::BM, Tile::BN>(
      job, x, y, w, part,
      [&](const auto &a, const auto &b, int m, int n, int first, int last) {
        mma_product<Tile>(sum, a, b, m, n, first, last, shared);
      },
      [&](const auto &output, int m, int n) { mma_finish<Tile>(sum, output, m, n, shared); });
}

template <class Tile>
int run(const kernel_conv *c, const void *x, const void *y, void *w, int parts, float *part, kernel_stream stream) {
  using T = typename Tile::T;
  const conv_weights_product job = conv_weights_product_of(*c, Tile::BM, Tile::BN, Tile::depth, parts, y);
  constexpr int shared = mma_shared<Tile, conv_filters<T>, conv_taps<T>>();
  const int error =
      LAUNCH((weights<Tile, T>), conv_grid(job, parts), dim3(Tile::threads), shared, stream, job,
             static_cast<const T *>(x), static_cast<const T *>(y), static_cast<T *>(w), parts > 1 ? part : nullptr);
  return error || parts == 1 ? error : conv_add(*c, parts, part, static_cast<T *>(w), stream);
}

} // namespace

// ---- The launcher -------------------------------------------------------------------------------------------------

int kernel_conv_weights_mma(const kernel_conv *c, int tile, const void *x, const void *y, void *w, int parts,
                            float *part, kernel_stream stream) {
  return by_type(c->type, [&](auto element) {
    using T = decltype(element);
    return tile == 0 ? run<conv_mma_tile_0<T>>(c, x, y, w, parts, part, stream)
                     : run<conv_mma_tile_1<T>>(c, x, y, w, parts, part, stream);
  });
}
