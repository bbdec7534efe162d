// How much each CUDA engine takes: one step below its limit it offers itself, at the first size beyond it says why not.
// Nothing of these sizes is allocated, only asked for. And how many parts a sum is cut into, as the workspace shows it.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "case.h"
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
    {"kernel", "max_pool/forward x=1x2147483647x1 kernel=1", "max_pool/forward x=1x2x1073741824 kernel=3", up_to},
    {"kernel", "avg_pool/forward x=1x1x1073741820 kernel=9 pad=2:2",
     "avg_pool/forward x=1x1x1073741820 kernel=9 pad=3:2", half},
    {"kernel", "add/forward a=65536x2x32768 b=1x1x1", "add/forward a=65536x2x32768 b=65536x2x1",
     "it takes up to 2^31 - 1 elements where the second argument repeats"},
    {"kernel", "avg_pool/backward dx=1x1x1073741820 kernel=9 pad=2:2",
     "avg_pool/backward dx=1x1x1073741820 kernel=9 pad=3:2", half},
    {"kernel", "max_pool/backward dx=1x1x1073741820 kernel=9 stride=9 pad=2:2",
     "max_pool/backward dx=1x1x1073741820 kernel=9 stride=9 pad=3:2", half},
    {"kernel", "relu_max_pool/backward dx=1x1x1073741820 kernel=9 stride=9 pad=2:2",
     "relu_max_pool/backward dx=1x1x1073741820 kernel=9 stride=9 pad=3:2", half},
    {"kernel", "lp_pool/backward dx=1x1x1073741820 kernel=9 stride=9 pad=2:2",
     "lp_pool/backward dx=1x1x1073741820 kernel=9 stride=9 pad=3:2", half},
    {"kernel", "max_unpool/forward x=1x1x9 indices=1x1x9:i32 y=1x1x2147483647",
     "max_unpool/forward x=1x2x9 indices=1x2x9:i32 y=1x2x1073741824", up_to},
    {"kernel", "spectral_pool/forward x=1x1x3x1048576 size=1,1048575", "spectral_pool/forward x=1x1x3x1048577 size=1,3",
     "it takes up to 2^20 elements along an axis"},
    {"kernel", "resize/forward x=2147483647x1x1 size=1", "resize/forward x=1x2x3 size=1073741824", up_to},
    {"kernel", "resize/forward x=1x1x1073741824 size=1", "resize/forward x=1x2x1073741824 size=3", up_to},
    {"kernel", "pad/forward x=2147483647", "pad/forward x=2x1073741824 before=1", up_to},
    {"kernel", "pad/forward x=2147483640 before=3 after=4", "pad/forward x=2147483640 before=3 after=5", up_to},
    {"kernel", "spectral_pool/forward x=1x2147483647x1x1 size=1,1", "spectral_pool/forward x=2x1x32768x32768 size=3,3",
     up_to},
    {"kernel", "gather/forward x=2147483646x1 indices=3 axis=0", "gather/forward x=2147483647x1 indices=3 axis=0",
     "it picks up to 2^31 - 1 elements, from an axis of up to 2^31 - 2"},
    {"kernel", "gather/forward x=7x1 indices=2147483647 axis=0", "gather/forward x=7x2 indices=1073741824 axis=0",
     "it picks up to 2^31 - 1 elements, from an axis of up to 2^31 - 2"},
    {"kernel", "gather/backward indices=3 dx=2147483646x1 axis=0", "gather/backward indices=3 dx=2147483647x1 axis=0",
     "it picks up to 2^31 - 1 elements, from an axis of up to 2^31 - 2"},
    {"kernel", "gather/backward indices=2147483647 dx=7x1 axis=0", "gather/backward indices=1073741824 dx=7x2 axis=0",
     "it picks up to 2^31 - 1 elements, from an axis of up to 2^31 - 2"},
    {"kernel", "embedding/forward indices=3 w=2147483646x1", "embedding/forward indices=3 w=2147483647x1",
     "it picks up to 2^31 - 1 elements, from an axis of up to 2^31 - 2"},
    {"kernel", "embedding/forward indices=2147483647 w=7x1", "embedding/forward indices=1073741824 w=7x2",
     "it picks up to 2^31 - 1 elements, from an axis of up to 2^31 - 2"},
    {"kernel", "embedding/backward indices=3 dw=2147483646x1", "embedding/backward indices=3 dw=2147483647x1",
     "it picks up to 2^31 - 1 elements, from an axis of up to 2^31 - 2"},
    {"kernel", "embedding/backward indices=2147483647 dw=7x1", "embedding/backward indices=1073741824 dw=7x2",
     "it picks up to 2^31 - 1 elements, from an axis of up to 2^31 - 2"},
    {"kernel/gemm", "fc/forward x=1x2147483647 w=1x2147483647", "fc/forward x=1x2147483648 w=1x2147483648", matrices},
    {"kernel/gemm", "matmul/forward a=1x2147483647 b=2147483647x1", "matmul/forward a=1x2147483648 b=2147483648x1",
     matrices},
    {"kernel/direct", "conv/forward x=1x1x1073709056 w=1x1x1", "conv/forward x=1x1x1073709057 w=1x1x1", planes},
    {"kernel/direct", "conv/forward x=2x1x1000000000 w=1x1x1 stride=2",
     "conv/forward x=3x1x1000000000 w=1x1x1 stride=2", planes},
    {"kernel/winograd", "conv/forward x=1x1x9x9 w=1x1x3x3", "conv/forward x=1x1x1x9x9 w=1x1x3x3x3 pad=1",
     "it takes f32, filters of 3 x 3 in one group"},
    {"kernel/winograd", "conv/forward x=1x1x1x9x9 w=1x1x1x3x3", "conv/forward x=1x1x2x9x9 w=1x1x1x3x3 stride=2,1,1",
     "it takes f32, filters of 3 x 3 in one group"},
    {"kernel/direct", "conv/backward_bias dy=1x1x2147483647", "conv/backward_bias dy=2x3x1073741824",
     "it takes channels, and planes of all images, of less than 2^31 elements"},
    {"kernel/implicit_gemm", "conv/forward x=1x3x65536x8192 w=1x3x2x2", "conv/forward x=1x4x65536x8192 w=1x4x2x2",
     "it takes tensors of less than 2^31 elements"},
    {"kernel/few_channels", "conv/forward x=1x1x9x9 w=1x1x3x3", "conv/forward x=1x1x2x9x9 w=1x1x1x3x3 stride=2,1,1",
     "it takes one and two spatial axes"},
    {"kernel/few_channels", "conv/forward x=1x4x1x9x9 w=1x4x1x3x3", "conv/forward x=1x1x1x9x9 w=1x1x3x3x3 pad=1",
     "it takes one and two spatial axes"},
    {"kernel", "conv/matrix w=1x1x1x1 size=65535,32768", "conv/matrix w=1x1x1x1 size=65536,32768", matrix},
};

