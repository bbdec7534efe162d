// POSIX's extended regular expressions. (The compiler takes seconds for each program that includes <regex>.)
#ifndef LAMINA_TESTS_PATTERN_H
#define LAMINA_TESTS_PATTERN_H

#include <regex.h>

#include <cstdlib>
#include <string>

class Pattern {
public:
  explicit Pattern(const char *text) {
    if (regcomp(&compiled_, text, REG_EXTENDED)) abort();
  }
  ~Pattern() { regfree(&compiled_); }
  Pattern(const Pattern &) = delete;
  Pattern &operator=(const Pattern &) = delete;

  // How often it stands in the text, and what is left of the text without.
  int count(const std::string &text, std::string *rest = nullptr) const {
    int found = 0;
    const char *from = text.c_str();
    regmatch_t at;
    for (; regexec(&compiled_, from, 1, &at, found ? REG_NOTBOL : 0) == 0 && at.rm_eo > 0; found++) {
      if (rest) rest->append(from, static_cast<size_t>(at.rm_so));
      from += at.rm_eo;
    }
    if (rest) rest->append(from);
    return found;
  }

private:
  regex_t compiled_;
};

#endif
