// Rows with parts: each is what its parts give one after the other, and lets NaN pass where they do.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

extern "C" {
#include "core/verify.h"
}
#include "lamina/lamina.h"
#include "on_device.h"

namespace {

std::vector<int> fused_ops() {
  std::vector<int> ops;
  for (int id = 0; lamina_op_at(id); id++)
    if (lamina_op_at(id)->parts) ops.push_back(id);
  return ops;
}

std::string name_of(const testing::TestParamInfo<int> &info) {
  std::string name = lamina_op_at(info.param)->name;
  name[name.find('/')] = '_';
  return name;
}

class Fused : public testing::TestWithParam<int> {
protected:
  const lamina_op_def *op = lamina_op_at(GetParam());

  // All arguments dense, those that are floating of f64.
  static bool make_dense(lamina_problem *p) {
    const lamina_op_def *row = lamina_op_at(p->op);
    p->aliased = 0;
    for (int i = 0; row->args[i].name; i++) {
      const lamina_dtype dtype = static_cast<lamina_dtype>(p->arg[i].dtype);
      if (dtype)
        p->arg[i] = lamina_dense(lamina_dtype_is_floating(dtype) ? LAMINA_F64 : dtype, p->arg[i].rank, p->arg[i].dims);
    }
    return lamina_problem_infer(p) == LAMINA_OK;
  }

