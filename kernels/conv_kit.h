// What the kernels of convolution share: the way from one side to the other, and sums that come in parts. Only .cu files
// include it.
//
// The way from x to y (forward) and the one from y to x (the data's gradient) are the same thing: for each position a sum
// over taps of the input,
//
//   out[n, m, first + i*every] = b[m] + sum over c, taps of in[n, c, i*step + at] * w[m, c, r]
//
//             step     every   positions by phases                   taps
//   forward   stride   1       one phase, all                        at = r*dilation - pad
//   data      1        stride  a phase for each first = 0 … stride-1 those r with first + pad - r*dilation divisible
//                                                                    by the stride; the quotient is `at`
//
// So a stride costs the gradient nothing: each tap belongs to one phase of each axis. Those of a phase are evenly spaced.
#pragma once

#include "conv.h"
#include "kit.h"

struct conv_phase {
  int first, count;    // positions
  int taps;            // how many
  int r, r_step;       // the weight of the first tap; from one to the next, more than 0
  int offset, advance; // `at` of the first tap; from one to the next
};

struct conv_axis {
  int in, out, step, every, phases;
  int filter, dilation, pad;
  int spacing, advance; // of taps of a phase; of their places
  bool forward, flip;

  __device__ conv_phase phase(int first) const {
    conv_phase p{first, (out - first + every - 1) / every, filter, 0, 1, -pad, dilation};
    if (!forward) {
      while (p.r < filter && p.r < spacing && (first + pad - p.r * dilation) % every != 0) p.r++;
      const bool none = p.r >= filter || (first + pad - p.r * dilation) % every != 0;
      p.taps = none ? 0 : (filter - 1 - p.r) / spacing + 1;
      p.offset = (first + pad - p.r * dilation) / every;
      p.r_step = spacing;
      p.advance = -advance;
    }
    if (flip) { // in the order of the weights, so from the last tap on
      p.r = filter - 1 - (p.r + (p.taps - 1) * p.r_step);
      p.offset += (p.taps - 1) * p.advance;
      p.advance = -p.advance;
    }
    return p;
  }
};

// A whole problem, seen from its output.
struct conv_way {
  conv_axis axis[3];
  int N, groups, C, M;   // channels of a group: in, out
  int w_g, w_m, w_c;     // from a group, a channel out, a channel in of the filter to the next
  int w_step[2];         // from a tap to the next, axes 0 and 1
  int in_area, out_area; // positions of a plane
  int columns;           // images x positions of the largest phase
  int phases;
};

__host__ __device__ inline int conv_tiles(int n, int size) { return n / size + (n % size != 0); }

inline int conv_divisor(int a, int b) { // the greatest common one
  while (b) {
    const int rest = a % b;
    a = b, b = rest;
  }
  return a;
}

inline conv_way conv_way_of(const kernel_conv &c, bool forward) {
  const int C = int(c.C / c.groups), K = int(c.K / c.groups), w_area = int(kernel_conv_area(c.w));
  conv_way way{};
  way.N = int(c.N), way.groups = int(c.groups);
  way.C = forward ? C : K, way.M = forward ? K : C;
  way.w_g = K * C * w_area, way.w_m = forward ? C * w_area : w_area, way.w_c = forward ? w_area : C * w_area;
  way.w_step[0] = c.w[1] * c.w[2], way.w_step[1] = c.w[2];
  way.in_area = int(kernel_conv_area(forward ? c.x : c.y)), way.out_area = int(kernel_conv_area(forward ? c.y : c.x));
  way.columns = way.N, way.phases = 1;
  for (int a = 0; a < 3; a++) {
    conv_axis &to = way.axis[a];
    const int divisor = conv_divisor(c.stride[a], c.dilation[a]);
    to.in = forward ? c.x[a] : c.y[a], to.out = forward ? c.y[a] : c.x[a];
    to.step = forward ? c.stride[a] : 1, to.every = forward ? 1 : c.stride[a];
    to.phases = lesser(to.every, to.out);
    to.filter = c.w[a], to.dilation = c.dilation[a], to.pad = c.pad[a];
    to.spacing = c.stride[a] / divisor, to.advance = c.dilation[a] / divisor;
    to.forward = forward, to.flip = c.flip != 0;
    way.columns *= (to.out + to.every - 1) / to.every;
    way.phases *= to.phases;
  }
  return way;
}

