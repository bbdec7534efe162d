// Power cuts: a training is killed at random moments, also while it resumes, and what it ends with is what it would have
// ended with. LAMINA_KILLS sets how many runs are killed (scripts/test --long: 100).
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <random>

#include "command.h"

namespace {

// Many short epochs, so that a good part of the time goes into checkpoints.
const char recipe[] = "input: [1, 9, 9]\n"
                      "data: {train: \"xo:train,count=32\", test: \"xo:test,count=8\", shift: 1}\n"
                      "net:\n"
                      "  - conv: {filters: 4, kernel: 3}\n"
                      "  - relu\n"
                      "  - dropout: 0.2\n"
                      "  - fc: 32\n"
                      "  - relu\n"
                      "  - fc: 2\n"
                      "train: {batch: 8, epochs: 20, optimizer: adam, rate: {cosine: 0.01}, seed: 1}\n";

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::string metrics(const std::string &folder) { return without_clock(read_file(folder + "/metrics.jsonl")); }

// Starts the words and kills them after so many seconds; whether they were still running.
bool kill_after(double seconds, const Words &words, const std::string &folder) {
  Process process(words, folder);
  usleep(static_cast<useconds_t>(1e6 * seconds));
  process.signal(SIGKILL);
  return process.finish().code == 1000 + SIGKILL;
}

TEST(CliKilled, AtRandomMomentsItEndsAsIfItHadNotBeen) {
  const char *wanted = getenv("LAMINA_KILLS");
  const int kills = wanted ? atoi(wanted) : 5;
  Temporary folder = Temporary::in_memory();
  write_file(folder / "net.yaml", recipe);
  double whole = now();
  ASSERT_EQ(run_lamina({"train", "net.yaml", "--out", "whole", "--quiet"}, folder.path()).code, 0);
  whole = now() - whole;
  const std::string checkpoint = read_file(folder / "whole/checkpoint.safetensors"), lines = metrics(folder / "whole");
  ASSERT_FALSE(checkpoint.empty());

  std::mt19937 random(20);
  int killed = 0, resumed = 0;
  for (int run = 0; run < kills; run++) {
    SCOPED_TRACE("run " + std::to_string(run));
    const std::string name = "run" + std::to_string(run), path = folder / name;
    std::uniform_real_distribution<double> moment(0, whole);
    const Words start = {"train", "net.yaml", "--out", name, "--quiet"},
                go_on = {"train", "--out", name, "--resume", "--quiet"};
    killed += kill_after(moment(random), start, folder.path());
    // Killed before its first checkpoint it has nothing to go on from; else it may be killed again on its way.
    bool saved = std::filesystem::exists(path + "/checkpoint.safetensors");
    if (saved && run % 2) killed += kill_after(moment(random), go_on, folder.path());
    resumed += saved;
    const Result end = run_lamina(saved ? go_on : start, folder.path());
    ASSERT_EQ(end.code, 0) << end.err;
    EXPECT_TRUE(read_file(path + "/checkpoint.safetensors") == checkpoint);
    EXPECT_EQ(metrics(path), lines);
    for (const auto &entry : std::filesystem::directory_iterator(path))
      EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
    if (testing::Test::HasFailure()) return;
    std::filesystem::remove_all(path);
  }
  EXPECT_GT(killed, 0);
  EXPECT_GT(resumed, 0);
}

TEST(CliKilled, BehindItsLastCheckpointItsPictureIsDrawn) {
  Temporary folder = Temporary::in_memory();
  write_file(folder / "net.yaml", recipe);
  ASSERT_EQ(run_lamina({"train", "net.yaml", "--out", "net", "--quiet"}, folder.path()).code, 0);
  const std::string picture = folder / "net/loss.svg", drawn = read_file(picture);
  std::filesystem::remove(picture);
  write_file(picture + ".tmp", drawn.substr(0, 40));
  const Result end = run_lamina({"train", "--out", "net", "--resume", "--quiet"}, folder.path());
  ASSERT_EQ(end.code, 0) << end.err;
  EXPECT_EQ(read_file(picture), drawn);
  EXPECT_FALSE(std::filesystem::exists(picture + ".tmp"));
}

} // namespace
