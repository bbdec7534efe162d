// What bad input gets: an exit code, one sentence with file, place and what was expected, and nothing lost.
#include <sys/resource.h>
#include <zlib.h>

#include "command.h"

namespace {

std::string big_endian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xff);
  return bytes;
}

std::string gzip(const std::string &bytes) {
  Temporary folder;
  gzFile file = gzopen((folder / "x.gz").c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
  return read_file(folder / "x.gz");
}

class CliBadInput : public testing::Test {
protected:
  enum { COUNT = 20, SIDE = 6 };

  void SetUp() override {
    pictures = big_endian(0x803) + big_endian(COUNT) + big_endian(SIDE) + big_endian(SIDE);
    labels = big_endian(0x801) + big_endian(COUNT);
    for (int i = 0; i < COUNT; i++) {
      labels += static_cast<char>(i % 3);
      for (int p = 0; p < SIDE * SIDE; p++) pictures += static_cast<char>(i * 37 + p * 11);
    }
    write_file(folder / "net.yaml", recipe);
    write();
  }
  void write() {
    write_file(folder / "set-images-idx3-ubyte", pictures);
    write_file(folder / "set-labels-idx1-ubyte", labels);
  }
  // Pictures as .gz only.
  void write_gzip(const std::string &bytes) {
    std::filesystem::remove(folder / "set-images-idx3-ubyte");
    write_file(folder / "set-images-idx3-ubyte.gz", bytes);
  }

  Result run(const Words &words) { return run_lamina(words, folder.path()); }
  Result train(const Words &more = {}) {
    Words words = {"train", "net.yaml", "--out", "out", "--quiet"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  // Trains the recipe with one text replaced; it fails and leaves no folder behind.
  void expect_bad(const std::string &from, const std::string &to, const Words &parts) {
    std::string text = recipe;
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos);
    write_file(folder / "net.yaml", text.replace(at, from.size(), to));
    expect_failure(train(), parts);
    EXPECT_FALSE(std::filesystem::exists(folder / "out"));
  }

  Temporary folder;
  std::string pictures, labels;
  const std::string recipe = "data: {train: \"idx:set\", test: \"idx:set\"}\n"
                             "input: [1, 6, 6]\n"
                             "net:\n"
                             "  - conv: {filters: 2, kernel: 3}\n"
                             "  - relu\n"
                             "  - fc: 3\n"
                             "train: {batch: 10, epochs: 1, rate: {constant: 0.1}}\n";
};

TEST_F(CliBadInput, TheGoodOneTrains) {
  const Result plain = train();
  EXPECT_EQ(plain.code, 0) << plain.err;
  write_gzip(gzip(pictures));
  const Result packed = train();
  EXPECT_EQ(packed.code, 0) << packed.err;
  EXPECT_EQ(plain.out, packed.out);
}

// ---- Data

TEST_F(CliBadInput, DataThatIsMissingListsWhatWasTried) {
  std::filesystem::remove(folder / "set-images-idx3-ubyte");
  expect_failure(train(), {"set-images-idx3-ubyte", "set-images-idx3-ubyte.gz", "set-images.idx3-ubyte"});
}

TEST_F(CliBadInput, GzipThatIsCutOrAltered) {
  const std::string good = gzip(pictures);
  write_gzip(good.substr(0, good.size() / 2));
  expect_failure(train(), {"set-images-idx3-ubyte.gz"});
  std::string altered = good;
  altered[good.size() - 6] = static_cast<char>(altered[good.size() - 6] ^ 1); // the checksum
  write_gzip(altered);
  expect_failure(train(), {"set-images-idx3-ubyte.gz"});
  write_gzip("\x1f\x8b not gzip");
  expect_failure(train(), {"set-images-idx3-ubyte.gz"});
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
}

TEST_F(CliBadInput, IdxThatIsWrong) {
  const std::string good = pictures;
  pictures[3] = 1;
  write();
  expect_failure(train(), {"set-images-idx3-ubyte", "magic"});
  pictures = good, pictures[2] = 0x0d;
  write();
  expect_failure(train(), {"set-images-idx3-ubyte"});
  pictures = good.substr(0, good.size() - 1);
  write();
  expect_failure(train(), {"set-images-idx3-ubyte", "expected"});
  pictures = good + "x";
  write();
  expect_failure(train(), {"set-images-idx3-ubyte"});
  pictures = good, labels = big_endian(0x801) + big_endian(COUNT - 1) + std::string(COUNT - 1, '\0');
  write();
  expect_failure(train(), {"set-labels-idx1-ubyte", "19", "20"});
}

TEST_F(CliBadInput, LabelsThatAreNoClass) {
  labels[8 + 5] = 3;
  write();
  expect_failure(train(), {"set-labels-idx1-ubyte", "3", "5"});
}

TEST_F(CliBadInput, PicturesOfAnotherSize) {
  expect_bad("input: [1, 6, 6]", "input: [1, 7, 6]", {"idx:set", "6 rows", "f32[1,7,6]"});
}

// ---- Recipes

TEST_F(CliBadInput, YamlNamesLineAndColumn) {
  expect_bad("input: [1, 6, 6]", "input: [1, 6", {"net.yaml:", ":"});
  expect_bad("filters: 2", "filtres: 2", {"net.yaml:4:12", "\"filtres\"", "\"filters\""});
  expect_bad("- relu", "- rleu", {"net.yaml:5:5", "\"rleu\"", "\"relu\""});
  expect_bad("epochs: 1", "epochs: one", {"net.yaml:7:", "\"one\"", "integer"});
  expect_bad("batch: 10", "batch: 0", {"net.yaml:7:", "\"0\""});
  expect_bad("batch: 10", "batch: 10, batch: 11", {"net.yaml:7:", "\"batch\"", "line 7"});
  expect_bad("net:", "nets:", {"net.yaml:3:1", "\"nets\"", "\"net\""});
}

TEST_F(CliBadInput, AssignmentsNameThemselves) {
  expect_failure(train({"--set", "train.bach=3"}), {"train.bach=3", "\"batch\""});
  expect_failure(train({"--set", "net[7].conv.filters=3"}), {"net[7]"});
  expect_failure(train({"--set", "nonsense"}), {"\"nonsense\"", "PATH=VALUE"});
}

TEST_F(CliBadInput, LayersThatDontFitNameBoth) {
  expect_bad("- fc: 3", "- conv: {filters: 2, kernel: 7}", {"net.yaml:6:5", "2.conv", "1.relu", "7"});
}

TEST_F(CliBadInput, SizesThatOverflow) {
  expect_bad("- fc: 3", "- fc: 9000000000000000000", {"net.yaml:6:", "9000000000000000000"});
  expect_bad("[1, 6, 6]", "[2000000000, 2000000000, 2000000000]", {"net.yaml"});
}

TEST_F(CliBadInput, TooLittleMemoryNamesTheLargestBatch) {
  expect_bad("train: \"idx:set\"", "train: \"digits:train,count=2000000000\"",
             {"digits:train", "28 rows", "f32[1,6,6]"});
  write_file(folder / "big.yaml", "input: [1, 28, 28]\ndata: {train: \"digits:train,count=2000000000\"}\n"
                                  "net: [{fc: 1000}, {fc: 10}]\ntrain: {batch: 1000000000, epochs: 1}\n");
  expect_failure(run({"train", "big.yaml", "--quiet"}),
                 {"a batch of 1000000000 needs", "the largest batch that fits is"});
  EXPECT_FALSE(std::filesystem::exists(folder / "runs"));
}

// ---- Folders and checkpoints

TEST_F(CliBadInput, FoldersThatCantBeWritten) {
  expect_failure(train({"--out", "none/out"}), {"none/out", "no folder none"});
  expect_failure(train({"--out", "net.yaml"}), {"net.yaml", "expected a folder"});
  expect_failure(train({"--out", "/proc/self"}),
                 {"/proc/self", "can't write into this output folder"}); // for root, too
  if (geteuid() == 0) return;
  std::filesystem::create_directory(folder / "closed");
  std::filesystem::permissions(folder / "closed", std::filesystem::perms::owner_read);
  expect_failure(train({"--out", "closed"}), {"closed", "can't write into this output folder", "Permission denied"});
}

TEST_F(CliBadInput, CheckpointsThatAreCutAlteredOrOfAnotherNet) {
  ASSERT_EQ(train().code, 0);
  const std::string path = folder / "out/checkpoint.safetensors", good = read_file(path);
  const Words resume = {"--resume"};
  const auto expect_kept = [&](const std::string &bytes, const Words &parts) {
    write_file(path, bytes);
    expect_failure(run({"eval", "out"}), parts);
    expect_failure(train(resume), parts);
    EXPECT_TRUE(read_file(path) == bytes);
  };
  expect_kept(good.substr(0, good.size() - 3), {"out/checkpoint.safetensors"});
  expect_kept(good.substr(0, 5), {"out/checkpoint.safetensors"});
  expect_kept("", {"out/checkpoint.safetensors"});
  std::string altered = good;
  altered[good.size() - 20] = static_cast<char>(altered[good.size() - 20] ^ 4);
  expect_kept(altered, {"out/checkpoint.safetensors"});

  write_file(path, good);
  expect_failure(train({"--resume", "--set", "net[0].conv.filters=4"}),
                 {"out/checkpoint.safetensors", "another net", "filters: 2", "filters: 4"});
  expect_failure(train({"--resume", "--set", "train.batch=5"}), {"out/checkpoint.safetensors", "batch 10", "batch 5"});
  expect_failure(train({"--resume", "--seed", "2"}), {"out/checkpoint.safetensors", "seed 1", "seed 2"});
  EXPECT_TRUE(read_file(path) == good);
  expect_failure(run({"train", "net.yaml", "--out", "nowhere", "--resume"}),
                 {"nowhere/checkpoint.safetensors", "No such file"});
  EXPECT_FALSE(std::filesystem::exists(folder / "nowhere"));
  expect_failure(run({"eval", "net.yaml"}), {"net.yaml", "no checkpoint"});
}

// Files may have so many bytes while it lives, as if the disk were full then; processes that are started have it, too.
class DiskOf {
public:
  explicit DiskOf(rlim_t bytes) {
    handler_ = signal(SIGXFSZ, SIG_IGN);
    EXPECT_EQ(getrlimit(RLIMIT_FSIZE, &before_), 0);
    const rlimit small = {bytes, before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  }
  ~DiskOf() {
    setrlimit(RLIMIT_FSIZE, &before_);
    signal(SIGXFSZ, handler_);
  }

private:
  rlimit before_;
  sighandler_t handler_;
};

TEST_F(CliBadInput, ADiskThatIsFullIsToldAndTheCheckpointStays) {
  ASSERT_EQ(train().code, 0);
  const std::string path = folder / "out/checkpoint.safetensors", good = read_file(path);
  const auto log_size = static_cast<rlim_t>(std::filesystem::file_size(folder / "out/metrics.jsonl"));
  ASSERT_GT(good.size(), log_size + 300);
  Result result;
  { // the log has no room for a line more
    const DiskOf small(log_size + 10);
    result = train({"--resume", "--epochs", "2"});
  }
  expect_failure(result, {"out", "can't write metrics.jsonl", "File too large"});
  EXPECT_TRUE(read_file(path) == good);
  { // nor the folder for a checkpoint
    const DiskOf small(good.size() - 1);
    result = train({"--resume", "--epochs", "2"});
  }
  expect_failure(result, {"out/checkpoint.safetensors", "can't be written", "File too large"});
  EXPECT_TRUE(read_file(path) == good);
  EXPECT_FALSE(std::filesystem::exists(path + ".tmp"));
  result = train({"--resume", "--epochs", "2"}); // with room again it goes on
  EXPECT_EQ(result.code, 0) << result.err;
}

TEST_F(CliBadInput, LossThatIsNotFiniteNamesStepAndLayer) {
  ASSERT_EQ(train().code, 0);
  const std::string path = folder / "out/checkpoint.safetensors", good = read_file(path);
  expect_failure(train({"--resume", "--set", "train.rate=0.7"}),
                 {"out/checkpoint.safetensors", "this run has rate 0.7"});
  EXPECT_EQ(train({"--resume", "--epochs", "2"}).code, 0);
  const Result result = train({"--set", "train.rate=1e39"}); // infinite in f32
  expect_failure(result, {"step 2", "not finite", "0.conv.w"});
  EXPECT_FALSE(std::filesystem::exists(path)); // and what was there is kept
  EXPECT_TRUE(std::filesystem::exists(folder / "out/previous.safetensors"));
}

} // namespace
