// The parts of the verifier by themselves: fills, tolerances, data with their red zones, verdicts and what repeats them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "case.h"
#include "lamina/lamina.h"
#include "temporary.h"

extern "C" {
#include "core/verify.h"
}

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// ---- Fills ---------------------------------------------------------------------------------------------------------

std::vector<double> filled(lamina_fill_def how, int64_t n, uint64_t seed = 1, uint32_t stream = 0) {
  std::vector<double> values(static_cast<size_t>(n));
  const lamina_desc desc = lamina_dense(LAMINA_F64, 1, &n);
  lamina_fill_values(&desc, values.data(), &how, seed, stream, 1);
  return values;
}

lamina_fill_def how(lamina_fill_kind kind, double low = 0, double high = 0, double density = 0) {
  lamina_fill_def fill = {};
  fill.kind = kind, fill.low = low, fill.high = high, fill.density = density;
  return fill;
}

TEST(Fill, NormalNumbersHaveTheirMoments) {
  const std::vector<double> x = filled(how(LAMINA_FILL_NORMAL), 20000);
  double sum = 0, squares = 0, within = 0;
  for (const double v : x) sum += v, squares += v * v, within += std::fabs(v) < 1;
  EXPECT_NEAR(sum / 20000, 0, 0.03);
  EXPECT_NEAR(squares / 20000, 1, 0.04);
  EXPECT_NEAR(within / 20000, 0.6827, 0.015);
  EXPECT_EQ(x, filled(how(LAMINA_FILL_NORMAL), 20000)) << "the same seed gives the same numbers";
  EXPECT_NE(x, filled(how(LAMINA_FILL_NORMAL), 20000, 2));
  EXPECT_NE(x, filled(how(LAMINA_FILL_NORMAL), 20000, 1, 1));
  EXPECT_EQ(x[7], filled(how(LAMINA_FILL_NORMAL), 8)[7]) << "an element doesn't depend on how many there are";
}

// Parts that threads fill, and strides, change nothing.
TEST(Fill, IsTheSameOnAnyNumberOfThreads) {
  const int64_t dims[] = {3, 50000, 2};
  lamina_desc desc = lamina_dense(LAMINA_F64, 3, dims);
  const lamina_fill_def normal = how(LAMINA_FILL_NORMAL);
  std::vector<double> strided(300000), one = filled(normal, 300000), three(300000);
  lamina_fill_values(&desc, three.data(), &normal, 1, 0, 3);
  EXPECT_EQ(three, one);
  desc.strides[0] = 2, desc.strides[1] = 6, desc.strides[2] = 1;
  lamina_fill_values(&desc, strided.data(), &normal, 1, 0, 2);
  for (int64_t i = 0; i < 300000; i++)
    ASSERT_EQ(strided[static_cast<size_t>(lamina_desc_offset(&desc, i))], one[static_cast<size_t>(i)]) << i;
}

TEST(Fill, IntegersCoverTheirRange) {
  std::vector<double> x = filled(how(LAMINA_FILL_INTEGERS, -2, 2), 1000);
  for (const double want : {-2, -1, 0, 1, 2}) EXPECT_NEAR(std::count(x.begin(), x.end(), want), 200, 60);
  x = filled(how(LAMINA_FILL_INTEGERS, 1, 1, 0.25), 1000);
  EXPECT_NEAR(std::count(x.begin(), x.end(), 1), 250, 60);
  EXPECT_NEAR(std::count(x.begin(), x.end(), 0), 750, 60);
}

TEST(Fill, TheOtherKinds) {
  for (const double v : filled(how(LAMINA_FILL_UNIFORM, 0.5, 0.75), 1000)) EXPECT_TRUE(v >= 0.5 && v < 0.75) << v;
  const std::vector<double> ends = filled(how(LAMINA_FILL_ASCENDING, 0, 100), 7);
  EXPECT_TRUE(std::is_sorted(ends.begin(), ends.end()));
  EXPECT_EQ(ends.back(), 100);
  for (const double v : ends) EXPECT_EQ(v, std::floor(v));
  const std::vector<double> rng = filled(how(LAMINA_FILL_SEED), 2);
  EXPECT_GT(rng[0], 1e9);
  EXPECT_TRUE(rng[1] >= 0 && rng[1] <= 1000) << rng[1];
}

