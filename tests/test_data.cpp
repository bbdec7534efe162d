// Datasets: specs, what the drawn ones show, a program's own, normalising and shifting.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <string>
#include <vector>

extern "C" {
#include "data/dataset.h"
}

namespace {

class Dataset {
public:
  explicit Dataset(const std::string &spec, const lamina_dataset_options &options = {})
      : status(lamina_dataset_open(spec.c_str(), &options, &handle)) {
    if (!status) info = *lamina_dataset_info_of(handle);
  }
  ~Dataset() { lamina_dataset_close(handle); }
  Dataset(const Dataset &) = delete;

  std::vector<float> picture(int64_t index, int32_t *label = nullptr) const {
    std::vector<float> x(static_cast<size_t>(info.channels * info.height * info.width));
    int32_t ignored;
    EXPECT_EQ(lamina_dataset_read(handle, 1, &index, x.data(), label ? label : &ignored), LAMINA_OK)
        << lamina_last_error();
    return x;
  }

  lamina_dataset *handle = nullptr;
  lamina_status status;
  lamina_dataset_info info = {};
};

void expect_error(const std::string &spec, const std::string &part) {
  lamina_dataset *dataset = nullptr;
  EXPECT_EQ(lamina_dataset_open(spec.c_str(), nullptr, &dataset), LAMINA_INVALID) << spec;
  EXPECT_EQ(dataset, nullptr);
  const std::string sentence = lamina_last_error();
  EXPECT_NE(sentence.find(part), std::string::npos) << sentence;
  EXPECT_NE(sentence.find(spec), std::string::npos) << sentence;
}

TEST(Spec, UnknownWordsNameTheNearest) {
  expect_error("digts:train", "did you mean \"digits\"?");
  expect_error("imagenet:train", "expected idx, digits, xo or pictures");
  expect_error("digits:tset", "did you mean \"test\"?");
  expect_error("digits:validation", "expected train or test");
  expect_error("digits:train,cuont=5", "did you mean \"count\"?");
  expect_error("xo:train,size=5", "expected count or jitter");
}

TEST(Spec, WrongForms) {
  expect_error("", "KIND:WHAT");
  expect_error("digits", "KIND:WHAT");
  expect_error(":train", "KIND:WHAT");
  expect_error("digits:", "nothing follows the colon");
  expect_error("digits:train,", "no key=value");
  expect_error("digits:train,count", "no key=value");
  expect_error("digits:train,count=3,count=4", "given twice");
  for (const char *value : {"", "x", "0", "-1", "3x", "1.5", "2147483648", "99999999999999999999"})
    expect_error(std::string("digits:train,count=") + value, "expected a whole number from 1 to 2147483647");
  expect_error("pictures:train,size=7", "from 8 to 1024");
  lamina_dataset *dataset;
  EXPECT_EQ(lamina_dataset_open(nullptr, nullptr, &dataset), LAMINA_INVALID);
}

TEST(Spec, KindsAreListed) {
  std::set<std::string> names;
  for (int i = 0; lamina_dataset_kind_at(i); i++) {
    const lamina_dataset_kind *kind = lamina_dataset_kind_at(i);
    names.insert(kind->name);
    EXPECT_EQ(std::string(kind->form).find(std::string(kind->name) + ":"), 0u);
  }
  EXPECT_EQ(names, (std::set<std::string>{"idx", "digits", "xo", "pictures"}));
  EXPECT_EQ(lamina_dataset_kind_at(-1), nullptr);
}

TEST(Spec, SizesAndDefaults) {
  const struct {
    const char *spec;
    int64_t count, channels, side, classes;
  } rows[] = {{"digits:train", 20000, 1, 28, 10},
              {"digits:test", 4000, 1, 28, 10},
              {"digits:train,count=5000", 5000, 1, 28, 10},
              {"xo:train", 2000, 1, 9, 2},
              {"xo:test,jitter=0,count=3", 3, 1, 9, 2},
              {"pictures:train", 10000, 3, 32, 10},
              {"pictures:test,classes=1000,size=224", 2000, 3, 224, 1000}};
  for (const auto &row : rows) {
    const Dataset data(row.spec);
    ASSERT_EQ(data.status, LAMINA_OK) << lamina_last_error();
    EXPECT_STREQ(data.info.name, row.spec);
    EXPECT_EQ(data.info.count, row.count);
    EXPECT_EQ(data.info.channels, row.channels);
    EXPECT_EQ(data.info.height, row.side);
    EXPECT_EQ(data.info.width, row.side);
    EXPECT_EQ(data.info.classes, row.classes);
  }
}

/* FNV-1a over the bytes. */
uint32_t fingerprint(const std::vector<float> &x) {
  uint32_t hash = 2166136261u;
  for (const float value : x)
    for (int i = 0; i < 4; i++) {
      uint32_t bits;
      std::memcpy(&bits, &value, sizeof bits);
      hash = (hash ^ (bits >> 8 * i & 255)) * 16777619u;
    }
  return hash;
}

TEST(Drawn, ExamplesAreTheSameEverywhere) {
  EXPECT_EQ(fingerprint(Dataset("digits:train").picture(3)), 2903737845u);
  EXPECT_EQ(fingerprint(Dataset("digits:test").picture(3999)), 4191502397u);
  EXPECT_EQ(fingerprint(Dataset("xo:train").picture(1)), 2060498968u);
  EXPECT_EQ(fingerprint(Dataset("pictures:train,size=40").picture(7)), 3255745541u);
  EXPECT_EQ(fingerprint(Dataset("pictures:test,classes=1000,size=224").picture(1234)), 3465131251u);
}

TEST(Drawn, CountOnlyCuts) {
  for (const char *name : {"digits", "xo", "pictures"}) {
    const std::string kind = name;
    const Dataset all(kind + ":train"), some(kind + ":train,count=20"), test(kind + ":test");
    EXPECT_EQ(all.picture(19), some.picture(19));
    EXPECT_NE(all.picture(19), test.picture(19));
    EXPECT_NE(all.picture(19), all.picture(19 + all.info.classes));
  }
}

TEST(Drawn, ValuesAndLabelsAreInRange) {
  for (const char *spec : {"digits:train", "xo:test", "pictures:train,size=17,classes=23"}) {
    const Dataset data(spec);
    for (int64_t i = 0; i < 100; i++) {
      int32_t label;
      const std::vector<float> x = data.picture(i, &label);
      EXPECT_EQ(label, i % data.info.classes);
      for (const float value : x) ASSERT_TRUE(value >= data.info.low && value <= data.info.high) << value;
    }
  }
}

/* The share of test examples whose nearest class mean is their own: no net needed to see that pictures and labels
 * belong together, and that the task is not trivial. */
double nearest_mean(const std::string &kind, int64_t train_count, int64_t test_count) {
  const Dataset train(kind + ":train"), test(kind + ":test");
  const size_t classes = static_cast<size_t>(train.info.classes);
  std::vector<std::vector<double>> mean(classes);
  int32_t label;
  for (int64_t i = 0; i < train_count; i++) {
    const std::vector<float> x = train.picture(i, &label);
    std::vector<double> &m = mean[static_cast<size_t>(label)];
    m.resize(x.size());
    for (size_t k = 0; k < x.size(); k++)
      m[k] += x[k] * static_cast<double>(classes) / static_cast<double>(train_count);
  }
  int right = 0;
  for (int64_t i = 0; i < test_count; i++) {
    const std::vector<float> x = test.picture(i, &label);
    std::vector<double> distance(classes);
    for (size_t c = 0; c < classes; c++)
      for (size_t k = 0; k < x.size(); k++) distance[c] += (x[k] - mean[c][k]) * (x[k] - mean[c][k]);
    right += std::min_element(distance.begin(), distance.end()) - distance.begin() == label;
  }
  return static_cast<double>(right) / static_cast<double>(test_count);
}

TEST(Drawn, PicturesAndLabelsBelongTogether) {
  EXPECT_GT(nearest_mean("digits", 2000, 500), 0.35);
  EXPECT_LT(nearest_mean("digits", 2000, 500), 0.90);
  EXPECT_GT(nearest_mean("xo", 500, 200), 0.80);
}

/* Rows of '#' and '.', as the lecture draws them. */
std::string drawing(const std::vector<float> &x) {
  std::string text;
  for (size_t i = 0; i < x.size(); i++) {
    text += x[i] == 1 ? '#' : x[i] == -1 ? '.' : '?';
    if (i % 9 == 8) text += '\n';
  }
  return text;
}

TEST(XO, WithoutJitterItIsTheLectures) {
  const Dataset data("xo:train,jitter=0");
  EXPECT_EQ(drawing(data.picture(0)), ".........\n"
                                      ".#.....#.\n"
                                      "..#...#..\n"
                                      "...#.#...\n"
                                      "....#....\n"
                                      "...#.#...\n"
                                      "..#...#..\n"
                                      ".#.....#.\n"
                                      ".........\n");
  EXPECT_EQ(drawing(data.picture(1)), ".........\n"
                                      "...###...\n"
                                      "..#...#..\n"
                                      ".#.....#.\n"
                                      ".#.....#.\n"
                                      ".#.....#.\n"
                                      "..#...#..\n"
                                      "...###...\n"
                                      ".........\n");
  EXPECT_EQ(data.picture(0), data.picture(2));
  EXPECT_STREQ(data.info.class_names[0], "X");
  EXPECT_STREQ(data.info.class_names[1], "O");
}

TEST(XO, JitterIsOfTwoValues) {
  const Dataset data("xo:train");
  for (int64_t i = 0; i < 50; i++) EXPECT_EQ(drawing(data.picture(i)).find('?'), std::string::npos);
}

TEST(Normalise, ByChannel) {
  float x[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}; /* [2, 3, 2] */
  lamina_normalisation n = {};
  n.means = 3, n.deviations = 1;
  n.mean[0] = 0, n.mean[1] = 2, n.mean[2] = 4, n.deviation[0] = 2;
  ASSERT_EQ(lamina_normalise(&n, 2, 3, 2, x), LAMINA_OK) << lamina_last_error();
  const float want[] = {0, .5f, 0, .5f, 0, .5f, 3, 3.5f, 3, 3.5f, 3, 3.5f};
  for (int i = 0; i < 12; i++) EXPECT_EQ(x[i], want[i]) << i;
}

TEST(Normalise, OfADataset) {
  lamina_dataset_options options = {};
  options.normalise.means = options.normalise.deviations = 1;
  options.normalise.mean[0] = 0.25f;
  options.normalise.deviation[0] = 0.5f;
  const Dataset plain("digits:train"), normalised("digits:train", options);
  const std::vector<float> x = plain.picture(4), y = normalised.picture(4);
  for (size_t i = 0; i < x.size(); i++) EXPECT_EQ(y[i], (x[i] - 0.25f) / 0.5f);
}

TEST(Normalise, WhatDoesNotFitIsRefused) {
  const auto refused = [](int means, int deviations, float mean, float deviation) {
    lamina_dataset_options options = {};
    options.normalise.means = means;
    options.normalise.deviations = deviations;
    for (int i = 0; i < LAMINA_MAX_CHANNELS; i++)
      options.normalise.mean[i] = mean, options.normalise.deviation[i] = deviation;
    const Dataset data("pictures:train", options);
    return data.status == LAMINA_INVALID;
  };
  EXPECT_FALSE(refused(3, 3, 0.5f, 1));
  EXPECT_FALSE(refused(1, 0, 0.5f, 1));
  EXPECT_TRUE(refused(2, 0, 0.5f, 1));
  EXPECT_TRUE(refused(0, 4, 0.5f, 1));
  EXPECT_TRUE(refused(-1, 0, 0.5f, 1));
  EXPECT_TRUE(refused(LAMINA_MAX_CHANNELS + 1, 0, 0.5f, 1));
  EXPECT_TRUE(refused(1, 1, 0.5f, 0));
  EXPECT_TRUE(refused(1, 1, 0.5f, -1));
  EXPECT_TRUE(refused(1, 1, 0.5f, NAN));
  EXPECT_TRUE(refused(1, 1, 0.5f, INFINITY));
  EXPECT_TRUE(refused(1, 1, INFINITY, 1));
  EXPECT_TRUE(refused(3, 1, NAN, 1));
}

/* ---- A program's own ---- */

struct Own {
  int closed = 0;
  int32_t bad_label = -2; /* label of example 3, where >= -1 */
  static lamina_status read(void *user, int64_t index, float *x, int32_t *label) {
    const Own *own = static_cast<Own *>(user);
    if (index == 7) return lamina_error(LAMINA_IO, "the tape is torn");
    for (int i = 0; i < 6; i++) x[i] = static_cast<float>(index * 10 + i);
    *label = index == 3 && own->bad_label >= -1 ? own->bad_label : static_cast<int32_t>(index % 4);
    return LAMINA_OK;
  }
  static void close(void *user) { static_cast<Own *>(user)->closed++; }
  lamina_source source() {
    lamina_source s = {};
    s.info.name = "own";
    s.info.count = 10;
    s.info.channels = 1, s.info.height = 2, s.info.width = 3;
    s.info.classes = 4;
    s.read = read, s.close = close, s.user = this;
    return s;
  }
};

TEST(Own, ReadsAndCloses) {
  Own own;
  const lamina_source source = own.source();
  lamina_dataset *data;
  ASSERT_EQ(lamina_dataset_wrap(&source, nullptr, &data), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(lamina_dataset_info_of(data)->low, 0);
  EXPECT_EQ(lamina_dataset_info_of(data)->high, 1);
  const int64_t index[] = {9, 0};
  float x[12];
  int32_t label[2];
  ASSERT_EQ(lamina_dataset_read(data, 2, index, x, label), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(x[0], 90);
  EXPECT_EQ(x[11], 5);
  EXPECT_EQ(label[0], 1);
  EXPECT_EQ(label[1], 0);
  EXPECT_EQ(own.closed, 0);
  lamina_dataset_close(data);
  EXPECT_EQ(own.closed, 1);
  lamina_dataset_close(nullptr);
}

TEST(Own, FailuresNameTheExample) {
  Own own;
  own.bad_label = 4;
  const lamina_source source = own.source();
  lamina_dataset *data;
  ASSERT_EQ(lamina_dataset_wrap(&source, nullptr, &data), LAMINA_OK);
  const auto error = [&](int64_t index) {
    float x[6];
    int32_t label;
    const lamina_status status = lamina_dataset_read(data, 1, &index, x, &label);
    return std::string(lamina_status_name(status)) + ": " + lamina_last_error();
  };
  EXPECT_EQ(error(7), "IO: dataset \"own\", example 7: the tape is torn");
  EXPECT_EQ(error(3), "CORRUPT: dataset \"own\": label of example 3 is 4, expected 0 … 3");
  own.bad_label = -1;
  EXPECT_EQ(error(3), "CORRUPT: dataset \"own\": label of example 3 is -1, expected 0 … 3");
  EXPECT_EQ(error(10), "INVALID: dataset \"own\": example 10 was asked for, it has 0 … 9");
  EXPECT_EQ(error(-1), "INVALID: dataset \"own\": example -1 was asked for, it has 0 … 9");
  EXPECT_EQ(lamina_dataset_check_classes(data, 4), LAMINA_OK);
  EXPECT_EQ(lamina_dataset_check_classes(data, 3), LAMINA_INVALID);
  EXPECT_NE(std::string(lamina_last_error()).find("has 4 classes"), std::string::npos) << lamina_last_error();
  lamina_dataset_close(data);
}

TEST(Own, WrongDescriptionsAreRefused) {
  Own own;
  const auto refused = [&](void (*change)(lamina_source *)) {
    lamina_source source = own.source();
    change(&source);
    lamina_dataset *data;
    return lamina_dataset_wrap(&source, nullptr, &data) == LAMINA_INVALID && !data;
  };
  EXPECT_TRUE(refused([](lamina_source *s) { s->read = nullptr; }));
  EXPECT_TRUE(refused([](lamina_source *s) { s->info.name = nullptr; }));
  EXPECT_TRUE(refused([](lamina_source *s) { s->info.count = 0; }));
  EXPECT_TRUE(refused([](lamina_source *s) { s->info.count = INT64_C(1) << 31; }));
  EXPECT_TRUE(refused([](lamina_source *s) { s->info.channels = 0; }));
  EXPECT_TRUE(refused([](lamina_source *s) { s->info.height = -1; }));
  EXPECT_TRUE(refused([](lamina_source *s) { s->info.classes = 0; }));
  EXPECT_TRUE(refused([](lamina_source *s) { s->info.height = s->info.width = INT64_C(1) << 32; }));
  EXPECT_EQ(own.closed, 0);
}

/* ---- Shifting ---- */

TEST(Shift, EveryOffsetOfASmallPicture) {
  const int64_t channels = 2, height = 3, width = 4;
  const float fill[] = {-1, -2};
  for (int64_t down = -4; down <= 4; down++)
    for (int64_t right = -5; right <= 5; right++) {
      std::vector<float> x(24), want(24);
      for (size_t i = 0; i < x.size(); i++) x[i] = static_cast<float>(i);
      for (int64_t c = 0; c < channels; c++)
        for (int64_t i = 0; i < height; i++)
          for (int64_t j = 0; j < width; j++) {
            const int64_t p = i - down, q = j - right;
            const bool in = p >= 0 && p < height && q >= 0 && q < width;
            want[static_cast<size_t>((c * height + i) * width + j)] =
                in ? static_cast<float>((c * height + p) * width + q) : fill[c];
          }
      lamina_shift_picture(x.data(), channels, height, width, down, right, fill);
      EXPECT_EQ(x, want) << down << " " << right;
    }
}

} // namespace
