// Every candidate of every engine of a device, for every op and pass, against the oracle. Ops, engines and cases are
// found, not listed: a new row is tested as soon as it exists. LAMINA_TEST_CASES sets how many cases each op gets in each
// type, LAMINA_TEST_DEVICE which device: "cpu" where it is not set.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "case.h"
#include "on_device.h"

namespace {

int case_count() {
  const char *text = std::getenv("LAMINA_TEST_CASES");
  return text ? std::max(1, std::atoi(text)) : 28;
}

struct Param {
  int op;
  lamina_dtype dtype; // NONE: any, mixed
};

bool on_cpu() { return std::string(test_device()) == "cpu"; }

// f16 has no engine on the CPU but `ref`, so only mixed cases have it there.
std::vector<Param> params() {
  std::vector<lamina_dtype> dtypes = {LAMINA_F32, LAMINA_BF16, LAMINA_NONE};
  if (!on_cpu()) dtypes.push_back(LAMINA_F16);
  std::vector<Param> all;
  for (int op = 0; lamina_op_at(op); op++)
    for (const lamina_dtype dtype : dtypes) all.push_back({op, dtype});
  return all;
}

std::string name_of(const testing::TestParamInfo<Param> &info) {
  std::string name = lamina_op_at(info.param.op)->name;
  for (char &c : name)
    if (c == '/') c = '_';
  return name + "_" + (info.param.dtype ? lamina_dtype_name(info.param.dtype) : "mixed");
}

class Oracle : public testing::TestWithParam<Param> {
protected:
  void SetUp() override {
    ASSERT_EQ(lamina_device_open(test_device(), nullptr, &device), LAMINA_OK) << lamina_last_error();
    ASSERT_EQ(lamina_cases_open(GetParam().op, GetParam().dtype, 1, nullptr, &cases), LAMINA_OK) << lamina_last_error();
  }
  void TearDown() override {
    lamina_cases_close(cases);
    lamina_device_close(device);
  }

  // Verifies one case as it is filled; counts who agreed.
  void verify(const lamina_case &c) {
    std::vector<lamina_verdict> verdicts(64);
    int count = static_cast<int>(verdicts.size());
    const lamina_status status = lamina_verify(device, &c, nullptr, verdicts.data(), &count);
    if (status == LAMINA_UNSUPPORTED && !on_cpu()) return; // no kernel does this one, f64 say
    ASSERT_EQ(status, LAMINA_OK) << lamina_last_error();
    ASSERT_LE(count, static_cast<int>(verdicts.size()));
    for (int i = 0; i < count; i++) {
      if (verdicts[i].status == LAMINA_UNSUPPORTED) continue;
      agreed[verdicts[i].engine]++;
      elements += verdicts[i].elements;
      exact += verdicts[i].tier == LAMINA_TIER_EXACT;
    }
  }

