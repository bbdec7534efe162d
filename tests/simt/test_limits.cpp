// How much each CUDA engine takes: one step below its limit it offers itself, at the first size beyond it says why not.
// Nothing of these sizes is allocated, only asked for.
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "lamina/verify.h"
#include "on_device.h"

namespace {

struct Limit {
  const char *engine, *taken, *refused, *reason;
};

const char up_to[] = "it takes up to 2^31 - 1 elements", matrices[] = "it takes matrices of up to 2^31 - 1 rows",
           planes[] = "it takes planes of all images, filters, and axes with padding of less than 2^31 elements",
           matrix[] = "it takes filters and planes of less than 2^31 elements, axes with padding of less than 2^30",
           half[] = "it takes up to 2^30 elements along an axis, with padding";

const Limit limits[] = {
    {"kernel", "sum/forward x=2147483647 axes=0", "sum/forward x=65536x32768 axes=0", up_to},
    {"kernel", "sum/backward dx=2147483647 axes=0", "sum/backward dx=32768x65536 axes=1", up_to},
    {"kernel", "add/forward a=2147483647 b=2147483647", "add/forward a=65536x2x16384 b=65536x1x16384",
     "it takes up to 2^31 - 1 elements where the second argument repeats"},
    {"kernel", "layer_norm/forward x=1x2147483647", "layer_norm/forward x=2x1073741824", up_to},
    {"kernel", "lrn/forward x=1x2147483647x1x1", "lrn/forward x=2x2x32768x16384", up_to},
    {"kernel", "max_pool/forward x=1x2x1073741823 kernel=3", "max_pool/forward x=1x2x1073741824 kernel=3", up_to},
    {"kernel", "avg_pool/forward x=1x1x1073741820 kernel=9 pad=2:2",
     "avg_pool/forward x=1x1x1073741820 kernel=9 pad=3:2", half},
    {"kernel", "resize/forward x=1x1x3 size=1073741824", "resize/forward x=1x2x3 size=1073741824", up_to},
    {"kernel", "resize/forward x=1x1x1073741824 size=3", "resize/forward x=1x2x1073741824 size=3", up_to},
    {"kernel", "pad/forward x=2147483640 before=3 after=4", "pad/forward x=2147483640 before=3 after=5", up_to},
    {"kernel", "spectral_pool/forward x=1x1x65535x32768 size=3,3", "spectral_pool/forward x=2x1x32768x32768 size=3,3",
     up_to},
    {"kernel", "gather/forward x=2147483646x1 indices=3 axis=0", "gather/forward x=2147483647x1 indices=3 axis=0",
     "it picks up to 2^31 - 1 elements, from an axis of up to 2^31 - 2"},
    {"kernel", "gather/forward x=7x1 indices=2147483647 axis=0", "gather/forward x=7x2 indices=1073741824 axis=0",
     "it picks up to 2^31 - 1 elements, from an axis of up to 2^31 - 2"},
    {"kernel/gemm", "fc/forward x=1x2147483647 w=1x2147483647", "fc/forward x=1x2147483648 w=1x2147483648", matrices},
    {"kernel/gemm", "matmul/forward a=1x2147483647 b=2147483647x1", "matmul/forward a=1x2147483648 b=2147483648x1",
     matrices},
    {"kernel/direct", "conv/forward x=1x1x1073709056 w=1x1x1", "conv/forward x=1x1x1073709057 w=1x1x1", planes},
    {"kernel/direct", "conv/backward_bias dy=1x1x2147483647", "conv/backward_bias dy=2x3x1073741824",
     "it takes channels, and planes of all images, of less than 2^31 elements"},
    {"kernel/implicit_gemm", "conv/forward x=1x3x65536x8192 w=1x3x2x2", "conv/forward x=1x4x65536x8192 w=1x4x2x2",
     "it takes tensors of less than 2^31 elements"},
    {"kernel", "conv/matrix w=1x1x1x1 size=65535,32768", "conv/matrix w=1x1x1x1 size=65536,32768", matrix},
};

class Limits : public testing::TestWithParam<Limit> {};

// What the engine says of a case: "" where it offers itself.
std::string refusal(lamina_device *device, const char *engine, const char *line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  std::vector<const char *> pointers;
  for (const std::string &word : words) pointers.push_back(word.c_str());
  lamina_case c;
  if (lamina_case_parse(static_cast<int>(pointers.size()), pointers.data(), nullptr, &c)) return lamina_last_error();
  std::vector<lamina_candidate> list(64);
  int count = 64;
  if (lamina_candidates(device, &c.problem, nullptr, list.data(), &count)) return lamina_last_error();
  for (int i = 0; i < count; i++)
    if (std::string(list[static_cast<size_t>(i)].engine) == engine)
      return list[static_cast<size_t>(i)].seconds < 0 ? list[static_cast<size_t>(i)].reason : "";
  return "there is no such engine";
}

TEST_P(Limits, AreWhereTheEngineSays) {
  lamina_device *device = nullptr;
  ASSERT_EQ(lamina_device_open(test_device(), nullptr, &device), LAMINA_OK) << lamina_last_error();
  const Limit &limit = GetParam();
  EXPECT_EQ(refusal(device, limit.engine, limit.taken), "") << limit.taken;
  EXPECT_EQ(refusal(device, limit.engine, limit.refused).rfind(limit.reason, 0), 0u)
      << limit.refused << ": " << refusal(device, limit.engine, limit.refused);
  lamina_device_close(device);
}

std::string name_of(const testing::TestParamInfo<Limit> &info) {
  std::string name = std::to_string(info.index) + "_" + info.param.taken;
  name = name.substr(0, name.find(' '));
  for (char &c : name)
    if (c == '/') c = '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, Limits, testing::ValuesIn(limits), name_of);

} // namespace
