// Many threads and many users in one process. Under the preset `tsan` ThreadSanitizer watches; here, and everywhere,
// the bits are those of one user alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <thread>

#include "counting_allocator.h"
#include "lamina/lamina.h"
#include "net_fixture.h"

namespace {

void in_threads(int count, const std::function<void(int)> &work) {
  std::vector<std::thread> team;
  for (int t = 0; t < count; t++) team.emplace_back(work, t);
  for (std::thread &thread : team) thread.join();
}

// ---- Two users -------------------------------------------------------------------------------------------------------

std::vector<double> predict(lamina_net *net, const std::vector<float> &x, int64_t n) {
  std::vector<float> prob(static_cast<size_t>(2 * n));
  EXPECT_OK(lamina_net_predict(net, n, x.data(), prob.data()));
  return std::vector<double>(prob.begin(), prob.end());
}

// A program's part that knows nothing of the others: a device and an allocator of its own, one thread that trains a net
// with a loader's threads behind it, and one that predicts with another net on the same device.
struct User {
  explicit User(int number_) : number(number_) {}

  void run() {
    lamina_device_options options = {};
    options.threads = 2;
    options.allocator = &memory.allocator;
    options.plan_cache = 4; // plans come and go
    lamina_device *device = nullptr;
    ASSERT_OK(lamina_device_open("cpu", &options, &device));
    in_threads(2, [&](int part) { part ? infer(device) : train(device); });
    lamina_device_close(device);
  }

  std::vector<double> trained, predicted;
  CountingAllocator memory;

private:
  void train(lamina_device *device) {
    const std::string seed = "train.seed=" + std::to_string(number);
    const Net net(device, "xo", {seed.c_str(), "data.train=xo:train,count=200", "data.threads=2"});
    lamina_training training = {};
    training.evaluate = -1;
    Trainer trainer(net, training);
    trainer.steps(15); // into the second epoch
    trained = const_cast<Net &>(net).all();
  }

  void infer(lamina_device *device) {
    Net net(device, Dims{1, 9, 9});
    net.conv(3 + number, 3).add("relu").pool("max_pool", 2).fc(2);
    EXPECT_OK(lamina_net_init(net, static_cast<uint64_t>(number)));
    for (int round = 0; round < 12; round++) {
      const int64_t n = 1 + round % 3;
      std::vector<float> x(static_cast<size_t>(81 * n));
      for (size_t i = 0; i < x.size(); i++) x[i] = static_cast<float>((i * 7 + static_cast<size_t>(round)) % 13) - 6;
      const std::vector<double> prob = predict(net, x, n);
      predicted.insert(predicted.end(), prob.begin(), prob.end());
    }
  }

