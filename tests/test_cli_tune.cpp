// The tuning cache from the command line: who writes it, who reads it, and that a run goes on with what it began with.
#include "command.h"

namespace {

class CliTune : public testing::Test {
protected:
  Result run(const Words &words) const { return run_lamina(words, folder.path()); }
  void SetUp() override { write_file(folder / "net.yaml", recipe); }

  static constexpr const char *recipe = "input: [1, 9, 9]\n"
                                        "net: [{conv: {filters: 4, kernel: 3}}, relu, {fc: 2}]\n"
                                        "data: {train: \"xo:train,count=64\"}\n"
                                        "train: {epochs: 4, batch: 16, optimizer: {sgd: {}}, rate: 0.05, seed: 3}\n";
  const Words op = {"op", "add/forward", "a=64", "b=64", "--threads", "1", "--explain"};
  Words with(Words words, const Words &more) const {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  Temporary folder;
};

bool says(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

TEST_F(CliTune, WhatOneCommandFindsAnotherPlansBy) {
  const Result tuned = run(with(op, {"--tune", "--tune-cache", "here.txt"}));
  EXPECT_EQ(tuned.code, 0) << tuned.err;
  EXPECT_TRUE(says(tuned.err, "tuned add/forward a=64 b=64")) << tuned.err;
  EXPECT_TRUE(says(tuned.out, ": tuned: ")) << tuned.out;
  const std::string cache = read_file(folder / "here.txt");
  EXPECT_TRUE(says(cache, "\nmachine\tcpu: 1 thread, ")) << cache;
  EXPECT_TRUE(says(cache, "\nplan\tcpu: 1 thread, ")) << cache;
  const Result known = run(with(op, {"--tune-cache", "here.txt"}));
  EXPECT_TRUE(says(known.out, ": tuned: ")) << known.out << known.err;
  EXPECT_EQ(known.err, "");
  const Result again = run(with(op, {"--tune", "--tune-cache", "here.txt"}));
  EXPECT_EQ(again.err, "") << "nothing is tuned twice";
  EXPECT_EQ(read_file(folder / "here.txt"), cache);
  EXPECT_FALSE(says(run(with(op, {"--tune-cache", ""})).out, ": tuned: "));
}

TEST_F(CliTune, TheUsersOwnCacheIsInTheCacheFolder) {
  unsetenv("LAMINA_TUNE_CACHE");
  setenv("XDG_CACHE_HOME", (folder / "cache").c_str(), 1);
  const Result machine = run({"tune", "--threads", "1"});
  EXPECT_EQ(machine.code, 0) << machine.err;
  EXPECT_TRUE(says(machine.out, "cpu: ") && says(machine.out, " GFLOP/s, reads ")) << machine.out;
  EXPECT_TRUE(says(read_file(folder / "cache/lamina/tune-v1.txt"), "machine\tcpu: 1 thread, "));
  EXPECT_TRUE(says(run({"tune", "--threads", "1"}).out, machine.out)) << "it is measured once";
  unsetenv("XDG_CACHE_HOME");
  setenv("LAMINA_TUNE_CACHE", "", 1);
}

TEST_F(CliTune, ACacheThatWasNamedAndIsNoneEndsTheCommand) {
  const Result folder_named = run({"tune", "net.yaml", "--tune-cache", "."});
  expect_failure(folder_named, {"the tuning cache", "."});
  expect_failure(run({"tune", "--tune-cache", "none/tune.txt"}), {"none/tune.txt", "No such file"});
  expect_failure(run({"tune", "--tune-cache", "net.yaml"}), {"net.yaml: it is no tuning cache"});
  EXPECT_EQ(read_file(folder / "net.yaml"), recipe);
  setenv("LAMINA_TUNE_CACHE", folder.path().c_str(), 1);
  expect_failure(run(op), {"the tuning cache"});
  unsetenv("LAMINA_TUNE_CACHE");
  setenv("XDG_CACHE_HOME", (folder / "net.yaml").c_str(), 1); // where nothing can be, but nobody said it
  const Result tuned = run({"tune", "--threads", "1"}), plain = run(op);
  EXPECT_EQ(tuned.code, 0);
  EXPECT_TRUE(says(tuned.err, "the tuning cache is left out: ")) << tuned.err;
  EXPECT_EQ(plain.code, 0);
  EXPECT_EQ(plain.err, "");
  unsetenv("XDG_CACHE_HOME");
  setenv("LAMINA_TUNE_CACHE", "", 1);
}

TEST_F(CliTune, ARunGoesOnWithTheEnginesThatItBeganWith) {
  const Words quiet = {"--quiet", "--threads", "1", "--tune-cache", "here.txt"};
  EXPECT_EQ(run(with({"train", "net.yaml", "--out", "whole"}, quiet)).code, 0);
  EXPECT_EQ(run(with({"train", "net.yaml", "--out", "parts", "--epochs", "2"}, quiet)).code, 0);
  EXPECT_EQ(read_file(folder / "parts/tune.txt"), "lamina-tune 1\n") << "nothing was tuned";
  const Result tuned = run({"tune", "net.yaml", "--threads", "1", "--tune-cache", "here.txt"});
  EXPECT_EQ(tuned.code, 0) << tuned.err;
  for (const char *op : {"tuned conv/backward_weights", "tuned sgd/update", "tuned fc"})
    EXPECT_TRUE(says(tuned.err, op)) << op << "\n" << tuned.err;
  const Result resumed = run({"train", "net.yaml", "--out", "parts", "--resume", "--quiet", "--threads", "1"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_TRUE(read_file(folder / "whole/checkpoint.safetensors") == read_file(folder / "parts/checkpoint.safetensors"));
  EXPECT_EQ(run(with({"train", "net.yaml", "--out", "tuned"}, quiet)).code, 0);
  EXPECT_TRUE(says(read_file(folder / "tuned/tune.txt"), "\nplan\t")) << "a new run plans by what was tuned";
  EXPECT_EQ(read_file(folder / "parts/tune.txt"), "lamina-tune 1\n");
}

TEST_F(CliTune, WrongUsageIsSaid) {
  expect_failure(run({"tune", "net.yaml", "more"}), {"\"more\" is one word too many"}, 2);
  expect_failure(run({"tune", "net.yaml", "--batch", "-1"}), {"--batch is -1"}, 2);
  expect_failure(run({"tune", "net.yaml", "--batch", "0"}), {"--batch is 0; expected 1 to 2147483647"}, 2);
  expect_failure(run({"train", "net.yaml", "--resume", "--tune"}), {"--tune is for a run that begins"}, 2);
}

} // namespace
