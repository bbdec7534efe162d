// Convolution of few channels, by a tile of the picture in shared memory.
//
//   kernel         good for                  launch                                  passes                    bound by
//   few_channels   C of 1 to 4, large        64 or 128 threads for 8 x 32 positions  x: K / (8 or 16), w: once  FMA; 6 loads
//                  filters, large strides    and 8 or 16 filters; a thread has 4     a tile, y: 1               from shared
//                                            rows of a column by 8 filters                                      memory for 32
//
// The tile's columns lie apart by what is left of them after the stride, so that neighbouring lanes, `stride` columns
// from each other, read neighbouring words:  0 4 8 … | 1 5 9 … | 2 6 10 … | 3 7 11 …
#include "conv_few_channels.h"

#include "conv_kit.h"

namespace {

constexpr int filters = KERNEL_FEW_FILTERS, tile_rows = KERNEL_FEW_ROWS, tile_columns = KERNEL_FEW_COLUMNS;
constexpr int rows = 4; // of a thread

struct few_sizes {
  int N, C, K, x[2], w[2], y[2], stride[2], dilation[2], pad[2];
  int taps, high, wide, pitch; // the tile: high x wide elements, a row in `stride` pieces of `pitch`
  int tiles[2], filter_tiles;
  bool flip;
};

few_sizes few_sizes_of(const kernel_conv &c) {
  few_sizes s{};
  s.N = int(c.N), s.C = int(c.C), s.K = int(c.K);
  for (int a = 0; a < 2; a++) {
    s.x[a] = c.x[a + 1], s.w[a] = c.w[a + 1], s.y[a] = c.y[a + 1];
    s.stride[a] = c.stride[a + 1], s.dilation[a] = c.dilation[a + 1], s.pad[a] = c.pad[a + 1];
  }
  s.taps = s.w[0] * s.w[1];
  s.high = (tile_rows - 1) * s.stride[0] + (s.w[0] - 1) * s.dilation[0] + 1;
  s.wide = (tile_columns - 1) * s.stride[1] + (s.w[1] - 1) * s.dilation[1] + 1;
  s.pitch = conv_tiles(s.wide, s.stride[1]);
  s.tiles[0] = conv_tiles(s.y[0], tile_rows), s.tiles[1] = conv_tiles(s.y[1], tile_columns);
  s.filter_tiles = conv_tiles(s.K, s.K > filters ? 2 * filters : filters);
  s.flip = c.flip != 0;
  return s;
}

// GROUPS of `filters` filters in a block, two warps for each.
template <int GROUPS, class T>
__global__ void __launch_bounds__(64 * GROUPS)
    few_channels(few_sizes s, const T *x, const T *w, conv_after<T> after, T *y) {
  constexpr int all = filters * GROUPS, threads = 64 * GROUPS;
  DYN_SHARED(float, weights);                 // [taps][all]
  float *const tile = weights + s.taps * all; // [high][stride][pitch]
  int rest = blockIdx.x;
  const int k0 = rest % s.filter_tiles * all;
  rest /= s.filter_tiles;
  const int left = rest % s.tiles[1] * tile_columns;
  rest /= s.tiles[1];
  const int top = rest % s.tiles[0] * tile_rows, n = rest / s.tiles[0];
  const int group = threadIdx.x / 64, column = threadIdx.x % 32, row = threadIdx.x % 64 / 32 * rows;
  const int piece_rows = s.stride[1] * s.pitch;
  float sum[rows][filters] = {};

  for (int c = 0; c < s.C; c++) {
    __syncthreads(); // the last channel is done with
    for (int i = threadIdx.x; i < s.taps * all; i += threads) {
      const int k = k0 + i % all, tap = i / all;
      weights[i] = k < s.K ? to_f32(w[(int64_t(k) * s.C + c) * s.taps + (s.flip ? s.taps - 1 - tap : tap)]) : 0;
    }
    const T *plane = x + (int64_t(n) * s.C + c) * s.x[0] * s.x[1];
    for (int i = threadIdx.x; i < s.high * s.wide; i += threads) {
      const int h = i / s.wide, v = i % s.wide;
      const int i0 = top * s.stride[0] - s.pad[0] + h, i1 = left * s.stride[1] - s.pad[1] + v;
      const bool inside = i0 >= 0 && i0 < s.x[0] && i1 >= 0 && i1 < s.x[1];
      tile[h * piece_rows + v % s.stride[1] * s.pitch + v / s.stride[1]] = inside ? to_f32(plane[i0 * s.x[1] + i1]) : 0;
    }
    __syncthreads();
    const float *of_tap = weights + group * filters;
    for (int r = 0; r < s.w[0]; r++) {
      const float *from = tile + (row * s.stride[0] + r * s.dilation[0]) * piece_rows + column;
      for (int t = 0, piece = 0, at = 0; t < s.w[1]; t++, of_tap += all) {
        vector<float> weight[filters / 4];
#pragma unroll
        for (int i = 0; i < filters / 4; i++) weight[i] = reinterpret_cast<const vector<float> *>(of_tap)[i];
#pragma unroll
        for (int j = 0; j < rows; j++) {
          const float in = from[j * s.stride[0] * piece_rows + piece * s.pitch + at];
#pragma unroll
          for (int k = 0; k < filters; k++) sum[j][k] += in * weight[k / 4].v[k % 4];
        }
        for (piece += s.dilation[1]; piece >= s.stride[1]; piece -= s.stride[1]) at++;
      }
    }
  }

#pragma unroll
  for (int k = 0; k < filters; k++) {
    const int filter = k0 + group * filters + k;
    const float bias = filter < s.K ? after.bias_of(filter) : 0;
    const int64_t plane_out = (int64_t(n) * s.K + filter) * s.y[0] * s.y[1];
#pragma unroll
    for (int j = 0; j < rows; j++)
      if (filter < s.K && top + row + j < s.y[0] && left + column < s.y[1]) {
        const int64_t to = plane_out + (top + row + j) * s.y[1] + left + column;
        y[to] = after.result(sum[j][k] + bias, to);
      }
  }
}

} // namespace

// ---- Launchers ----------------------------------------------------------------------------------------------------

size_t kernel_conv_few_channels_shared(const kernel_conv *c) {
  const few_sizes s = few_sizes_of(*c);
  const size_t all = s.K > filters ? 2 * filters : filters;
  return (s.taps * all + size_t(s.high) * s.stride[1] * s.pitch) * sizeof(float);
}

int kernel_conv_few_channels(const kernel_conv *c, const void *x, const void *w, const kernel_conv_after *follows,
                             void *y, kernel_stream stream) {
  const few_sizes s = few_sizes_of(*c);
  const dim3 grid(unsigned(int64_t(s.N) * s.tiles[0] * s.tiles[1] * s.filter_tiles));
  const size_t shared = kernel_conv_few_channels_shared(c);
  return by_type(c->type, [&](auto element) {
    using T = decltype(element);
    const T *in = static_cast<const T *>(x), *filter = static_cast<const T *>(w);
    const conv_after<T> after(*follows);
    T *out = static_cast<T *>(y);
    return s.K > filters ? LAUNCH((few_channels<2, T>), grid, dim3(128), shared, stream, s, in, filter, after, out)
                         : LAUNCH((few_channels<1, T>), grid, dim3(64), shared, stream, s, in, filter, after, out);
  });
}
