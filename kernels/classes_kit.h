// Kernels of class scores: every example's row of C scores, at steps of S, is shared by a team of threads.
//
//   team      a row's threads x a block's rows   good for
//   single    1 x 256                            few classes; many positions behind the class axis, which lie side by side
//   warp      32 x 8                             rows of up to 1024 scores that lie side by side
//   column    8 x 32                             positions behind the class axis, but few examples and many classes
//   block     256 x 1                            long rows that lie side by side
//
// All blocks have 256 threads, which call a team's reduce together.
#pragma once

#include <cfloat>

#include "array_kit.h"
#include "classes.h"

// ---- Teams ----------------------------------------------------------------------------------------------------------

struct single_team {
  static constexpr int lanes = 1, rows = 256;
  __device__ static int lane() { return 0; }
  __device__ static int row() { return int(threadIdx.x); }
  template <class A, class Op> __device__ static A reduce(A value, A, Op) { return value; }
};

struct warp_team {
  static constexpr int lanes = 32, rows = 8;
  __device__ static int lane() { return int(threadIdx.x % 32); }
  __device__ static int row() { return int(threadIdx.x / 32); }
  template <class A, class Op> __device__ static A reduce(A value, A, Op op) { return reduce_warp(value, op); }
};

struct column_team {
  static constexpr int lanes = 8, rows = 32;
  __device__ static int lane() { return int(threadIdx.x / 32); }
  __device__ static int row() { return int(threadIdx.x % 32); }
  template <class A, class Op> __device__ static A reduce(A value, A, Op op) {
    SHARED(of_lane, A[8][32]);
    __syncthreads(); // the last use of of_lane is over
    of_lane[lane()][row()] = value;
    __syncthreads();
    value = of_lane[0][row()];
#pragma unroll
    for (int k = 1; k < lanes; k++) value = op(value, of_lane[k][row()]);
    return value;
  }
};

struct block_team {
  static constexpr int lanes = 256, rows = 1;
  __device__ static int lane() { return int(threadIdx.x); }
  __device__ static int row() { return 0; }
  template <class A, class Op> __device__ static A reduce(A value, A identity, Op op) {
    return reduce_block<lanes>(value, identity, op);
  }
};

// Calls f with the team that suits the scores.
template <class F> int by_team(const kernel_classes &k, F f) {
  if (k.C <= 16 || (k.S > 1 && k.M >= scaled(65536, 200))) return f(single_team{});
  if (k.S > 1) return f(column_team{});
  return k.C <= scaled(1024, 100) ? f(warp_team{}) : f(block_team{});
}

// Blocks for the team's rows. Each may leave a number behind for a last block to add up.
constexpr int most_blocks = 2048;
template <class Team> inline unsigned team_blocks(const kernel_classes &k) {
  return grid_of((k.M + Team::rows - 1) / Team::rows, most_blocks).x;
}
// for (int64_t m0 = first_row<Team>(); m0 < k.M; m0 += row_step<Team>()) { m = m0 + Team::row(), which may be M or more }
template <class Team> __device__ __forceinline__ int64_t first_row() { return int64_t(blockIdx.x) * Team::rows; }
template <class Team> __device__ __forceinline__ int64_t row_step() { return int64_t(gridDim.x) * Team::rows; }

// ---- Rows -----------------------------------------------------------------------------------------------------------

// Example m's classes. Past the last example there are none.
struct row {
  int64_t first, C, S;
  bool quads; // the row lies on_quads and has a multiple of four scores side by side
  __device__ row(const kernel_classes &k, int64_t m, bool quads)
      : first(k.S == 1 ? m * k.C : m / k.S * k.C * k.S + m % k.S), C(m < k.M ? k.C : 0), S(k.S), quads(quads) {}
  __device__ int64_t at(int64_t c) const { return first + c * S; }
};

// Can rows of these arrays be read in quads?
template <class... A> inline bool rows_on_quads(const kernel_classes &k, const A &...a) {
  return k.S == 1 && k.C % 4 == 0 && on_quads(a...);
}

// Calls f(c, x[c]) for this thread's share of the row's classes.
template <class Team, class F> __device__ __forceinline__ void each_class(const row &r, const kernel_array &x, F f) {
  if (r.quads) {
    for (int64_t c = 4 * Team::lane(); c < r.C; c += 4 * Team::lanes) {
      const four v = get_four(x, r.first + c);
#pragma unroll
      for (int j = 0; j < 4; j++) f(c + j, v.v[j]);
    }
  } else {
    for (int64_t c = Team::lane(); c < r.C; c += Team::lanes) f(c, get(x, r.at(c)));
  }
}

// y[c] = f(c, x[c]) for them; y may be x.
template <class Team, class F>
__device__ __forceinline__ void map_classes(const row &r, const kernel_array &x, const kernel_array &y, F f) {
  if (r.quads) {
    for (int64_t c = 4 * Team::lane(); c < r.C; c += 4 * Team::lanes) {
      four v = get_four(x, r.first + c);
#pragma unroll
      for (int j = 0; j < 4; j++) v.v[j] = f(c + j, v.v[j]);
      put_four(y, r.first + c, v);
    }
  } else {
    for (int64_t c = Team::lane(); c < r.C; c += Team::lanes) put(y, r.at(c), f(c, get(x, r.at(c))));
  }
}

// y[c] = f(c) for them.
template <class Team, class F> __device__ __forceinline__ void fill_classes(const row &r, const kernel_array &y, F f) {
  if (r.quads) {
    for (int64_t c = 4 * Team::lane(); c < r.C; c += 4 * Team::lanes)
      put_four(y, r.first + c, {{f(c), f(c + 1), f(c + 2), f(c + 3)}});
  } else {
    for (int64_t c = Team::lane(); c < r.C; c += Team::lanes) put(y, r.at(c), f(c));
  }
}

// ---- Softmax --------------------------------------------------------------------------------------------------------

// The largest score, and the sum of exp(x - max).
struct soft {
  float max, sum;
};

// One pass: a thread's sum is of exp(x - its largest so far), and is made smaller when a larger score comes, at the cost
// of a product's rounding errors each time, as random as the sum's own. A NaN, a +inf, or -inf for every class make the
// sum NaN or 0, so that exp(x - max) / sum is NaN; -FLT_MAX, unlike -inf, can be taken from -inf.
template <class Team> __device__ __forceinline__ soft soften(const row &r, const kernel_array &x) {
  float max = -FLT_MAX, sum = 0;
  each_class<Team>(r, x, [&](int64_t, float v) {
    if (v > max) {
      sum = sum * expf(max - v) + 1;
      max = v;
    } else {
      sum += expf(v - max);
    }
  });
  const float most = Team::reduce(max, -FLT_MAX, greatest{});
  return {most, Team::reduce(sum * expf(max - most), 0.0f, add{})};
}

// ---- Labels ---------------------------------------------------------------------------------------------------------

constexpr int64_t label_bad = -1, label_ignored = -2;

// The class of example m: label_bad where it is none, label_ignored where it is the one that doesn't count (INT64_MIN:
// there is none).
__device__ __forceinline__ int64_t label_of(const kernel_array &labels, int64_t m, int64_t C, int64_t ignore) {
  const int64_t label = get_integer(labels, m);
  if (label == ignore && ignore != INT64_MIN) return label_ignored;
  return label >= 0 && label < C ? label : label_bad;
}
