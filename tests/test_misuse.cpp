// Calls that a program must not make: each is a status and a sentence that names what is wrong, and none crashes.
//
//   every function     with nothing at all: public.inc lists them, made from the headers
//   every op           with one argument or attribute at a time that doesn't fit
//   the table below    what is special about the other functions; one that is missing there is an error of its own
#include <gtest/gtest.h>

#include <climits>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "lamina/lamina.h"
#include "temporary.h"

// Sizes that no memory holds are a NULL of the allocator, as without AddressSanitizer.
extern "C" const char *__asan_default_options() { return "allocator_may_return_null=1"; }

namespace {

#define OK(call) ASSERT_EQ(call, LAMINA_OK) << lamina_last_error()

constexpr int64_t HUGE_SIZE = int64_t(1) << 40;

bool contains(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

void forget_error() { (void)lamina_error(LAMINA_OK, "nothing was said"); }

void expect_said(lamina_status status, lamina_status want, const std::vector<std::string> &words,
                 const std::string &call) {
  EXPECT_EQ(lamina_status_name(status), std::string(lamina_status_name(want))) << call << "\n" << lamina_last_error();
  if (status == LAMINA_OK) return;
  for (const std::string &word : words)
    EXPECT_TRUE(contains(lamina_last_error(), word)) << call << "\nsaid: " << lamina_last_error() << "\nnot: " << word;
}

// ---- Every function, with nothing ------------------------------------------------------------------------------------

std::map<std::string, bool> &functions() { // and whether they return a status
  static std::map<std::string, bool> all;
  return all;
}

template <class R, class... A> void call_with_nothing(const std::string &name, R (*function)(A...)) {
  functions()[name] = std::is_same<R, lamina_status>::value;
  forget_error();
  if constexpr (std::is_same<R, lamina_status>::value)
    expect_said(function(A{}...), LAMINA_INVALID, {" is NULL"}, name + " with nothing");
  else
    (void)function(A{}...);
}
template <class R, class... A> void call_with_nothing(const std::string &name, R (*function)(A..., ...)) {
  functions()[name] = false; // lamina_error, which gives back what it is given
  (void)function(A{}...);
}

void call_all_with_nothing() {
#define PUBLIC(name) call_with_nothing(#name, name);
#include "public.inc"
#undef PUBLIC
}

TEST(Misuse, EveryFunctionTakesNothingForAnAnswer) {
  call_all_with_nothing();
  EXPECT_GT(functions().size(), 300u);
}

// ---- Every op, one wrong thing at a time -----------------------------------------------------------------------------

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
                 t.desc.rank = 2;
                 t.desc.dims[0] = t.desc.dims[1] = HUGE_SIZE;
                 t.desc.strides[0] = HUGE_SIZE, t.desc.strides[1] = 1;
               },
               {"overflows"});
    expect_bad(i, "with a stride that overflows",
               [](lamina_tensor &t) {
                 t.desc.rank = 1;
                 t.desc.dims[0] = 2, t.desc.strides[0] = INT64_MIN;
               },
               {"overflows"});
    expect_bad(i, "aligned to 3", [](lamina_tensor &t) { t.desc.align = 3; }, {"power of two"});
    expect_bad(i, "aligned to -8", [](lamina_tensor &t) { t.desc.align = -8; }, {"power of two"});
    expect_bad(i, "in a layout", [](lamina_tensor &t) { t.desc.layout = 1; }, {"layout"});
    expect_bad(i, "in a device's memory", [](lamina_tensor &t) { t.memory = LAMINA_MEMORY_DEVICE; }, {"device memory"});
    expect_bad(i, "in no memory", [](lamina_tensor &t) { t.memory = static_cast<lamina_memory>(77); }, {"kind 77"});
    expect_bad(i, "without data", [](lamina_tensor &t) { t.data = nullptr; }, {"NULL"});
    if (!is_output(i)) continue;
    for (int d = 0; d < tensor[i].desc.rank; d++)
      if (tensor[i].desc.dims[d] > 1)
        expect_bad(i, "on itself", [&](lamina_tensor &t) { t.desc.strides[d] = 0; }, {"may not overlap"});
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

// ---- The others ------------------------------------------------------------------------------------------------------

// One of everything, whole and ready to be misused.
struct World {
  World() {
    lamina_device_options options = {};
    options.threads = 1;
    good(lamina_device_open("cpu", &options, &device));
    good(lamina_device_open("cpu", &options, &other));
    good(lamina_stream_open(other, &stream));
    lamina_net_options shape = {};
    shape.rank = 3, shape.dims[0] = 1, shape.dims[1] = shape.dims[2] = 9;
    good(lamina_net_open(device, &shape, &net));
    lamina_conv_layer conv = {};
    conv.filters = 2, conv.kernel[0] = 3;
    good(lamina_net_add(net, "conv", &conv));
    lamina_fc_layer fc = {};
    fc.units = 2;
    good(lamina_net_add(net, "fc", &fc));
    good(lamina_net_open(device, &shape, &bare));
    good(lamina_dataset_open("xo:train,count=60", nullptr, &data));
    good(lamina_dataset_open("digits:train,count=60", nullptr, &digits));
    lamina_training how = {};
    how.train = data, how.batch = 4, how.threads = -1;
    good(lamina_trainer_open(net, &how, &trainer));
    lamina_loader_options batches = {};
    batches.batch = 4;
    good(lamina_loader_open(data, &batches, &loader));
    x = lamina_vector(LAMINA_F32, 4, numbers), y = lamina_vector(LAMINA_F32, 4, numbers + 4);
    const lamina_tensor *relu[] = {&x, &y};
    good(lamina_op_plan(device, "relu/forward", nullptr, relu, nullptr, &plan));
    problem = *lamina_plan_problem(plan);
    c.problem = problem;
    good(lamina_data_open(device, &c, &filled));
    good(lamina_npy_write(file("x.npy").c_str(), &x, nullptr));
    good(lamina_net_save(net, file("net.safetensors").c_str()));
    good(lamina_safetensors_open(file("net.safetensors").c_str(), nullptr, &tensors));
    good(lamina_safetensors_create(file("new.safetensors").c_str(), nullptr, &writer));
    good(lamina_safetensors_add(writer, "there", &x));
    good(lamina_safetensors_note(writer, "there", "already"));
    write_file(file("text.txt"), "text");
  }
  ~World() {
    lamina_safetensors_abandon(writer);
    lamina_safetensors_close(tensors);
    lamina_data_close(filled);
    lamina_plan_close(plan);
    lamina_loader_close(loader);
    lamina_trainer_close(trainer);
    lamina_net_close(bare);
    lamina_net_close(net);
    lamina_dataset_close(digits);
    lamina_dataset_close(data);
    lamina_stream_close(stream);
    lamina_device_close(other);
    lamina_device_close(device);
  }
  static void good(lamina_status status) { EXPECT_EQ(status, LAMINA_OK) << lamina_last_error(); }
  std::string file(const std::string &name) const { return folder / name; }

