// Windows over planes of three axes: which elements one has, and which of them cover an element. Only .cu files include it.
#pragma once

#include "kit.h"
#include "pool.h"

// A place in a plane.
struct pool_place {
  int plane, at[3];
};

// The part of a window that lies inside the input: from begin to before end, a dilation apart.
struct pool_range {
  int begin[3], end[3];
};

struct pool_windows {
  int x[3], y[3], kernel[3], stride[3], pad[3], dilation[3];
  int counted[3]; // where what counts in an average ends
  int x_plane, y_plane;
  uint32_t x_count, y_count;
  bool count_pad;
  divider by_x[3], by_y[3], by_stride[3]; // by_x[0]: a plane; by_x[1], by_x[2]: that many along the axis

  explicit pool_windows(const kernel_pool &p) : x_plane(1), y_plane(1), count_pad(p.count_pad) {
    for (int a = 0; a < 3; a++) {
      x[a] = p.x[a], y[a] = p.y[a], kernel[a] = p.kernel[a], stride[a] = p.stride[a], pad[a] = p.pad[a];
      dilation[a] = p.dilation[a];
      counted[a] = p.x[a] + (p.count_pad ? p.pad_after[a] : 0);
      x_plane *= x[a], y_plane *= y[a];
      by_x[a] = divider(x[a]), by_y[a] = divider(y[a]), by_stride[a] = divider(stride[a]);
    }
    x_count = uint32_t(x_plane) * uint32_t(p.planes), y_count = uint32_t(y_plane) * uint32_t(p.planes);
    by_x[0] = divider(x_plane), by_y[0] = divider(y_plane);
  }

  __device__ static pool_place split(uint32_t i, const divider (&by)[3]) {
    pool_place p;
    p.plane = int(by[0].quotient(i));
    i -= uint32_t(p.plane) * by[0].size;
    p.at[2] = int(by[2].take(i));
    p.at[1] = int(by[1].take(i));
    p.at[0] = int(i);
    return p;
  }
  __device__ pool_place of_x(uint32_t i) const { return split(i, by_x); }
  __device__ pool_place of_y(uint32_t o) const { return split(o, by_y); }

  __device__ int index_x(int d, int h, int w) const { return (d * x[1] + h) * x[2] + w; }
  __device__ int index_y(int d, int h, int w) const { return (d * y[1] + h) * y[2] + w; }

  // Where window o begins, padding included.
  __device__ int start(int a, int o) const { return o * stride[a] - pad[a]; }

  __device__ pool_range range(const int (&o)[3]) const {
    pool_range r;
#pragma unroll
    for (int a = 0; a < 3; a++) {
      const int first = start(a, o[a]), end = first + (kernel[a] - 1) * dilation[a] + 1;
      const int skipped = dilation[a] == 1 ? -first : (dilation[a] - 1 - first) / dilation[a] * dilation[a];
      r.begin[a] = first + max(skipped, 0);
      r.end[a] = lesser(end, x[a]);
    }
    return r;
  }

  // How many elements a window counts in an average.
  __device__ float count(const int (&o)[3]) const {
    float n = 1;
#pragma unroll
    for (int a = 0; a < 3; a++) {
      const int first = start(a, o[a]), end = first + kernel[a];
      n *= float(lesser(end, counted[a]) - (first < 0 && !count_pad ? 0 : first));
    }
    return n;
  }

  // The windows whose extent covers an element.
  __device__ pool_range over(const int (&i)[3]) const {
    pool_range r;
#pragma unroll
    for (int a = 0; a < 3; a++) {
      const int at = i[a] + pad[a], extent = (kernel[a] - 1) * dilation[a] + 1;
      const int end = int(by_stride[a].quotient(uint32_t(at))) + 1;
      r.begin[a] = at < extent ? 0 : int(by_stride[a].quotient(uint32_t(at - extent))) + 1;
      r.end[a] = lesser(end, y[a]);
    }
    return r;
  }

  // Is index i of the plane an element of window o, or none of the plane at all?
  __device__ bool expects(const int (&o)[3], int i) const {
    if (uint32_t(i) >= uint32_t(x_plane)) return true;
    uint32_t left = uint32_t(i);
    int at[3];
    at[2] = int(by_x[2].take(left)), at[1] = int(by_x[1].take(left)), at[0] = int(left);
    bool in = true;
#pragma unroll
    for (int a = 0; a < 3; a++) {
      const int far = at[a] - start(a, o[a]);
      in = in && far >= 0 && far <= (kernel[a] - 1) * dilation[a] && (dilation[a] == 1 || far % dilation[a] == 0);
    }
    return in;
  }

  __device__ int64_t plane_of_x(int plane) const { return int64_t(plane) * x_plane; }
  __device__ int64_t plane_of_y(int plane) const { return int64_t(plane) * y_plane; }
};

