// The table of targets.
#ifndef LAMINA_TESTS_FUZZ_TARGETS_H
#define LAMINA_TESTS_FUZZ_TARGETS_H

#include "fuzz.h"

namespace fuzz {

extern const Target idx, gzip, npy, safetensors, picture;       // targets_files.cpp
extern const Target json, yaml, recipe, checkpoint;             // targets_nets.cpp
extern const Target cases, plan, dataset, environment, records; // targets_words.cpp

} // namespace fuzz

#endif
