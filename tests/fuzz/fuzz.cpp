// The loop: pick an input, mutate it, run it, keep it when it reached something new.
//
//   lamina_fuzz TARGET [--seconds N] [--seed N] [--inputs N]    fuzzes one target; 5 seconds ($LAMINA_FUZZ_SECONDS), seed 1
//   lamina_fuzz TARGET --file PATH                              runs one input
//   lamina_fuzz                                                 names the targets
//
// Input number i of a seed is the same on every machine (of one build). What fails is written to
// fuzz-TARGET-SEED-i, and the sanitizers' own reports come before.
#include "fuzz.h"

#include <sanitizer/asan_interface.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "mutate.h"

// Without these an input of a few bytes that asks for all memory would look like a machine in trouble.
extern "C" const char *__asan_default_options() { return "max_allocation_size_mb=512:hard_rss_limit_mb=4096"; }
// libubsan has no callback for its end, but a signal.
extern "C" const char *__ubsan_default_options() { return "abort_on_error=1:print_stacktrace=1"; }
extern "C" const char __executable_start;

namespace fuzz {

namespace {

enum : size_t { PLACES = 1 << 16, MOST_BYTES = 4096, MOST_INPUTS = 4096 };
enum { SECONDS_OF_ONE_INPUT = 20 };

// What is known of the run, for the reports of those who end it.
const Target *target;
const std::string *current;
uint64_t seed = 1, number;

// ---- Coverage: pairs of blocks that followed each other, each with a rough count

uint8_t counts[PLACES];
uint32_t touched[PLACES];
size_t touched_count;
uintptr_t previous;

uint8_t seen[PLACES]; // bit n: came 2^n times and more
bool news() {
  bool is_new = false;
  for (size_t i = 0; i < touched_count; i++) {
    const uint32_t place = touched[i];
    const int log2 = 31 - __builtin_clz(counts[place]);
    const uint8_t bit = static_cast<uint8_t>(1u << log2);
    is_new |= !(seen[place] & bit);
    seen[place] = static_cast<uint8_t>(seen[place] | bit);
    counts[place] = 0;
  }
  touched_count = 0;
  previous = 0;
  return is_new;
}

// ---- Memory

struct Memory {
  size_t open = 0, live = 0, most = SIZE_MAX;
  size_t refused = 0; // bytes that were asked for in vain
} usage;

void *allocate(void *, size_t size, size_t align) {
  if (size > usage.most || usage.live > usage.most - size) {
    if (!usage.refused) usage.refused = size;
    return nullptr;
  }
  usage.open++;
  usage.live += size;
  return aligned_alloc(align, (size + align - 1) / align * align);
}

void release(void *, void *bytes, size_t size) {
  usage.open--;
  usage.live -= size;
  free(bytes);
}

const lamina_allocator allocator = {allocate, release, nullptr};

// ---- Files

class Folder {
public:
  Folder() {
    for (const char *place : {"/dev/shm", "/tmp"}) {
      path_ = std::string(place) + "/lamina-fuzz-XXXXXX";
      if (mkdtemp(path_.data())) return;
    }
    perror("lamina_fuzz: no folder for its files");
    exit(2);
  }
  void remove() const {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string &path() const { return path_; }

private:
  std::string path_;
};

const Folder &folder() {
  static const Folder own;
  return own;
}

// ---- Ends

// Also called by the sanitizers when they end the program.
void leave_input() {
  if (!current) return;
  const std::string name =
      std::string("fuzz-") + target->name + "-" + std::to_string(seed) + "-" + std::to_string(number);
  std::ofstream(name, std::ios::binary) << *current;
  fprintf(stderr, "fuzz %s: input %llu of seed %llu failed; it is in %s, and `lamina_fuzz %s --file %s` repeats it\n",
          target->name, static_cast<unsigned long long>(number), static_cast<unsigned long long>(seed), name.c_str(),
          target->name, name.c_str());
  current = nullptr;
  folder().remove();
}

void on_signal(int signal) {
  fprintf(stderr, signal == SIGPROF ? "fuzz %s: one input took more than %d seconds\n" : "fuzz %s: aborted\n",
          target->name, SECONDS_OF_ONE_INPUT);
  leave_input();
  _exit(1);
}

void watch(int seconds) {
  const itimerval timer = {{0, 0}, {seconds, 0}};
  setitimer(ITIMER_PROF, &timer, nullptr);
}

void run(const std::string &input) {
  current = &input;
  usage = {};
  usage.most = (4u << 20) + 1100 * input.size();
  watch(SECONDS_OF_ONE_INPUT);
  target->run(input);
  watch(0);
  if (usage.open) fail("%zu allocations were left open", usage.open);
  if (usage.refused && !target->large)
    fail("%zu bytes of input asked for %zu bytes of memory", input.size(), usage.refused);
  current = nullptr;
}

uint64_t number_of(const char *text) {
  char *end;
  const unsigned long long value = strtoull(text, &end, 10);
  if (end == text || *end) {
    fprintf(stderr, "lamina_fuzz: \"%s\" is no number\n", text);
    exit(2);
  }
  return value;
}

std::string content_of(const char *path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    perror(path);
    exit(2);
  }
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void loop(double seconds, uint64_t most) {
  const auto start = std::chrono::steady_clock::now();
  const auto passed = [start] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  Random random(seed);
  Inputs kept;
  const Inputs seeds = target->seeds();
  news();
  for (const std::string &input : seeds) {
    run(input);
    news();
    kept.push_back(input);
  }
  for (number = 0; passed() < seconds && number < most; number++) {
    // Half of the time one of the latest.
    const size_t latest = std::min<size_t>(kept.size(), 64);
    std::string input = kept[random.chance(2) ? random.below(kept.size()) : kept.size() - 1 - random.below(latest)];
    mutate(&random, target->words, kept[random.below(kept.size())], MOST_BYTES, &input);
    if (target->mend && !random.chance(8)) target->mend(&input);
    news();
    run(input);
    if (news()) {
      if (kept.size() == MOST_INPUTS) kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(random.below(MOST_INPUTS)));
      kept.push_back(std::move(input));
    }
  }
  size_t places = 0;
  for (const uint8_t place : seen) places += place != 0;
  printf("fuzz %s: %llu inputs of seed %llu in %.0f seconds, %zu kept, %zu places in the code\n", target->name,
         static_cast<unsigned long long>(number), static_cast<unsigned long long>(seed), passed(), kept.size(), places);
}

} // namespace

uint64_t Random::next() {
  uint64_t z = state_ += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

void fail(const char *format, ...) {
  va_list list;
  va_start(list, format);
  fprintf(stderr, "fuzz %s: ", target->name);
  vfprintf(stderr, format, list);
  fputc('\n', stderr);
  va_end(list);
  leave_input();
  _exit(1);
}

const lamina_allocator *memory() { return &allocator; }

static const char unset[] = "(no sentence was set)";

void begin() { (void)lamina_error(LAMINA_INTERNAL, "%s", unset); }

bool ended_well(lamina_status status, bool may_run_out) {
  if (status == LAMINA_OK) return true;
  const char *sentence = lamina_last_error();
  if (strcmp(sentence, unset) == 0 || !*sentence) fail("%s without a sentence", lamina_status_name(status));
  const bool expected = status == LAMINA_INVALID || status == LAMINA_UNSUPPORTED || status == LAMINA_IO ||
                        status == LAMINA_CORRUPT || (may_run_out && status == LAMINA_OUT_OF_MEMORY);
  if (!expected && !usage.refused) fail("%s: %s", lamina_status_name(status), sentence);
  return false;
}

std::string put(const char *name, const std::string &content) {
  const std::string path = folder().path() + "/" + name;
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

std::string big_endian(uint64_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; i--) text += static_cast<char>(value >> 8 * i);
  return text;
}

std::string little_endian(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; i++) text += static_cast<char>(value >> 8 * i);
  return text;
}

} // namespace fuzz