// ---- The tolerance -------------------------------------------------------------------------------------------------

lamina_expected expected(double value, double q, int64_t terms) {
  lamina_expected e = {};
  e.value = value, e.q = q, e.terms = terms;
  return e;
}

TEST(Tolerance, IsTheDocumentedSum) {
  lamina_numerics plain = {}, tensor_cores = {};
  tensor_cores.u_acc = 0x1p-20, tensor_cores.u_in = 0x1p-11, tensor_cores.linear = true;
  const lamina_expected sum = expected(-3, 2, 16), bound = expected(3, 5, 0), moved = expected(3, 5, -1);
  EXPECT_DOUBLE_EQ(lamina_tolerance(&sum, LAMINA_F32, &plain, false), 0x1p-24 * 3 + 4 * 0x1p-24 * 4 * 5 + 0x1p-126);
  EXPECT_DOUBLE_EQ(lamina_tolerance(&sum, LAMINA_BF16, &plain, false), 0x1p-8 * 3 + 4 * 0x1p-24 * 4 * 5 + 0x1p-126);
  EXPECT_DOUBLE_EQ(lamina_tolerance(&sum, LAMINA_F64, &plain, true), 0x1p-53 * 3 + 4 * 0x1p-53 * 4 * 5 + 0x1p-1022);
  EXPECT_DOUBLE_EQ(lamina_tolerance(&sum, LAMINA_F16, &tensor_cores, false),
                   0x1p-11 * 3 + 4 * (0x1p-20 * 16 * 5 + 0x1p-11 * (std::sqrt(2.0) * 2 + 3)) + 0x1p-14);
  EXPECT_DOUBLE_EQ(lamina_tolerance(&bound, LAMINA_F32, &plain, false), 0x1p-24 * 3 + 4 * 0x1p-24 * 5 + 0x1p-126);
  EXPECT_EQ(lamina_tolerance(&moved, LAMINA_F32, &plain, false), 0);
  EXPECT_EQ(lamina_tolerance(&sum, LAMINA_I32, &plain, false), 0);
}

bool agrees(double value, double got, lamina_dtype dtype, double tolerance) {
  const lamina_expected e = expected(value, 0, 0);
  double share;
  return lamina_agrees(&e, got, dtype, tolerance, &share);
}

TEST(Tolerance, DecidesAtItsEdge) {
  EXPECT_TRUE(agrees(1, 1.25, LAMINA_F32, 0.25));
  EXPECT_FALSE(agrees(1, 1.2500001, LAMINA_F32, 0.25));
  EXPECT_FALSE(agrees(1, nan, LAMINA_F32, 0.25));
  EXPECT_FALSE(agrees(1, nan, LAMINA_F32, inf)) << "NaN is never near";
  EXPECT_TRUE(agrees(1e-40, 0, LAMINA_F32, 0x1p-126)) << "flushed";
}

TEST(Tolerance, InfinitiesAndNaNMustBeWhereTheyBelong) {
  EXPECT_TRUE(agrees(nan, nan, LAMINA_F32, nan));
  EXPECT_FALSE(agrees(nan, 0, LAMINA_F32, nan));
  EXPECT_TRUE(agrees(inf, inf, LAMINA_F32, inf));
  EXPECT_FALSE(agrees(inf, -inf, LAMINA_F32, inf));
  EXPECT_FALSE(agrees(inf, 3e38, LAMINA_F32, inf));
  EXPECT_FALSE(agrees(1, inf, LAMINA_F32, 0.5));
  EXPECT_TRUE(agrees(65519, inf, LAMINA_F16, 40)) << "a little more would overflow";
  EXPECT_FALSE(agrees(65000, inf, LAMINA_F16, 40));
  EXPECT_FALSE(agrees(65519, -inf, LAMINA_F16, 40));
}

