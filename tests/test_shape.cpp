// Ops that move elements: hand-worked joins, cuts and orders in every corner of their rules, and what bad shapes are told.
#include <array>
#include <cstring>
#include <numeric>

#include "on_engine.h"
#include "values.h"

namespace {

using Values = Tensor::Values;
using Dims = Tensor::Dims;

// 0, 1, 2 … in row-major order.
Tensor counted(Dims dims, lamina_dtype dtype = LAMINA_F32, double first = 0) {
  Tensor t(dtype, dims);
  Values v(static_cast<size_t>(t.count()));
  std::iota(v.begin(), v.end(), first);
  return Tensor(dtype, dims, v);
}

// Pointers to views of some parts, as the typed calls take them; an empty rank-0 place is NULL.
class Parts {
public:
  explicit Parts(std::vector<Tensor *> parts) {
    for (size_t k = 0; k < parts.size(); k++)
      if (parts[k]) views_[k] = parts[k]->view(), pointers_[k] = &views_[k];
  }
  operator const lamina_tensor * const *() const { return pointers_.data(); }

private:
  std::array<lamina_tensor, LAMINA_PARTS> views_ = {};
  std::array<const lamina_tensor *, LAMINA_PARTS> pointers_ = {};
};

class Shape : public OnEngine {
protected:
  Shape() : OnEngine("concat,split,slice,pad,transpose") {}