template <class Parameter> class OnDevice : public testing::TestWithParam<Parameter> {
protected:
  void SetUp() override {
    ASSERT_EQ(lamina_device_open(test_device(), nullptr, &device), LAMINA_OK) << lamina_last_error();
  }
  void TearDown() override { lamina_device_close(device); }

  lamina_device *device = nullptr;
};

// The parameter is a line, a case.
template <class Parameter> class OfCase : public OnDevice<Parameter> {
protected:
  void SetUp() override {
    OnDevice<Parameter>::SetUp();
    ASSERT_EQ(parse_case(this->GetParam().line, &c), LAMINA_OK) << lamina_last_error();
  }

  lamina_case c = {};
};

class Limits : public OnDevice<Limit> {};

// What the engine says of a case: "" where it offers itself.
std::string refusal(lamina_device *device, const char *engine, const char *line) {
  lamina_case c;
  if (parse_case(line, &c)) return lamina_last_error();
  std::vector<lamina_candidate> list(64);
  int count = 64;
  if (lamina_candidates(device, &c.problem, nullptr, list.data(), &count)) return lamina_last_error();
  for (int i = 0; i < count; i++)
    if (std::string(list[static_cast<size_t>(i)].engine) == engine)
      return list[static_cast<size_t>(i)].seconds < 0 ? list[static_cast<size_t>(i)].reason : "";
  return "there is no such engine";
}

TEST_P(Limits, AreWhereTheEngineSays) {
  const Limit &limit = GetParam();
  EXPECT_EQ(refusal(device, limit.engine, limit.taken), "") << limit.taken;
  EXPECT_EQ(refusal(device, limit.engine, limit.refused).rfind(limit.reason, 0), 0u)
      << limit.refused << ": " << refusal(device, limit.engine, limit.refused);
}