  Temporary folder;
  lamina_device *device = nullptr, *other = nullptr;
  lamina_stream *stream = nullptr; // of `other`
  lamina_net *net = nullptr, *bare = nullptr;
  lamina_dataset *data = nullptr, *digits = nullptr;
  lamina_trainer *trainer = nullptr;
  lamina_loader *loader = nullptr;
  lamina_plan *plan = nullptr;
  lamina_problem problem = {};
  lamina_case c = {};
  lamina_data *filled = nullptr;
  lamina_safetensors *tensors = nullptr;
  lamina_safetensors_writer *writer = nullptr;
  lamina_tensor x = {}, y = {};
  alignas(64) float numbers[1024] = {};
  int32_t labels[64] = {};
};

struct Row {
  const char *function, *what;
  std::function<lamina_status(World &)> call;
  lamina_status status;
  std::vector<std::string> words;
};

const lamina_allocator no_free = {[](void *, size_t, size_t) -> void * { return nullptr; }, nullptr, nullptr};

// What is put where results go; it must not matter.
lamina_device *a_device;
lamina_stream *a_stream;
lamina_plan *a_plan;
lamina_net *a_net;
lamina_trainer *a_trainer;
lamina_dataset *a_dataset;
lamina_loader *a_loader;
lamina_data *a_data;
lamina_cases *a_cases;
lamina_safetensors *a_file;
lamina_safetensors_writer *a_writer;
lamina_json *a_json;
lamina_tensor a_tensor;
lamina_image an_image;
const lamina_confusion a_matrix = {};
void *memory;
const char *text;
int a_count;

#define ROW(function, what, status, words, ...)                                                                        \
  Row {                                                                                                                \
#function, what, [](World & w) -> lamina_status {                                                                  \
      (void)w;                                                                                                         \
      __VA_ARGS__                                                                                                      \
    },                                                                                                                 \
        LAMINA_##status, words   \
  }
#define SAYS(...)                                                                                                      \
  std::vector<std::string> { __VA_ARGS__ }
