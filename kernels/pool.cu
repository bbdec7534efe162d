// Pooling over windows: maxima, minima, averages and mixtures of both.
//
//   kernel              good for                      launch                     bytes       passes   bound by
//   forward<K=2, 3>     windows of 2 x 2 and 3 x 3    a thread a window          x + y + i   1        memory
//   forward<K=0>        others of less than 32        a thread a window          x + y + i   1        memory, latency
//   forward<TEAM=32>    larger ones                   a warp a window            x + y + i   1        memory
//   forward<TEAM=256>   thousands of elements         a block a window           x + y + i   1        memory
//   average_backward    any window                    a thread an element of x   y + x       1        memory
//
// Neighbouring threads have neighbouring windows (or elements of x) along the last axis; what windows share comes out of
// the L1 cache. Nothing is added up in an order that changes.
#include "pool.h"

#include "pool_windows.h"

namespace {

// A window for each team. sign: -1 for minima. least: 0 for a ReLU before, else -inf.
template <class T, int K, int TEAM, bool MAX, bool AVERAGE>
__global__ void forward(pool_windows w, float sign, float least, float share, const T *x, T *y, int32_t *indices) {
  const uint32_t teams = gridDim.x * (block_size / TEAM), rank = threadIdx.x % TEAM;
  for (uint32_t o = uint32_t(first_of_grid()) / TEAM; o < w.y_count; o += teams) {
    const pool_place to = w.of_y(o);
    const T *plane = x + w.plane_of_x(to.plane);
    pool_extreme most;
    float sum = 0;
    const auto raise = [&](float v) { return v <= least ? least : v; }; // NaN stays
    const auto take = [&](float v, int i) {
      if (MAX) most.take(raise(v) * sign, i);
      if (AVERAGE) sum += v;
    };
    if constexpr (TEAM == 1)
      each_of_window<K>(w, to.at, plane, take);
    else
      each_of_team<TEAM>(w, to.at, int(rank), plane, take);
    if (MAX && TEAM > 1) most.at = most.place_of(pool_reduce<TEAM>(most.key(), 0ull, pool_larger{}));
    if (AVERAGE) sum = pool_reduce<TEAM>(sum, 0.0f, add{});
    if (rank == 0) {
      const float max = !MAX ? 0 : TEAM > 1 ? raise(to_f32(plane[most.at])) : most.best * sign;
      const float average = AVERAGE ? sum / w.count(to.at) : 0;
      y[o] = as<T>(MAX && AVERAGE ? share * max + (1 - share) * average : MAX ? max : average);
      if (MAX && indices) indices[o] = most.at;
    }
  }
}

template <class T> __global__ void average_backward(pool_windows w, const T *dy, T *dx) {
  for (uint32_t i = uint32_t(first_of_grid()); i < w.x_count; i += uint32_t(size_of_grid())) {
    const pool_place to = w.of_x(i);
    const T *plane = dy + w.plane_of_y(to.plane);
    const pool_range r = w.over(to.at);
    float sum = 0;
    for (int d = r.begin[0]; d < r.end[0]; d++)
      for (int h = r.begin[1]; h < r.end[1]; h++)
        for (int c = r.begin[2]; c < r.end[2]; c++) sum += to_f32(plane[w.index_y(d, h, c)]) / w.count({d, h, c});
    dx[i] = as<T>(sum);
  }
}

template <bool MAX, bool AVERAGE>
int launch_forward(const kernel_pool &p, const void *x, void *y, int32_t *indices, cudaStream_t stream) {
  const pool_windows w(p);
  return by_type(p.type, [&](auto element) {
    using T = decltype(element);
    const auto launch = [&](auto k, auto team) {
      return LAUNCH((forward<T, k, team, MAX, AVERAGE>), blocks_for(int64_t(w.y_count) * team), dim3(block_size), 0,
                    stream, w, p.min ? -1.0f : 1.0f, p.relu ? 0.0f : -INFINITY, p.share, static_cast<const T *>(x),
                    static_cast<T *>(y), indices);
    };
    return by_team(p, [&](auto team) {
      if constexpr (team == 1)
        return by_square(p, [&](auto k) { return launch(k, team); });
      else
        return launch(std::integral_constant<int, 0>{}, team);
    });
  });
}

} // namespace

int kernel_pool_extreme(const kernel_pool *p, const void *x, void *y, int32_t *indices, kernel_stream stream) {
  return launch_forward<true, false>(*p, x, y, indices, stream);
}

int kernel_pool_average(const kernel_pool *p, const void *x, void *y, kernel_stream stream) {
  return launch_forward<false, true>(*p, x, y, nullptr, stream);
}

int kernel_pool_mixed(const kernel_pool *p, const void *x, void *y, int32_t *indices, kernel_stream stream) {
  return launch_forward<true, true>(*p, x, y, indices, stream);
}

int kernel_pool_average_backward(const kernel_pool *p, const void *dy, void *dx, kernel_stream stream) {
  const pool_windows w(*p);
  return by_type(p->type, [&](auto element) {
    using T = decltype(element);
    return LAUNCH((average_backward<T>), blocks_for(w.x_count), dim3(block_size), 0, stream, w,
                  static_cast<const T *>(dy), static_cast<T *>(dx));
  });
}