// Work that is shared out among blocks, and its workspace in bytes. The limits are those of the emulation: kernels' scaled().
struct Parts {
  const char *line, *engine;
  size_t bytes;
};

const Parts parts[] = {
    {"add/backward dy=129x70 db=1x70", "kernel", 576},
    {"add/backward dy=2001x70 db=1x70", "kernel", 8704},
    {"add/backward dy=40007 db=1", "kernel", 640},
    {"add/backward dy=16x3x40x40 db=3", "kernel", 320},
    {"prelu/backward x=2001x70 slope=70", "kernel", 8704},
    {"add/backward dy=8192x70 db=1x70", "kernel", 35840}, // 128 parts of 64 rows
    {"add/backward dy=8193x70 db=1x70", "kernel", 35584}, // 127 of 65
    {"multiply/backward a=600x256 b=1x256 dy=600x256 db=1x256 dtype=bf16", "kernel", 9216},
    {"sum/forward x=30000 axes=0", "kernel", 128},
    {"sum/forward x=7x3000 axes=1", "kernel", 0},
    {"mean/forward x=3000x7 axes=0", "kernel", 704},
    {"max/forward x=20x300x7 axes=1", "kernel", 0},
    {"batch_norm/forward x=8x5x20x20", "kernel/split", 512},
    {"batch_norm/forward x=700x6", "kernel/split", 2112},
    {"batch_norm/backward x=700x64 dtype=bf16", "kernel/split", 22528},
    {"batch_norm/backward x=3x7x9x11", "kernel/split", 256},
    {"layer_norm/forward x=9x2000", "kernel", 0},
    {"fc/backward_bias dy=1024x10", "kernel", 320},
    {"fc/backward_bias dy=700x129", "kernel", 2624},
    {"fc/forward x=3x1500 w=20x1500", "kernel/gemm", 11328},
    {"fc/backward_weights x=3000x20 dy=3000x10", "kernel/gemm", 50432},
    {"conv/backward_weights x=2x12x40x41 dw=12x1x3x3 groups=12 pad=1", "kernel/direct", 1344},
    {"conv/backward_weights x=2x8x24x22 dw=65x8x3x3 pad=1", "kernel/implicit_gemm", 37440},
    {"conv/backward_bias dy=3x5x60x61", "kernel/direct", 128},
    {"conv/forward x=2x5x9x12 w=3x5x3x3 pad=1", "kernel/winograd", 31680},
    {"conv/forward x=2x17x9x9 w=130x17x3x3 pad=1", "kernel/implicit_gemm", 0},
    {"spectral_pool/forward x=2x3x8x9 size=5,6", "kernel", 2752},
    {"spectral_pool/backward dx=1x2x6x8x9 size=5,6,7", "kernel", 11264},
    {"embedding/backward indices=5001 dw=3x8", "kernel", 89024},
    {"max_pool/backward dx=1x2x190x190 kernel=2,2", "kernel", 64},
    {"relu_max_pool/backward dx=1x2x190x190 kernel=2,2", "kernel", 64},
};

class Workspace : public OfCase<Parts> {};

