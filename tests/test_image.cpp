// Pictures, PGM and PNG: what is read, and what is said of files that are not as they should be.
#include <gtest/gtest.h>
#include <png.h>
#include <zlib.h>

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
  refuses("", LAMINA_CORRUPT, "expected a PNG or PGM picture");
  refuses("P6 1 1 255 abc", LAMINA_UNSUPPORTED, "0x5036");
  refuses("GIF89a", LAMINA_UNSUPPORTED, "no PNG or PGM picture");
  refuses("P55 1 1 255 a", LAMINA_CORRUPT, "white space");
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

// ---- PNG

class Png : public Pgm {
protected:
  // A file as libpng writes it, from rows of samples.
  static std::string file(uint32_t width, uint32_t height, uint32_t format, const std::vector<uint8_t> &samples,
                          const std::vector<uint8_t> &map = {}) {
    png_image png = {};
    png.version = PNG_IMAGE_VERSION, png.width = width, png.height = height, png.format = format;
    png.colormap_entries = static_cast<uint32_t>(map.size() / 3);
    png_alloc_size_t size = 0;
    EXPECT_TRUE(png_image_write_get_memory_size(png, size, 0, samples.data(), 0, map.data()));
    std::string bytes(size, 0);
    EXPECT_TRUE(png_image_write_to_memory(&png, bytes.data(), &size, 0, samples.data(), 0, map.data()));
    bytes.resize(size);
    return bytes;
  }
  void reads_colours(const std::string &content, const std::vector<float> &want) {
    write_file(path, content);
    Image got(path);
    ASSERT_EQ(got.status, LAMINA_OK) << lamina_last_error();
    EXPECT_EQ(got.image.channels, 3);
    EXPECT_EQ(got.values(), want);
  }
  const std::string grey = file(3, 2, PNG_FORMAT_GRAY, {0, 255, 51, 102, 153, 204});
};

TEST_F(Png, Grey) { reads(grey, 2, 3, {0, 1, 0.2f, 0.4f, 0.6f, 0.8f}); }

TEST_F(Png, ColoursComeAsPlanes) {
  const std::vector<float> want = {1, 0, 0, 0.2f, 0.4f, 1}; // R R, G G, B B
  reads_colours(file(2, 1, PNG_FORMAT_RGB, {255, 0, 102, 0, 51, 255}), want);
  reads_colours(file(2, 1, PNG_FORMAT_RGB_COLORMAP, {1, 0}, {0, 51, 255, 255, 0, 102}), want);
}

TEST_F(Png, TransparencyLiesOverWhite) {
  reads(file(2, 1, PNG_FORMAT_GA, {0, 0, 51, 255}), 1, 2, {1, 0.2f});
  reads_colours(file(1, 1, PNG_FORMAT_RGBA, {10, 20, 30, 0}), {1, 1, 1});
}

TEST_F(Png, EveryTruncation) {
  for (size_t n = 2; n < grey.size() - 12; n++)
    refuses(grey.substr(0, n), LAMINA_CORRUPT, "PNG is damaged"); // 12: IEND
  refuses(grey.substr(0, 1), LAMINA_CORRUPT, "ends after 1 byte(s)");
}

TEST_F(Png, Damage) {
  std::string bad = grey;
  bad[17] = static_cast<char>(bad[17] ^ 1); // in the header, whose CRC then fails
  refuses(bad, LAMINA_CORRUPT, "PNG is damaged");
  refuses("\x89P but no picture", LAMINA_CORRUPT, "PNG is damaged");
}

// A header that claims a million times a million pixels is told from the size of the file, before memory is asked for.
TEST_F(Png, ASizeThatTheFileCantHold) {
  std::string bad = grey;
  const auto put = [&](size_t at, uint32_t value) {
    for (int i = 0; i < 4; i++) bad[at + static_cast<size_t>(i)] = static_cast<char>(value >> (24 - 8 * i));
  };
  put(16, 999999), put(20, 999999);
  put(29, static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef *>(bad.data()) + 12, 17)));
  refuses(bad, LAMINA_CORRUPT, "can't hold the 999999 x 999999 pixels");
}

} // namespace