  // What one part hands to the next: what a forward pass calls x, and a backward pass dy.
  const char *handed() const { return std::string(op->name).find("/backward") == std::string::npos ? "x" : "dy"; }
  static size_t count(const lamina_desc &desc) { return static_cast<size_t>(lamina_desc_count(&desc)); }
};

// A fused row's arguments are the inputs of its parts in their order, without what one hands to the next, then the last
// one's outputs; its attributes are those of the one part that has some. So a planner needs to know nothing else.
TEST_P(Fused, ArgumentsAreThoseOfItsParts) {
  int next = 0;
  for (int n = 0; op->parts[n]; n++) {
    const lamina_op_def *part = lamina_op_at(lamina_op_find(op->parts[n]));
    ASSERT_NE(part, nullptr) << op->parts[n];
    EXPECT_TRUE(part->attr_size == 0 || part->attr_size == op->attr_size) << op->parts[n];
    const bool last = !op->parts[n + 1];
    int outputs = 0;
    for (int i = 0; part->args[i].name; i++) {
      outputs += part->args[i].role != LAMINA_IN;
      if (part->args[i].role == LAMINA_IN ? n > 0 && std::string(part->args[i].name) == handed() : !last) continue;
      ASSERT_NE(op->args[next].name, nullptr) << op->parts[n];
      EXPECT_EQ(op->args[next].role, part->args[i].role) << op->args[next].name;
      EXPECT_EQ(op->args[next].optional, part->args[i].optional) << op->args[next].name;
      next++;
    }
    EXPECT_TRUE(last || outputs == 1) << op->parts[n];
  }
  EXPECT_EQ(op->args[next].name, nullptr);
}

// In f64 the references give the same bits, since nothing is rounded between.
TEST_P(Fused, IsItsPartsOneAfterTheOther) {
  lamina_cases *cases = nullptr;
  ASSERT_EQ(lamina_cases_open(GetParam(), LAMINA_F64, 3, nullptr, &cases), LAMINA_OK);
  int zeros = 0, others = 0;
  for (int number = 0; number < 30; number++) {
    lamina_case c;
    ASSERT_EQ(lamina_cases_next(cases, &c), LAMINA_OK) << lamina_last_error();
    lamina_problem whole = c.problem;
    if (!make_dense(&whole)) continue;
    // f64 is the widest type: as many doubles have room for any
    std::vector<std::vector<double>> data(LAMINA_MAX_ARGS), result(LAMINA_MAX_ARGS);
    std::vector<lamina_fill_def> fill(LAMINA_MAX_ARGS);
    lamina_args args = {};
    ASSERT_TRUE(op->fills(&whole, false, fill.data()));
    for (int i = 0; op->args[i].name; i++) {
      if (!whole.arg[i].dtype) continue;
      data[i].resize(count(whole.arg[i]) + 1), result[i].resize(data[i].size(), -99);
      args.p[i] = data[i].data();
      if (op->args[i].role == LAMINA_IN)
        lamina_fill_values(&whole.arg[i], data[i].data(), &fill[i], c.seed, static_cast<uint32_t>(i), 1);
    }
    ASSERT_EQ(lamina_reference_run(&whole, &args, nullptr, 1, nullptr), LAMINA_OK) << lamina_last_error();

    std::vector<double> link;
    lamina_desc shape = {};
    for (int n = 0, next = 0; op->parts[n]; n++) {
      lamina_problem part = {};
      lamina_args of_part = {};
      part.op = lamina_op_find(op->parts[n]);
      const lamina_op_def *row = lamina_op_at(part.op);
      const bool last = !op->parts[n + 1];
      if (row->attr_size) memcpy(part.attr, whole.attr, sizeof part.attr);
      int out = 0;
      for (int i = 0; row->args[i].name; i++) {
        if (row->args[i].role != LAMINA_IN && !last) {
          out = i;
          part.arg[i] = lamina_infer(LAMINA_F64);
        } else if (row->args[i].role == LAMINA_IN && n > 0 && std::string(row->args[i].name) == handed()) {
          part.arg[i] = shape, of_part.p[i] = link.data();
        } else {
          part.arg[i] = whole.arg[next];
          of_part.p[i] = last && row->args[i].role != LAMINA_IN ? result[next].data() : args.p[next];
          next++;
        }
      }
      if (!last && lamina_problem_infer(&part) != LAMINA_OK)
        part.arg[out] = whole.arg[next + 1]; // that of the last part
      ASSERT_EQ(lamina_problem_infer(&part), LAMINA_OK) << lamina_last_error();
      std::vector<double> handed_on;
      if (!last) handed_on.resize(count(part.arg[out]) + 1), of_part.p[out] = handed_on.data();
      ASSERT_EQ(lamina_reference_run(&part, &of_part, nullptr, 1, nullptr), LAMINA_OK) << lamina_last_error();
      if (!last) shape = part.arg[out], link.swap(handed_on);
    }
    for (int i = 0; op->args[i].name; i++) {
      if (op->args[i].role == LAMINA_IN || !whole.arg[i].dtype) continue;
      const lamina_dtype dtype = static_cast<lamina_dtype>(whole.arg[i].dtype);
      for (size_t e = 0; e < count(whole.arg[i]); e++) {
        const double wanted = lamina_load(dtype, result[i].data(), static_cast<int64_t>(e));
        ASSERT_EQ(lamina_load(dtype, data[i].data(), static_cast<int64_t>(e)), wanted)
            << op->name << ": " << op->args[i].name << " at " << e;
        (wanted != 0 ? others : zeros)++;
      }
    }
  }
  EXPECT_GT(zeros, 100);
  EXPECT_GT(others, 100);
  lamina_cases_close(cases);
}

INSTANTIATE_TEST_SUITE_P(All, Fused, testing::ValuesIn(fused_ops()), name_of);

// ---- NaN ---------------------------------------------------------------------------------------------------------

// Runs a case with chosen data on every engine and variant of a device, through its memory.
class Special : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(lamina_device_open(test_device(), nullptr, &device), LAMINA_OK) << lamina_last_error();
  }
  void TearDown() override { lamina_device_close(device); }

  // `data`: of the inputs in the row's order, f32. What each candidate gave, with its name.
  void run(const std::vector<const char *> &words, const std::vector<std::vector<float>> &data) {
    lamina_case c;
    ASSERT_EQ(lamina_case_parse(static_cast<int>(words.size()), words.data(), nullptr, &c), LAMINA_OK)
        << lamina_last_error();
    lamina_candidate list[64];
    int found = 64;
    ASSERT_EQ(lamina_candidates(device, &c.problem, nullptr, list, &found), LAMINA_OK) << lamina_last_error();
    results.clear(), names.clear();
    for (int n = 0; n < found; n++) {
      if (list[n].seconds < 0) continue;
      const std::string name = std::string(list[n].engine) + (*list[n].variant ? "/" : "") + list[n].variant;
      lamina_plan_options options = {};
      options.engine = name.c_str();
      lamina_plan *plan = nullptr;
      ASSERT_EQ(lamina_plan_open(device, &c.problem, &options, &plan), LAMINA_OK) << lamina_last_error();
      names.push_back(name);
      results.push_back(run_plan(plan, data));
      lamina_plan_close(plan);
    }
    ASSERT_FALSE(results.empty());
  }

  std::vector<float> run_plan(const lamina_plan *plan, const std::vector<std::vector<float>> &data) {
    const lamina_problem *p = lamina_plan_problem(plan);
    const lamina_op_def *op = lamina_op_at(p->op);
    lamina_args args = {};
    void *workspace = nullptr;
    std::vector<float> out;
    const auto size = [&](int i) { return static_cast<size_t>(lamina_desc_bytes(&p->arg[i])); };
    EXPECT_EQ(lamina_memory_alloc(device, lamina_plan_workspace(plan) + 64, &workspace), LAMINA_OK);
    for (int i = 0, next = 0; op->args[i].name; i++) {
      if (!p->arg[i].dtype) continue;
      EXPECT_EQ(lamina_memory_alloc(device, size(i), &args.p[i]), LAMINA_OK);
      if (op->args[i].role != LAMINA_IN) continue;
      EXPECT_EQ(lamina_copy(device, args.p[i], data[next++].data(), size(i), nullptr), LAMINA_OK);
    }
    EXPECT_EQ(lamina_plan_run(plan, &args, workspace, nullptr), LAMINA_OK) << lamina_last_error();
    for (int i = 0; op->args[i].name; i++) {
      if (!p->arg[i].dtype) continue;
      if (op->args[i].role != LAMINA_IN) {
        out.resize(size(i) / sizeof(float));
        EXPECT_EQ(lamina_copy(device, out.data(), args.p[i], size(i), nullptr), LAMINA_OK);
      }
      lamina_memory_free(device, args.p[i], size(i));
    }
    lamina_memory_free(device, workspace, lamina_plan_workspace(plan) + 64);
    return out;
  }

  lamina_device *device = nullptr;
  std::vector<std::vector<float>> results;
  std::vector<std::string> names;
};