// The three axes' parts of phase `number`.
struct conv_phases {
  conv_phase axis[3];
  __device__ conv_phases(const conv_way &way, int number) {
#pragma unroll
    for (int a = 2; a >= 0; a--) axis[a] = way.axis[a].phase(number % way.axis[a].phases), number /= way.axis[a].phases;
  }
  __device__ int taps() const { return axis[0].taps * axis[1].taps * axis[2].taps; }
};

// A column of the product: an image and a position of the phase; where on the input tap 0 lies, and where it is put.
struct conv_column {
  int n; // -1: there is no such column
  int at[3], to;
  conv_column() = default;
  __device__ conv_column(const conv_way &way, const conv_phases &p, int column) {
    int to_axis[3];
#pragma unroll
    for (int a = 2; a >= 0; a--) {
      const int count = p.axis[a].count, i = column % count;
      at[a] = i * way.axis[a].step + p.axis[a].offset;
      to_axis[a] = p.axis[a].first + i * way.axis[a].every;
      column /= count;
    }
    n = column < way.N ? column : -1;
    to = (to_axis[0] * way.axis[1].out + to_axis[1]) * way.axis[2].out + to_axis[2];
  }
};

// A tap of all axes: its weight's place in a filter, its offset from a column's.
struct conv_tap {
  int r, offset[3];
  __device__ conv_tap(const conv_way &way, const conv_phases &p, int number) {
    int place[3];
#pragma unroll
    for (int a = 2; a >= 0; a--) {
      const int t = number % p.axis[a].taps;
      number /= p.axis[a].taps;
      offset[a] = t * p.axis[a].advance;
      place[a] = p.axis[a].r + t * p.axis[a].r_step;
    }
    r = place[0] * way.w_step[0] + place[1] * way.w_step[1] + place[2];
  }
  // Where in a plane it is for this column; -1 outside.
  __device__ int seen(const conv_way &way, const conv_column &column) const {
    int i[3];
    bool inside = column.n >= 0;
#pragma unroll
    for (int a = 0; a < 3; a++) i[a] = column.at[a] + offset[a], inside &= i[a] >= 0 && i[a] < way.axis[a].in;
    return inside ? (i[0] * way.axis[1].in + i[1]) * way.axis[2].in + i[2] : -1;
  }
};

// As kernel_conv_after says.
template <class T> struct conv_after {
  const T *bias, *gate;
  int64_t relu;
  conv_after(const kernel_conv_after &after)
      : bias(static_cast<const T *>(after.bias)), gate(static_cast<const T *>(after.gate)), relu(after.relu) {}
  __device__ float bias_of(int channel) const { return bias ? to_f32(bias[channel]) : 0; }
  // `sum`: with its bias; `at`: where in the output.
  __device__ T result(float sum, int64_t at) const {
    if (relu && sum <= 0) sum = 0; // NaN passes
    if (gate && !(to_f32(gate[at]) > 0)) sum = 0;
    return as<T>(sum);
  }
};

// ---- Sums in parts ------------------------------------------------------------------------------------------------

// Into how many parts a sum of n places is split where there are `blocks` sums: so many that all multiprocessors have
// work, and none of less than `least` places.
inline int conv_parts(int64_t n, int64_t blocks, int64_t least, int multiprocessors) {
  const int64_t wanted = (4 * int64_t(multiprocessors) + blocks - 1) / blocks, most = n / least;
  const int64_t parts = lesser(wanted, lesser(most, int64_t(64)));
  return int(parts < 1 ? 1 : parts);
}

// part: f32 [parts, n]; sum [n], in the order of the parts.
template <class T> __global__ void conv_add_parts(int64_t n, int parts, const float *part, T *sum) {
  for (int64_t i = first_of_grid(); i < n; i += size_of_grid()) {
    float total = 0;
    for (int p = 0; p < parts; p++) total += part[p * n + i];
    sum[i] = as<T>(total);
  }
}

// Of COUNT values of each of THREADS threads, all of which call it: thread i < COUNT gets the sum of number i.
template <int THREADS, int COUNT> __device__ float conv_reduce(const float (&value)[COUNT]) {
  static_assert(COUNT <= 32 && THREADS % 32 == 0, "a warp adds what the warps have added");
  SHARED(of_warp, float[THREADS / 32][COUNT]);
#pragma unroll
  for (int i = 0; i < COUNT; i++) {
    const float sum = reduce_warp(value[i], add{});
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32][i] = sum;
  }
  __syncthreads();
  float sum = 0;
  if (threadIdx.x < COUNT)
    for (int warp = 0; warp < THREADS / 32; warp++) sum += of_warp[warp][threadIdx.x];
  return sum;
}
