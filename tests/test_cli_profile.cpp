// lamina bench of whole nets, and the profile of it and of lamina train.
#include <cfloat>
#include <cmath>
#include <map>
#include <memory>
#include <sstream>

#include "command.h"

extern "C" {
#include "core/document.h"
}

namespace {

struct Close {
  void operator()(lamina_document *d) const { lamina_document_close(d); }
};
using Document = std::unique_ptr<lamina_document, Close>;

Document parse(const std::string &text) {
  lamina_document *d = nullptr;
  EXPECT_EQ(lamina_json_parse("json", text.data(), text.size(), nullptr, &d), LAMINA_OK) << lamina_last_error();
  return Document(d);
}

std::string text_of(const lamina_node *map, const char *key) {
  const lamina_node *node = lamina_node_find(map, key);
  return node && node->text ? node->text : "";
}

double number_of(const lamina_node *map, const char *key) {
  double value = NAN;
  const lamina_node *node = lamina_node_find(map, key);
  EXPECT_TRUE(node && lamina_node_real(node, -DBL_MAX, DBL_MAX, &value) == LAMINA_OK) << key;
  return value;
}

class CliProfile : public testing::Test {
protected:
  void SetUp() override {
    write_file(folder / "tiny.yaml", "input: [1, 6, 6]\n"
                                     "data: {train: \"idx:nowhere\"}\n"
                                     "net:\n"
                                     "  - conv: {filters: 2, kernel: 3}\n"
                                     "  - relu\n"
                                     "  - fc: 3\n"
                                     "train: {batch: 5, rate: 1e30, optimizer: {sgd: {momentum: 0.9}}}\n");
  }
  Result run(const Words &words) { return run_lamina(words, folder.path()); }
  void expect_parts(const std::string &text, const Words &parts) {
    for (const std::string &part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  // The rows of a file of JSON lines.
  std::vector<Document> rows(const std::string &text) {
    std::vector<Document> found;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      Document d = parse(line);
      if (d && lamina_node_find(lamina_document_root(d.get()), "case")) found.push_back(std::move(d));
    }
    return found;
  }
  Temporary folder;
};

// 5 pictures: a convolution of 2 x 4 x 4 x 9 products and one of 3 x 32, each with biases; forward, and for training the
// gradients: of the first layer's weights and the second's weights and data.
TEST_F(CliProfile, ANetIsTimedWithoutItsData) {
  const Result result =
      run({"bench", "tiny.yaml", "--seconds", "0", "--json", "out.json", "--csv", "out.csv", "--set", "train.seed=2"});
  ASSERT_EQ(result.code, 0) << result.err;
  expect_parts(result.out, {"\ntiny.yaml inference batch=5 dtype=f32 train.seed=2\n",
                            "\ntiny.yaml training batch=5 dtype=f32 train.seed=2\n", "images/s", "MiB resident", "% "});
  const std::vector<Document> found = rows(read_file(folder / "out.json"));
  ASSERT_EQ(found.size(), 2u);
  const lamina_node *inference = lamina_document_root(found[0].get()), *training = lamina_document_root(found[1].get());
  for (const lamina_node *row : {inference, training}) {
    const double seconds = number_of(row, "seconds");
    EXPECT_GT(seconds, 0);
    EXPECT_NEAR(number_of(row, "images"), 5 / seconds, 1e-3 * 5 / seconds);
    EXPECT_NEAR(number_of(row, "gflops"), number_of(row, "flops") / seconds / 1e9, 1e-6 * number_of(row, "gflops"));
    EXPECT_GT(number_of(row, "memory"), 1 << 20);
    EXPECT_GT(number_of(row, "share"), 0);
    EXPECT_EQ(text_of(row, "engine"), "net");
  }
  const double products = 2.0 * 5 * (2 * 16 * 9 + 3 * 32);
  EXPECT_GE(number_of(inference, "flops"), products);
  EXPECT_LT(number_of(inference, "flops"), 1.5 * products);
  EXPECT_GE(number_of(training, "flops"), 2 * products + 2.0 * 5 * 3 * 32);
  std::istringstream lines(read_file(folder / "out.csv"));
  for (std::string line; std::getline(lines, line);) EXPECT_EQ(std::count(line.begin(), line.end(), ','), 18) << line;
}

TEST_F(CliProfile, NetsAreCompared) {
  for (const char *name : {"a.json", "b.json"})
    ASSERT_EQ(run({"bench", "tiny.yaml", "--training", "--batch", "3", "--seconds", "0", "--json", name}).code, 0);
  const Result result = run({"bench", "--compare", "a.json", "b.json"});
  expect_parts(result.out, {"\ntiny.yaml training batch=3 dtype=f32\n", "\nnet ", "the best engines of 1 problems"});
  EXPECT_EQ(result.out.find("only in"), std::string::npos) << result.out;
}

// A program that takes turns with it writes a line for each.
TEST_F(CliProfile, TurnsAreTakenByLines) {
  write_file(folder / "turns", "0\n0.01\n");
  const std::string command =
      "cd '" + folder.path() + "' && " LAMINA_BINARY_DIR "/bin/lamina bench tiny.yaml --turns --json - --";
  EXPECT_EQ(system((command + "inference <turns >out").c_str()), 0);
  const std::vector<Document> found = rows(read_file(folder / "out"));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(text_of(lamina_document_root(found[1].get()), "case"), "tiny.yaml inference batch=5 dtype=f32");
  EXPECT_EQ(number_of(lamina_document_root(found[0].get()), "samples"), 1);
  write_file(folder / "turns", "0\nsoon\n");
  EXPECT_NE(system((command + "training <turns >out 2>err").c_str()), 0);
  EXPECT_EQ(read_file(folder / "err"),
            "lamina bench: standard input: \"soon\"; expected the seconds of a turn, 0 to 86400\n");
}

TEST_F(CliProfile, WhatANetDoesNotTakeIsSaid) {
  expect_failure(run({"bench", "tinny"}), {"there is no recipe \"tinny\""});
  expect_failure(run({"bench", "relu/forward", "x=3", "--training"}), {"--training is for a RECIPE"}, 2);
  expect_failure(run({"bench", "--shapes", "x.txt", "--set", "a=b"}), {"--set is for a RECIPE"}, 2);
  expect_failure(run({"bench", "tiny.yaml", "--engine", "ref"}), {"--engine is for ops"}, 2);
  expect_failure(run({"bench", "tiny.yaml", "--batch", "-1"}), {"--batch is -1"}, 2);
  expect_failure(run({"bench", "tiny.yaml", "--batch", "0"}), {"--batch is 0; expected 1 to 2147483647"}, 2);
  expect_failure(run({"info", "tiny.yaml", "--batch=0"}), {"--batch is 0"}, 2);
  expect_failure(run({"eval", "tiny.yaml", "--batch=0"}), {"--batch is 0"}, 2);
  expect_failure(run({"train", "tiny.yaml", "--threads=0"}), {"--threads is 0"}, 2);
  expect_failure(run({"bench", "tiny.yaml", "--turns"}), {"--turns is for one of --training and --inference"}, 2);
  expect_failure(run({"bench", "tiny.yaml", "--profile=x"}), {"--profile=FILE is of one of"}, 2);
  expect_failure(run({"bench", "tiny.yaml", "--set", "net[0].conv.filters=-1"}), {"filters"});
  expect_failure(run({"bench", "tiny.yaml", "--training", "--set", "dtype=f16"}), {"f16"});
}

TEST_F(CliProfile, AFileThatCannotBeWrittenEndsTheCommandBeforeTheWork) {
  for (const char *option : {"--profile=none/x.json", "--json=none/x.json", "--csv=none/x.json"}) {
    const Result result = run({"bench", "tiny.yaml", "--inference", option, "--seconds", "0"});
    expect_failure(result, {"none/x.json: can't be written: No such file"});
    EXPECT_EQ(result.out, "");
  }
  for (const char *option : {"--json=", "--csv=", "--profile="})
    expect_failure(run({"bench", "tiny.yaml", "--inference", option, "--seconds", "0"}), {"has no name"});
  const Result trained = run({"train", "xo", "--out", "out", "--profile=none/x.json"});
  expect_failure(trained, {"none/x.json: can't be written: No such file"});
  EXPECT_EQ(trained.out.find("epoch"), std::string::npos) << trained.out;
  EXPECT_NE(access((folder / "out/metrics.jsonl").c_str(), F_OK), 0);
}

TEST_F(CliProfile, AFileStaysAsItWasWhereTheWorkFails) {
  write_file(folder / "there.json", "results");
  for (const char *file : {"there.json", "new.json"})
    for (const std::string option : {"--json=", "--csv=", "--profile="})
      EXPECT_EQ(run({"bench", "tiny.yaml", "--inference", option + file, "--set", "net[0].conv.filters=-1"}).code, 1);
  EXPECT_EQ(read_file(folder / "there.json"), "results");
  EXPECT_NE(access((folder / "new.json").c_str(), F_OK), 0);
}

TEST_F(CliProfile, ARunsFolderIsARecipe) {
  ASSERT_EQ(
      run({"train", "xo", "--epochs", "1", "--set", "data.train=\"xo:train,count=60\"", "--out", "out", "--quiet"})
          .code,
      0);
  const Result result = run({"bench", "out", "--inference", "--seconds", "0", "--batch", "3"});
  EXPECT_EQ(result.code, 0) << result.err;
  expect_parts(result.out, {"\nout inference batch=3 "});
  mkdir((folder / "empty").c_str(), 0777);
  expect_failure(run({"bench", "./empty"}), {"./empty: there is no recipe.yaml in this folder"});
  expect_failure(run({"bench", "empty"}), {"empty: there is no recipe.yaml in this folder"});
}

// ---- Profiles ----------------------------------------------------------------------------------------------------------

// The ops of a trace file, by name; checks that it is one, and that ops lie within their runs and follow each other.
std::map<std::string, int> read_trace(const std::string &text, int *runs) {
  std::map<std::string, int> ops;
  const Document d = parse(text);
  const lamina_node *events = d ? lamina_node_find(lamina_document_root(d.get()), "traceEvents") : nullptr;
  double run_end = 0, last_end = 0;
  *runs = 0;
  if (!events) return ops;
  for (const lamina_node *e = events->first; e; e = e->next) {
    const double from = number_of(e, "ts"), to = from + number_of(e, "dur");
    EXPECT_EQ(text_of(e, "ph"), "X");
    EXPECT_FALSE(text_of(e, "name").empty());
    EXPECT_TRUE(number_of(e, "pid") == 1 && number_of(e, "tid") == 1);
    const lamina_node *args = lamina_node_find(e, "args");
    if (!args) {
      EXPECT_GE(from, run_end - 1e-3) << "runs follow each other";
      run_end = to, last_end = from;
      ++*runs;
      continue;
    }
    EXPECT_GE(from, last_end - 1e-3);
    EXPECT_LE(to, run_end + 1e-3);
    EXPECT_FALSE(text_of(args, "engine").empty());
    last_end = to;
    ops[text_of(args, "layer") + " " + text_of(e, "name")]++;
  }
  return ops;
}

TEST_F(CliProfile, ABenchHasOne) {
  const Result result = run({"bench", "tiny.yaml", "--training", "--seconds", "0", "--profile=trace.json"});
  ASSERT_EQ(result.code, 0) << result.err;
  expect_parts(result.out, {"\ntraining, batch 5: the mean of 3 runs, without the first\nlayer ", "GFLOP/s", "engine\n",
                            "\n0.conv ", "conv/backward_weights", "\nloss ", "\nupdate ", "sgd/update", "\nall ops "});
  int runs;
  std::map<std::string, int> ops = read_trace(read_file(folder / "trace.json"), &runs);
  EXPECT_EQ(runs, 4);
  EXPECT_EQ(ops["loss softmax_cross_entropy/forward"], 4);
  EXPECT_EQ(ops["0.conv conv/backward_weights"], 4);
  EXPECT_EQ(run({"bench", "tiny.yaml", "--inference", "--seconds", "0", "--profile"}).code, 0) << "a table only";
}

TEST_F(CliProfile, ATrainingHasOne) {
  const Words words = {"train",    "xo",
                       "--epochs", "1",
                       "--set",    "data.train=\"xo:train,count=60\"",
                       "--set",    "data.test=\"xo:test,count=20\"",
                       "--out",    "out"};
  Words with = words;
  with.push_back("--profile");
  const Result result = run(with);
  ASSERT_EQ(result.code, 0) << result.err;
  expect_parts(result.out, {"\ntraining, batch 20: the mean of 2 runs, without the first\n",
                            "\nevaluation, batch 20: the mean of 1 run\n", "\nupdate ",
                            "trace    out/trace.json: the first 4 runs", "test accuracy "});
  int runs;
  std::map<std::string, int> ops = read_trace(read_file(folder / "out/trace.json"), &runs);
  EXPECT_EQ(runs, 4);
  const int updates = ops["update sgd/update"]; // of all parameters at once, or of each
  EXPECT_TRUE(updates > 0 && updates % 3 == 0) << updates;
  EXPECT_EQ(ops["loss top_k/forward"], 3 + 2);
  with.back() = "--profile=here.json";
  with.push_back("--quiet");
  const Result quiet = run(with);
  EXPECT_EQ(count_lines(quiet.out), 1) << quiet.out;
  EXPECT_EQ(read_trace(read_file(folder / "here.json"), &runs).size(), ops.size());
  with = words;
  with.push_back("--profile=none/x.json");
  expect_failure(run(with), {"none/x.json: can't be written: No such file"});
}

} // namespace
