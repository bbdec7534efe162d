// Softmax and log-softmax along an axis, which is the class axis of classes_kit.h.
//
//   kernel     good for            launch                                     bytes an element            passes   bound by
//   forward    any axis, by team   256 threads, up to 2048 blocks that        x, y, x from cache          2        memory
//                                  step over rows
//   backward   any axis, by team   as forward                                 y, dy, dx, y and dy from    2        memory
//                                                                             cache
#include "softmax.h"

#include "classes_kit.h"

namespace {

template <class Team>
__global__ void forward(kernel_classes k, bool logarithm, kernel_array x, kernel_array y, bool quads) {
  for (int64_t m0 = first_row<Team>(); m0 < k.M; m0 += row_step<Team>()) {
    const row r(k, m0 + Team::row(), quads);
    const soft s = soften<Team>(r, x);
    const float by = logarithm ? logf(s.sum) : 1 / s.sum;
    map_classes<Team>(r, x, y, [&](int64_t, float v) { return logarithm ? v - s.max - by : expf(v - s.max) * by; });
  }
}

// A row's sum of y dy, or of dy.
template <class Team>
__global__ void backward(kernel_classes k, bool logarithm, kernel_array y, kernel_array dy, kernel_array dx,
                         bool quads) {
  for (int64_t m0 = first_row<Team>(); m0 < k.M; m0 += row_step<Team>()) {
    const row r(k, m0 + Team::row(), quads);
    float sum = 0;
    each_class<Team>(r, dy, [&](int64_t c, float d) { sum += logarithm ? d : d * get(y, r.at(c)); });
    sum = Team::reduce(sum, 0.0f, add{});
    map_classes<Team>(r, dy, dx, [&](int64_t c, float d) {
      const float v = get(y, r.at(c));
      return logarithm ? d - expf(v) * sum : v * (d - sum);
    });
  }
}

} // namespace

int kernel_softmax_forward(kernel_classes k, bool logarithm, kernel_array x, kernel_array y, kernel_stream stream) {
  return by_team(k, [&](auto team) {
    using Team = decltype(team);
    return LAUNCH(forward<Team>, dim3(team_blocks<Team>(k)), dim3(256), 0, stream, k, logarithm, x, y,
                  rows_on_quads(k, x, y));
  });
}

int kernel_softmax_backward(kernel_classes k, bool logarithm, kernel_array y, kernel_array dy, kernel_array dx,
                            kernel_stream stream) {
  return by_team(k, [&](auto team) {
    using Team = decltype(team);
    return LAUNCH(backward<Team>, dim3(team_blocks<Team>(k)), dim3(256), 0, stream, k, logarithm, y, dy, dx,
                  rows_on_quads(k, dy, dx));
  });
}
