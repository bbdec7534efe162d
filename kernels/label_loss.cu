// Losses of class scores against labels without a softmax, and one-hot labels.
//
//   kernel     good for              launch                        bytes a score             passes          bound by
//   forward    any scores, by team   256 threads, up to 2048       hinge: x; nll: a score    1               memory
//                                    blocks that step over rows    and a label a row
//   divisor    nll's mean where      256 threads, up to 256        a label each              1               latency
//              labels don't count    blocks
//              alike
//   backward   any scores, by team   as forward                    hinge: x, dx; nll: dx     hinge: 2, the   memory
//                                                                                            second cached
//   one_hot    any labels, by team   as forward                    y                         1               memory
//
// Whether a score lies on one side of the hinge's kink or on the other hangs on its last bit, so that is asked in f64.
#include "label_loss.h"

#include "classes_kit.h"
#include "loss_kit.h"

namespace {

static_assert(most_blocks <= KERNEL_LOSS_BLOCKS, "each leaves a partial behind");

__device__ __forceinline__ int64_t class_of(const kernel_label_loss &loss, int64_t m) {
  return m < loss.k.M ? label_of(loss.labels, m, loss.k.C, loss.ignore) : label_ignored;
}

__device__ __forceinline__ float weight_of(const kernel_label_loss &loss, int64_t label) {
  return loss.weights.data && label >= 0 ? get(loss.weights, label) : 1;
}

// What an example adds to the number that a mean divides by: the hinge's by 1, whatever the weights.
__device__ __forceinline__ float counts(const kernel_label_loss &loss, int64_t label) {
  return label == label_ignored ? 0 : loss.power ? 1 : weight_of(loss, label);
}

// Against the label's own score.
struct kink {
  double reach; // margin - own score
  bool square;
  __device__ float loss(float other) const {
    const double z = reach + double(other);
    return z <= 0 ? 0 : square ? float(z * z) : float(z);
  }
  __device__ float slope(float other) const {
    const double z = reach + double(other);
    return z <= 0 ? 0 : square ? float(2 * z) : z > 0 ? 1 : float(z); // NaN stays NaN
  }
};
__device__ __forceinline__ kink kink_of(const kernel_label_loss &loss, const row &r, int64_t label) {
  return {loss.margin - (label >= 0 ? double(get(loss.scores, r.at(label))) : 0), loss.power == 2};
}

template <class Team> __global__ void forward(kernel_label_loss loss, kernel_array y, bool quads, partial *partials) {
  partial mine = {0, 0};
  for (int64_t m0 = first_row<Team>(); m0 < loss.k.M; m0 += row_step<Team>()) {
    const int64_t m = m0 + Team::row(), label = class_of(loss, m);
    const row r(loss.k, m, quads);
    float l = 0;
    if (loss.power) {
      const kink at = kink_of(loss, r, label);
      each_class<Team>(r, loss.scores, [&](int64_t c, float x) { l += c == label ? 0 : at.loss(x); });
      l = Team::reduce(l, 0.0f, add{}) / float(loss.k.C);
    } else if (label >= 0) {
      l = -get(loss.scores, r.at(label));
    }
    l = label == label_bad ? NAN : label == label_ignored ? 0 : weight_of(loss, label) * l;
    if (Team::lane() != 0 || m >= loss.k.M) continue;
    if (loss.reduction == KERNEL_NONE) put(y, m, l);
    mine.sum += l;
    mine.by += counts(loss, label);
  }
  if (loss.reduction != KERNEL_NONE) leave(mine, loss.reduction == KERNEL_MEAN, y, partials);
}

// What nll's mean divides by, in shares.
__global__ void divisor(kernel_label_loss loss, double *shares) {
  double mine = 0;
  for (int64_t m = first_of_grid(); m < loss.k.M; m += size_of_grid()) mine += counts(loss, class_of(loss, m));
  mine = reduce_block<block_size>(mine, 0.0, add{});
  if (threadIdx.x == 0) shares[blockIdx.x] = mine;
}

// Up to 256 shares; without any the mean divides by `by`.
template <class Team>
__global__ void backward(kernel_label_loss loss, kernel_array dy, kernel_array dx, bool quads, float by,
                         unsigned shares, const double *share) {
  if (shares) by = float(reduce_block<256>(threadIdx.x < shares ? share[threadIdx.x] : 0.0, 0.0, add{}));
  for (int64_t m0 = first_row<Team>(); m0 < loss.k.M; m0 += row_step<Team>()) {
    const int64_t m = m0 + Team::row(), label = class_of(loss, m);
    const row r(loss.k, m, quads);
    float k = 0;
    if (m < loss.k.M) k = get(dy, loss.reduction == KERNEL_NONE ? m : 0) / by * weight_of(loss, label);
    if (loss.power) {
      const kink at = kink_of(loss, r, label);
      float sum = 0;
      each_class<Team>(r, loss.scores, [&](int64_t c, float x) { sum += c == label ? 0 : at.slope(x); });
      sum = Team::reduce(sum, 0.0f, add{});
      k /= float(loss.k.C);
      map_classes<Team>(r, loss.scores, dx, [&](int64_t c, float x) {
        return label == label_bad ? NAN : k * (c == label ? -sum : at.slope(x));
      });
    } else {
      fill_classes<Team>(r, dx, [&](int64_t c) { return label == label_bad ? NAN : c == label ? -k : 0; });
    }
  }
}

template <class Team> __global__ void one_hot(kernel_classes k, kernel_array labels, kernel_array y, bool quads) {
  for (int64_t m0 = first_row<Team>(); m0 < k.M; m0 += row_step<Team>()) {
    const int64_t m = m0 + Team::row(), label = m < k.M ? get_integer(labels, m) : 0;
    fill_classes<Team>(row(k, m, quads), y, [&](int64_t c) { return c == label ? 1.0f : 0.0f; });
  }
}

} // namespace

