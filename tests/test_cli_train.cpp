// lamina train, eval and predict on pictures small enough for a moment: what they print and leave behind, and that a
// training which was stopped or killed goes on as if it had not been.
#include <lamina/lamina.h>

#include <png.h>
#include <pty.h>

#include <csignal>

#include "command.h"

namespace {

class CliTrain : public testing::Test {
protected:
  void SetUp() override { write_recipe("net.yaml", 64, 3); }

  // Steps of 8 examples.
  void write_recipe(const std::string &name, int examples, int epochs) {
    write_file(folder / name, "input: [1, 9, 9]\n"
                              "data: {train: \"xo:train,count=" +
                                  std::to_string(examples) +
                                  "\", test: \"xo:test,count=20\"}\n"
                                  "net:\n"
                                  "  - conv: {filters: 2, kernel: 3}\n"
                                  "  - relu\n"
                                  "  - fc: 2\n"
                                  "train: {batch: 8, epochs: " +
                                  std::to_string(epochs) +
                                  ", optimizer: {sgd: {momentum: 0.9}}, rate: {cosine: 0.05}, seed: 1}\n");
  }

  Result run(const Words &words) { return run_lamina(words, folder.path()); }

  std::string metrics(const std::string &run) { return without_clock(read_file(folder / (run + "/metrics.jsonl"))); }

  void expect_same_run(const std::string &a, const std::string &b) {
    const std::string whole = read_file(folder / (a + "/checkpoint.safetensors"));
    EXPECT_FALSE(whole.empty());
    EXPECT_TRUE(whole == read_file(folder / (b + "/checkpoint.safetensors"))) << a << " and " << b << " differ";
    EXPECT_EQ(metrics(a), metrics(b));
  }

