// Mutations: what turns one input into another.
#ifndef LAMINA_TESTS_MUTATE_H
#define LAMINA_TESTS_MUTATE_H

#include "fuzz.h"

namespace fuzz {

// Changes `input` in a few places; `other` is a further input to take parts from. At most `most` bytes come out.
void mutate(Random *random, const Inputs &words, const std::string &other, size_t most, std::string *input);

} // namespace fuzz

#endif
