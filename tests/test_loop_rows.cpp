// The loop engines on sizes that fill many rows and wake the team: the same as the reference's, within the oracle's
// bounds; in place; with segments that end anywhere; the same bits for one thread and for two.
#include <cmath>
#include <random>
#include <vector>

#include "on_engine.h"

namespace {

// An argument's data, kept as bytes of its type.
struct Argument {
  lamina_desc desc = {};
  std::vector<unsigned char> bytes;
};

Argument absent() { return {}; }

Argument draw(lamina_dtype dtype, std::vector<int64_t> dims, double low, double high, unsigned seed) {
  Argument a;
  a.desc = lamina_dense(dtype, static_cast<int>(dims.size()), dims.data());
  const int64_t count = lamina_desc_count(&a.desc);
  a.bytes.resize(static_cast<size_t>(count) * lamina_dtype_size(dtype));
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(low, high);
  for (int64_t i = 0; i < count; i++) lamina_store(dtype, a.bytes.data(), i, uniform(random));
  return a;
}

Argument integers(std::vector<int64_t> values) {
  Argument a = draw(LAMINA_I64, {static_cast<int64_t>(values.size())}, 0, 0, 0);
  memcpy(a.bytes.data(), values.data(), a.bytes.size());
  return a;
}

std::vector<Argument> run(const char *op, const void *descriptor, std::vector<Argument> arguments, int threads,
                          bool in_place) {
  lamina_device_options options = {};
  const std::string engine = std::string(op) + ":loop";
  options.engine = engine.c_str();
  options.threads = threads;
  lamina_device *device = nullptr;
  EXPECT_OK(lamina_device_open("cpu", &options, &device));
  const lamina_op_def *def = lamina_op_at(lamina_op_find(op));
  std::vector<lamina_tensor> tensors;
  for (Argument &a : arguments) tensors.push_back(lamina_tensor_of(a.desc, a.bytes.data()));
  std::vector<const lamina_tensor *> list;
  for (size_t i = 0; i < arguments.size(); i++) {
    if (in_place && def->args[i].alias) {
      const int with = lamina_op_arg(def, def->args[i].alias);
      tensors[i].data = tensors[static_cast<size_t>(with)].data;
    }
    list.push_back(arguments[i].desc.dtype ? &tensors[i] : nullptr);
  }
  EXPECT_OK(lamina_op_run(device, op, descriptor, list.data(), nullptr));
  for (size_t i = 0; i < arguments.size(); i++)
    if (in_place && def->args[i].alias)
      arguments[i].bytes = arguments[static_cast<size_t>(lamina_op_arg(def, def->args[i].alias))].bytes;
  lamina_device_close(device);
  return arguments;
}

// What storing may cost: half a unit in the last place, which below f16's smallest normal number is 2^-25.
double stored(lamina_dtype dtype, double value) {
  return std::fmax(lamina_dtype_roundoff(dtype) * std::fabs(value), dtype == LAMINA_F16 ? 0x1p-25 : 0);
}

// Runs `op` on the loop engine with one and two threads (and in place) and holds every output against the oracle.
void check(const char *op, const void *descriptor, const std::vector<Argument> &arguments, bool in_place = false) {
  SCOPED_TRACE(op);
  const lamina_op_def *def = lamina_op_at(lamina_op_find(op));
  lamina_problem problem;
  lamina_args args = {};
  std::vector<const lamina_desc *> shapes;
  std::vector<Argument> inputs = arguments;
  for (size_t i = 0; i < inputs.size(); i++) {
    shapes.push_back(inputs[i].desc.dtype ? &inputs[i].desc : nullptr);
    if (def->args[i].role == LAMINA_IN || def->args[i].role == LAMINA_INOUT) args.p[i] = inputs[i].bytes.data();
  }
  ASSERT_EQ(lamina_problem_init(&problem, lamina_op_find(op), descriptor, shapes.data()), LAMINA_OK);
  ASSERT_EQ(lamina_problem_infer(&problem), LAMINA_OK) << lamina_last_error();

  std::vector<std::vector<lamina_expected>> want(inputs.size());
  lamina_expected *wanted[LAMINA_MAX_ARGS] = {};
  for (size_t i = 0; i < inputs.size(); i++) {
    if (def->args[i].role == LAMINA_IN || !inputs[i].desc.dtype) continue;
    want[i].resize(static_cast<size_t>(lamina_desc_count(&inputs[i].desc)));
    wanted[i] = want[i].data();
  }
  lamina_args reading = args;
  for (size_t i = 0; i < inputs.size(); i++)
    if (def->args[i].role == LAMINA_OUT || def->args[i].role == LAMINA_SAVED) reading.p[i] = nullptr;
  std::vector<Argument> scratch = inputs; // the oracle writes inout arguments, too
  for (size_t i = 0; i < inputs.size(); i++)
    if (def->args[i].role == LAMINA_INOUT && inputs[i].desc.dtype) reading.p[i] = scratch[i].bytes.data();
  ASSERT_EQ(lamina_reference_run(&problem, &reading, wanted, 2, nullptr), LAMINA_OK);

  const std::vector<Argument> one = run(op, descriptor, arguments, 1, false),
                              two = run(op, descriptor, arguments, 2, in_place);
  for (size_t i = 0; i < inputs.size(); i++) {
    if (want[i].empty()) continue;
    EXPECT_EQ(one[i].bytes, two[i].bytes) << def->args[i].name << " depends on the number of threads";
    const lamina_dtype dtype = static_cast<lamina_dtype>(inputs[i].desc.dtype);
    for (size_t e = 0; e < want[i].size(); e++) {
      const lamina_expected &x = want[i][e];
      const double got = lamina_load(dtype, two[i].bytes.data(), static_cast<int64_t>(e)),
                   r = lamina_round(dtype, x.value);
      const double allowed = x.terms < 0 ? 0 : stored(dtype, x.value) + 4 * 0x1p-24 * x.q;
      const double off = std::fabs(got - (x.terms < 0 ? r : x.value));
      if (!(off <= allowed)) {
        ADD_FAILURE() << def->args[i].name << "[" << e << "] is " << got << ", expected " << x.value << " ± "
                      << allowed;
        break;
      }
    }
  }
}

const lamina_dtype types[] = {LAMINA_F32, LAMINA_BF16, LAMINA_F16};
const lamina_dtype mixes[][2] = {
    {LAMINA_F32, LAMINA_F32}, {LAMINA_BF16, LAMINA_BF16}, {LAMINA_F32, LAMINA_BF16}, {LAMINA_F16, LAMINA_F32}};
constexpr int64_t many = 33333; // enough for two threads, and a tail

TEST(LoopRows, Add) {
  for (const auto &[a, b] : mixes) {
    check("add/forward", nullptr, {draw(a, {many}, -2, 2, 1), draw(b, {many}, -2, 2, 2), draw(a, {many}, 9, 9, 3)},
          true);
    check("add/backward", nullptr, {draw(a, {many}, -2, 2, 1), draw(a, {many}, 9, 9, 2), draw(b, {many}, 9, 9, 3)},
          true);
  }
}

TEST(LoopRows, ScaleAndFill) {
  const lamina_scale scale = {0.3, 0};
  const lamina_fill fill = {-1.7};
  for (const lamina_dtype type : types) {
    check("scale/forward", &scale, {draw(type, {many}, -2, 2, 1), draw(type, {many}, 9, 9, 3)}, true);
    check("scale/backward", &scale, {draw(type, {many}, -2, 2, 1), draw(LAMINA_F32, {many}, 9, 9, 3)});
  }
  for (const lamina_dtype type : {LAMINA_F64, LAMINA_F32, LAMINA_BF16, LAMINA_I64, LAMINA_I32, LAMINA_U8})
    check("fill/forward", &fill, {draw(type, {many}, 9, 9, 1)});
}

TEST(LoopRows, Cast) {
  const lamina_dtype all[] = {LAMINA_F64, LAMINA_F32, LAMINA_F16, LAMINA_BF16, LAMINA_I64, LAMINA_I32, LAMINA_U8};
  for (const lamina_dtype from : all)
    for (const lamina_dtype to : all)
      check("cast/forward", nullptr, {draw(from, {many}, -600, 600, 1), draw(to, {many}, 9, 9, 2)});
}

TEST(LoopRows, Dropout) {
  const Argument rng = integers({0x0123456789abcdef, 4711});
  for (const double p : {0.0, 0.3, 0.5, 1.0})
    for (const lamina_dtype type : types) {
      lamina_dropout dropout = {};
      dropout.p = p, dropout.stream = 7;
      check("dropout/forward", &dropout, {draw(type, {many}, -2, 2, 1), rng, draw(type, {many}, 9, 9, 2)}, true);
      check("dropout/backward", &dropout, {draw(type, {many}, -2, 2, 1), rng, draw(LAMINA_F32, {many}, 9, 9, 2)});
      if (p != 0.3) continue;
      dropout.channels = 1;
      for (const int64_t area : {3, 100, 1024, 5000}) {
        const std::vector<int64_t> dims = {2, many / area, area};
        check("dropout/forward", &dropout, {draw(type, dims, -2, 2, 1), rng, draw(type, dims, 9, 9, 2)}, true);
      }
    }
}

TEST(LoopRows, Sgd) {
  const Argument rate = draw(LAMINA_F64, {1}, 0.03, 0.03, 1);
  const Argument ends = integers({1, 1000, 1024, 1024, 20000, 20001, 32768, many}),
                 decay = draw(LAMINA_F32, {8}, 0, 0.5, 2);
  for (const auto &[w, g] : mixes)
    for (const double momentum : {0.0, 0.9})
      for (const int64_t nesterov : {0, 1}) {
        const lamina_sgd sgd = {momentum, nesterov};
        const Argument wt = draw(w, {many}, -2, 2, 3), gt = draw(g, {many}, -2, 2, 4), m = draw(w, {many}, -2, 2, 5);
        for (const lamina_dtype type : types)
          check("sgd/update", &sgd, {wt, gt, m, rate, ends, decay, absent(), draw(type, {many}, 9, 9, 6)});
        if (momentum == 0)
          check("sgd/update", &sgd,
                {wt, gt, absent(), rate, absent(), draw(LAMINA_F32, {1}, 0.1, 0.1, 1), absent(), absent()});
      }
}

TEST(LoopRows, Adam) {
  const Argument rate = draw(LAMINA_F32, {1}, 0.03, 0.03, 1), step = integers({3});
  const Argument ends = integers({-4, 1500, 20000, 33000, 20}), decay = draw(LAMINA_BF16, {5}, 0, 0.5, 2);
  for (const auto &[w, g] : mixes)
    for (const int64_t decoupled : {0, 1}) {
      lamina_adam adam = {};
      adam.decoupled = decoupled;
      check("adam/update", &adam,
            {draw(w, {many}, -2, 2, 3), draw(g, {many}, -2, 2, 4), draw(w, {many}, -2, 2, 5),
             draw(w, {many}, 0.1, 2, 6), rate, step, ends, decay, absent(), draw(g, {many}, 9, 9, 7)});
    }
}

TEST(LoopRows, SoftmaxCrossEntropy) {
  const std::vector<std::vector<int64_t>> shapes = {{1, 1}, {17, 10}, {3000, 10}, {5, 2500}, {2, 3, 40, 40}, {3, 7, 5}};
  for (const std::vector<int64_t> &dims : shapes)
    for (const lamina_dtype type : {LAMINA_F32, LAMINA_BF16})
      for (const int64_t reduction : {LAMINA_REDUCTION_MEAN, LAMINA_REDUCTION_SUM, LAMINA_REDUCTION_NONE})
        for (const lamina_dtype index : {LAMINA_I64, LAMINA_I32, LAMINA_U8}) {
          if (index != LAMINA_I64 && (dims[0] != 17 || reduction != LAMINA_REDUCTION_MEAN)) continue;
          std::vector<int64_t> of_labels = dims;
          of_labels.erase(of_labels.begin() + 1);
          const std::vector<int64_t> of_y = reduction == LAMINA_REDUCTION_NONE ? of_labels : std::vector<int64_t>{1};
          const Argument labels = draw(index, of_labels, -0.49, static_cast<double>(dims[1]) - 0.51, 1);
          const Argument x = draw(type, dims, -9, 9, 2), y = draw(LAMINA_F32, of_y, 1, 2, 3),
                         prob = draw(type, dims, 0, 1, 4), weights = draw(type, {dims[1]}, 0.1, 2, 5),
                         target = draw(type, dims, 0, 1, 6);
          for (const double smoothing : {0.0, 0.25}) {
            const lamina_softmax_cross_entropy loss = {reduction, 0, dims[1] > 1, smoothing};
            const lamina_softmax_cross_entropy_target soft = {reduction, smoothing};
            const bool some = smoothing > 0;
            check("softmax_cross_entropy/forward", &loss, {x, labels, some ? weights : absent(), y, prob});
            check("softmax_cross_entropy/forward", &loss, {x, labels, some ? absent() : weights, y, absent()});
            check("softmax_cross_entropy/backward", &loss, {prob, labels, some ? weights : absent(), y, x}, true);
            check("softmax_cross_entropy/backward", &loss, {prob, labels, some ? absent() : weights, y, x});
            check("softmax_cross_entropy_target/forward", &soft, {x, target, some ? absent() : weights, y, prob});
            check("softmax_cross_entropy_target/backward", &soft, {prob, target, some ? weights : absent(), y, x},
                  true);
          }
        }
}

TEST(LoopRows, TopK) {
  for (const lamina_dtype type : {LAMINA_F32, LAMINA_BF16})
    for (const int64_t k : {1, 5}) {
      const lamina_top_k top_k = {k};
      const Argument hits = integers({-1});
      check("top_k/forward", &top_k, {draw(type, {5000, 10}, -2, 2, 1), draw(LAMINA_U8, {5000}, 0, 9, 2), hits});
      check("top_k/forward", &top_k, {draw(type, {3, 1000, 7}, -2, 2, 1), draw(LAMINA_I32, {3, 7}, 0, 999, 2), hits});
    }
}

TEST(LoopRows, F64IsRefusedWithAReason) {
  lamina_device *device = nullptr;
  EXPECT_OK(lamina_device_open("cpu", nullptr, &device));
  const int64_t dims[] = {4};
  const lamina_desc x = lamina_dense(LAMINA_F64, 1, dims), y = lamina_infer(LAMINA_NONE);
  const lamina_desc *shapes[] = {&x, &y};
  lamina_problem problem;
  lamina_plan *plan = nullptr;
  EXPECT_OK(lamina_problem_init(&problem, lamina_op_find("scale/forward"), nullptr, shapes));
  EXPECT_OK(lamina_plan_open(device, &problem, nullptr, &plan));
  EXPECT_STREQ(lamina_plan_engine(plan), "ref");
  EXPECT_NE(std::string(lamina_plan_explain(plan)).find("loop: no, it takes f32, bf16 and f16"), std::string::npos)
      << lamina_plan_explain(plan);
  lamina_plan_close(plan);
  lamina_device_close(device);
}

} // namespace
