// The grammar of the command line: text to case to text for every op, what is filled in, and what mistakes are told.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "lamina/conv.h"
#include "lamina/io.h"
#include "lamina/verify.h"
#include "temporary.h"

namespace {

std::vector<std::string> split(const std::string &text) {
  std::vector<std::string> words(1);
  for (const char c : text)
    if (c == ' ')
      words.emplace_back();
    else
      words.back() += c;
  return words;
}

lamina_status parse(const std::vector<std::string> &words, lamina_case *c) {
  std::vector<const char *> pointers;
  for (const std::string &word : words) pointers.push_back(word.c_str());
  return lamina_case_parse(static_cast<int>(pointers.size()), pointers.data(), nullptr, c);
}

lamina_status parse(const std::string &text, lamina_case *c) { return parse(split(text), c); }

std::string text_of(const lamina_case &c) {
  char buffer[2048];
  return lamina_case_text(&c, buffer, sizeof buffer);
}

const lamina_desc &arg(const lamina_case &c, const char *name) {
  return c.problem.arg[lamina_op_arg(lamina_op_at(c.problem.op), name)];
}

std::string shape(const lamina_desc &desc) {
  char buffer[256];
  return lamina_desc_text(&desc, buffer, sizeof buffer);
}

std::string refusal(const std::string &text) {
  lamina_case c;
  EXPECT_NE(parse(text, &c), LAMINA_OK) << text;
  return lamina_last_error();
}

TEST(Grammar, EveryOpReadsBackAsItWasWritten) {
  for (int op = 0; lamina_op_at(op); op++) {
    lamina_cases *cases = nullptr;
    ASSERT_EQ(lamina_cases_open(op, LAMINA_NONE, 3, nullptr, &cases), LAMINA_OK);
    for (int i = 0; i < 40; i++) {
      lamina_case c, back;
      ASSERT_EQ(lamina_cases_next(cases, &c), LAMINA_OK) << lamina_last_error();
      c.exact = i % 2 != 0;
      const std::string text = text_of(c);
      ASSERT_EQ(parse(text, &back), LAMINA_OK) << text << "\n" << lamina_last_error();
      ASSERT_EQ(text_of(back), text);
      ASSERT_EQ(std::memcmp(&back.problem, &c.problem, sizeof c.problem), 0) << text;
      ASSERT_EQ(std::memcmp(back.offset, c.offset, sizeof c.offset), 0) << text;
      ASSERT_EQ(back.exact, c.exact);
      ASSERT_EQ(back.seed, c.seed);
    }
    lamina_cases_close(cases);
  }
}

TEST(Grammar, NoOpHasNamesThatClash) {
  for (int op = 0; lamina_op_at(op); op++) {
    const lamina_op_def *row = lamina_op_at(op);
    for (const lamina_attr_def *attr = row->attrs; attr->name; attr++)
      EXPECT_EQ(lamina_op_arg(row, attr->name), -1) << row->name << " " << attr->name;
    for (const char *reserved : {"dtype", "math", "deterministic", "fill", "seed"}) {
      EXPECT_EQ(lamina_op_arg(row, reserved), -1) << row->name;
      for (const lamina_attr_def *attr = row->attrs; attr->name; attr++) EXPECT_STRNE(attr->name, reserved);
    }
  }
}

TEST(Grammar, ShapesMayBeInBlocks) {
  lamina_case c;
  ASSERT_EQ(parse("conv/forward x=2x32x5x7_1x16:bf16 w=16x32x3x3/9216,4608,768,256_1x16_0x16+3 y=2x16x3x5_0x2", &c),
            LAMINA_OK)
      << lamina_last_error();
  EXPECT_EQ(shape(arg(c, "x")), "bf16[2,32,5,7]_1x16");
  EXPECT_EQ(arg(c, "x").layout, LAMINA_BLOCK(1, 4));
  EXPECT_EQ(shape(arg(c, "w")), "f32[16,32,3,3]/9216,4608,768,256_1x16_0x16");
  EXPECT_EQ(c.offset[1], 3);
  EXPECT_EQ(shape(arg(c, "y")), "f32[2,16,3,5]_0x2");
  ASSERT_EQ(parse("conv/forward x=2x32x5x7 w=16x32x3x3_any", &c), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(shape(arg(c, "w")), "f32[16,32,3,3]_any");
  EXPECT_EQ(text_of(c), "conv/forward x=2x32x5x7 w=16x32x3x3_any y=2x16x3x5");
}

TEST(Grammar, AProblemIsWrittenInFull) {
  lamina_conv conv = {};
  conv.pad[0][0] = 1, conv.pad[1][0] = conv.pad[1][1] = 2;
  conv.stride[0] = conv.stride[1] = 2;
  const int64_t x[] = {2, 4, 5, 7}, w[] = {6, 2, 3, 3}, strides[] = {200, 1, 28, 4};
  conv.groups = 2;
  const lamina_desc shapes[] = {lamina_strided(LAMINA_BF16, 4, x, strides), lamina_dense(LAMINA_F32, 4, w),
                                lamina_infer(LAMINA_NONE)};
  const lamina_desc *args[] = {&shapes[0], &shapes[1], nullptr, &shapes[2]};
  lamina_problem problem;
  char buffer[512], small[12];
  ASSERT_EQ(lamina_problem_init(&problem, lamina_op_find("conv/forward"), &conv, args), LAMINA_OK);
  ASSERT_EQ(lamina_problem_infer(&problem), LAMINA_OK) << lamina_last_error();
  EXPECT_STREQ(lamina_problem_text(&problem, buffer, sizeof buffer),
               "conv/forward x=2x4x5x7/200,1,28,4 w=6x2x3x3:f32 y=2x6x2x5 pad=1:0,2 stride=2,2 groups=2 dtype=bf16");
  EXPECT_STREQ(lamina_problem_text(&problem, small, sizeof small), "conv/forwar");
}

TEST(Grammar, ShapesHaveStridesPlaceAndType) {
  lamina_case c;
  ASSERT_EQ(parse("conv/forward x=2x3x5x7/120,40,8,1+3:bf16 w=4x3x3x3 pad=0:1,2 stride=2", &c), LAMINA_OK)
      << lamina_last_error();
  EXPECT_EQ(shape(arg(c, "x")), "bf16[2,3,5,7]/120,40,8,1");
  EXPECT_EQ(arg(c, "x").align, 2);
  EXPECT_EQ(c.offset[0], 3);
  EXPECT_EQ(shape(arg(c, "w")), "f32[4,3,3,3]");
  EXPECT_EQ(arg(c, "w").align, 64);
  EXPECT_EQ(arg(c, "b").dtype, LAMINA_NONE);
  EXPECT_EQ(shape(arg(c, "y")), "bf16[2,4,2,5]") << "pad is 0:1,2:2 and stride 2,2";
  EXPECT_EQ(c.seed, 0u);
  EXPECT_FALSE(c.exact);
}

TEST(Grammar, TheTypeIsForWhatIsNoInteger) {
  lamina_case c;
  ASSERT_EQ(parse("softmax_cross_entropy/forward x=5x10 labels=5 dtype=bf16 seed=7 fill=normal", &c), LAMINA_OK)
      << lamina_last_error();
  EXPECT_EQ(shape(arg(c, "x")), "bf16[5,10]");
  EXPECT_EQ(shape(arg(c, "labels")), "i64[5]");
  EXPECT_EQ(shape(arg(c, "y")), "bf16[1]");
  EXPECT_EQ(c.seed, 7u);
  ASSERT_EQ(parse("copy/forward x=0d:u8", &c), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(shape(arg(c, "y")), "u8[]");
  ASSERT_EQ(parse("copy/forward x=3 dtype=f16", &c), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(shape(arg(c, "y")), "f16[3]");
}

TEST(Grammar, ShapesFollowFromTheForwardPass) {
  lamina_case c;
  ASSERT_EQ(parse("conv/backward_weights x=128x64x27x27 dw=192x64x5x5 pad=2,2 dtype=bf16", &c), LAMINA_OK)
      << lamina_last_error();
  EXPECT_EQ(shape(arg(c, "dy")), "bf16[128,192,27,27]");
  ASSERT_EQ(parse("max_pool/backward dx=2x3x9x9 kernel=3 stride=2", &c), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(shape(arg(c, "dy")), "f32[2,3,4,4]");
  EXPECT_EQ(shape(arg(c, "indices")), "i32[2,3,4,4]");
  EXPECT_NE(refusal("conv/backward_data w=4x3x3x3 dy=2x4x5x5").find("dx"), std::string::npos);
}

// One number counts for every axis of the picture, though the filter has more.
TEST(Grammar, OneNumberCountsForEveryAxisOfAPicture) {
  lamina_case c;
  ASSERT_EQ(parse("local_conv/backward_data w=3x3x4x2x2x2 dx=1x2x6x6 stride=2", &c), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(shape(arg(c, "dy")), "f32[1,4,3,3]");
}

TEST(Grammar, AliasesAndFlags) {
  lamina_case c;
  ASSERT_EQ(parse("relu/forward y=@x x=2x3/4,1+1 deterministic=1 math=strict fill=exact", &c), LAMINA_OK)
      << lamina_last_error();
  EXPECT_EQ(shape(arg(c, "y")), "f32[2,3]/4,1");
  EXPECT_EQ(c.problem.aliased, 2u);
  EXPECT_EQ(c.problem.flags, LAMINA_DETERMINISTIC);
  EXPECT_EQ(c.problem.math, LAMINA_MATH_STRICT);
  EXPECT_TRUE(c.exact);
  EXPECT_EQ(text_of(c), "relu/forward x=2x3/4,1+1 y=@x math=strict deterministic=1 fill=exact");
}

TEST(Grammar, FilesGiveTheirShapeAndType) {
  const Temporary folder;
  const std::string path = folder / "x.npy";
  std::vector<int32_t> data(15, 2);
  const int64_t dims[] = {3, 5};
  const lamina_tensor tensor = lamina_tensor_of(lamina_dense(LAMINA_I32, 2, dims), data.data());
  ASSERT_EQ(lamina_npy_write(path.c_str(), &tensor, nullptr), LAMINA_OK) << lamina_last_error();
  const std::vector<std::string> as_it_is = {"copy/forward", "x=" + path, "y=out.npy"};
  const std::vector<std::string> as_f16 = {"relu/forward", "x=" + path, "dtype=f16"};
  lamina_case c;
  ASSERT_EQ(parse(as_it_is, &c), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(shape(arg(c, "x")), "i32[3,5]");
  EXPECT_EQ(shape(arg(c, "y")), "i32[3,5]");
  EXPECT_STREQ(c.file[0], path.c_str());
  EXPECT_STREQ(c.file[1], "out.npy");
  ASSERT_EQ(parse(as_f16, &c), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(shape(arg(c, "x")), "f16[3,5]");
  std::remove(path.c_str());
  EXPECT_EQ(parse(as_it_is, &c), LAMINA_IO);
  EXPECT_NE(std::string(lamina_last_error()).find(path), std::string::npos);
}

TEST(Grammar, MistakesAreNamed) {
  EXPECT_EQ(refusal("conv/forwards"), "there is no op \"conv/forwards\"; did you mean conv/forward?");
  EXPECT_EQ(refusal("c\x1b[1mo\x7f\xc2\x9bn\xff\xc3").rfind("there is no op \"c?[1mo???n??\";", 0), 0u);
  EXPECT_EQ(refusal("caf\xc3\xa9").rfind("there is no op \"caf\xc3\xa9\";", 0), 0u); // é, in UTF-8
  EXPECT_EQ(refusal("conv/forward z=3 x=2x3x4"), "conv/forward has no tensor or attribute \"z\"; did you mean x?");
  EXPECT_EQ(refusal("conv/forward strid=2"), "conv/forward has no tensor or attribute \"strid\"; did you mean stride?");
  EXPECT_EQ(refusal("relu/forward something=2"),
            "relu/forward has no tensor or attribute \"something\"; there are x, y, "
            "dtype, math, deterministic, fill, seed");
  EXPECT_EQ(refusal("conv/forward x"),
            "\"x\" is not understood; expected tensor=SHAPE, tensor=FILE.npy or attribute=value");
  EXPECT_EQ(refusal("relu/forward x=2x3q"), "x=2x3q: expected a shape such as 2x3x5x7 or 2x3x5x7/120,40,8,1+3:bf16 or "
                                            "2x32x5x7_1x16, a file that ends in .npy, or @TENSOR");
  for (const char *bad : {"x=2x",
                          "x=",
                          "x=x2",
                          "x=2x3/1",
                          "x=2/1,1",
                          "x=2x3+",
                          "x=2x3+-1",
                          "x=2x3:",
                          "x=2x3:f31",
                          "x=2x3:f32:f32",
                          "x=1x1x1x1x1x1x1x1x1",
                          "x=99999999999999999999",
                          "x=2/",
                          "x=-2",
                          "x=16_",
                          "x=16_0",
                          "x=16_0x",
                          "x=16_0x3",
                          "x=16_0x1",
                          "x=16_0x65536",
                          "x=16_8x2",
                          "x=16_0x2_0x2_0x2_0x2_0x2",
                          "x=16_any_0x2"})
    EXPECT_NE(refusal(std::string("relu/forward ") + bad).find("expected a shape"), std::string::npos) << bad;
  EXPECT_EQ(refusal("relu/forward x=2 x=3"), "x is given twice");
  EXPECT_EQ(refusal("relu/forward x=2 seed=1 seed=1"), "seed is given twice");
  EXPECT_EQ(refusal("relu/forward x=2 dtype=f32 dtype=f32"), "dtype is given twice");
  EXPECT_EQ(refusal("relu/forward x=2 dtype=float"), "dtype=float: expected f64, f32, f16, bf16, i64, i32 or u8");
  EXPECT_EQ(refusal("relu/forward x=2 fill=ones"), "fill=ones: expected exact or normal");
  EXPECT_EQ(refusal("relu/forward x=2 seed=-1"), "seed=-1: expected a whole number from 0");
  EXPECT_EQ(refusal("relu/forward x=2 math=fast"),
            "math=fast: it is no choice; there are default, strict, tf32, bf16, f16");
  EXPECT_EQ(refusal("conv/forward x=1x1x3x3 w=1x1x1x1 y=@x"), "y=@x: y may not share memory in conv/forward");
  EXPECT_EQ(refusal("relu/forward x=2 y=@y"), "y=@y: y may only share the memory of x in relu/forward");
  EXPECT_EQ(refusal("conv/forward x=1x1x3x3 w=1x1x1x1 pad=1,x"),
            "pad=1,x: expected a number for each spatial axis, such as 2,2, or before:after, such as 0:1,2:2");
  EXPECT_EQ(refusal("conv/forward x=1x1x3x3 w=1x1x1x1 groups=two"), "groups=two: expected a whole number");
  for (const char *zero : {"stride=0", "stride=2,0", "groups=0"})
    EXPECT_EQ(refusal("conv/forward x=1x1x3x3 w=1x1x1x1 " + std::string(zero)),
              std::string(zero) + ": expected anything but 0, which stands for the preset, 1");
  EXPECT_EQ(refusal("lrn/forward x=1x3x2x2 k=0"), "k=0: expected anything but 0, which stands for the preset, 1");
  EXPECT_EQ(refusal("max_pool/forward x=1x1x4 kernel=2 ceil_mode=yes"), "ceil_mode=yes: expected 0 or 1");
  EXPECT_EQ(refusal("softmax_cross_entropy/forward x=5x3 labels=5 reduction=men"),
            "reduction=men: it is no choice; did you mean mean?");
  EXPECT_EQ(refusal("conv/forward x=1x1x3x3"), "conv/forward: w is missing");
  EXPECT_EQ(refusal("conv/forward x=1x1x3x3 w=1x1x5x5"), "conv/forward: x is f32[1,1,3,3]; with padding its spatial "
                                                         "axis 0 has 3 elements, but the filter needs 5");
  lamina_case c;
  EXPECT_EQ(lamina_case_parse(0, nullptr, nullptr, &c), LAMINA_INVALID);
}

} // namespace
