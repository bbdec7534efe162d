// lamina op, verify and bench on small cases.
#include <lamina/lamina.h>

#include "command.h"

namespace {

class CliOp : public testing::Test {
protected:
  Result run(const Words &words) { return run_lamina(words, folder.path()); }

  void write(const std::string &name, const std::vector<float> &values, const std::vector<int64_t> &dims) {
    const lamina_desc desc = lamina_dense(LAMINA_F32, static_cast<int>(dims.size()), dims.data());
    const lamina_tensor tensor = lamina_tensor_of(desc, const_cast<float *>(values.data()));
    ASSERT_EQ(lamina_npy_write((folder / name).c_str(), &tensor, nullptr), LAMINA_OK) << lamina_last_error();
  }

  // The values of a file as doubles, and its type and shape as text.
  std::vector<double> read(const std::string &name, std::string *shape = nullptr) {
    lamina_tensor tensor;
    char text[128];
    std::vector<double> values;
    if (lamina_npy_read((folder / name).c_str(), nullptr, &tensor)) return values;
    for (int64_t i = 0; i < lamina_desc_count(&tensor.desc); i++)
      values.push_back(
          lamina_load(static_cast<lamina_dtype>(tensor.desc.dtype), tensor.data, lamina_desc_offset(&tensor.desc, i)));
    if (shape) *shape = lamina_desc_text(&tensor.desc, text, sizeof text);
    lamina_npy_free(nullptr, &tensor);
    return values;
  }

  Temporary folder;
};

TEST_F(CliOp, ReadsAndWritesFiles) {
  write("x.npy", {1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 1, 3, 3});
  write("w.npy", {1, 0, 0, 1}, {1, 1, 2, 2});
  const Result result = run({"op", "conv/forward", "x=x.npy", "w=w.npy", "y=y.npy"});
  EXPECT_EQ(result.code, 0) << result.err;
  std::string shape;
  EXPECT_EQ(read("y.npy", &shape), (std::vector<double>{6, 8, 12, 14}));
  EXPECT_EQ(shape, "f32[1,1,2,2]");
  EXPECT_NE(result.out.find("written to y.npy"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("min 6  max 14  mean 10"), std::string::npos) << result.out;
}

TEST_F(CliOp, WritesIntegersAndWidensBf16) {
  write("x.npy", {1, 5, 3, 4}, {1, 1, 2, 2});
  ASSERT_EQ(run({"op", "max_pool/forward", "x=x.npy", "kernel=2", "indices=i.npy", "y=y.npy", "dtype=bf16"}).code, 0);
  std::string shape;
  EXPECT_EQ(read("i.npy", &shape), (std::vector<double>{1}));
  EXPECT_EQ(shape, "i32[1,1,1,1]");
  EXPECT_EQ(read("y.npy", &shape), (std::vector<double>{5}));
  EXPECT_EQ(shape, "f32[1,1,1,1]");
}

TEST_F(CliOp, LeavesFilesThatAreReadAsTheyAre) {
  write("w.npy", {1, 2}, {2});
  write("g.npy", {1, -1}, {2});
  write("rate.npy", {0.5}, {1});
  const Words words = {"op", "sgd/update", "w=w.npy", "g=g.npy", "rate=rate.npy"};
  EXPECT_EQ(run(words).code, 0);
  EXPECT_EQ(read("w.npy"), (std::vector<double>{1, 2}));
  Words writes = words;
  writes.insert(writes.end(), {"--write", "w=new.npy"});
  EXPECT_EQ(run(writes).code, 0);
  EXPECT_EQ(read("new.npy"), (std::vector<double>{0.5, 2.5}));
  EXPECT_EQ(read("w.npy"), (std::vector<double>{1, 2}));
  writes.back() = "rate=new.npy";
  expect_failure(run(writes), {"no output \"rate\""}, 2);
}

TEST_F(CliOp, ExplainsTheChoice) {
  const Result all = run({"op", "relu/forward", "x=2x3", "--explain"});
  EXPECT_NE(all.out.find("chosen"), std::string::npos) << all.out;
  EXPECT_NE(all.out.find("ref:"), std::string::npos) << all.out;
  const Result ref = run({"op", "relu/forward", "x=2x3", "--engine", "ref"});
  EXPECT_NE(ref.out.find("engine   ref\n"), std::string::npos) << ref.out;
  expect_failure(run({"op", "relu/forward", "x=2x3", "--engine", "magic"}), {"magic"});
}

TEST_F(CliOp, BadCasesAreSentences) {
  write_file(folder / "bad.npy", "\x93NUMPY\x01");
  write_file(folder / "no.npy", "not an array");
  expect_failure(run({"op", "conv/forward", "x=2x3x5x5"}), {"w is missing"});
  expect_failure(run({"op", "conv/forward", "x=2x3x5x5", "w=4x4x3x3"}), {"conv/forward"});
  expect_failure(run({"op", "relu/forward", "x=2by3"}), {"x=2by3", "expected a shape"});
  expect_failure(run({"op", "relu/forward", "z=2x3"}), {"\"z\""});
  expect_failure(run({"op", "relu/forward", "x=bad.npy"}), {"bad.npy"});
  expect_failure(run({"op", "relu/forward", "x=no.npy"}), {"no.npy"});
  expect_failure(run({"op", "relu/forward", "x=none.npy"}), {"none.npy", "No such file"});
  expect_failure(run({"op", "relu/forward", "x=2", "dtype=f31"}), {"dtype=f31", "f64, f32"});
  expect_failure(run({"op", "relu/forward", "x=4000000000x4000000000x4000000000"}), {"x"});
  expect_failure(run({"op", "relu/forward", "x=2", "y=none/y.npy"}), {"none/y.npy"});
}

TEST_F(CliOp, VerifiesOneCase) {
  const Result result = run({"verify", "conv/forward", "x=1x2x5x5", "w=3x2x3x3", "fill=exact"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("ref"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("exact, 27 elements"), std::string::npos) << result.out;
  const Result json = run({"verify", "relu/forward", "x=7", "--engine", "ref", "--json"});
  EXPECT_EQ(json.out.rfind("{\"engine\":\"ref\",\"variant\":\"\",\"status\":\"OK\"", 0), 0u) << json.out;
  expect_failure(run({"verify", "relu/forward", "x=7", "--engine", "magic"}), {"magic"});
}

TEST_F(CliOp, VerifiesGeneratedCases) {
  const Result result = run({"verify", "relu", "scale/forward", "--cases", "2", "--seed", "3", "dtype=f32"});
  EXPECT_EQ(result.code, 0) << result.err;
  for (const char *part : {"relu/forward", "relu/backward", "scale/forward", "6 cases", "all agree"})
    EXPECT_NE(result.out.find(part), std::string::npos) << part << result.out;
  EXPECT_EQ(result.out, run({"verify", "relu", "scale/forward", "--cases", "2", "--seed", "3", "dtype=f32"}).out);
  const Result json = run({"verify", "relu/forward", "--cases", "1", "--engine", "ref", "--json"});
  EXPECT_EQ(json.out.rfind("{\"op\":\"relu/forward\",\"engine\":\"ref\",\"runs\":", 0), 0u) << json.out;
}

} // namespace
