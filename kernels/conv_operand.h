// Convolution as a matrix product: its operands, made on the way from the tensors to shared memory (gemm_operand.h says
// what an operand is), and where the sums go. The matrix of pixels, im2col, never is whole.
//
//              m             n                        k
//   way        channel out   image x position         channel in x tap, as the filter has them in memory
//   weights    filter        channel in x tap         image x position
//
// Tensors have less than 2^31 elements here.
#pragma once

#include "conv_kit.h"
#include "gemm_operand.h"

// ---- The way from one side to the other ----------------------------------------------------------------------------

// The input: chunks are neighbouring columns, each an image and a position.
template <class T> struct conv_columns {
  using type = T;
  static constexpr bool along_k = false, rare = false;
  static constexpr int width = 4; // of a chunk: it keeps as many cursors
  const T *in;                    // the group's first plane
  const conv_way &way;
  const conv_phases &phase;
  int depth;
  divider taps, last_taps, middle_taps;

  __device__ conv_columns(const conv_way &way, const conv_phases &phase, const T *in, int g)
      : in(in + int64_t(g) * way.C * way.in_area), way(way), phase(phase), depth(way.C * phase.taps()) {
    if (depth == 0) return; // then nothing is asked for
    taps = divider(phase.taps());
    last_taps = divider(phase.axis[2].taps);
    middle_taps = divider(phase.axis[1].taps);
  }

  struct cursor {
    int at[width][3], from[width];
  };
  __device__ cursor at(int outer, int) const {
    cursor c;
#pragma unroll
    for (int i = 0; i < width; i++) {
      const conv_column column(way, phase, outer + i);
#pragma unroll
      for (int a = 0; a < 3; a++) c.at[i][a] = column.n < 0 ? INT32_MIN : column.at[a];
      c.from[i] = column.n < 0 ? 0 : column.n * way.groups * way.C * way.in_area + place(column.at);
    }
    return c;
  }
  __device__ void advance(cursor &, int) const {}
  template <int N> __device__ bool whole(int) const { return false; }
  template <int N> __device__ void copy(const cursor &, int, int, T *) const {}
  template <int N> __device__ __forceinline__ void gather(const cursor &c, int k, int, T *to) const {
    static_assert(N <= width, "as many as a cursor has");
    const bool there = k < depth;
    uint32_t channel = k;
    uint32_t tap = taps.take(channel);
    const int o2 = int(last_taps.take(tap)) * phase.axis[2].advance;
    const int o1 = int(middle_taps.take(tap)) * phase.axis[1].advance;
    const int o[3] = {int(tap) * phase.axis[0].advance, o1, o2};
    const int offset = int(channel) * way.in_area + place(o);
    gather_elements<N, T>(to, [&](int i, bool &inside) {
      inside = there;
#pragma unroll
      for (int a = 0; a < 3; a++) inside &= uint32_t(c.at[i][a]) + uint32_t(o[a]) < uint32_t(way.axis[a].in);
      return in + (inside ? c.from[i] + offset : 0);
    });
  }

private:
  __device__ int place(const int (&i)[3]) const { return (i[0] * way.axis[1].in + i[1]) * way.axis[2].in + i[2]; }
};

// The output: sums of a column go to its image and position, in whole vectors where a row of the product is one of
// memory.
template <class T> struct conv_output {
  T *out;              // the group's first plane
  conv_after<T> after; // the group's
  const conv_way &way;
  const conv_phases &phase;
  bool vectors; // the addresses and the planes are multiples of 16 bytes, and there is one phase

  template <int W> __device__ void put(int m, int n, const float (&v)[W]) const {
    if (m >= way.M || n >= way.columns) return;
    const float add = after.bias_of(m);
    const int image = way.groups * way.M * way.out_area;
    if (vectors) {
      const int number = n / way.out_area, to = number * image + m * way.out_area + (n - number * way.out_area);
      gemm_run<T, W> run;
#pragma unroll
      for (int j = 0; j < W; j++) run.v[j] = as<T>(after.relu && v[j] + add <= 0 ? 0 : v[j] + add); // NaN passes
      if (after.gate) {
        const gemm_run<T, W> gate = *reinterpret_cast<const gemm_run<T, W> *>(after.gate + to);
#pragma unroll
        for (int j = 0; j < W; j++) run.v[j] = to_f32(gate.v[j]) > 0 ? run.v[j] : as<T>(0.0f);
      }
      *reinterpret_cast<gemm_run<T, W> *>(out + to) = run;
      return;
    }
#pragma unroll
    for (int j = 0; j < W; j++) {
      const conv_column column(way, phase, n + j);
      const int to = column.n * image + m * way.out_area + column.to;
      if (column.n >= 0) out[to] = after.result(v[j] + add, to);
    }
  }
};

// ---- The filter's gradient -----------------------------------------------------------------------------------------

// The sizes of a problem as this product sees them; C and K are a group's.
struct conv_gradient {
  int N, C, K, groups, positions, x_area, y_area,
      width; // width: entries of a filter
  int x[3], stride[3], filter[3], dilation[3], pad[3];
  bool flip,
      vectors; // vectors: y's address and planes are multiples of 16 bytes
  int y[3];
  divider of_plane, of_axis_1, of_axis_2; // y's
};

