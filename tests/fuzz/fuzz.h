// Fuzzing without clang: inputs are mutated from a seed, and those that reach new code (gcc's trace-pc in the library's
// files) are kept and mutated further. A target gives the first inputs and runs one.
#ifndef LAMINA_TESTS_FUZZ_H
#define LAMINA_TESTS_FUZZ_H

#include <cstdint>
#include <string>
#include <vector>

extern "C" {
#include "core/base.h"
}

namespace fuzz {

using Inputs = std::vector<std::string>;

// splitmix64: the same numbers everywhere.
class Random {
public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next();
  size_t below(size_t n) { return n ? static_cast<size_t>(next() % n) : 0; }
  bool chance(size_t one_in) { return below(one_in) == 0; }

private:
  uint64_t state_;
};

struct Target {
  const char *name;
  Inputs (*seeds)();
  Inputs words;                               // what its format is made of
  void (*run)(const std::string &input);      // calls fail() where the library breaks a promise
  void (*mend)(std::string *input) = nullptr; // makes a mutated input valid again where chance can't: sums, lengths
  bool large = false; // a few bytes may stand for much; asking for it is fine, and it isn't given
};

const std::vector<Target> &targets();

// Ends the program with the sentence, the seed and the number of the input, and leaves the input in a file.
[[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

// The allocator that a run hands to the library. It gives what a file of the input's size may ask for; a run that asks
// for more, or leaves anything open, fails.
const lamina_allocator *memory();

// Calls that may fail: begin, the call, then this: the status must be one that a bad input may have (OUT_OF_MEMORY only
// where the target says that shapes are free), with a sentence of this call's own. True for LAMINA_OK.
void begin();
bool ended_well(lamina_status status, bool may_run_out = false);

// A file of the run's own folder, with this content; its path.
std::string put(const char *name, const std::string &content);

// Numbers in bytes.
std::string big_endian(uint64_t value, int bytes);
std::string little_endian(uint64_t value, int bytes);

} // namespace fuzz

#endif
