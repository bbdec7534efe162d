// safetensors: what others wrote, what we write, and that a file that was cut or altered is told from a whole one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <sys/resource.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "failing_allocator.h"
#include "lamina/io.h"
#include "temporary.h"

using testing::HasSubstr;

namespace {

struct Close {
  void operator()(lamina_safetensors *f) const { lamina_safetensors_close(f); }
};
using File = std::unique_ptr<lamina_safetensors, Close>;

lamina_status open(const std::string &path, File &file) {
  lamina_safetensors *f = nullptr;
  const lamina_status status = lamina_safetensors_open(path.c_str(), nullptr, &f);
  file.reset(f);
  EXPECT_EQ(status == LAMINA_OK, f != nullptr);
  return status;
}

// The file that this header and these data bytes make.
std::string make(const std::string &header, const std::string &data) {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char *>(&length), 8) + header + data;
}

std::string desc(const File &file, const char *name) {
  char text[160];
  const int index = lamina_safetensors_find(file.get(), name);
  return index < 0 ? "none" : lamina_desc_text(lamina_safetensors_desc(file.get(), index), text, sizeof text);
}

struct Sample {
  float w[6] = {1, 2, 3, 4, 5, 6};
  double b[2] = {7, 8};
  uint8_t mask[3] = {1, 0, 1};
  lamina_status write(const std::string &path, const lamina_allocator *allocator = nullptr) {
    lamina_safetensors_writer *writer = nullptr;
    lamina_status status = lamina_safetensors_create(path.c_str(), allocator, &writer);
    const lamina_tensor tensors[] = {lamina_vector(LAMINA_U8, 3, mask), lamina_matrix(LAMINA_F32, 2, 3, w),
                                     lamina_vector(LAMINA_F64, 2, b)};
    const char *const names[] = {"mask", "net.0.w", "net.0.b \"\xC3\xA9\""};
    for (int i = 0; i < 3 && status == LAMINA_OK; i++) status = lamina_safetensors_add(writer, names[i], &tensors[i]);
    if (status == LAMINA_OK) status = lamina_safetensors_note(writer, "step", "12\n34");
    if (status == LAMINA_OK) return lamina_safetensors_commit(writer);
    lamina_safetensors_abandon(writer);
    return status;
  }
};

