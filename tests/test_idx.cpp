// IDX datasets: plain and packed files, where they are looked for, and every way in which they can be wrong.
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <cstring>
#include <filesystem>
#include <vector>

#include "lamina/data.h"
#include "temporary.h"

namespace {

std::string big_endian(uint32_t n) {
  return {static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8), static_cast<char>(n)};
}

std::string idx3(uint32_t count, uint32_t rows, uint32_t columns, const std::string &body) {
  return big_endian(0x803) + big_endian(count) + big_endian(rows) + big_endian(columns) + body;
}

std::string idx1(uint32_t count, const std::string &body) { return big_endian(0x801) + big_endian(count) + body; }

std::string gzip(const std::string &plain) {
  z_stream z = {};
  EXPECT_EQ(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(deflateBound(&z, plain.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(plain.data()));
  z.avail_in = static_cast<unsigned>(plain.size());
  z.next_out = reinterpret_cast<Bytef *>(&packed[0]);
  z.avail_out = static_cast<unsigned>(packed.size());
  EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
  packed.resize(z.total_out);
  deflateEnd(&z);
  return packed;
}

/* Three pictures of 2 x 3 and their labels. */
const std::string body("\x00\x33\x66\x99\xcc\xff\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c", 18);
const std::string pictures = idx3(3, 2, 3, body), labels = idx1(3, std::string("\x02\x00\x01", 3));

class Idx : public testing::Test {
protected:
  Temporary folder;
  lamina_dataset *data = nullptr;

  ~Idx() override { lamina_dataset_close(data); }

  void write(const std::string &name, const std::string &content) {
    std::remove((folder / name).c_str()); /* some file systems wait for the disk when a file is overwritten */
    write_file(folder / name, content);
  }
  lamina_status open(const std::string &what) {
    lamina_dataset_close(data);
    lamina_dataset_options options = {};
    options.root = folder.path().c_str();
    const lamina_status status = lamina_dataset_open(("idx:" + what).c_str(), &options, &data);
    EXPECT_EQ(status == LAMINA_OK, data != nullptr);
    return status;
  }
  lamina_status open(const std::string &picture_content, const std::string &label_content) {
    write("a-images-idx3-ubyte", picture_content);
    write("a-labels-idx1-ubyte", label_content);
    return open("a");
  }
  void refuses(const std::string &picture_content, const std::string &label_content, lamina_status status,
               const std::string &part, const char *file = "a-images-idx3-ubyte") {
    EXPECT_EQ(open(picture_content, label_content), status);
    const std::string sentence = lamina_last_error();
    EXPECT_EQ(sentence.find(folder / file), 0u) << sentence;
    EXPECT_NE(sentence.find(part), std::string::npos) << sentence;
  }
  void holds_the_three() {
    ASSERT_NE(data, nullptr) << lamina_last_error();
    const lamina_dataset_info *info = lamina_dataset_info_of(data);
    EXPECT_EQ(info->count, 3);
    EXPECT_EQ(info->channels, 1);
    EXPECT_EQ(info->height, 2);
    EXPECT_EQ(info->width, 3);
    EXPECT_EQ(info->classes, 3);
    EXPECT_EQ(info->low, 0);
    EXPECT_EQ(info->high, 1);
    const int64_t index[] = {2, 0, 1};
    float x[18];
    int32_t label[3];
    ASSERT_EQ(lamina_dataset_read(data, 3, index, x, label), LAMINA_OK) << lamina_last_error();
    for (size_t i = 0; i < 18; i++)
      EXPECT_EQ(x[i],
                static_cast<float>(static_cast<uint8_t>(body[static_cast<size_t>(index[i / 6]) * 6 + i % 6])) / 255);
    EXPECT_EQ(label[0], 1);
    EXPECT_EQ(label[1], 2);
    EXPECT_EQ(label[2], 0);
  }
};

TEST_F(Idx, PlainAndPacked) {
  for (const bool packed_pictures : {false, true})
    for (const bool packed_labels : {false, true}) {
      EXPECT_EQ(open(packed_pictures ? gzip(pictures) : pictures, packed_labels ? gzip(labels) : labels), LAMINA_OK);
      holds_the_three();
    }
}

TEST_F(Idx, UsualNames) {
  for (const char *form : {"-%s-idx%d-ubyte", "-%s.idx%d-ubyte", "-%s-idx%d-ubyte.gz", "-%s.idx%d-ubyte.gz"}) {
    static int number = 0;
    const std::string prefix = "set" + std::to_string(number++);
    char name[64];
    snprintf(name, sizeof name, form, "images", 3);
    write(prefix + name, strstr(form, "gz") ? gzip(pictures) : pictures);
    snprintf(name, sizeof name, form, "labels", 1);
    write(prefix + name, strstr(form, "gz") ? gzip(labels) : labels);
    EXPECT_EQ(open(prefix), LAMINA_OK) << form;
    holds_the_three();
  }
}

TEST_F(Idx, WhereFilesAreLookedFor) {
  std::filesystem::create_directory(folder / "sub");
  write("sub/a-images-idx3-ubyte", pictures);
  write("sub/a-labels-idx1-ubyte", labels);
  EXPECT_EQ(open("sub/a"), LAMINA_OK); /* under root */
  holds_the_three();
  EXPECT_EQ(open((folder / "sub/a").c_str()), LAMINA_OK); /* absolute */
  holds_the_three();

  const std::string before = std::filesystem::current_path();
  std::filesystem::current_path(folder / "sub");
  EXPECT_EQ(open("a"), LAMINA_OK); /* not under root, but here */
  std::filesystem::current_path(before);
  holds_the_three();

  const char *old = getenv("LAMINA_DATA");
  const std::string kept = old ? old : "";
  setenv("LAMINA_DATA", (folder / "sub").c_str(), 1);
  lamina_dataset_close(data);
  EXPECT_EQ(lamina_dataset_open("idx:a", nullptr, &data), LAMINA_OK);
  if (old)
    setenv("LAMINA_DATA", kept.c_str(), 1);
  else
    unsetenv("LAMINA_DATA");
  holds_the_three();
}

TEST_F(Idx, NothingFoundListsAllPaths) {
  EXPECT_EQ(open("x/train"), LAMINA_IO);
  const std::string sentence = lamina_last_error();
  for (const std::string &place : {folder / "x/train", std::string(", x/train")})
    for (const char *ending :
         {"-images-idx3-ubyte", "-images-idx3-ubyte.gz", "-images.idx3-ubyte", "-images.idx3-ubyte.gz"})
      EXPECT_NE(sentence.find(place + ending), std::string::npos) << sentence;

  write("a-images-idx3-ubyte", pictures);
  EXPECT_EQ(open("a"), LAMINA_IO);
  EXPECT_NE(std::string(lamina_last_error()).find(folder / "a-labels.idx1-ubyte.gz"), std::string::npos)
      << lamina_last_error();
}

TEST_F(Idx, EveryTruncation) {
  const struct {
    std::string pictures, labels;
    bool cut_labels;
  } rows[] = {{pictures, labels, false},
              {pictures, labels, true},
              {gzip(pictures), labels, false},
              {pictures, gzip(labels), true}};
  for (const auto &row : rows) {
    const std::string &whole = row.cut_labels ? row.labels : row.pictures;
    for (size_t n = 0; n < whole.size(); n++) {
      const std::string cut = whole.substr(0, n);
      EXPECT_EQ(row.cut_labels ? open(row.pictures, cut) : open(cut, row.labels), LAMINA_CORRUPT)
          << n << " of " << whole.size();
      const std::string sentence = lamina_last_error();
      EXPECT_EQ(sentence.find(folder / (row.cut_labels ? "a-labels-idx1-ubyte" : "a-images-idx3-ubyte")), 0u)
          << sentence;
    }
  }
}

/* Damage is found, or it lies where it means nothing: time and system in gzip's header, and padding. */
TEST_F(Idx, EveryBitOfAPackedFile) {
  const std::string whole = gzip(pictures);
  size_t harmless = 0;
  for (size_t at = 0; at < whole.size(); at++)
    for (int bit = 0; bit < 8; bit++) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ 1 << bit);
      if (open(changed, labels)) continue;
      harmless++;
      holds_the_three();
    }
  EXPECT_LE(harmless, 64u);
}

