// YAML and JSON documents: what they say, where their errors point, and that no input breaks them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cfloat>
#include <clocale>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "failing_allocator.h"
#include "temporary.h"

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

lamina_status parse(const std::string &text, Document &document) {
  lamina_document *d = nullptr;
  const lamina_status status = lamina_yaml_parse("x.yaml", text.data(), text.size(), nullptr, &d);
  document.reset(d);
  EXPECT_EQ(status == LAMINA_OK, d != nullptr);
  return status;
}

Document yaml(const std::string &text) {
  Document d;
  EXPECT_EQ(parse(text, d), LAMINA_OK) << lamina_last_error();
  return d;
}

const lamina_node *root(const Document &d) { return lamina_document_root(d.get()); }

std::string syntax_error(const std::string &text) {
  Document d;
  EXPECT_EQ(parse(text, d), LAMINA_CORRUPT) << text;
  return lamina_last_error();
}

std::string print(const Document &d) {
  lamina_text text = {};
  EXPECT_EQ(lamina_yaml_print(d.get(), &text), LAMINA_OK) << lamina_last_error();
  const std::string printed(text.data, text.used);
  lamina_text_free(&text);
  return printed;
}

const char recipe[] = "data: {train: \"idx:mnist/train\", shift: 2}  # where from\n"
                      "net:\n"
                      "  - conv: {filters: 6, kernel: [5, 3]}\n"
                      "  - relu\n"
                      "  - dropout: 0.5\n"
                      "train:\n"
                      "  batch: 128\n"
                      "  rate: {cosine: 0.05}\n"
                      "  shuffle: true\n"
                      "  note:\n";

TEST(Yaml, IsReadAsATree) {
  const Document d = yaml(recipe);
  EXPECT_EQ(root(d)->kind, LAMINA_NODE_MAP);
  EXPECT_EQ(root(d)->count, 3);
  const lamina_node *net = lamina_node_find(root(d), "net");
  ASSERT_NE(net, nullptr);
  EXPECT_EQ(lamina_node_is_list(net), LAMINA_OK);
  ASSERT_EQ(net->count, 3);

  const char *name;
  const lamina_node *value;
  ASSERT_EQ(lamina_node_named(lamina_node_at(net, 0), &name, &value), LAMINA_OK);
  EXPECT_STREQ(name, "conv");
  int64_t filters;
  ASSERT_EQ(lamina_node_int(lamina_node_find(value, "filters"), 1, INT64_MAX, &filters), LAMINA_OK);
  EXPECT_EQ(filters, 6);
  int64_t kernel[3];
  int n;
  ASSERT_EQ(lamina_node_ints(lamina_node_find(value, "kernel"), 1, 99, 3, kernel, &n), LAMINA_OK);
  EXPECT_EQ(n, 2);
  EXPECT_EQ(kernel[0] * 10 + kernel[1], 53);
  ASSERT_EQ(lamina_node_ints(lamina_node_find(value, "filters"), 1, 99, 3, kernel, &n), LAMINA_OK);
  EXPECT_EQ(n, 1);
  ASSERT_EQ(lamina_node_named(lamina_node_at(net, 1), &name, &value), LAMINA_OK);
  EXPECT_STREQ(name, "relu");
  EXPECT_EQ(value, nullptr);
  EXPECT_EQ(lamina_node_at(net, 3), nullptr);
  EXPECT_EQ(lamina_node_at(net, -1), nullptr);

  const lamina_node *train;
  ASSERT_EQ(lamina_node_need(root(d), "train", &train), LAMINA_OK);
  double rate;
  ASSERT_EQ(lamina_node_real(lamina_node_find(lamina_node_find(train, "rate"), "cosine"), 0, 1, &rate), LAMINA_OK);
  EXPECT_EQ(rate, 0.05);
  bool shuffle = false;
  ASSERT_EQ(lamina_node_bool(lamina_node_find(train, "shuffle"), &shuffle), LAMINA_OK);
  EXPECT_TRUE(shuffle);
  EXPECT_TRUE(lamina_node_is_null(lamina_node_find(train, "note")));
  const char *text;
  ASSERT_EQ(lamina_node_text(lamina_node_find(lamina_node_find(root(d), "data"), "train"), &text), LAMINA_OK);
  EXPECT_STREQ(text, "idx:mnist/train");
}

