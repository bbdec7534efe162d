// Lp pooling.
//
//   kernel              good for                  launch                     bytes            passes   bound by
//   forward<TEAM=1>     windows of less than 32   a thread a window          x + y            1        memory, powers
//   forward<TEAM=32>    larger ones               a warp a window            x + y            1        memory, powers
//   forward<TEAM=256>   thousands of elements     a block a window           x + y            1        memory, powers
//   backward            any window                a thread an element of x   x + y + dy + x   1        memory, powers
//
// A window is read twice, the second time out of the cache: powers are taken of the elements over the largest magnitude,
// so that none overflows. A sum of magnitudes (power 1) takes none.
#include "lp_pool.h"

#include "pool_windows.h"

namespace {

__device__ __forceinline__ float raise(float x, float power) { return power == 2 ? x * x : powf(x, power); }
__device__ __forceinline__ float root(float x, float power) { return power == 2 ? sqrtf(x) : powf(x, 1 / power); }

template <int TEAM, class T, class F>
__device__ __forceinline__ void each(const pool_windows &w, const int (&o)[3], int rank, const T *x, F f) {
  if constexpr (TEAM == 1)
    each_of_window<0>(w, o, x, f);
  else
    each_of_team<TEAM>(w, o, rank, x, f);
}

template <class T, int TEAM> __global__ void forward(pool_windows w, float power, const T *x, T *y) {
  const uint32_t teams = gridDim.x * (block_size / TEAM), rank = threadIdx.x % TEAM;
  for (uint32_t o = uint32_t(first_of_grid()) / TEAM; o < w.y_count; o += teams) {
    const pool_place to = w.of_y(o);
    const T *plane = x + w.plane_of_x(to.plane);
    float most = 0, sum = 0;
    if (power != 1) {
      each<TEAM>(w, to.at, int(rank), plane, [&](float v, int) { most = greatest{}(fabsf(v), most); });
      most = pool_reduce<TEAM>(most, 0.0f, greatest{});
    }
    const bool whole = !(most > 0) || most == INFINITY; // the norm is 0, infinite or NaN, as `most` is
    each<TEAM>(w, to.at, int(rank), plane, [&](float v, int) {
      if (power == 1)
        sum += fabsf(v);
      else if (!whole)
        sum += raise(fabsf(v) / most, power);
    });
    sum = pool_reduce<TEAM>(sum, 0.0f, add{});
    if (rank == 0) y[o] = as<T>(power == 1 ? sum : whole ? most : most * root(sum, power));
  }
}

template <class T> __global__ void backward(pool_windows w, float power, const T *x, const T *y, const T *dy, T *dx) {
  for (uint32_t i = uint32_t(first_of_grid()); i < w.x_count; i += uint32_t(size_of_grid())) {
    const pool_place to = w.of_x(i);
    const int64_t plane = w.plane_of_y(to.plane);
    const pool_range r = w.over(to.at);
    const float v = to_f32(x[i]), sign = v < 0 ? -1 : v > 0 ? 1 : v;
    float sum = 0;
    for (int d = r.begin[0]; d < r.end[0]; d++)
      for (int h = r.begin[1]; h < r.end[1]; h++)
        for (int c = r.begin[2]; c < r.end[2]; c++) {
          const int64_t o = plane + w.index_y(d, h, c);
          const float norm = to_f32(y[o]), ratio = fabsf(v) / norm;
          const float share = power == 1 ? 1 : power == 2 ? ratio : powf(ratio, power - 1);
          if (!(norm == 0)) sum += sign * to_f32(dy[o]) * share;
        }
    dx[i] = as<T>(sum);
  }
}

} // namespace

int kernel_lp_pool_forward(const kernel_pool *p, float power, const void *x, void *y, kernel_stream stream) {
  const pool_windows w(*p);
  return by_type(p->type, [&](auto element) {
    using T = decltype(element);
    return by_team(*p, [&](auto team) {
      return LAUNCH((forward<T, team>), blocks_for(int64_t(w.y_count) * team), dim3(block_size), 0, stream, w, power,
                    static_cast<const T *>(x), static_cast<T *>(y));
    });
  });
}

int kernel_lp_pool_backward(const kernel_pool *p, float power, const void *x, const void *y, const void *dy, void *dx,
                            kernel_stream stream) {
  const pool_windows w(*p);
  return by_type(p->type, [&](auto element) {
    using T = decltype(element);
    return LAUNCH((backward<T>), blocks_for(w.x_count), dim3(block_size), 0, stream, w, power,
                  static_cast<const T *>(x), static_cast<const T *>(y), static_cast<const T *>(dy),
                  static_cast<T *>(dx));
  });
}
