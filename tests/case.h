// Cases of ops from their text, "relu/forward x=2x3"; not of files, whose names the words of a case keep.
#ifndef LAMINA_TESTS_CASE_H
#define LAMINA_TESTS_CASE_H

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "lamina/verify.h"

inline lamina_status parse_case(const std::string &text, lamina_case *c) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  std::vector<const char *> pointers;
  for (const std::string &word : words) pointers.push_back(word.c_str());
  return lamina_case_parse(static_cast<int>(pointers.size()), pointers.data(), nullptr, c);
}

// Of a text that is one.
inline lamina_case case_of(const std::string &text) {
  lamina_case c = {};
  EXPECT_EQ(parse_case(text, &c), LAMINA_OK) << text << ": " << lamina_last_error();
  return c;
}

// A test's name, "3_relu_forward": by number and text, and where the parameter is the text.
inline std::string case_name_of(size_t index, const std::string &text) {
  std::string name = std::to_string(index) + "_" + text.substr(0, text.find(' '));
  for (char &c : name)
    if (c == '/') c = '_';
  return name;
}
inline std::string case_name(const testing::TestParamInfo<const char *> &info) {
  return case_name_of(info.index, info.param);
}

#endif
