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
  for (std::string line; std::getline(lines, line);) EXPECT_EQ(std::count(line.begin(), line.end(), ','), 18) << line;
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

// ---- Comparing ------------------------------------------------------------------------------------------------------------

// A line of JSON as bench writes it.
std::string line(const std::string &problem, const std::string &engine, double seconds, double spread, int samples = 9,
                 const std::string &checked = "full") {
  std::ostringstream text;
  text << "{\"case\":\"" << problem << "\",\"device\":\"cpu\",\"engine\":\"" << engine
       << "\",\"variant\":\"\",\"seconds\":" << seconds << ",\"spread\":" << spread << ",\"samples\":" << samples
       << ",\"chosen\":true,\"checked\":\"" << checked << "\"}\n";
  return text.str();
}

TEST_F(CliBench, ComparesByTheSpread) {
  write_file(folder / "a.json", "{\"device\":\"cpu\",\"about\":\"the old \\u00b5P\"}\n" + line("p", "one", 1, 0.1) +
                                    line("p", "two", 1, 0.1) + line("p", "three", 1, 0.0) + line("q", "one", 1, 0.1) +
                                    line("q", "few", 1, 0.1) + line("r", "gone", 1, 0.1));
  write_file(folder / "b.json", line("p", "one", 0.8, 0.1) + line("p", "two", 0.83, 0.1) +
                                    line("p", "three", 1.009, 0.0) + line("q", "one", 1.3, 0.1) +
                                    line("q", "few", 9, 0.1, 2) + line("s", "new", 1, 0.1));
  const Result result = run({"bench", "--compare", "a.json", "b.json"});
  EXPECT_EQ(result.code, 1) << "something is slower" << result.err;
  expect_parts(result.out, {"A: a.json: the old µP\n", " 0.800  faster\n", " 0.830  same\n", " 1.009  same\n",
                            " 1.300  slower\n", " 9.000  too few samples\n", "only in A: r by gone\n",
                            "only in B: s by new\n", "B: 1 faster, 1 slower, 2 the same, 1 unsure\n",
                            // p: 0.8; q: 1.3
                            "the best engines of 2 problems take 1.02 of A's time"});
  const Result same = run({"bench", "--compare", "a.json", "a.json"});
  EXPECT_EQ(same.code, 0) << same.out << same.err;
  expect_parts(same.out, {"B: 0 faster, 0 slower, 6 the same, 0 unsure\n", "take 1 of A's time"});
  write_file(folder / "b.json", line("p", "one", 0.8, 0.1, 9, "WRONG"));
  const Result wrong = run({"bench", "--compare", "a.json", "b.json"});
  EXPECT_EQ(wrong.code, 1);
  expect_parts(wrong.out, {"faster, WRONG", "SOME RESULTS ARE WRONG"});
}

TEST_F(CliBench, ComparesWhatItWrote) {
  for (const char *name : {"a.json", "b.json"}) {
    const Result result =
        run_file("relu/forward x=5x7 # \"one\"\\\nfc/forward x=3x4 w=2x4\n", {"--engine", "loop", "--json", name});
    EXPECT_EQ(result.code, 0) << result.err;
  }
  const Result result = run({"bench", "--compare", "a.json", "b.json"});
  EXPECT_EQ(result.err, "");
  expect_parts(result.out,
               {"\n\"one\"\\: relu/forward x=5x7 y=5x7\n", "the best engines of 2 problems", "A: a.json: "});
  EXPECT_EQ(result.out.find("only in"), std::string::npos) << result.out;
}

TEST_F(CliBench, BadResultsAreSentencesWithTheirLine) {
  write_file(folder / "good", line("p", "one", 1, 0.1));
  for (const char *text : {"no", "{", "{}x", "{\"a\"}", "{\"a\":}", "{\"a\":1 \"b\":2}", "{\"a\":\"b}", "{\"a\":[1]}",
                           "{\"a\":\"\\u12\"}", "{\"a\":\"\\", "[1]", "{\"a\":{}}"}) {
    write_file(folder / "bad", line("p", "one", 1, 0.1) + "\n" + text + "\n");
    expect_failure(run({"bench", "--compare", "good", "bad"}),
                   {"bad:3: expected a line that lamina bench --json wrote"});
  }
  write_file(folder / "bad", "{}\n");
  expect_failure(run({"bench", "--compare", "bad", "good"}), {"bad: there are no times in it"});
  expect_failure(run({"bench", "--compare", "none", "good"}), {"none: No such file"});
  expect_failure(run({"bench", "--compare", ".", "good"}), {".: Is a directory"});
  expect_failure(run({"bench", "--compare", "good"}), {"--compare got 1 files; expected two"}, 2);
  for (const char *option : {"--shapes=good", "--training", "--json=x", "--warm", "--seconds=1", "--set=dtype=bf16"})
    expect_failure(run({"bench", "--compare", "good", "good", option}), {"two files and no other option"}, 2);
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
  EXPECT_GE(files, 8);
}

} // namespace
