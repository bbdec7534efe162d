// The loop engines against the oracle over small odd shapes: exact inputs to the bit where the op has them, normal ones
// within DESIGN's tolerance.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "lamina/lamina.h"
#include "values.h"

namespace {

using Dims = std::vector<int64_t>;

struct Arg {
  lamina_dtype dtype; // NONE: absent
  Dims dims;          // ignored for an output that is inferred
  bool infer = false;
};

class Loop : public testing::TestWithParam<lamina_dtype> {
protected:
  void SetUp() override {
    lamina_device_options options = {};
    options.threads = 3;
    ASSERT_EQ(lamina_device_open("cpu", &options, &device), LAMINA_OK) << lamina_last_error();
  }
  void TearDown() override { lamina_device_close(device); }

  // The shapes of inputs, outputs left to be inferred unless given.
  void check(const char *op, const void *attr, const std::vector<Arg> &shapes) {
    for (const bool exact : {false, true}) check_fill(op, attr, shapes, exact);
  }

  void check_fill(const char *name, const void *attr, const std::vector<Arg> &shapes, bool exact) {
    const int id = lamina_op_find(name);
    ASSERT_GE(id, 0) << name;
    const lamina_op_def *op = lamina_op_at(id);
    std::vector<lamina_desc> descs;
    for (const Arg &a : shapes)
      descs.push_back(a.infer ? lamina_infer(a.dtype)
                              : lamina_dense(a.dtype, static_cast<int>(a.dims.size()), a.dims.data()));
    std::vector<const lamina_desc *> pointers;
    for (size_t i = 0; i < shapes.size(); i++) pointers.push_back(shapes[i].dtype ? &descs[i] : nullptr);
    lamina_problem problem;
    ASSERT_EQ(lamina_problem_init(&problem, id, attr, pointers.data()), LAMINA_OK) << lamina_last_error();
    ASSERT_EQ(lamina_problem_infer(&problem), LAMINA_OK) << lamina_last_error();
    std::string text = name;
    char shape[256];
    for (size_t i = 0; i < shapes.size(); i++)
      text += std::string(" ") + lamina_desc_text(&problem.arg[i], shape, sizeof shape);
    SCOPED_TRACE(text);

    lamina_fill_def fill[LAMINA_MAX_ARGS] = {};
    if (!op->fills && exact) return;
    if (op->fills && !op->fills(&problem, exact, fill)) return;
    std::vector<Tensor> tensors;
    lamina_args args = {};
    for (int i = 0; op->args[i].name; i++) {
      const lamina_desc &d = problem.arg[i];
      if (d.dtype == LAMINA_NONE) {
        tensors.emplace_back(LAMINA_F32, Dims{1});
        continue;
      }
      Tensor t(static_cast<lamina_dtype>(d.dtype), Dims(d.dims, d.dims + d.rank));
      for (int64_t k = 0; k < t.count() && op->args[i].role == LAMINA_IN; k++) {
        const double v = fill[i].kind == lamina_fill_def::LAMINA_FILL_INTEGERS
                             ? std::uniform_int_distribution<int64_t>(static_cast<int64_t>(fill[i].low),
                                                                      static_cast<int64_t>(fill[i].high))(random)
                             : 2 * std::normal_distribution<double>()(random);
        lamina_store(static_cast<lamina_dtype>(d.dtype), t.data(), k, v);
      }
      tensors.push_back(std::move(t));
    }
    std::vector<std::vector<lamina_expected>> want(tensors.size());
    lamina_expected *wants[LAMINA_MAX_ARGS] = {};
    for (size_t i = 0; i < tensors.size(); i++) {
      args.p[i] = problem.arg[i].dtype ? tensors[i].data() : nullptr;
      if (op->args[i].role == LAMINA_IN || !args.p[i]) continue;
      want[i].resize(static_cast<size_t>(tensors[i].count()));
      wants[i] = want[i].data();
    }
    lamina_args inputs = args;
    for (size_t i = 0; i < tensors.size(); i++)
      if (op->args[i].role != LAMINA_IN) inputs.p[i] = nullptr;
    ASSERT_EQ(lamina_reference_run(&problem, &inputs, wants, 1, nullptr), LAMINA_OK) << lamina_last_error();

    lamina_plan *plan;
    lamina_plan_options options = {};
    options.engine = "loop";
    ASSERT_EQ(lamina_plan_open(device, &problem, &options, &plan), LAMINA_OK) << lamina_last_error();
    std::vector<char> room(lamina_plan_workspace(plan) + 64, static_cast<char>(0xCD));
    void *workspace = reinterpret_cast<void *>((reinterpret_cast<uintptr_t>(room.data()) + 63) / 64 * 64);
    EXPECT_EQ(lamina_plan_run(plan, &args, workspace, nullptr), LAMINA_OK) << lamina_last_error();
    lamina_plan_close(plan);
    for (size_t i = 0; i < tensors.size(); i++)
      for (size_t k = 0; k < want[i].size(); k++) {
        const lamina_dtype dtype = static_cast<lamina_dtype>(problem.arg[i].dtype);
        const double got = tensors[i].at(static_cast<int64_t>(k));
        const lamina_expected &e = want[i][k];
        if (exact || e.terms < 0) {
          ASSERT_EQ(got, lamina_round(dtype, e.value)) << op->args[i].name << " " << k;
          continue;
        }
        const double acc = 0x1p-24;
        const double bound = e.terms ? std::sqrt(static_cast<double>(e.terms)) * (e.q + std::fabs(e.value)) : e.q;
        const double tolerance = lamina_dtype_roundoff(dtype) * std::fabs(e.value) + 4 * acc * bound;
        ASSERT_LE(std::fabs(got - e.value), tolerance)
            << op->args[i].name << " " << k << " is " << got << ", not " << e.value;
      }
  }

  lamina_dtype T() const { return GetParam(); }
  lamina_device *device = nullptr;
  std::mt19937_64 random{7};
};

const std::vector<Dims> shapes = {{1}, {7}, {3, 5}, {2, 3, 17, 33}, {40000}};

TEST_P(Loop, Activations) {
  for (const char *family : {"relu", "sigmoid", "tanh"})
    for (const Dims &d : shapes) {
      check((std::string(family) + "/forward").c_str(), nullptr, {{T(), d}, {T(), {}, true}});
      check((std::string(family) + "/backward").c_str(), nullptr, {{T(), d}, {T(), d}, {T(), {}, true}});
    }
}

INSTANTIATE_TEST_SUITE_P(Types, Loop, testing::Values(LAMINA_F32, LAMINA_BF16),
                         [](const auto &info) { return std::string(lamina_dtype_name(info.param)); });

} // namespace