TEST_F(Idx, EveryBitOfTheHeaders) {
  for (size_t at = 0; at < 16; at++)
    for (int bit = 0; bit < 8; bit++) {
      std::string changed = pictures;
      changed[at] = static_cast<char>(changed[at] ^ 1 << bit);
      EXPECT_NE(open(changed, labels), LAMINA_OK) << at << " " << bit;
      if (at >= 8) continue;
      changed = labels;
      changed[at] = static_cast<char>(changed[at] ^ 1 << bit);
      EXPECT_NE(open(pictures, changed), LAMINA_OK) << at << " " << bit;
    }
}

TEST_F(Idx, WrongMagic) {
  refuses(labels, labels, LAMINA_CORRUPT, "magic is 0x00000801, expected 0x00000803");
  refuses(pictures, pictures, LAMINA_CORRUPT, "magic is 0x00000803, expected 0x00000801", "a-labels-idx1-ubyte");
  refuses("PNG what is this", labels, LAMINA_CORRUPT, "magic is 0x504E4720");
  refuses(big_endian(0xd03) + pictures.substr(4), labels, LAMINA_UNSUPPORTED, "32-bit floats (type 0x0D)");
  refuses("", labels, LAMINA_CORRUPT, "ends in field magic after 0 bytes, expected a header of 16");
  refuses(pictures.substr(0, 10), labels, LAMINA_CORRUPT, "ends in field rows after 10 bytes");
}

