// Files of data: IDX, gzip, NPY, safetensors, pictures.
#include <zlib.h>

#include <cstring>

#include "lamina/data.h"
#include "lamina/io.h"
#include "targets.h"

extern "C" {
#include "data/input.h"
}

namespace fuzz {

namespace {

std::string pack(const std::string &plain) {
  z_stream z = {};
  if (deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) fail("zlib has no memory");
  std::string packed(deflateBound(&z, plain.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(plain.data()));
  z.avail_in = static_cast<unsigned>(plain.size());
  z.next_out = reinterpret_cast<Bytef *>(&packed[0]);
  z.avail_out = static_cast<unsigned>(packed.size());
  deflate(&z, Z_FINISH);
  packed.resize(z.total_out);
  deflateEnd(&z);
  return packed;
}

std::string bytes(size_t count) {
  std::string text(count, '\0');
  for (size_t i = 0; i < count; i++) text[i] = static_cast<char>(i * 37);
  return text;
}

// ---- IDX: [how][length of the pictures' file: u16][pictures][labels]

enum : uint8_t { IDX_PACKED = 1, IDX_CLASSES = 2, IDX_OTHER_NAMES = 4 };

std::string two_files(uint8_t how, const std::string &pictures, const std::string &labels) {
  return std::string(1, static_cast<char>(how)) + little_endian(pictures.size(), 2) + pictures + labels;
}

Inputs idx_seeds() {
  const std::string pictures =
      big_endian(0x803, 4) + big_endian(3, 4) + big_endian(2, 4) + big_endian(3, 4) + bytes(18);
  const std::string labels = big_endian(0x801, 4) + big_endian(3, 4) + std::string("\2\0\1", 3);
  return {two_files(0, pictures, labels), two_files(IDX_PACKED, pictures, labels),
          two_files(IDX_CLASSES | IDX_OTHER_NAMES, pictures, labels), two_files(0, pack(pictures), pack(labels))};
}

void idx_run(const std::string &input) {
  if (input.size() < 3) return;
  const uint8_t how = static_cast<uint8_t>(input[0]);
  const size_t length = static_cast<uint8_t>(input[1]) | static_cast<size_t>(static_cast<uint8_t>(input[2])) << 8;
  std::string pictures = input.substr(3, length), labels;
  if (input.size() > 3 + length) labels = input.substr(3 + length);
  if (how & IDX_PACKED) pictures = pack(pictures), labels = pack(labels);
  const bool other = how & IDX_OTHER_NAMES;
  const std::string path = put(other ? "b-images.idx3-ubyte" : "a-images-idx3-ubyte", pictures);
  put(other ? "b-labels.idx1-ubyte" : "a-labels-idx1-ubyte", labels);
  const std::string spec = "idx:" + path.substr(0, path.rfind('/') + 2) + (how & IDX_CLASSES ? ",classes=3" : "");
  lamina_dataset_options options = {};
  options.allocator = memory();
  lamina_dataset *data = nullptr;
  begin();
  if (!ended_well(lamina_dataset_open(spec.c_str(), &options, &data))) {
    if (data) fail("a failure gave a dataset");
    return;
  }
  const lamina_dataset_info *info = lamina_dataset_info_of(data);
  begin();
  (void)ended_well(lamina_dataset_check_classes(data, 2));
  std::vector<float> x(static_cast<size_t>(info->height * info->width));
  for (int64_t i = 0; i < info->count && i < 20; i++) {
    int32_t label;
    begin();
    if (!ended_well(lamina_dataset_read(data, 1, &i, x.data(), &label))) fail("a checked file can't be read");
    if (label < 0 || label >= info->classes)
      fail("label %d of %lld classes", label, static_cast<long long>(info->classes));
    for (const float value : x)
      if (!(value >= 0 && value <= 1)) fail("a pixel is %g", static_cast<double>(value));
  }
  lamina_dataset_close(data);
}

// ---- gzip: whatever comes, the same comes when it is asked for in small pieces

Inputs gzip_seeds() {
  return {pack(""), pack("lamina"), pack(bytes(300)), pack(std::string(5000, 'a')), pack("one") + pack("two"), "plain"};
}

lamina_status read_all(const std::string &path, int64_t piece, int64_t most, std::string *content) {
  lamina_input file;
  begin();
  lamina_status status = lamina_input_open(path.c_str(), memory(), &file);
  if (!ended_well(status)) return status;
  std::string part(static_cast<size_t>(piece), '\0');
  int64_t got = piece;
  while (got == piece && !status) {
    begin();
    status = lamina_input_read(&file, &part[0], piece, &got);
    if (ended_well(status)) content->append(part, 0, static_cast<size_t>(got));
    if (static_cast<int64_t>(content->size()) > file.most) fail("more came than the file can hold");
    if (static_cast<int64_t>(content->size()) > most) break;
  }
  lamina_input_close(&file);
  return status;
}

void gzip_run(const std::string &input) {
  const std::string path = put("a.gz", input);
  std::string whole, pieces;
  const lamina_status a = read_all(path, 1 << 16, 1 << 20, &whole), b = read_all(path, 7, 1 << 20, &pieces);
  const size_t both = whole.size() < pieces.size() ? whole.size() : pieces.size();
  if (a == LAMINA_OK && b != a) fail("read in pieces it fails");
  if (whole.compare(0, both, pieces, 0, both) != 0) fail("read in pieces it is something else");
}

// Chance doesn't find a CRC: packs the bytes anew, and damages them now and then.
void gzip_mend(std::string *input) {
  if (input->size() > 2 && (*input)[0] == 0x1f) return;
  *input = pack(*input);
}

// ---- NPY

std::string npy_file(const std::string &dict, const std::string &data, int version = 1) {
  return "\x93NUMPY" + std::string(1, static_cast<char>(version)) + std::string(1, '\0') +
         little_endian(dict.size(), version == 1 ? 2 : 4) + dict + data;
}

Inputs npy_seeds() {
  return {npy_file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", bytes(24)),
          npy_file("{'descr': '<f8', 'fortran_order': True, 'shape': (3, 2), }\n", bytes(48)),
          npy_file("{\"shape\": (), \"descr\": \"|u1\", \"fortran_order\": False}", bytes(1)),
          npy_file("{'descr': '<i8', 'fortran_order': False, 'shape': (0, 5L), }\n", "", 2),
          npy_file("{'descr': '<f2', 'fortran_order': True, 'shape': (1, 1, 2, 1, 3), }\n", bytes(12), 3),
          npy_file("{'descr': '<i4', 'fortran_order': False, 'shape': (4,), }", bytes(16))};
}

void npy_run(const std::string &input) {
  const std::string path = put("a.npy", input);
  lamina_tensor first, second;
  begin();
  if (!ended_well(lamina_npy_read(path.c_str(), memory(), &first))) {
    if (first.data) fail("a failure gave data");
    return;
  }
  const std::string copy = path.substr(0, path.size() - 5) + "b.npy";
  begin();
  if (!ended_well(lamina_npy_write(copy.c_str(), &first, memory()))) fail("what was read can't be written");
  if (!ended_well(lamina_npy_read(copy.c_str(), memory(), &second))) fail("what was written can't be read");
  const lamina_desc &a = first.desc, &b = second.desc;
  if (a.dtype != b.dtype || a.rank != b.rank || memcmp(a.dims, b.dims, sizeof a.dims) != 0)
    fail("another shape came back");
  const size_t size = lamina_dtype_size(static_cast<lamina_dtype>(a.dtype));
  for (int64_t i = 0; i < lamina_desc_count(&a); i++)
    if (memcmp(static_cast<char *>(first.data) + static_cast<size_t>(lamina_desc_offset(&a, i)) * size,
               static_cast<char *>(second.data) + static_cast<size_t>(lamina_desc_offset(&b, i)) * size, size) != 0)
      fail("element %lld came back as another", static_cast<long long>(i));
  lamina_npy_free(memory(), &first);
  lamina_npy_free(memory(), &second);
}

// The header's length follows the header.
void npy_mend(std::string *input) {
  const size_t end = input->rfind('}');
  if (end == std::string::npos || end < 12) return;
  const int version = (*input)[6];
  const size_t start = version == 1 ? 10 : 12;
  input->replace(8, start - 8, little_endian(end + 1 - start, static_cast<int>(start) - 8));
}

// ---- safetensors, without a checksum; ours are in the target `checkpoint`

std::string tensors_file(const std::string &header, const std::string &data) {
  return little_endian(header.size(), 8) + header + data;
}

Inputs safetensors_seeds() {
  return {
      tensors_file("{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", bytes(24)),
      tensors_file("{\"__metadata__\":{\"format\":\"pt\",\"k\":\"\\u00e9\\ud83d\\ude00\"},\"b\":{\"dtype\":\"BF16\","
                   "\"shape\":[],"
                   "\"data_offsets\":[8,10]},\"a\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]}}  ",
                   bytes(10)),
      tensors_file(
          "{\"e\":{\"dtype\":\"U8\",\"shape\":[0,4],\"data_offsets\":[0,0]},\"f\":{\"dtype\":\"F4\",\"shape\":[3,2],"
          "\"data_offsets\":[0,3]}}",
          bytes(3)),
      tensors_file("{\"__metadata__\":{\"lamina.crc32\":\"00000000\"}}", ""), tensors_file("{}", "")};
}

void safetensors_run(const std::string &input) {
  const std::string path = put("a.safetensors", input);
  lamina_safetensors *file = nullptr;
  begin();
  if (!ended_well(lamina_safetensors_open(path.c_str(), memory(), &file))) {
    if (file) fail("a failure gave a file");
    return;
  }
  (void)lamina_safetensors_value(file, "format");
  for (int i = 0; i < lamina_safetensors_count(file); i++) {
    const lamina_desc desc = *lamina_safetensors_desc(file, i);
    const char *name = lamina_safetensors_name(file, i);
    if (lamina_safetensors_find(file, name) != i) fail("tensor %d is not found by its name", i);
    std::vector<double> data(static_cast<size_t>(lamina_desc_count(&desc)) + 1);
    lamina_desc as = desc;
    for (const lamina_dtype dtype : {LAMINA_F64, LAMINA_F32, LAMINA_I64}) {
      as.dtype = dtype;
      const lamina_tensor to = lamina_tensor_of(as, data.data());
      begin();
      (void)ended_well(lamina_safetensors_read(file, i, &to));
    }
  }
  lamina_safetensors_close(file);
}

void safetensors_mend(std::string *input) {
  const size_t end = input->rfind('}');
  if (end == std::string::npos || end < 8) return;
  input->replace(0, 8, little_endian(end + 1 - 8, 8));
}

// ---- Pictures

std::string png_chunk(const std::string &type, const std::string &data) {
  const std::string body = type + data;
  return big_endian(data.size(), 4) + body +
         big_endian(crc32(0, reinterpret_cast<const Bytef *>(body.data()), static_cast<unsigned>(body.size())), 4);
}

// Colours as IHDR numbers them; `rows` have a byte for the filter before each.
std::string png_file(int width, int height, int bits, int colours, int interlaced, const std::string &rows,
                     const std::string &before = "") {
  std::string packed(rows.size() + 64, '\0');
  uLongf size = packed.size();
  compress(reinterpret_cast<Bytef *>(&packed[0]), &size, reinterpret_cast<const Bytef *>(rows.data()), rows.size());
  packed.resize(size);
  const std::string header = big_endian(static_cast<uint64_t>(width), 4) +
                             big_endian(static_cast<uint64_t>(height), 4) + static_cast<char>(bits) +
                             static_cast<char>(colours) + std::string(2, '\0') + static_cast<char>(interlaced);
  return "\x89PNG\r\n\x1a\n" + png_chunk("IHDR", header) + before + png_chunk("IDAT", packed) + png_chunk("IEND", "");
}

// The checksums follow the chunks.
void picture_mend(std::string *input) {
  if (input->compare(0, 4, "\x89PNG") != 0) return;
  const Bytef *bytes = reinterpret_cast<const Bytef *>(input->data());
  for (size_t at = 8; at + 12 <= input->size();) {
    const size_t length = static_cast<size_t>(bytes[at]) << 24 | static_cast<size_t>(bytes[at + 1]) << 16 |
                          static_cast<size_t>(bytes[at + 2]) << 8 | bytes[at + 3];
    if (length > input->size() - at - 12) return;
    const uLong sum = crc32(0, bytes + at + 4, static_cast<unsigned>(length + 4));
    input->replace(at + 8 + length, 4, big_endian(sum, 4));
    bytes = reinterpret_cast<const Bytef *>(input->data());
    at += 12 + length;
  }
}

Inputs picture_seeds() {
  const std::string row(1, '\0');
  return {png_file(3, 2, 8, 0, 0, row + "abc" + row + "def"),
          png_file(2, 2, 8, 2, 0, row + "abcdef" + row + "ghijkl"),
          png_file(2, 1, 16, 6, 0, row + bytes(16)),
          png_file(9, 2, 1, 3, 0, row + "ab" + row + "cd", png_chunk("PLTE", "rgbRGB") + png_chunk("tRNS", "\x80")),
          png_file(3, 3, 8, 0, 1, std::string(40, '\0')),
          png_file(2, 2, 8, 4, 0, "\1abcd\4efgh", png_chunk("gAMA", big_endian(45455, 4)) + png_chunk("sRGB", row)),
          "P5 3 2 255\n" + bytes(6),
          "P5\n# a comment\n2 2\n65535\n" + bytes(8),
          "P2 3 2 15\n1 2 3\n4 15 0\n",
          "P2\n# one\n1 # two\n1\n7 7",
          pack("P5 1 1 255 a")};
}

void picture_run(const std::string &input) {
  const std::string path = put("a.picture", input);
  lamina_image image;
  begin();
  if (!ended_well(lamina_image_read(path.c_str(), memory(), &image))) {
    if (image.x) fail("a failure gave a picture");
    return;
  }
  for (int64_t i = 0; i < image.channels * image.height * image.width; i++)
    if (!(image.x[i] >= 0 && image.x[i] <= 1)) fail("a pixel is %g", static_cast<double>(image.x[i]));
  lamina_image_free(memory(), &image);
}

} // namespace

const Target idx = {
    "idx", idx_seeds, {std::string("\0\0\x08\x03", 4), std::string("\0\0\x08\x01", 4), "\x1f\x8b\x08"}, idx_run};
const Target gzip = {"gzip", gzip_seeds, {"\x1f\x8b\x08", std::string("\0\0\0\0\0\x03", 6)}, gzip_run, gzip_mend};
const Target npy = {"npy",
                    npy_seeds,
                    {"\x93NUMPY",
                     "'descr': ",
                     "'fortran_order': ",
                     "'shape': ",
                     "True",
                     "False",
                     "<f2",
                     "<f4",
                     "<f8",
                     "<i4",
                     "<i8",
                     "|u1",
                     ">f4",
                     "(",
                     ")",
                     "{",
                     "}",
                     ", ",
                     "L",
                     "'",
                     "\"",
                     "\\",
                     "[('a', '<f4')]"},
                    npy_run,
                    npy_mend};
const Target safetensors = {"safetensors",
                            safetensors_seeds,
                            {"{",
                             "}",
                             "[",
                             "]",
                             ",",
                             ":",
                             "\"",
                             "\"dtype\":",
                             "\"shape\":",
                             "\"data_offsets\":",
                             "\"F32\"",
                             "\"BF16\"",
                             "\"I64\"",
                             "\"BOOL\"",
                             "\"F6_E2M3\"",
                             "\"F4\"",
                             "\"__metadata__\":{",
                             "\"lamina.crc32\":",
                             "\\u0000",
                             "\\ud800",
                             "\\n",
                             "null",
                             "true",
                             "1e3",
                             "-0",
                             "\xf0\x9f\x98\x80",
                             "\xc0\x80",
                             "\xed\xa0\x80"},
                            safetensors_run,
                            safetensors_mend};
const Target picture = {"picture",   picture_seeds, {"P2", "P5", "P6", "#", "\n", " ", "65535", "255", "\x1f\x8b\x08"},
                        picture_run, picture_mend,  true};

} // namespace fuzz
