// Nets for tests: small ones with known data, on a device that each test opens for itself.
#ifndef LAMINA_TESTS_NET_FIXTURE_H
#define LAMINA_TESTS_NET_FIXTURE_H

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "lamina/train.h"
#include "on_device.h"

#define ASSERT_OK(call) ASSERT_EQ(call, LAMINA_OK) << lamina_last_error()
#define EXPECT_OK(call) EXPECT_EQ(call, LAMINA_OK) << lamina_last_error()
#define EXPECT_ERROR(call, code, sentence)                                                                             \
  do {                                                                                                                 \
    EXPECT_EQ(call, code);                                                                                             \
    EXPECT_STREQ(lamina_last_error(), sentence);                                                                       \
  } while (0)

using Dims = std::vector<int64_t>;

// "conv/forward:ref,conv/backward_data:ref,…": every op on the reference.
inline std::string all_on(const char *engine) {
  std::string text;
  for (int id = 0; lamina_op_at(id); id++) text += std::string(id ? "," : "") + lamina_op_at(id)->name + ":" + engine;
  return text;
}

// `engine` is one of the CPU's; without it, it is the device that the tests run on.
class Device {
public:
  explicit Device(const std::string &engine = "", int threads = 1, const lamina_allocator *allocator = nullptr) {
    lamina_device_options options = {};
    options.engine = engine.c_str();
    options.threads = threads;
    options.allocator = allocator;
    EXPECT_OK(lamina_device_open(engine.empty() ? test_device() : "cpu", &options, &device_));
  }
  ~Device() { lamina_device_close(device_); }
  Device(const Device &) = delete;
  Device &operator=(const Device &) = delete;
  operator lamina_device *() const { return device_; }

private:
  lamina_device *device_ = nullptr;
};

class Net {
public:
  Net(lamina_device *device, const Dims &input, lamina_dtype dtype = LAMINA_F32, size_t memory_limit = 0,
      lamina_dtype input_dtype = LAMINA_NONE) {
    lamina_net_options options = {};
    options.input_dtype = input_dtype;
    options.rank = static_cast<int>(input.size());
    for (size_t i = 0; i < input.size(); i++) options.dims[i] = input[i];
    options.dtype = dtype;
    options.memory_limit = memory_limit;
    EXPECT_OK(lamina_net_open(device, &options, &net_));
  }
  // From a recipe of the tree, "digits", with assignments.
  Net(lamina_device *device, const char *recipe, std::vector<const char *> set = {}, size_t memory_limit = 0) {
    lamina_load_options options = {};
    set.push_back(nullptr);
    options.set = set.data();
    options.memory_limit = memory_limit;
    const std::string name = recipe;
    const bool is_path = name.find('/') != std::string::npos;
    const std::string path = is_path ? name : LAMINA_SOURCE_DIR "/recipes/" + name + ".yaml";
    EXPECT_OK(lamina_net_load(device, path.c_str(), &options, &net_));
  }
  explicit Net(lamina_net *net) : net_(net) {}
  ~Net() { lamina_net_close(net_); }
  Net(const Net &) = delete;
  Net &operator=(const Net &) = delete;
  operator lamina_net *() const { return net_; }

  Net &add(const char *kind) {
    EXPECT_OK(lamina_net_add(net_, kind, nullptr));
    return *this;
  }
  template <class Layer> Net &add(const char *kind, const Layer &layer) {
    EXPECT_OK(lamina_net_add(net_, kind, &layer));
    return *this;
  }
  // A layer with a name ("": none) that takes these layers; descriptor may be null.
  Net &link(const char *kind, const char *name, std::vector<const char *> from, const void *descriptor = nullptr) {
    from.push_back(nullptr);
    lamina_layer_options options = {};
    options.name = *name ? name : nullptr;
    options.from = from.size() > 1 ? from.data() : nullptr;
    EXPECT_OK(lamina_net_add_layer(net_, kind, descriptor, &options));
    return *this;
  }
  Net &conv(int64_t filters, int64_t kernel, int64_t pad = 0) {
    lamina_conv_layer layer = {};
    layer.filters = filters, layer.kernel[0] = kernel;
    const int axes = lamina_net_output(net_).rank - 1;
    for (int a = 0; a < axes; a++) layer.pad[a][0] = layer.pad[a][1] = pad;
    return add("conv", layer);
  }
  Net &pool(const char *kind, int64_t kernel) {
    lamina_pool_layer layer = {};
    layer.kernel[0] = kernel;
    return add(kind, layer);
  }
  Net &fc(int64_t units) {
    lamina_fc_layer layer = {};
    layer.units = units;
    return add("fc", layer);
  }
  Net &dropout(double p, bool channels = false) {
    lamina_dropout_layer layer = {};
    layer.p = p, layer.has_p = 1, layer.channels = channels;
    return add("dropout", layer);
  }

  // Of the input.
  lamina_dtype dtype() const { return static_cast<lamina_dtype>(lamina_net_input(net_).dtype); }
  int64_t inputs() const {
    const lamina_desc input = lamina_net_input(net_);
    return lamina_desc_count(&input);
  }
  int64_t outputs() const {
    const lamina_desc output = lamina_net_output(net_);
    return lamina_desc_count(&output);
  }
  int parameters() const { return lamina_net_parameter_count(net_); }
  lamina_desc desc(int parameter) const {
    lamina_parameter p = {};
    EXPECT_OK(lamina_net_parameter(net_, parameter, &p));
    return p.desc;
  }

