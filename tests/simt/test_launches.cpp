// What the CUDA engines make of problems as large as real ones: each candidate's estimate and workspace, and the grids,
// blocks and shared memory of its launches, held against launches.txt. Nothing runs. What is slower, and right, shows here
// alone. Where a change is wanted, LAMINA_WRITE_LAUNCHES=FILE test_launches writes the file anew: its difference is what to
// look at. A new case is a line of it.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "case.h"
#include "emulated.h"
#include "on_device.h"

namespace {

struct Problem {
  std::string about, line, expected; // lines with "#" before it, and those with two spaces behind it
};

std::ostream &operator<<(std::ostream &to, const Problem &problem) { return to << problem.line; }

std::vector<Problem> problems() {
  std::ifstream file(LAUNCHES);
  std::vector<Problem> list;
  std::string about;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#')
      about += line + "\n";
    else if (line[0] == ' ')
      list.back().expected += line + "\n";
    else
      list.push_back({about, line, ""}), about.clear();
  }
  return list;
}

const emulated_control *control() {
  const char *folder = std::getenv("LAMINA_MODULE_PATH");
  void *module = folder ? dlopen((std::string(folder) + "/liblamina-cuda.so").c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
  void *symbol = module ? dlsym(module, "emulated_device_control") : nullptr;
  return symbol ? reinterpret_cast<const emulated_control *(*)()>(symbol)() : nullptr;
}

class Launches : public testing::TestWithParam<Problem> {
protected:
  void SetUp() override {
    emulated = control();
    if (!emulated) GTEST_SKIP() << "the emulated device alone: ctest -R test_launches runs it";
    emulated->reset(0, 1, size_t(256) << 20);
    emulated->only_record();
    ASSERT_EQ(lamina_device_open("cuda:0", nullptr, &device), LAMINA_OK) << lamina_last_error();
  }
  void TearDown() override {
    lamina_device_close(device);
    if (!emulated) return;
    EXPECT_STREQ(emulated->take_reports(), "");
    EXPECT_STREQ(emulated->leaks(), "");
  }

  // Addresses that nothing looks at, aligned as the problem says and no better.
  static void *address(int i, int align) {
    return reinterpret_cast<void *>((uintptr_t(i) + 1) * (uintptr_t(1) << 36) + (align < 256 ? uintptr_t(align) : 0));
  }

  // A candidate's line and, further in, those of its launches.
  std::string text_of(const lamina_problem &problem, const lamina_candidate &candidate) {
    const std::string name = candidate.engine + std::string(*candidate.variant ? "/" : "") + candidate.variant;
    lamina_plan_options options = {};
    options.engine = name.c_str();
    lamina_plan *plan = nullptr;
    if (lamina_plan_open(device, &problem, &options, &plan)) return "  " + name + ": " + lamina_last_error() + "\n";
    lamina_args args = {};
    const lamina_op_def *op = lamina_op_at(problem.op);
    for (int i = 0; op->args[i].name; i++) {
      const lamina_desc &desc = lamina_plan_problem(plan)->arg[i];
      if (desc.dtype != LAMINA_NONE) args.p[i] = address(i, desc.align);
    }
    (void)emulated->take_records();
    EXPECT_EQ(lamina_plan_run(plan, &args, address(LAMINA_MAX_ARGS, 256), nullptr), LAMINA_OK) << lamina_last_error();
    char numbers[96];
    snprintf(numbers, sizeof numbers, ": %.4g us, workspace %zu\n", candidate.seconds * 1e6,
             lamina_plan_workspace(plan));
    std::string text = "  " + name + numbers;
    std::istringstream records(emulated->take_records());
    for (std::string record; std::getline(records, record);) text += "    " + record + "\n";
    lamina_plan_close(plan);
    return text;
  }

  const emulated_control *emulated = nullptr;
  lamina_device *device = nullptr;
};

TEST_P(Launches, AreThoseWrittenDown) {
  const lamina_case c = case_of(GetParam().line);
  lamina_candidate list[64];
  int count = 64;
  ASSERT_EQ(lamina_candidates(device, &c.problem, nullptr, list, &count), LAMINA_OK) << lamina_last_error();
  std::string text;
  for (int i = 0; i < count && i < 64; i++)
    if (list[i].seconds >= 0) text += text_of(c.problem, list[i]);
  if (const char *name = std::getenv("LAMINA_WRITE_LAUNCHES"))
    std::ofstream(name, std::ios::app) << GetParam().about << GetParam().line << '\n' << text;
  else
    EXPECT_EQ(text, GetParam().expected) << GetParam().line << ": see " << __FILE__;
}

std::string name_of(const testing::TestParamInfo<Problem> &info) { return case_name_of(info.index, info.param.line); }

INSTANTIATE_TEST_SUITE_P(All, Launches, testing::ValuesIn(problems()), name_of);

} // namespace
