// Our references against PyTorch in f64: the vectors that tests/vectors/make*.py made, run as `lamina op` would run them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "lamina/lamina.h"

namespace {

const std::string folder = LAMINA_SOURCE_DIR "/tests/vectors/";

// One line of a list: words, and after "->" the outputs with their files.
struct Line {
  std::string text;
  std::vector<std::string> words;
  std::map<std::string, std::string> expected;
};

void read_lines(const std::filesystem::path &list, std::vector<Line> &lines) {
  std::ifstream file(list);
  for (std::string text; std::getline(file, text);) {
    Line line;
    line.text = text;
    std::istringstream stream(text);
    bool after = false;
    for (std::string word; stream >> word;) {
      const size_t equals = word.find('=');
      const bool is_file = word.size() > 4 && word.substr(word.size() - 4) == ".npy";
      if (word == "->")
        after = true;
      else if (after)
        line.expected[word.substr(0, equals)] = folder + word.substr(equals + 1);
      else
        line.words.push_back(is_file ? word.substr(0, equals + 1) + folder + word.substr(equals + 1) : word);
    }
    lines.push_back(line);
  }
}

std::vector<Line> read_lines() {
  std::vector<Line> lines;
  for (const auto &entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".txt") read_lines(entry.path(), lines);
  return lines;
}

class Vectors : public testing::Test {
protected:
  void SetUp() override { ASSERT_EQ(lamina_device_open("cpu", nullptr, &device), LAMINA_OK) << lamina_last_error(); }
  void TearDown() override { lamina_device_close(device); }

  // Outputs that nothing else names are asked for, so that optional ones come, too.
  static lamina_status parse(const Line &line, lamina_case *c) {
    std::vector<std::string> words = line.words;
    for (const auto &[name, file] : line.expected) {
      const std::string key = name + "=";
      if (std::none_of(words.begin(), words.end(), [&](const std::string &w) { return w.rfind(key, 0) == 0; }))
        words.push_back(key + "out.npy");
    }
    static std::vector<std::string> kept; // the case points into them
    kept = words;
    std::vector<const char *> pointers;
    for (const std::string &word : kept) pointers.push_back(word.c_str());
    return lamina_case_parse(static_cast<int>(pointers.size()), pointers.data(), nullptr, c);
  }

  void run(const lamina_case &c, lamina_data *data) {
    lamina_plan_options options = {};
    options.engine = "ref";
    lamina_plan *plan = nullptr;
    ASSERT_EQ(lamina_plan_open(device, &c.problem, &options, &plan), LAMINA_OK) << lamina_last_error();
    ASSERT_EQ(lamina_plan_run(plan, lamina_data_args(data), nullptr, nullptr), LAMINA_OK) << lamina_last_error();
    ASSERT_EQ(lamina_data_fetch(data), LAMINA_OK) << lamina_last_error();
    lamina_plan_close(plan);
  }

  // f64 to a few last bits of the sums' size; all other types exactly.
  static void compare(const lamina_tensor &got, const lamina_tensor &want) {
    ASSERT_EQ(lamina_desc_count(&got.desc), lamina_desc_count(&want.desc));
    for (int64_t i = 0; i < lamina_desc_count(&got.desc); i++) {
      const double g =
          lamina_load(static_cast<lamina_dtype>(got.desc.dtype), got.data, lamina_desc_offset(&got.desc, i));
      const double w =
          lamina_load(static_cast<lamina_dtype>(want.desc.dtype), want.data, lamina_desc_offset(&want.desc, i));
      if (std::isnan(w))
        ASSERT_TRUE(std::isnan(g)) << "element " << i << " is " << g;
      else if (got.desc.dtype == LAMINA_F64 && std::isfinite(w))
        ASSERT_NEAR(g, w, 1e-13 * std::max(1.0, std::fabs(w))) << "element " << i;
      else
        ASSERT_EQ(g, w) << "element " << i;
    }
  }

  void check(const Line &line) {
    lamina_case c;
    ASSERT_EQ(parse(line, &c), LAMINA_OK) << lamina_last_error();
    const lamina_op_def *op = lamina_op_at(c.problem.op);
    lamina_data *data = nullptr;
    ASSERT_EQ(lamina_data_open(device, &c, &data), LAMINA_OK) << lamina_last_error();
    run(c, data);
    for (const auto &[name, file] : line.expected) {
      const int arg = lamina_op_arg(op, name.c_str());
      lamina_tensor want;
      ASSERT_EQ(lamina_npy_read(file.c_str(), nullptr, &want), LAMINA_OK) << lamina_last_error();
      ASSERT_NE(lamina_data_tensor(data, arg), nullptr) << name;
      compare(*lamina_data_tensor(data, arg), want);
      lamina_npy_free(nullptr, &want);
      EXPECT_FALSE(HasFailure()) << name;
    }
    lamina_data_close(data);
  }

  lamina_device *device = nullptr;
};

TEST_F(Vectors, OfPyTorch) {
  const std::vector<Line> lines = read_lines();
  std::set<std::string> ops;
  for (const Line &line : lines) {
    check(line);
    ASSERT_FALSE(HasFailure()) << line.text;
    ops.insert(line.words[0]);
  }
  EXPECT_GE(lines.size(), 90u);
  // Every op has some, but those that hold no arithmetic of their own, or random numbers that PyTorch draws otherwise.
  const std::set<std::string> without = {"cast/backward",   "commit/forward",          "copy/forward",
                                         "dropout/forward", "dropout/backward",        "fill/forward",
                                         "scale/backward",  "stochastic_pool/forward", "stochastic_pool/backward"};
  for (int id = 0; lamina_op_at(id); id++)
    EXPECT_NE(ops.count(lamina_op_at(id)->name), without.count(lamina_op_at(id)->name)) << lamina_op_at(id)->name;
}

} // namespace
