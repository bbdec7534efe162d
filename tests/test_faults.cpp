// Proof of the verifier: engines with a planted fault, registered as any plug-in would, must each be caught by the
// generated cases; the same engines without the fault must never be accused.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "lamina/conv.h"
#include "lamina/dropout.h"
#include "lamina/engine.h"
#include "lamina/optimizer.h"
#include "lamina/pool.h"
#include "lamina/verify.h"

namespace {

enum Fault {
  NONE,
  DROPPED_PRODUCT,
  PAD_OFF_BY_ONE,
  UNWRITTEN_TAIL,
  SWAPPED_CHANNELS,
  WRONG_GROUP,
  NO_BIAS,
  NO_DILATION,
  NOT_FLIPPED,
  STALE_WORKSPACE,
  WORKSPACE_OVERRUN,
  OVERWRITTEN_INPUT,
  PAST_THE_END,
  BEFORE_THE_START,
  ONE_NAN,
  FLIPPED_BIT,
  ACCUMULATES,
  NOT_REPEATABLE,
  COARSE_SUMS,
  WRONG_TIE,
  PADDING_IS_ZERO,
  MISSED_IMAGE,
  IGNORED_STRIDE,
  WRITTEN_GAP,
  TRUNCATED,
  ROUNDED_TWICE,
  SHIFTED_MASK,
  STALE_MOMENTUM,
};

struct Planted {
  Fault fault;
  const char *op, *name;
  lamina_strides strides;
  lamina_status (*run)(const lamina_plan *, const lamina_args *, void *, lamina_stream *);
  size_t workspace; // bytes for each element of the output
};

const Planted &planted(const lamina_plan *plan) { return *static_cast<const Planted *>(plan->engine->user); }

template <class T> const T &attr(const lamina_plan *plan) { return *reinterpret_cast<const T *>(plan->problem.attr); }
const int64_t *dims(const lamina_plan *plan, int arg) { return plan->problem.arg[arg].dims; }
int64_t count(const lamina_plan *plan, int arg) { return lamina_desc_count(&plan->problem.arg[arg]); }
const float *in(const lamina_args *args, int arg) { return static_cast<const float *>(args->p[arg]); }
float *out(const lamina_args *args, int arg) { return static_cast<float *>(args->p[arg]); }

// Faults that any engine with a dense f32 output could have.
void spoil(Fault fault, const lamina_args *args, float *y, int64_t n, void *workspace, size_t workspace_size) {
  static int runs = 0;
  uint32_t bits;
  switch (fault) {
  case OVERWRITTEN_INPUT: out(args, 0)[0] += 1; break;
  case PAST_THE_END: y[n] = 0; break;
  case BEFORE_THE_START: y[-1] = 0; break;
  case ONE_NAN: y[n / 2] = std::numeric_limits<float>::quiet_NaN(); break;
  case FLIPPED_BIT:
    std::memcpy(&bits, &y[n - 1], sizeof bits);
    bits ^= 1;
    std::memcpy(&y[n - 1], &bits, sizeof bits);
    break;
  case NOT_REPEATABLE: // zeros of either sign: right each time, but not the same bits
    runs++;
    for (int64_t i = 0; i < n; i++)
      if (y[i] == 0) y[i] = runs % 2 ? 0.0f : -0.0f;
    break;
  case WORKSPACE_OVERRUN: static_cast<char *>(workspace)[workspace_size] = 0; break;
  default: break;
  }
}

// Convolution in two dimensions, in f32, dense.
lamina_status conv(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *) {
  const Fault fault = planted(plan).fault;
  const lamina_conv &c = attr<lamina_conv>(plan);
  const int64_t *xd = dims(plan, 0), *wd = dims(plan, 1), *yd = dims(plan, 3);
  const float *x = in(args, 0), *w = in(args, 1), *b = in(args, 2);
  float *y = out(args, 3), *sum = plan->workspace ? static_cast<float *>(workspace) : y;
  const int64_t Cg = wd[1], Kg = wd[0] / c.groups, K = wd[0], all = count(plan, 3);
  const int64_t dilation[2] = {fault == NO_DILATION ? 1 : c.dilation[0], fault == NO_DILATION ? 1 : c.dilation[1]};
  const int64_t pad = c.pad[0][0] + (fault == PAD_OFF_BY_ONE);
  int64_t index = 0;
  for (int64_t n = 0; n < yd[0]; n++)
    for (int64_t k = 0; k < K; k++)
      for (int64_t i = 0; i < yd[2]; i++)
        for (int64_t j = 0; j < yd[3]; j++, index++) {
          const int64_t group = fault == WRONG_GROUP ? 0 : k / Kg;
          if (fault != STALE_WORKSPACE && fault != ACCUMULATES) sum[index] = 0;
          const bool flip = c.flip && fault != NOT_FLIPPED;
          for (int64_t q = 0; q < Cg * wd[2] * wd[3] - (fault == DROPPED_PRODUCT); q++) {
            const int64_t ch = q / (wd[2] * wd[3]), r = q / wd[3] % wd[2], s = q % wd[3];
            const int64_t wr = flip ? wd[2] - 1 - r : r, ws = flip ? wd[3] - 1 - s : s;
            const int64_t h = i * c.stride[0] - pad + r * dilation[0];
            const int64_t v = j * c.stride[1] - c.pad[1][0] + s * dilation[1];
            if (h < 0 || h >= xd[2] || v < 0 || v >= xd[3]) continue;
            sum[index] += x[((n * xd[1] + group * Cg + ch) * xd[2] + h) * xd[3] + v] *
                          w[((k * Cg + ch) * wd[2] + wr) * wd[3] + ws];
          }
          if (b && fault != NO_BIAS) sum[index] += b[k];
        }
  const int64_t plane = yd[2] * yd[3];
  for (int64_t e = 0; e < all - (fault == UNWRITTEN_TAIL); e++) {
    const int64_t k = e / plane % K, other = fault == SWAPPED_CHANNELS && K > 1 && k < 2 ? e + (1 - 2 * k) * plane : e;
    y[e] = sum[other];
  }
  spoil(fault, args, y, all, workspace, plan->workspace);
  return LAMINA_OK;
}

lamina_status conv_bias(const lamina_plan *plan, const lamina_args *args, void *, lamina_stream *) {
  const int64_t *d = dims(plan, 0);
  const int64_t area = count(plan, 0) / (d[0] * d[1]);
  for (int64_t k = 0; k < d[1]; k++) {
    float sum = 0;
    for (int64_t n = planted(plan).fault == MISSED_IMAGE; n < d[0]; n++)
      for (int64_t o = 0; o < area; o++) sum += in(args, 0)[(n * d[1] + k) * area + o];
    out(args, 1)[k] = sum;
  }
  return LAMINA_OK;
}

lamina_status fc(const lamina_plan *plan, const lamina_args *args, void *, lamina_stream *) {
  const int64_t *xd = dims(plan, 0), *wd = dims(plan, 1);
  const Fault fault = planted(plan).fault;
  for (int64_t n = 0; n < xd[0]; n++)
    for (int64_t o = 0; o < wd[0]; o++) {
      float sum = in(args, 2) ? in(args, 2)[o] : 0;
      for (int64_t k = 0; k < xd[1] - (fault == DROPPED_PRODUCT && xd[1] > 1); k++) {
        sum += in(args, 0)[n * xd[1] + k] * in(args, 1)[o * xd[1] + k];
        if (fault == COARSE_SUMS) sum = static_cast<float>(lamina_round(LAMINA_BF16, static_cast<double>(sum)));
      }
      out(args, 3)[n * wd[0] + o] = sum;
    }
  spoil(fault, args, out(args, 3), count(plan, 3), nullptr, 0);
  return LAMINA_OK;
}

// One spatial axis; others are left to ref.
lamina_status max_pool(const lamina_plan *plan, const lamina_args *args, void *, lamina_stream *) {
  const Fault fault = planted(plan).fault;
  const lamina_pool &p = attr<lamina_pool>(plan);
  const int64_t *xd = dims(plan, 0), *yd = dims(plan, 1);
  for (int64_t row = 0; row < yd[0] * yd[1]; row++)
    for (int64_t o = 0; o < yd[2]; o++) {
      float most = -INFINITY;
      int32_t at = -1;
      for (int64_t r = 0; r < p.kernel[0]; r++) {
        const int64_t i = o * p.stride[0] - p.pad[0][0] + r * p.dilation[0];
        if (i < 0 || i >= xd[2]) {
          if (fault == PADDING_IS_ZERO && most < 0) most = 0;
          continue;
        }
        const float v = in(args, 0)[row * xd[2] + i];
        if (at < 0 || v > most || (fault == WRONG_TIE && v == most)) at = static_cast<int32_t>(i);
        most = std::max(most, v);
      }
      out(args, 1)[row * yd[2] + o] = most;
      if (args->p[2]) static_cast<int32_t *>(args->p[2])[row * yd[2] + o] = at;
    }
  return LAMINA_OK;
}

// Any strides.
lamina_status relu(const lamina_plan *plan, const lamina_args *args, void *, lamina_stream *) {
  const Fault fault = planted(plan).fault;
  const lamina_desc &x = plan->problem.arg[0], &y = plan->problem.arg[1];
  const int64_t n = count(plan, 1);
  for (int64_t i = 0; i < n; i++) {
    const int64_t from = fault == IGNORED_STRIDE && lamina_desc_bytes(&x) >= 4 * n && x.strides[x.rank - 1] >= 0
                             ? i
                             : lamina_desc_offset(&x, i);
    const float v = in(args, 0)[from];
    out(args, 1)[lamina_desc_offset(&y, i)] = v < 0 ? 0 : v;
  }
  if (fault == WRITTEN_GAP && lamina_desc_bytes(&y) > 4 * n)
    for (int64_t i = 0; i < lamina_desc_bytes(&y) / 4; i++)
      if (std::isnan(out(args, 1)[i])) out(args, 1)[i] = 0;
  return LAMINA_OK;
}

// f32 to bf16, and f64 to bf16.
lamina_status cast(const lamina_plan *plan, const lamina_args *args, void *, lamina_stream *) {
  const Fault fault = planted(plan).fault;
  const auto from = static_cast<lamina_dtype>(plan->problem.arg[0].dtype);
  for (int64_t i = 0; i < count(plan, 1); i++) {
    const double x = lamina_load(from, args->p[0], i);
    const float once = static_cast<float>(x);
    uint32_t bits;
    std::memcpy(&bits, &once, sizeof bits);
    const auto cut = static_cast<uint16_t>(bits >> 16);
    if (fault == TRUNCATED)
      std::memcpy(static_cast<char *>(args->p[1]) + 2 * i, &cut, 2);
    else // the first rounding makes a tie, which the second takes the wrong way
      lamina_store(LAMINA_BF16, args->p[1], i, fault == ROUNDED_TWICE ? lamina_round(LAMINA_F16, x) : x);
  }
  return LAMINA_OK;
}

lamina_status sgd(const lamina_plan *plan, const lamina_args *args, void *, lamina_stream *) {
  const lamina_sgd &s = attr<lamina_sgd>(plan);
  float *w = out(args, 0), *m = out(args, 2), *shadow = out(args, 7);
  const float rate = in(args, 3)[0], mu = static_cast<float>(s.momentum);
  for (int64_t i = 0; i < count(plan, 0); i++) {
    const float g = in(args, 1)[i], kept = m ? m[i] : 0, next = mu * kept + g;
    if (m && planted(plan).fault != STALE_MOMENTUM) m[i] = next;
    w[i] -= rate * (s.nesterov ? g + mu * next : next);
    if (shadow) shadow[i] = w[i];
  }
  return LAMINA_OK;
}

// The oracle's own pass with its second half of the seed changed: a mask of another element.
lamina_status dropout(const lamina_plan *plan, const lamina_args *args, void *, lamina_stream *) {
  lamina_args shifted = *args;
  int64_t rng[2];
  std::memcpy(rng, args->p[1], sizeof rng);
  rng[1] += planted(plan).fault == SHIFTED_MASK;
  shifted.p[1] = rng;
  return lamina_reference_run(&plan->problem, &shifted, nullptr, 1, nullptr);
}

bool fits(const Planted &p, const lamina_problem *problem) {
  const lamina_desc *a = problem->arg;
  const std::string op = p.op;
  for (int i = 0; i < LAMINA_MAX_ARGS && op != "cast/forward"; i++)
    if (lamina_dtype_is_floating(static_cast<lamina_dtype>(a[i].dtype)) && a[i].dtype != LAMINA_F32) return false;
  if (op == "conv/forward") return a[0].rank == 4;
  if (op == "max_pool/forward") return a[0].rank == 3;
  if (op == "sgd/update") return !a[4].dtype && !a[5].dtype;
  if (op == "cast/forward")
    return a[1].dtype == LAMINA_BF16 && lamina_dtype_is_floating(static_cast<lamina_dtype>(a[0].dtype));
  return true;
}

void candidates(lamina_device *, const lamina_problem *problem, const lamina_engine *engine, lamina_candidate_fn *each,
                void *context) {
  if (fits(*static_cast<const Planted *>(engine->user), problem))
    each(context, "", 1, "");
  else
    each(context, nullptr, 0, "the fault has no place here");
}

lamina_status prepare(lamina_plan *plan) {
  const lamina_op_def *op = plan->op;
  for (int i = 0; op->args[i].name; i++)
    if (op->args[i].role == LAMINA_OUT) plan->workspace = planted(plan).workspace * static_cast<size_t>(count(plan, i));
  return LAMINA_OK;
}

constexpr lamina_strides dense = LAMINA_STRIDES_DENSE, any = LAMINA_STRIDES_ANY;

const std::vector<Planted> faults = {
    {DROPPED_PRODUCT, "conv/forward", "dropped_product", dense, conv, 0},
    {PAD_OFF_BY_ONE, "conv/forward", "pad_off_by_one", dense, conv, 0},
    {UNWRITTEN_TAIL, "conv/forward", "unwritten_tail", dense, conv, 4},
    {SWAPPED_CHANNELS, "conv/forward", "swapped_channels", dense, conv, 4},
    {WRONG_GROUP, "conv/forward", "wrong_group", dense, conv, 0},
    {NO_BIAS, "conv/forward", "no_bias", dense, conv, 0},
    {NO_DILATION, "conv/forward", "no_dilation", dense, conv, 0},
    {NOT_FLIPPED, "conv/forward", "not_flipped", dense, conv, 0},
    {STALE_WORKSPACE, "conv/forward", "stale_workspace", dense, conv, 4},
#ifndef __SANITIZE_ADDRESS__ // AddressSanitizer stops these at once
    {WORKSPACE_OVERRUN, "conv/forward", "workspace_overrun", dense, conv, 64},
    {PAST_THE_END, "conv/forward", "past_the_end", dense, conv, 0},
    {BEFORE_THE_START, "conv/forward", "before_the_start", dense, conv, 0},
#endif
    {OVERWRITTEN_INPUT, "conv/forward", "overwritten_input", dense, conv, 0},
    {ONE_NAN, "conv/forward", "one_nan", dense, conv, 0},
    {ACCUMULATES, "conv/forward", "accumulates", dense, conv, 0},
    {NOT_REPEATABLE, "fc/forward", "not_repeatable", dense, fc, 0},
    {FLIPPED_BIT, "fc/forward", "flipped_bit", dense, fc, 0},
    {COARSE_SUMS, "fc/forward", "coarse_sums", dense, fc, 0},
    {DROPPED_PRODUCT, "fc/forward", "dropped_product", dense, fc, 0},
    {WRONG_TIE, "max_pool/forward", "wrong_tie", dense, max_pool, 0},
    {PADDING_IS_ZERO, "max_pool/forward", "padding_is_zero", dense, max_pool, 0},
    {MISSED_IMAGE, "conv/backward_bias", "missed_image", dense, conv_bias, 0},
    {IGNORED_STRIDE, "relu/forward", "ignored_stride", any, relu, 0},
    {WRITTEN_GAP, "relu/forward", "written_gap", any, relu, 0},
    {TRUNCATED, "cast/forward", "truncated", dense, cast, 0},
    {ROUNDED_TWICE, "cast/forward", "rounded_twice", dense, cast, 0},
    {SHIFTED_MASK, "dropout/forward", "shifted_mask", dense, dropout, 0},
    {STALE_MOMENTUM, "sgd/update", "stale_momentum", dense, sgd, 0},
};

// The engines of a list as rows, and a device that has them.
struct Bench {
  explicit Bench(const std::vector<Planted> &list) {
    EXPECT_EQ(lamina_device_open("cpu", nullptr, &device), LAMINA_OK) << lamina_last_error();
    rows.resize(list.size());
    names.resize(list.size());
    for (size_t i = 0; i < list.size(); i++) {
      names[i] = std::string("fault/") + list[i].name;
      rows[i] = {};
      rows[i].size = sizeof(lamina_engine);
      rows[i].abi = LAMINA_ENGINE_ABI;
      rows[i].device = "cpu";
      rows[i].name = names[i].c_str();
      rows[i].op = list[i].op;
      rows[i].user = const_cast<Planted *>(&list[i]);
      rows[i].strides = list[i].strides;
      rows[i].candidates = candidates;
      rows[i].prepare = prepare;
      rows[i].run = list[i].run;
      EXPECT_EQ(lamina_engine_register(device, &rows[i]), LAMINA_OK) << lamina_last_error();
    }
  }
  ~Bench() { lamina_device_close(device); }
  lamina_device *device = nullptr;
  std::vector<lamina_engine> rows;
  std::vector<std::string> names;
};

struct Tally {
  int runs[2] = {0, 0}, caught[2] = {0, 0}; // full, exact
  std::string first;                        // what was said when it was caught first
  bool any() const { return caught[0] + caught[1] > 0; }
};

// Verifies one engine on generated cases, in the type f32 and then in any.
void verify(const Bench &bench, size_t n, const char *op, uint64_t seed, int cases_of_a_type, Tally *tally) {
  for (const lamina_dtype dtype : {LAMINA_F32, LAMINA_NONE}) {
    lamina_cases *cases = nullptr;
    ASSERT_EQ(lamina_cases_open(lamina_op_find(op), dtype, seed, nullptr, &cases), LAMINA_OK) << lamina_last_error();
    for (int i = 0; i < cases_of_a_type; i++) {
      lamina_case c;
      ASSERT_EQ(lamina_cases_next(cases, &c), LAMINA_OK) << lamina_last_error();
      for (const bool exact : {false, true}) {
        c.exact = exact;
        if (exact && !lamina_case_can_be_exact(&c)) continue;
        lamina_verify_options options = {};
        options.engine = bench.names[n].c_str();
        lamina_verdict verdict;
        int count = 1;
        const lamina_status status = lamina_verify(bench.device, &c, &options, &verdict, &count);
        if (status == LAMINA_UNSUPPORTED || verdict.engine != bench.names[n]) continue; // nothing to do for it
        ASSERT_TRUE(status == LAMINA_OK || status == LAMINA_MISMATCH) << lamina_last_error();
        tally->runs[exact]++;
        if (status != LAMINA_MISMATCH) continue;
        if (!tally->any()) tally->first = lamina_last_error();
        tally->caught[exact]++;
        ASSERT_NE(std::string(verdict.repeat).find("lamina verify " + std::string(op) + " "), std::string::npos);
        ASSERT_NE(std::string(verdict.repeat).find(" --engine " + bench.names[n]), std::string::npos);
      }
    }
    lamina_cases_close(cases);
  }
}

TEST(Faults, EachIsCaught) {
  const Bench bench(faults);
  size_t caught = 0;
  std::printf("%-36s %12s %12s\n", "planted fault", "exact", "full");
  for (size_t n = 0; n < faults.size(); n++) {
    Tally tally;
    const bool rare = faults[n].fault == ROUNDED_TWICE; // shows in one number of 65536
    verify(bench, n, faults[n].op, 1, rare ? 160 : 48, &tally);
    if (HasFatalFailure()) return;
    std::printf("%-17s %-18s %5d of %3d %5d of %3d\n", faults[n].op, faults[n].name, tally.caught[1], tally.runs[1],
                tally.caught[0], tally.runs[0]);
    EXPECT_TRUE(tally.any()) << faults[n].op << ": " << faults[n].name << " went unnoticed in "
                             << tally.runs[0] + tally.runs[1] << " runs";
    caught += tally.any();
  }
  std::printf("planted faults: %zu of %zu caught\n", caught, faults.size());
  EXPECT_EQ(caught, faults.size());
}

// The same engines with nothing wrong, over many seeds.
TEST(Faults, ThereIsNoFalseAlarm) {
  std::vector<Planted> sound = faults;
  for (Planted &p : sound) p.fault = NONE;
  const Bench bench(sound);
  int runs = 0;
  for (size_t n = 0; n < sound.size(); n++) {
    bool before = false; // each routine once
    for (size_t m = 0; m < n; m++) before |= sound[m].run == sound[n].run && sound[m].workspace == sound[n].workspace;
    if (before) continue;
    for (uint64_t seed = 2; seed < 8; seed++) {
      Tally tally;
      verify(bench, n, sound[n].op, seed, 12, &tally);
      if (HasFatalFailure()) return;
      EXPECT_FALSE(tally.any()) << tally.first;
      runs += tally.runs[0] + tally.runs[1];
    }
  }
  std::printf("false alarms: 0 of %d runs\n", runs);
  EXPECT_GT(runs, 400);
}

} // namespace