TEST(Yaml, ErrorsNameFilePlacePathAndWhatWasExpected) {
  const Document d = yaml(recipe);
  const lamina_node *net = lamina_node_find(root(d), "net"), *train = lamina_node_find(root(d), "train");
  const lamina_node *conv = lamina_node_find(lamina_node_at(net, 0), "conv");
  const char *const keys[] = {"filter", "kernel", nullptr}, *const far[] = {"batch", "rate", nullptr};
  int64_t i;
  double r;
  bool b;
  int n;
  const char *text;
  const lamina_node *child;

  EXPECT_EQ(lamina_node_is_map(conv, keys), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "x.yaml:3:12: net[0].conv: unknown key \"filters\"; did you mean \"filter\"?");
  EXPECT_EQ(lamina_node_is_map(train, far), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "x.yaml:9:3: train: unknown key \"shuffle\"; expected batch or rate");
  EXPECT_EQ(lamina_node_is_map(root(d), far), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "x.yaml:1:1: unknown key \"data\"; did you mean \"rate\"?");
  EXPECT_EQ(lamina_node_is_map(net, nullptr), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "x.yaml:3:3: net: expected a map, got a list");
  EXPECT_EQ(lamina_node_need(train, "seed", &child), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "x.yaml:7:3: train: the key \"seed\" is missing");
  EXPECT_EQ(lamina_node_int(lamina_node_find(conv, "filters"), 7, INT64_MAX, &i), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "x.yaml:3:21: net[0].conv.filters: expected an integer of at least 7, got \"6\"");
  EXPECT_EQ(lamina_node_int(lamina_node_at(net, 1), INT64_MIN, INT64_MAX, &i), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "x.yaml:4:5: net[1]: expected an integer, got \"relu\"");
  EXPECT_EQ(lamina_node_real(lamina_node_find(train, "rate"), 0, 1, &r), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "x.yaml:8:9: train.rate: expected a number from 0 to 1, got a map");
  EXPECT_EQ(lamina_node_bool(lamina_node_find(train, "batch"), &b), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "x.yaml:7:10: train.batch: expected true or false, got \"128\"");
  EXPECT_EQ(lamina_node_text(lamina_node_find(train, "note"), &text), LAMINA_INVALID);
  EXPECT_THAT(lamina_last_error(), HasSubstr("train.note: expected text, got nothing"));
  EXPECT_EQ(lamina_node_choice(lamina_node_at(net, 1), keys, &n), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "x.yaml:4:5: net[1]: unknown name \"relu\"; expected filter or kernel");
  EXPECT_EQ(lamina_node_named(root(d), &text, &child), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "x.yaml:1:1: expected a name, or a map with one key, got one with 3");
  EXPECT_EQ(lamina_node_ints(net, 1, 9, 2, &i, &n), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "x.yaml:3:3: net: expected 1 to 2 integers, got 3");
  EXPECT_EQ(lamina_node_key_error(conv, "no layer \"conv\""), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "x.yaml:3:5: net[0]: no layer \"conv\"");
}

TEST(Yaml, NumbersAreWholeFiniteAndPlain) {
  const Document d = yaml("[12, -3, '12', 1.5, 9223372036854775807, 9223372036854775808, 0x10, 1e999, .inf, nan, 1e-3, "
                          "+2, 1_000, 12abc, 1e, -, '']");
  const auto integer = [&](int index, int64_t &v) {
    return lamina_node_int(lamina_node_at(root(d), index), INT64_MIN, INT64_MAX, &v) == LAMINA_OK;
  };
  const auto real = [&](int index, double &v) {
    return lamina_node_real(lamina_node_at(root(d), index), -DBL_MAX, DBL_MAX, &v) == LAMINA_OK;
  };
  int64_t i = 0;
  double r = 0;
  EXPECT_TRUE(integer(0, i) && i == 12);
  EXPECT_TRUE(integer(1, i) && i == -3);
  EXPECT_TRUE(integer(4, i) && i == INT64_MAX);
  EXPECT_TRUE(integer(11, i) && i == 2);
  for (int bad : {2, 3, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16}) EXPECT_FALSE(integer(bad, i)) << bad;
  EXPECT_TRUE(real(0, r) && r == 12);
  EXPECT_TRUE(real(3, r) && r == 1.5);
  EXPECT_TRUE(real(10, r) && r == 1e-3);
  EXPECT_TRUE(real(5, r) && r == 0x1p63);
  for (int bad : {2, 6, 7, 8, 9, 12, 13, 14, 15, 16}) EXPECT_FALSE(real(bad, r)) << bad;
}