const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();

// Element by element: NaN, both infinities, both signs, 0; 8 channels of w = 1, so that every kind of engine takes part.
TEST_F(Special, ReluLetsNanPass) {
  const std::vector<float> bias = {nan, inf, -inf, 3, -3, 0, -1, 2}, want = {nan, inf, 0, 4, 0, 1, 0, 3};
  const auto expect = [&](size_t area) {
    for (size_t n = 0; n < results.size(); n++)
      for (size_t i = 0; i < results[n].size(); i++) {
        const float got = results[n][i], wanted = want[i / area % 8];
        EXPECT_TRUE(std::isnan(wanted) ? std::isnan(got) : got == wanted) << names[n] << " at " << i << ": " << got;
      }
  };
  run({"fc_relu/forward", "x=2x1", "w=8x1", "b=8"}, {{1, 1}, std::vector<float>(8, 1), bias});
  expect(1);
  run({"conv_relu/forward", "x=2x1x4x4", "w=8x1x1x1", "b=8"},
      {std::vector<float>(32, 1), std::vector<float>(8, 1), bias});
  expect(16);
  std::vector<float> filter(72, 0); // 1 in the middle
  for (size_t k = 0; k < 8; k++) filter[k * 9 + 4] = 1;
  run({"conv_relu/forward", "x=2x1x4x4", "w=8x1x3x3", "b=8", "pad=1"}, {std::vector<float>(32, 1), filter, bias});
  expect(16);
}

