#include "mutate.h"

#include <algorithm>
#include <cstring>

namespace fuzz {

namespace {

// Where integers end, in bytes and in sums.
const uint64_t edges[] = {0,          1,          2,          7,          8,          9,          127,
                          128,        255,        256,        4095,       4096,       32767,      32768,
                          65535,      65536,      0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1ull << 32, 1ull << 40,
                          1ull << 62, ~0ull >> 1, 1ull << 63, ~0ull - 1,  ~0ull};
const char *const numbers[] = {"0",
                               "1",
                               "-1",
                               "2",
                               "7",
                               "8",
                               "9",
                               "16",
                               "255",
                               "65536",
                               "2147483647",
                               "2147483648",
                               "4294967296",
                               "1099511627776",
                               "4611686018427387904",
                               "9223372036854775807",
                               "9223372036854775808",
                               "18446744073709551616",
                               "99999999999999999999999999",
                               "-2147483648",
                               "-9223372036854775808",
                               "1e308",
                               "1e309",
                               "-1e-320",
                               "0.5",
                               "0x10",
                               "00",
                               "+3",
                               "1.",
                               ".5",
                               "nan",
                               "inf"};

struct Mutator {
  Random *random;
  const Inputs &words;
  const std::string &other;
  std::string &s;

  size_t place() { return random->below(s.size() + 1); }
  // A part of `from`; mostly short.
  std::string part(const std::string &from) {
    const size_t start = random->below(from.size() + 1), left = from.size() - start;
    return from.substr(start, random->below(random->chance(4) ? left + 1 : std::min<size_t>(left, 16) + 1));
  }
  void overwrite(size_t at, const std::string &bytes) { s.replace(at, std::min(bytes.size(), s.size() - at), bytes); }
  std::string integer(uint64_t value) {
    const int width = 1 << random->below(4);
    return random->chance(2) ? big_endian(value, width) : little_endian(value, width);
  }

  void flip() {
    if (!s.empty()) s[random->below(s.size())] ^= static_cast<char>(1 << random->below(8));
  }
  void byte() {
    if (!s.empty()) s[random->below(s.size())] = static_cast<char>(random->next());
  }
  void edge() { overwrite(place(), integer(edges[random->below(sizeof edges / sizeof *edges)])); }
  void near() { // a little more or less than what is there
    const int width = 1 << random->below(4);
    if (s.size() < static_cast<size_t>(width)) return;
    const size_t at = random->below(s.size() - static_cast<size_t>(width) + 1);
    const bool big = random->chance(2);
    uint64_t value = 0;
    for (int i = 0; i < width; i++)
      value |= static_cast<uint64_t>(static_cast<uint8_t>(s[at + static_cast<size_t>(i)]))
               << 8 * (big ? width - 1 - i : i);
    value += random->below(17) - 8;
    overwrite(at, big ? big_endian(value, width) : little_endian(value, width));
  }
  void remove() {
    const size_t at = place();
    s.erase(at, random->below(random->chance(4) ? s.size() - at + 1 : 17));
  }
  void repeat() { // once, or often enough to be deep
    const std::string some = part(s);
    const size_t at = place();
    for (size_t n = random->chance(8) ? random->below(100) : 1; n; n--) s.insert(at, some);
  }
  void word() {
    if (words.empty()) return;
    const std::string &w = words[random->below(words.size())];
    if (random->chance(3))
      overwrite(place(), w);
    else
      s.insert(place(), w);
  }
  void cut() { s.resize(place()); }
  void splice() { s = s.substr(0, place()) + other.substr(random->below(other.size() + 1)); }
  void take() { s.insert(place(), part(other)); }
  void move() {
    const std::string some = part(s);
    overwrite(place(), some);
  }
  void number() { // a decimal number becomes another
    const size_t at = s.find_first_of("0123456789", place());
    if (at == std::string::npos) return;
    const size_t end = std::min(s.find_first_not_of("0123456789.", at), s.size());
    s.replace(at, end - at, numbers[random->below(sizeof numbers / sizeof *numbers)]);
  }
  void noise() {
    for (size_t n = random->below(8) + 1, at = place(); n; n--) s.insert(at, 1, static_cast<char>(random->next()));
  }
};

} // namespace

void mutate(Random *random, const Inputs &words, const std::string &other, size_t most, std::string *input) {
  static void (Mutator::*const ways[])() = {&Mutator::flip, &Mutator::byte,   &Mutator::edge,   &Mutator::near,
                                            &Mutator::near, &Mutator::remove, &Mutator::repeat, &Mutator::word,
                                            &Mutator::word, &Mutator::cut,    &Mutator::splice, &Mutator::take,
                                            &Mutator::move, &Mutator::number, &Mutator::number, &Mutator::noise};
  Mutator mutator{random, words, other, *input};
  for (size_t n = 1 + (random->chance(2) ? 0 : random->below(6)); n; n--) {
    (mutator.*ways[random->below(sizeof ways / sizeof *ways)])();
    if (input->size() > most) input->resize(most);
  }
}

} // namespace fuzz