  const int number;
};

TEST(Users, TwoInOneProcessDoNotDisturbEachOther) {
  User alone[] = {User(1), User(2)}, together[] = {User(1), User(2)};
  for (User &user : alone) user.run();
  in_threads(2, [&](int u) { together[u].run(); });
  for (int u = 0; u < 2; u++) {
    EXPECT_FALSE(alone[u].trained.empty());
    EXPECT_EQ(together[u].trained, alone[u].trained) << "user " << u;
    EXPECT_EQ(together[u].predicted, alone[u].predicted) << "user " << u;
    for (const User *user : {&alone[u], &together[u]}) {
      EXPECT_GT(user->memory.taken(), 100);
      EXPECT_EQ(user->memory.open(), 0u) << "user " << u;
      EXPECT_EQ(user->memory.strangers(), 0) << "user " << u;
    }
  }
  EXPECT_NE(alone[0].trained, alone[1].trained);
}

// ---- How many threads ------------------------------------------------------------------------------------------------

int tasks() {
  const std::filesystem::directory_iterator all("/proc/self/task");
  return static_cast<int>(std::distance(begin(all), end(all)));
}

// Trains for a few steps in a thread of its own, whose team nobody had before; the parameters, and how many threads there
// were at most beyond those that there were before.
std::vector<double> train_counted(int threads, int loaders, int *most) {
  std::vector<double> parameters;
  std::thread([&] {
    const int before = tasks();
    lamina_device_options options = {};
    options.threads = threads;
    lamina_device *device = nullptr;
    ASSERT_OK(lamina_device_open("cpu", &options, &device));
    {
      const std::string loading = "data.threads=" + std::to_string(loaders);
      const Net net(device, "xo", {loading.c_str(), "data.train=xo:train,count=640", "train.batch=64"});
      lamina_training training = {};
      training.evaluate = -1;
      Trainer trainer(net, training);
      for (int step = 0; step < 6; step++) {
        trainer.steps(1);
        *most = std::max(*most, tasks() - before);
      }
      parameters = const_cast<Net &>(net).all();
    }
    lamina_device_close(device);
  }).join();
  return parameters;
}

TEST(Device, HasNoMoreThreadsThanItWasGivenAndTheyGiveTheSameBits) {
  for (const int threads : {1, 2, 3})
    for (const int loaders : {1, 2}) {
      int most = 0;
      const std::vector<double> first = train_counted(threads, loaders, &most);
      EXPECT_FALSE(first.empty());
      EXPECT_EQ(train_counted(threads, loaders, &most), first) << threads << " threads";
      EXPECT_LE(most, threads - 1 + loaders) << threads << " threads, " << loaders << " for the loader";
    }
}

// ---- One net ---------------------------------------------------------------------------------------------------------

TEST(Net, ManyThreadsPredictOnOneNet) {
  const Device device;
  Net net(device, Dims{1, 9, 9});
  net.conv(4, 3).add("relu").fc(2);
  ASSERT_OK(lamina_net_init(net, 1));
  std::vector<std::vector<float>> x(8);
  std::vector<std::vector<double>> want(8), got(8);
  for (size_t t = 0; t < 8; t++) {
    const int64_t n = 1 + static_cast<int64_t>(t) % 3;
    for (int64_t i = 0; i < 81 * n; i++)
      x[t].push_back(static_cast<float>((static_cast<size_t>(i) * (t + 3)) % 11) - 5);
    want[t] = predict(net, x[t], n);
  }
  in_threads(8, [&](int thread) {
    const size_t t = static_cast<size_t>(thread);
    for (int round = 0; round < 10; round++) got[t] = predict(net, x[t], 1 + thread % 3);
  });
  EXPECT_EQ(got, want);
}

// ---- Devices, data and errors ----------------------------------------------------------------------------------------

TEST(Devices, OpenAndCloseInManyThreads) {
  in_threads(6, [](int t) {
    for (int round = 0; round < 5; round++) {
      const Device device("", 1 + t % 2);
      const float x[] = {-1, 2};
      float y[2] = {9, 9};
      const lamina_tensor from = lamina_vector(LAMINA_F32, 2, const_cast<float *>(x)),
                          to = lamina_vector(LAMINA_F32, 2, y);
      EXPECT_OK(lamina_relu_forward(device, &from, &to, nullptr));
      EXPECT_EQ(y[0], 0);
      EXPECT_EQ(y[1], 2);
    }
  });
}

// The simple path with a workspace of the device's own stream: a second thread on it gets memory of its own.
TEST(Devices, ManyThreadsShareAStreamsWorkspace) {
  const Device device;
  in_threads(6, [&](int t) {
    for (int round = 0; round < 10; round++) {
      const int64_t n = 3 + (t + round) % 4, dims[] = {n, n}, turned[] = {1, n};
      std::vector<float> x(static_cast<size_t>(n * n)), y(x.size());
      for (size_t i = 0; i < x.size(); i++) x[i] = static_cast<float>(i) - 5;
      const lamina_tensor from = lamina_tensor_of(lamina_strided(LAMINA_F32, 2, dims, turned), x.data()),
                          to = lamina_matrix(LAMINA_F32, n, n, y.data());
      EXPECT_OK(lamina_relu_forward(device, &from, &to, nullptr)); // x is packed: other strides than y's
      for (int64_t r = 0; r < n; r++)
        for (int64_t c = 0; c < n; c++)
          EXPECT_EQ(y[static_cast<size_t>(r * n + c)], std::fmax(x[static_cast<size_t>(c * n + r)], 0.0f));
    }
  });
}

TEST(Errors, BelongToTheThreadThatMadeThem) {
  in_threads(4, [](int t) {
    const std::string name = "nosuch" + std::to_string(t) + ":0";
    for (int round = 0; round < 20; round++) {
      lamina_device *device = nullptr;
      EXPECT_EQ(lamina_device_open(name.c_str(), nullptr, &device), LAMINA_DEVICE);
      EXPECT_NE(std::string(lamina_last_error()).find(name), std::string::npos) << lamina_last_error();
    }
  });
}

} // namespace
