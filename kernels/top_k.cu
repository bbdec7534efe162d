// Top-k hits: a label's rank is counted, nothing is sorted.
//
//   kernel       good for              launch                                          bytes a score   passes   bound by
//   count_hits   any scores, by team   256 threads, up to 2048 blocks that step over   size of type    1        memory
//                                      rows
#include "top_k.h"

#include "classes_kit.h"
#include "loss_kit.h"

namespace {

static_assert(most_blocks <= KERNEL_LOSS_BLOCKS, "each leaves a partial behind");

// Before the label come larger scores, and as large ones of lower classes; no NaN comes before anything.
template <class Team>
__global__ void count_hits(kernel_classes k, int64_t top, kernel_array scores, kernel_array labels, kernel_array hits,
                           bool quads, partial *partials) {
  partial mine = {0, 0};
  for (int64_t m0 = first_row<Team>(); m0 < k.M; m0 += row_step<Team>()) {
    const int64_t m = m0 + Team::row();
    const row r(k, m, quads);
    const int64_t label = m < k.M ? label_of(labels, m, k.C, INT64_MIN) : label_bad;
    const float own = label >= 0 ? get(scores, r.at(label)) : NAN;
    int64_t rank = 0;
    each_class<Team>(r, scores, [&](int64_t c, float x) { rank += c < label ? x >= own : x > own; });
    rank = Team::reduce(rank, int64_t(0), add{});
    if (Team::lane() == 0) mine.sum += own == own && rank < top;
  }
  leave(mine, false, hits, partials);
}

} // namespace

int kernel_top_k(kernel_classes k, int64_t top, kernel_array scores, kernel_array labels, kernel_array hits,
                 void *workspace, kernel_stream stream) {
  return by_team(k, [&](auto team) {
    using Team = decltype(team);
    partial *partials = static_cast<partial *>(workspace);
    const unsigned blocks = team_blocks<Team>(k);
    const int error = LAUNCH(count_hits<Team>, dim3(blocks), dim3(256), 0, stream, k, top, scores, labels, hits,
                             rows_on_quads(k, scores), partials);
    return finish_loss(error, blocks, false, hits, partials, stream);
  });
}
