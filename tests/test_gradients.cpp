// Every backward pass of every family against central differences in f64. Names bind: dx is the gradient of x in
// sum(dy * y), so the test is the same for all and finds new families by itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/philox.h"

extern "C" {
#include "core/verify.h"
}

namespace {

using Buffer = std::vector<double>; // integers lie in it, too, eight bytes each

std::string family_of(const lamina_op_def *op) {
  return std::string(op->name).substr(0, std::string(op->name).find('/'));
}

std::vector<int> backward_ops() {
  std::vector<int> ops;
  for (int id = 0; lamina_op_at(id); id++) {
    const std::string family = family_of(lamina_op_at(id)), name = lamina_op_at(id)->name;
    if (lamina_op_find((family + "/forward").c_str()) >= 0 && name.rfind(family + "/backward", 0) == 0)
      ops.push_back(id);
  }
  return ops;
}

// A pass with its data: dense, everything floating in f64.
struct Pass {
  lamina_problem problem = {};
  const lamina_op_def *op = nullptr;
  std::vector<Buffer> data = std::vector<Buffer>(LAMINA_MAX_ARGS);

  bool open(const lamina_problem &from) {
    problem = from;
    problem.aliased = 0;
    op = lamina_op_at(problem.op);
    for (int i = 0; op->args[i].name; i++) {
      lamina_desc &desc = problem.arg[i];
      if (op->args[i].role != LAMINA_IN && !desc.dtype) desc = lamina_infer(LAMINA_NONE); // all that it could give
      if (desc.rank < 0 || !desc.dtype) continue;
      const auto dtype = static_cast<lamina_dtype>(desc.dtype);
      if (!lamina_dtype_is_floating(dtype) && op->args[i].type != LAMINA_INTEGER) return false;
      desc = lamina_dense(op->args[i].type == LAMINA_INTEGER ? dtype : LAMINA_F64, desc.rank, desc.dims);
    }
    if (lamina_problem_infer(&problem)) return false;
    for (int i = 0; op->args[i].name; i++)
      if (problem.arg[i].dtype) data[i].resize(static_cast<size_t>(lamina_desc_count(&problem.arg[i])));
    return true;
  }

  bool has(int arg) const { return arg >= 0 && problem.arg[arg].dtype; }
  int arg(const std::string &name) const { return lamina_op_arg(op, name.c_str()); }

  void fill(int i, const lamina_fill_def &how, uint64_t seed) {
    lamina_fill_values(&problem.arg[i], data[i].data(), &how, seed, static_cast<uint32_t>(i), 1);
  }

