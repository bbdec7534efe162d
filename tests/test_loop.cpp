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

  // The shape of a pool's output.
  static Dims outputs(const char *op, const lamina_pool &pool, const Dims &dims) {
    const lamina_desc x = lamina_dense(LAMINA_F32, static_cast<int>(dims.size()), dims.data()),
                      y = lamina_infer(LAMINA_F32);
    const lamina_desc *args[] = {&x, &y, nullptr};
    lamina_problem problem;
    EXPECT_EQ(lamina_problem_init(&problem, lamina_op_find(op), &pool, args), LAMINA_OK);
    EXPECT_EQ(lamina_problem_infer(&problem), LAMINA_OK) << lamina_last_error();
    return Dims(problem.arg[1].dims, problem.arg[1].dims + problem.arg[1].rank);
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

lamina_pool pool_of(Dims kernel, Dims stride, Dims pad, bool ceil = false, bool count_pad = false) {
  lamina_pool pool = {};
  for (size_t a = 0; a < kernel.size(); a++) pool.kernel[a] = kernel[a];
  for (size_t a = 0; a < stride.size(); a++) pool.stride[a] = stride[a];
  for (size_t a = 0; a < pad.size(); a++) pool.pad[a / 2][a % 2] = pad[a];
  pool.ceil_mode = ceil, pool.count_pad = count_pad;
  return pool;
}

struct PoolCase {
  Dims x;
  lamina_pool pool;
};

const PoolCase pools[] = {
    {{2, 3, 13}, pool_of({3}, {2}, {1, 1})},
    {{1, 2, 40}, pool_of({7}, {1}, {3, 6}, true)},
    {{2, 3, 8, 8}, pool_of({2, 2}, {}, {})},
    {{3, 5, 28, 28}, pool_of({2, 2}, {}, {})},
    {{3, 4, 55, 55}, pool_of({3, 3}, {2, 2}, {})},
    {{2, 64, 27, 27}, pool_of({3, 3}, {2, 2}, {}, true)},
    {{1, 3, 13, 17}, pool_of({3, 3}, {2, 2}, {1, 0, 0, 1}, true)},
    {{1, 3, 13, 17}, pool_of({3, 3}, {2, 2}, {1, 0, 0, 1}, true, true)},
    {{1, 3, 13, 17}, pool_of({3, 2}, {1, 1}, {2, 2, 1, 1}, false, true)},
    {{1, 2, 11, 23}, pool_of({2, 3}, {3, 5}, {1, 1, 2, 0}, true, true)},
    {{1, 1, 9, 9}, pool_of({5, 5}, {1, 1}, {4, 4, 4, 4})},
    {{1, 2, 30, 31}, pool_of({5, 5}, {3, 4}, {2, 2, 1, 4}, true)},
    {{2, 3, 6, 6}, pool_of({6, 6}, {}, {})},
    {{1, 1, 1, 1}, pool_of({1, 1}, {}, {})},
    {{1, 1, 300, 301}, pool_of({3, 3}, {2, 2}, {1, 1, 1, 1})},
    {{2, 2, 5, 6, 7}, pool_of({2, 2, 2}, {}, {})},
    {{1, 2, 7, 9, 15}, pool_of({3, 3, 3}, {2, 2, 2}, {1, 1, 1, 1, 1, 1}, true, true)},
    {{1, 1, 4, 4, 40}, pool_of({2, 3, 9}, {1, 2, 3}, {1, 0, 1, 2, 8, 3}, true)},
};

TEST_P(Loop, MaxPools) {
  for (const PoolCase &c : pools) {
    check("max_pool/forward", &c.pool, {{T(), c.x}, {T(), {}, true}, {LAMINA_I32, {}, true}});
    check("max_pool/forward", &c.pool, {{T(), c.x}, {T(), {}, true}, {LAMINA_NONE, {}}});
    const Dims y = outputs("max_pool/forward", c.pool, c.x);
    check("max_pool/backward", &c.pool, {{T(), y}, {LAMINA_I32, y}, {T(), c.x}});
  }
}

TEST_P(Loop, AvgPools) {
  for (const PoolCase &c : pools) {
    check("avg_pool/forward", &c.pool, {{T(), c.x}, {T(), {}, true}});
    check("avg_pool/backward", &c.pool, {{T(), outputs("avg_pool/forward", c.pool, c.x)}, {T(), c.x}});
  }
}

TEST_P(Loop, Biases) {
  for (const Dims &d : std::vector<Dims>{{3, 5, 7}, {2, 3, 70, 70}, {65, 5, 13, 13}, {64, 3, 1, 1}, {2, 2, 3, 4, 5}})
    check("conv/backward_bias", nullptr, {{T(), d}, {T(), {}, true}});
  for (const Dims &d : std::vector<Dims>{{1, 1}, {37, 300}, {500, 257}, {70000, 1}})
    check("fc/backward_bias", nullptr, {{T(), d}, {LAMINA_F32, {}, true}});
}

TEST_P(Loop, Softmaxes) {
  const std::vector<Dims> all = {{1, 1},    {3, 10},   {5, 16},         {2, 1000},
                                 {4, 5001}, {3, 7, 9}, {2, 21, 13, 17}, {2, 300, 70}};
  for (const char *family : {"softmax", "log_softmax"})
    for (const Dims &d : all)
      for (int64_t axis = 0; axis < static_cast<int64_t>(d.size()); axis++) {
        const lamina_softmax attr = {axis, 1};
        check((std::string(family) + "/forward").c_str(), &attr, {{T(), d}, {T(), {}, true}});
        check((std::string(family) + "/backward").c_str(), &attr, {{T(), d}, {T(), d}, {T(), {}, true}});
      }
}

INSTANTIATE_TEST_SUITE_P(Types, Loop, testing::Values(LAMINA_F32, LAMINA_BF16),
                         [](const auto &info) { return std::string(lamina_dtype_name(info.param)); });

} // namespace