TEST(Tolerance, ExactMeansTheRoundedValue) {
  EXPECT_TRUE(agrees(1 + 0x1p-9, 1, LAMINA_BF16, 0)) << "a tie goes to even";
  EXPECT_FALSE(agrees(1 + 0x1p-9, 1 + 0x1p-7, LAMINA_BF16, 0));
  EXPECT_TRUE(agrees(0, -0.0, LAMINA_F32, 0));
  EXPECT_TRUE(agrees(70000, inf, LAMINA_F16, 0));
  EXPECT_TRUE(agrees(300, 255, LAMINA_U8, 0)) << "integers saturate";
}

// Adds, but one element is off by one.
lamina_status off_by_one(const lamina_plan *plan, const lamina_args *args, void *, lamina_stream *) {
  const lamina_status status = lamina_reference_run(&plan->problem, args, nullptr, 1, nullptr);
  const lamina_desc *y = &plan->problem.arg[2];
  const int64_t last = lamina_desc_offset(y, lamina_desc_count(y) - 1);
  const auto dtype = static_cast<lamina_dtype>(y->dtype);
  lamina_store(dtype, args->p[2], last, lamina_load(dtype, args->p[2], last) + 1);
  return status;
}

void offer(lamina_device *, const lamina_problem *, const lamina_engine *, lamina_candidate_fn *each, void *context) {
  each(context, "one", 1e-9, "");
  each(context, "two", 2e-9, "");
}

lamina_status two_refuses(lamina_plan *plan) {
  return std::string(plan->variant) == "two" ? lamina_error(LAMINA_UNSUPPORTED, "two is a crowd") : LAMINA_OK;
}

// ---- Data ----------------------------------------------------------------------------------------------------------

class Verify : public testing::Test {
protected:
  void SetUp() override { ASSERT_EQ(lamina_device_open("cpu", nullptr, &device), LAMINA_OK) << lamina_last_error(); }
  void TearDown() override {
    lamina_data_close(data);
    lamina_device_close(device);
  }
  void open(const std::string &text) {
    const lamina_case c = case_of(text);
    ASSERT_EQ(lamina_data_open(device, &c, &data), LAMINA_OK) << lamina_last_error();
  }
  double at(int arg, int64_t offset) const {
    const lamina_tensor *tensor = lamina_data_tensor(data, arg);
    return lamina_load(static_cast<lamina_dtype>(tensor->desc.dtype), tensor->data, offset);
  }

  void add_wrong_engine() {
    wrong.size = sizeof wrong, wrong.abi = LAMINA_ENGINE_ABI;
    wrong.device = "cpu", wrong.name = "wrong", wrong.op = "add/forward";
    wrong.candidates = offer, wrong.prepare = two_refuses, wrong.run = off_by_one;
    ASSERT_EQ(lamina_engine_register(device, &wrong), LAMINA_OK);
  }

  lamina_device *device = nullptr;
  lamina_data *data = nullptr;
  lamina_engine wrong = {}; // as long as the device
};

TEST_F(Verify, DataLieWhereTheCaseSays) {
  open("relu/forward x=2x3/-4,1+3 y=2x3+1");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(lamina_data_args(data)->p[0]) % 64, 12u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(lamina_data_args(data)->p[1]) % 64, 4u);
  EXPECT_TRUE(std::isnan(at(0, 3))) << "red";
  EXPECT_TRUE(std::isnan(at(0, -1))) << "a gap";
  EXPECT_FALSE(std::isnan(at(0, -4)));
  EXPECT_TRUE(std::isnan(at(1, 0))) << "poison";
  EXPECT_EQ(lamina_data_tensor(data, 2), nullptr);
  EXPECT_EQ(lamina_data_tensor(data, -1), nullptr);
}

TEST_F(Verify, AliasesShareTheirMemory) {
  open("relu/forward x=5 y=@x");
  EXPECT_EQ(lamina_data_args(data)->p[0], lamina_data_args(data)->p[1]);
}