TEST(Safetensors, ReadsWhatTheFormatsOwnLibraryWrote) {
  // safetensors 0.6 (Python): save({"w": [[1,2,3],[4,5,6]] f4, "b": [7] i8, "m": zeros((0, 2)) u1}, {"format": "np"})
  const std::string header = R"({"__metadata__":{"format":"np"},"b":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
                             R"("w":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]},)"
                             R"("m":{"dtype":"U8","shape":[0,2],"data_offsets":[32,32]}}      )";
  const float w[] = {1, 2, 3, 4, 5, 6};
  const Temporary folder;
  write_file(folder / "x", make(header, std::string("\7\0\0\0\0\0\0\0", 8) +
                                            std::string(reinterpret_cast<const char *>(w), sizeof w)));
  File file;
  ASSERT_EQ(open(folder / "x", file), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(lamina_safetensors_count(file.get()), 3);
  EXPECT_STREQ(lamina_safetensors_name(file.get(), 0), "b");
  EXPECT_EQ(desc(file, "b"), "i64[1]");
  EXPECT_EQ(desc(file, "m"), "u8[0,2]");
  EXPECT_EQ(desc(file, "w"), "f32[2,3]");
  EXPECT_EQ(lamina_safetensors_find(file.get(), "x"), -1);
  EXPECT_STREQ(lamina_safetensors_value(file.get(), "format"), "np");
  EXPECT_EQ(lamina_safetensors_value(file.get(), "x"), nullptr);
  float got[6] = {};
  const lamina_tensor to = lamina_matrix(LAMINA_F32, 2, 3, got);
  ASSERT_EQ(lamina_safetensors_read(file.get(), 2, &to), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(memcmp(got, w, sizeof w), 0);
  const lamina_tensor none = lamina_matrix(LAMINA_U8, 0, 2, nullptr);
  EXPECT_EQ(lamina_safetensors_read(file.get(), 1, &none), LAMINA_OK) << lamina_last_error();
}

TEST(Safetensors, WhatIsWrittenComesBack) {
  const Temporary folder;
  const std::string path = folder / "x";
  Sample sample;
  ASSERT_EQ(sample.write(path), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(folder.count(), 1);
  File file;
  ASSERT_EQ(open(path, file), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(lamina_safetensors_count(file.get()), 3);
  EXPECT_STREQ(lamina_safetensors_value(file.get(), "step"), "12\n34");
  EXPECT_NE(lamina_safetensors_value(file.get(), "lamina.version"), nullptr);
  double b[2] = {};
  lamina_tensor to = lamina_vector(LAMINA_F64, 2, b);
  ASSERT_EQ(lamina_safetensors_read(file.get(), lamina_safetensors_find(file.get(), "net.0.b \"\xC3\xA9\""), &to),
            LAMINA_OK);
  EXPECT_EQ(b[1], 8);
  // into other strides and another floating type
  double turned[6] = {};
  const int64_t dims[] = {2, 3}, strides[] = {1, 2};
  to = lamina_tensor_of(lamina_strided(LAMINA_F64, 2, dims, strides), turned);
  const int w = lamina_safetensors_find(file.get(), "net.0.w");
  ASSERT_EQ(lamina_safetensors_read(file.get(), w, &to), LAMINA_OK) << lamina_last_error();
  const double want[] = {1, 4, 2, 5, 3, 6};
  EXPECT_EQ(memcmp(turned, want, sizeof want), 0);
  float same[6] = {};
  to = lamina_tensor_of(lamina_strided(LAMINA_F32, 2, dims, strides), same);
  ASSERT_EQ(lamina_safetensors_read(file.get(), w, &to), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(same[1], 4);
  // every tensor lies at a multiple of its element's size
  const std::string bytes = read_file(path);
  uint64_t length;
  memcpy(&length, bytes.data(), 8);
  EXPECT_EQ((8 + length) % 64, 0u);
  EXPECT_EQ(bytes.size(), 8 + length + 16 + 24 + 3);
}

TEST(Safetensors, LargeStridedTensorsComeBack) {
  const Temporary folder;
  std::vector<uint16_t> data(700 * 900), back(data.size());
  for (size_t i = 0; i < data.size(); i++) data[i] = (uint16_t)(i * 7919 % 0x7F80);
  const int64_t dims[] = {900, 700}, strides[] = {1, 900};
  lamina_safetensors_writer *writer;
  ASSERT_EQ(lamina_safetensors_create((folder / "x").c_str(), nullptr, &writer), LAMINA_OK);
  const lamina_tensor from = lamina_tensor_of(lamina_strided(LAMINA_BF16, 2, dims, strides), data.data());
  ASSERT_EQ(lamina_safetensors_add(writer, "x", &from), LAMINA_OK);
  ASSERT_EQ(lamina_safetensors_commit(writer), LAMINA_OK);
  File file;
  ASSERT_EQ(open(folder / "x", file), LAMINA_OK) << lamina_last_error();
  const lamina_tensor to = lamina_tensor_of(lamina_strided(LAMINA_BF16, 2, dims, strides), back.data());
  ASSERT_EQ(lamina_safetensors_read(file.get(), 0, &to), LAMINA_OK);
  EXPECT_EQ(data, back);
}

TEST(Safetensors, WhatDoesNotFitIsRefused) {
  const Temporary folder;
  const std::string path = folder / "x";
  Sample sample;
  ASSERT_EQ(sample.write(path), LAMINA_OK);
  File file;
  ASSERT_EQ(open(path, file), LAMINA_OK);
  const int w = lamina_safetensors_find(file.get(), "net.0.w");
  float data[6];
  lamina_tensor to = lamina_matrix(LAMINA_F32, 3, 2, data);
  EXPECT_EQ(lamina_safetensors_read(file.get(), w, &to), LAMINA_INVALID);
  EXPECT_EQ(lamina_last_error(), path + ": net.0.w is f32[2,3]; expected f32[3,2]");
  to = lamina_matrix(LAMINA_I32, 2, 3, data);
  EXPECT_EQ(lamina_safetensors_read(file.get(), w, &to), LAMINA_INVALID);
  to = lamina_vector(LAMINA_F32, 6, data);
  EXPECT_EQ(lamina_safetensors_read(file.get(), w, &to), LAMINA_INVALID);
  EXPECT_EQ(lamina_safetensors_read(file.get(), -1, &to), LAMINA_INVALID);
  EXPECT_EQ(lamina_safetensors_read(file.get(), 3, &to), LAMINA_INVALID);
  write_file(folder / "y", make(R"({"x":{"dtype":"I16","shape":[1],"data_offsets":[0,2]}})", "ab"));
  ASSERT_EQ(open(folder / "y", file), LAMINA_OK) << lamina_last_error();
  to = lamina_vector(LAMINA_I32, 1, data);
  EXPECT_EQ(lamina_safetensors_read(file.get(), 0, &to), LAMINA_UNSUPPORTED);
  EXPECT_THAT(lamina_last_error(), HasSubstr("x is of type I16, which Lamina doesn't have"));
}

TEST(Safetensors, TheWriterRefusesWhatItCantKeep) {
  const Temporary folder;
  lamina_safetensors_writer *writer = nullptr;
  float data[1] = {};
  lamina_tensor tensor = lamina_vector(LAMINA_F32, 1, data);
  ASSERT_EQ(lamina_safetensors_create((folder / "x").c_str(), nullptr, &writer), LAMINA_OK);
  EXPECT_EQ(lamina_safetensors_add(writer, "a", &tensor), LAMINA_OK);
  EXPECT_EQ(lamina_safetensors_add(writer, "a", &tensor), LAMINA_INVALID);
  EXPECT_THAT(lamina_last_error(), HasSubstr("two tensors are named \"a\""));
  EXPECT_EQ(lamina_safetensors_add(writer, "__metadata__", &tensor), LAMINA_INVALID);
  EXPECT_EQ(lamina_safetensors_add(writer, "\xFF", &tensor), LAMINA_INVALID);
  tensor.memory = LAMINA_MEMORY_DEVICE;
  EXPECT_EQ(lamina_safetensors_add(writer, "b", &tensor), LAMINA_INVALID);
  EXPECT_EQ(lamina_safetensors_note(writer, "k", "v"), LAMINA_OK);
  EXPECT_EQ(lamina_safetensors_note(writer, "k", "v"), LAMINA_INVALID);
  EXPECT_EQ(lamina_safetensors_note(writer, "lamina.crc32", "v"), LAMINA_INVALID);
  EXPECT_EQ(lamina_safetensors_note(writer, "l", "\xFF"), LAMINA_INVALID);
  lamina_safetensors_abandon(writer);
  EXPECT_EQ(folder.count(), 0);
  EXPECT_EQ(lamina_safetensors_create((folder / "no/x").c_str(), nullptr, &writer), LAMINA_IO);
  EXPECT_EQ(writer, nullptr);
  EXPECT_EQ(lamina_safetensors_create("/dev/null", nullptr, &writer), LAMINA_IO);
}

// ---- Damage ---------------------------------------------------------------------------------------------------------

std::string refused(const std::string &bytes) {
  const Temporary folder;
  write_file(folder / "x", bytes);
  File file;
  EXPECT_EQ(open(folder / "x", file), LAMINA_CORRUPT) << bytes;
  EXPECT_THAT(lamina_last_error(), HasSubstr(folder / "x"));
  return lamina_last_error();
}

std::string one(const std::string &fields) { return "{\"t\":{" + fields + "}}"; }

TEST(Safetensors, DamageHasASentence) {
  const std::string four = "1234";
  EXPECT_THAT(refused(""), HasSubstr("no safetensors file"));
  EXPECT_THAT(refused(make("[]", "")), HasSubstr("doesn't begin with {"));
  EXPECT_THAT(refused(std::string(8, '\xFF')), HasSubstr("expected at most 100000000"));
  EXPECT_THAT(refused(std::string("\x40\0\0\0\0\0\0\0{", 9)), HasSubstr("was cut"));
  EXPECT_THAT(refused(make("{\"t\":1}", "")), HasSubstr("header:1:6: t: expected a map"));
  EXPECT_THAT(refused(make(one(R"("shape":[1],"data_offsets":[0,4])"), four)), HasSubstr("\"dtype\" is missing"));
  EXPECT_THAT(refused(make(one(R"("dtype":"F32","data_offsets":[0,4])"), four)), HasSubstr("\"shape\" is missing"));
  EXPECT_THAT(refused(make(one(R"("dtype":"F32","shape":[1])"), four)), HasSubstr("\"data_offsets\" is missing"));
  EXPECT_THAT(refused(make(one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1)"), four)),
              HasSubstr("t: unknown key \"x\""));
  EXPECT_THAT(refused(make(one(R"("dtype":"F99","shape":[1],"data_offsets":[0,4])"), four)),
              HasSubstr("t.dtype: unknown type \"F99\""));
  EXPECT_THAT(refused(make(one(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), four)),
              HasSubstr("t.shape[0]: expected an integer of at least 0"));
  EXPECT_THAT(refused(make(one(R"("dtype":"F32","shape":[1.5],"data_offsets":[0,4])"), four)), HasSubstr("t.shape[0]"));
  EXPECT_THAT(refused(make(one(R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4])"), four)),
              HasSubstr("9 axes"));
  EXPECT_THAT(refused(make(one(R"("dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4])"), four)),
              HasSubstr("more bits than"));
  EXPECT_THAT(refused(make(one(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), four)),
              HasSubstr("t.data_offsets: 4 bytes; expected 64 bits for 2 elements of F32"));
  EXPECT_THAT(refused(make(one(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), four)),
              HasSubstr("t.data_offsets[1]: expected an integer of at least 4"));
  EXPECT_THAT(refused(make(one(R"("dtype":"F32","shape":[1],"data_offsets":[0])"), four)), HasSubstr("1 numbers"));
  EXPECT_THAT(refused(make(one(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])"), "12345678")),
              HasSubstr("begins at 4; expected 0"));
  EXPECT_THAT(refused(make(one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])"), "123")), HasSubstr("was cut"));
  EXPECT_THAT(refused(make(one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])"), "12345")),
              HasSubstr("1 bytes after the last tensor"));
  EXPECT_THAT(refused(make(one(R"("dtype":"F4","shape":[3],"data_offsets":[0,2])"), "12")), HasSubstr("12 bits"));
  const std::string t = R"("t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  EXPECT_THAT(refused(make("{" + t + "," + t + "}", four)), HasSubstr("the key \"t\" is already in line 1"));
  EXPECT_THAT(refused(make("{" + t + R"(,"u":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", four)),
              HasSubstr("u.data_offsets: begins at 0; expected 4"));
  EXPECT_THAT(refused(make(R"({"__metadata__":{"a":1}})", "")), HasSubstr("__metadata__.a: expected text"));
  EXPECT_THAT(refused(make(R"({"__metadata__":{"lamina.x":"1"}})", "")), HasSubstr("lamina.crc32 is missing"));
  EXPECT_THAT(refused(make(R"({"__metadata__":{"lamina.crc32":"12345678"}})", "")),
              HasSubstr("expected 12345678: the file was altered"));
  File file;
  EXPECT_EQ(open("/no/such", file), LAMINA_IO);
}

TEST(Safetensors, EveryCutIsFound) {
  const Temporary folder;
  Sample sample;
  ASSERT_EQ(sample.write(folder / "x"), LAMINA_OK);
  const std::string whole = read_file(folder / "x");
  File file;
  for (size_t n = 0; n < whole.size(); n++) {
    write_file(folder / "y", whole.substr(0, n));
    EXPECT_EQ(open(folder / "y", file), LAMINA_CORRUPT) << n;
  }
  write_file(folder / "y", whole + "x");
  EXPECT_EQ(open(folder / "y", file), LAMINA_CORRUPT);
}

TEST(Safetensors, EveryAlteredByteIsFound) {
  const Temporary folder;
  Sample sample;
  ASSERT_EQ(sample.write(folder / "x"), LAMINA_OK);
  const std::string whole = read_file(folder / "x");
  File file;
  for (size_t i = 0; i < whole.size(); i++)
    for (const int change : {1, 2, 32, 128}) {
      std::string bad = whole;
      bad[i] = (char)(bad[i] ^ change);
      write_file(folder / "y", bad);
      EXPECT_EQ(open(folder / "y", file), LAMINA_CORRUPT) << i << " " << change;
    }
}

TEST(Safetensors, AFailedWriteLeavesTheOldFile) {
  const Temporary folder;
  Sample sample;
  ASSERT_EQ(sample.write(folder / "x"), LAMINA_OK);
  const std::string whole = read_file(folder / "x");
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small = {64, before.rlim_max};
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const lamina_status status = sample.write(folder / "x");
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, handler);
  EXPECT_EQ(status, LAMINA_IO);
  EXPECT_EQ(lamina_last_error(), (folder / "x") + ": can't be written: File too large");
  EXPECT_EQ(read_file(folder / "x"), whole);
  EXPECT_EQ(folder.count(), 1);
}

TEST(Safetensors, OutOfMemoryIsAStatus) {
  const Temporary folder;
  const std::string path = folder / "x";
  Sample sample;
  expect_out_of_memory_is_a_status([&](const lamina_allocator *allocator) { return sample.write(path, allocator); });
  expect_out_of_memory_is_a_status([&](const lamina_allocator *allocator) {
    lamina_safetensors *file;
    const lamina_status status = lamina_safetensors_open(path.c_str(), allocator, &file);
    lamina_safetensors_close(file);
    return status;
  });
  EXPECT_EQ(folder.count(), 1);
}

} // namespace