// Calls f(value, index in the plane) for each element of window o that is in the input, in row-major order; x is the
// plane. K: the window is 1 x K x K, and all of it is loaded before the first call; 0: any window.
template <int K, class T, class F>
__device__ __forceinline__ void each_of_window(const pool_windows &w, const int (&o)[3], const T *x, F f) {
  if constexpr (K > 0) {
    const int h0 = w.start(1, o[1]), w0 = w.start(2, o[2]), slice = w.start(0, o[0]) * w.x[1];
    float v[K][K];
#pragma unroll
    for (int i = 0; i < K; i++)
#pragma unroll
      for (int j = 0; j < K; j++) {
        const int h = h0 + i * w.dilation[1], c = w0 + j * w.dilation[2];
        const bool in = uint32_t(h) < uint32_t(w.x[1]) && uint32_t(c) < uint32_t(w.x[2]);
        v[i][j] = in ? to_f32(x[(slice + h) * w.x[2] + c]) : 0;
      }
#pragma unroll
    for (int i = 0; i < K; i++)
#pragma unroll
      for (int j = 0; j < K; j++) {
        const int h = h0 + i * w.dilation[1], c = w0 + j * w.dilation[2];
        if (uint32_t(h) < uint32_t(w.x[1]) && uint32_t(c) < uint32_t(w.x[2])) f(v[i][j], (slice + h) * w.x[2] + c);
      }
  } else {
    const pool_range r = w.range(o);
    for (int d = r.begin[0]; d < r.end[0]; d += w.dilation[0])
      for (int h = r.begin[1]; h < r.end[1]; h += w.dilation[1])
        for (int c = r.begin[2]; c < r.end[2]; c += w.dilation[2]) {
          const int i = w.index_x(d, h, c);
          f(to_f32(x[i]), i);
        }
  }
}

// The same for a team of TEAM threads, of which the calling one is `rank`: each gets every TEAM-th element.
template <int TEAM, class T, class F>
__device__ __forceinline__ void each_of_team(const pool_windows &w, const int (&o)[3], int rank, const T *x, F f) {
  const pool_range r = w.range(o);
  int n[3], at[3], step[3];
#pragma unroll
  for (int a = 0; a < 3; a++) n[a] = (r.end[a] - r.begin[a] + w.dilation[a] - 1) / w.dilation[a];
  at[2] = rank % n[2], at[1] = rank / n[2] % n[1], at[0] = rank / n[2] / n[1];
  step[2] = TEAM % n[2], step[1] = TEAM / n[2] % n[1], step[0] = TEAM / n[2] / n[1];
  while (at[0] < n[0]) {
    const int i = w.index_x(r.begin[0] + at[0] * w.dilation[0], r.begin[1] + at[1] * w.dilation[1],
                            r.begin[2] + at[2] * w.dilation[2]);
    f(to_f32(x[i]), i);
    at[0] += step[0], at[1] += step[1], at[2] += step[2];
    if (at[2] >= n[2]) at[2] -= n[2], at[1]++;
    if (at[1] >= n[1]) at[1] -= n[1], at[0]++;
  }
}

// ---- What comes of it -----------------------------------------------------------------------------------------------

// The first of the largest elements in row-major order; a NaN is the largest.
struct pool_extreme {
  float best = -INFINITY;
  int at = -1;

  __device__ void take(float v, int i) {
    if ((!(v <= best) || at < 0) && best == best) best = v, at = i;
  }
  // Grows with `best` and falls with `at`, for which -0 is 0.
  __device__ unsigned long long key() const {
    const uint32_t bits = __float_as_uint(best + 0.0f), order = bits >> 31 ? ~bits : bits | 0x80000000u;
    return at < 0 ? 0 : (unsigned long long)(best == best ? order : 0xffffffffu) << 32 | (0x7fffffffu - uint32_t(at));
  }
  __device__ static int place_of(unsigned long long key) { return int(0x7fffffffu - uint32_t(key)); }
};
struct pool_larger {
  __device__ unsigned long long operator()(unsigned long long a, unsigned long long b) const { return a > b ? a : b; }
};

// Of the values of a team of 1, 32 or 256 threads; each thread gets the result.
template <int TEAM, class A, class Op> __device__ __forceinline__ A pool_reduce(A value, A identity, Op op) {
  if constexpr (TEAM == 1)
    return value;
  else if constexpr (TEAM == 32)
    return reduce_warp(value, op);
  else
    return reduce_block<TEAM>(value, identity, op);
}

// ---- How a window is read -----------------------------------------------------------------------------------------

// A thread reads windows of less than some 32 elements: those of 2 x 2 and 3 x 3 at once. A warp reads larger ones, and
// a block those of thousands.
enum { pool_small = 32, pool_huge = 4096 };

// Calls f(K), a constant: 2 or 3 where windows are that square, else 0.
template <class F> int by_square(const kernel_pool &p, F f) {
  const bool square = p.kernel[0] == 1 && p.kernel[1] == p.kernel[2];
  if (square && p.kernel[1] == 2) return f(std::integral_constant<int, 2>{});
  if (square && p.kernel[1] == 3) return f(std::integral_constant<int, 3>{});
  return f(std::integral_constant<int, 0>{});
}

// Calls f(TEAM), a constant: how many threads suit a window.
template <class F> int by_team(const kernel_pool &p, F f) {
  const int64_t volume = int64_t(p.kernel[0]) * p.kernel[1] * p.kernel[2];
  if (volume >= pool_huge) return f(std::integral_constant<int, block_size>{});
  if (volume >= pool_small) return f(std::integral_constant<int, 32>{});
  return f(std::integral_constant<int, 1>{});
}
