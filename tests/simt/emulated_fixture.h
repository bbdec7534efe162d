// What tests of the emulated device share, beyond those of CUDA's runtime.
#ifndef EMULATED_FIXTURE_H
#define EMULATED_FIXTURE_H

#include <string>

#include "runtime_fixture.h"

inline const emulated_control *const control = emulated_device_control();

class Emulated : public Runtime {
protected:
  static bool reported(const char *what) {
    return std::string(control->take_reports()).find(what) != std::string::npos;
  }
};

#endif
