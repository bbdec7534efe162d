// JSON documents: what they say and that no input breaks the parser.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <memory>
#include <string>

#include "failing_allocator.h"
#include "lamina/io.h"

extern "C" {
#include "core/document.h"
}

using testing::HasSubstr;
using testing::StartsWith;

namespace {

struct Close {
  void operator()(lamina_document *d) const { lamina_document_close(d); }
};
using Document = std::unique_ptr<lamina_document, Close>;

// Parses a copy without a byte to spare, so that a read past its end is seen.
lamina_status parse(const std::string &text, Document &document) {
  const std::unique_ptr<char[]> exact(new char[text.size() + !text.size()]);
  memcpy(exact.get(), text.data(), text.size());
  lamina_document *d = nullptr;
  const lamina_status status = lamina_json_parse("x.json", exact.get(), text.size(), nullptr, &d);
  document.reset(d);
  EXPECT_EQ(status == LAMINA_OK, d != nullptr);
  return status;
}

std::string error(const std::string &text) {
  Document d;
  EXPECT_EQ(parse(text, d), LAMINA_CORRUPT) << text;
  return lamina_last_error();
}

const std::string sample = "{\"a\": [1, -2.5e3, true, null],\n \"b\\n\\u00e9\\ud83d\\ude00\": {\"\": \"x\"}}";

TEST(Json, IsReadAsATree) {
  Document d;
  ASSERT_EQ(parse(sample, d), LAMINA_OK) << lamina_last_error();
  const lamina_node *root = lamina_document_root(d.get()), *list = lamina_node_find(root, "a");
  ASSERT_NE(list, nullptr);
  EXPECT_EQ(list->count, 4);
  int64_t i = 0;
  double r = 0;
  bool b = false;
  EXPECT_EQ(lamina_node_int(lamina_node_at(list, 0), 0, 9, &i), LAMINA_OK);
  EXPECT_EQ(i, 1);
  EXPECT_EQ(lamina_node_real(lamina_node_at(list, 1), -DBL_MAX, DBL_MAX, &r), LAMINA_OK);
  EXPECT_EQ(r, -2500);
  EXPECT_EQ(lamina_node_bool(lamina_node_at(list, 2), &b), LAMINA_OK);
  EXPECT_TRUE(b);
  EXPECT_TRUE(lamina_node_is_null(lamina_node_at(list, 3)));
  const lamina_node *map = lamina_node_find(root, "b\n\xC3\xA9\xF0\x9F\x98\x80");
  ASSERT_NE(map, nullptr);
  EXPECT_EQ(map->key_line, 2);
  EXPECT_EQ(map->key_column, 2);
  ASSERT_NE(lamina_node_find(map, ""), nullptr);
  EXPECT_STREQ(lamina_node_find(map, "")->text, "x");
}

TEST(Json, ErrorsHaveLineAndColumn) {
  EXPECT_STREQ(error("{\"a\": 1,\n \"a\": 2}").c_str(),
               "x.json:2:2: the key \"a\" is already in line 1; expected it once");
  EXPECT_STREQ(error("").c_str(), "x.json:1:1: the text ends where a value was expected");
  EXPECT_STREQ(error("[1 2]").c_str(), "x.json:1:4: expected , or ]");
  EXPECT_STREQ(error("{\"a\" 1}").c_str(), "x.json:1:6: expected a colon");
  EXPECT_STREQ(error("[1] x").c_str(), "x.json:1:5: expected the end of the text");
  EXPECT_THAT(error("\"\\u0000\""), HasSubstr("NUL"));
  EXPECT_THAT(error("\"\\ud800\""), HasSubstr("surrogate"));
  EXPECT_THAT(error("\"\\ud800\\u0041\""), HasSubstr("surrogate"));
  EXPECT_THAT(error("\"\\udc00\""), HasSubstr("surrogate"));
  EXPECT_THAT(error("\"\\x\""), HasSubstr("backslash"));
  EXPECT_THAT(error("\"\\u12g4\""), StartsWith("x.json:1:6: "));
  EXPECT_THAT(error("\"a\nb\""), HasSubstr("control character"));
  EXPECT_THAT(error("\"\xFF\""), HasSubstr("UTF-8"));
  EXPECT_THAT(error(std::string("\0", 1)), HasSubstr("expected a value"));
  for (const char *bad :
       {"01",     "1.",     ".5",   "+1",         "1e", "-", "--1", "nan", "NaN",  "Infinity", "tru", "truex", "'a'",
        "{a: 1}", "{1: 2}", "[1,]", "{\"a\":1,}", "[",  "{", "]",   ",",   "[,1]", "1 1",      "\"",  "/**/1"})
    error(bad);
}

TEST(Json, BoundsHold) {
  const std::string open(64, '['), close(64, ']');
  Document d;
  EXPECT_EQ(parse(open + close, d), LAMINA_OK);
  EXPECT_THAT(error("[" + open + close + "]"), StartsWith("x.json:1:66: lists and maps more than 64 deep"));
  EXPECT_THAT(error(std::string(1 << 20, '[')), HasSubstr("64 deep"));
}

TEST(Json, EveryCutAndEveryChangedByteGivesAStatus) {
  for (size_t n = 0; n < sample.size(); n++) error(sample.substr(0, n));
  for (size_t i = 0; i < sample.size(); i++)
    for (int byte = 0; byte < 256; byte++) {
      std::string bad = sample;
      bad[i] = (char)byte;
      Document d;
      const lamina_status status = parse(bad, d);
      EXPECT_TRUE(status == LAMINA_OK || status == LAMINA_CORRUPT) << i << " " << byte;
    }
}

TEST(Json, WhatWeWriteReadsBack) {
  const std::string text = "a\"b\\c\n\t\x01\x7F/\xC3\xA9";
  lamina_text written = {};
  lamina_text_json(&written, text.c_str());
  Document d;
  ASSERT_EQ(parse(written.data, d), LAMINA_OK) << written.data;
  EXPECT_EQ(lamina_document_root(d.get())->text, text);
  lamina_text_clear(&written);
  lamina_text_json(&written, "x\xFFy");
  EXPECT_STREQ(written.data, "\"x\xEF\xBF\xBDy\"");
  lamina_text_free(&written);
}

struct CloseWriter {
  void operator()(lamina_json *json) const { lamina_json_close(json); }
};

std::unique_ptr<lamina_json, CloseWriter> writer() {
  lamina_json *json = nullptr;
  EXPECT_EQ(lamina_json_open(nullptr, &json), LAMINA_OK);
  return std::unique_ptr<lamina_json, CloseWriter>(json);
}

TEST(JsonWriter, WritesOneObjectALine) {
  const auto json = writer();
  const char *line;
  lamina_json_int(json.get(), "step", -3);
  lamina_json_real(json.get(), "loss", 0.05);
  lamina_json_real(json.get(), "nan", std::nan(""));
  lamina_json_real(json.get(), "inf", -HUGE_VAL);
  lamina_json_bool(json.get(), "ok", true);
  lamina_json_text(json.get(), "a\"b", "c\nd");
  lamina_json_text(json.get(), "none", nullptr);
  lamina_json_array(json.get(), "list");
  lamina_json_int(json.get(), nullptr, 1);
  lamina_json_object(json.get(), nullptr);
  lamina_json_bool(json.get(), "x", false);
  lamina_json_end(json.get());
  lamina_json_array(json.get(), nullptr);
  lamina_json_end(json.get());
  lamina_json_end(json.get());
  lamina_json_real(json.get(), "last", 1e300);
  ASSERT_EQ(lamina_json_line(json.get(), &line), LAMINA_OK) << lamina_last_error();
  EXPECT_STREQ(line, "{\"step\":-3,\"loss\":0.05,\"nan\":null,\"inf\":null,\"ok\":true,\"a\\\"b\":\"c\\nd\","
                     "\"none\":null,\"list\":[1,{\"x\":false},[]],\"last\":1e+300}");
  Document d;
  EXPECT_EQ(parse(line, d), LAMINA_OK);
  ASSERT_EQ(lamina_json_line(json.get(), &line), LAMINA_OK);
  EXPECT_STREQ(line, "{}");
  lamina_json_array(json.get(), "open");
  ASSERT_EQ(lamina_json_line(json.get(), &line), LAMINA_OK);
  EXPECT_STREQ(line, "{\"open\":[]}");
}

TEST(JsonWriter, MisuseIsAStatusOfThatLine) {
  const auto json = writer();
  const char *line;
  lamina_json_int(json.get(), nullptr, 1);
  EXPECT_EQ(lamina_json_line(json.get(), &line), LAMINA_INVALID);
  EXPECT_EQ(line, nullptr);
  lamina_json_array(json.get(), "a");
  lamina_json_int(json.get(), "key", 1);
  EXPECT_EQ(lamina_json_line(json.get(), &line), LAMINA_INVALID);
  lamina_json_end(json.get());
  EXPECT_EQ(lamina_json_line(json.get(), &line), LAMINA_INVALID);
  for (int i = 0; i < 16; i++) lamina_json_object(json.get(), "x");
  EXPECT_EQ(lamina_json_line(json.get(), &line), LAMINA_INVALID);
  for (int i = 0; i < 15; i++) lamina_json_object(json.get(), "x");
  EXPECT_EQ(lamina_json_line(json.get(), &line), LAMINA_OK);
}

TEST(JsonWriter, OutOfMemoryIsAStatus) {
  expect_out_of_memory_is_a_status([](const lamina_allocator *allocator) {
    lamina_json *json;
    const char *line;
    lamina_status status = lamina_json_open(allocator, &json);
    if (status != LAMINA_OK) return status;
    lamina_json_text(json, "long", std::string(1000, 'x').c_str());
    status = lamina_json_line(json, &line);
    lamina_json_close(json);
    return status;
  });
}

} // namespace
