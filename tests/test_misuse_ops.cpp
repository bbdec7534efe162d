// Every op with one argument or attribute at a time that doesn't fit: each is a status and a sentence that names it.
#include <algorithm>
#include <cstring>
#include <functional>

#include "misuse/world.h"

// Sizes that no memory holds are a NULL of the allocator, as without AddressSanitizer.
extern "C" const char *__asan_default_options() { return "allocator_may_return_null=1"; }

namespace {

class Ops : public testing::TestWithParam<int> {
protected:
  void SetUp() override {
    OK(lamina_device_open("cpu", nullptr, &device));
    OK(lamina_device_open("cpu", nullptr, &other));
    OK(lamina_stream_open(other, &stream));
    op = lamina_op_at(GetParam());
    lamina_cases *cases = nullptr;
    OK(lamina_cases_open(GetParam(), LAMINA_F32, 1, nullptr, &cases));
    bool found = false;
    for (int i = 0; i < 200 && !found; i++) {
      lamina_data_close(data), data = nullptr;
      OK(lamina_cases_next(cases, &c));
      OK(lamina_data_open(device, &c, &data));
      found = usable();
    }
    lamina_cases_close(cases);
    ASSERT_TRUE(found) << op->name;
    OK(run());
  }
  void TearDown() override {
    lamina_data_close(data);
    lamina_stream_close(stream);
    lamina_device_close(other);
    lamina_device_close(device);
  }

  // Nothing empty, nothing on another's memory; the tensors of the case to play with.
  bool usable() {
    bool fits = c.problem.aliased == 0;
    for (int i = 0; op->args[i].name; i++) {
      const lamina_tensor *from = lamina_data_tensor(data, i);
      given[i] = from ? &tensor[i] : nullptr;
      if (from) tensor[i] = *from;
      fits &= !from || lamina_desc_count(&from->desc) > 0;
    }
    return fits;
  }
  lamina_status run(lamina_stream *on = nullptr) {
    forget_error();
    return lamina_op_run(device, op->name, c.problem.attr, given, on);
  }
  // With argument `arg` as `spoil` makes it.
  void expect_bad(int arg, const std::string &what, const std::function<void(lamina_tensor &)> &spoil,
                  std::vector<std::string> words = {}) {
    const lamina_tensor kept = tensor[arg];
    spoil(tensor[arg]);
    words.push_back(op->name);
    words.push_back(op->args[arg].name);
    expect_said(run(), LAMINA_INVALID, words, std::string(op->name) + ": " + op->args[arg].name + " " + what);
    tensor[arg] = kept;
  }
  static bool runs_back(const lamina_desc &desc) {
    return std::any_of(desc.strides, desc.strides + desc.rank, [](int64_t stride) { return stride < 0; });
  }
  bool is_output(int arg) const { return op->args[arg].role != LAMINA_IN; }

