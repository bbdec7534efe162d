// Convolution where a group has few channels, depthwise above all: each channel out sees few planes of its own.
//
//   kernel      good for          launch                                            passes               bound by
//   depthwise   groups of few     256 threads for as many planes as fit (a small    input: channels out  memory; 5 loads
//               channels, both    plane takes 32 of them); a thread has STRIP       of a group, output:  from caches for
//               ways              positions side by side, so that it loads a        1                    4 products
//                                 weight once for them
#include "conv_depthwise.h"

#include "conv_kit.h"

namespace {

constexpr int STRIP = 4;

// One strip of channel m of group g: its sums, from the planes at `in`.
template <class T>
__device__ void strip_of(const conv_way &way, const conv_phases &p, const int (&at)[3], const T *in, const T *w,
                         float (&sum)[STRIP]) {
  const conv_axis &last = way.axis[2];
  for (int c = 0; c < way.C; c++, in += way.in_area, w += way.w_c)
    for (int t0 = 0; t0 < p.axis[0].taps; t0++) {
      const int i0 = at[0] + t0 * p.axis[0].advance;
      if (i0 < 0 || i0 >= way.axis[0].in) continue;
      for (int t1 = 0; t1 < p.axis[1].taps; t1++) {
        const int i1 = at[1] + t1 * p.axis[1].advance;
        if (i1 < 0 || i1 >= way.axis[1].in) continue;
        const T *row = in + (i0 * way.axis[1].in + i1) * last.in;
        const T *weights = w + (p.axis[0].r + t0 * p.axis[0].r_step) * way.w_step[0] +
                           (p.axis[1].r + t1 * p.axis[1].r_step) * way.w_step[1] + p.axis[2].r;
        for (int t2 = 0; t2 < p.axis[2].taps; t2++) {
          const float weight = to_f32(weights[t2 * p.axis[2].r_step]);
          const int i2 = at[2] + t2 * p.axis[2].advance;
#pragma unroll
          for (int j = 0; j < STRIP; j++) {
            const int i = i2 + j * last.step;
            if (i >= 0 && i < last.in) sum[j] += to_f32(row[i]) * weight;
          }
        }
      }
    }
}

// `lanes` threads, a power of 2, take a plane together.
template <class T>
__global__ void __launch_bounds__(block_size)
    depthwise(conv_way way, int64_t planes, int lanes, const T *in, const T *w, conv_after<T> after, T *out) {
  const int per_block = block_size / lanes, lane = threadIdx.x % lanes + blockIdx.y * lanes;
  const int64_t step = int64_t(gridDim.x) * per_block;
  for (int64_t task = int64_t(blockIdx.x) * per_block + threadIdx.x / lanes; task < planes * way.phases; task += step) {
    const conv_phases p(way, int(task / planes));
    const int64_t plane = task % planes;
    const int channel = int(plane % (way.groups * way.M)), g = channel / way.M, m = channel % way.M;
    const T *from = in + (plane / (way.groups * way.M) * way.groups + g) * way.C * way.in_area;
    const T *filter = w + way.w_g * g + way.w_m * m;
    const float bias = after.bias_of(channel);
    const int across = conv_tiles(p.axis[2].count, STRIP), strips = p.axis[0].count * p.axis[1].count * across;
    for (int s = lane; s < strips; s += lanes * gridDim.y) {
      const int i[3] = {s / across / p.axis[1].count, s / across % p.axis[1].count, s % across * STRIP};
      int at[3], to[3];
      float sum[STRIP] = {};
#pragma unroll
      for (int a = 0; a < 3; a++) {
        at[a] = i[a] * way.axis[a].step + p.axis[a].offset;
        to[a] = p.axis[a].first + i[a] * way.axis[a].every;
      }
      strip_of(way, p, at, from, filter, sum);
      const int64_t row = plane * way.out_area + (to[0] * way.axis[1].out + to[1]) * way.axis[2].out + to[2];
#pragma unroll
      for (int j = 0; j < STRIP; j++) {
        const int64_t place = row + j * way.axis[2].every;
        if (i[2] + j < p.axis[2].count) out[place] = after.result(sum[j] + bias, place);
      }
    }
  }
}

int run(const kernel_conv *c, bool forward, const void *in, const void *w, const kernel_conv_after *after, void *out,
        kernel_stream stream) {
  const conv_way way = conv_way_of(*c, forward);
  const int64_t planes = int64_t(way.N) * way.groups * way.M;
  int64_t strips = 1; // of the largest phase
  for (int a = 0; a < 3; a++) {
    const int count = conv_tiles(way.axis[a].out, way.axis[a].every);
    strips *= a == 2 ? conv_tiles(count, STRIP) : count;
  }
  int lanes = 32;
  while (lanes < block_size && lanes < strips) lanes *= 2;
  const int64_t tiles = (strips + lanes - 1) / lanes, rounds = 4096 / planes + 1; // few planes are split
  dim3 grid = blocks_for(planes * way.phases, block_size / lanes);
  grid.y = unsigned(lesser(tiles, rounds));
  return by_type(c->type, [&](auto element) {
    using T = decltype(element);
    return LAUNCH((depthwise<T>), grid, dim3(block_size), 0, stream, way, planes, lanes, static_cast<const T *>(in),
                  static_cast<const T *>(w), conv_after<T>(*after), static_cast<T *>(out));
  });
}

} // namespace

// ---- Launchers ----------------------------------------------------------------------------------------------------

int kernel_conv_depthwise_forward(const kernel_conv *c, const void *x, const void *w, const kernel_conv_after *after,
                                  void *y, kernel_stream stream) {
  return run(c, true, x, w, after, y, stream);
}

int kernel_conv_depthwise_data(const kernel_conv *c, const void *y, const void *w, const kernel_conv_after *after,
                               void *x, kernel_stream stream) {
  return run(c, false, y, w, after, x, stream);
}