inline conv_gradient conv_gradient_of(const kernel_conv &c, const void *y) {
  conv_gradient s{};
  s.N = int(c.N), s.C = int(c.C / c.groups), s.K = int(c.K / c.groups), s.groups = int(c.groups);
  s.x_area = int(kernel_conv_area(c.x)), s.y_area = int(kernel_conv_area(c.y)), s.positions = s.N * s.y_area;
  s.width = s.C * int(kernel_conv_area(c.w)), s.flip = c.flip != 0;
  for (int a = 0; a < 3; a++) {
    s.x[a] = c.x[a], s.y[a] = c.y[a], s.stride[a] = c.stride[a];
    s.filter[a] = c.w[a], s.dilation[a] = c.dilation[a], s.pad[a] = c.pad[a];
  }
  s.vectors = on_vectors(y) && s.y_area % (c.type == KERNEL_F32 ? 4 : 8) == 0;
  s.of_plane = divider(s.y_area), s.of_axis_1 = divider(c.y[1]), s.of_axis_2 = divider(c.y[2]);
  return s;
}

// The gradient of y: chunks are neighbouring positions of a filter.
template <class T> struct conv_filters {
  using type = T;
  static constexpr bool along_k = true, rare = false;
  const T *y; // the group's first plane
  const conv_gradient &s;

  struct cursor {
    int plane;
  };
  __device__ cursor at(int outer, int) const { return {outer < s.K ? outer * s.y_area : 0}; }
  __device__ void advance(cursor &, int) const {}
  template <int N> __device__ bool whole(int end) const { return (N == 1 || s.vectors) && end <= s.positions; }
  template <int N> __device__ void copy(const cursor &c, int k, int, T *to) const {
    uint32_t images = k;
    const int o = int(s.of_plane.take(images));
    cp_async<N * sizeof(T)>(to, y + int(images) * s.groups * s.K * s.y_area + c.plane + o);
  }
  template <int N> __device__ void gather(const cursor &c, int k, int, T *to) const {
    uint32_t images = k;
    int o = int(s.of_plane.take(images)), n = int(images);
    const int image = s.groups * s.K * s.y_area;
    gather_elements<N, T>(to, [&](int i, bool &inside) {
      if (i > 0 && ++o == s.y_area) o = 0, n++;
      inside = k + i < s.positions;
      return y + (inside ? n * image + c.plane + o : 0);
    });
  }
};

// The input, as the taps of a channel see it: chunks are neighbouring positions of a tap.
template <class T> struct conv_taps {
  using type = T;
  static constexpr bool along_k = true, rare = false;
  const T *x; // the group's first plane
  const conv_gradient &s;

  struct cursor {
    int plane, offset[3]; // from a position's first place
  };
  __device__ cursor at(int outer, int) const {
    cursor c;
    int rest = outer < s.width ? outer : 0;
#pragma unroll
    for (int a = 2; a >= 0; a--) {
      const int r = rest % s.filter[a];
      c.offset[a] = (s.flip ? s.filter[a] - 1 - r : r) * s.dilation[a] - s.pad[a];
      rest /= s.filter[a];
    }
    c.plane = rest * s.x_area;
    return c;
  }
  __device__ void advance(cursor &, int) const {}
  template <int N> __device__ bool whole(int) const { return false; }
  template <int N> __device__ void copy(const cursor &, int, int, T *) const {}
  template <int N> __device__ __forceinline__ void gather(const cursor &c, int k, int, T *to) const {
    uint32_t images = k, place = s.of_plane.take(images);
    int n = int(images), o2 = int(s.of_axis_2.take(place)), o1 = int(s.of_axis_1.take(place)), o0 = int(place);
    gather_elements<N, T>(to, [&](int i, bool &inside) {
      if (i > 0 && ++o2 == s.y[2]) {
        o2 = 0;
        if (++o1 == s.y[1]) {
          o1 = 0;
          if (++o0 == s.y[0]) o0 = 0, n++;
        }
      }
      const int i0 = o0 * s.stride[0] + c.offset[0], i1 = o1 * s.stride[1] + c.offset[1],
                i2 = o2 * s.stride[2] + c.offset[2];
      inside = k + i < s.positions && uint32_t(i0) < uint32_t(s.x[0]) && uint32_t(i1) < uint32_t(s.x[1]) &&
               uint32_t(i2) < uint32_t(s.x[2]);
      return x + (inside ? n * s.groups * s.C * s.x_area + c.plane + (i0 * s.x[1] + i1) * s.x[2] + i2 : 0);
    });
  }
};

// w's gradient, or a part of the sum.
template <class T> struct conv_filter_output {
  T *w;        // the group's first filter
  float *part; // NULL: whole sums
  int K, width;
  template <int W> __device__ void put(int m, int n, const float (&v)[W]) const {
    if (m >= K) return;
#pragma unroll
    for (int j = 0; j < W; j++)
      if (n + j < width) {
        if (part)
          part[m * width + n + j] = v[j];
        else
          w[m * width + n + j] = as<T>(v[j]);
      }
  }
};