TEST_F(Idx, WrongSizes) {
  refuses(pictures, idx1(2, std::string(2, '\0')), LAMINA_CORRUPT, "count is 2, expected 3", "a-labels-idx1-ubyte");
  refuses(pictures + "!", labels, LAMINA_CORRUPT, "1 bytes too many");
  refuses(pictures, labels + "??", LAMINA_CORRUPT, "2 bytes too many", "a-labels-idx1-ubyte");
  refuses(pictures.substr(0, 30), labels, LAMINA_CORRUPT, "30 bytes, expected 34 for the 3 x 2 x 3");
  refuses(idx3(0, 2, 3, ""), labels, LAMINA_CORRUPT, "count is 0");
  refuses(idx3(3, 0, 3, ""), labels, LAMINA_CORRUPT, "rows is 0");
  refuses(idx3(3, 2, 0xffffffff, ""), labels, LAMINA_CORRUPT, "columns is 4294967295");
  const uint32_t most = 0x7fffffff;
  refuses(idx3(most, most, most, ""), labels, LAMINA_CORRUPT, "which no file can hold");
  refuses(idx3(most, most, 1, ""), labels, LAMINA_CORRUPT, "cut short");
  refuses(gzip(idx3(most, 1000, 1, "")), labels, LAMINA_CORRUPT, "(packed)"); /* before memory is asked for */
}

TEST_F(Idx, WrongPackedContent) {
  const std::string packed = gzip(pictures);
  refuses(gzip(pictures + "!"), labels, LAMINA_CORRUPT, "goes on after the 18 bytes");
  refuses(gzip(pictures.substr(0, 30)), labels, LAMINA_CORRUPT, "14 bytes unpacked after the header, expected 18");
  refuses(packed + "rubbish", labels, LAMINA_CORRUPT, "gzip data is damaged");
  refuses(packed.substr(0, packed.size() - 3), labels, LAMINA_CORRUPT, "gzip data is cut short");
  std::string crc = packed;
  crc[crc.size() - 8] = static_cast<char>(crc[crc.size() - 8] ^ 1);
  refuses(crc, labels, LAMINA_CORRUPT, "incorrect data check");
  crc = gzip(labels);
  crc[crc.size() - 8] = static_cast<char>(crc[crc.size() - 8] ^ 1);
  refuses(pictures, crc, LAMINA_CORRUPT, "incorrect data check", "a-labels-idx1-ubyte");
  EXPECT_EQ(open(gzip(pictures.substr(0, 20)) + gzip(pictures.substr(20)), labels), LAMINA_OK); /* RFC 1952, 2.2 */
  holds_the_three();
}

TEST_F(Idx, LabelsOutOfRange) {
  write("a-images-idx3-ubyte", pictures);
  write("a-labels-idx1-ubyte", labels);
  EXPECT_EQ(open("a,classes=2"), LAMINA_CORRUPT);
  EXPECT_EQ(lamina_last_error(), folder / "a-labels-idx1-ubyte" + ": label 0 (at byte 8) is 2, expected 0 … 1");
  EXPECT_EQ(open("a,classes=3"), LAMINA_OK);
  EXPECT_EQ(open("a,classes=10"), LAMINA_OK);
  EXPECT_EQ(lamina_dataset_info_of(data)->classes, 10);
  EXPECT_EQ(lamina_dataset_check_classes(data, 10), LAMINA_OK);

  EXPECT_EQ(open(pictures, idx1(3, "\1\1\xff")), LAMINA_OK);
  EXPECT_EQ(lamina_dataset_info_of(data)->classes, 256);
  EXPECT_EQ(lamina_dataset_check_classes(data, 10), LAMINA_INVALID);
  EXPECT_EQ(lamina_last_error(), folder / "a-labels-idx1-ubyte" + ": label 2 (at byte 10) is 255, expected 0 … 9");
}

TEST_F(Idx, FilesThatCannotBeRead) {
  std::filesystem::create_directory(folder / "a-images-idx3-ubyte");
  write("a-labels-idx1-ubyte", labels);
  EXPECT_EQ(open("a"), LAMINA_IO);
  EXPECT_NE(std::string(lamina_last_error()).find("no regular file"), std::string::npos) << lamina_last_error();
  if (geteuid() == 0) return; /* root may read everything */
  std::filesystem::remove(folder / "a-images-idx3-ubyte");
  write("a-images-idx3-ubyte", pictures);
  std::filesystem::permissions(folder / "a-images-idx3-ubyte", std::filesystem::perms::none);
  EXPECT_EQ(open("a"), LAMINA_IO);
  EXPECT_NE(std::string(lamina_last_error()).find("cannot be opened"), std::string::npos) << lamina_last_error();
}

