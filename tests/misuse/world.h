// What misuse is tested with: a world to misuse, and a table of calls that a program must not make, each with the status
// and the words that it must give. A row is written as a function, in any file of this folder.
#ifndef LAMINA_TESTS_MISUSE_WORLD_H
#define LAMINA_TESTS_MISUSE_WORLD_H

#include <gtest/gtest.h>

#include <climits>
#include <cmath>
#include <string>
#include <vector>

#include "lamina/lamina.h"
#include "temporary.h"

#define OK(call) ASSERT_EQ(call, LAMINA_OK) << lamina_last_error()

constexpr int64_t HUGE_SIZE = int64_t(1) << 40;

inline bool contains(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

inline void forget_error() { (void)lamina_error(LAMINA_OK, "nothing was said"); }

inline void expect_said(lamina_status status, lamina_status want, const std::vector<std::string> &words,
                        const std::string &call) {
  EXPECT_EQ(lamina_status_name(status), std::string(lamina_status_name(want))) << call << "\n" << lamina_last_error();
  if (status == LAMINA_OK) return;
  for (const std::string &word : words)
    EXPECT_TRUE(contains(lamina_last_error(), word)) << call << "\nsaid: " << lamina_last_error() << "\nnot: " << word;
}

// One of everything, whole and ready to be misused.
struct World {
  World() {
    lamina_device_options options = {};
    options.threads = 1;
    good(lamina_device_open("cpu", &options, &device));
    good(lamina_device_open("cpu", &options, &other));
    good(lamina_stream_open(other, &stream));
    good(lamina_event_open(device, &event));
    lamina_net_options shape = {};
    shape.rank = 3, shape.dims[0] = 1, shape.dims[1] = shape.dims[2] = 9;
    good(lamina_net_open(device, &shape, &net));
    lamina_conv_layer conv = {};
    conv.filters = 2, conv.kernel[0] = 3;
    good(lamina_net_add(net, "conv", &conv));
    lamina_fc_layer fc = {};
    fc.units = 2;
    good(lamina_net_add(net, "fc", &fc));
    good(lamina_net_open(device, &shape, &bare));
    good(lamina_dataset_open("xo:train,count=60", nullptr, &data));
    good(lamina_dataset_open("digits:train,count=60", nullptr, &digits));
    lamina_training how = {};
    how.train = data, how.batch = 4, how.threads = -1;
    good(lamina_trainer_open(net, &how, &trainer));
    lamina_loader_options batches = {};
    batches.batch = 4;
    good(lamina_loader_open(data, &batches, &loader));
    x = lamina_vector(LAMINA_F32, 4, numbers), y = lamina_vector(LAMINA_F32, 4, numbers + 4);
    const lamina_tensor *relu[] = {&x, &y};
    good(lamina_op_plan(device, "relu/forward", nullptr, relu, nullptr, &plan));
    problem = *lamina_plan_problem(plan);
    c.problem = problem;
    good(lamina_data_open(device, &c, &filled));
    good(lamina_check_open(filled, 0, &check));
    good(lamina_npy_write(file("x.npy").c_str(), &x, nullptr));
    good(lamina_net_save(net, file("net.safetensors").c_str()));
    good(lamina_safetensors_open(file("net.safetensors").c_str(), nullptr, &tensors));
    good(lamina_safetensors_create(file("new.safetensors").c_str(), nullptr, &writer));
    good(lamina_safetensors_add(writer, "there", &x));
    good(lamina_safetensors_note(writer, "there", "already"));
    write_file(file("text.txt"), "text");
  }
  ~World() {
    lamina_safetensors_abandon(writer);
    lamina_safetensors_close(tensors);
    lamina_check_close(check);
    lamina_data_close(filled);
    lamina_plan_close(plan);
    lamina_loader_close(loader);
    lamina_trainer_close(trainer);
    lamina_net_close(bare);
    lamina_net_close(net);
    lamina_dataset_close(digits);
    lamina_dataset_close(data);
    lamina_event_close(event);
    lamina_stream_close(stream);
    lamina_device_close(other);
    lamina_device_close(device);
  }
  static void good(lamina_status status) { EXPECT_EQ(status, LAMINA_OK) << lamina_last_error(); }
  std::string file(const std::string &name) const { return folder / name; }

  Temporary folder;
  lamina_device *device = nullptr, *other = nullptr;
  lamina_stream *stream = nullptr; // of `other`
  lamina_event *event = nullptr;   // of `device`
  lamina_net *net = nullptr, *bare = nullptr;
  lamina_dataset *data = nullptr, *digits = nullptr;
  lamina_trainer *trainer = nullptr;
  lamina_loader *loader = nullptr;
  lamina_plan *plan = nullptr;
  lamina_problem problem = {};
  lamina_case c = {};
  lamina_data *filled = nullptr;
  lamina_check *check = nullptr; // of `filled`
  lamina_safetensors *tensors = nullptr;
  lamina_safetensors_writer *writer = nullptr;
  lamina_tensor x = {}, y = {};
  alignas(64) float numbers[1024] = {};
  int32_t labels[64] = {};
};

struct Row {
  const char *function, *what;
  lamina_status (*call)(World &);
  lamina_status status;
  std::vector<std::string> words; // of the sentence
};

inline const lamina_allocator no_free = {[](void *, size_t, size_t) -> void * { return nullptr; }, nullptr, nullptr};

// What is put where results go; it must not matter.
inline lamina_device *a_device;
inline lamina_stream *a_stream;
inline lamina_event *an_event;
inline bool done;
inline double seconds;
inline lamina_plan *a_plan;
inline lamina_net *a_net;
inline lamina_trainer *a_trainer;
inline lamina_dataset *a_dataset;
inline lamina_check *a_check;
inline lamina_verdict a_verdict;
inline lamina_loader *a_loader;
inline lamina_data *a_data;
inline lamina_cases *a_cases;
inline lamina_safetensors *a_file;
inline lamina_safetensors_writer *a_writer;
inline lamina_json *a_json;
inline lamina_tensor a_tensor;
inline lamina_image an_image;
inline const lamina_confusion a_matrix = {};
inline void *memory;
inline const char *text;
inline int a_count;

inline std::vector<Row> &rows() {
  static std::vector<Row> all;
  return all;
}
inline bool add_row(const Row &row) {
  rows().push_back(row);
  return true;
}

// A call that must give LAMINA_`status` and a sentence with these words: BAD(function, "what", status, "word"…) { … }, with
// a World `w` of its own.
#define BAD(function, what, status, ...)              MISUSE_ROW(__LINE__, function, what, status, __VA_ARGS__)
#define MISUSE_ROW(line, function, what, status, ...) MISUSE_ROW_AT(line, function, what, status, __VA_ARGS__)
#define MISUSE_ROW_AT(line, function, what, status, ...)                                                               \
  static lamina_status row_##line(World &w);                                                                           \
  [[maybe_unused]] static const bool added_##line =                                                                    \
      add_row({#function, what, row_##line, LAMINA_##status, {__VA_ARGS__}});                                          \
  static lamina_status row_##line([[maybe_unused]] World &w)

// A call with these arguments, of which `argument` is NULL and must not be.
#define WITHOUT(function, argument, ...)                                                                               \
  BAD(function, argument " NULL", INVALID, #function ": " argument " is NULL") { return function(__VA_ARGS__); }

#endif