  Values sliced(const lamina_slice &slice, Tensor x, Dims y_dims) {
    Tensor y(static_cast<lamina_dtype>(x.desc().dtype), y_dims);
    const lamina_tensor xt = x.view(), yt = y.view();
    EXPECT_OK(lamina_slice_forward(device, &slice, &xt, &yt, nullptr));
    return y.values();
  }
  Values padded(const lamina_pad &pad, Tensor x, Dims y_dims) {
    Tensor y(static_cast<lamina_dtype>(x.desc().dtype), y_dims);
    const lamina_tensor xt = x.view(), yt = y.view();
    EXPECT_OK(lamina_pad_forward(device, &pad, &xt, &yt, nullptr));
    return y.values();
  }
  Values pad_gradient(const lamina_pad &pad, Tensor dy, Dims x_dims) {
    Tensor dx(LAMINA_F32, x_dims);
    const lamina_tensor dyt = dy.view(), dxt = dx.view();
    EXPECT_OK(lamina_pad_backward(device, &pad, &dyt, &dxt, nullptr));
    return dx.values();
  }
  Values slice_gradient(const lamina_slice &slice, Tensor dy, Dims x_dims) {
    Tensor dx(LAMINA_F32, x_dims);
    const lamina_tensor dyt = dy.view(), dxt = dx.view();
    EXPECT_OK(lamina_slice_backward(device, &slice, &dyt, &dxt, nullptr));
    return dx.values();
  }
};

// ---- Concat and split ----

TEST_P(Shape, ConcatAlongChannels) {
  Tensor a = counted({2, 1, 2}), b = counted({2, 2, 2}, LAMINA_F32, 10), y(LAMINA_F32, {2, 3, 2});
  const lamina_tensor yt = y.view();
  EXPECT_OK(lamina_concat_forward(device, nullptr, Parts({&a, &b}), &yt, nullptr));
  EXPECT_EQ(y.values(), (Values{0, 1, 10, 11, 12, 13, /* */ 2, 3, 14, 15, 16, 17}));
  Tensor da(LAMINA_F32, {2, 1, 2}), db(LAMINA_F32, {2, 2, 2});
  EXPECT_OK(lamina_concat_backward(device, nullptr, &yt, Parts({&da, &db}), nullptr));
  EXPECT_EQ(da.values(), a.values());
  EXPECT_EQ(db.values(), b.values());
}

TEST_P(Shape, ConcatOfEight) {
  std::vector<Tensor> x;
  std::vector<Tensor *> pointers;
  for (int k = 0; k < 8; k++) x.push_back(Tensor(LAMINA_U8, {1}, Values{double(k * k)}));
  for (Tensor &t : x) pointers.push_back(&t);
  Tensor y(LAMINA_U8, {8});
  const lamina_tensor yt = y.view();
  const lamina_concat concat = {-1, 0, {}};
  EXPECT_OK(lamina_concat_forward(device, &concat, Parts(pointers), &yt, nullptr));
  EXPECT_EQ(y.values(), (Values{0, 1, 4, 9, 16, 25, 36, 49}));
}

TEST_P(Shape, APartMayBeEmptyOrLeftOut) {
  Tensor a = counted({2, 2}), none(LAMINA_F32, {0, 2}), c = counted({1, 2}, LAMINA_F32, 8), y(LAMINA_F32, {3, 2});
  const lamina_tensor yt = y.view();
  const lamina_concat first_axis = {0, 1, {}};
  EXPECT_OK(lamina_concat_forward(device, &first_axis, Parts({&a, &none, nullptr, &c}), &yt, nullptr));
  EXPECT_EQ(y.values(), (Values{0, 1, 2, 3, 8, 9}));
}

// Without the second part only `sizes` can say where the third one is.
TEST_P(Shape, ConcatBackwardWithAGradientLeftOut) {
  Tensor dy = counted({2, 6}), da(LAMINA_F32, {2, 1}), dc(LAMINA_F32, {2, 3});
  const lamina_tensor dyt = dy.view();
  EXPECT_INVALID(
      lamina_concat_backward(device, nullptr, &dyt, Parts({&da, nullptr, &dc}), nullptr),
      "concat/backward: dy is f32[2,6]; its parts have 4 along axis 1, so `sizes` must be given or corrected");
  const lamina_concat sizes = {0, 0, {1, 2, 3}};
  EXPECT_OK(lamina_concat_backward(device, &sizes, &dyt, Parts({&da, nullptr, &dc}), nullptr));
  EXPECT_EQ(da.values(), (Values{0, 6}));
  EXPECT_EQ(dc.values(), (Values{3, 4, 5, 9, 10, 11}));
}

// More than an f64 can hold.
TEST(ShapeExact, IntegersOf64Bits) {
  lamina_device *device = nullptr;
  ASSERT_EQ(lamina_device_open("cpu", nullptr, &device), LAMINA_OK);
  const int64_t large = INT64_MAX - 1;
  int64_t a[] = {large}, b[] = {-large}, y[2];
  const lamina_tensor at = lamina_vector(LAMINA_I64, 1, a), bt = lamina_vector(LAMINA_I64, 1, b),
                      yt = lamina_vector(LAMINA_I64, 2, y);
  const lamina_tensor *x[LAMINA_PARTS] = {&at, &bt};
  const lamina_concat concat = {-1, 0, {}};
  EXPECT_OK(lamina_concat_forward(device, &concat, x, &yt, nullptr));
  EXPECT_EQ(y[0], large);
  EXPECT_EQ(y[1], -large);
  lamina_device_close(device);
}

TEST_P(Shape, SplitInEqualPartsAndBySizes) {
  Tensor x = counted({2, 6}), a(LAMINA_F32, {2, 2}), c(LAMINA_F32, {2, 2}), d(LAMINA_F32, {2, 5});
  const lamina_tensor xt = x.view();
  const lamina_split three = {0, 0, 3, {}}, sizes = {-1, 0, 0, {1, 5}};
  EXPECT_OK(lamina_split_forward(device, &three, &xt, Parts({&a, nullptr, &c}), nullptr));
  EXPECT_EQ(a.values(), (Values{0, 1, 6, 7}));
  EXPECT_EQ(c.values(), (Values{4, 5, 10, 11}));
  EXPECT_OK(lamina_split_forward(device, &sizes, &xt, Parts({nullptr, &d}), nullptr));
  EXPECT_EQ(d.values(), (Values{1, 2, 3, 4, 5, 7, 8, 9, 10, 11}));
}

TEST_P(Shape, SplitBackwardOfAnAbsentGradientIsZero) {
  Tensor da = counted({2, 2}, LAMINA_F32, 1), dc = counted({2, 2}, LAMINA_F32, 11), dx(LAMINA_F32, {2, 6});
  const lamina_tensor dxt = dx.view();
  const lamina_split three = {0, 0, 3, {}};
  EXPECT_OK(lamina_split_backward(device, &three, Parts({&da, nullptr, &dc}), &dxt, nullptr));
  EXPECT_EQ(dx.values(), (Values{1, 2, 0, 0, 11, 12, /* */ 3, 4, 0, 0, 13, 14}));
}

TEST_P(Shape, WhatConcatRefuses) {
  Tensor a = counted({2, 2}), b = counted({3, 2}), half(LAMINA_F16, {2, 2}), y(LAMINA_F32, {2, 5});
  const lamina_tensor yt = y.view(), at = a.view();
  EXPECT_INVALID(lamina_concat_forward(device, nullptr, Parts({&a}), &yt, nullptr), "concat/forward: x1 is missing");
  EXPECT_INVALID(lamina_concat_forward(device, nullptr, Parts({&a, &b}), &yt, nullptr),
                 "concat/forward: x1 is f32[3,2]; expected f32[2,2]");
  Tensor cube = counted({2, 2, 1});
  EXPECT_INVALID(lamina_concat_forward(device, nullptr, Parts({&a, &cube}), &yt, nullptr),
                 "concat/forward: x1 is f32[2,2,1]; expected 2 axes");
  EXPECT_INVALID(lamina_concat_forward(device, nullptr, Parts({&a, &a}), &yt, nullptr),
                 "concat/forward: y is f32[2,5]; expected f32[2,4]");
  EXPECT_INVALID(lamina_concat_forward(device, nullptr, Parts({&a, &a}), &at, nullptr),
                 "concat/forward: y overlaps x0 in memory");
  const lamina_concat none = {2, 0, {}}, wrong = {0, 0, {2, 3}}, too_many = {0, 0, {2, 2, 1}};
  EXPECT_INVALID(lamina_concat_forward(device, &none, Parts({&a, &a}), &yt, nullptr),
                 "concat/forward: x0 is f32[2,2]; axis is 2; expected -2 to 1");
  EXPECT_INVALID(lamina_concat_forward(device, &wrong, Parts({&a, &a}), &yt, nullptr),
                 "concat/forward: x1 is f32[2,2]; expected f32[2,3]");
  EXPECT_INVALID(lamina_concat_forward(device, &too_many, Parts({&a, &a}), &yt, nullptr),
                 "concat/forward: sizes has 1 for x2, which isn't there");
  Tensor four(LAMINA_F32, {2, 4});
  const lamina_tensor ft = four.view();
  EXPECT_INVALID(lamina_concat_forward(device, nullptr, Parts({&a, &half}), &ft, nullptr),
                 "concat/forward: x1 is f16[2,2]; expected f32, as x0 is");
  Tensor scalar(LAMINA_F32, {});
  EXPECT_INVALID(lamina_concat_forward(device, nullptr, Parts({&scalar, &scalar}), &ft, nullptr),
                 "concat/forward: x0 is f32[]; expected at least 1 axis");
}

TEST_P(Shape, WhatSplitRefuses) {
  Tensor x = counted({2, 6}), a(LAMINA_F32, {2, 2}), b(LAMINA_F32, {2, 3});
  const lamina_tensor xt = x.view();
  const lamina_split none = {}, four = {0, 0, 4, {}}, nine = {0, 0, 9, {}}, both = {0, 0, 2, {2, 4}},
                     few = {0, 0, 0, {2, 3}}, three = {0, 0, 3, {}}, negative = {0, 0, 0, {-2, 8}};
  const auto split = [&](const lamina_split &s, Tensor &part) {
    return lamina_split_forward(device, &s, &xt, Parts({&part}), nullptr);
  };
  EXPECT_INVALID(split(none, a), "split/forward: parts or sizes must be given");
  EXPECT_INVALID(split(four, a), "split/forward: x is f32[2,6]; its axis 1 can't be split into 4 equal parts");
  EXPECT_INVALID(split(nine, a), "split/forward: parts is 9; expected 0 to 8");
  EXPECT_INVALID(split(both, a), "split/forward: parts and sizes contradict each other; expected one of them");
  EXPECT_INVALID(split(few, a), "split/forward: x is f32[2,6]; its parts have 5 along axis 1, so `sizes` must be given "
                                "or corrected");
  EXPECT_INVALID(split(three, b), "split/forward: y0 is f32[2,3]; expected f32[2,2]");
  EXPECT_INVALID(split(negative, a), "split/forward: sizes is -2; expected at least 0");
}

// ---- Slice ----

TEST_P(Shape, SliceAsPythonDoes) {
  const Tensor x = counted({6});
  EXPECT_EQ(sliced({}, x, {6}), (Values{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(sliced({{2}, {}, {}}, x, {4}), (Values{2, 3, 4, 5}));
  EXPECT_EQ(sliced({{}, {-1}, {}}, x, {5}), (Values{0, 1, 2, 3, 4}));
  EXPECT_EQ(sliced({{1}, {6}, {2}}, x, {3}), (Values{1, 3, 5}));
  EXPECT_EQ(sliced({{-2}, {}, {}}, x, {2}), (Values{4, 5}));
  EXPECT_EQ(sliced({{}, {100}, {4}}, x, {2}), (Values{0, 4}));
  EXPECT_EQ(sliced({{-100}, {2}, {}}, x, {2}), (Values{0, 1}));
  EXPECT_EQ(sliced({{4}, {2}, {}}, x, {0}), (Values{}));
  EXPECT_EQ(sliced({{}, {-6}, {}}, x, {0}), (Values{})); // stop at element 0
}

TEST_P(Shape, SliceBackwards) {
  const Tensor x = counted({6});
  EXPECT_EQ(sliced({{}, {}, {-1}}, x, {6}), (Values{5, 4, 3, 2, 1, 0}));
  EXPECT_EQ(sliced({{}, {}, {-2}}, x, {3}), (Values{5, 3, 1}));
  EXPECT_EQ(sliced({{}, {-6}, {-1}}, x, {5}), (Values{5, 4, 3, 2, 1})); // element 0 isn't taken any more
  EXPECT_EQ(sliced({{-6}, {}, {-1}}, x, {1}), (Values{0}));             // from element 0 down
  EXPECT_EQ(sliced({{3}, {1}, {-1}}, x, {2}), (Values{3, 2}));
  EXPECT_EQ(sliced({{100}, {-3}, {-1}}, x, {2}), (Values{5, 4}));
  EXPECT_EQ(sliced({{1}, {3}, {-1}}, x, {0}), (Values{}));
  EXPECT_EQ(sliced({{}, {}, {INT64_MIN}}, x, {1}), (Values{5}));
  EXPECT_EQ(sliced({{}, {}, {INT64_MAX}}, x, {1}), (Values{0}));
}

TEST_P(Shape, SliceOfAPicture) {
  const Tensor x = counted({1, 2, 3, 4}, LAMINA_I32);
  EXPECT_EQ(sliced({{0, 1, 1}, {0, 0, 0, 3}, {0, 0, 0, 2}}, x, {1, 1, 2, 2}), (Values{16, 18, 20, 22}));
  EXPECT_EQ(sliced({{}, {}, {0, 0, 0, -1}}, counted({1, 1, 2, 3}), {1, 1, 2, 3}), (Values{2, 1, 0, 5, 4, 3}));
}

TEST_P(Shape, SliceBackwardIsZeroElsewhere) {
  EXPECT_EQ(slice_gradient({{1, 1}, {3, 0}, {}}, counted({2, 2}, LAMINA_F32, 1), {4, 3}),
            (Values{0, 0, 0, /* */ 0, 1, 2, /* */ 0, 3, 4, /* */ 0, 0, 0}));
  EXPECT_EQ(slice_gradient({{}, {}, {-2}}, counted({3}, LAMINA_F32, 1), {6}), (Values{0, 3, 0, 2, 0, 1}));
  EXPECT_EQ(slice_gradient({{2}, {1}, {}}, counted({0}), {3}), (Values{0, 0, 0}));
}

// Whatever says the same becomes the same bytes, and stays so.
TEST(ShapeProblem, SlicesHaveANormalForm) {
  const int64_t dims[] = {7};
  const lamina_desc x = lamina_dense(LAMINA_F32, 1, dims), y = lamina_infer(LAMINA_NONE);
  const lamina_desc *shapes[] = {&x, &y};
  const auto inferred = [&](int64_t start, int64_t stop, int64_t step) {
    const lamina_slice slice = {{start}, {stop}, {step}};
    lamina_problem once, twice;
    EXPECT_OK(lamina_problem_init(&once, lamina_op_find("slice/forward"), &slice, shapes));
    EXPECT_OK(lamina_problem_infer(&once));
    twice = once;
    EXPECT_OK(lamina_problem_infer(&twice));
    EXPECT_EQ(std::memcmp(&once, &twice, sizeof once), 0) << start << ":" << stop << ":" << step;
    return std::string(reinterpret_cast<const char *>(&once), sizeof once);
  };
  for (int64_t start = -9; start <= 9; start++)
    for (int64_t stop = -9; stop <= 9; stop++)
      for (int64_t step = -4; step <= 4; step++) inferred(start, stop, step);
  EXPECT_TRUE(inferred(1, 6, 2) == inferred(-6, -1, 2));
  EXPECT_TRUE(inferred(1, 6, 2) == inferred(1, 7, 2));
  EXPECT_TRUE(inferred(0, 0, -3) == inferred(100, -100, -3));
  EXPECT_TRUE(inferred(2, 3, 1) == inferred(2, 1, -5));
  EXPECT_TRUE(inferred(5, 2, 1) == inferred(0, -7, 3));
  EXPECT_FALSE(inferred(0, 0, -3) == inferred(6, -7, -3)); // 6, 3, 0 and 6, 3
}

TEST_P(Shape, WhatSliceRefuses) {
  Tensor x = counted({2, 3}), y(LAMINA_F32, {2, 2});
  const lamina_tensor xt = x.view(), yt = y.view();
  const lamina_slice third = {{0, 0, 1}, {}, {}}, wrong = {{0, 2}, {}, {}};
  EXPECT_INVALID(lamina_slice_forward(device, &third, &xt, &yt, nullptr),
                 "slice/forward: x is f32[2,3]; start is given for 3 axes; expected at most 2");
  EXPECT_INVALID(lamina_slice_forward(device, &wrong, &xt, &yt, nullptr),
                 "slice/forward: y is f32[2,2]; expected f32[2,1]");
  lamina_tensor unknown = lamina_tensor_of(lamina_infer(LAMINA_F32), y.data());
  EXPECT_INVALID(lamina_slice_backward(device, nullptr, &xt, &unknown, nullptr),
                 "slice/backward: the shape of dx doesn't follow from the others, so it must be given");
}

// ---- Pad ----

lamina_pad padding(int64_t before, int64_t after, lamina_pad_mode mode, double value = 0) {
  lamina_pad pad = {};
  pad.before[0] = before, pad.after[0] = after, pad.mode = mode, pad.value = value;
  return pad;
}

TEST_P(Shape, PadByHand) {
  const Tensor x = counted({3}, LAMINA_F32, 1);
  EXPECT_EQ(padded(padding(2, 1, LAMINA_PAD_CONSTANT, -1), x, {6}), (Values{-1, -1, 1, 2, 3, -1}));
  EXPECT_EQ(padded(padding(2, 3, LAMINA_PAD_EDGE), x, {8}), (Values{1, 1, 1, 2, 3, 3, 3, 3}));
  EXPECT_EQ(padded(padding(2, 1, LAMINA_PAD_REFLECT), x, {6}), (Values{3, 2, 1, 2, 3, 2}));
  EXPECT_EQ(padded(padding(0, 0, LAMINA_PAD_REFLECT), x, {3}), (Values{1, 2, 3}));
  EXPECT_EQ(padded(padding(1, 1, LAMINA_PAD_CONSTANT, 300), counted({1}, LAMINA_U8), {3}), (Values{255, 0, 255}));
  EXPECT_EQ(padded(padding(1, 1, LAMINA_PAD_CONSTANT, 7), Tensor(LAMINA_F32, {0}), {2}), (Values{7, 7}));
}

TEST_P(Shape, PadCorners) {
  const lamina_pad edge = {{1, 1}, {1, 0}, LAMINA_PAD_EDGE, 0}, reflect = {{1, 1}, {1, 1}, LAMINA_PAD_REFLECT, 0};
  EXPECT_EQ(padded(edge, counted({2, 2}), {4, 3}), (Values{0, 0, 1, /* */ 0, 0, 1, /* */ 2, 2, 3, /* */ 2, 2, 3}));
  EXPECT_EQ(padded(reflect, counted({2, 2}), {4, 4}),
            (Values{3, 2, 3, 2, /* */ 1, 0, 1, 0, /* */ 3, 2, 3, 2, /* */ 1, 0, 1, 0}));
}

TEST_P(Shape, PadBackwardAddsUp) {
  EXPECT_EQ(pad_gradient(padding(2, 1, LAMINA_PAD_CONSTANT, 5), counted({6}), {3}), (Values{2, 3, 4}));
  EXPECT_EQ(pad_gradient(padding(2, 1, LAMINA_PAD_EDGE), counted({6}), {3}), (Values{0 + 1 + 2, 3, 4 + 5}));
  EXPECT_EQ(pad_gradient(padding(2, 1, LAMINA_PAD_REFLECT), counted({6}), {3}), (Values{2, 1 + 3 + 5, 0 + 4}));
  const lamina_pad edge = {{1, 1}, {1, 0}, LAMINA_PAD_EDGE, 0};
  EXPECT_EQ(pad_gradient(edge, counted({4, 3}), {2, 2}), (Values{0 + 1 + 3 + 4, 2 + 5, 6 + 7 + 9 + 10, 8 + 11}));
}

TEST_P(Shape, WhatPadRefuses) {
  Tensor x = counted({3}), y(LAMINA_F32, {6}), none(LAMINA_F32, {0});
  const lamina_tensor xt = x.view(), yt = y.view(), nt = none.view();
  const auto pad = [&](const lamina_pad &p) { return lamina_pad_forward(device, &p, &xt, &yt, nullptr); };
  const lamina_pad edge = padding(3, 3, LAMINA_PAD_EDGE), negative = padding(-1, 4, LAMINA_PAD_CONSTANT),
                   huge = padding(INT64_MAX, 4, LAMINA_PAD_CONSTANT), second = {{0, 1}, {}, 0, 0};
  EXPECT_INVALID(pad(padding(3, 0, LAMINA_PAD_REFLECT)),
                 "pad/forward: x is f32[3]; reflect can't add 3 along axis 0 of 3 elements; expected less than that");
  EXPECT_INVALID(lamina_pad_forward(device, &edge, &nt, &yt, nullptr),
                 "pad/forward: x is f32[0]; axis 0 has no edge to repeat");
  EXPECT_INVALID(pad(negative), "pad/forward: before is -1; expected at least 0");
  EXPECT_INVALID(pad(huge), "pad/forward: x is f32[3]; its size overflows with padding");
  EXPECT_INVALID(pad(second), "pad/forward: x is f32[3]; before is given for 2 axes; expected at most 1");
  EXPECT_INVALID(pad(padding(1, 1, LAMINA_PAD_EDGE)), "pad/forward: y is f32[6]; expected f32[5]");
  EXPECT_INVALID(lamina_pad_backward(device, &edge, &xt, &yt, nullptr),
                 "pad/backward: dy is f32[3]; its axis 0 has fewer elements than before and after add");
}

// ---- Transpose ----

TEST_P(Shape, TransposeReversesOrPermutes) {
  Tensor x = counted({2, 3}), y(LAMINA_F32, {3, 2});
  lamina_tensor xt = x.view(), yt = y.view();
  EXPECT_OK(lamina_transpose_forward(device, nullptr, &xt, &yt, nullptr));
  EXPECT_EQ(y.values(), (Values{0, 3, 1, 4, 2, 5}));
  Tensor cube = counted({2, 3, 2}, LAMINA_BF16), to(LAMINA_BF16, {2, 2, 3}), back(LAMINA_BF16, {2, 3, 2});
  const lamina_tensor cubet = cube.view(), tot = to.view(), backt = back.view();
  const lamina_transpose perm = {{-1, 0, 1}};
  EXPECT_OK(lamina_transpose_forward(device, &perm, &cubet, &tot, nullptr));
  EXPECT_EQ(to.values(), (Values{0, 2, 4, 6, 8, 10, /* */ 1, 3, 5, 7, 9, 11}));
  EXPECT_OK(lamina_transpose_backward(device, &perm, &tot, &backt, nullptr));
  EXPECT_EQ(back.values(), cube.values());
}

TEST_P(Shape, TransposeOfARowAndOfNothing) {
  Tensor x = counted({3}), y(LAMINA_F32, {3}), scalar(LAMINA_F32, {}, 7.0), to(LAMINA_F32, {});
  lamina_tensor xt = x.view(), yt = y.view(), st = scalar.view(), tt = to.view();
  EXPECT_OK(lamina_transpose_forward(device, nullptr, &xt, &yt, nullptr));
  EXPECT_EQ(y.values(), x.values());
  EXPECT_OK(lamina_transpose_forward(device, nullptr, &st, &tt, nullptr));
  EXPECT_EQ(to.at(0), 7);
}

TEST_P(Shape, WhatTransposeRefuses) {
  Tensor x = counted({2, 3}), y(LAMINA_F32, {2, 3});
  const lamina_tensor xt = x.view(), yt = y.view();
  const lamina_transpose twice = {{1, 1}}, third = {{0, 1, 2}}, past = {{1, 2}}, huge = {{8, 0}};
  const auto run = [&](const lamina_transpose &t) { return lamina_transpose_forward(device, &t, &xt, &yt, nullptr); };
  EXPECT_INVALID(run(twice), "transpose/forward: x is f32[2,3]; perm must name each of its 2 axes once");
  EXPECT_INVALID(run(past), "transpose/forward: x is f32[2,3]; perm must name each of its 2 axes once");
  EXPECT_INVALID(run(third), "transpose/forward: x is f32[2,3]; perm is given for 3 axes; expected at most 2");
  EXPECT_INVALID(run(huge), "transpose/forward: perm is 8; expected -8 to 7");
  EXPECT_INVALID(run({}), "transpose/forward: y is f32[2,3]; expected f32[3,2]");
}

INSTANTIATE_TEST_SUITE_P(Engines, Shape, testing::Values("loop", "ref"));

} // namespace