TEST_P(Workspace, IsThatOfItsParts) {
  lamina_plan_options options = {};
  options.engine = GetParam().engine;
  lamina_plan *plan = nullptr;
  ASSERT_EQ(lamina_plan_open(device, &c.problem, &options, &plan), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(lamina_plan_workspace(plan), GetParam().bytes) << GetParam().line << ", " << lamina_plan_variant(plan);
  lamina_plan_close(plan);
}

// How elements are moved, as the plan explains it: a slower way is right, too.
struct Move {
  const char *line, *way;
};

const Move moves[] = {
    {"copy/forward x=4096:u8", "straight, 16 bytes at once"},
    {"copy/forward x=48x64/1,48", "in tiles, 4 bytes at once"},
    {"copy/forward x=20x48x64/3072,1,48 dtype=bf16", "in tiles, 2 bytes at once"},
    {"copy/forward x=48x20x64/20,1,960 dtype=bf16", "in tiles, 2 bytes at once"},
    {"copy/forward x=15x64/1,15", "in rows, 4 bytes at once"},
    {"copy/forward x=64x15/1,64", "in rows, 4 bytes at once"},
    {"copy/forward x=40x64/66,1", "in rows, 8 bytes at once"},
    {"copy/forward x=40x64/68,1", "in rows, 16 bytes at once"},
    {"copy/forward x=40x63/68,1", "in rows, 4 bytes at once"},
    {"copy/forward x=40x64/0,1:u8", "in rows, 16 bytes at once"},
    {"copy/forward x=40x64/1,0", "in rows, 4 bytes at once"},
};

class Moves : public OfCase<Move> {};

TEST_P(Moves, AreMadeTheFastestWay) {
  lamina_plan *plan = nullptr;
  ASSERT_EQ(lamina_plan_open(device, &c.problem, nullptr, &plan), LAMINA_OK) << lamina_last_error();
  EXPECT_NE(std::string(lamina_plan_explain(plan)).find(GetParam().way), std::string::npos)
      << GetParam().line << '\n'
      << lamina_plan_explain(plan);
  lamina_plan_close(plan);
}

const char *line_of(const Move &of) { return of.line; }
const char *line_of(const Limit &limit) { return limit.taken; }
const char *line_of(const Parts &of) { return of.line; }
// What the estimates choose where there are several ways; kernels/ and docs/measured.md say what each is good for.
struct Choice {
  const char *line, *chosen; // engine/variant
};

const Choice choices[] = {
    {"batch_norm/forward x=128x64x56x56", "kernel/split"},
    {"batch_norm/forward x=8x4096x7x7", "kernel/whole"},
    {"batch_norm/forward x=4096x512", "kernel/split"},
    {"layer_norm/forward x=65536x1024", "kernel/whole"},
    {"conv/forward x=128x3x227x227 w=96x3x11x11 stride=4", "kernel/implicit_gemm/mma/128x128"},
    {"conv/forward x=16x256x56x56 w=256x256x3x3 pad=1", "kernel/implicit_gemm/mma/128x128"},
    {"conv/forward x=16x256x56x56 w=256x256x3x3 pad=1 dtype=bf16", "kernel/implicit_gemm/mma/128x128"},
    {"conv/forward x=16x256x56x56 w=64x256x1x1", "kernel/gemm_mma/tf32_64x64"},
    {"conv/forward x=16x256x56x56 w=256x1x3x3 groups=256 pad=1", "kernel/depthwise/"},
    {"conv/backward_weights x=16x64x56x56 dw=64x64x3x3 pad=1 math=strict", "kernel/implicit_gemm/simt/64x64"},
    {"conv/backward_data dx=16x256x14x14 w=256x256x3x3 pad=1 math=strict", "kernel/winograd/f2x2_3x3"},
    {"fc/forward x=128x9216 w=4096x9216", "kernel/gemm_mma/tf32_128x256_split"},
    {"fc/forward x=128x9216 w=4096x9216 dtype=bf16", "kernel/gemm_mma/bf16_128x256_split"},
    {"fc/forward x=8x25088 w=64x25088 math=strict", "kernel/gemm/64x64_split"},
    {"matmul/forward a=4096x4096 b=4096x4096 math=strict", "kernel/gemm/128x128"},
    {"matmul/forward a=4096x4096 b=4096x4096", "kernel/gemm/128x128"},
    {"matmul/forward a=4096x4096 b=4096x4096 math=tf32", "kernel/gemm_mma/tf32_128x256"},
    {"matmul/forward a=64x100x64 b=64x64x100 dtype=f16", "kernel/gemm_mma/f16_64x64"},
};

class Chosen : public OfCase<Choice> {};

TEST_P(Chosen, IsTheOneForTheShape) {
  lamina_candidate list[64];
  int count = 64;
  ASSERT_EQ(lamina_candidates(device, &c.problem, nullptr, list, &count), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(list[0].engine + std::string("/") + list[0].variant, GetParam().chosen) << GetParam().line;
}

const char *line_of(const Choice &of) { return of.line; }
template <class Case> std::string name_of(const testing::TestParamInfo<Case> &info) {
  return case_name_of(info.index, line_of(info.param));
}

INSTANTIATE_TEST_SUITE_P(All, Limits, testing::ValuesIn(limits), name_of<Limit>);
INSTANTIATE_TEST_SUITE_P(All, Chosen, testing::ValuesIn(choices), name_of<Choice>);
INSTANTIATE_TEST_SUITE_P(All, Moves, testing::ValuesIn(moves), name_of<Move>);
INSTANTIATE_TEST_SUITE_P(All, Workspace, testing::ValuesIn(parts), name_of<Parts>);

} // namespace