int kernel_label_loss_forward(const kernel_label_loss *loss, kernel_array y, void *workspace, kernel_stream stream) {
  return by_team(loss->k, [&](auto team) {
    using Team = decltype(team);
    partial *partials = static_cast<partial *>(workspace);
    const unsigned blocks = team_blocks<Team>(loss->k);
    const int error = LAUNCH(forward<Team>, dim3(blocks), dim3(256), 0, stream, *loss, y,
                             rows_on_quads(loss->k, loss->scores), partials);
    if (loss->reduction == KERNEL_NONE) return error;
    return finish_loss(error, blocks, loss->reduction == KERNEL_MEAN, y, partials, stream);
  });
}

int kernel_label_loss_backward(const kernel_label_loss *loss, kernel_array dy, kernel_array dx, void *workspace,
                               kernel_stream stream) {
  const bool mean = loss->reduction == KERNEL_MEAN;
  double *share = static_cast<double *>(workspace);
  unsigned shares = 0;
  if (mean && !loss->power && (loss->weights.data || loss->ignore != INT64_MIN)) {
    const dim3 blocks = blocks_for(loss->k.M);
    shares = lesser(blocks.x, 256u);
    const int error = LAUNCH(divisor, dim3(shares), dim3(block_size), 0, stream, *loss, share);
    if (error) return error;
  }
  return by_team(loss->k, [&](auto team) {
    using Team = decltype(team);
    return LAUNCH(backward<Team>, dim3(team_blocks<Team>(loss->k)), dim3(256), 0, stream, *loss, dy, dx,
                  rows_on_quads(loss->k, loss->scores, dx), mean ? float(loss->k.M) : 1.0f, shares, share);
  });
}

int kernel_one_hot(kernel_classes k, kernel_array labels, kernel_array y, kernel_stream stream) {
  return by_team(k, [&](auto team) {
    using Team = decltype(team);
    return LAUNCH(one_hot<Team>, dim3(team_blocks<Team>(k)), dim3(256), 0, stream, k, labels, y, rows_on_quads(k, y));
  });
}
