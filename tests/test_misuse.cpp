// Calls that a program must not make: each is a status and a sentence that names what is wrong, and none crashes.
//
//   every function     with nothing at all: public.inc lists them, made from the headers
//   the tables         what is special about them, misuse/*.cpp; a function that is missing there is an error of its own
// test_misuse_ops.cpp has every op, with one wrong thing at a time.
#include <map>
#include <set>
#include <type_traits>

#include "misuse/world.h"

// Sizes that no memory holds are a NULL of the allocator, as without AddressSanitizer.
extern "C" const char *__asan_default_options() { return "allocator_may_return_null=1"; }

namespace {

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

// ---- What is special about them ---------------------------------------------------------------------------------------

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
      ADD_FAILURE() << function << ": no row of tests/misuse names it";
  for (const std::string &name : named)
    EXPECT_TRUE(functions().count(name)) << name << " is no function of the headers";
}

} // namespace
