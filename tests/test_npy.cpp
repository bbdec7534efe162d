// NPY: the bytes that NumPy writes, every type and order, and that no input breaks the reader.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "failing_allocator.h"
#include "lamina/io.h"
#include "temporary.h"

using testing::HasSubstr;

namespace {

// A file of version 1.0 with this header, padded as NumPy pads, and these elements.
std::string npy(std::string header, const std::string &data = "", char major = 1) {
  const size_t fixed = major == 1 ? 10 : 12, total = (fixed + header.size() + 1 + 63) / 64 * 64;
  header.resize(total - fixed - 1, ' ');
  header += '\n';
  std::string file = std::string("\x93NUMPY") + major + '\0' + (char)(header.size() & 255) + (char)(header.size() >> 8);
  if (major > 1) file += std::string(2, '\0');
  return file + header + data;
}

std::string dict(const std::string &type, const std::string &shape, bool fortran = false) {
  return "{'descr': '" + type + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': " + shape + ", }";
}

template <class T> std::string bytes(const std::vector<T> &v) {
  return std::string(reinterpret_cast<const char *>(v.data()), v.size() * sizeof(T));
}

struct Read {
  lamina_status status;
  lamina_tensor tensor = {};
  std::string error;
  Read(const std::string &file, const Temporary &folder = Temporary()) {
    const std::string path = folder / "x.npy";
    write_file(path, file);
    status = lamina_npy_read(path.c_str(), nullptr, &tensor);
    if (status == LAMINA_OK) return;
    EXPECT_EQ(tensor.data, nullptr);
    error = lamina_last_error();
    EXPECT_THAT(error, HasSubstr(path)) << "an error names the file";
  }
  ~Read() { lamina_npy_free(nullptr, &tensor); }
  std::string text() const {
    char buffer[160];
    return lamina_desc_text(&tensor.desc, buffer, sizeof buffer);
  }
  double at(int64_t i) const {
    return lamina_load((lamina_dtype)tensor.desc.dtype, tensor.data, lamina_desc_offset(&tensor.desc, i));
  }
};

TEST(Npy, ReadsWhatNumpyWrote) {
  // numpy 2: numpy.save of arange(6, dtype='<f4').reshape(2, 3)
  const std::string plain = std::string("\x93NUMPY\x01\0v\0", 10) +
                            "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }" + std::string(58, ' ') +
                            "\n" + bytes<float>({0, 1, 2, 3, 4, 5});
  const Read a(plain);
  ASSERT_EQ(a.status, LAMINA_OK) << a.error;
  EXPECT_EQ(a.text(), "f32[2,3]");
  for (int i = 0; i < 6; i++) EXPECT_EQ(a.at(i), i);
  // numpy.save of asfortranarray(arange(6, dtype='u1').reshape(2, 3))
  const std::string fortran = std::string("\x93NUMPY\x01\0v\0", 10) +
                              "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }" + std::string(59, ' ') +
                              "\n" + std::string("\0\3\1\4\2\5", 6);
  const Read b(fortran);
  ASSERT_EQ(b.status, LAMINA_OK) << b.error;
  EXPECT_EQ(b.text(), "u8[2,3]/1,2");
  for (int i = 0; i < 6; i++) EXPECT_EQ(b.at(i), i);
}

TEST(Npy, ReadsEveryTypeAndVersion) {
  EXPECT_EQ(Read(npy(dict("<f8", "(1,)"), bytes<double>({2.5}))).at(0), 2.5);
  EXPECT_EQ(Read(npy(dict("<f2", "(2,)"), bytes<uint16_t>({0x3C00, 0xC000}))).at(1), -2);
  EXPECT_EQ(Read(npy(dict("<i4", "(2,)"), bytes<int32_t>({7, -8}))).at(1), -8);
  EXPECT_EQ(Read(npy(dict("<i8", "(1,)"), bytes<int64_t>({-9}))).at(0), -9);
  EXPECT_EQ(Read(npy(dict("<u1", "(1,)"), "\xFF")).at(0), 255);
  EXPECT_EQ(Read(npy(dict("<f8", "()"), bytes<double>({3}))).text(), "f64[]");
  EXPECT_EQ(Read(npy(dict("<f4", "(0, 3)"))).text(), "f32[0,3]");
  EXPECT_EQ(Read(npy(dict("<f4", "(2, 1, 3)", true), bytes<float>({0, 3, 1, 4, 2, 5}))).at(4), 4);
  EXPECT_EQ(Read(npy(dict("<f8", "(1,)"), bytes<double>({2.5}), 2)).at(0), 2.5);
  EXPECT_EQ(Read(npy(dict("<f8", "(1,)"), bytes<double>({2.5}), 3)).at(0), 2.5);
  EXPECT_EQ(Read(npy("{\"shape\":(1L,),'fortran_order':False,'descr':\"|u1\"}", "\x05")).at(0), 5);
}

TEST(Npy, WritesWhatNumpyWouldWrite) {
  const Temporary folder;
  const std::string path = folder / "y.npy";
  float data[] = {0, 1, 2, 3, 4, 5};
  lamina_tensor tensor = lamina_matrix(LAMINA_F32, 2, 3, data);
  ASSERT_EQ(lamina_npy_write(path.c_str(), &tensor, nullptr), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(read_file(path), npy(dict("<f4", "(2, 3)"), bytes<float>({0, 1, 2, 3, 4, 5})));
  const int64_t turned[] = {3, 2}, strides[] = {1, 3};
  tensor = lamina_tensor_of(lamina_strided(LAMINA_F32, 2, turned, strides), data);
  ASSERT_EQ(lamina_npy_write(path.c_str(), &tensor, nullptr), LAMINA_OK);
  EXPECT_EQ(read_file(path), npy(dict("<f4", "(3, 2)"), bytes<float>({0, 3, 1, 4, 2, 5})));
  tensor = lamina_tensor_of(lamina_dense(LAMINA_F32, 0, nullptr), data + 1);
  ASSERT_EQ(lamina_npy_write(path.c_str(), &tensor, nullptr), LAMINA_OK);
  EXPECT_EQ(read_file(path), npy(dict("<f4", "()"), bytes<float>({1})));
  uint16_t halves[] = {0x3F80, 0xC040}; // bf16 1 and -3
  tensor = lamina_vector(LAMINA_BF16, 2, halves);
  ASSERT_EQ(lamina_npy_write(path.c_str(), &tensor, nullptr), LAMINA_OK);
  EXPECT_EQ(read_file(path), npy(dict("<f4", "(2,)"), bytes<float>({1, -3})));
  tensor = lamina_vector(LAMINA_F32, 0, nullptr);
  ASSERT_EQ(lamina_npy_write(path.c_str(), &tensor, nullptr), LAMINA_OK);
  EXPECT_EQ(read_file(path), npy(dict("<f4", "(0,)")));
  EXPECT_EQ(folder.count(), 1);
}

TEST(Npy, EveryTypeAndStrideComesBack) {
  const Temporary folder;
  const std::string path = folder / "y.npy";
  for (int d = LAMINA_F64; d <= LAMINA_U8; d++) {
    const lamina_dtype dtype = (lamina_dtype)d;
    std::vector<char> data(3000 * lamina_dtype_size(dtype));
    for (int i = 0; i < 3000; i++) lamina_store(dtype, data.data(), i, i % 100);
    const int64_t dims[] = {5, 3, 100}, strides[] = {1, 500, 5}; // more elements than one run of the writer holds
    const lamina_tensor tensor = lamina_tensor_of(lamina_strided(dtype, 3, dims, strides), data.data());
    ASSERT_EQ(lamina_npy_write(path.c_str(), &tensor, nullptr), LAMINA_OK) << lamina_last_error();
    const Read back(read_file(path));
    ASSERT_EQ(back.status, LAMINA_OK) << back.error;
    EXPECT_EQ(back.tensor.desc.dtype, dtype == LAMINA_BF16 ? LAMINA_F32 : dtype);
    for (int i = 0; i < 1500; i++)
      ASSERT_EQ(back.at(i), lamina_load(dtype, data.data(), lamina_desc_offset(&tensor.desc, i))) << d << " " << i;
  }
}

TEST(Npy, WhatCantBeWrittenIsRefused) {
  const Temporary folder;
  const std::string path = folder / "y.npy";
  float data[4] = {};
  lamina_tensor tensor = lamina_vector(LAMINA_F32, 4, data);
  tensor.memory = LAMINA_MEMORY_DEVICE;
  EXPECT_EQ(lamina_npy_write(path.c_str(), &tensor, nullptr), LAMINA_INVALID);
  EXPECT_THAT(lamina_last_error(), HasSubstr("copy it to the host first"));
  tensor = lamina_vector(LAMINA_NONE, 4, data);
  EXPECT_EQ(lamina_npy_write(path.c_str(), &tensor, nullptr), LAMINA_INVALID);
  tensor = lamina_vector(LAMINA_F32, 4, nullptr);
  EXPECT_EQ(lamina_npy_write(path.c_str(), &tensor, nullptr), LAMINA_INVALID);
  tensor = lamina_vector(LAMINA_F32, 4, data);
  tensor.desc.rank = LAMINA_RANK_INFER;
  EXPECT_EQ(lamina_npy_write(path.c_str(), &tensor, nullptr), LAMINA_INVALID);
  EXPECT_EQ(folder.count(), 0);
}

std::string refused(const std::string &file) {
  const Read read(file);
  EXPECT_EQ(read.status, LAMINA_CORRUPT) << file;
  return read.error;
}

TEST(Npy, DamageHasASentence) {
  EXPECT_THAT(refused(npy(dict(">f4", "(1,)"), "1234")),
              HasSubstr("elements of type '>f4'; expected <f2, <f4, <f8, <i4, <i8 or |u1"));
  for (const char *type : {"<f16", "|b1", "<c8", "<U3", "|O", "<i2", ""}) refused(npy(dict(type, "(1,)"), "12345678"));
  EXPECT_THAT(refused(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "1234")),
              HasSubstr("expected one array"));
  EXPECT_THAT(refused(npy(dict("<f4", "(2, 3)"), "1234")), HasSubstr("4 bytes of elements; expected 24 for f32[2,3]"));
  EXPECT_THAT(refused(npy(dict("<f4", "(1,)"), "12345")), HasSubstr("5 bytes of elements; expected 4"));
  EXPECT_THAT(refused(npy(dict("<f4", "(4294967296, 4294967296)"))), HasSubstr("more elements than 64 bits"));
  EXPECT_THAT(refused(npy(dict("<f8", "(2305843009213693952,)"))), HasSubstr("more elements than 64 bits"));
  EXPECT_THAT(refused(npy(dict("<f4", "(99999999999999999999,)"))), HasSubstr("fits 64 bits"));
  EXPECT_THAT(refused(npy(dict("<f4", "(-1,)"))), HasSubstr("expected a size"));
  EXPECT_THAT(refused(npy(dict("<f4", "(1, 1, 1, 1, 1, 1, 1, 1, 1)"), "1234")), HasSubstr("more than 8 axes"));
  EXPECT_THAT(refused(npy("{'descr': '<f4', 'shape': (1,)}", "1234")), HasSubstr("'fortran_order' is missing"));
  EXPECT_THAT(refused(npy("{'descr': '<f4', 'descr': '<f4'}", "1234")), HasSubstr("once each"));
  EXPECT_THAT(refused(npy(dict("<f4", "(1,)") + " x", "1234")), HasSubstr("nothing after the }"));
  EXPECT_THAT(refused("not numpy at all"), HasSubstr("no NPY file"));
  EXPECT_THAT(refused(""), HasSubstr("no NPY file"));
  EXPECT_THAT(refused(std::string("\x93NUMPY\x04\0v\0", 10)), HasSubstr("version 4.0"));
  EXPECT_THAT(refused(std::string("\x93NUMPY\x02\0\xFF\xFF\xFF\xFF  ", 14)), HasSubstr("a header of 4294967295 bytes"));
  lamina_tensor tensor;
  EXPECT_EQ(lamina_npy_read("/no/such.npy", nullptr, &tensor), LAMINA_IO);
  EXPECT_STREQ(lamina_last_error(), "/no/such.npy: can't be opened: No such file or directory");
  EXPECT_EQ(lamina_npy_read("/dev/zero", nullptr, &tensor), LAMINA_IO);
  EXPECT_EQ(lamina_npy_read("/", nullptr, &tensor), LAMINA_IO);
  EXPECT_STREQ(lamina_last_error(), "/: is a folder; expected a file");
}

TEST(Npy, EveryCutGivesAStatus) {
  const Temporary folder;
  for (const char major : {1, 2}) {
    const std::string whole = npy(dict("<f4", "(2, 3)"), std::string(24, 'x'), major);
    for (size_t n = 0; n < whole.size(); n++) EXPECT_EQ(Read(whole.substr(0, n), folder).status, LAMINA_CORRUPT) << n;
  }
}

TEST(Npy, EveryChangedHeaderByteGivesAStatus) {
  const Temporary folder;
  const std::string whole = npy(dict("<f4", "(2, 3)"), std::string(24, 'x'));
  const std::string bytes("\0 '\"()[]{},:L019\n\x93\xFF", 19);
  for (size_t i = 0; i < 75; i++)
    for (const char byte : bytes) {
      std::string bad = whole;
      bad[i] = byte;
      const lamina_status status = Read(bad, folder).status;
      EXPECT_TRUE(status == LAMINA_OK || status == LAMINA_CORRUPT) << i << " " << (int)byte;
    }
}

TEST(Npy, OutOfMemoryIsAStatus) {
  const Temporary folder;
  const std::string path = folder / "x.npy";
  float data[] = {1, 2, 3};
  const lamina_tensor from = lamina_vector(LAMINA_F32, 3, data);
  expect_out_of_memory_is_a_status(
      [&](const lamina_allocator *allocator) { return lamina_npy_write(path.c_str(), &from, allocator); });
  expect_out_of_memory_is_a_status([&](const lamina_allocator *allocator) {
    lamina_tensor to;
    const lamina_status status = lamina_npy_read(path.c_str(), allocator, &to);
    lamina_npy_free(allocator, &to);
    return status;
  });
  EXPECT_EQ(folder.count(), 1);
}

} // namespace
