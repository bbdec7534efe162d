// bench/compare: who takes which turn, and what its table says of given times. The programs are played by shell scripts.
#include <gtest/gtest.h>

#include <sys/wait.h>

#include <sstream>

#include "temporary.h"

namespace {

class Compare : public testing::Test {
protected:
  void SetUp() override {
    if (system("python3 -c 'import argparse' >/dev/null 2>&1"))
      GTEST_SKIP() << "there is no python3 here; with it this runs";
  }
  // Its standard output; the exit code must be this, and all that it says else is kept.
  std::string run(const std::string &options, int code) {
    const std::string command =
        "python3 " LAMINA_SOURCE_DIR "/bench/compare " + options + " >" + (folder / "out") + " 2>" + (folder / "err");
    const int status = system(command.c_str());
    err = read_file(folder / "err");
    EXPECT_EQ(WEXITSTATUS(status), code) << err;
    return read_file(folder / "out");
  }
  std::string table(const std::string &rows) {
    write_file(
        folder / "x.json",
        "{\"machine\": \"M\", \"date\": \"D\", \"command\": \"C\", \"threads\": 2, \"lamina\": \"L\", \"torch\": "
        "\"T\", \"peaks\": {\"flops_f32\": 1e12, \"bytes\": 1e10, \"cache\": 100}, \"rows\": [" +
            rows + "]}");
    return run("--table " + (folder / "x.json"), 0);
  }
  void expect_line(const std::string &text, const std::string &line) {
    EXPECT_NE(text.find("\n| " + line + " |\n"), std::string::npos) << line << "\n" << text;
  }
  // A script that is called as a program.
  std::string script(const std::string &name, const std::string &text) {
    write_file(folder / name, "#!/bin/sh\n" + text);
    chmod((folder / name).c_str(), 0755);
    return folder / name;
  }
  Temporary folder;
  std::string err;
};

// Turns of rounds 0, 1 …, two a round.
std::string player(const std::string &name, const std::vector<double> &seconds, const std::string &more = "") {
  std::ostringstream text;
  text << "{\"name\": \"" << name << "\", \"turns\": [";
  for (size_t i = 0; i < seconds.size(); i++)
    text << (i ? ", " : "") << "{\"round\": " << i / 2 << ", \"seconds\": " << seconds[i] << ", \"samples\": 1}";
  text << "]" << more << "}";
  return text.str();
}

std::string row(const std::string &name, const std::string &players) {
  return "{\"row\": \"" + name + "\", \"threads\": 2, \"others\": 0.25, \"players\": [" + players + "]}";
}

// Rounds of Lamina take 1.1 and 1, of nhwc 2.2 and 1.5: ratios of 2 and 1.5. nchw is slower and left after a round.
TEST_F(Compare, RatiosAreOfRounds) {
  const std::string text = table(row(
      "train-f32", player("lamina", {1.0, 1.2, 1.0, 1.0}, ", \"memory\": 524288000, \"flops\": 9e11, \"size\": 99") +
                       "," + player("nhwc", {2.2, 2.2, 1.6, 1.4}, ", \"memory\": 1048576000, \"base\": 104857600") +
                       "," + player("tuned", {1.045, 1.045, 0.95, 0.95}, ", \"memory\": 1048576000") + "," +
                       player("nchw", {3.3, 3.3})));
  expect_line(text, "AlexNet, training, f32, batch 64 | default, nhwc | 1 s | 1.9 s | 1.75× (1.50–2.00) | ≥ 1.3× / ≥ "
                    "1.8× | bar met");
  // To be as fast as tuned, 9e11 / 0.9975 operations a second are needed: 90.2% of the peak; 9e11 / 1 are reached.
  expect_line(text, "AlexNet, training, f32, batch 64 | tuned | 1 s | 997 ms | 0.95× (0.95–0.95) | ≥ 1× / ≥ 1.4× | bar "
                    "met: the ratio would need 90% of the peak (FLOP/s), so 85% count; it reaches 90%");
  expect_line(text, "AlexNet, peak memory of training | default, nhwc | 500 MiB | 1000 MiB | 0.50× | ≤ 0.55× / ≤ 0.42× "
                    "| bar met; PyTorch takes 100 MiB before it has a net");
  EXPECT_NE(text.find("D, 2 threads. Lamina L, PyTorch T. Peaks in this run: 1000 GFLOP/s in f32, 10 GB/s. Others used "
                      "up to 25% of the CPUs "
                      "meanwhile.\n\n    C\n"),
            std::string::npos)
      << text;
}

TEST_F(Compare, OfLatencyLessIsBetter) {
  const std::string with = ", \"flops\": 1e9, \"bytes\": 8e8, \"size\": 101";
  const std::string other = player("nchw", {0.1, 0.1, 0.11, 0.11});
  const std::string met = table(row("latency", player("lamina", {0.08, 0.08, 0.11, 0.11}, with) + "," + other));
  expect_line(met, "AlexNet, inference, f32, batch 1 | default, nchw | 95 ms | 105 ms | 0.89× (0.80–1.00) | ≤ 0.9× / ≤ "
                   "0.7× | bar met, within its spread");
  // 8e8 bytes in 0.9 * 0.105 s are 85% of the 1e10 a second.
  const std::string missed = table(row("latency", player("lamina", {0.2, 0.2, 0.22, 0.22}, with) + "," + other));
  expect_line(missed, "AlexNet, inference, f32, batch 1 | default, nchw | 210 ms | 105 ms | 2.00× (2.00–2.00) | ≤ 0.9× "
                      "/ ≤ 0.7× | missed (needs 85% of the peak, B/s)");
}

// What the cache holds is not bound by memory.
TEST_F(Compare, BytesCountBeyondTheCache) {
  const std::string with = ", \"flops\": 1e8, \"bytes\": 1e9, \"size\": 100";
  const std::string text =
      table(row("lenet", player("lamina", {0.003, 0.003}, with) + "," + player("nhwc", {0.009, 0.009})));
  expect_line(text,
              "LeNet-5, training, f32, batch 128 | default, nhwc | 3 ms | 9 ms | 3.00× (3.00–3.00) | ≥ 4× / ≥ 7× | "
              "missed (needs 4% of the peak, FLOP/s)");
}

TEST_F(Compare, BadInputIsASentence) {
  run("--table " + (folder / "none"), 1);
  EXPECT_EQ(err, "bench/compare: " + (folder / "none") + ": No such file or directory\n");
  for (const char *text : {"", "[]", "{\"machine\": 1}", "{\"peaks\": {}, \"rows\": [{\"row\": \"no\"}]}"}) {
    write_file(folder / "bad", text);
    run("--table " + (folder / "bad"), 1);
    EXPECT_EQ(err, "bench/compare: " + (folder / "bad") + ": expected a file that bench/compare wrote\n");
  }
  run("--rows train-f33", 2);
  EXPECT_NE(err.find("there is no row \"train-f33\"; there are train-f32, "), std::string::npos) << err;
  run("--rounds 0", 2);
  run("--python /bin/false", 1);
  EXPECT_EQ(err, "bench/compare: /bin/false is no Python with PyTorch; bench/peers/setup makes one, --python names "
                 "another\n");
  write_file(folder / "python", "#!/bin/sh\nexit 0\n");
  ASSERT_EQ(chmod((folder / "python").c_str(), 0700), 0);
  run("--python " + (folder / "python") + " --lamina " + (folder / "none"), 1);
  EXPECT_EQ(err, "bench/compare: " + (folder / "none") + " can't be run; expected the command, lamina\n");
}

// In each round all take a turn, and another in the other order. The slower layout is left after the first round.
TEST_F(Compare, ProgramsTakeTurns) {
  const std::string answer =
      "do echo $name >>" + (folder / "log") +
      "; echo \"{\\\"seconds\\\": $s, \\\"samples\\\": 3, \\\"version\\\": \\\"2.x\\\"}\"; done\n";
  const std::string torch = script("python", "case \"$*\" in -c*) exit 0 ;; *--fused*) name=tuned s=2 ;;\n"
                                             "*nhwc*) name=nhwc s=3 ;; *) name=nchw s=4 ;; esac\nwhile read -r turn; " +
                                                 answer);
  const std::string lamina =
      script("lamina",
             "name=lamina s=1\ncase \"$*\" in --version) echo lamina 9.9 ;;\n"
             "doctor*) echo '{\"checks\": [{\"check\": \"rates\", \"measured\": true, \"flops\": '$LAMINA_THREADS'e9, "
             "\"flops_half\": 0, \"read\": 3e9, \"copy\": 2e9}]}' ;;\n"
             "*dtype=bf16*) echo 'lamina bench: no bf16 today' >&2; exit 1 ;;\n"
             "*) echo '{\"device\": \"cpu\"}'; while read -r turn; " +
                 answer + " ;; esac\n");
  const std::string out = run("--python " + torch + " --lamina " + lamina +
                                  " --rows train-f32,train-bf16 --rounds 2 "
                                  "--turn 0 --threads 1 --out " +
                                  (folder / "result"),
                              1);
  std::istringstream lines(read_file(folder / "log"));
  std::string all;
  for (std::string line; lines >> line;) all += line + " ";
  EXPECT_EQ(all, "lamina nchw nhwc tuned " // ready
                 "lamina nchw nhwc tuned tuned nhwc nchw lamina "
                 "lamina nhwc tuned tuned nhwc lamina ");
  expect_line(out,
              "AlexNet, training, f32, batch 64 | default, nhwc | 1 s | 3 s | 3.00× (3.00–3.00) | ≥ 1.3× / ≥ 1.8× | "
              "aim met");
  expect_line(out,
              "AlexNet, training, bf16, batch 64 |  |  |  |  |  | not measured: lamina: lamina bench: no bf16 today");
  EXPECT_NE(out.find("1 threads. Lamina 9.9"), std::string::npos) << out;
  EXPECT_NE(out.find("PyTorch 2.x. Peaks in this run: 1 GFLOP/s in f32, 1 GFLOP/s in bf16, 3 GB/s."), std::string::npos)
      << out;
  EXPECT_EQ(read_file(folder / "result.md") + "\n", out);
  EXPECT_EQ(run("--table " + (folder / "result.json"), 0), out) << "a result says the same again";
}

} // namespace