// A gradient that is NaN passes where x is above 0, and nothing does elsewhere, also where x is NaN.
TEST_F(Special, GatesAreShutForNan) {
  std::vector<float> x(32), dy(32), filter(9, 0);
  for (size_t i = 0; i < 32; i++) {
    const float kinds[] = {nan, 0, -1, -inf, 2, inf, 1e-30f, -0.0f};
    x[i] = kinds[i % 8], dy[i] = i % 16 < 8 ? 5.0f : nan;
  }
  filter[4] = 1;
  const auto expect = [&](bool exact) { // without it a NaN of dy may be one of its neighbours', too
    for (size_t n = 0; n < results.size(); n++)
      for (size_t i = 0; i < 32; i++) {
        const float got = results[n][i];
        if (!(x[i] > 0)) {
          EXPECT_EQ(got, 0.0f) << names[n] << " at " << i;
        } else if (std::isnan(dy[i])) {
          EXPECT_TRUE(std::isnan(got)) << names[n] << " at " << i << ": " << got;
        } else if (exact) {
          EXPECT_EQ(got, 5.0f) << names[n] << " at " << i;
        }
      }
  };
  run({"relu_fc/backward_data", "dy=32x1", "w=1x1", "x=32x1"}, {dy, {1}, x});
  expect(true);
  run({"relu_conv/backward_data", "dy=2x1x4x4", "w=1x1x1x1", "x=2x1x4x4"}, {dy, {1}, x});
  expect(true);
  run({"relu_conv/backward_data", "dy=2x1x4x4", "w=1x1x3x3", "x=2x1x4x4", "pad=1"}, {dy, filter, x});
  expect(false);
}

// Windows with NaN, infinities and nothing above 0; the first of equals is the first element then.
TEST_F(Special, PoolsBehindAReluAsTheReluGives) {
  const std::vector<float> x = {-1, -2, -3, nan, 5, nan, -inf, -0.0f, -inf, -inf, inf, -1, 2, 2, -1, 2};
  const std::vector<float> want = {0, nan, nan, 0, 0, inf, 2, 2};
  run({"relu_max_pool/forward", "x=1x1x16", "kernel=2"}, {x});
  for (size_t n = 0; n < results.size(); n++)
    for (size_t o = 0; o < want.size(); o++)
      EXPECT_TRUE(std::isnan(want[o]) ? std::isnan(results[n][o]) : results[n][o] == want[o])
          << names[n] << " at " << o << ": " << results[n][o];
}

TEST_F(Special, PoolsGatesAreShutForNan) {
  lamina_case c;
  const char *words[] = {"relu_max_pool/backward", "y=1x1x5", "dy=1x1x5", "indices=1x1x5:i32", "dx=1x1x10", "kernel=2"};
  ASSERT_EQ(lamina_case_parse(6, words, nullptr, &c), LAMINA_OK) << lamina_last_error();
  const float y[] = {nan, 0, 3, inf, 1e-30f}, dy[] = {7, nan, 2, 4, nan};
  const int32_t at[] = {1, 2, 4, 7, 9};
  const std::vector<float> want = {0, 0, 0, 0, 2, 0, 0, 4, 0, nan};
  std::vector<std::vector<float>> data = {{y, y + 5}, {dy, dy + 5}, std::vector<float>(5)};
  memcpy(data[2].data(), at, sizeof at);
  run({words, words + 6}, data);
  for (size_t n = 0; n < results.size(); n++)
    for (size_t i = 0; i < want.size(); i++)
      EXPECT_TRUE(std::isnan(want[i]) ? std::isnan(results[n][i]) : results[n][i] == want[i])
          << names[n] << " at " << i << ": " << results[n][i];
}

// ---- Typed calls --------------------------------------------------------------------------------------------------

