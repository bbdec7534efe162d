// What is particular to the oneDNN engines: what they refuse, what their plans say, threads at once, stale workspace.
// That they compute the right thing is the oracle test's business.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "lamina/conv.h"
#include "lamina/engine.h"
#include "lamina/io.h"
#include "lamina/pool.h"
#include "lamina/verify.h"

namespace {

struct Device {
  explicit Device(int threads = 2) {
    lamina_device_options options = {};
    options.threads = threads;
    EXPECT_EQ(lamina_device_open("cpu", &options, &device), LAMINA_OK) << lamina_last_error();
  }
  ~Device() { lamina_device_close(device); }
  bool has_onednn() const {
    for (int i = 0; lamina_engine_at(device, i); i++)
      if (std::strcmp(lamina_engine_at(device, i)->name, "onednn") == 0) return true;
    return false;
  }
  operator lamina_device *() const { return device; }
  lamina_device *device = nullptr;
};

lamina_problem problem_of(const char *op, const void *descriptor, const std::vector<lamina_desc> &args) {
  const lamina_desc *list[LAMINA_MAX_ARGS] = {};
  for (size_t i = 0; i < args.size(); i++) list[i] = args[i].dtype ? &args[i] : nullptr;
  lamina_problem problem;
  EXPECT_EQ(lamina_problem_init(&problem, lamina_op_find(op), descriptor, list), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(lamina_problem_infer(&problem), LAMINA_OK) << lamina_last_error();
  return problem;
}

std::vector<lamina_candidate> candidates(lamina_device *device, const lamina_problem &problem, const char *engine) {
  std::vector<lamina_candidate> list(64);
  lamina_plan_options options = {};
  options.engine = engine;
  int count = 64;
  EXPECT_EQ(lamina_candidates(device, &problem, &options, list.data(), &count), LAMINA_OK) << lamina_last_error();
  list.resize(static_cast<size_t>(count));
  return list;
}

// The first reason with which oneDNN refuses the problem; "" when it doesn't.
std::string refusal(lamina_device *device, const lamina_problem &problem) {
  for (const lamina_candidate &candidate : candidates(device, problem, "onednn"))
    if (candidate.seconds < 0) return candidate.reason;
  return "";
}

struct Closer {
  void operator()(lamina_plan *plan) const { lamina_plan_close(plan); }
};
using Plan = std::unique_ptr<lamina_plan, Closer>;

Plan plan_of(lamina_device *device, const lamina_problem &problem, const std::string &engine) {
  lamina_plan_options options = {};
  options.engine = engine.c_str();
  lamina_plan *plan = nullptr;
  EXPECT_EQ(lamina_plan_open(device, &problem, &options, &plan), LAMINA_OK) << lamina_last_error();
  return Plan(plan);
}

// 64-byte aligned bytes, filled with 0xff: NaN as f32 and as bf16.
struct Bytes {
  explicit Bytes(size_t size) : raw(size + 64, '\xff') {}
  void *data() { return raw.data() + (64 - reinterpret_cast<uintptr_t>(raw.data()) % 64) % 64; }
  std::vector<char> raw;
};

lamina_conv padded(int64_t pad) {
  lamina_conv conv = {};
  for (int a = 0; a < 2; a++) conv.pad[a][0] = conv.pad[a][1] = pad;
  return conv;
}

lamina_desc nchw(lamina_dtype type, int64_t n, int64_t c, int64_t h, int64_t w) {
  return lamina_nchw(type, n, c, h, w, nullptr).desc;
}
lamina_desc nhwc(lamina_dtype type, int64_t n, int64_t c, int64_t h, int64_t w) {
  return lamina_nhwc(type, n, c, h, w, nullptr).desc;
}

lamina_problem conv_forward(lamina_dtype type, bool last = false) {
  const lamina_conv conv = padded(1);
  const auto act = last ? nhwc : nchw;
  return problem_of("conv/forward", &conv,
                    {act(type, 4, 32, 9, 9), nchw(type, 32, 32, 3, 3), {}, act(type, 4, 32, 9, 9)});
}

class OneDnn : public testing::Test {
protected:
  void SetUp() override {
    if (!device.has_onednn()) GTEST_SKIP() << "this build has no oneDNN";
  }
  Device device;
};

// Layouts that are left open become those that the primitive wants, so that nothing is reordered; and the plan with what
// it chose written out is right.
TEST_F(OneDnn, OpenLayoutsAreThePrimitivesOwn) {
  const struct {
    std::vector<const char *> words;
    bool whole; // our layouts can say all that its first choice wants
  } cases[] = {
      {{"conv/forward", "x=2x32x9x9_any", "w=48x32x3x3_any", "b=48_any", "y=2x48x9x9_any", "pad=1"}, true},
      {{"conv/backward_data", "dy=2x48x9x9_any", "w=48x32x3x3_any", "dx=2x32x9x9_any", "pad=1"}, true},
      {{"conv/backward_weights", "x=2x32x9x9_any", "dy=2x48x9x9_any", "dw=48x32x3x3_any", "pad=1"}, true},
      {{"conv/forward", "x=2x64x9x9_any", "w=64x32x3x3_any", "y=2x64x9x9_any", "pad=1", "groups=2"}, true},
      {{"conv/forward", "x=2x32x9x9_any", "w=32x1x3x3_any", "y=2x32x9x9_any", "pad=1", "groups=32"}, true},
      {{"conv/forward", "x=2x5x9x9_any", "w=7x5x3x3_any", "y=2x7x9x9_any", "pad=1"}, false}, // padded
      {{"conv/forward", "x=2x32x9x9_any", "w=32x32x3x3_any", "y=2x32x9x9_any", "pad=1", "flip=1"}, false},
      {{"conv/forward", "x=2x32x9x9_any", "w=32x32x3x3_any", "y=2x32x9x9_any", "pad=1", "dtype=bf16"},
       false}, // in f32 on many a CPU
      {{"fc/forward", "x=16x512_any", "w=256x512_any", "b=256_any", "y=16x256_any"}, true},
      {{"fc/backward_data", "dy=16x256_any", "w=256x512_any", "dx=16x512_any"}, true},
      {{"fc/backward_weights", "x=16x512_any", "dy=16x256_any", "dw=256x512_any"}, true},
      {{"avg_pool/forward", "x=2x32x9x9_any", "y=2x32x8x8_any", "kernel=2", "stride=1"}, true},
  };
  for (const auto &each : cases) {
    lamina_case c;
    ASSERT_EQ(lamina_case_parse(static_cast<int>(each.words.size()), each.words.data(), nullptr, &c), LAMINA_OK)
        << lamina_last_error();
    bool first = true;
    for (const lamina_candidate &candidate : candidates(device, c.problem, "onednn")) {
      if (candidate.seconds < 0) continue;
      const std::string name = std::string(candidate.engine) + "/" + candidate.variant;
      const Plan plan = plan_of(device, c.problem, name);
      ASSERT_TRUE(plan);
      lamina_case chosen = c;
      chosen.problem = *lamina_plan_problem(plan.get());
      char text[512];
      lamina_problem_text(&chosen.problem, text, sizeof text);
      EXPECT_EQ(std::string(text).find("any"), std::string::npos) << text;
      const std::string said = lamina_plan_explain(plan.get()), line = said.substr(0, said.find('\n'));
      if (first && each.whole) { EXPECT_EQ(line.find("reordered"), std::string::npos) << line << "\n" << text; }
      first = false;
      lamina_verify_options options = {};
      options.engine = name.c_str();
      EXPECT_EQ(lamina_verify(device, &chosen, &options, nullptr, std::array<int, 1>{}.data()), LAMINA_OK)
          << text << "\n"
          << lamina_last_error();
    }
    EXPECT_FALSE(first && each.whole) << each.words[0] << " has no candidate";
  }
}

// What follows a convolution in blocks finds them as it left them: no argument is reordered or packed on the way.
TEST_F(OneDnn, BlocksThatFitAreUsedAsTheyAre) {
  const lamina_conv conv = padded(1);
  const int64_t x[] = {4, 32, 9, 9}, w[] = {32, 32, 3, 3};
  const lamina_desc any = lamina_blocked(LAMINA_F32, 4, w, LAMINA_LAYOUT_ANY);
  lamina_desc data = lamina_blocked(LAMINA_F32, 4, x, LAMINA_LAYOUT_ANY);
  const Plan forward = plan_of(device, problem_of("conv/forward", &conv, {data, any, {}, data}), "onednn/blocked");
  ASSERT_TRUE(forward);
  data = lamina_plan_problem(forward.get())->arg[3];
  if (data.layout == 0) GTEST_SKIP() << "oneDNN has no blocked convolution for this CPU; AVX2 would have one";
  const lamina_problem next[] = {problem_of("conv/forward", &conv, {data, any, {}, data}),
                                 problem_of("conv/backward_data", &conv, {data, any, data}),
                                 problem_of("conv/backward_weights", &conv, {data, data, any})};
  for (const lamina_problem &problem : next) {
    const Plan plan = plan_of(device, problem, "onednn");
    ASSERT_TRUE(plan);
    const std::string said = lamina_plan_explain(plan.get()), line = said.substr(0, said.find('\n'));
    EXPECT_EQ(line.find("reordered"), std::string::npos) << line;
    EXPECT_EQ(line.find("packed"), std::string::npos) << line;
  }
}

TEST_F(OneDnn, RefusesTypesWithAReason) {
  EXPECT_EQ(refusal(device, conv_forward(LAMINA_F64)), "x is f64, which oneDNN 2.6 does not compute with on a CPU");
  EXPECT_EQ(refusal(device, conv_forward(LAMINA_F16)), "x is f16, which oneDNN 2.6 does not compute with on a CPU");
  EXPECT_EQ(refusal(device, conv_forward(LAMINA_F32)), "");
}

TEST_F(OneDnn, RefusesNegativeStrides) {
  lamina_problem problem = conv_forward(LAMINA_F32);
  problem.arg[0].strides[3] = -1;
  EXPECT_EQ(refusal(device, problem), "oneDNN takes no negative strides, as x has");
}

TEST_F(OneDnn, RefusesWhatOverflowsItsIntegers) {
  lamina_conv conv = {};
  conv.pad[0][0] = int64_t{1} << 31;
  const std::vector<lamina_desc> args = {
      nchw(LAMINA_F32, 1, 1, 1, 1), nchw(LAMINA_F32, 1, 1, 1, 1), {}, lamina_infer(LAMINA_F32)};
  EXPECT_EQ(refusal(device, problem_of("conv/forward", &conv, args)),
            "y has more than 2^31 - 1 elements, and oneDNN's kernels count in 32 bits");
  conv.stride[0] = 1 << 20;
  EXPECT_EQ(refusal(device, problem_of("conv/forward", &conv, args)),
            "an axis is longer than 2^20 with its padding, and oneDNN prepares something for each place of it");
}

TEST_F(OneDnn, RefusesWhatItPlansForMinutes) {
  lamina_conv conv = {};
  conv.pad[1][1] = 1025;
  const std::vector<lamina_desc> args = {
      nchw(LAMINA_F32, 1, 1, 9, 9), nchw(LAMINA_F32, 1, 1, 3, 3), {}, lamina_infer(LAMINA_F32)};
  EXPECT_EQ(refusal(device, problem_of("conv/forward", &conv, args)),
            "a padding is wider than 1024, and oneDNN writes code for each place of it");
  conv.pad[1][1] = 1024;
  EXPECT_EQ(refusal(device, problem_of("conv/forward", &conv, args)), "");
}

// In ceil mode the last window reaches beyond the padding, which count_pad doesn't count and oneDNN does.
TEST_F(OneDnn, RefusesAveragesThatItWouldCountDifferently) {
  lamina_pool pool = {};
  pool.kernel[0] = pool.kernel[1] = 3, pool.stride[0] = pool.stride[1] = 2;
  pool.pad[0][0] = pool.pad[0][1] = 1;
  pool.ceil_mode = 1;
  const std::vector<lamina_desc> args = {nchw(LAMINA_F32, 1, 2, 6, 6), lamina_infer(LAMINA_F32)};
  EXPECT_EQ(refusal(device, problem_of("avg_pool/forward", &pool, args)), "");
  pool.count_pad = 1;
  EXPECT_EQ(refusal(device, problem_of("avg_pool/forward", &pool, args)),
            "with count_pad oneDNN also counts what lies beyond the padding in ceil mode");
}

// oneDNN's ReLU and its maximum lose NaN, which our contract keeps.
TEST_F(OneDnn, OffersNothingThatLosesNaN) {
  lamina_pool pool = {};
  pool.kernel[0] = pool.kernel[1] = 2;
  const lamina_desc x = nchw(LAMINA_F32, 1, 2, 6, 6);
  for (const lamina_problem &problem : {problem_of("relu/forward", nullptr, {x, x}),
                                        problem_of("max_pool/forward", &pool, {x, lamina_infer(LAMINA_F32)})})
    EXPECT_TRUE(candidates(device, problem, "onednn").empty());
}

TEST_F(OneDnn, OffersNoReference) {
  lamina_conv odd = padded(2);
  odd.groups = 3, odd.dilation[0] = 2, odd.stride[1] = 3;
  for (const lamina_problem &problem :
       {conv_forward(LAMINA_F32), conv_forward(LAMINA_F32, true),
        problem_of("conv/forward", &odd,
                   {nchw(LAMINA_F32, 2, 15, 7, 7), nchw(LAMINA_F32, 21, 5, 3, 2), {}, lamina_infer(LAMINA_F32)})}) {
    int offered = 0;
    for (const lamina_candidate &candidate : candidates(device, problem, "onednn")) {
      if (candidate.seconds < 0) continue;
      offered++;
      EXPECT_EQ(std::string(candidate.variant).find("/ref"), std::string::npos) << candidate.variant;
      EXPECT_GT(candidate.seconds, 0) << candidate.variant;
    }
    EXPECT_GT(offered, 0);
  }
}

TEST_F(OneDnn, IsChosenBeforeTheReference) {
  const lamina_problem problem = conv_forward(LAMINA_F32);
  EXPECT_LT(candidates(device, problem, "onednn").front().seconds, candidates(device, problem, "ref").front().seconds);
}

TEST_F(OneDnn, SaysWhatIsReordered) {
  const Plan plain = plan_of(device, conv_forward(LAMINA_F32), "onednn/channels_last");
  EXPECT_NE(std::string(lamina_plan_explain(plain.get())).find("; x, w and y reordered"), std::string::npos)
      << lamina_plan_explain(plain.get());
  EXPECT_GE(lamina_plan_workspace(plain.get()), 2u * 4 * 32 * 81 * 4);
  const Plan last = plan_of(device, conv_forward(LAMINA_F32, true), "onednn/channels_last");
  EXPECT_NE(std::string(lamina_plan_explain(last.get())).find("; w reordered"), std::string::npos)
      << lamina_plan_explain(last.get());
}

TEST_F(OneDnn, OneVariantCanBeAskedForByItsWholeName) {
  const lamina_problem problem = conv_forward(LAMINA_F32);
  for (const lamina_candidate &candidate : candidates(device, problem, "onednn")) {
    const Plan plan = plan_of(device, problem, std::string("onednn/") + candidate.variant);
    EXPECT_STREQ(lamina_plan_variant(plan.get()), candidate.variant);
  }
}

TEST_F(OneDnn, OnePlanRunsOnFourThreadsAtOnce) {
  const lamina_problem problem = conv_forward(LAMINA_F32);
  const size_t count = 4 * 32 * 9 * 9;
  for (const lamina_candidate &candidate : candidates(device, problem, "onednn")) {
    const Plan plan = plan_of(device, problem, std::string("onednn/") + candidate.variant);
    std::vector<float> w(32 * 32 * 9), x[4], once[4], y[4];
    for (size_t i = 0; i < w.size(); i++) w[i] = std::sin(static_cast<float>(i));
    const auto run = [&](size_t t, std::vector<float> &out) {
      Bytes workspace(lamina_plan_workspace(plan.get()));
      lamina_args args = {};
      args.p[0] = x[t].data(), args.p[1] = w.data(), args.p[3] = out.data();
      EXPECT_EQ(lamina_plan_run(plan.get(), &args, workspace.data(), nullptr), LAMINA_OK) << lamina_last_error();
    };
    for (size_t t = 0; t < 4; t++) {
      x[t].resize(count), once[t].resize(count), y[t].resize(count);
      for (size_t i = 0; i < count; i++) x[t][i] = std::cos(static_cast<float>(i * (t + 1)));
      run(t, once[t]);
    }
    std::vector<std::thread> threads;
    for (size_t t = 0; t < 4; t++)
      threads.emplace_back([&, t] {
        for (int repeat = 0; repeat < 20; repeat++) run(t, y[t]);
      });
    for (std::thread &thread : threads) thread.join();
    for (size_t t = 0; t < 4; t++) EXPECT_EQ(y[t], once[t]) << candidate.variant << ", thread " << t;
  }
}

// oneDNN's bf16 backward weights multiplies zeros by scratchpad that it never wrote, so it must come cleared.
TEST_F(OneDnn, StaleWorkspaceDoesNotReachTheResult) {
  const lamina_conv conv = padded(2);
  const lamina_problem problem =
      problem_of("conv/backward_weights", &conv,
                 {nchw(LAMINA_BF16, 2, 32, 7, 5), nchw(LAMINA_BF16, 2, 48, 7, 5), nchw(LAMINA_BF16, 48, 32, 5, 5)});
  const std::vector<uint16_t> x(2 * 32 * 35, 0x3f80), dy(2 * 48 * 35, 0x3f80); // ones
  for (const lamina_candidate &candidate : candidates(device, problem, "onednn")) {
    if (candidate.seconds < 0) continue;
    const Plan plan = plan_of(device, problem, std::string("onednn/") + candidate.variant);
    std::vector<uint16_t> dw(48 * 32 * 25, 0xffff);
    Bytes workspace(lamina_plan_workspace(plan.get()));
    lamina_args args = {{const_cast<uint16_t *>(x.data()), const_cast<uint16_t *>(dy.data()), dw.data()}};
    ASSERT_EQ(lamina_plan_run(plan.get(), &args, workspace.data(), nullptr), LAMINA_OK) << lamina_last_error();
    for (size_t i = 0; i < dw.size(); i++) {
      const int r = static_cast<int>(i / 5 % 5) - 2, s = static_cast<int>(i % 5) - 2;
      const double met = 2.0 * (7 - std::abs(r)) * (5 - std::abs(s));
      ASSERT_EQ(lamina_load(LAMINA_BF16, dw.data(), static_cast<int64_t>(i)), met) << candidate.variant << " " << i;
    }
  }
}

TEST_F(OneDnn, DevicesOfOtherWidthsWorkSideBySide) {
  const Device one(1), three(3);
  const lamina_problem problem = conv_forward(LAMINA_F32);
  for (lamina_device *device : {one.device, three.device}) {
    const Plan plan = plan_of(device, problem, "onednn");
    std::vector<float> x(4 * 32 * 81, 1), w(32 * 32 * 9, 1), y(4 * 32 * 81);
    Bytes workspace(lamina_plan_workspace(plan.get()));
    lamina_args args = {{x.data(), w.data(), nullptr, y.data()}};
    ASSERT_EQ(lamina_plan_run(plan.get(), &args, workspace.data(), nullptr), LAMINA_OK) << lamina_last_error();
    EXPECT_EQ(y[0], 32 * 4);
    EXPECT_EQ(y[10], 32 * 9);
  }
}

} // namespace
