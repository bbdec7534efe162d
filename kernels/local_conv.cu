// Locally connected layers: each weight belongs to one position, so it is read once for all images, and reading them is
// what takes the time.
//
//   kernel    good for   launch                                                passes                      bound by
//   forward   any        256 threads; a warp for a position, a filter and      w: N / 8; x: K times, from  memory
//                        8 images, its lanes along channels x taps             caches; y: 1
//   data      any        256 threads, each an input of 8 images, neighbours    w: N / 8, dy: taps x C,     memory
//                        in channels; gathers from the taps that see it        from caches; dx: 1
//   weights   any        256 threads, each some weights, over all images       dw: 1; x, dy: from caches   memory
//   bias      any        256 threads, each some biases                         1                           memory
#include "local_conv.h"

#include "conv_kit.h"

namespace {

constexpr int images = 8, warps = block_size / 32;

struct local_sizes {
  int N, C, K, groups; // channels and filters of a group
  int x[3], w[3], y[3], stride[3], dilation[3], pad[3];
  int x_area, taps, positions, depth; // depth: channels x taps
};

local_sizes local_sizes_of(const kernel_conv &c) {
  local_sizes s{};
  s.N = int(c.N), s.C = int(c.C / c.groups), s.K = int(c.K / c.groups), s.groups = int(c.groups);
  for (int a = 0; a < 3; a++) {
    s.x[a] = c.x[a], s.w[a] = c.w[a], s.y[a] = c.y[a];
    s.stride[a] = c.stride[a], s.dilation[a] = c.dilation[a], s.pad[a] = c.pad[a];
  }
  s.x_area = int(kernel_conv_area(c.x)), s.taps = int(kernel_conv_area(c.w)), s.positions = int(kernel_conv_area(c.y));
  s.depth = s.C * s.taps;
  return s;
}

// Where in its plane position o's tap lies; -1 outside.
__device__ int seen(const local_sizes &s, int o, int tap) {
  int i[3];
  bool inside = true;
#pragma unroll
  for (int a = 2; a >= 0; a--) {
    i[a] = o % s.y[a] * s.stride[a] - s.pad[a] + tap % s.w[a] * s.dilation[a];
    inside &= i[a] >= 0 && i[a] < s.x[a];
    o /= s.y[a], tap /= s.w[a];
  }
  return inside ? (i[0] * s.x[1] + i[1]) * s.x[2] + i[2] : -1;
}

template <class T>
__global__ void __launch_bounds__(block_size)
    forward(local_sizes s, int64_t tasks, const T *x, const T *w, const T *b, T *y) {
  const int lane = threadIdx.x % 32, batches = conv_tiles(s.N, images);
  const int64_t step = int64_t(gridDim.x) * warps;
  for (int64_t task = int64_t(blockIdx.x) * warps + threadIdx.x / 32; task < tasks; task += step) {
    const int64_t row = task / batches; // of the weights
    const int k = int(row % (s.groups * s.K)), o = int(row / (s.groups * s.K)), n = int(task % batches) * images;
    const T *plane = x + (int64_t(n) * s.groups + k / s.K) * s.C * s.x_area;
    const int64_t image = int64_t(s.groups) * s.C * s.x_area;
    float sum[images] = {};
    for (int d = lane; d < s.depth; d += 32) {
      const float weight = to_f32(w[row * s.depth + d]);
      const int at = seen(s, o, d % s.taps);
      const T *from = plane + int64_t(d / s.taps) * s.x_area + at;
#pragma unroll
      for (int i = 0; i < images; i++)
        if (at >= 0 && n + i < s.N) sum[i] += to_f32(from[i * image]) * weight;
    }
#pragma unroll
    for (int i = 0; i < images; i++) {
      const float total = reduce_warp(sum[i], add{});
      if (lane != i || n + i >= s.N) continue;
      const int64_t bias = int64_t(k) * s.positions + o;
      y[int64_t(n + i) * s.groups * s.K * s.positions + bias] = as<T>(total + (b ? to_f32(b[bias]) : 0));
    }
  }
}

// The position of an axis whose tap r lies on input place i; -1 where there is none.
__device__ int sees(const local_sizes &s, int a, int i, int r) {
  const int at = i + s.pad[a] - r * s.dilation[a];
  return at >= 0 && at % s.stride[a] == 0 && at / s.stride[a] < s.y[a] ? at / s.stride[a] : -1;
}

template <class T>
__global__ void __launch_bounds__(block_size) data(local_sizes s, int64_t n_inputs, const T *dy, const T *w, T *dx) {
  const int batches = conv_tiles(s.N, images);
  for (int64_t index = first_of_grid(); index < n_inputs; index += size_of_grid()) {
    const int c = int(index % s.C), g = int(index / s.C % s.groups), n = int(index / s.C / s.groups % batches) * images;
    const int at = int(index / s.C / s.groups / batches);
    const int i0 = at / (s.x[1] * s.x[2]), i1 = at / s.x[2] % s.x[1], i2 = at % s.x[2];
    const int64_t image = int64_t(s.groups) * s.K * s.positions;
    float sum[images] = {};
    for (int tap = 0; tap < s.taps; tap++) {
      const int o0 = sees(s, 0, i0, tap / (s.w[1] * s.w[2])), o1 = sees(s, 1, i1, tap / s.w[2] % s.w[1]);
      const int o2 = sees(s, 2, i2, tap % s.w[2]);
      if (o0 < 0 || o1 < 0 || o2 < 0) continue;
      const int o = (o0 * s.y[1] + o1) * s.y[2] + o2;
      const T *weight = w + (int64_t(o) * s.groups + g) * s.K * s.depth + c * s.taps + tap;
      const T *from = dy + n * image + int64_t(g) * s.K * s.positions + o;
      for (int k = 0; k < s.K; k++, weight += s.depth, from += s.positions) {
        const float factor = to_f32(*weight);
#pragma unroll
        for (int i = 0; i < images; i++)
          if (n + i < s.N) sum[i] += to_f32(from[i * image]) * factor;
      }
    }
#pragma unroll
    for (int i = 0; i < images; i++)
      if (n + i < s.N) dx[((int64_t(n + i) * s.groups + g) * s.C + c) * s.x_area + at] = as<T>(sum[i]);
  }
}

template <class T>
__global__ void __launch_bounds__(block_size)
    weights(local_sizes s, int64_t n_weights, const T *x, const T *dy, T *dw) {
  for (int64_t index = first_of_grid(); index < n_weights; index += size_of_grid()) {
    const int64_t row = index / s.depth;
    const int d = int(index % s.depth), k = int(row % (s.groups * s.K)), o = int(row / (s.groups * s.K));
    const int at = seen(s, o, d % s.taps);
    const T *from = x + (int64_t(k / s.K) * s.C + d / s.taps) * s.x_area + at,
            *factor = dy + int64_t(k) * s.positions + o;
    float sum = 0;
    for (int n = 0; at >= 0 && n < s.N; n++)
      sum += to_f32(from[int64_t(n) * s.groups * s.C * s.x_area]) *
             to_f32(factor[int64_t(n) * s.groups * s.K * s.positions]);
    dw[index] = as<T>(sum);
  }
}

template <class T> __global__ void __launch_bounds__(block_size) bias(int64_t N, int64_t n, const T *x, T *sum) {
  for (int64_t i = first_of_grid(); i < n; i += size_of_grid()) {
    float total = 0;
    for (int64_t image = 0; image < N; image++) total += to_f32(x[image * n + i]);
    sum[i] = as<T>(total);
  }
}

} // namespace

