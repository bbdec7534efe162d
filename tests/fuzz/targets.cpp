#include "targets.h"

namespace fuzz {

const std::vector<Target> &targets() {
  static const std::vector<Target> all = {idx,    gzip,       npy,   safetensors, picture, json,        yaml,
                                          recipe, checkpoint, cases, plan,        dataset, environment, records};
  return all;
}

} // namespace fuzz
