// What the CUDA engines make of problems as large as real ones: each candidate's estimate and workspace, and the grids,
// blocks and shared memory of its launches, held against launches.txt. Nothing runs. What is slower, and right, shows here
// alone. Where a change is wanted, LAMINA_WRITE_LAUNCHES=FILE test_launches writes the file anew: its difference is what to
// look at. A new case is a line of it. One with ? for numbers is tried with many: from which on are other kernels launched? What a
// digest of it stands for is seen with a number in place of ?. One with ?? is about who offers itself up to which size.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "case.h"
#include "emulated.h"
#include "on_device.h"

namespace {

constexpr int64_t most = 1 << 17; // of the sizes that are tried for ?

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
  std::string text_of(const lamina_problem &problem, const lamina_candidate &candidate, bool with_seconds = true) {
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
    char seconds[48] = "";
    if (with_seconds) snprintf(seconds, sizeof seconds, "%.4g us, ", candidate.seconds * 1e6);
    std::string text = "  " + name + ": " + seconds + "workspace " + std::to_string(lamina_plan_workspace(plan)) + "\n";
    std::istringstream records(emulated->take_records());
    for (std::string record; std::getline(records, record);) text += "    " + record + "\n";
    lamina_plan_close(plan);
    return text;
  }

  std::vector<lamina_candidate> candidates_of(const lamina_problem &problem) {
    std::vector<lamina_candidate> list(64);
    int count = 64;
    EXPECT_EQ(lamina_candidates(device, &problem, nullptr, list.data(), &count), LAMINA_OK) << lamina_last_error();
    list.resize(static_cast<size_t>(std::min(count, 64)));
    list.erase(std::remove_if(list.begin(), list.end(), [](const lamina_candidate &c) { return c.seconds < 0; }),
               list.end());
    return list;
  }

  // What is launched where the numbers written ? are `size`: the names of kernels, and all of it. Nothing where it is no case.
  struct Way {
    std::string kernels, text;
  };
  // For ?? nothing is launched: who offers itself?
  Way way_of(const std::string &line, int64_t size) {
    const std::string mark = limits(line) ? "??" : "?";
    std::string at = line;
    for (size_t i; (i = at.find(mark)) != at.npos;) at.replace(i, mark.size(), std::to_string(size));
    lamina_case c = {};
    Way way;
    if (parse_case(at, &c)) return way;
    std::vector<lamina_candidate> list = candidates_of(c.problem);
    const auto name = [](const lamina_candidate &of) { return of.engine + std::string("/") + of.variant; };
    std::sort(list.begin(), list.end(), [&](const auto &a, const auto &b) { return name(a) < name(b); });
    for (const lamina_candidate &candidate : list) {
      if (limits(line)) {
        way.kernels += " " + std::string(candidate.engine) + (*candidate.variant ? "/" : "") + candidate.variant;
        continue;
      }
      std::istringstream text(text_of(c.problem, candidate, false));
      std::string record, kernels;
      std::getline(text, record);
      way.kernels += (way.kernels.empty() ? " " : "; ") + record.substr(2, record.find(": ") - 1);
      for (way.text += record; std::getline(text, record); way.text += record) {
        const std::string kernel = " " + record.substr(4, record.find_first_of("< ", 4) - 4);
        if ((kernels + " ").find(kernel + " ") == kernels.npos) kernels += kernel;
      }
      way.kernels += kernels;
    }
    return way;
  }

  static bool limits(const std::string &line) { return line.find("??") != line.npos; }

  // Each size from which on there are other kernels, which they are, and a digest of all that is launched from there on.
  // Tried are small sizes, those about powers of two and the emulation's limits (scaled() in kernels), and what lies
  // between two of them whose kernels are not the same.
  std::string ways_of(const std::string &line) {
    std::map<int64_t, Way> ways;
    for (int64_t size = 1; size < 34; size++) ways[size] = way_of(line, size);
    for (const int64_t size : {100, 101, 200, 201}) ways[size] = way_of(line, size);
    for (int64_t power = 64; power <= (limits(line) ? int64_t(1) << 33 : most); power *= 2)
      for (const int64_t size : {power * 3 / 4, power - 1, power, power + 1}) ways[size] = way_of(line, size);
    std::string text;
    for (auto from = ways.begin(); from != ways.end();) {
      auto other = from;
      while (other != ways.end() && other->second.kernels == from->second.kernels) other++;
      while (other != ways.end() && other->first - std::prev(other)->first > 1) {
        const int64_t size = (std::prev(other)->first + other->first) / 2;
        const auto middle = ways.emplace(size, way_of(line, size)).first;
        if (middle->second.kernels != from->second.kernels) other = middle;
      }
      uint32_t hash = 2166136261u; // FNV-1a
      for (auto way = from; way != other; way++)
        for (char c : way->second.text) hash = (hash ^ uint8_t(c)) * 16777619u;
      char digest[16];
      snprintf(digest, sizeof digest, "{%08x}", hash);
      if (limits(line))
        text +=
            "  " + std::to_string(from->first) + (from->second.kernels.empty() ? " none" : from->second.kernels) + "\n";
      else if (!from->second.text.empty())
        text += "  " + std::to_string(from->first) + " " + digest + from->second.kernels + "\n";
      from = other;
    }
    return text;
  }

  const emulated_control *emulated = nullptr;
  lamina_device *device = nullptr;
};

TEST_P(Launches, AreThoseWrittenDown) {
  const std::string &line = GetParam().line;
  std::string text;
  if (line.find('?') != line.npos) {
    text = ways_of(line);
  } else {
    const lamina_case c = case_of(line);
    for (const lamina_candidate &candidate : candidates_of(c.problem)) text += text_of(c.problem, candidate);
  }
  if (const char *name = std::getenv("LAMINA_WRITE_LAUNCHES"))
    std::ofstream(name, std::ios::app) << GetParam().about << line << '\n' << text;
  else
    EXPECT_EQ(text, GetParam().expected) << line << ": see " << __FILE__;
  EXPECT_NE(text, "");
}

std::string name_of(const testing::TestParamInfo<Problem> &info) { return case_name_of(info.index, info.param.line); }

INSTANTIATE_TEST_SUITE_P(All, Launches, testing::ValuesIn(problems()), name_of);

} // namespace
