// Problems: what infer fills in, what it brings to one form, and what it tells of those that don't fit.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "core/problem.h"

extern "C" {
#include "core/text.h"
}

#include "lamina/conv.h"
#include "lamina/op.h"

namespace {

lamina_desc dense(lamina_dtype dtype, const std::vector<int64_t> &dims) {
  return lamina_dense(dtype, static_cast<int>(dims.size()), dims.data());
}

// conv/forward with the shapes given; y is inferred.
struct Case {
  lamina_conv conv = {};
  lamina_desc x = dense(LAMINA_F32, {2, 4, 9, 7}), w = dense(LAMINA_F32, {6, 2, 3, 3}), y = lamina_infer(LAMINA_NONE);
  const lamina_desc *b = nullptr;
  lamina_problem problem = {};

  lamina_status infer() {
    const lamina_desc *arg[] = {&x, &w, b, &y};
    const lamina_status status = lamina_problem_init(&problem, lamina_op_find("conv/forward"), &conv, arg);
    return status ? status : lamina_problem_infer(&problem);
  }
  void expect_error(const std::string &sentence) {
    EXPECT_EQ(infer(), LAMINA_INVALID);
    EXPECT_EQ(lamina_last_error(), "conv/forward: " + sentence);
  }
};

TEST(Problem, OutputsAreInferred) {
  Case c;
  c.conv.groups = 2;
  c.conv.stride[0] = 2, c.conv.dilation[1] = 2;
  c.conv.pad[0][0] = 1;
  ASSERT_EQ(c.infer(), LAMINA_OK) << lamina_last_error();
  char text[64];
  EXPECT_STREQ(lamina_desc_text(&c.problem.arg[3], text, sizeof text), "f32[2,6,4,3]");
  double flops = 0, bytes = 0;
  lamina_problem_work(&c.problem, &flops, &bytes);
  EXPECT_EQ(flops, 2.0 * 2 * 6 * 4 * 3 * 2 * 3 * 3);
  EXPECT_EQ(bytes, 4.0 * (2 * 4 * 9 * 7 + 6 * 2 * 3 * 3 + 2 * 6 * 4 * 3));
}

TEST(Problem, WhatIsInAndOutIsMovedTwice) {
  const lamina_desc w = dense(LAMINA_F32, {100}), rate = dense(LAMINA_F32, {1});
  const lamina_desc *arg[LAMINA_MAX_ARGS] = {};
  lamina_problem problem;
  double bytes = 0;
  arg[0] = arg[1] = &w, arg[3] = &rate; // w, g, m, rate
  ASSERT_EQ(lamina_problem_init(&problem, lamina_op_find("sgd/update"), nullptr, arg), LAMINA_OK);
  ASSERT_EQ(lamina_problem_infer(&problem), LAMINA_OK) << lamina_last_error();
  lamina_problem_work(&problem, nullptr, &bytes);
  EXPECT_EQ(bytes, 4.0 * (2 * 100 + 100 + 1));
}

// Presets written out, strides of axes of size 1 and rubbish beyond the rank: the same problem, so the same bytes.
TEST(Problem, EqualProblemsAreEqualBytes) {
  Case a, b;
  a.x = b.x = dense(LAMINA_F32, {1, 2, 9, 7});
  b.conv.groups = 1;
  for (int i = 0; i < 2; i++) b.conv.stride[i] = b.conv.dilation[i] = 1;
  b.x.strides[0] = 12345;
  b.x.dims[6] = 3, b.x.strides[7] = 9;
  b.x.align = 4;
  b.y = dense(LAMINA_F32, {1, 6, 7, 5});
  ASSERT_EQ(a.infer(), LAMINA_OK) << lamina_last_error();
  ASSERT_EQ(b.infer(), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(memcmp(&a.problem, &b.problem, sizeof a.problem), 0);
  const lamina_problem once = a.problem;
  ASSERT_EQ(lamina_problem_infer(&a.problem), LAMINA_OK);
  EXPECT_EQ(memcmp(&a.problem, &once, sizeof once), 0) << "a normal form is its own normal form";
}

TEST(Problem, WhatDoesNotFitIsNamed) {
  Case().expect_error("w is f32[6,2,3,3]; expected axis 1 to be the input's 4 channels over 1 groups");
  Case c;
  c.conv.groups = 2;
  c.w = dense(LAMINA_F32, {5, 2, 3, 3});
  c.expect_error("w is f32[5,2,3,3]; its 5 filters can't be split into 2 groups");
  c = Case();
  c.conv.groups = 2;
  c.y = dense(LAMINA_F32, {2, 6, 7, 4});
  c.expect_error("y is f32[2,6,7,4]; expected f32[2,6,7,5]");
  c = Case();
  c.x = dense(LAMINA_F32, {2, 4});
  c.expect_error("x is f32[2,4]; expected 3 to 5 axes");
  c = Case();
  c.x.dtype = LAMINA_I32;
  c.expect_error("x is i32[2,4,9,7]; expected f64, f32, f16 or bf16");
  c = Case();
  c.x.dtype = LAMINA_NONE;
  c.expect_error("x is missing");
  c = Case();
  c.x.rank = 9;
  c.expect_error("x has 9 axes; expected 0 to 8");
  c = Case();
  c.x.dims[2] = -1;
  c.expect_error("x is f32[2,4,-1,7]/252,63,7,1; no axis may be negative");
  c = Case();
  c.x = dense(LAMINA_F32, {int64_t{1} << 40, 4, int64_t{1} << 40, 7});
  EXPECT_EQ(c.infer(), LAMINA_INVALID);
  EXPECT_NE(std::string(lamina_last_error()).find("its size overflows"), std::string::npos) << lamina_last_error();
}

TEST(Problem, BlocksAreCheckedAndStay) {
  Case c;
  c.w = dense(LAMINA_F32, {16, 4, 3, 3});
  c.x.layout = LAMINA_BLOCK(1, 4);
  c.expect_error("x is f32[2,4,9,7]/252,63,7,1_1x16; axis 1 is no multiple of its blocks of 16");
  c.x.layout = LAMINA_BLOCK(5, 1);
  c.expect_error("x is f32[2,4,9,7]/252,63,7,1_5x2; its layout 0x51 has blocks along axis 5; expected axes 0 to 3");
  c.x.layout = LAMINA_BLOCK(1, 1) << 8;
  c.expect_error("x is f32[2,4,9,7]/252,63,7,1_1x2_0x1; its layout 0x1100 has a block of one element");
  c.x.layout = -7;
  c.expect_error("x is f32[2,4,9,7]/252,63,7,1_?; its layout is -7; expected 0, LAMINA_BLOCKs or LAMINA_LAYOUT_ANY");
  c = Case();
  const int64_t x[] = {1, 4, 9, 7};
  c.w = dense(LAMINA_F32, {16, 4, 3, 3});
  c.x = lamina_blocked(LAMINA_F32, 4, x, LAMINA_BLOCK(1, 1));
  c.x.strides[0] = 999; // an axis of one block
  c.y.layout = LAMINA_BLOCK(1, 4);
  ASSERT_EQ(c.infer(), LAMINA_OK) << lamina_last_error();
  char text[64];
  EXPECT_EQ(c.problem.arg[0].strides[0], 4 * 9 * 7);
  EXPECT_STREQ(lamina_desc_text(&c.problem.arg[3], text, sizeof text), "f32[1,16,7,5]_1x16")
      << "y is inferred in blocks";
  const lamina_problem once = c.problem;
  ASSERT_EQ(lamina_problem_infer(&c.problem), LAMINA_OK);
  EXPECT_EQ(memcmp(&c.problem, &once, sizeof once), 0);
  c.y = lamina_blocked(LAMINA_F32, 4, std::vector<int64_t>{1, 16, 7, 5}.data(), LAMINA_BLOCK(1, 4));
  c.y.strides[3] = 15; // blocks of 16 that start 15 apart
  EXPECT_EQ(c.infer(), LAMINA_INVALID);
  EXPECT_NE(std::string(lamina_last_error()).find("elements of an output may not overlap"), std::string::npos);
}

TEST(Problem, LayoutsThatAreLeftOpenHaveANormalForm) {
  Case c;
  c.w = dense(LAMINA_F32, {16, 4, 3, 3});
  c.w.layout = c.y.layout = LAMINA_LAYOUT_ANY;
  ASSERT_EQ(c.infer(), LAMINA_OK) << lamina_last_error();
  for (const int arg : {1, 3}) {
    EXPECT_EQ(c.problem.arg[arg].layout, LAMINA_LAYOUT_ANY);
    for (const int64_t stride : c.problem.arg[arg].strides) EXPECT_EQ(stride, 0);
  }
  const lamina_args args = {};
  EXPECT_EQ(lamina_reference_run(&c.problem, &args, nullptr, 1, nullptr), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(),
               "conv/forward: w is f32[16,4,3,3]_any; its layout is LAMINA_LAYOUT_ANY, which only a plan can choose");
}

TEST(Problem, AttributesAreChecked) {
  Case c;
  c.conv.stride[0] = -1;
  c.expect_error("stride is -1; expected 1 to 2147483648");
  c = Case();
  c.conv.groups = 2;
  c.conv.stride[2] = 2;
  c.expect_error("stride is given for 3 axes, but there are 2 spatial axes");
}

TEST(Problem, OutputsMayNotOverlapThemselves) {
  Case c;
  c.conv.groups = 2;
  c.y = dense(LAMINA_F32, {2, 6, 7, 5});
  c.y.strides[2] = 4; // rows of 5 that start 4 apart
  EXPECT_EQ(c.infer(), LAMINA_INVALID);
  EXPECT_NE(std::string(lamina_last_error()).find("elements of an output may not overlap"), std::string::npos);
  c.y.strides[2] = 5, c.y.strides[3] = -1; // backwards is fine
  EXPECT_EQ(c.infer(), LAMINA_OK) << lamina_last_error();
}

TEST(Problem, ShapesThatDontFollowMustBeGiven) {
  const lamina_desc dy = dense(LAMINA_F32, {2, 6, 7, 5}), w = dense(LAMINA_F32, {6, 4, 3, 3});
  const lamina_desc dx = lamina_infer(LAMINA_F32);
  const lamina_desc *arg[] = {&dy, &w, &dx};
  lamina_problem problem;
  ASSERT_EQ(lamina_problem_init(&problem, lamina_op_find("conv/backward_data"), nullptr, arg), LAMINA_OK);
  EXPECT_EQ(lamina_problem_infer(&problem), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(),
               "conv/backward_data: the shape of dx doesn't follow from the others, so it must be given");
}

TEST(Problem, SetsOfAxesCountFromBothEnds) {
  lamina_problem problem = {};
  int64_t set = -1;
  EXPECT_EQ(lamina_axis_set(&problem, LAMINA_AXIS(1) | LAMINA_AXIS(-1), 4, &set), LAMINA_OK);
  EXPECT_EQ(set, 1 << 1 | 1 << 3);
  EXPECT_EQ(lamina_axis_set(&problem, LAMINA_AXIS(-4) | LAMINA_AXIS(0), 4, &set), LAMINA_OK); // the same axis
  EXPECT_EQ(set, 1);
  EXPECT_EQ(lamina_axis_set(&problem, 0, 0, &set), LAMINA_OK);
  EXPECT_EQ(set, 0);
  EXPECT_EQ(lamina_axis_set(&problem, LAMINA_AXIS(4), 4, &set), LAMINA_INVALID);
  EXPECT_NE(std::string(lamina_last_error()).find("axes names axis 4; expected -4 to 3"), std::string::npos);
  EXPECT_EQ(lamina_axis_set(&problem, LAMINA_AXIS(-5), 4, &set), LAMINA_INVALID);
  EXPECT_NE(std::string(lamina_last_error()).find("axes names axis -5"), std::string::npos);
  EXPECT_EQ(lamina_axis_set(&problem, INT64_C(1) << 20, 8, &set), LAMINA_INVALID);
}

TEST(Problem, SetsOfAxesAsText) {
  lamina_text text = {};
  lamina_text_axes(&text, LAMINA_AXIS(0) | LAMINA_AXIS(2) | LAMINA_AXIS(-1), ",");
  EXPECT_STREQ(text.data, "0,2,-1");
  lamina_text_free(&text);
}

} // namespace