TEST(FusedCalls, GiveWhatIsWorkedByHand) {
  lamina_device *device = nullptr;
  ASSERT_EQ(lamina_device_open("cpu", nullptr, &device), LAMINA_OK);
  float x[] = {1, -2, 3, 4}, w[] = {1, 1, -1, 2}, b[] = {1, 0}, y[4], dy[] = {1, 2, 3, 4}, dx[4];
  const int64_t square[] = {2, 2}, two[] = {2}, line[] = {1, 1, 4}, tap[] = {1, 1, 1};
  const lamina_desc matrix = lamina_dense(LAMINA_F32, 2, square), vector = lamina_dense(LAMINA_F32, 1, two);
  const lamina_tensor xt = lamina_tensor_of(matrix, x), wt = lamina_tensor_of(matrix, w),
                      bt = lamina_tensor_of(vector, b), yt = lamina_tensor_of(matrix, y),
                      dyt = lamina_tensor_of(matrix, dy), dxt = lamina_tensor_of(matrix, dx);
  ASSERT_EQ(lamina_fc_relu_forward(device, &xt, &wt, &bt, &yt, nullptr), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(std::vector<float>(y, y + 4), (std::vector<float>{0, 0, 8, 5})); // 0, -5, 8, 5
  ASSERT_EQ(lamina_relu_fc_backward_data(device, &dyt, &wt, &xt, &dxt, nullptr), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(std::vector<float>(dx, dx + 4), (std::vector<float>{-1, 0, -1, 11}));
  ASSERT_EQ(lamina_relu_fc_backward_data(device, &dyt, &wt, &xt, &xt, nullptr), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(std::vector<float>(x, x + 4), (std::vector<float>{-1, 0, -1, 11})); // dx on x

  float signal[] = {1, -2, 3, -4}, half[] = {-0.5f}, out[4], back[4];
  const lamina_desc row = lamina_dense(LAMINA_F32, 3, line), one = lamina_dense(LAMINA_F32, 3, tap);
  const lamina_tensor st = lamina_tensor_of(row, signal), ht = lamina_tensor_of(one, half),
                      ot = lamina_tensor_of(row, out), backt = lamina_tensor_of(row, back);
  const lamina_conv conv = {};
  ASSERT_EQ(lamina_conv_relu_forward(device, &conv, &st, &ht, nullptr, &ot, nullptr), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(std::vector<float>(out, out + 4), (std::vector<float>{0, 1, 0, 2}));
  ASSERT_EQ(lamina_relu_conv_backward_data(device, &conv, &ot, &ht, &st, &backt, nullptr), LAMINA_OK)
      << lamina_last_error();
  EXPECT_EQ(std::vector<float>(back, back + 4), (std::vector<float>{0, 0, 0, 0}));
  EXPECT_EQ(lamina_relu_conv_backward_data(device, &conv, &ot, &ht, &xt, &backt, nullptr), LAMINA_INVALID);
  EXPECT_EQ(lamina_relu_fc_backward_data(device, &dyt, &wt, &bt, &dxt, nullptr), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "relu_fc/backward_data: x is f32[2]; expected f32[2,2]");

  float pooled[2], dsignal[4];
  int32_t at[2];
  lamina_pool pool = {};
  pool.kernel[0] = 2;
  const int64_t two_wide[] = {1, 1, 2};
  const lamina_desc windows = lamina_dense(LAMINA_F32, 3, two_wide), places = lamina_dense(LAMINA_I32, 3, two_wide);
  const lamina_tensor pt = lamina_tensor_of(windows, pooled), it = lamina_tensor_of(places, at),
                      dst = lamina_tensor_of(row, dsignal), dpt = lamina_tensor_of(windows, dy);
  signal[0] = -1;
  ASSERT_EQ(lamina_relu_max_pool_forward(device, &pool, &st, &pt, &it, nullptr), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(std::vector<float>(pooled, pooled + 2), (std::vector<float>{0, 3})); // of -1 -2, 3 -4
  EXPECT_EQ(std::vector<int32_t>(at, at + 2), (std::vector<int32_t>{0, 2}));
  ASSERT_EQ(lamina_relu_max_pool_backward(device, &pool, &pt, &dpt, &it, &dst, nullptr), LAMINA_OK)
      << lamina_last_error();
  EXPECT_EQ(std::vector<float>(dsignal, dsignal + 4), (std::vector<float>{0, 0, 2, 0}));
  EXPECT_EQ(lamina_relu_max_pool_backward(device, &pool, &st, &dpt, &it, &dst, nullptr), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "relu_max_pool/backward: y is f32[1,1,4]; expected f32[1,1,2]");
  lamina_device_close(device);
}

} // namespace
