// Softmax cross-entropy.
//
//   kernel     good for                launch                       bytes a score            passes          bound by
//   forward    any scores, by team     256 threads, up to 2048      x, x from cache, prob    2, 3 where f    memory
//                                      blocks that step over rows   (target)                 has many terms
//   divisor    a mean of labels that   256 threads, up to 256       a label each             1               latency
//              don't count alike       blocks
//   backward   any scores, by team     as forward                   prob, dx (target)        1, 2 where f    memory
//                                                                                            has many terms
//
// What is read again comes from the caches but in rows longer than those.
#include "cross_entropy.h"

#include "classes_kit.h"
#include "loss_kit.h"

namespace {

static_assert(most_blocks <= KERNEL_LOSS_BLOCKS, "each leaves a partial behind");

__device__ __forceinline__ float weight_of(const kernel_cross_entropy &loss, int64_t c) {
  return loss.weights.data ? get(loss.weights, c) : 1;
}

// f of class c in a row whose label is `label`.
__device__ __forceinline__ float factor_of(const kernel_cross_entropy &loss, const row &r, int64_t label, int64_t c) {
  const float t = loss.labels.data ? float(c == label) : get(loss.targets, r.at(c));
  return weight_of(loss, c) * (loss.keep * t + loss.share);
}

// The class of example m; 0 against targets, where every example counts.
__device__ __forceinline__ int64_t class_of(const kernel_cross_entropy &loss, int64_t m) {
  return loss.labels.data ? label_of(loss.labels, m, loss.k.C, loss.ignore) : 0;
}

// What an example adds to the number that a mean divides by.
__device__ __forceinline__ float counts(const kernel_cross_entropy &loss, int64_t label) {
  return label == label_ignored ? 0 : label < 0 || !loss.labels.data ? 1 : weight_of(loss, label);
}

// An example's loss, for all of its team.
template <class Team>
__device__ __forceinline__ float loss_of(const kernel_cross_entropy &loss, const row &r, const soft &s, int64_t label) {
  float f = 0, fd = 0; // the sums of the factors, and of factor * (x - max)
  if (loss.spread) {
    each_class<Team>(r, loss.scores, [&](int64_t c, float x) {
      const float by = factor_of(loss, r, label, c);
      f += by;
      fd += by == 0 ? 0 : by * (x - s.max);
    });
    f = Team::reduce(f, 0.0f, add{});
    fd = Team::reduce(fd, 0.0f, add{});
  } else if (label >= 0) {
    f = weight_of(loss, label);
    fd = f == 0 ? 0 : f * (get(loss.scores, r.at(label)) - s.max);
  }
  return label == label_bad ? NAN : label == label_ignored ? 0 : f * logf(s.sum) - fd;
}

template <class Team>
__global__ void forward(kernel_cross_entropy loss, kernel_array y, kernel_array prob, bool quads, partial *partials) {
  partial mine = {0, 0};
  for (int64_t m0 = first_row<Team>(); m0 < loss.k.M; m0 += row_step<Team>()) {
    const int64_t m = m0 + Team::row();
    const row r(loss.k, m, quads);
    const int64_t label = m < loss.k.M ? class_of(loss, m) : label_ignored;
    const soft s = soften<Team>(r, loss.scores);
    const float l = loss_of<Team>(loss, r, s, label);
    if (prob.data) {
      const float inverse = 1 / s.sum;
      map_classes<Team>(r, loss.scores, prob, [&](int64_t, float x) { return expf(x - s.max) * inverse; });
    }
    if (Team::lane() != 0 || m >= loss.k.M) continue;
    if (loss.reduction == KERNEL_NONE) put(y, m, l);
    mine.sum += l;
    mine.by += counts(loss, label);
  }
  if (loss.reduction != KERNEL_NONE) leave(mine, loss.reduction == KERNEL_MEAN, y, partials);
}

// What the mean divides by, in shares.
__global__ void divisor(kernel_cross_entropy loss, double *shares) {
  double mine = 0;
  for (int64_t m = first_of_grid(); m < loss.k.M; m += size_of_grid()) mine += counts(loss, class_of(loss, m));
  mine = reduce_block<block_size>(mine, 0.0, add{});
  if (threadIdx.x == 0) shares[blockIdx.x] = mine;
}

// Up to 256 shares; without any the mean divides by `by`.
template <class Team>
__global__ void backward(kernel_cross_entropy loss, kernel_array dy, kernel_array dx, bool quads, float by,
                         unsigned shares, const double *share) {
  if (shares) by = float(reduce_block<256>(threadIdx.x < shares ? share[threadIdx.x] : 0.0, 0.0, add{}));
  const bool sums = loss.spread && (loss.targets.data || loss.weights.data);
  for (int64_t m0 = first_row<Team>(); m0 < loss.k.M; m0 += row_step<Team>()) {
    const int64_t m = m0 + Team::row();
    const row r(loss.k, m, quads);
    const bool live = m < loss.k.M;
    const int64_t label = live ? class_of(loss, m) : label_ignored;
    float k = live ? get(dy, loss.reduction == KERNEL_NONE ? m : 0) / by : 0, f = 1;
    if (label == label_bad) k = NAN;
    if (sums) {
      f = 0;
      for (int64_t c = Team::lane(); c < r.C; c += Team::lanes) f += factor_of(loss, r, label, c);
      f = Team::reduce(f, 0.0f, add{});
    }
    if (!loss.spread && label >= 0) k *= weight_of(loss, label);
    map_classes<Team>(r, loss.scores, dx, [&](int64_t c, float p) {
      const float t = loss.spread ? factor_of(loss, r, label, c) : float(c == label);
      return label == label_ignored ? 0 : (p * f - t) * k;
    });
  }
}

} // namespace

int kernel_cross_entropy_forward(const kernel_cross_entropy *loss, kernel_array y, kernel_array prob, void *workspace,
                                 kernel_stream stream) {
  return by_team(loss->k, [&](auto team) {
    using Team = decltype(team);
    partial *partials = static_cast<partial *>(workspace);
    const unsigned blocks = team_blocks<Team>(loss->k);
    const int error = LAUNCH(forward<Team>, dim3(blocks), dim3(256), 0, stream, *loss, y, prob,
                             rows_on_quads(loss->k, loss->scores, prob), partials);
    if (loss->reduction == KERNEL_NONE) return error;
    return finish_loss(error, blocks, loss->reduction == KERNEL_MEAN, y, partials, stream);
  });
}

int kernel_cross_entropy_backward(const kernel_cross_entropy *loss, kernel_array dy, kernel_array dx, void *workspace,
                                  kernel_stream stream) {
  const bool mean = loss->reduction == KERNEL_MEAN;
  double *share = static_cast<double *>(workspace);
  unsigned shares = 0;
  if (mean && loss->labels.data && (loss->weights.data || loss->ignore != INT64_MIN)) {
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