TEST_F(Idx, AFileThatBecomesShorterInUse) {
  ASSERT_EQ(open(pictures, labels), LAMINA_OK);
  std::filesystem::resize_file(folder / "a-images-idx3-ubyte", 25);
  const int64_t index[] = {0, 1};
  float x[12];
  int32_t label[2];
  EXPECT_EQ(lamina_dataset_read(data, 1, index, x, label), LAMINA_OK);
  EXPECT_EQ(lamina_dataset_read(data, 2, index, x, label), LAMINA_IO);
  EXPECT_NE(std::string(lamina_last_error()).find("example 1: "), std::string::npos) << lamina_last_error();
  EXPECT_NE(std::string(lamina_last_error()).find("has become shorter"), std::string::npos) << lamina_last_error();
}

/* Larger than the blocks in which files are unpacked and converted. */
TEST_F(Idx, LargePictures) {
  std::string content(2 * 100 * 101, '\0');
  uint32_t state = 1;
  for (char &byte : content) byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  const std::string two = idx1(2, std::string(2, '\0'));
  for (const bool packed : {false, true}) {
    const std::string whole = idx3(2, 100, 101, content);
    ASSERT_EQ(open(packed ? gzip(whole) : whole, two), LAMINA_OK) << lamina_last_error();
    std::vector<float> x(content.size());
    const int64_t index[] = {0, 1};
    int32_t label[2];
    ASSERT_EQ(lamina_dataset_read(data, 2, index, x.data(), label), LAMINA_OK);
    for (size_t i = 0; i < x.size(); i++) ASSERT_EQ(x[i], static_cast<float>(static_cast<uint8_t>(content[i])) / 255);
  }
}

/* ---- Memory ---- */

struct Counted {
  int64_t live = 0, left = -1; /* blocks; allocations before the next fails, -1: none does */
  lamina_allocator allocator = {alloc, free, this};
  static void *alloc(void *user, size_t size, size_t align) {
    Counted *c = static_cast<Counted *>(user);
    if (c->left == 0) return nullptr;
    if (c->left > 0) c->left--;
    c->live++;
    return aligned_alloc(align, (size + align - 1) / align * align);
  }
  static void free(void *user, void *memory, size_t) {
    static_cast<Counted *>(user)->live--;
    ::free(memory);
  }
};

TEST_F(Idx, RunningOutOfMemoryAnywhere) {
  write("a-images-idx3-ubyte", gzip(pictures));
  write("a-labels-idx1-ubyte", labels);
  Counted counted;
  lamina_dataset_options options = {};
  options.root = folder.path().c_str();
  options.allocator = &counted.allocator;
  int failures = 0;
  for (;; failures++) {
    counted.left = failures;
    const lamina_status status = lamina_dataset_open("idx:a", &options, &data);
    if (!status) break;
    EXPECT_EQ(status, LAMINA_OUT_OF_MEMORY) << lamina_last_error();
    EXPECT_EQ(counted.live, 0) << failures;
    ASSERT_LT(failures, 50);
  }
  EXPECT_GT(failures, 5);
  lamina_dataset_close(data);
  data = nullptr;
  EXPECT_EQ(counted.live, 0);
}

TEST(Mnist, IsReadWhereItIs) {
  lamina_dataset *train, *test;
  if (!getenv("LAMINA_DATA") || lamina_dataset_open("idx:mnist/train", nullptr, &train))
    GTEST_SKIP() << "LAMINA_DATA names no folder with mnist in it";
  ASSERT_EQ(lamina_dataset_open("idx:mnist/t10k", nullptr, &test), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(lamina_dataset_info_of(train)->count, 60000);
  EXPECT_EQ(lamina_dataset_info_of(test)->count, 10000);
  EXPECT_EQ(lamina_dataset_info_of(test)->classes, 10);
  const int64_t index[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  const int32_t want[] = {5, 0, 4, 1, 9, 2, 1, 3, 1, 4}; /* as every tutorial shows them */
  std::vector<float> x(10 * 784);
  int32_t label[10];
  ASSERT_EQ(lamina_dataset_read(train, 10, index, x.data(), label), LAMINA_OK) << lamina_last_error();
  for (int i = 0; i < 10; i++) EXPECT_EQ(label[i], want[i]);
  lamina_dataset_close(train);
  lamina_dataset_close(test);
}

} // namespace
