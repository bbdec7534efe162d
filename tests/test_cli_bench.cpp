// lamina bench: one problem, files of them, and what is written.
#include <lamina/lamina.h>

#include <dirent.h>

#include <algorithm>
#include <sstream>

#include "command.h"

namespace {

class CliBench : public testing::Test {
protected:
  Result run(const Words &words) { return run_lamina(words, folder.path()); }

  // A run on a file of these lines, for no longer than it takes.
  Result run_file(const std::string &text, const Words &more = {}) {
    write_file(folder / "shapes.txt", text);
    Words words = {"bench", "--shapes", "shapes.txt", "--seconds", "0"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }

  void expect_parts(const std::string &text, const Words &parts) {
    for (const std::string &part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }

  Temporary folder;
};

TEST_F(CliBench, TimesAndChecksEveryEngine) {
  const Result table = run({"bench", "conv/forward", "x=1x2x6x6", "w=3x2x3x3", "--seconds", "0"});
  EXPECT_EQ(table.code, 0) << table.err;
  expect_parts(table.out, {"GFLOP/s", "ref", "exact, full", "±",
                           "G"
                           "B/s: copy/forward",
                           "FLOP/s: fc/forward", "multiply-adds in f32", "% "});
  const Result json = run({"bench", "relu/forward", "x=5x7", "--engine", "ref", "--seconds", "0", "--json", "-"});
  expect_parts(json.out, {"\"engine\":\"ref\",\"variant\":\"\",\"seconds\":", "\"checked\":\"exact, full\"",
                          "\"bound\":\"memory\",\"share\":", "\"chosen\":true", "{\"peak\":\"copy/forward x="});
  EXPECT_EQ(json.out[0], '{') << json.out;
  expect_failure(run({"bench", "relu/forward", "x=5x7", "--engine", "magic"}), {"magic"});
}

TEST_F(CliBench, AFileOfProblemsIsRunInItsOrder) {
  const Result result = run_file("# a head\n"
                                 "\n"
                                 "relu/forward x=5x7   # the first\r\n"
                                 "  fc/forward x=3x4 w=2x4#the second\n"
                                 "relu/forward x=9",
                                 {"--json", "out.json", "--csv", "out.csv"});
  EXPECT_EQ(result.code, 0) << result.err;
  const size_t first = result.out.find("the first: relu/forward x=5x7"), second = result.out.find("the second: fc/"),
               third = result.out.find("\nrelu/forward x=9");
  EXPECT_TRUE(first < second && second < third && third != std::string::npos) << result.out;
  const std::string json = read_file(folder / "out.json"), csv = read_file(folder / "out.csv");
  expect_parts(json, {"\"case\":\"relu/forward x=5x7 y=5x7\",\"name\":\"the first\",\"device\":\"cpu\"",
                      "\"checked\":\"full\"", "\"case\":\"relu/forward x=9 y=9\",\"device\":"});
  expect_parts(csv, {"name,case,device,engine", "\nthe second,fc/forward x=3x4 w=2x4 y=3x2,cpu,"});
  std::istringstream lines(csv);
  for (std::string line; std::getline(lines, line);) EXPECT_EQ(std::count(line.begin(), line.end(), ','), 16) << line;
}

TEST_F(CliBench, AFilterAndATypeChooseOfAFile) {
  const std::string lines = "relu/forward x=5x7  # a\nrelu/forward x=3 dtype=f32 # b\ntanh/forward x=8 # c\n";
  const Result relu = run_file(lines, {"--filter", "relu", "--filter", "x=", "--dtype", "bf16"});
  EXPECT_EQ(relu.code, 0) << relu.err;
  expect_parts(relu.out, {"\na: relu/forward x=5x7 y=5x7 dtype=bf16\n", "\nb: relu/forward x=3 y=3\n"});
  EXPECT_EQ(relu.out.find("tanh"), std::string::npos) << relu.out;
  expect_failure(run_file(lines, {"--filter", "conv"}), {"shapes.txt: the filter leaves none"});
  expect_failure(run_file(lines, {"--dtype", "f31"}), {"--dtype is \"f31\"; expected f64"}, 2);
}

TEST_F(CliBench, BadFilesAreSentencesWithTheirLine) {
  expect_failure(run_file("relu/forward x=5\n\nrelu/forward z=3 # bad\n"), {"shapes.txt:3: ", "\"z\""});
  expect_failure(run_file("relu/forward x=5by3\n"), {"shapes.txt:1: ", "x=5by3", "expected a shape"});
  expect_failure(run_file("relu/fromward x=5\n"), {"shapes.txt:1: ", "relu/fromward"});
  expect_failure(run_file(std::string(300, '\n') + "conv/forward x=1x2x3x3"), {"shapes.txt:301: ", "w is missing"});
  expect_failure(run_file("# nothing\n\n"), {"shapes.txt: there is no problem in it"});
  expect_failure(run_file(""), {"shapes.txt: there is no problem in it"});
  expect_failure(run_file(std::string("relu/forward x=3\n\0relu", 22)), {"shapes.txt:1: ", "zero byte"});
  std::string many = "relu/forward";
  for (int i = 0; i < 70; i++) many += " x=1";
  expect_failure(run_file(many), {"shapes.txt:1: ", "71 words"});
  expect_failure(run({"bench", "--shapes", "none.txt"}), {"none.txt", "No such file"});
  expect_failure(run({"bench", "--shapes", "."}), {"Is a directory"});
  expect_failure(run({"bench", "--shapes", "x", "relu/forward", "x=3"}), {"both --shapes and an op"}, 2);
  expect_failure(run({"bench", "relu/forward", "x=3", "--filter", "x"}), {"--filter is for --shapes"}, 2);
  expect_failure(run({"bench", "relu/forward", "x=3", "--json", "none/x.json"}), {"none/x.json", "No such file"});
  expect_failure(run({"bench", "relu/forward", "x=3", "--json", "-", "--csv", "-"}), {"expected two files"}, 2);
}

// What fails in one line is said with the line, and the others are run.
TEST_F(CliBench, AProblemThatCannotBeDoneDoesNotEndTheFile) {
  const Result result = run_file("relu/forward x=4 dtype=f64\nrelu/forward x=5\n", {"--engine", "loop"});
  expect_failure(result, {"shapes.txt:1: relu/forward: no engine named loop"});
  expect_parts(result.out, {"relu/forward x=5"});
}

// On $LAMINA_TEST_DEVICE, where that is set: with events as the clock.
TEST(OnDevice, AFileIsTimedAndChecked) {
  Temporary folder;
  const char *device = getenv("LAMINA_TEST_DEVICE") ? getenv("LAMINA_TEST_DEVICE") : "cpu";
  write_file(folder / "shapes.txt", "sgd/update w=9 g=9 rate=1\nfc/forward x=16x64 w=8x64 # product\n");
  const Result result = run_lamina(
      {"bench", "--shapes", "shapes.txt", "--device", device, "--warm", "--seconds", "0", "--json", "out.json"},
      folder.path());
  EXPECT_EQ(result.code, 0) << result.out << result.err;
  const std::string json = read_file(folder / "out.json");
  const std::string of = std::string("\"device\":\"") + device + "\"";
  for (const std::string &part : {of + ",\"about\":", of + ",\"unit\":\"B/s\",\"rate\":", of + ",\"unit\":\"FLOP/s\"",
                                  std::string("\"name\":\"product\",") + of, std::string("\"checked\":\"full\"")})
    EXPECT_NE(json.find(part), std::string::npos) << part << "\n" << json;
  EXPECT_EQ(json.find("WRONG"), std::string::npos) << json;
  EXPECT_NE(result.out.find("caches are warm"), std::string::npos) << result.out;
}

// ---- The files of the tree ----------------------------------------------------------------------------------------------

// Every line of every file is a problem that the library understands; those of memory.txt are beyond any cache.
TEST(BenchShapes, AreAllUnderstood) {
  DIR *folder = opendir(LAMINA_SOURCE_DIR "/bench/shapes");
  ASSERT_TRUE(folder);
  int files = 0;
  while (const dirent *entry = readdir(folder)) {
    const std::string name = entry->d_name;
    if (name[0] == '.') continue;
    std::istringstream lines(read_file(LAMINA_SOURCE_DIR "/bench/shapes/" + name));
    files++;
    for (std::string line, word; std::getline(lines, line);) {
      std::istringstream split(line.substr(0, line.find('#')));
      std::vector<std::string> words;
      while (split >> word) words.push_back(word);
      std::vector<const char *> pointers;
      for (const std::string &w : words) pointers.push_back(w.c_str());
      lamina_case c;
      if (words.empty()) continue;
      ASSERT_EQ(lamina_case_parse(static_cast<int>(words.size()), pointers.data(), nullptr, &c), LAMINA_OK)
          << name << ": " << line << "\n"
          << lamina_last_error();
      double bytes = 0;
      lamina_problem_work(&c.problem, nullptr, &bytes);
      EXPECT_GE(bytes, name == "memory.txt" ? 512.0 * (1 << 20) : 1) << name << ": " << line;
    }
  }
  closedir(folder);
  EXPECT_GE(files, 7);
}

} // namespace
