// What LeNet-5 says of pictures on the device that LAMINA_TEST_DEVICE names, held against the CPU's reference. Parameters
// and pictures are small integers, so that every sum is exact: the same bits, whatever order it is summed in.
#include "net_fixture.h"

namespace {

enum { CLASSES = 10, COUNT = 21, BATCH = 8 }; // the last batch is smaller

// Pictures of 0 … 3; the label is no part of them.
class Pictures {
public:
  Pictures() {
    source_.info.name = "pictures";
    source_.info.count = COUNT;
    source_.info.channels = 1, source_.info.height = source_.info.width = 28;
    source_.info.classes = CLASSES;
    source_.read = [](void *, int64_t index, float *x, int32_t *label) {
      std::mt19937 engine(static_cast<unsigned>(index));
      for (int i = 0; i < 28 * 28; i++) x[i] = static_cast<float>(engine() % 4);
      *label = static_cast<int32_t>(engine() % CLASSES);
      return LAMINA_OK;
    };
    EXPECT_OK(lamina_dataset_wrap(&source_, nullptr, &dataset_));
  }
  ~Pictures() { lamina_dataset_close(dataset_); }
  Pictures(const Pictures &) = delete;
  Pictures &operator=(const Pictures &) = delete;
  operator const lamina_dataset *() const { return dataset_; }
  std::vector<float> all() const {
    std::vector<float> x(size_t{COUNT} * 28 * 28);
    int32_t label = 0;
    for (int64_t i = 0; i < COUNT; i++) EXPECT_OK(source_.read(nullptr, i, x.data() + i * 28 * 28, &label));
    return x;
  }

private:
  lamina_source source_ = {};
  lamina_dataset *dataset_ = nullptr;
};

// One weight in four is 1 or -1. Those of the last layer are smaller by a power of two, so that outputs are some units
// apart.
void fill(Net &net) {
  std::mt19937 engine(3);
  for (int p = 0; p < net.parameters(); p++) {
    std::vector<double> values(net.parameter_zeros(p));
    const double unit = p + 2 >= net.parameters() ? 0x1p-10 : 1;
    for (double &v : values) {
      const unsigned drawn = engine() % 8;
      v = drawn == 0 ? unit : drawn == 1 ? -unit : 0;
    }
    net.write(p, values);
  }
}

struct Said {
  std::vector<float> outputs, one, probabilities;
  std::vector<int64_t> confusion;
  lamina_evaluation evaluation;
};

Said said_on(lamina_device *device) {
  Net net(device, "lenet5-mnist", {"math=strict"});
  fill(net);
  const Pictures pictures;
  const std::vector<float> x = pictures.all();
  Said said = {std::vector<float>(COUNT * CLASSES), std::vector<float>(CLASSES), std::vector<float>(COUNT * CLASSES),
               std::vector<int64_t>(CLASSES * CLASSES), lamina_evaluation()};
  EXPECT_OK(lamina_net_forward(net, COUNT, x.data(), said.outputs.data()));
  EXPECT_OK(lamina_net_forward(net, 1, x.data(), said.one.data()));
  EXPECT_OK(lamina_net_predict(net, COUNT, x.data(), said.probabilities.data()));
  EXPECT_OK(lamina_net_evaluate(net, pictures, nullptr, BATCH, 3, &said.evaluation));
  EXPECT_OK(lamina_net_confusion(net, pictures, BATCH, said.confusion.data()));
  return said;
}

TEST(Inference, OfLeNet5IsThatOfTheReference) {
  const Device device, reference(all_on("ref"));
  const Said got = said_on(device), want = said_on(reference);
  EXPECT_EQ(got.outputs, want.outputs);
  EXPECT_EQ(got.one, std::vector<float>(want.outputs.begin(), want.outputs.begin() + CLASSES));
  EXPECT_EQ(got.confusion, want.confusion);
  EXPECT_EQ(got.evaluation.examples, COUNT);
  EXPECT_EQ(got.evaluation.hits, want.evaluation.hits);
  EXPECT_EQ(got.evaluation.hits_k, want.evaluation.hits_k);
  // Logarithms and exponentials are within a few units of their last place, of sums of at most 10 terms; what is
  // exponentiated is a distance of outputs, which are rounded to their size.
  double farthest = 0;
  for (const float y : want.outputs) farthest = std::max(farthest, std::fabs(static_cast<double>(y)));
  EXPECT_GT(farthest, 1); // or they'd say nothing
  EXPECT_LT(farthest, 64);
  const double unit = (16 + 2 * farthest) * 0x1p-24;
  for (size_t i = 0; i < want.probabilities.size(); i++)
    EXPECT_NEAR(got.probabilities[i], want.probabilities[i], unit * static_cast<double>(want.probabilities[i])) << i;
  EXPECT_NEAR(got.evaluation.loss, want.evaluation.loss, unit * (1 + std::fabs(want.evaluation.loss)));
}

} // namespace
