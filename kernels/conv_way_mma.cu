// Convolution as a matrix product on tensor cores, forward and the data's gradient.
//
//   kernel       good for                    launch                           passes                       bound by
//   way          bf16, f16; f32 as tf32:     a tile of channels out x         input: M / rows of a tile,   loads of the
//     128x128    many channels out           positions a block: 256 or 128    filter: columns / those of   input, an element
//     64x64      few, or few positions       threads; 4 stages, 80 or 41 KiB  a tile, from L2; output: 1   at a time
#include "conv_implicit.h"

#include "conv_mma.h"

namespace {

template <class Tile, class T>
__global__ void __launch_bounds__(Tile::threads, Tile::blocks)
    way(conv_product job, const T *in, const T *filter, conv_after<T> after, T *out) {
  DYN_SHARED(unsigned char, shared);
  float sum[Tile::MI][Tile::NI][4] = {};
  conv_block<T, Tile::BM, Tile::BN>(
      job, in, filter, after, out,
      [&](const auto &a, const auto &b, int m, int n, int depth) {
        mma_product<Tile>(sum, a, b, m, n, 0, depth, shared);
      },
      [&](const auto &output, int m, int n) { mma_finish<Tile>(sum, output, m, n, shared); });
}

template <class Tile>
int run(const kernel_conv *c, bool forward, const void *in, const void *filter, const kernel_conv_after *after,
        void *out, kernel_stream stream) {
  using T = typename Tile::T;
  const conv_product job = conv_product_of(*c, forward, Tile::BM, Tile::BN, filter, *after, out);
  constexpr int shared = mma_shared<Tile, gemm_matrix<T, true, true>, conv_columns<T>>();
  return LAUNCH((way<Tile, T>), conv_grid(job), dim3(Tile::threads), shared, stream, job, static_cast<const T *>(in),
                static_cast<const T *>(filter), conv_after<T>(*after), static_cast<T *>(out));
}

} // namespace

// ---- The launcher -------------------------------------------------------------------------------------------------

int kernel_conv_way_mma(const kernel_conv *c, bool forward, int tile, const void *in, const void *filter,
                        const kernel_conv_after *after, void *out, kernel_stream stream) {
  return by_type(c->type, [&](auto element) {
    using T = decltype(element);
    return tile == 0 ? run<conv_mma_tile_0<T>>(c, forward, in, filter, after, out, stream)
                     : run<conv_mma_tile_1<T>>(c, forward, in, filter, after, out, stream);
  });
}
