// What tests of the CUDA module on the emulated device share: a device that starts anew, and a small training on it.
#ifndef MODULE_FIXTURE_H
#define MODULE_FIXTURE_H

#include <dlfcn.h>

#include <cstdlib>
#include <string>

#include "emulated.h"
#include "lamina/lamina.h"
#include "net_fixture.h"

inline const emulated_control *control() {
  static const emulated_control *const found = [] {
    const std::string path = std::string(std::getenv("LAMINA_MODULE_PATH")) + "/liblamina-cuda.so";
    void *module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    void *symbol = module ? dlsym(module, "emulated_device_control") : nullptr;
    return symbol ? reinterpret_cast<const emulated_control *(*)()>(symbol)() : nullptr;
  }();
  return found;
}

// Starts anew, and nothing was misused or left behind at the end.
class Emulated : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_NE(control(), nullptr) << "LAMINA_MODULE_PATH is the folder of the emulated module";
    start(0);
  }
  void TearDown() override {
    EXPECT_STREQ(control()->take_reports(), "");
    EXPECT_STREQ(control()->leaks(), "");
    start(0);
  }
  static void start(unsigned seed, int devices = 1, size_t memory = size_t(256) << 20) {
    control()->reset(seed, devices, memory);
  }
  static lamina_device *open(const char *name = "cuda:0") {
    lamina_device *device = nullptr;
    EXPECT_OK(lamina_device_open(name, nullptr, &device));
    return device;
  }
};

class Environment {
public:
  Environment(const char *name, const char *value) : name_(name) { setenv(name, value, 1); }
  ~Environment() { unsetenv(name_); }
  Environment(const Environment &) = delete;
  Environment &operator=(const Environment &) = delete;

private:
  const char *name_;
};

inline bool said(const char *what) { return std::string(lamina_last_error()).find(what) != std::string::npos; }

class Training : public Emulated {
protected:
  Examples examples{16, 1, 28, 10};

  lamina_training options(int64_t batch = 4) const {
    lamina_training training = {};
    training.train = examples, training.batch = batch, training.epochs = 100, training.rate.rate = 0.05;
    training.optimizer = "sgd", training.optimizer_attrs = &sgd, training.decay = 0.001;
    training.clip_norm = 1, training.threads = -1;
    return training;
  }
  lamina_sgd sgd = {0.9, 0};

  // LeNet-5's layers, narrower, and dropout before the last.
  static Net &build(Net &net) {
    net.conv(2, 5, 2).add("relu").pool("max_pool", 2).conv(4, 5).add("relu").pool("max_pool", 2);
    return net.fc(20).add("relu").fc(12).add("relu").dropout(0.5).fc(10);
  }

  // The parameters after some steps.
  std::vector<double> trained(int steps, lamina_dtype dtype = LAMINA_F32) {
    Device device;
    Net net(device, {1, 28, 28}, dtype);
    build(net);
    Trainer trainer(net, options());
    trainer.steps(steps);
    EXPECT_TRUE(std::isfinite(trainer.progress().loss));
    return net.all();
  }
};

#endif