// ---- Launchers ----------------------------------------------------------------------------------------------------

int kernel_local_conv_forward(const kernel_conv *c, const void *x, const void *w, const void *b, void *y,
                              kernel_stream stream) {
  const local_sizes s = local_sizes_of(*c);
  const int64_t tasks = int64_t(s.positions) * s.groups * s.K * conv_tiles(s.N, images);
  return by_type(c->type, [&](auto element) {
    using T = decltype(element);
    return LAUNCH((forward<T>), blocks_for(tasks, warps), dim3(block_size), 0, stream, s, tasks,
                  static_cast<const T *>(x), static_cast<const T *>(w), static_cast<const T *>(b), static_cast<T *>(y));
  });
}

int kernel_local_conv_data(const kernel_conv *c, const void *dy, const void *w, void *dx, kernel_stream stream) {
  const local_sizes s = local_sizes_of(*c);
  const int64_t n = int64_t(s.x_area) * s.groups * s.C * conv_tiles(s.N, images);
  return by_type(c->type, [&](auto element) {
    using T = decltype(element);
    return LAUNCH((data<T>), blocks_for(n), dim3(block_size), 0, stream, s, n, static_cast<const T *>(dy),
                  static_cast<const T *>(w), static_cast<T *>(dx));
  });
}

int kernel_local_conv_weights(const kernel_conv *c, const void *x, const void *dy, void *dw, kernel_stream stream) {
  const local_sizes s = local_sizes_of(*c);
  const int64_t n = int64_t(s.positions) * s.groups * s.K * s.depth;
  return by_type(c->type, [&](auto element) {
    using T = decltype(element);
    return LAUNCH((weights<T>), blocks_for(n), dim3(block_size), 0, stream, s, n, static_cast<const T *>(x),
                  static_cast<const T *>(dy), static_cast<T *>(dw));
  });
}

int kernel_local_conv_bias(kernel_type type, int64_t N, int64_t n, const void *x, void *sum, kernel_stream stream) {
  return by_type(type, [&](auto element) {
    using T = decltype(element);
    return LAUNCH((bias<T>), blocks_for(n), dim3(block_size), 0, stream, N, n, static_cast<const T *>(x),
                  static_cast<T *>(sum));
  });
}
