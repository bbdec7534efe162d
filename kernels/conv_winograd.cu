// Winograd's F(2x2, 3x3), what comes before and after the products. (Lavin and Gray, "Fast algorithms for convolutional
// neural networks", 2016.)   out = A' [(G g G') * (B' d B)] A   with
//
//   B' = 1  0 -1  0     G = 1    0    0      A' = 1  1  1  0
//        0  1  1  0         1/2  1/2  1/2         0  1 -1 -1
//        0 -1  1  0         1/2 -1/2  1/2
//        0  1  0 -1         0    0    1
//
//   kernel   good for   launch                    bytes                                    passes   bound by
//   filter   3 x 3      256 threads, grid-stride  9 + 16 floats for a channel in and out   1        memory
//   input               a thread for a tile and   4 (16 from caches) + 16 floats a tile    1        memory
//   output              a channel                 16 + 4 floats a tile                     1        memory
//
// Integers stay exact: halves of them do.
#include "conv_winograd.h"

#include "conv_kit.h"

namespace {

__global__ void __launch_bounds__(block_size) filter(kernel_winograd s, const float *w, float *u) {
  const int64_t n = s.M * s.C;
  for (int64_t i = first_of_grid(); i < n; i += size_of_grid()) {
    const float *from = w + i / s.C * s.w_m + i % s.C * s.w_c;
    float half[4][3]; // G g
#pragma unroll
    for (int r = 0; r < 3; r++) {
      const float a = from[s.turned ? 8 - r : r], b = from[s.turned ? 5 - r : 3 + r],
                  c = from[s.turned ? 2 - r : 6 + r];
      half[0][r] = a, half[1][r] = 0.5f * (a + b + c), half[2][r] = 0.5f * (a - b + c), half[3][r] = c;
    }
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const float a = half[j][0], b = half[j][1], c = half[j][2];
      u[(j * 4 + 0) * n + i] = a;
      u[(j * 4 + 1) * n + i] = 0.5f * (a + b + c);
      u[(j * 4 + 2) * n + i] = 0.5f * (a - b + c);
      u[(j * 4 + 3) * n + i] = c;
    }
  }
}

// A channel's tile: i is their number, tiles first.
struct tile_place {
  int64_t channel, n;
  int column, at[2];
  __device__ tile_place(const kernel_winograd &s, int64_t i) {
    channel = i / s.columns;
    column = int(i % s.columns);
    at[1] = column % s.tiles[1] * 2, at[0] = column / s.tiles[1] % s.tiles[0] * 2;
    n = column / s.tiles[1] / s.tiles[0];
  }
};

__global__ void __launch_bounds__(block_size) input(kernel_winograd s, const float *in, float *v) {
  for (int64_t i = first_of_grid(); i < s.C * s.columns; i += size_of_grid()) {
    const tile_place tile(s, i);
    const float *plane = in + (tile.n * s.C + tile.channel) * s.in[0] * s.in[1];
    float half[4][4]; // B' d
#pragma unroll
    for (int t = 0; t < 4; t++) {
      const int i1 = tile.at[1] - s.before[1] + t;
      float d[4];
#pragma unroll
      for (int r = 0; r < 4; r++) {
        const int i0 = tile.at[0] - s.before[0] + r;
        const bool inside = i0 >= 0 && i0 < s.in[0] && i1 >= 0 && i1 < s.in[1];
        d[r] = inside ? plane[i0 * s.in[1] + i1] : 0;
      }
      half[0][t] = d[0] - d[2], half[1][t] = d[1] + d[2], half[2][t] = d[2] - d[1], half[3][t] = d[1] - d[3];
    }
    const int64_t place = s.C * s.row;
    float *to = v + tile.channel * s.row + tile.column;
#pragma unroll
    for (int r = 0; r < 4; r++) {
      to[(r * 4 + 0) * place] = half[r][0] - half[r][2];
      to[(r * 4 + 1) * place] = half[r][1] + half[r][2];
      to[(r * 4 + 2) * place] = half[r][2] - half[r][1];
      to[(r * 4 + 3) * place] = half[r][1] - half[r][3];
    }
  }
}

__global__ void __launch_bounds__(block_size)
    output(kernel_winograd s, const float *products, conv_after<float> after, float *out) {
  for (int64_t i = first_of_grid(); i < s.M * s.columns; i += size_of_grid()) {
    const tile_place tile(s, i);
    const int64_t place = s.M * s.row;
    const float *from = products + tile.channel * s.row + tile.column;
    const float bias = after.bias_of(int(tile.channel));
    float half[2][4]; // A' m
#pragma unroll
    for (int t = 0; t < 4; t++) {
      const float a = from[t * place], b = from[(4 + t) * place], c = from[(8 + t) * place], d = from[(12 + t) * place];
      half[0][t] = a + b + c, half[1][t] = b - c - d;
    }
    const int64_t plane = (tile.n * s.M + tile.channel) * s.out[0] * s.out[1];
#pragma unroll
    for (int r = 0; r < 2; r++) {
      const float sum[2] = {half[r][0] + half[r][1] + half[r][2], half[r][1] - half[r][2] - half[r][3]};
#pragma unroll
      for (int t = 0; t < 2; t++)
        if (tile.at[0] + r < s.out[0] && tile.at[1] + t < s.out[1]) {
          const int64_t to = plane + (tile.at[0] + r) * s.out[1] + tile.at[1] + t;
          out[to] = after.result(sum[t] + bias, to);
        }
    }
  }
}

} // namespace

// ---- Launchers -----------------------------------------------------------------------------------------------------

int kernel_winograd_filter(const kernel_winograd *s, const void *w, float *u, kernel_stream stream) {
  return LAUNCH(filter, blocks_for(s->M * s->C), dim3(block_size), 0, stream, *s, static_cast<const float *>(w), u);
}

int kernel_winograd_input(const kernel_winograd *s, const void *in, float *v, kernel_stream stream) {
  return LAUNCH(input, blocks_for(s->C * s->columns), dim3(block_size), 0, stream, *s, static_cast<const float *>(in),
                v);
}

int kernel_winograd_output(const kernel_winograd *s, const float *products, const kernel_conv_after *after, void *out,
                           kernel_stream stream) {
  return LAUNCH(output, blocks_for(s->M * s->columns), dim3(block_size), 0, stream, *s, products,
                conv_after<float>(*after), static_cast<float *>(out));
}