  Temporary folder;
};

TEST_F(CliTrain, EndsWithTheAccuracyAndLeavesItsFiles) {
  const Result result = run({"train", "net.yaml"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(Pattern("^test accuracy [0-9]+\\.[0-9]{2}%$").count(last_line(result.out)), 1) << result.out;
  for (const char *part : {"recipe   net.yaml", "device   cpu", "0.conv", "memory", "3 epochs of 8 steps", "epoch  1/3",
                           "epoch  3/3", "images/s", "training loss"})
    EXPECT_NE(result.out.find(part), std::string::npos) << part << "\n" << result.out;
  EXPECT_EQ(result.out.find('\r'), std::string::npos);
  EXPECT_EQ(result.out.find('\033'), std::string::npos);
  for (const char *name : {"checkpoint.safetensors", "loss.svg", "recipe.yaml"})
    EXPECT_TRUE(std::filesystem::exists(folder / ("runs/net/" + std::string(name)))) << name;
  const std::string lines = read_file(folder / "runs/net/metrics.jsonl");
  EXPECT_EQ(count_lines(lines), 3 * 8 + 3);
  EXPECT_EQ(lines.rfind("{\"event\":\"step\",\"step\":1,\"epoch\":1,\"loss\":", 0), 0u) << lines;
  EXPECT_NE(lines.find("{\"event\":\"epoch\",\"step\":24,\"epoch\":3,\"loss\":"), std::string::npos) << lines;
  for (const char *key : {"\"accuracy\":", "\"test_accuracy\":"})
    EXPECT_NE(lines.find(key), std::string::npos) << lines;
}

TEST_F(CliTrain, ClipsGradientsAndLogsTheirNorm) {
  EXPECT_EQ(run({"train", "net.yaml", "--epochs", "1", "--set", "train.clip_norm=0.5"}).code, 0);
  const std::string lines = read_file(folder / "runs/net/metrics.jsonl");
  EXPECT_EQ(Pattern("\\{\"event\":\"step\",[^\n]*\"grad_norm\":[0-9.e-]+,\"rate\":").count(lines), 8) << lines;
  EXPECT_EQ(run({"train", "net.yaml", "--epochs", "1"}).code, 0);
  EXPECT_EQ(read_file(folder / "runs/net/metrics.jsonl").find("grad_norm"), std::string::npos);
}

// What an epoch of net.yaml draws on a terminal of 80 columns; "": there is none to be had.
std::string drawn_on(const std::string &device, const std::string &folder) {
  winsize size = {};
  size.ws_col = 80, size.ws_row = 30;
  int terminal;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, &size);
  if (child < 0) return "";
  if (child == 0) {
    setenv("TERM", "xterm", 1);
    setenv("NO_COLOR", "1", 1);
    if (chdir(folder.c_str()) == 0)
      execl(LAMINA_BINARY_DIR "/bin/lamina", "lamina", "train", "net.yaml", "--epochs", "1", "--device", device.c_str(),
            nullptr);
    _exit(127);
  }
  std::string out;
  char part[4096];
  for (ssize_t n; (n = read(terminal, part, sizeof part)) > 0;) out.append(part, static_cast<size_t>(n));
  int status;
  waitpid(child, &status, 0);
  close(terminal);
  EXPECT_EQ(status, 0) << out;
  return out;
}

// A GPU tells a loss up to two steps later (which the emulated one does; the CPU knows all at once).
TEST_F(CliTrain, ALossThatIsNotYetKnownIsNotShown) {
  const char *device = std::getenv("LAMINA_TEST_DEVICE");
  const std::string out = drawn_on(device ? device : "cpu", folder.path());
  if (out.empty()) GTEST_SKIP() << "no pseudo-terminal can be had here (is /dev/pts mounted?)";
  EXPECT_EQ(out.find("nan"), std::string::npos) << out;
  EXPECT_NE(out.find("loss 0."), std::string::npos) << out;
  EXPECT_EQ(read_file(folder / "runs/net/loss.svg").find("nan"), std::string::npos);
}

TEST_F(CliTrain, DrawsOneLineOnATerminal) {
  const std::string out = drawn_on("cpu", folder.path());
  if (out.empty()) GTEST_SKIP() << "no pseudo-terminal can be had here (is /dev/pts mounted?)";
  const size_t drawn = out.find("\repoch  1/1  "), kept = out.find("\repoch  1/1  loss");
  ASSERT_NE(drawn, std::string::npos) << out;
  ASSERT_NE(kept, std::string::npos) << out;
  const std::string line = out.substr(drawn + 1, out.find("\033[K", drawn) - drawn - 1);
  EXPECT_NE(line.find("12%  loss "), std::string::npos) << line; // one step of eight
  EXPECT_NE(line.find("eta "), std::string::npos) << line;
  int columns = 0;
  for (const char c : line) columns += (c & 0xC0) != 0x80;
  EXPECT_LT(columns, 80) << line;
  EXPECT_EQ(Pattern("test accuracy [0-9.]+%\r\n$").count(out), 1) << out;
}

TEST_F(CliTrain, AssignmentsAndShortOptionsChangeTheRecipe) {
  const Result result =
      run({"train", "net.yaml", "--set", "train.batch=16", "--epochs", "1", "--seed=7", "--out", "here", "--quiet"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(count_lines(result.out), 1) << result.out;
  const std::string recipe = read_file(folder / "here/recipe.yaml");
  for (const char *part : {"batch: 16", "epochs: 1", "seed: 7"})
    EXPECT_NE(recipe.find(part), std::string::npos) << recipe;
  EXPECT_EQ(count_lines(metrics("here")), 4 + 1);
}

TEST_F(CliTrain, SpeaksJson) {
  const Result result = run({"train", "net.yaml", "--epochs", "1", "--json"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(count_lines(result.out), 8 + 1 + 1) << result.out;
  EXPECT_EQ(last_line(result.out).rfind("{\"event\":\"end\",\"step\":8,", 0), 0u) << result.out;
  for (size_t at = 0; at < result.out.size(); at = result.out.find('\n', at) + 1) EXPECT_EQ(result.out[at], '{');
}

TEST_F(CliTrain, WithoutTestDataTheLossIsTheEnd) {
  std::string recipe = read_file(folder / "net.yaml");
  recipe.erase(recipe.find(", test:"), std::string(", test: \"xo:test,count=20\"").size());
  write_file(folder / "net.yaml", recipe);
  const Result result = run({"train", "net.yaml", "--epochs", "1"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(last_line(result.out).rfind("no test data; training loss ", 0), 0u) << result.out;
  expect_failure(run({"eval", "runs/net"}), {"no test data", "--data"});
}

TEST_F(CliTrain, KeepsTheCheckpointOfAnEarlierRun) {
  ASSERT_EQ(run({"train", "net.yaml", "--epochs", "1"}).code, 0);
  const std::string before = read_file(folder / "runs/net/checkpoint.safetensors");
  ASSERT_EQ(run({"train", "net.yaml", "--epochs", "2"}).code, 0);
  EXPECT_TRUE(read_file(folder / "runs/net/previous.safetensors") == before);
  EXPECT_EQ(count_lines(metrics("runs/net")), 2 * 8 + 2);
}

void read_until(Process *process, const std::string &part) {
  std::string line;
  do ASSERT_TRUE(process->line(&line));
  while (line.find(part) == std::string::npos);
}

TEST_F(CliTrain, KilledAndResumedIsNeverKilled) {
  write_recipe("long.yaml", 800, 3); // 100 steps an epoch, a line each
  ASSERT_EQ(run({"train", "long.yaml", "--out", "whole", "--quiet"}).code, 0);
  {
    Process process({"train", "long.yaml", "--out", "killed", "--json"}, folder.path());
    read_until(&process, "\"step\":120,");
    process.signal(SIGKILL);
    EXPECT_EQ(process.finish().code, 1000 + SIGKILL);
  }
  EXPECT_GT(count_lines(metrics("killed")), 101);
  const Result resumed = run({"train", "long.yaml", "--out", "killed", "--resume"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_NE(resumed.out.find("resumed  after step 100, in epoch 2"), std::string::npos) << resumed.out;
  expect_same_run("whole", "killed");
}

TEST_F(CliTrain, StoppedAndResumedIsNeverStopped) {
  write_recipe("long.yaml", 800, 1);
  ASSERT_EQ(run({"train", "long.yaml", "--out", "whole", "--quiet"}).code, 0);
  for (const int signal : {SIGINT, SIGTERM}) {
    Process process({"train", "long.yaml", "--out", "stopped", "--json"}, folder.path());
    read_until(&process, "\"step\":5,");
    process.signal(signal);
    const Result result = process.finish();
    EXPECT_EQ(result.code, 130);
    EXPECT_NE(result.err.find("stopped after step"), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("lamina train --out stopped --resume"), std::string::npos) << result.err;
  }
  EXPECT_TRUE(std::filesystem::exists(folder / "stopped/checkpoint.safetensors"));
  const Result resumed = run({"train", "--out", "stopped", "--resume"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  expect_same_run("whole", "stopped");
}

TEST_F(CliTrain, AFinishedRunResumesToItsEnd) {
  const Result first = run({"train", "net.yaml", "--quiet"});
  const Result again = run({"train", "net.yaml", "--resume", "--quiet"});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(first.out, again.out);
}

TEST_F(CliTrain, KeepsTheRecipesName) {
  ASSERT_EQ(run({"train", "net.yaml", "--epochs", "1", "--out", "first", "--quiet"}).code, 0);
  ASSERT_EQ(run({"train", "--out", "first", "--resume", "--quiet"}).code, 0);
  EXPECT_NE(read_file(folder / "first/loss.svg").find(">net<"), std::string::npos);
  ASSERT_EQ(run({"train", "first/", "--quiet"}).code, 0); // its recipe, in a run of the folder's name
  EXPECT_NE(read_file(folder / "runs/first/loss.svg").find(">first<"), std::string::npos);
  std::filesystem::copy(folder / "first/recipe.yaml", folder / "recipe.yaml");
  ASSERT_EQ(run({"train", ".", "--quiet"}).code, 0);
  EXPECT_TRUE(std::filesystem::exists(folder / "runs/recipe/loss.svg"));
}

TEST_F(CliTrain, EvalAgreesWithTheTraining) {
  const Result trained = run({"train", "net.yaml", "--quiet"});
  const std::string percent =
      trained.out.substr(trained.out.rfind(' ') + 1, trained.out.size() - trained.out.rfind(' ') - 2);
  const Result words = run({"eval", "runs/net"}), json = run({"eval", "runs/net/checkpoint.safetensors", "--json"});
  EXPECT_EQ(words.code, 0) << words.err;
  EXPECT_NE(last_line(words.out).find(percent), std::string::npos) << words.out << trained.out;
  EXPECT_EQ(json.out.rfind("{\"data\":\"xo:test,count=20\",\"examples\":20,\"loss\":", 0), 0u) << json.out;
  const Result other = run({"eval", "runs/net", "--data", "xo:test,count=7", "--json"});
  EXPECT_NE(other.out.find("\"examples\":7,"), std::string::npos) << other.out << other.err;
}

TEST_F(CliTrain, EvalShowsWhatWasTakenForWhat) {
  ASSERT_EQ(run({"train", "net.yaml", "--quiet"}).code, 0);
  EXPECT_NE(read_file(folder / "runs/net/confusion.svg").find("of 20 right"), std::string::npos);
  const Result words = run({"eval", "runs/net", "--confusion", "matrix.svg"});
  EXPECT_EQ(words.code, 0) << words.err;
  EXPECT_EQ(Pattern("\nX +10 +[0-9.]+%[^\n]*\nO +10 +[0-9.]+%").count(words.out), 1) << words.out;
  EXPECT_NE(read_file(folder / "matrix.svg").find(">X<"), std::string::npos);
  const Result json = run({"eval", "runs/net", "--confusion", "matrix.svg", "--json"});
  EXPECT_EQ(Pattern("\"confusion\":\\[\\[[0-9]+,[0-9]+\\],\\[[0-9]+,[0-9]+\\]\\]").count(json.out), 1) << json.out;
  expect_failure(run({"eval", "runs/net", "--confusion", "none/matrix.svg"}), {"none/matrix.svg"});
}

TEST_F(CliTrain, PredictsPictures) {
  ASSERT_EQ(run({"train", "net.yaml", "--quiet", "--epochs", "8"}).code, 0);
  std::string cross = "P5 9 9 255\n", small = "P5 3 3 255\n";
  for (int y = 0; y < 9; y++)
    for (int x = 0; x < 9; x++) cross += (y > 0 && y < 8 && x > 0 && x < 8 && (x == y || x + y == 8)) ? '\xff' : '\0';
  write_file(folder / "cross.pgm", cross);
  png_image png = {};
  png.version = PNG_IMAGE_VERSION, png.width = png.height = 9, png.format = PNG_FORMAT_GRAY;
  ASSERT_TRUE(png_image_write_to_file(&png, (folder / "cross.png").c_str(), 0, cross.data() + 11, 0, nullptr));
  write_file(folder / "small.pgm", small + std::string(9, '\0'));
  write_file(folder / "cut.pgm", cross.substr(0, 40));
  const Result one = run({"predict", "runs/net", "cross.pgm"});
  EXPECT_EQ(one.code, 0) << one.err;
  EXPECT_EQ(Pattern("^cross\\.pgm  X  [0-9.]+%  \\(then O [0-9.]+%\\)\n$").count(one.out), 1) << one.out;
  const Result same = run({"predict", "runs/net", "cross.png"});
  EXPECT_EQ(same.out.substr(9), one.out.substr(9)) << same.err;
  const Result json = run({"predict", "runs/net", "cross.pgm", "--json"});
  EXPECT_EQ(json.out.rfind("{\"file\":\"cross.pgm\",\"top\":[{\"class\":0,\"name\":\"X\",\"probability\":", 0), 0u)
      << json.out;
  expect_failure(run({"predict", "runs/net", "small.pgm"}), {"small.pgm", "3 rows and 3 columns", "f32[1,9,9]"});
  expect_failure(run({"predict", "runs/net", "cut.pgm"}), {"cut.pgm"});
  const Result mixed = run({"predict", "runs/net", "none.pgm", "cross.pgm"});
  expect_failure(mixed, {"none.pgm", "No such file"});
  EXPECT_EQ(mixed.out, one.out); // the rest is done
}

} // namespace
