// Stochastic pooling.
//
//   kernel                good for                      launch              bytes       passes   bound by
//   forward<K=2, 3>       windows of 2 x 2 and 3 x 3    a thread a window   x + y + i   1        memory
//   forward<K=0>          any window                    a thread a window   x + y + i   1        memory, latency
//   inference<TEAM=1>     windows of less than 32       a thread a window   x + y       1        memory
//   inference<TEAM=32>    larger ones                   a warp a window     x + y       1        memory
//   inference<TEAM=256>   thousands of elements         a block a window    x + y       1        memory
//
// Sums are in f64. What is drawn is defined by sums in row-major order, in which forward therefore adds them, so that it
// draws what every other device does; it reads a window twice, the second time out of the cache.
#include "stochastic_pool.h"

#include "philox.h"
#include "pool_windows.h"

namespace {

__device__ double weight(float x) { return x <= 0 ? 0 : double(x); } // NaN stays, and shows in the sum
__device__ bool is_drawable(double sum) { return sum > 0 && sum < double(INFINITY); }

// The maximum is taken where nothing can be drawn.
template <class T, int K>
__global__ void forward(pool_windows w, uint32_t random_stream, const T *x, const int64_t *rng, T *y,
                        int32_t *indices) {
  for (uint32_t o = uint32_t(first_of_grid()); o < w.y_count; o += uint32_t(size_of_grid())) {
    const pool_place to = w.of_y(o);
    const T *plane = x + w.plane_of_x(to.plane);
    double sum = 0, reached = 0;
    each_of_window<K>(w, to.at, plane, [&](float v, int) { sum += weight(v); });
    const double threshold =
        double(philox_unit(philox_word(uint64_t(rng[0]), o, random_stream, uint32_t(rng[1])))) * sum;
    pool_extreme most;
    int drawn = -1;
    each_of_window<K>(w, to.at, plane, [&](float v, int i) {
      most.take(v, i);
      reached += weight(v);
      if (drawn < 0 && reached > threshold) drawn = i;
    });
    if (drawn < 0 || !is_drawable(sum)) drawn = most.at;
    y[o] = plane[drawn];
    if (indices) indices[o] = drawn;
  }
}

template <class T, int TEAM> __global__ void inference(pool_windows w, const T *x, T *y) {
  const uint32_t teams = gridDim.x * (block_size / TEAM), rank = threadIdx.x % TEAM;
  for (uint32_t o = uint32_t(first_of_grid()) / TEAM; o < w.y_count; o += teams) {
    const pool_place to = w.of_y(o);
    const T *plane = x + w.plane_of_x(to.plane);
    double sum = 0, squares = 0;
    pool_extreme most;
    const auto take = [&](float v, int i) {
      const double share = weight(v);
      sum += share, squares += share * share;
      most.take(v, i);
    };
    if constexpr (TEAM == 1)
      each_of_window<0>(w, to.at, plane, take);
    else
      each_of_team<TEAM>(w, to.at, int(rank), plane, take);
    sum = pool_reduce<TEAM>(sum, 0.0, add{}), squares = pool_reduce<TEAM>(squares, 0.0, add{});
    if (TEAM > 1) most.at = most.place_of(pool_reduce<TEAM>(most.key(), 0ull, pool_larger{}));
    if (rank == 0) y[o] = is_drawable(sum) ? as<T>(float(squares / sum)) : plane[most.at];
  }
}

} // namespace

int kernel_stochastic_pool_forward(const kernel_pool *p, uint32_t random_stream, const void *x, const int64_t *rng,
                                   void *y, int32_t *indices, kernel_stream stream) {
  const pool_windows w(*p);
  return by_type(p->type, [&](auto element) {
    using T = decltype(element);
    return by_square(*p, [&](auto k) {
      return LAUNCH((forward<T, k>), blocks_for(w.y_count), dim3(block_size), 0, stream, w, random_stream,
                    static_cast<const T *>(x), rng, static_cast<T *>(y), indices);
    });
  });
}

int kernel_stochastic_pool_inference(const kernel_pool *p, const void *x, void *y, kernel_stream stream) {
  const pool_windows w(*p);
  return by_type(p->type, [&](auto element) {
    using T = decltype(element);
    return by_team(*p, [&](auto team) {
      return LAUNCH((inference<T, team>), blocks_for(int64_t(w.y_count) * team), dim3(block_size), 0, stream, w,
                    static_cast<const T *>(x), static_cast<T *>(y));
    });
  });
}