  lamina_device *device = nullptr, *other = nullptr;
  lamina_stream *stream = nullptr;
  const lamina_op_def *op = nullptr;
  lamina_case c = {};
  lamina_data *data = nullptr;
  lamina_tensor tensor[LAMINA_MAX_ARGS] = {};
  const lamina_tensor *given[LAMINA_MAX_ARGS] = {};
};

TEST_P(Ops, ArgumentsThatDoNotFitAreNamed) {
  for (int i = 0; op->args[i].name; i++) {
    if (!given[i]) continue;
    const lamina_arg_def &arg = op->args[i];
    if (!arg.optional) {
      given[i] = nullptr;
      expect_said(run(), LAMINA_INVALID, {op->name, arg.name}, std::string(op->name) + " without " + arg.name);
      given[i] = &tensor[i];
    }
    expect_bad(i, "of no known type", [](lamina_tensor &t) { t.desc.dtype = 99; }, {"element type 99"});
    expect_bad(i, "of type -1", [](lamina_tensor &t) { t.desc.dtype = -1; }, {"element type -1"});
    if (arg.type != LAMINA_ANY)
      expect_bad(i, "of the wrong kind of type",
                 [&](lamina_tensor &t) { t.desc.dtype = arg.type == LAMINA_FLOATING ? LAMINA_I32 : LAMINA_F32; },
                 {"expected"});
    for (const int rank : {9, INT_MAX, -2, INT_MIN})
      expect_bad(i, "of rank " + std::to_string(rank), [&](lamina_tensor &t) { t.desc.rank = rank; },
                 {"expected 0 to 8"});
    if (tensor[i].desc.rank)
      expect_bad(i, "with a negative axis", [](lamina_tensor &t) { t.desc.dims[0] = -1; }, {"negative"});
    expect_bad(i, "too large to address",
               [](lamina_tensor &t) {
                 t.desc.rank = 2, t.desc.layout = 0;
                 t.desc.dims[0] = t.desc.dims[1] = HUGE_SIZE;
                 t.desc.strides[0] = HUGE_SIZE, t.desc.strides[1] = 1;
               },
               {"overflows"});
    expect_bad(i, "with a stride that overflows",
               [](lamina_tensor &t) {
                 t.desc.rank = 1, t.desc.layout = 0;
                 t.desc.dims[0] = 2, t.desc.strides[0] = INT64_MIN;
               },
               {"overflows"});
    expect_bad(i, "aligned to 3", [](lamina_tensor &t) { t.desc.align = 3; }, {"power of two"});
    expect_bad(i, "aligned to -8", [](lamina_tensor &t) { t.desc.align = -8; }, {"power of two"});
    expect_bad(i, "in a layout", [](lamina_tensor &t) { t.desc.layout = -2; }, {"layout"});
    expect_bad(i, "in a device's memory", [](lamina_tensor &t) { t.memory = LAMINA_MEMORY_DEVICE; }, {"device memory"});
    expect_bad(i, "in no memory", [](lamina_tensor &t) { t.memory = static_cast<lamina_memory>(77); }, {"kind 77"});
    expect_bad(i, "without data", [](lamina_tensor &t) { t.data = nullptr; }, {"NULL"});
    if (!is_output(i)) continue;
    for (int d = 0; d < tensor[i].desc.rank; d++)
      if (tensor[i].desc.dims[d] > 1)
        expect_bad(i, "on itself", [&](lamina_tensor &t) { t.desc.layout = 0, t.desc.strides[d] = 0; },
                   {"may not overlap"});
  }
}

TEST_P(Ops, OutputsOnOtherArgumentsAreNamed) {
  for (int i = 0; op->args[i].name; i++)
    for (int j = 0; op->args[j].name; j++) {
      const bool may = op->args[i].alias && strcmp(op->args[i].alias, op->args[j].name) == 0;
      if (i == j || !given[i] || !given[j] || !is_output(i)) continue;
      if (is_output(j) && op->args[j].alias && strcmp(op->args[j].alias, op->args[i].name) == 0) continue;
      const size_t past = may ? 1 : 0; // an alias begins where the input does
      if (may && lamina_desc_bytes(&tensor[j].desc) < 2 * int64_t(lamina_dtype_size(LAMINA_F64))) continue;
      if (may && runs_back(tensor[j].desc)) continue; // what lies behind its first element isn't its own
      expect_bad(i, std::string("on ") + op->args[j].name,
                 [&](lamina_tensor &t) {
                   t.data = static_cast<char *>(tensor[j].data) +
                            past * lamina_dtype_size(static_cast<lamina_dtype>(tensor[j].desc.dtype));
                   if (may) t.desc = lamina_dense(static_cast<lamina_dtype>(t.desc.dtype), t.desc.rank, t.desc.dims);
                 },
                 {"overlaps"});
    }
}

TEST_P(Ops, AttributesThatDoNotFitAreNamed) {
  for (const lamina_attr_def *attr = op->attrs; attr->name; attr++) {
    const auto expect_attr = [&](const char *what, int64_t integer, double real) {
      lamina_problem bad = c.problem;
      const int64_t one = 1;
      if (attr->has) memcpy(bad.attr + attr->has, &one, sizeof one);
      if (attr->type == LAMINA_ATTR_REAL)
        memcpy(bad.attr + attr->offset, &real, sizeof real);
      else
        memcpy(bad.attr + attr->offset, &integer, sizeof integer);
      forget_error();
      expect_said(lamina_problem_infer(&bad), LAMINA_INVALID, {op->name, attr->name},
                  std::string(op->name) + ": " + attr->name + " " + what);
    };
    const bool choice = attr->type == LAMINA_ATTR_ENUM || attr->type == LAMINA_ATTR_BOOL;
    const bool bounded = attr->least != 0 || attr->most != 0;
    if (attr->type == LAMINA_ATTR_REAL) expect_attr("not a number", 0, NAN);
    if (choice) expect_attr("of no choice", 99, 99), expect_attr("below all choices", -1, -1);
    const bool preset = !attr->has && attr->least > 0.5 && attr->least < 1.5; // one less is 0, which means the preset
    const double below = preset ? -1 : attr->least - 1;
    if (!choice && bounded && attr->least > -1e15) expect_attr("too small", static_cast<int64_t>(below), below);
    if (!choice && bounded && attr->most < 1e15)
      expect_attr("too large", static_cast<int64_t>(attr->most) + 1, attr->most + 1);
  }
}

TEST_P(Ops, ProblemsThatMakeNoSenseAreSaid) {
  const auto expect_problem = [&](const char *word, const std::function<void(lamina_problem &)> &spoil) {
    lamina_problem bad = c.problem;
    lamina_plan *plan = nullptr;
    char text[64];
    spoil(bad);
    forget_error();
    expect_said(lamina_plan_open(device, &bad, nullptr, &plan), LAMINA_INVALID, {word}, op->name);
    EXPECT_EQ(plan, nullptr);
    (void)lamina_problem_text(&bad, text, sizeof text);
    lamina_problem_work(&bad, nullptr, nullptr);
  };
  expect_problem("there is no op number 99999", [](lamina_problem &p) { p.op = 99999; });
  expect_problem("there is no op number -1", [](lamina_problem &p) { p.op = -1; });
  expect_problem("math is 99", [](lamina_problem &p) { p.math = 99; });
  expect_problem("math is -1", [](lamina_problem &p) { p.math = -1; });
  expect_problem("flags is 0x80", [](lamina_problem &p) { p.flags = 0x80; });
  expect_problem("aliased is 0x80000000", [](lamina_problem &p) { p.aliased = 0x80000000u; });
  expect_said(run(stream), LAMINA_INVALID, {op->name, "stream is one of another device"}, op->name);
}

// Sizes that no memory holds: whether it can be planned or not, it is said and nothing is touched.
TEST_P(Ops, HugeSizesArePlannedOrRefused) {
  for (int i = 0; op->args[i].name; i++)
    for (int d = 0; given[i] && d < tensor[i].desc.rank; d++)
      for (const int64_t size : {HUGE_SIZE, int64_t(INT32_MAX), int64_t(INT32_MAX) + 1}) {
        lamina_problem big = c.problem;
        lamina_plan *plan = nullptr;
        lamina_desc &desc = big.arg[i];
        desc.dims[d] = size;
        desc = lamina_dense(static_cast<lamina_dtype>(desc.dtype), desc.rank, desc.dims);
        for (int j = 0; op->args[j].name; j++) // outputs as they follow, where they can
          if (j != i && is_output(j) && op->args[j].role != LAMINA_INOUT && given[j])
            big.arg[j] = lamina_infer(static_cast<lamina_dtype>(big.arg[j].dtype));
        forget_error();
        if (lamina_plan_open(device, &big, nullptr, &plan)) {
          EXPECT_NE(std::string(lamina_last_error()), "nothing was said");
        }
        lamina_plan_close(plan);
      }
}

std::vector<int> all_ops() {
  std::vector<int> ids;
  for (int id = 0; lamina_op_at(id); id++) ids.push_back(id);
  return ids;
}
INSTANTIATE_TEST_SUITE_P(Misuse, Ops, testing::ValuesIn(all_ops()), [](const testing::TestParamInfo<int> &info) {
  std::string name = lamina_op_at(info.param)->name;
  for (char &letter : name)
    if (letter == '/') letter = '_';
  return name;
});

} // namespace