TEST_F(Verify, EveryTouchOfWhatIsNotTheOutputIsNoticed) {
  char what[128];
  const std::string text = "relu/forward x=2x3/4,1 y=2x3/4,1";
  const struct {
    int arg;
    int64_t offset;
    const char *what;
  } touches[] = {{0, 0, "the input x was written to, 0 bytes in"},
                 {0, 3, "the input x was written to, 12 bytes in"},
                 {0, 7, "memory after x was written to, 0 bytes past its end"},
                 {0, 70, "memory after x was written to, 252 bytes past its end"},
                 {0, -64, "memory before x was written to, 256 bytes before its lowest element"},
                 {1, 3, "a gap between the elements of y was written to, 12 bytes in"},
                 {1, 7, "memory after y was written to, 0 bytes past its end"},
                 {1, -1, "memory before y was written to, 4 bytes before its lowest element"}};
  for (const auto &touch : touches) {
    open(text);
    static_cast<float *>(lamina_data_args(data)->p[touch.arg])[touch.offset] = 5;
    EXPECT_FALSE(lamina_data_intact(data, what, sizeof what));
    EXPECT_STREQ(what, touch.what);
    ASSERT_EQ(lamina_data_reset(data), LAMINA_OK);
    EXPECT_TRUE(lamina_data_intact(data, what, sizeof what)) << what;
    lamina_data_close(data);
    data = nullptr;
  }
  open(text);
  for (const int64_t offset : {0, 1, 2, 4, 5, 6}) static_cast<float *>(lamina_data_args(data)->p[1])[offset] = 5;
  EXPECT_TRUE(lamina_data_intact(data, what, sizeof what)) << "the output itself may be written: " << what;
}

// What a backward pass takes from the forward pass is consistent, though no op says how.
TEST_F(Verify, BackwardInputsComeFromTheForwardPass) {
  open("max_pool/backward dx=2x3x6x7 kernel=3 stride=2 seed=5");
  const lamina_tensor *indices = lamina_data_tensor(data, 1);
  for (int64_t i = 0; i < lamina_desc_count(&indices->desc); i++) { // each inside its window of 3 by 3
    const int64_t row = i / 3 % 2, column = i % 3, at = static_cast<const int32_t *>(indices->data)[i];
    EXPECT_TRUE(at / 7 >= 2 * row && at / 7 < 2 * row + 3) << at;
    EXPECT_TRUE(at % 7 >= 2 * column && at % 7 < 2 * column + 3) << at;
  }
  lamina_data_close(data);
  open("softmax/backward y=3x5 dy=3x5");
  for (int64_t n = 0; n < 3; n++) {
    double sum = 0;
    for (int64_t c = 0; c < 5; c++) sum += at(0, 5 * n + c);
    EXPECT_NEAR(sum, 1, 1e-6);
  }
  lamina_data_close(data);
  open("relu/backward y=200/2 dy=200 dtype=bf16 fill=exact");
  int zeros = 0;
  for (int64_t i = 0; i < 200; i++) {
    EXPECT_GE(at(0, 2 * i), 0);
    zeros += at(0, 2 * i) == 0;
  }
  EXPECT_NEAR(zeros, 200 * 6 / 11, 30);
}