#define NULL_ROW(function, argument, ...)                                                                              \
  ROW(function, argument " NULL", INVALID, SAYS(#function ": " argument " is NULL"), return function(__VA_ARGS__);)

// clang-format off
const std::vector<Row> &rows() {
  static const std::vector<Row> all = {
    // devices
    NULL_ROW(lamina_device_open, "name", nullptr, nullptr, &a_device),
    NULL_ROW(lamina_device_open, "device", "cpu", nullptr, nullptr),
    ROW(lamina_device_open, "an unknown name", DEVICE, SAYS("nosuch:0", "\"nosuch\""), return lamina_device_open("nosuch:0", nullptr, &a_device);),
    ROW(lamina_device_open, "threads -1", INVALID, SAYS("options.threads is -1"), lamina_device_options o = {}; o.threads = -1; return lamina_device_open("cpu", &o, &a_device);),
    ROW(lamina_device_open, "threads 2^31", INVALID, SAYS("options.threads is 2147483647"), lamina_device_options o = {}; o.threads = INT_MAX; return lamina_device_open("cpu", &o, &a_device);),
    ROW(lamina_device_open, "plan_cache -1", INVALID, SAYS("options.plan_cache is -1"), lamina_device_options o = {}; o.plan_cache = -1; return lamina_device_open("cpu", &o, &a_device);),
    ROW(lamina_device_open, "plan_cache 2^31", INVALID, SAYS("options.plan_cache"), lamina_device_options o = {}; o.plan_cache = INT_MAX; return lamina_device_open("cpu", &o, &a_device);),
    ROW(lamina_device_open, "half an allocator", INVALID, SAYS("allocator has no function free"), lamina_device_options o = {}; o.allocator = &no_free; return lamina_device_open("cpu", &o, &a_device);),
    ROW(lamina_device_open, "an unknown engine", INVALID, SAYS("LAMINA_ENGINE: \"conv\" is not OP:ENGINE"), lamina_device_options o = {}; o.engine = "conv"; return lamina_device_open("cpu", &o, &a_device);),
    NULL_ROW(lamina_stream_open, "device", nullptr, &a_stream),
    NULL_ROW(lamina_stream_open, "stream", w.device, nullptr),
    NULL_ROW(lamina_stream_sync, "device", nullptr, nullptr),
    ROW(lamina_stream_sync, "another device's stream", INVALID, SAYS("stream is one of another device"), return lamina_stream_sync(w.device, w.stream);),
    NULL_ROW(lamina_memory_alloc, "device", nullptr, 16, &memory),
    NULL_ROW(lamina_memory_alloc, "memory", w.device, 16, nullptr),
    ROW(lamina_memory_alloc, "all there is", OUT_OF_MEMORY, SAYS("18446744073709551615 bytes"), return lamina_memory_alloc(w.device, SIZE_MAX, &memory);),
    ROW(lamina_memory_alloc, "2^62", OUT_OF_MEMORY, SAYS("out of memory"), return lamina_memory_alloc(w.device, size_t(1) << 62, &memory);),
    NULL_ROW(lamina_copy, "device", nullptr, w.numbers, w.numbers, 4, nullptr),
    NULL_ROW(lamina_copy, "to", w.device, nullptr, w.numbers, 4, nullptr),
    NULL_ROW(lamina_copy, "from", w.device, w.numbers, nullptr, 4, nullptr),
    ROW(lamina_copy, "another device's stream", INVALID, SAYS("lamina_copy: stream"), return lamina_copy(w.device, w.numbers, w.numbers + 4, 4, w.stream);),
    NULL_ROW(lamina_engine_register, "engine", w.device, nullptr),
    ROW(lamina_engine_register, "an empty row", INVALID, SAYS("ABI 0"), const lamina_engine e = {}; return lamina_engine_register(w.device, &e);),
    NULL_ROW(lamina_plugin_load, "path", w.other, nullptr),
    ROW(lamina_plugin_load, "no library", IO, SAYS("text.txt"), return lamina_plugin_load(w.other, w.file("text.txt").c_str());),

    // problems and plans
    NULL_ROW(lamina_problem_init, "problem", nullptr, 0, nullptr, nullptr),
    NULL_ROW(lamina_problem_init, "arg", &w.problem, 0, nullptr, nullptr),
    ROW(lamina_problem_init, "no op", INVALID, SAYS("there is no op number -7"), const lamina_desc *arg[LAMINA_MAX_ARGS] = {}; return lamina_problem_init(&w.problem, -7, nullptr, arg);),
    NULL_ROW(lamina_problem_infer, "problem", nullptr),
    ROW(lamina_problem_infer, "no op", INVALID, SAYS("there is no op number 99999"), w.problem.op = 99999; return lamina_problem_infer(&w.problem);),
    NULL_ROW(lamina_plan_open, "device", nullptr, &w.problem, nullptr, &a_plan),
    NULL_ROW(lamina_plan_open, "problem", w.device, nullptr, nullptr, &a_plan),
    NULL_ROW(lamina_plan_open, "plan", w.device, &w.problem, nullptr, nullptr),
    ROW(lamina_plan_open, "an unknown engine", UNSUPPORTED, SAYS("\"magic\""), lamina_plan_options o = {}; o.engine = "magic"; return lamina_plan_open(w.device, &w.problem, &o, &a_plan);),
    ROW(lamina_plan_open, "math 99", INVALID, SAYS("math is 99"), lamina_plan_options o = {}; o.math = static_cast<lamina_math>(99); return lamina_plan_open(w.device, &w.problem, &o, &a_plan);),
    ROW(lamina_plan_open, "a long engine", INVALID, SAYS("is too long"), const std::string name(200, 'e'); lamina_plan_options o = {}; o.engine = name.c_str(); return lamina_plan_open(w.device, &w.problem, &o, &a_plan);),
    NULL_ROW(lamina_plan_run, "plan", nullptr, lamina_data_args(w.filled), nullptr, nullptr),
    NULL_ROW(lamina_plan_run, "args", w.plan, nullptr, nullptr, nullptr),
    ROW(lamina_plan_run, "no data", INVALID, SAYS("the data of x is NULL"), const lamina_args args = {}; return lamina_plan_run(w.plan, &args, nullptr, nullptr);),
    ROW(lamina_plan_run, "another device's stream", INVALID, SAYS("stream is one of another device"), return lamina_plan_run(w.plan, lamina_data_args(w.filled), nullptr, w.stream);),
    ROW(lamina_conv_forward_run, "another op's plan", INVALID, SAYS("conv/forward: the plan is one of relu/forward"), const lamina_conv_forward_args args = {}; return lamina_conv_forward_run(w.plan, &args, nullptr, nullptr);),
    NULL_ROW(lamina_candidates, "device", nullptr, &w.problem, nullptr, nullptr, &a_count),
    NULL_ROW(lamina_candidates, "problem", w.device, nullptr, nullptr, nullptr, &a_count),
    NULL_ROW(lamina_candidates, "count", w.device, &w.problem, nullptr, nullptr, nullptr),
    ROW(lamina_op_run, "an unknown op", INVALID, SAYS("\"conv/sideways\""), const lamina_tensor *t[] = {&w.x, &w.y}; return lamina_op_run(w.device, "conv/sideways", nullptr, t, nullptr);),
    ROW(lamina_op_run, "no tensors", INVALID, SAYS("relu/forward: tensor is NULL"), return lamina_op_run(w.device, "relu/forward", nullptr, nullptr, nullptr);),
    NULL_ROW(lamina_op_run, "op", w.device, nullptr, nullptr, nullptr, nullptr),
    NULL_ROW(lamina_op_plan, "op", w.device, nullptr, nullptr, nullptr, nullptr, &a_plan),
    ROW(lamina_op_plan, "plan NULL", INVALID, SAYS("relu/forward: plan is NULL"), const lamina_tensor *t[] = {&w.x, &w.y}; return lamina_op_plan(w.device, "relu/forward", nullptr, t, nullptr, nullptr);),
    NULL_ROW(lamina_reference_run, "problem", nullptr, lamina_data_args(w.filled), nullptr, 1, nullptr),
    NULL_ROW(lamina_reference_run, "args", &w.problem, nullptr, nullptr, 1, nullptr),
    ROW(lamina_reference_run, "threads -1", INVALID, SAYS("threads is -1"), return lamina_reference_run(&w.problem, lamina_data_args(w.filled), nullptr, -1, nullptr);),
    ROW(lamina_reference_run, "half an allocator", INVALID, SAYS("allocator has no function free"), return lamina_reference_run(&w.problem, lamina_data_args(w.filled), nullptr, 1, &no_free);),
    ROW(lamina_reference_at, "no such argument", INVALID, SAYS("argument 7"), return lamina_reference_at(&w.problem, lamina_data_args(w.filled), 7, 0, nullptr, nullptr, nullptr);),
    ROW(lamina_reference_at, "an input", INVALID, SAYS("argument 0"), return lamina_reference_at(&w.problem, lamina_data_args(w.filled), 0, 0, nullptr, nullptr, nullptr);),
    ROW(lamina_reference_at, "no such element", INVALID, SAYS("element[0] of y is 4"), const int64_t at = 4; lamina_expected e; return lamina_reference_at(&w.problem, lamina_data_args(w.filled), 1, 1, &at, &e, nullptr);),
    NULL_ROW(lamina_reference_at, "element", &w.problem, lamina_data_args(w.filled), 1, 1, nullptr, nullptr, nullptr),

    // verification
    NULL_ROW(lamina_case_parse, "words", 1, nullptr, nullptr, &w.c),
    NULL_ROW(lamina_case_parse, "c", 0, nullptr, nullptr, nullptr),
    ROW(lamina_case_parse, "a NULL word", INVALID, SAYS("words[1] is NULL"), const char *words[] = {"relu/forward", nullptr}; return lamina_case_parse(2, words, nullptr, &w.c);),
    ROW(lamina_case_parse, "count -1", INVALID, SAYS("expected an op"), const char *words[] = {"relu/forward"}; return lamina_case_parse(-1, words, nullptr, &w.c);),
    NULL_ROW(lamina_data_open, "device", nullptr, &w.c, &a_data),
    NULL_ROW(lamina_data_open, "c", w.device, nullptr, &a_data),
    ROW(lamina_data_open, "an offset of -1", INVALID, SAYS("offset[1], of y, is -1"), w.c.offset[1] = -1; return lamina_data_open(w.device, &w.c, &a_data);),
    ROW(lamina_data_open, "an offset of 2^60", INVALID, SAYS("offset[0], of x"), w.c.offset[0] = int64_t(1) << 60; return lamina_data_open(w.device, &w.c, &a_data);),
    NULL_ROW(lamina_data_reset, "data", nullptr),
    NULL_ROW(lamina_data_fetch, "data", nullptr),
    NULL_ROW(lamina_verify, "c", w.device, nullptr, nullptr, nullptr, &a_count),
    NULL_ROW(lamina_verify, "count", w.device, &w.c, nullptr, nullptr, nullptr),
    ROW(lamina_verify, "sample -1", INVALID, SAYS("options.sample is -1"), lamina_verify_options o = {}; o.sample = -1; return lamina_verify(w.device, &w.c, &o, nullptr, &a_count);),
    ROW(lamina_verify, "an unknown engine", UNSUPPORTED, SAYS("magic"), lamina_verify_options o = {}; o.engine = "magic"; return lamina_verify(w.device, &w.c, &o, nullptr, &a_count);),
    ROW(lamina_cases_open, "no op", INVALID, SAYS("there is no op number 99999"), return lamina_cases_open(99999, LAMINA_F32, 1, nullptr, &a_cases);),
    ROW(lamina_cases_open, "no floating type", INVALID, SAYS("i32"), return lamina_cases_open(0, LAMINA_I32, 1, nullptr, &a_cases);),
    ROW(lamina_cases_open, "no type", INVALID, SAYS("floating"), return lamina_cases_open(0, static_cast<lamina_dtype>(99), 1, nullptr, &a_cases);),
    NULL_ROW(lamina_cases_next, "cases", nullptr, &w.c),

    // nets
    NULL_ROW(lamina_net_open, "device", nullptr, nullptr, &a_net),
    NULL_ROW(lamina_net_open, "options", w.device, nullptr, &a_net),
    ROW(lamina_net_open, "rank 9", INVALID, SAYS("9 axes"), lamina_net_options o = {}; o.rank = 9; return lamina_net_open(w.device, &o, &a_net);),
    ROW(lamina_net_open, "rank -1", INVALID, SAYS("-1 axes"), lamina_net_options o = {}; o.rank = -1; return lamina_net_open(w.device, &o, &a_net);),
    ROW(lamina_net_open, "an axis of 0", INVALID, SAYS("axis 1"), lamina_net_options o = {}; o.rank = 2; o.dims[0] = 3; return lamina_net_open(w.device, &o, &a_net);),
    ROW(lamina_net_open, "axes of 2^40", INVALID, SAYS("input overflows"), lamina_net_options o = {}; o.rank = 2; o.dims[0] = o.dims[1] = HUGE_SIZE; return lamina_net_open(w.device, &o, &a_net);),
    ROW(lamina_net_open, "integers", INVALID, SAYS("dtype i32"), lamina_net_options o = {}; o.rank = 1; o.dims[0] = 3; o.dtype = LAMINA_I32; return lamina_net_open(w.device, &o, &a_net);),
    ROW(lamina_net_open, "math 99", INVALID, SAYS("math 99"), lamina_net_options o = {}; o.rank = 1; o.dims[0] = 3; o.math = static_cast<lamina_math>(99); return lamina_net_open(w.device, &o, &a_net);),
    NULL_ROW(lamina_net_add, "kind", w.bare, nullptr, nullptr),
    ROW(lamina_net_add, "an unknown kind", INVALID, SAYS("\"convv\""), return lamina_net_add(w.bare, "convv", nullptr);),
    ROW(lamina_net_add, "filters 2^40", INVALID, SAYS("0.conv"), lamina_conv_layer l = {}; l.filters = HUGE_SIZE; l.kernel[0] = 3; l.groups = 7; return lamina_net_add(w.bare, "conv", &l);),
    ROW(lamina_net_add, "a kernel of -3", INVALID, SAYS("kernel is -3"), lamina_conv_layer l = {}; l.filters = 1; l.kernel[0] = -3; return lamina_net_add(w.bare, "conv", &l);),
    ROW(lamina_net_add, "under a trainer", INVALID, SAYS("trainer"), return lamina_net_add(w.net, "relu", nullptr);),
    ROW(lamina_net_add_layer, "an unknown layer before", INVALID, SAYS("\"nobody\""), const char *from[] = {"nobody", nullptr}; lamina_layer_options o = {}; o.from = from; return lamina_net_add_layer(w.bare, "relu", nullptr, &o);),
    NULL_ROW(lamina_net_load, "device", nullptr, "x.yaml", nullptr, &a_net),
    NULL_ROW(lamina_net_load, "path", w.device, nullptr, nullptr, &a_net),
    ROW(lamina_net_load, "no file", IO, SAYS("none.yaml"), return lamina_net_load(w.device, w.file("none.yaml").c_str(), nullptr, &a_net);),
    NULL_ROW(lamina_net_save, "path", w.net, nullptr),
    ROW(lamina_net_save, "no folder", IO, SAYS("none/net"), return lamina_net_save(w.net, w.file("none/net").c_str());),
    NULL_ROW(lamina_net_layer, "info", w.net, 0, 1, nullptr),
    ROW(lamina_net_layer, "layer 2", INVALID, SAYS("there is no layer 2"), lamina_layer_info i; return lamina_net_layer(w.net, 2, 1, &i);),
    ROW(lamina_net_layer, "layer -1", INVALID, SAYS("there is no layer -1"), lamina_layer_info i; return lamina_net_layer(w.net, -1, 1, &i);),
    ROW(lamina_net_layer, "batch 0", INVALID, SAYS("batch of 0"), lamina_layer_info i; return lamina_net_layer(w.net, 0, 0, &i);),
    NULL_ROW(lamina_net_summary, "text", w.net, 1, nullptr),
    ROW(lamina_net_summary, "batch -1", INVALID, SAYS("batch of -1"), return lamina_net_summary(w.net, -1, &text);),
    ROW(lamina_net_explain, "batch 2^60", INVALID, SAYS("batch of 1152921504606846976", "overflows"), return lamina_net_explain(w.net, int64_t(1) << 60, false, &text);),
    NULL_ROW(lamina_net_memory, "need", w.net, 1, nullptr),
    ROW(lamina_net_memory, "no layers", INVALID, SAYS("no layers"), lamina_memory_need n; return lamina_net_memory(w.bare, 1, &n);),
    ROW(lamina_net_memory, "batch -2^63", INVALID, SAYS("batch of -9223372036854775808"), lamina_memory_need n; return lamina_net_memory(w.net, INT64_MIN, &n);),
    NULL_ROW(lamina_net_parameter, "parameter", w.net, 0, nullptr),
    ROW(lamina_net_parameter, "parameter 4", INVALID, SAYS("there is no parameter 4"), lamina_parameter p; return lamina_net_parameter(w.net, 4, &p);),
    NULL_ROW(lamina_net_init, "net", nullptr, 1),
    NULL_ROW(lamina_net_parameter_read, "to", w.net, 0, nullptr),
    ROW(lamina_net_parameter_read, "parameter -1", INVALID, SAYS("there is no parameter -1"), return lamina_net_parameter_read(w.net, -1, w.numbers);),
    NULL_ROW(lamina_net_parameter_write, "from", w.net, 0, nullptr),
    ROW(lamina_net_parameter_write, "parameter 99", INVALID, SAYS("there is no parameter 99"), return lamina_net_parameter_write(w.net, 99, w.numbers);),
    ROW(lamina_net_gradient_read, "before there are any", INVALID, SAYS("no gradients yet"), return lamina_net_gradient_read(w.net, 0, w.numbers);),
    NULL_ROW(lamina_net_forward, "x", w.net, 1, nullptr, w.numbers),
    NULL_ROW(lamina_net_forward, "y", w.net, 1, w.numbers, nullptr),
    ROW(lamina_net_forward, "-1 examples", INVALID, SAYS("batch of -1"), return lamina_net_forward(w.net, -1, w.numbers, w.numbers + 512);),
    ROW(lamina_net_forward, "2^40 examples", OUT_OF_MEMORY, SAYS("1099511627776"), return lamina_net_forward(w.net, HUGE_SIZE, w.numbers, w.numbers + 512);),
    ROW(lamina_net_forward, "no layers", INVALID, SAYS("no layers"), return lamina_net_forward(w.bare, 1, w.numbers, w.numbers + 512);),
    NULL_ROW(lamina_net_predict, "prob", w.net, 1, w.numbers, nullptr),
    ROW(lamina_net_predict, "-1 examples", INVALID, SAYS("n is -1"), return lamina_net_predict(w.net, -1, w.numbers, w.numbers + 512);),
    ROW(lamina_net_predict, "2^62 examples", INVALID, SAYS("n is 4611686018427387904"), return lamina_net_predict(w.net, int64_t(1) << 62, w.numbers, w.numbers + 512);),
    NULL_ROW(lamina_net_picture, "image", w.net, nullptr, w.numbers),
    ROW(lamina_net_picture, "no pixels", INVALID, SAYS("image.x is NULL"), return lamina_net_picture(w.net, &an_image, w.numbers);),
    ROW(lamina_net_picture, "2^40 rows", INVALID, SAYS("1099511627776 rows"), const lamina_image i = {1, HUGE_SIZE, HUGE_SIZE, w.numbers}; return lamina_net_picture(w.net, &i, w.numbers);),
    NULL_ROW(lamina_net_gradients, "labels", w.net, nullptr, 1, w.numbers, nullptr, 1, 0, nullptr),
    ROW(lamina_net_gradients, "an unknown loss", INVALID, SAYS("\"magic\""), double loss; return lamina_net_gradients(w.net, "magic", 1, w.numbers, w.labels, 1, 0, &loss);),
    ROW(lamina_net_gradients, "step -1", INVALID, SAYS("step is -1"), double loss; return lamina_net_gradients(w.net, nullptr, 1, w.numbers, w.labels, 1, -1, &loss);),
    ROW(lamina_net_gradients, "0 examples", INVALID, SAYS("batch of 0"), double loss; return lamina_net_gradients(w.net, nullptr, 0, w.numbers, w.labels, 1, 0, &loss);),

    // training
    NULL_ROW(lamina_trainer_open, "net", nullptr, nullptr, &a_trainer),
    NULL_ROW(lamina_trainer_open, "trainer", w.net, nullptr, nullptr),
    ROW(lamina_trainer_open, "a second one", INVALID, SAYS("has a trainer already"), return lamina_trainer_open(w.net, nullptr, &a_trainer);),
    ROW(lamina_trainer_open, "no data", INVALID, SAYS("training data"), return lamina_trainer_open(w.bare, nullptr, &a_trainer);),
    ROW(lamina_trainer_open, "batch -1", INVALID, SAYS("batch of -1"), lamina_training t = {}; t.train = w.data; t.batch = -1; return lamina_trainer_open(w.bare, &t, &a_trainer);),
    ROW(lamina_trainer_open, "an unknown optimizer", INVALID, SAYS("\"sgdd\""), lamina_training t = {}; t.train = w.data; t.optimizer = "sgdd"; return lamina_trainer_open(w.bare, &t, &a_trainer);),
    ROW(lamina_trainer_open, "a rate that is none", INVALID, SAYS("rate"), lamina_training t = {}; t.train = w.data; t.rate.rate = NAN; return lamina_trainer_open(w.bare, &t, &a_trainer);),
    ROW(lamina_trainer_open, "a kind of rate 99", INVALID, SAYS("rate", "99"), lamina_training t = {}; t.train = w.data; t.rate.rate = 1; t.rate.kind = 99; return lamina_trainer_open(w.bare, &t, &a_trainer);),
    NULL_ROW(lamina_trainer_step, "trainer", nullptr),
    NULL_ROW(lamina_trainer_run, "trainer", nullptr),
    NULL_ROW(lamina_trainer_save, "path", w.trainer, nullptr),
    ROW(lamina_trainer_save, "no folder", IO, SAYS("none/x"), return lamina_trainer_save(w.trainer, w.file("none/x").c_str());),
    NULL_ROW(lamina_trainer_resume, "path", w.trainer, nullptr),
    ROW(lamina_trainer_resume, "no checkpoint", CORRUPT, SAYS("text.txt"), return lamina_trainer_resume(w.trainer, w.file("text.txt").c_str());),
    NULL_ROW(lamina_net_evaluate, "dataset", w.net, nullptr, nullptr, 0, 0, nullptr),
    NULL_ROW(lamina_net_evaluate, "evaluation", w.net, w.data, nullptr, 0, 0, nullptr),
    ROW(lamina_net_evaluate, "other pictures", INVALID, SAYS("28 rows"), lamina_evaluation e; return lamina_net_evaluate(w.net, w.digits, nullptr, 0, 0, &e);),
    ROW(lamina_net_evaluate, "batch -1", INVALID, SAYS("batch"), lamina_evaluation e; return lamina_net_evaluate(w.net, w.data, nullptr, -1, 0, &e);),
    NULL_ROW(lamina_net_confusion, "counts", w.net, w.data, 0, nullptr),
    ROW(lamina_net_confusion, "other pictures", INVALID, SAYS("28 rows"), int64_t n[4]; return lamina_net_confusion(w.net, w.digits, 0, n);),
    ROW(lamina_net_confusion, "batch -1", INVALID, SAYS("batch"), int64_t n[4]; return lamina_net_confusion(w.net, w.data, -1, n);),
    NULL_ROW(lamina_net_class_weights, "weights", w.net, 2, nullptr),
    ROW(lamina_net_class_weights, "under a trainer", INVALID, SAYS("trainer"), return lamina_net_class_weights(w.net, 2, w.numbers);),
    ROW(lamina_net_class_weights, "-1 weights", INVALID, SAYS("-1 class weights"), return lamina_net_class_weights(w.bare, -1, w.numbers);),
    ROW(lamina_net_data, "no recipe", INVALID, SAYS("no recipe"), const lamina_dataset *d; return lamina_net_data(w.net, &d, nullptr);),
    NULL_ROW(lamina_training_memory, "need", w.net, nullptr, nullptr),
    ROW(lamina_training_memory, "epochs -1", INVALID, SAYS("-1 epochs"), lamina_training t = {}; t.train = w.data; t.epochs = -1; lamina_memory_need n; return lamina_training_memory(w.net, &t, &n);),

    // data
    NULL_ROW(lamina_dataset_open, "spec", nullptr, nullptr, &a_dataset),
    NULL_ROW(lamina_dataset_open, "dataset", "xo:train", nullptr, nullptr),
    ROW(lamina_dataset_open, "an unknown kind", INVALID, SAYS("digit"), return lamina_dataset_open("digit:train", nullptr, &a_dataset);),
    ROW(lamina_dataset_open, "half an allocator", INVALID, SAYS("allocator has no function free"), lamina_dataset_options o = {}; o.allocator = &no_free; return lamina_dataset_open("xo:train", &o, &a_dataset);),
    ROW(lamina_dataset_open, "-1 means", INVALID, SAYS("-1 means"), lamina_dataset_options o = {}; o.normalise.means = -1; return lamina_dataset_open("xo:train", &o, &a_dataset);),
    NULL_ROW(lamina_dataset_wrap, "source", nullptr, nullptr, &a_dataset),
    ROW(lamina_dataset_wrap, "no read", INVALID, SAYS("source.read is NULL"), lamina_source s = {}; s.info.name = "mine"; return lamina_dataset_wrap(&s, nullptr, &a_dataset);),
    ROW(lamina_dataset_wrap, "2^40 rows and columns", INVALID, SAYS("mine", "too large"), lamina_source s = {}; s.info = {"mine", 1, 1, HUGE_SIZE, HUGE_SIZE, 1, 0, 0, nullptr}; s.read = [](void *, int64_t, float *, int32_t *) { return LAMINA_OK; }; return lamina_dataset_wrap(&s, nullptr, &a_dataset);),
    ROW(lamina_dataset_wrap, "-1 examples", INVALID, SAYS("mine", "count is -1"), lamina_source s = {}; s.info = {"mine", -1, 1, 1, 1, 1, 0, 0, nullptr}; s.read = [](void *, int64_t, float *, int32_t *) { return LAMINA_OK; }; return lamina_dataset_wrap(&s, nullptr, &a_dataset);),
    NULL_ROW(lamina_dataset_read, "index", w.data, 1, nullptr, w.numbers, w.labels),
    ROW(lamina_dataset_read, "example 60", INVALID, SAYS("example 60"), const int64_t at = 60; return lamina_dataset_read(w.data, 1, &at, w.numbers, w.labels);),
    ROW(lamina_dataset_read, "-1 examples", INVALID, SAYS("n is -1"), const int64_t at = 0; return lamina_dataset_read(w.data, -1, &at, w.numbers, w.labels);),
    ROW(lamina_dataset_check_classes, "-1 classes", INVALID, SAYS("2 classes", "-1"), return lamina_dataset_check_classes(w.data, -1);),
    ROW(lamina_normalise, "-1 pictures", INVALID, SAYS("n is -1"), const lamina_normalisation n = {}; return lamina_normalise(&n, -1, 1, 1, w.numbers);),
    ROW(lamina_normalise, "2^120 values", INVALID, SAYS("plane 1099511627776"), const lamina_normalisation n = {}; return lamina_normalise(&n, HUGE_SIZE, HUGE_SIZE, HUGE_SIZE, w.numbers);),
    NULL_ROW(lamina_loader_open, "dataset", nullptr, nullptr, &a_loader),
    NULL_ROW(lamina_loader_open, "options", w.data, nullptr, &a_loader),
    ROW(lamina_loader_open, "batch 0", INVALID, SAYS("batch is 0"), const lamina_loader_options o = {}; return lamina_loader_open(w.data, &o, &a_loader);),
    ROW(lamina_loader_open, "batch 2^40", INVALID, SAYS("a batch of 1099511627776"), lamina_loader_options o = {}; o.batch = HUGE_SIZE; return lamina_loader_open(w.data, &o, &a_loader);),
    ROW(lamina_loader_open, "threads -1", INVALID, SAYS("threads -1"), lamina_loader_options o = {}; o.batch = 1; o.threads = -1; return lamina_loader_open(w.data, &o, &a_loader);),
    ROW(lamina_loader_open, "half an allocator for buffers", INVALID, SAYS("allocator has no function free"), lamina_loader_options o = {}; o.batch = 1; o.buffers = &no_free; return lamina_loader_open(w.data, &o, &a_loader);),
    NULL_ROW(lamina_loader_next, "batch", w.loader, nullptr),
    ROW(lamina_loader_seek, "batch 2^40", INVALID, SAYS("batch 1099511627776"), return lamina_loader_seek(w.loader, 0, HUGE_SIZE);),
    ROW(lamina_loader_seek, "epoch -1", INVALID, SAYS("epoch -1"), return lamina_loader_seek(w.loader, -1, 0);),
    NULL_ROW(lamina_image_read, "path", nullptr, nullptr, &an_image),
    ROW(lamina_image_read, "no picture", UNSUPPORTED, SAYS("text.txt"), return lamina_image_read(w.file("text.txt").c_str(), nullptr, &an_image);),

    // files
    NULL_ROW(lamina_npy_read, "path", nullptr, nullptr, &a_tensor),
    NULL_ROW(lamina_npy_read, "tensor", "x.npy", nullptr, nullptr),
    ROW(lamina_npy_read, "half an allocator", INVALID, SAYS("allocator has no function free"), return lamina_npy_read(w.file("x.npy").c_str(), &no_free, &a_tensor);),
    NULL_ROW(lamina_npy_write, "tensor", "x.npy", nullptr, nullptr),
    ROW(lamina_npy_write, "rank 9", INVALID, SAYS("y.npy"), w.x.desc.rank = 9; return lamina_npy_write(w.file("y.npy").c_str(), &w.x, nullptr);),
    ROW(lamina_npy_write, "no data", INVALID, SAYS("no data"), w.x.data = nullptr; return lamina_npy_write(w.file("y.npy").c_str(), &w.x, nullptr);),
    ROW(lamina_npy_write, "a device's memory", INVALID, SAYS("device's memory"), w.x.memory = LAMINA_MEMORY_DEVICE; return lamina_npy_write(w.file("y.npy").c_str(), &w.x, nullptr);),
    ROW(lamina_npy_write, "type 99", INVALID, SAYS("no element type"), w.x.desc.dtype = 99; return lamina_npy_write(w.file("y.npy").c_str(), &w.x, nullptr);),
    NULL_ROW(lamina_safetensors_create, "path", nullptr, nullptr, &a_writer),
    ROW(lamina_safetensors_create, "no folder", IO, SAYS("none/x"), return lamina_safetensors_create(w.file("none/x").c_str(), nullptr, &a_writer);),
    NULL_ROW(lamina_safetensors_add, "name", w.writer, nullptr, &w.x),
    NULL_ROW(lamina_safetensors_add, "tensor", w.writer, "x", nullptr),
    ROW(lamina_safetensors_add, "a name that is taken", INVALID, SAYS("\"there\""), return lamina_safetensors_add(w.writer, "there", &w.x);),
    ROW(lamina_safetensors_add, "rank -3", INVALID, SAYS("odd"), w.x.desc.rank = -3; return lamina_safetensors_add(w.writer, "odd", &w.x);),
    NULL_ROW(lamina_safetensors_note, "value", w.writer, "key", nullptr),
    ROW(lamina_safetensors_note, "a key that is taken", INVALID, SAYS("\"there\""), return lamina_safetensors_note(w.writer, "there", "again");),
    NULL_ROW(lamina_safetensors_commit, "writer", nullptr),
    NULL_ROW(lamina_safetensors_open, "path", nullptr, nullptr, &a_file),
    ROW(lamina_safetensors_open, "no such format", CORRUPT, SAYS("text.txt"), return lamina_safetensors_open(w.file("text.txt").c_str(), nullptr, &a_file);),
    NULL_ROW(lamina_safetensors_read, "to", w.tensors, 0, nullptr),
    ROW(lamina_safetensors_read, "tensor 99", INVALID, SAYS("no tensor 99"), return lamina_safetensors_read(w.tensors, 99, &w.x);),
    ROW(lamina_safetensors_read, "another shape", INVALID, SAYS("expected"), return lamina_safetensors_read(w.tensors, 0, &w.x);),
    NULL_ROW(lamina_chart_svg, "chart", nullptr, "x.svg", nullptr),
    ROW(lamina_chart_svg, "-1 series", INVALID, SAYS("-1 series"), lamina_chart ch = {}; ch.count = -1; return lamina_chart_svg(&ch, w.file("x.svg").c_str(), nullptr);),
    ROW(lamina_chart_svg, "-1 pixels", INVALID, SAYS("-1 by"), lamina_chart ch = {}; ch.width = -1; return lamina_chart_svg(&ch, w.file("x.svg").c_str(), nullptr);),
    ROW(lamina_chart_svg, "a series without values", INVALID, SAYS("series 0"), lamina_series s = {}; s.count = 3; lamina_chart ch = {}; ch.series = &s; ch.count = 1; return lamina_chart_svg(&ch, w.file("x.svg").c_str(), nullptr);),
    NULL_ROW(lamina_confusion_svg, "path", &a_matrix, nullptr, nullptr),
    ROW(lamina_confusion_svg, "no counts", INVALID, SAYS("confusion"), return lamina_confusion_svg(&a_matrix, w.file("x.svg").c_str(), nullptr);),
    ROW(lamina_chart_text, "-1 columns", INVALID, SAYS("-1 by"), const lamina_chart ch = {}; char b[64]; return lamina_chart_text(&ch, -1, 10, false, b, sizeof b);),
    ROW(lamina_chart_text, "no room", INVALID, SAYS("buffer"), const lamina_chart ch = {}; char b[8]; return lamina_chart_text(&ch, 40, 10, false, b, sizeof b);),
    NULL_ROW(lamina_json_open, "json", nullptr, nullptr),
    ROW(lamina_json_open, "half an allocator", INVALID, SAYS("allocator has no function free"), return lamina_json_open(&no_free, &a_json);),
    NULL_ROW(lamina_json_line, "line", a_json, nullptr),
    NULL_ROW(lamina_json_line, "json", nullptr, &text),
  };
  return all;
}
// clang-format on

TEST(Misuse, EveryRowIsASentence) {
  for (const Row &row : rows()) {
    World world;
    ASSERT_FALSE(testing::Test::HasFatalFailure());
    forget_error();
    expect_said(row.call(world), row.status, row.words, std::string(row.function) + " with " + row.what);
  }
}

// What gives no status gives nothing: 0, NULL, "" or -1.
TEST(Misuse, NumbersThatAreNotThereAreNothing) {
  World w;
  const lamina_desc nine = {LAMINA_F32, 9, 0, 0, {}, {}};
  char buffer[32];
  EXPECT_EQ(lamina_op_at(-1), nullptr);
  EXPECT_EQ(lamina_op_at(INT_MAX), nullptr);
  EXPECT_EQ(lamina_op_arg(lamina_op_at(0), "nosuch"), -1);
  EXPECT_EQ(lamina_engine_at(w.device, INT_MAX), nullptr);
  EXPECT_EQ(lamina_layer_at(INT_MIN), nullptr);
  EXPECT_EQ(lamina_dataset_kind_at(-1), nullptr);
  EXPECT_EQ(lamina_data_tensor(w.filled, 99), nullptr);
  EXPECT_EQ(lamina_net_class_name(w.net, HUGE_SIZE), nullptr);
  EXPECT_EQ(lamina_net_parameter_find(w.net, "nosuch"), -1);
  EXPECT_EQ(lamina_safetensors_name(w.tensors, -1), nullptr);
  EXPECT_EQ(lamina_safetensors_desc(w.tensors, INT_MAX), nullptr);
  EXPECT_EQ(lamina_safetensors_find(w.tensors, "nosuch"), -1);
  EXPECT_EQ(lamina_safetensors_value(w.tensors, "nosuch"), nullptr);
  EXPECT_STREQ(lamina_status_name(static_cast<lamina_status>(99)), "?");
  EXPECT_STREQ(lamina_dtype_name(static_cast<lamina_dtype>(-5)), "?");
  EXPECT_EQ(lamina_dtype_size(static_cast<lamina_dtype>(-5)), 0u);
  EXPECT_EQ(lamina_dtype_find("f31"), LAMINA_NONE);
  EXPECT_EQ(lamina_dense(LAMINA_F32, 9, nine.dims).dtype, LAMINA_NONE);
  EXPECT_EQ(lamina_desc_count(&nine), -1);
  EXPECT_EQ(lamina_desc_bytes(&nine), -1);
  EXPECT_EQ(lamina_desc_offset(&nine, 7), 0);
  EXPECT_FALSE(lamina_desc_is_dense(&nine));
  EXPECT_STREQ(lamina_desc_text(&nine, buffer, sizeof buffer), "f32[?]");
  lamina_loader_options options = {};
  options.batch = -1;
  EXPECT_EQ(lamina_loader_memory(w.data, &options), -1);
}

// A close of what is closed already can be told only where the program's own pointer or struct says so.
TEST(Misuse, ClosingTwiceIsFineWhereItCanBeTold) {
  lamina_tensor tensor = {};
  World w;
  OK(lamina_npy_read(w.file("x.npy").c_str(), nullptr, &tensor));
  for (int i = 0; i < 2; i++) lamina_npy_free(nullptr, &tensor);
  write_file(w.file("x.pgm"), "P2 1 1 1 1");
  OK(lamina_image_read(w.file("x.pgm").c_str(), nullptr, &an_image));
  for (int i = 0; i < 2; i++) lamina_image_free(nullptr, &an_image);
  EXPECT_EQ(an_image.x, nullptr);
}

// ---- Is anything missing? --------------------------------------------------------------------------------------------

// Simple, planned and run calls of an op's pass are one thing each in the library; the tests of ops above are theirs.
bool is_typed_call(const std::string &function) {
  for (int id = 0; lamina_op_at(id); id++) {
    std::string name = "lamina_" + std::string(lamina_op_at(id)->name);
    name[name.find('/')] = '_';
    if (function == name || function == name + "_plan" || function == name + "_run") return true;
  }
  return false;
}

TEST(Misuse, NoFunctionIsForgotten) {
  const std::map<std::string, std::string> excused = {}; // function, and why no row can name it
  std::set<std::string> named;
  for (const Row &row : rows()) named.insert(row.function);
  call_all_with_nothing();
  for (const auto &[function, gives_status] : functions())
    if (gives_status && !named.count(function) && !is_typed_call(function) && !excused.count(function))
      ADD_FAILURE() << function << ": no row of tests/test_misuse.cpp names it";
  for (const std::string &name : named)
    EXPECT_TRUE(functions().count(name)) << name << " is no function of the headers";
}

} // namespace