  lamina_device *device = nullptr;
  lamina_cases *cases = nullptr;
  std::map<std::string, int> agreed;
  int64_t elements = 0;
  int exact = 0;
};

TEST_P(Oracle, EveryCandidateAgrees) {
  const lamina_op_def *op = lamina_op_at(GetParam().op);
  for (int i = 0; i < case_count() && !HasFailure(); i++) {
    lamina_case c;
    ASSERT_EQ(lamina_cases_next(cases, &c), LAMINA_OK) << lamina_last_error();
    verify(c);
    c.exact = true;
    if (lamina_case_can_be_exact(&c)) verify(c);
  }
  ASSERT_FALSE(HasFailure());
  if (on_cpu()) { EXPECT_GE(agreed["ref"], case_count()); }
  std::string engines;
  for (const auto &[engine, count] : agreed) engines += " " + engine + " " + std::to_string(count);
  std::printf("%s: %lld elements, %d exact runs;%s\n", op->name, static_cast<long long>(elements), exact,
              engines.c_str());
  if (GetParam().dtype == LAMINA_NONE) return;
  EXPECT_GT(elements, 0);
  EXPECT_GT(agreed.size(), on_cpu() ? 1u : 0u)
      << op->name << " has no engine on " << test_device() << " for " << lamina_dtype_name(GetParam().dtype);
}

INSTANTIATE_TEST_SUITE_P(All, Oracle, testing::ValuesIn(params()), name_of);

// Layers as nets have them: too large for the oracle to do whole, so chosen elements are recomputed.
const std::vector<const char *> layers = {
    "conv/forward x=32x1x28x28 w=6x1x5x5 b=6 pad=2",
    "conv/forward x=16x6x14x14 w=16x6x5x5 b=16 dtype=bf16",
    "conv/forward x=2x3x224x224 w=64x3x11x11 b=64 stride=4 pad=2",
    "conv/forward x=2x64x27x27 w=192x64x5x5 b=192 pad=2 dtype=bf16",
    "conv/backward_data w=192x64x5x5 dx=2x64x27x27 pad=2",
    "conv/backward_data w=16x6x5x5 dx=64x6x14x14 dtype=bf16",
    "conv/backward_weights x=2x64x27x27 dw=192x64x5x5 pad=2",
    "conv/backward_weights x=2x256x13x13 dw=256x256x3x3 pad=1 dtype=bf16",
    "conv/forward x=2x64x13x13_1x16 w=96x64x3x3_1x16_0x16 y=2x96x13x13_1x16 pad=1",
    "conv/backward_data dy=2x96x13x13_1x16 w=96x64x3x3_0x16_1x16 dx=2x64x13x13_1x16 pad=1",
    "conv/backward_weights x=2x64x13x13_1x16 dy=2x96x13x13_1x16 dw=96x64x3x3_1x16_0x16 pad=1",
    "conv/backward_bias dy=16x192x27x27",
    "fc/forward x=64x2304 w=500x2304 b=500",
    "fc/backward_data dy=64x500 w=500x2304",
    "fc/backward_weights x=64x2304 dy=64x500 dtype=bf16",
    "fc/backward_bias dy=512x1000",
    "matmul/forward a=6x2x100x64 b=6x2x100x64 transpose_b=1",
    "matmul/backward_a dy=4x128x300 b=500x300 da=4x128x500 dtype=bf16",
    "matmul/backward_b a=4x128x500 dy=4x128x300 db=500x300",
    "max_pool/forward x=8x64x55x55 kernel=3 stride=2 indices=8x64x27x27:i32",
    "max_pool/backward dx=8x64x55x55 kernel=3 stride=2",
    "avg_pool/forward x=8x64x55x55 kernel=3 stride=2 dtype=bf16",
    "avg_pool/backward dx=8x64x55x55 kernel=3 stride=2",
    "relu/forward x=8x64x55x55",
    "softmax/forward x=256x1000",
    "softmax_cross_entropy/forward x=256x1000 labels=256 prob=256x1000",
    "softmax_cross_entropy/backward dx=256x1000 labels=256",
    "softmax_cross_entropy/forward x=5x5003 labels=5 weights=5003 prob=5x5003 label_smoothing=0.1",
    "softmax_cross_entropy/forward x=2x40x17x19 labels=2x17x19 prob=2x40x17x19 dtype=bf16",
    "softmax_cross_entropy/backward dx=3000x10 labels=3000 weights=10",
    "softmax_cross_entropy_target/backward dx=4x3000 target=4x3000 weights=3000",
    "log_softmax/forward x=2x300x33",
    "softmax/backward y=3x5003 dy=3x5003 dtype=bf16",
    "hinge/backward x=2x40x17x19 labels=2x17x19",
    "nll/backward labels=3000 weights=10 dx=3000x10",
    "one_hot/forward labels=7 classes=3000",
    "sgd/update w=10000 g=10000 m=10000 rate=1 segments=600 decay=600 momentum=0.5",
};

// One in four where cases are few.
std::vector<const char *> some_layers() {
  std::vector<const char *> some;
  for (size_t i = 0; i < layers.size(); i += case_count() < 10 ? 4 : 1) some.push_back(layers[i]);
  return some;
}

class Layer : public testing::TestWithParam<const char *> {};

TEST_P(Layer, ChosenElementsAgree) {
  lamina_device *device = nullptr;
  lamina_case c;
  ASSERT_EQ(lamina_device_open(test_device(), nullptr, &device), LAMINA_OK) << lamina_last_error();
  ASSERT_EQ(parse_case(GetParam(), &c), LAMINA_OK) << lamina_last_error();
  lamina_verify_options options = {};
  options.sample = 150;
  std::set<std::string> engines; // `ref` is left out: it would do the layer whole
  lamina_candidate candidates[64];
  int found = 64;
  ASSERT_EQ(lamina_candidates(device, &c.problem, nullptr, candidates, &found), LAMINA_OK) << lamina_last_error();
  for (int i = 0; i < found; i++)
    if (candidates[i].seconds >= 0 && std::string(candidates[i].engine) != "ref") engines.insert(candidates[i].engine);
  EXPECT_FALSE(engines.empty());
  for (const std::string &engine : engines) {
    lamina_verdict verdicts[64];
    int count = 64;
    options.engine = engine.c_str();
    ASSERT_EQ(lamina_verify(device, &c, &options, verdicts, &count), LAMINA_OK) << lamina_last_error();
    for (int i = 0; i < count; i++) EXPECT_EQ(verdicts[i].tier, LAMINA_TIER_SAMPLE);
  }
  lamina_device_close(device);
}

INSTANTIATE_TEST_SUITE_P(OfNets, Layer, testing::ValuesIn(some_layers()));

// The same seed gives the same cases, and cases come as promised: empty ones, strided ones, aliased ones.
TEST(Cases, RepeatAndAreVaried) {
  lamina_cases *a = nullptr, *b = nullptr;
  const int op = lamina_op_find("relu/forward");
  ASSERT_EQ(lamina_cases_open(op, LAMINA_F32, 5, nullptr, &a), LAMINA_OK);
  ASSERT_EQ(lamina_cases_open(op, LAMINA_F32, 5, nullptr, &b), LAMINA_OK);
  int empty = 0, strided = 0, aliased = 0, broadcast = 0, backwards = 0, placed = 0;
  for (int i = 0; i < 40; i++) {
    lamina_case c, again;
    ASSERT_EQ(lamina_cases_next(a, &c), LAMINA_OK);
    ASSERT_EQ(lamina_cases_next(b, &again), LAMINA_OK);
    ASSERT_EQ(std::memcmp(&c.problem, &again.problem, sizeof c.problem), 0);
    ASSERT_EQ(c.seed, again.seed);
    const lamina_desc &x = c.problem.arg[0];
    const bool some = lamina_desc_count(&x) > 0;
    empty += !some;
    strided += !lamina_desc_is_dense(&x);
    aliased += c.problem.aliased != 0;
    placed += c.offset[0] != 0;
    for (int d = 0; d < x.rank && some; d++) broadcast += x.dims[d] > 1 && x.strides[d] == 0;
    for (int d = 0; d < x.rank && some; d++) backwards += x.dims[d] > 1 && x.strides[d] < 0;
  }
  EXPECT_GT(empty, 0);
  EXPECT_GT(strided, 5);
  EXPECT_GT(aliased, 5);
  EXPECT_GT(broadcast, 0);
  EXPECT_GT(backwards, 0);
  EXPECT_GT(placed, 5);
  lamina_cases_close(a);
  lamina_cases_close(b);
}

} // namespace