TEST(Yaml, SyntaxErrorsHaveLineAndColumn) {
  EXPECT_THAT(syntax_error("a: 1\nb: [1, 2\nc: 3\n"), StartsWith("x.yaml:3:2: "));
  EXPECT_THAT(syntax_error("a: 1\n b: 2\n"), StartsWith("x.yaml:2:3: mapping values are not allowed"));
  EXPECT_THAT(syntax_error("a: \"x\n"), HasSubstr("quoted scalar that begins in line 1"));
  EXPECT_STREQ(syntax_error("a: 1\nbc: 2\na: 3\n").c_str(),
               "x.yaml:3:1: the key \"a\" is already in line 1; expected it once");
  EXPECT_THAT(syntax_error("{a: {b: 1, b: 2}}"), StartsWith("x.yaml:1:12: the key \"b\""));
  EXPECT_STREQ(syntax_error("a: &x 1\nb: *x\n").c_str(), "x.yaml:1:4: anchors are not supported; write the value out");
  EXPECT_THAT(syntax_error("a: &x [1]\n"), StartsWith("x.yaml:1:4: anchors"));
  EXPECT_THAT(syntax_error("a: &x {b: 1}\n"), StartsWith("x.yaml:1:4: anchors"));
  EXPECT_THAT(syntax_error("b: *x\n"), StartsWith("x.yaml:1:4: aliases are not supported"));
  EXPECT_THAT(syntax_error("a: !!int 3\n"), StartsWith("x.yaml:1:4: tags"));
  EXPECT_THAT(syntax_error("a: 1\n---\nb: 2\n"), StartsWith("x.yaml:2:1: a second document"));
  EXPECT_THAT(syntax_error(""), HasSubstr("nothing in it"));
  EXPECT_THAT(syntax_error("# only a remark\n"), HasSubstr("nothing in it"));
  EXPECT_THAT(syntax_error("? [1, 2]\n: 3\n"), HasSubstr("as a key"));
  EXPECT_THAT(syntax_error("\"\": 3\n"), HasSubstr("a key without text"));
  EXPECT_THAT(syntax_error("a: \"\\0\"\n"), StartsWith("x.yaml:1:4: a NUL character"));
  EXPECT_THAT(syntax_error("a: 1\nb: \xFF\n"), StartsWith("x.yaml:2:4: "));
  EXPECT_THAT(syntax_error(std::string("a: 1\nb: \0\n", 10)), StartsWith("x.yaml:2:4: "));
}

TEST(Yaml, BoundsHold) {
  const std::string open(64, '['), close(64, ']');
  yaml(open + close);
  EXPECT_THAT(syntax_error("[" + open + close + "]"), StartsWith("x.yaml:1:65: lists and maps more than 64 deep"));
  EXPECT_THAT(syntax_error(std::string(1 << 20, '[')), HasSubstr("more than 64 deep"));
  EXPECT_THAT(syntax_error(std::string((16 << 20) + 1, ' ')), HasSubstr("expected at most 16777216"));
  std::string many = "[";
  for (int i = 0; i < LAMINA_DOCUMENT_NODES; i++) many += "1,";
  EXPECT_THAT(syntax_error(many + "]"), HasSubstr("more than 1048576 values"));
}

TEST(Yaml, EveryCutOfAFileGivesAStatus) {
  const std::string whole = recipe;
  for (size_t n = 0; n < whole.size(); n++) {
    Document d;
    const std::string cut = whole.substr(0, n);
    const std::unique_ptr<char[]> exact(new char[n ? n : 1]); // so that a read past the end is seen
    memcpy(exact.get(), cut.data(), n);
    lamina_document *raw = nullptr;
    const lamina_status status = lamina_yaml_parse("x.yaml", exact.get(), n, nullptr, &raw);
    d.reset(raw);
    EXPECT_TRUE(status == LAMINA_OK || status == LAMINA_CORRUPT) << n;
  }
}

TEST(Yaml, EveryChangedByteGivesAStatus) {
  const std::string whole = recipe;
  for (size_t i = 0; i < whole.size(); i++)
    for (const char byte : std::string("\0\t\n \"'*&!-:?[]{}|%@\x80\xC3\xFF", 22)) {
      std::string bad = whole;
      bad[i] = byte;
      Document d;
      const lamina_status status = parse(bad, d);
      EXPECT_TRUE(status == LAMINA_OK || status == LAMINA_CORRUPT) << i << " " << (int)byte;
    }
}