// Called at the start of every basic block of the library's files.
extern "C" __attribute__((no_sanitize("address", "undefined"))) void __sanitizer_cov_trace_pc() {
  using namespace fuzz;
  const uintptr_t place =
      reinterpret_cast<uintptr_t>(__builtin_return_address(0)) - reinterpret_cast<uintptr_t>(&__executable_start);
  const uint32_t edge = static_cast<uint32_t>(((place ^ previous) * 0x9E3779B97F4A7C15u) >> 48);
  previous = place >> 1;
  if (counts[edge] == 0) touched[touched_count++] = edge;
  if (counts[edge] != 255) counts[edge]++;
}

int main(int argc, char **argv) {
  using namespace fuzz;
  const char *wanted = getenv("LAMINA_FUZZ_SECONDS");
  double seconds = wanted ? static_cast<double>(number_of(wanted)) : 5;
  uint64_t most = ~0ull;
  const char *file = nullptr;
  for (const Target &t : targets())
    if (argc > 1 && strcmp(t.name, argv[1]) == 0) target = &t;
  for (int i = 2; i < argc; i += 2) {
    const std::string option = argv[i];
    const char *value = i + 1 < argc ? argv[i + 1] : "";
    if (option == "--seconds")
      seconds = static_cast<double>(number_of(value));
    else if (option == "--seed")
      seed = number_of(value);
    else if (option == "--inputs")
      most = number_of(value), seconds = 1e9;
    else if (option == "--file")
      file = value;
    else
      target = nullptr;
  }
  if (!target) {
    fprintf(stderr, "usage: lamina_fuzz TARGET [--seconds N] [--seed N] [--inputs N] [--file PATH]\n");
    for (const Target &t : targets()) fprintf(stderr, "  %s\n", t.name);
    return 2;
  }
  __sanitizer_set_death_callback(leave_input);
  signal(SIGABRT, on_signal);
  signal(SIGPROF, on_signal);
  if (file)
    run(content_of(file));
  else
    loop(seconds, most);
  folder().remove();
  return 0;
}
