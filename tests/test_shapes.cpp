// Shapes that engines treat apart, in full against the oracle: what the oracle test draws is too small or too even for
// tiles that are turned around, sums in parts, indices that sort in several passes. LAMINA_TEST_DEVICE sets the device.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "case.h"
#include "on_device.h"

namespace {

const char *const cases[] = {
    // turned around in tiles, whole and cut off; short axes; both sides in steps
    "copy/forward x=3x70x45/3150,1,70",
    "copy/forward x=2x70x45/3150,1,70:u8",
    "copy/forward x=2x130x66/8580,1,130 dtype=bf16",
    "copy/forward x=33x47/1,33 dtype=f64",
    "copy/forward x=3x40x50/1,150,3",
    "copy/forward x=40x50x3/150,1,50 dtype=bf16",
    "copy/forward x=4x64x48/-3072,48,1 y=4x64x48/3072,1,64",
    "copy/forward x=20x6x64/64,1280,1",
    "copy/forward x=40x96/0,1:u8",
    "copy/forward x=40x96/1,0",
    "copy/forward x=40x64/130,1+1 dtype=bf16",
    "copy/forward x=10007:u8",
    "copy/forward x=17x3x5x18/1,1530,306,17",
    "copy/forward x=18x3x20x5/15,5,270,1 dtype=bf16",
    "copy/forward x=3x4x5x6x7/1,3,12,60,360",
    "copy/forward x=19x2x3x17x2/204,1,68,4,2 y=19x2x3x17x2/1,19,38,114,1938",
    "transpose/forward x=5x17x4x18 perm=1,2,3,0",
    "transpose/forward x=3x2x19x4x17 perm=4,1,3,0,2 dtype=bf16",
    "fill/forward y=37+1 value=2",
    "fill/forward y=37+2 value=2",
    "fill/forward y=1003+5 value=3 dtype=bf16",
    "transpose/forward x=66x5x130 perm=2,1,0",
    "transpose/backward dx=2x36x7x20 perm=0,2,3,1 dtype=bf16",
    // one argument alone that doesn't lie where four elements can be loaded at once; the gate of type f64 is shut
    "sgd/update w=1003+1 g=1003:bf16 m=1003 rate=1 shadow=1003:bf16 momentum=0.5",
    "sgd/update w=1003 g=1003+1:bf16 m=1003 rate=1 shadow=1003:bf16 momentum=0.5",
    "sgd/update w=1003 g=1003:bf16 m=1003+2 rate=1 shadow=1003:bf16 momentum=0.5",
    "sgd/update w=1003 g=1003:bf16 m=1003 rate=1 shadow=1003+2:bf16 momentum=0.5",
    "adam/update w=1003 g=1003:bf16 m=1003 v=1003+1 rate=1 step=1 shadow=1003:f16",
    "adam/update w=1003 g=1003:bf16 m=1003 v=1003 rate=1 step=1 shadow=1003+1:bf16 gate=1:f64",
    // sums in parts: of rows, of columns with and without vectors, of neighbours that are few
    "add/backward dy=16x3x40x40 db=3",
    "add/backward dy=40007 db=1 dtype=bf16",
    "add/backward dy=2001x70 db=1x70",
    "add/backward dy=700x3 db=1x3",
    "add/backward dy=70x33 db=1x33",
    "multiply/backward a=600x256 b=1x256 dy=600x256 da=600x256 db=1x256 dtype=bf16",
    "multiply/backward a=5x8x9x16 b=5x1x9x1 dy=5x8x9x16 da=5x8x9x16 db=5x1x9x1",
    "multiply/backward a=9x40 b=9x40 dy=9x40 db=9x40",
    "multiply/backward a=9x40 b=1x40 dy=9x40 da=@dy",
    "prelu/backward x=16x3x40x40 slope=3 dslope=3",
    "prelu/backward x=2001x70 slope=70 dslope=70",
    // lists that one, two and three digits sort, with runs that go over many pieces
    "embedding/backward indices=5001 dw=3x8",
    "embedding/backward indices=2500:i64 dw=400x4 padding=7 dtype=bf16",
    "embedding/backward indices=2100 dw=70000x1",
    "embedding/backward indices=64 dw=1x8",
    "gather/backward indices=300:u8 dx=3x40x5 axis=1",
    "gather/forward x=5x300x8 indices=64x3 axis=1 dtype=bf16",
    // copies of an edge, and mirrored corners
    "pad/backward dy=30x40x3 before=9,13 after=8,17 mode=edge",
    "pad/backward dy=3x31x40 before=0,9,13 after=0,10,12 mode=reflect dtype=bf16",
    "pad/forward x=6x10x64 before=2,3 after=1,2 value=2 dtype=bf16",
    // windows that go in steps of two, of two and three elements and of others, in planes that are not square
    "max_pool/backward dx=2x3x13x7 kernel=2,3 stride=2",
    "max_pool/backward dx=2x3x7x13 kernel=3,2 stride=2 pad=1,0",
    "max_pool/backward dx=2x3x9x14 kernel=4 stride=2",
    "max_pool/backward dx=2x3x14x9 kernel=1,3 stride=2",
    "max_pool/backward dx=2x3x14x9 kernel=3 stride=2 dilation=2",
    // batch axes that are joined to rows or to the depth, summed, or kept, in every place of four
    "matmul/forward a=2x3x4x5x6 b=2x3x4x6x7",
    "matmul/forward a=2x3x4x5x6 b=6x7 dtype=bf16",
    "matmul/forward a=2x1x4x5x6 b=1x3x4x6x7",
    "matmul/forward a=2x3x1x5x6 b=2x1x4x6x7",
    "matmul/forward a=3x2x5x6 b=6x7 y=3x2x5x7/35,105,7,1",
    "matmul/forward a=3x2x5x6/30,90,6,1 b=6x7",
    "matmul/backward_b a=3x2x5x6/30,90,6,1 dy=3x2x5x7 db=6x7",
    "matmul/backward_b a=3x2x5x6 dy=3x2x5x7/35,105,7,1 db=6x7",
    "matmul/backward_a dy=2x3x4x5x7 b=1x3x4x7x6 da=2x1x4x5x6 transpose_b=1",
    "matmul/backward_b a=2x3x4x5x6 dy=2x3x4x5x7 db=6x7",
    "matmul/backward_b a=2x3x4x5x6 dy=2x3x4x5x7 db=3x1x6x7",
    "matmul/backward_b a=2x3x4x5x6 dy=2x3x4x5x7 db=2x1x4x6x7",
    "matmul/backward_b a=3x1x4x5x6 dy=3x2x4x5x7 db=1x2x4x6x7",
    // what follows a sum, in whole vectors and beside them; sums in parts; filters of 3 x 3 and of one tap; few channels
    "conv_relu/forward x=2x5x8x8 w=9x5x3x3 b=9 pad=1",
    "conv_relu/forward x=2x5x8x8 w=9x5x3x3 b=9 pad=1 dtype=bf16",
    "conv_relu/forward x=2x16x5x5 w=20x16x1x1 b=20",
    "conv_relu/forward x=1x3x17x19 w=10x3x5x5 b=10 stride=2 pad=2",
    "relu_conv/backward_data dy=2x9x8x8 w=9x5x3x3 x=2x5x8x8 pad=1",
    "relu_conv/backward_data dy=2x9x8x8 w=9x5x3x3 x=2x5x8x8 pad=1 dx=@x dtype=bf16",
    "relu_conv/backward_data dy=2x20x5x5 w=20x16x1x1 x=2x16x5x5 dx=@x",
    "fc_relu/forward x=3x1500 w=20x1500 b=20",
    "relu_fc/backward_data dy=3x1500 w=1500x20 x=3x20 dx=@x",
    "relu_fc/backward_data dy=5x700 w=700x32 x=5x32 dtype=bf16",
    // to the nearest integer, and what is beyond
    "cast/forward x=4099 y=4099:i32",
    "cast/forward x=1003 y=1003:i64 dtype=bf16",
    "cast/forward x=1003 y=1003:u8",
    "cast/forward x=1003:i32 y=1003:bf16",
    "dropout/forward x=7x5x3x3 rng=2 p=0.3 channels=1",
    "dropout/backward dy=4099 rng=2 p=0.5 dtype=bf16",
};

// Blocks that take one tile of shared memory after the other, some of their sums in parts; under the race detector, too.
const char *const tiles[] = {
    "copy/forward x=3x70x45/3150,1,70",
    "transpose/forward x=66x5x130 perm=2,1,0",
    "sum/forward x=90x300 axes=0",
    "sum/forward x=3x5x64 axes=0,2",
    "max/forward x=3x5x7x64 axes=0,2,3 dtype=bf16",
    "conv/matrix w=2x3x2 size=4 pad=0:4 dilation=3",
    "lrn/forward x=2x3x4x5x6 size=3 within=1",
    "sum/forward x=2x3x2x3x2x3x2x3 axes=0,2,4,6",
    "max/forward x=5x40x300 axes=1 dtype=bf16",
    "mean/forward x=7x3000 axes=1",
    "sum/backward dx=40x70 axes=0",
    "add/backward dy=301x150 db=1x150",
    "multiply/backward a=150x256 b=1x256 dy=150x256 db=1x256 dtype=bf16",
    "prelu/backward x=6x5x20x20 slope=5 dslope=5",
    "batch_norm/forward x=150x300",
    "batch_norm/backward x=150x300 w=300 dw=300 db=300 dtype=bf16",
    "batch_norm/backward x=6x5x20x20 w=5 dw=5 db=5",
    "layer_norm/forward x=9x1000",
    "layer_norm/backward x=9x1000 w=1000 dw=1000 db=1000",
    "group_norm/backward x=2x6x20x20 w=6 dw=6 db=6 groups=3",
    "softmax/forward x=9x300",
    "softmax/forward x=9x67",
    "log_softmax/forward x=5x301",
    "softmax/backward y=9x300 dy=9x300",
    "log_softmax/backward y=9x67 dy=9x67",
    "softmax/backward y=2x67x5 dy=2x67x5",
    "softmax_cross_entropy/forward x=9x300 labels=9",
    "softmax_cross_entropy/backward prob=9x300 labels=9 dx=9x300",
    "softmax_cross_entropy/forward x=9x67 labels=9",
    "softmax_cross_entropy/forward x=40x3 labels=40 weights=3", // class 0 among them, in the mean
    "concat/forward x0=0x3 x1=4x3 axis=0",
    "hinge/forward x=9x67 labels=9",
    "hinge/backward x=9x67 labels=9 dx=9x67",
    "hinge/backward x=9x48 labels=9 dx=9x48",
    "nll/backward labels=9 dx=9x48",
    "one_hot/forward labels=9 y=9x48 classes=48",
    "embedding/backward indices=900 dw=3x8",
    "fc/backward_bias dy=300x129",
};

class Shape : public testing::TestWithParam<const char *> {};

TEST_P(Shape, EveryCandidateAgrees) {
  lamina_device *device = nullptr;
  lamina_case c;
  ASSERT_EQ(lamina_device_open(test_device(), nullptr, &device), LAMINA_OK) << lamina_last_error();
  ASSERT_EQ(parse_case(GetParam(), &c), LAMINA_OK) << lamina_last_error();
  lamina_verdict verdicts[16];
  int count = 16;
  EXPECT_EQ(lamina_verify(device, &c, nullptr, verdicts, &count), LAMINA_OK) << lamina_last_error();
  int64_t elements = 0; // a case may leave out all outputs, where all are optional
  for (int i = 0; i < count; i++) elements += verdicts[i].elements;
  EXPECT_GT(elements, 0);
  lamina_device_close(device);
}

INSTANTIATE_TEST_SUITE_P(All, Shape, testing::ValuesIn(cases), case_name);
INSTANTIATE_TEST_SUITE_P(Tiles, Shape, testing::ValuesIn(tiles), case_name);

} // namespace