TEST(Yaml, IsWrittenAsItWasRead) {
  const Document d = yaml(recipe);
  EXPECT_EQ(print(d), "data: {train: \"idx:mnist/train\", shift: 2}\n"
                      "net:\n"
                      "- conv: {filters: 6, kernel: [5, 3]}\n"
                      "- relu\n"
                      "- dropout: 0.5\n"
                      "train:\n"
                      "  batch: 128\n"
                      "  rate: {cosine: 0.05}\n"
                      "  shuffle: true\n"
                      "  note: null\n");
  const Document odd = yaml("[\"12\", 'a: b', \"line\\nline\", '', ~, [], {}, \"caf\xC3\xA9\", 'null']");
  EXPECT_EQ(print(yaml(print(odd))), print(odd));
  EXPECT_THAT(print(odd), HasSubstr("\"12\""));
  EXPECT_THAT(print(odd), HasSubstr("\"null\""));
}

TEST(Yaml, FilesAreRead) {
  lamina_document *d = nullptr;
  EXPECT_EQ(lamina_yaml_read("/no/such.yaml", nullptr, &d), LAMINA_IO);
  EXPECT_STREQ(lamina_last_error(), "/no/such.yaml: can't be opened: No such file or directory");
  EXPECT_EQ(lamina_yaml_read("/", nullptr, &d), LAMINA_IO);
  EXPECT_STREQ(lamina_last_error(), "/: can't be read: Is a directory");
  EXPECT_EQ(lamina_yaml_read("/dev/zero", nullptr, &d), LAMINA_CORRUPT);
  const Temporary folder;
  const std::string path = folder / "wrong.yaml";
  FILE *file = fopen(path.c_str(), "w");
  ASSERT_NE(file, nullptr);
  fputs("a: {b: 1]\n", file);
  fclose(file);
  EXPECT_EQ(lamina_yaml_read(path.c_str(), nullptr, &d), LAMINA_CORRUPT);
  EXPECT_THAT(lamina_last_error(), StartsWith(path + ":1:9: "));
}

// ---- Overrides -----------------------------------------------------------------------------------------------------

std::string set_error(const std::string &assignment) {
  const Document d = yaml(recipe);
  EXPECT_NE(lamina_document_set(d.get(), assignment.c_str()), LAMINA_OK) << assignment;
  EXPECT_EQ(print(d), print(yaml(recipe))) << "a failed override must change nothing";
  return lamina_last_error();
}

TEST(Override, IsUtf8) { // a key that isn't could be set, but the recipe no longer be printed
  EXPECT_THAT(set_error("data.\xff=1"), HasSubstr("expected UTF-8"));
  EXPECT_THAT(set_error("data.shift=\xc0\x80"), HasSubstr("expected UTF-8"));
}

