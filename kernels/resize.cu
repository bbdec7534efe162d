// Resizing by the nearest element or by linear interpolation.
//
//   kernel     good for   launch                      bytes    passes   bound by
//   forward    any size   a thread an element of y    x + y    1        memory
//   backward   any size   a thread an element of dx   dy + dx  1        memory
//
// Where an element comes from is a quotient of integers, so that nothing is rounded but its weights. backward gathers: the
// elements of y that took from one of x lie side by side along each axis, and the first is a quotient, too.
#include "resize.h"

#include "kit.h"

namespace {

// Element `low` and, where `high` isn't 0, the one after it.
struct tap {
  int at;
  float low, high; // weights
};

// Element o of y comes from (o * step + offset) / below of x.
struct axis {
  int in, out;
  int64_t step, offset, below;
  bool narrow; // 31 bits are enough
  divider by_below, by_step;

  axis() = default;
  axis(const kernel_resize &r, int a) : in(r.in[a]), out(r.out[a]), step(in), offset(0), below(out) {
    if (r.linear && r.align_corners) {
      step = out > 1 ? in - 1 : 0, below = out > 1 ? out - 1 : 1;
    } else if (r.linear) {
      step = 2 * int64_t(in), offset = int64_t(in) - out, below = 2 * int64_t(out);
    }
    narrow = (2 * int64_t(out) + 2) * (2 * int64_t(in) + 2) < int64_t(1) << 31;
    if (narrow) by_below = divider(below), by_step = divider(step > 0 ? step : 1);
  }

  __device__ int64_t quotient(int64_t n, int64_t by, const divider &narrow_by) const {
    return narrow ? narrow_by.quotient(uint32_t(n)) : n / by;
  }
  __device__ tap of(int o) const {
    int64_t above = o * step + offset;
    if (above < 0) above = 0;
    const int64_t low = quotient(above, below, by_below), rest = above - low * below;
    if (low >= in - 1 || rest == 0) return {low < in ? int(low) : in - 1, 1, 0};
    return {int(low), float(below - rest) / float(below), float(rest) / float(below)};
  }
  // The first element of y that comes from element i of x or one after it.
  __device__ int first(int i) const {
    const int64_t least = i * below - offset;
    if (i <= 0 || least <= 0) return 0;
    if (i >= in || step == 0) return out;
    const int64_t o = quotient(least + step - 1, step, by_step);
    return o < out ? int(o) : out;
  }
};

struct plan {
  axis a[3];
  uint32_t x_count, y_count;
  int x_plane, y_plane;
  divider by_x[3], by_y[3]; // [0]: a plane

  explicit plan(const kernel_resize &r) : x_plane(1), y_plane(1) {
    for (int i = 0; i < 3; i++) {
      a[i] = axis(r, i);
      x_plane *= r.in[i], y_plane *= r.out[i];
      by_x[i] = divider(r.in[i]), by_y[i] = divider(r.out[i]);
    }
    x_count = uint32_t(x_plane) * uint32_t(r.planes), y_count = uint32_t(y_plane) * uint32_t(r.planes);
    by_x[0] = divider(x_plane), by_y[0] = divider(y_plane);
  }
};

struct place {
  int plane, at[3];
  __device__ place(uint32_t i, const divider (&by)[3]) {
    plane = int(by[0].quotient(i));
    i -= uint32_t(plane) * by[0].size;
    at[2] = int(by[2].take(i));
    at[1] = int(by[1].take(i));
    at[0] = int(i);
  }
};

template <class T, bool LINEAR> __global__ void forward(plan p, const T *x, T *y) {
  for (uint32_t i = uint32_t(first_of_grid()); i < p.y_count; i += uint32_t(size_of_grid())) {
    const place o(i, p.by_y);
    const T *plane = x + int64_t(o.plane) * p.x_plane;
    const tap d = p.a[0].of(o.at[0]), h = p.a[1].of(o.at[1]), w = p.a[2].of(o.at[2]);
    if (!LINEAR) {
      y[i] = plane[(d.at * p.a[1].in + h.at) * p.a[2].in + w.at];
      continue;
    }
    float sum = 0;
    for (int j = 0; j < (d.high > 0 ? 2 : 1); j++)
      for (int k = 0; k < (h.high > 0 ? 2 : 1); k++) {
        const T *row = plane + ((d.at + j) * p.a[1].in + h.at + k) * p.a[2].in + w.at;
        float v = w.low * to_f32(row[0]);
        if (w.high > 0) v += w.high * to_f32(row[1]);
        sum += (j ? d.high : d.low) * (k ? h.high : h.low) * v;
      }
    y[i] = as<T>(sum);
  }
}

// The weight of element i in what element o is made of.
template <bool LINEAR> __device__ float part(const axis &a, int o, int i) {
  if (!LINEAR) return 1;
  const tap t = a.of(o);
  return t.at == i ? t.low : t.high;
}

template <class T, bool LINEAR> __global__ void backward(plan p, const T *dy, T *dx) {
  for (uint32_t n = uint32_t(first_of_grid()); n < p.x_count; n += uint32_t(size_of_grid())) {
    const place i(n, p.by_x);
    const T *plane = dy + int64_t(i.plane) * p.y_plane;
    int begin[3], end[3];
#pragma unroll
    for (int a = 0; a < 3; a++) begin[a] = p.a[a].first(i.at[a] - LINEAR), end[a] = p.a[a].first(i.at[a] + 1);
    float sum = 0;
    for (int d = begin[0]; d < end[0]; d++) {
      const float of_d = part<LINEAR>(p.a[0], d, i.at[0]);
      for (int h = begin[1]; h < end[1] && of_d > 0; h++) {
        const float of_h = of_d * part<LINEAR>(p.a[1], h, i.at[1]);
        const T *row = plane + (d * p.a[1].out + h) * p.a[2].out;
        for (int w = begin[2]; w < end[2] && of_h > 0; w++) {
          const float weight = of_h * part<LINEAR>(p.a[2], w, i.at[2]);
          if (weight > 0) sum += weight * to_f32(row[w]);
        }
      }
    }
    dx[n] = as<T>(sum);
  }
}

// Calls f with whether it is linear as a constant.
template <class F> int by_mode(const kernel_resize &r, F f) {
  return r.linear ? f(std::true_type{}) : f(std::false_type{});
}

} // namespace

int kernel_resize_forward(const kernel_resize *r, const void *x, void *y, kernel_stream stream) {
  const plan p(*r);
  return by_type(r->type, [&](auto element) {
    using T = decltype(element);
    return by_mode(*r, [&](auto linear) {
      return LAUNCH((forward<T, linear>), blocks_for(p.y_count), dim3(block_size), 0, stream, p,
                    static_cast<const T *>(x), static_cast<T *>(y));
    });
  });
}

int kernel_resize_backward(const kernel_resize *r, const void *dy, void *dx, kernel_stream stream) {
  const plan p(*r);
  return by_type(r->type, [&](auto element) {
    using T = decltype(element);
    return by_mode(*r, [&](auto linear) {
      return LAUNCH((backward<T, linear>), blocks_for(p.x_count), dim3(block_size), 0, stream, p,
                    static_cast<const T *>(dy), static_cast<T *>(dx));
    });
  });
}
