// What a training leaves behind, used on the device that LAMINA_TEST_DEVICE names, the CPU where it isn't set: lamina eval,
// predict, info, tune and doctor there.
#include "command.h"

namespace {

class CliDevice : public testing::Test {
protected:
  void SetUp() override {
    write_file(folder / "net.yaml", "input: [1, 9, 9]\n"
                                    "math: strict\n"
                                    "data: {train: \"xo:train,count=64\", test: \"xo:test,count=50\"}\n"
                                    "net: [{conv: {filters: 4, kernel: 3}}, relu, {max_pool: 2}, {fc: 2}]\n"
                                    "train: {epochs: 3, batch: 8, optimizer: {sgd: {momentum: 0.9}}, rate: 0.05}\n");
  }
  Result run(const Words &words) const { return run_lamina(words, folder.path()); }
  Result on_device(Words words) const {
    words.insert(words.end(), {"--device", device});
    return run(words);
  }
  static void expect_parts(const Result &result, const Words &parts) {
    EXPECT_EQ(result.code, 0) << result.err;
    for (const std::string &part : parts)
      EXPECT_NE((result.out + result.err).find(part), std::string::npos) << part << "\n" << result.out << result.err;
  }

  const std::string device = getenv("LAMINA_TEST_DEVICE") ? getenv("LAMINA_TEST_DEVICE") : "cpu";
  Temporary folder;
};

// The numbers are far enough apart that no order of sums changes what is printed of them.
TEST_F(CliDevice, WhatItSaysOfPicturesIsWhatTheCpuSays) {
  ASSERT_EQ(run({"train", "net.yaml", "--quiet"}).code, 0);
  const Words eval = {"eval", "runs/net", "--confusion", "matrix.svg"};
  const Result there = on_device(eval), here = run(eval);
  expect_parts(there, {"accuracy", " of 50)"});
  EXPECT_EQ(there.out, here.out);
  std::string cross = "P5 9 9 255\n";
  for (int y = 0; y < 9; y++)
    for (int x = 0; x < 9; x++) cross += (y > 0 && y < 8 && x > 0 && x < 8 && (x == y || x + y == 8)) ? '\xff' : '\0';
  write_file(folder / "cross.pgm", cross);
  const Result said = on_device({"predict", "runs/net", "cross.pgm"});
  expect_parts(said, {"cross.pgm  X  "});
  EXPECT_EQ(said.out, run({"predict", "runs/net", "cross.pgm"}).out);
}

TEST_F(CliDevice, TellsWhatRunsANet) {
  expect_parts(on_device({"info"}), {device + ": ", "numbers: "});
  expect_parts(on_device({"info", "--engines"}), {"conv/backward_weights", "adam/update"});
  expect_parts(on_device({"info", "net.yaml", "--engines", "--batch", "3"}), {"0.conv", "chosen", "3.fc"});
  expect_parts(run({"doctor"}), {"ok   " + device.substr(0, device.find(':')) + " "});
}

TEST_F(CliDevice, TunesAnOpAndPlansByIt) {
  const Words op = {"op", "relu/forward", "x=64", "--tune-cache", "here.txt", "--explain"};
  Words tune = op;
  tune.push_back("--tune");
  expect_parts(on_device(tune), {"tuned relu/forward x=64", ": tuned: "});
  expect_parts(on_device(op), {": tuned: "});
  expect_parts(on_device({"tune", "--tune-cache", "here.txt"}), {device + ": "});
}

TEST_F(CliDevice, ADeviceThatIsNotThereIsNamed) {
  const std::string kind = device.substr(0, device.find(':'));
  if (kind == "cpu") return; // of which there is one
  const std::string none = kind + ":99";
  ASSERT_EQ(run({"train", "net.yaml", "--quiet", "--epochs", "1"}).code, 0);
  for (Words words : {Words{"info"}, Words{"eval", "runs/net"}, Words{"predict", "runs/net", "cross.pgm"},
                      Words{"tune"}, Words{"bench", "relu/forward", "x=4"}}) {
    words.insert(words.end(), {"--device", none});
    expect_failure(run(words), {"there is no " + none + "; there "});
  }
}

} // namespace