TEST_F(Verify, FilesAreReadAndConverted) {
  const Temporary folder;
  const std::string path = folder / "x.npy";
  const int64_t dims[] = {2, 3};
  double values[] = {1, 2, 3, 4, 5, 1.01};
  const lamina_tensor tensor = lamina_tensor_of(lamina_dense(LAMINA_F64, 2, dims), values);
  ASSERT_EQ(lamina_npy_write(path.c_str(), &tensor, nullptr), LAMINA_OK);
  const std::vector<std::string> words = {"relu/forward", "x=" + path, "dtype=bf16"};
  const char *pointers[] = {words[0].c_str(), words[1].c_str(), words[2].c_str()};
  lamina_case c;
  ASSERT_EQ(lamina_case_parse(3, pointers, nullptr, &c), LAMINA_OK) << lamina_last_error();
  ASSERT_EQ(lamina_data_open(device, &c, &data), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(at(0, 4), 5);
  EXPECT_EQ(at(0, 5), 1.0078125);
  lamina_data_close(data);
  data = nullptr;
  const lamina_tensor other = lamina_vector(LAMINA_F64, 6, values);
  ASSERT_EQ(lamina_npy_write(path.c_str(), &other, nullptr), LAMINA_OK);
  EXPECT_EQ(lamina_data_open(device, &c, &data), LAMINA_INVALID);
  EXPECT_EQ(std::string(lamina_last_error()), path + ": its shape has changed since it was looked at");
  std::remove(path.c_str());
  EXPECT_EQ(lamina_data_open(device, &c, &data), LAMINA_IO);
}

TEST_F(Verify, ExactInputsThatDoNotExistAreRefused) {
  const lamina_case c = case_of("softmax/forward x=3x5 fill=exact");
  EXPECT_FALSE(lamina_case_can_be_exact(&c));
  EXPECT_EQ(lamina_data_open(device, &c, &data), LAMINA_UNSUPPORTED);
  EXPECT_STREQ(lamina_last_error(), "softmax/forward: this problem has no exact inputs; use fill=normal");
}

// ---- Verdicts ------------------------------------------------------------------------------------------------------

TEST_F(Verify, AVerdictSaysWhatIsWrongAndHowToSeeItAgain) {
  add_wrong_engine();
  const lamina_case c = case_of("add/forward a=4x5/7,1 b=4x5 seed=3 fill=exact");
  lamina_verdict list[8];
  int count = 8;
  EXPECT_EQ(lamina_verify(device, &c, nullptr, list, &count), LAMINA_MISMATCH);
  ASSERT_GE(count, 3);
  const lamina_verdict &one = list[0], &two = list[1], &last = list[count - 1];
  EXPECT_STREQ(one.engine, "wrong");
  EXPECT_STREQ(one.variant, "one");
  EXPECT_EQ(one.status, LAMINA_MISMATCH);
  EXPECT_EQ(one.tier, LAMINA_TIER_EXACT);
  EXPECT_EQ(one.arg, 2);
  EXPECT_EQ(one.element, 19);
  EXPECT_EQ(one.got, one.expected.value + 1);
  EXPECT_EQ(one.tolerance, 0);
  EXPECT_STREQ(one.repeat, "lamina verify add/forward a=4x5/7,1 b=4x5 y=4x5 fill=exact seed=3 --engine wrong/one");
  char reason[128];
  std::snprintf(reason, sizeof reason, "y[3,4] is %g; expected %g exactly", one.got, one.got - 1);
  EXPECT_STREQ(one.reason, reason);
  EXPECT_EQ(std::string(lamina_last_error()), std::string("add/forward by wrong/one: ") + reason + "\n  " + one.repeat);
  EXPECT_EQ(two.status, LAMINA_UNSUPPORTED);
  EXPECT_TRUE(std::strstr(two.reason, "two is a crowd")) << two.reason;
  EXPECT_STREQ(last.engine, "ref");
  EXPECT_EQ(last.status, LAMINA_OK);
  EXPECT_EQ(last.elements, 20);
  EXPECT_EQ(last.arg, -1);
  EXPECT_STREQ(last.reason, "");

  // The command finds the same again.
  const std::string command = one.repeat;
  const size_t from = std::strlen("lamina verify "), option = command.find(" --engine ");
  const lamina_case again = case_of(command.substr(from, option - from));
  lamina_verify_options options = {};
  const std::string engine = command.substr(option + std::strlen(" --engine "));
  options.engine = engine.c_str();
  lamina_verdict same;
  int room = 1;
  EXPECT_EQ(lamina_verify(device, &again, &options, &same, &room), LAMINA_MISMATCH);
  EXPECT_EQ(room, 1);
  EXPECT_EQ(same.got, one.got);
  EXPECT_STREQ(same.repeat, one.repeat);
}

TEST_F(Verify, ASampleHasTheLastElements) {
  add_wrong_engine();
  const lamina_case c = case_of("add/forward a=40x50 b=40x50");
  lamina_verify_options options = {};
  options.sample = 30;
  lamina_verdict list[8];
  int count = 8;
  EXPECT_EQ(lamina_verify(device, &c, &options, list, &count), LAMINA_MISMATCH);
  EXPECT_EQ(list[0].tier, LAMINA_TIER_SAMPLE);
  EXPECT_EQ(list[0].elements, 30);
  EXPECT_EQ(list[0].element, 1999);
  EXPECT_EQ(list[count - 1].status, LAMINA_OK);
}

// The oracle is asked once; every plan is judged on the same data, whatever the one before left there.
TEST_F(Verify, PlansAreCheckedOnDataThatIsThere) {
  add_wrong_engine();
  open("sgd/update w=40x50 g=40x50 rate=1");
  lamina_case c = case_of("sgd/update w=40x50 g=40x50 rate=1");
  lamina_check *check = nullptr;
  lamina_plan *plan = nullptr;
  lamina_verdict verdict;
  ASSERT_EQ(lamina_check_open(data, 0, &check), LAMINA_OK) << lamina_last_error();
  for (const char *engine : {"ref", "loop", "ref"}) {
    lamina_plan_options options = {};
    options.engine = engine;
    ASSERT_EQ(lamina_plan_open(device, &c.problem, &options, &plan), LAMINA_OK) << lamina_last_error();
    EXPECT_EQ(lamina_check_run(check, plan, &verdict), LAMINA_OK) << verdict.reason;
    EXPECT_STREQ(verdict.engine, engine);
    EXPECT_EQ(verdict.tier, LAMINA_TIER_FULL);
    EXPECT_EQ(verdict.elements, 2000);
    lamina_plan_close(plan);
  }
  lamina_check_close(check);
  lamina_data_close(data);

  open("add/forward a=40x50 b=40x50");
  c = case_of("add/forward a=40x50 b=40x50");
  ASSERT_EQ(lamina_check_open(data, 30, &check), LAMINA_OK) << lamina_last_error();
  ASSERT_EQ(lamina_plan_open(device, &c.problem, nullptr, &plan), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(lamina_check_run(check, plan, &verdict), LAMINA_MISMATCH);
  EXPECT_EQ(verdict.status, LAMINA_MISMATCH);
  EXPECT_EQ(verdict.tier, LAMINA_TIER_SAMPLE);
  EXPECT_EQ(verdict.element, 1999);
  EXPECT_STREQ(verdict.repeat, "lamina verify add/forward a=40x50 b=40x50 y=40x50 --engine wrong/one");
  EXPECT_EQ(std::string(lamina_last_error()).rfind("add/forward by wrong/one: y[39,49] is ", 0), 0u)
      << lamina_last_error();
  lamina_plan_close(plan);
  c = case_of("add/forward a=40x51 b=40x51");
  ASSERT_EQ(lamina_plan_open(device, &c.problem, nullptr, &plan), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(lamina_check_run(check, plan, &verdict), LAMINA_INVALID);
  lamina_plan_close(plan);
  lamina_check_close(check);
}

TEST_F(Verify, EnginesThatAreNotThereAreNamed) {
  const lamina_case c = case_of("add/forward a=4 b=4");
  lamina_verify_options options = {};
  options.engine = "abacus";
  lamina_verdict verdict;
  int count = 1;
  EXPECT_EQ(lamina_verify(device, &c, &options, &verdict, &count), LAMINA_UNSUPPORTED);
  EXPECT_STREQ(lamina_last_error(), "add/forward: there is no candidate of abacus to verify");
  EXPECT_EQ(count, 0);
}

TEST_F(Verify, CasesAreOfFloatingTypes) {
  lamina_cases *cases = nullptr;
  EXPECT_EQ(lamina_cases_open(-1, LAMINA_F32, 1, nullptr, &cases), LAMINA_INVALID);
  EXPECT_EQ(lamina_cases_open(0, LAMINA_I32, 1, nullptr, &cases), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "cases are drawn for floating types, not for i32");
  lamina_cases_close(cases);
}

} // namespace