  std::vector<double> parameter(int index) { return read(index, lamina_net_parameter_read); }
  // Zeros for what isn't trained.
  std::vector<double> gradient(int index) {
    lamina_parameter p = {};
    EXPECT_OK(lamina_net_parameter(net_, index, &p));
    return p.state ? parameter_zeros(index) : read(index, lamina_net_gradient_read);
  }
  void write(int index, const std::vector<double> &values) {
    std::vector<uint64_t> bytes(values.size() + 1);
    for (size_t i = 0; i < values.size(); i++)
      lamina_store(type(index), bytes.data(), static_cast<int64_t>(i), values[i]);
    EXPECT_OK(lamina_net_parameter_write(net_, index, bytes.data()));
  }
  std::vector<double> parameter_zeros(int index) const {
    const lamina_desc d = desc(index);
    return std::vector<double>(static_cast<size_t>(lamina_desc_count(&d)));
  }
  // All parameters, one after the other: to compare nets bit for bit.
  std::vector<double> all() {
    std::vector<double> values;
    for (int p = 0; p < parameters(); p++) {
      const std::vector<double> some = parameter(p);
      values.insert(values.end(), some.begin(), some.end());
    }
    return values;
  }
  std::vector<double> all_gradients() {
    std::vector<double> values;
    for (int p = 0; p < parameters(); p++) {
      const std::vector<double> some = gradient(p);
      values.insert(values.end(), some.begin(), some.end());
    }
    return values;
  }

private:
  lamina_dtype type(int index) const { return static_cast<lamina_dtype>(desc(index).dtype); }
  std::vector<double> read(int index, lamina_status (*from)(lamina_net *, int, void *)) {
    const lamina_desc d = desc(index);
    std::vector<uint64_t> bytes(static_cast<size_t>(lamina_desc_count(&d)) + 1);
    EXPECT_OK(from(net_, index, bytes.data()));
    std::vector<double> values(bytes.size() - 1);
    for (size_t i = 0; i < values.size(); i++)
      values[i] = lamina_load(type(index), bytes.data(), static_cast<int64_t>(i));
    return values;
  }
  lamina_net *net_ = nullptr;
};

// A batch of normal numbers, or of integers 0 … 4, and labels, the same for every type.
struct Batch {
  int64_t n;
  std::vector<uint64_t> x; // n examples of the net's type
  std::vector<int32_t> labels;

  Batch(const Net &net, int64_t n_, unsigned seed = 1) : n(n_) {
    std::mt19937 engine(seed);
    std::normal_distribution<double> normal;
    const int64_t count = n * net.inputs();
    x.resize(static_cast<size_t>(count) + 1);
    for (int64_t i = 0; i < count; i++)
      lamina_store(net.dtype(), x.data(), i,
                   net.dtype() == LAMINA_I32 ? static_cast<double>(engine() % 5) : static_cast<float>(normal(engine)));
    for (int64_t i = 0; i < n; i++)
      labels.push_back(static_cast<int32_t>(engine() % static_cast<unsigned>(net.outputs())));
  }
  double gradients(lamina_net *net, int64_t step = 0) const {
    double loss = NAN;
    EXPECT_OK(lamina_net_gradients(net, nullptr, n, x.data(), labels.data(), 7, step, &loss));
    return loss;
  }
};

// Examples that a test makes up: example i has label i % classes, and pixels that depend on it.
class Examples {
public:
  int64_t poisoned = -1; // the example with a NaN
  Examples(int64_t count, int64_t channels, int64_t size, int64_t classes) {
    source_.info.name = "examples";
    source_.info.count = count;
    source_.info.channels = channels;
    source_.info.height = source_.info.width = size;
    source_.info.classes = classes;
    source_.user = this;
    source_.read = [](void *user, int64_t index, float *x, int32_t *label) {
      const Examples *self = static_cast<Examples *>(user);
      const lamina_dataset_info &info = self->source_.info;
      const int64_t pixels = info.channels * info.height * info.width;
      std::mt19937 engine(static_cast<unsigned>(index));
      *label = static_cast<int32_t>(index % info.classes);
      for (int64_t i = 0; i < pixels; i++)
        x[i] = static_cast<float>(engine() % 1000) / 1000 + (i % info.classes == *label ? 1.0f : 0.0f);
      if (index == self->poisoned) x[pixels / 2] = NAN;
      return LAMINA_OK;
    };
    EXPECT_OK(lamina_dataset_wrap(&source_, nullptr, &dataset_));
  }
  ~Examples() { lamina_dataset_close(dataset_); }
  Examples(const Examples &) = delete;
  Examples &operator=(const Examples &) = delete;
  operator const lamina_dataset *() const { return dataset_; }

private:
  lamina_source source_ = {};
  lamina_dataset *dataset_ = nullptr;
};

class Trainer {
public:
  Trainer(lamina_net *net, const lamina_training &training) {
    EXPECT_OK(lamina_trainer_open(net, &training, &trainer_));
  }
  explicit Trainer(lamina_net *net) { EXPECT_OK(lamina_trainer_open(net, nullptr, &trainer_)); }
  ~Trainer() { lamina_trainer_close(trainer_); }
  Trainer(const Trainer &) = delete;
  Trainer &operator=(const Trainer &) = delete;
  operator lamina_trainer *() const { return trainer_; }

  void steps(int count) {
    for (int i = 0; i < count; i++) ASSERT_OK(lamina_trainer_step(trainer_));
  }
  lamina_progress progress() const {
    lamina_progress now = {};
    lamina_trainer_progress(trainer_, &now);
    return now;
  }

private:
  lamina_trainer *trainer_ = nullptr;
};

#endif