TEST(Override, ReplacesAndAddsValues) {
  const Document d = yaml(recipe);
  for (const char *assignment :
       {"train.batch=32", "train.rate.cosine=0.1", "net.0.conv.filters=8", "net[0].conv.kernel[1]=7", "net[1]=tanh",
        "train.seed=3", "data.train=digits:60000", "train.rate={step: [0.1, 0.01]}", "train.note.text='a=b'",
        "train.optimizer={sgd: {momentum: 0.9}}", "train.optimizer.sgd.nesterov=true", "net[2]="})
    ASSERT_EQ(lamina_document_set(d.get(), assignment), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(print(d), "data: {train: 'digits:60000', shift: 2}\n"
                      "net:\n"
                      "- conv: {filters: 8, kernel: [5, 7]}\n"
                      "- tanh\n"
                      "- null\n"
                      "train:\n"
                      "  batch: 32\n"
                      "  rate: {step: [0.1, 0.01]}\n"
                      "  shuffle: true\n"
                      "  note:\n"
                      "    text: \"a=b\"\n"
                      "  seed: 3\n"
                      "  optimizer: {sgd: {momentum: 0.9, nesterov: true}}\n");
}

TEST(Override, ErrorsNameTheOverride) {
  EXPECT_STREQ(set_error("trian.batch=3").c_str(),
               "override \"trian.batch=3\": there is no \"trian\" in the file; did you mean \"train\"?");
  EXPECT_STREQ(set_error("train.optimizer.sgd=1").c_str(),
               "override \"train.optimizer.sgd=1\": there is no \"optimizer\" in train; there is batch, rate, "
               "shuffle, note");
  EXPECT_STREQ(set_error("train.batch.size=3").c_str(),
               "override \"train.batch.size=3\": train.batch is \"128\" and has no \"size\" in it; set train.batch as "
               "a whole");
  EXPECT_STREQ(set_error("net[3]=relu").c_str(),
               "override \"net[3]=relu\": net is a list of 3; expected a number from 0 to 2, got \"3\"");
  EXPECT_THAT(set_error("net.conv.filters=3"), HasSubstr("got \"conv\""));
  EXPECT_THAT(set_error("train.batch"), HasSubstr("expected PATH=VALUE"));
  EXPECT_THAT(set_error("=3"), HasSubstr("no key before the ="));
  EXPECT_THAT(set_error("..=3"), HasSubstr("no key before the ="));
  EXPECT_THAT(set_error("train.batch={a: 1"), StartsWith("override \"train.batch={a: 1\": did not find"));
  EXPECT_THAT(set_error("train.x={a: 1, a: 2}"), HasSubstr("the key \"a\""));
  EXPECT_THAT(set_error("train.rate.cosine=" + std::string(63, '[') + std::string(63, ']')), HasSubstr("64 deep"));
  EXPECT_THAT(set_error(std::string(600, 'a') + "=1"), HasSubstr("expected PATH=VALUE"));
}

TEST(Override, LaterErrorsPointAtIt) {
  const Document d = yaml(recipe);
  ASSERT_EQ(lamina_document_set(d.get(), "train.batch=many"), LAMINA_OK);
  ASSERT_EQ(lamina_document_set(d.get(), "train.sede=3"), LAMINA_OK);
  const lamina_node *train = lamina_node_find(root(d), "train");
  int64_t batch;
  EXPECT_EQ(lamina_node_int(lamina_node_find(train, "batch"), 1, INT64_MAX, &batch), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(),
               "override \"train.batch=many\": train.batch: expected an integer of at least 1, got \"many\"");
  const char *const known[] = {"batch", "rate", "shuffle", "note", "seed", nullptr};
  EXPECT_EQ(lamina_node_is_map(train, known), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "override \"train.sede=3\": train: unknown key \"sede\"; did you mean \"seed\"?");
}

// ---- Numbers and text ----------------------------------------------------------------------------------------------

TEST(Text, NumbersDontDependOnTheLocale) {
  const char *const locales[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "C"};
  for (const char *name : locales)
    if (setlocale(LC_ALL, name)) break;
  lamina_text text = {};
  lamina_text_print(&text, "%.2f ", 0.5);
  lamina_text_real(&text, 0.05);
  double value;
  EXPECT_TRUE(lamina_read_real("2.5", &value) && value == 2.5);
  EXPECT_STREQ(text.data, "0.50 0.05");
  lamina_text_free(&text);
  setlocale(LC_ALL, "C");
}

TEST(Text, RealsAreShortAndReadBack) {
  lamina_text text = {};
  for (double value : {0.1, 1.0 / 3, 5e-324, DBL_MAX, -0.0, 1e21, 0.30000000000000004, 123456789.0}) {
    lamina_text_clear(&text);
    lamina_text_real(&text, value);
    double back = 1;
    EXPECT_TRUE(lamina_read_real(text.data, &back)) << text.data;
    EXPECT_EQ(back, value) << text.data;
  }
  lamina_text_clear(&text);
  lamina_text_real(&text, 0.1);
  EXPECT_STREQ(text.data, "0.1");
  lamina_text_free(&text);
}

TEST(Text, Utf8IsJudgedAsUnicodeDoes) {
  const auto length = [](const std::string &s) { return lamina_utf8(s.data(), s.size()); };
  EXPECT_EQ(length("a"), 1u);
  EXPECT_EQ(length("\xC3\xA9"), 2u);
  EXPECT_EQ(length("\xE2\x82\xAC"), 3u);
  EXPECT_EQ(length("\xF0\x9F\x98\x80"), 4u);
  for (const char *bad : {"", "\x80", "\xC0\x80", "\xC3", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF5",
                          "\xE2\x82", "\xC3(", "\xE2\x82("})
    EXPECT_EQ(length(bad), 0u) << bad;
}

TEST(Yaml, OutOfMemoryIsAStatus) {
  const std::string text = std::string(recipe) + "long: " + std::string(70000, 'x') + "\n";
  expect_out_of_memory_is_a_status([&](const lamina_allocator *allocator) {
    lamina_document *d = nullptr;
    const lamina_status status = lamina_yaml_parse("x.yaml", text.data(), text.size(), allocator, &d);
    lamina_document_close(d);
    return status;
  });
}

} // namespace