  void run() {
    lamina_args args = {};
    for (int i = 0; op->args[i].name; i++)
      if (has(i)) args.p[i] = data[i].data();
    ASSERT_EQ(lamina_reference_run(&problem, &args, nullptr, 1, nullptr), LAMINA_OK) << lamina_last_error();
  }
};

// What forward's outputs that have a dy gain when element `index` of its argument `of` goes h up and h down, by 2h.
double difference(Pass &forward, const Pass &backward, int of, size_t index, double h) {
  double &x = forward.data[of][index];
  const double middle = x;
  std::vector<Buffer> above;
  double sum = 0;
  x = middle + h;
  forward.run();
  above = forward.data;
  x = middle - h;
  forward.run();
  for (int y = 0; forward.op->args[y].name; y++) {
    const int dy = backward.arg(std::string("d") + forward.op->args[y].name);
    if (forward.op->args[y].role == LAMINA_IN || !backward.has(dy)) continue;
    for (size_t i = 0; i < forward.data[y].size(); i++)
      sum += backward.data[dy][i] * (above[y][i] - forward.data[y][i]);
  }
  x = middle;
  return sum / (2 * h);
}

// The gradient, by Richardson's extrapolation: a normalisation of two numbers that are close bends on a scale of their
// distance, where h^2 alone is too large an error.
double slope(Pass &forward, const Pass &backward, int of, size_t index) {
  const double h = 2e-5 * std::max(1.0, std::fabs(forward.data[of][index]));
  return (4 * difference(forward, backward, of, index, h / 2) - difference(forward, backward, of, index, h)) / 3;
}

class Gradients : public testing::TestWithParam<int> {
protected:
  // Compares some elements of every gradient of one case; counts them.
  void check(const lamina_case &c) {
    Pass forward, backward;
    lamina_problem later;
    if (!forward.open(c.problem) || !lamina_later_pass(&forward.problem, GetParam(), &later)) return;
    if (!backward.open(later)) return;
    lamina_fill_def fill[LAMINA_MAX_ARGS] = {}, normal = {};
    if (forward.op->fills) forward.op->fills(&forward.problem, false, fill);
    for (int i = 0; forward.op->args[i].name; i++)
      if (forward.has(i) && forward.op->args[i].role == LAMINA_IN) forward.fill(i, fill[i], c.seed);
    forward.run();
    for (int i = 0; backward.op->args[i].name; i++) {
      const int same = forward.arg(backward.op->args[i].name);
      if (forward.has(same))
        backward.data[i] = forward.data[same];
      else if (backward.op->args[i].role == LAMINA_IN)
        backward.fill(i, normal, c.seed + 1);
    }
    backward.run();
    for (int i = 0; backward.op->args[i].name && !HasFailure(); i++)
      if (backward.op->args[i].role != LAMINA_IN && backward.has(i)) compare(forward, backward, i, c);
  }

  void compare(Pass &forward, const Pass &backward, int dx, const lamina_case &c) {
    const std::string name = backward.op->args[dx].name;
    const int x = forward.arg(name.substr(1));
    ASSERT_TRUE(name[0] == 'd' && x >= 0) << name << " is the gradient of nothing";
    if (!forward.has(x)) { // an optional input's that isn't there
      ASSERT_TRUE(backward.op->args[dx].optional) << name;
      return;
    }
    const Buffer &all = backward.data[dx];
    for (uint64_t n = 0; n < std::min<size_t>(all.size(), 16); n++) {
      const size_t i = all.size() <= 16 ? n : philox_word(c.seed, n, 99, 0) % all.size();
      const double want = slope(forward, backward, x, i);
      char text[1024];
      ASSERT_NEAR(all[i], want, 2e-7 * std::max(1.0, std::fabs(want)))
          << name << " at " << i << " in " << lamina_problem_text(&backward.problem, text, sizeof text);
      elements++;
      nonzero += std::fabs(want) > 1e-3;
    }
    forward.run(); // back to the middle
  }

  int elements = 0, nonzero = 0;
};

bool small(const lamina_problem &problem) {
  double flops, bytes;
  lamina_problem_work(&problem, &flops, &bytes);
  return flops < 1e5 && bytes < 3e4;
}

TEST_P(Gradients, AreSlopes) {
  const lamina_op_def *op = lamina_op_at(GetParam());
  lamina_cases *cases = nullptr;
  const int forward = lamina_op_find((family_of(op) + "/forward").c_str());
  ASSERT_EQ(lamina_cases_open(forward, LAMINA_F64, 11, nullptr, &cases), LAMINA_OK);
  int checked = 0;
  for (int i = 0; i < 200 && checked < 20 && !HasFailure(); i++) {
    lamina_case c;
    const int before = elements;
    ASSERT_EQ(lamina_cases_next(cases, &c), LAMINA_OK) << lamina_last_error();
    if (small(c.problem)) check(c);
    checked += elements > before;
  }
  lamina_cases_close(cases);
  std::printf("%s: %d elements of %d cases, %d of them not 0\n", op->name, elements, checked, nonzero);
  EXPECT_GE(checked, 20);
  EXPECT_GT(nonzero, 20);
}

std::string name_of(const testing::TestParamInfo<int> &info) {
  std::string name = lamina_op_at(info.param)->name;
  std::replace(name.begin(), name.end(), '/', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, Gradients, testing::ValuesIn(backward_ops()), name_of);

} // namespace
