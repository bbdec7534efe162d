// PGM pictures: what is read, and what is said of files that are not as they should be.
#include <gtest/gtest.h>

#include <vector>

#include "lamina/data.h"
#include "temporary.h"

namespace {

struct Image {
  lamina_image image = {};
  lamina_status status;
  explicit Image(const std::string &path) : status(lamina_image_read(path.c_str(), nullptr, &image)) {}
  ~Image() { lamina_image_free(nullptr, &image); }
  Image(const Image &) = delete;
  std::vector<float> values() const { return {image.x, image.x + image.channels * image.height * image.width}; }
};

class Pgm : public testing::Test {
protected:
  Temporary folder;
  const std::string path = folder / "picture.pgm";

  void reads(const std::string &content, int64_t height, int64_t width, const std::vector<float> &want) {
    write_file(path, content);
    Image got(path);
    ASSERT_EQ(got.status, LAMINA_OK) << lamina_last_error();
    EXPECT_EQ(got.image.channels, 1);
    EXPECT_EQ(got.image.height, height);
    EXPECT_EQ(got.image.width, width);
    EXPECT_EQ(got.values(), want);
  }
  void refuses(const std::string &content, lamina_status status, const std::string &part) {
    write_file(path, content);
    Image got(path);
    const std::string sentence = lamina_last_error();
    EXPECT_EQ(got.status, status) << content;
    EXPECT_NE(sentence.find(path), std::string::npos) << sentence;
    EXPECT_NE(sentence.find(part), std::string::npos) << sentence;
    EXPECT_EQ(got.image.x, nullptr);
  }
};

TEST_F(Pgm, Bytes) {
  reads(std::string("P5 3 2 255\n\0\xff\x33\x66\x99\xcc", 17), 2, 3, {0, 1, 0.2f, 0.4f, 0.6f, 0.8f});
  reads(std::string("P5\n2 1\n4\n\2\4", 11), 1, 2, {0.5f, 1});
}

TEST_F(Pgm, TwoBytesASample) {
  reads(std::string("P5 2 1 65535 \xff\xff\x80\x00", 17), 1, 2, {1, 32768 / 65535.0f});
  reads(std::string("P5 1 1 256 \x01\x00", 13), 1, 1, {1});
}

TEST_F(Pgm, Text) {
  reads("P2 3 2 10\n0 1 2\n3 4 10\n", 2, 3, {0, .1f, .2f, .3f, .4f, 1});
  reads("P2 1 2 65535 65535 0", 2, 1, {1, 0});
}

TEST_F(Pgm, Comments) {
  reads("P2#a\n# b 9 9\n2 # width\n1\n#\n1#maxval\n0#x\n1", 1, 2, {0, 1});
  reads("P5 # drawn by hand\r2 1 255\n##", 1, 2, {35 / 255.0f, 35 / 255.0f}); /* '#' is a sample there */
}

TEST_F(Pgm, TheFirstOfSeveral) { reads("P5 1 1 255\nAP5 1 1 255\nB", 1, 1, {65 / 255.0f}); }

TEST_F(Pgm, EveryTruncation) {
  for (const std::string &whole : {std::string("P5 # c\n3 2 255\nabcdef"), std::string("P2 3 2 9 1 2 3 4 5 6"),
                                   std::string("P5 2 1 999\n\1\2\3\3")})
    for (size_t n = 0; n < whole.size(); n++) {
      write_file(path, whole.substr(0, n));
      Image got(path);
      EXPECT_NE(got.status, LAMINA_OK) << whole.substr(0, n);
      EXPECT_NE(std::string(lamina_last_error()).find(path), std::string::npos) << lamina_last_error();
    }
}

TEST_F(Pgm, EveryByteChanged) {
  const std::string whole = "P5 # c\n3 2 255\nabcdef";
  for (size_t at = 0; at < whole.size(); at++)
    for (int bit = 0; bit < 8; bit++) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ 1 << bit);
      std::remove(path.c_str()); /* some file systems wait for the disk when a file is overwritten */
      write_file(path, changed);
      Image got(path); /* whatever it says, it must not touch what isn't its own */
      EXPECT_TRUE(got.status || got.image.x);
    }
}

TEST_F(Pgm, Refusals) {
  refuses("", LAMINA_CORRUPT, "P2 or P5");
  refuses("P6 1 1 255 abc", LAMINA_UNSUPPORTED, "0x5036");
  refuses("\x89PNG\r\n", LAMINA_UNSUPPORTED, "P2 or P5");
  refuses("P55 1 1 255 a", LAMINA_UNSUPPORTED, "white space");
  refuses("P5 0 1 255 ", LAMINA_CORRUPT, "width is \"0\"");
  refuses("P5 1 -1 255 a", LAMINA_CORRUPT, "height is \"-1\"");
  refuses("P5 1 1 0 a", LAMINA_CORRUPT, "maxval is \"0\"");
  refuses("P5 1 1 65536 aa", LAMINA_CORRUPT, "65535");
  refuses("P5 1x 1 255 a", LAMINA_CORRUPT, "width is \"1x\"");
  refuses("P5 1\x01 1 255 a", LAMINA_CORRUPT, "width is \"1?\"");
  refuses("P5 2 2 255 abc", LAMINA_CORRUPT, "3 bytes of samples, expected 4");
  refuses("P5 1 1 300 a", LAMINA_CORRUPT, "expected 2");
  refuses("P5 1 1 100 e", LAMINA_CORRUPT, "sample 0 is 101");
  refuses("P2 2 1 9 1 10", LAMINA_CORRUPT, "sample 1 is \"10\"");
  refuses("P2 2 1 9 1 a", LAMINA_CORRUPT, "sample 1 is \"a\"");
  refuses("P5 2147483647 2147483647 65535 a", LAMINA_CORRUPT, "cut short");
  refuses("P5 99999999999999999999 1 255 a", LAMINA_CORRUPT, "width");
}

TEST_F(Pgm, FilesThatCannotBeRead) {
  EXPECT_EQ(Image(folder / "none.pgm").status, LAMINA_IO);
  EXPECT_NE(std::string(lamina_last_error()).find("none.pgm"), std::string::npos);
  EXPECT_EQ(Image(folder.path()).status, LAMINA_IO);
  EXPECT_NE(std::string(lamina_last_error()).find("no regular file"), std::string::npos);
}

} // namespace
