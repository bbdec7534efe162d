// From C++: a net learns examples that the program makes itself, points inside and outside a circle.
//
//   cmake -S . -B build && cmake --build build && build/own_data      (CMakeLists.txt beside this file)
//   c++ -std=c++17 own_data.cpp $(pkg-config --cflags --libs lamina) -o own_data && ./own_data
#include <cstdio>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

#include <lamina/lamina.h>

namespace {

void check(lamina_status status) {
  if (status) throw std::runtime_error(lamina_last_error());
}

// Closes what Lamina opened.
struct Close {
  void operator()(lamina_device *device) const { lamina_device_close(device); }
  void operator()(lamina_dataset *dataset) const { lamina_dataset_close(dataset); }
  void operator()(lamina_net *net) const { lamina_net_close(net); }
  void operator()(lamina_trainer *trainer) const { lamina_trainer_close(trainer); }
};
template <class T> using Owned = std::unique_ptr<T, Close>;

template <class T, class Call> Owned<T> opened(Call call) {
  T *object = nullptr;
  check(call(&object));
  return Owned<T>(object);
}

struct Point {
  float x, y;
};

std::vector<Point> draw(int count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<Point> points(static_cast<size_t>(count));
  for (Point &p : points) p = {uniform(random), uniform(random)};
  return points;
}

// Example `index` for a loader, in any of its threads: 1 x 1 x 2 numbers and a class. Exceptions must not pass this call.
lamina_status read(void *user, int64_t index, float *x, int32_t *label) {
  const Point p = (*static_cast<const std::vector<Point> *>(user))[static_cast<size_t>(index)];
  x[0] = p.x, x[1] = p.y;
  *label = p.x * p.x + p.y * p.y < 0.5f;
  return LAMINA_OK;
}

Owned<lamina_dataset> dataset(std::vector<Point> &points) {
  lamina_source source{};
  source.info.name = "circle";
  source.info.count = static_cast<int64_t>(points.size());
  source.info.channels = source.info.height = 1;
  source.info.width = source.info.classes = 2;
  source.read = read;
  source.user = &points;
  return opened<lamina_dataset>([&](lamina_dataset **d) { return lamina_dataset_wrap(&source, nullptr, d); });
}

Owned<lamina_net> build(lamina_device *device) {
  lamina_net_options options{};
  options.rank = 3, options.dims[0] = options.dims[1] = 1, options.dims[2] = 2;
  auto net = opened<lamina_net>([&](lamina_net **n) { return lamina_net_open(device, &options, n); });
  lamina_fc_layer hidden{}, out{};
  hidden.units = 16, out.units = 2;
  check(lamina_net_add(net.get(), "fc", &hidden));
  check(lamina_net_add(net.get(), "relu", nullptr));
  check(lamina_net_add(net.get(), "fc", &out));
  return net;
}

void run() {
  std::vector<Point> train_points = draw(2000, 1), test_points = draw(500, 2);
  const auto device = opened<lamina_device>([](lamina_device **d) { return lamina_device_open("cpu", nullptr, d); });
  const auto train = dataset(train_points), test = dataset(test_points);
  const auto net = build(device.get());
  lamina_training how{};
  how.train = train.get(), how.batch = 20, how.epochs = 20;
  how.rate.rate = 0.1;
  const auto trainer =
      opened<lamina_trainer>([&](lamina_trainer **t) { return lamina_trainer_open(net.get(), &how, t); });
  check(lamina_trainer_run(trainer.get()));
  lamina_evaluation result{};
  check(lamina_net_evaluate(net.get(), test.get(), nullptr, 0, 0, &result));
  std::printf("accuracy %.1f%%\n", 100 * result.accuracy);
}

} // namespace

int main() try {
  run();
  return 0;
} catch (const std::exception &error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
