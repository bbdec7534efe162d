// Tuning: the cache of what was found out, who may win, and that the winner is who plans from then on. The op is
// add/forward, or relu/forward where memory is shared; its engines here are probes, some of them wrong.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "core/records.h"
#include "lamina/lamina.h"
#include "temporary.h"

namespace {

// ---- Records ---------------------------------------------------------------------------------------------------------

struct Records {
  lamina_records all = {};
  ~Records() { lamina_records_close(&all); }
  void add(const std::vector<std::string> &words) {
    std::vector<const char *> fields;
    for (const std::string &word : words) fields.push_back(word.c_str());
    EXPECT_EQ(lamina_records_add(&all, fields.data(), static_cast<int>(fields.size()), true), LAMINA_OK);
  }
  const lamina_record *find(const std::vector<std::string> &words) const {
    std::vector<const char *> fields;
    for (const std::string &word : words) fields.push_back(word.c_str());
    return lamina_records_find(&all, fields.data());
  }
  std::string text() const {
    lamina_text text = {};
    lamina_records_write(&all, &text);
    const std::string written = text.data;
    lamina_text_free(&text);
    return written;
  }
  void read(const std::string &text) { EXPECT_EQ(lamina_records_read(&all, text.data(), text.size()), LAMINA_OK); }
};

std::vector<std::string> plan_of(const std::string &problem, const std::string &engine = "loop") {
  return {"plan", "cpu: 2 threads", problem, "00ff", engine, "1.5e-3", "0.02", "exact+full", "120", "0.1"};
}

std::string three_records() {
  Records r;
  r.add({"machine", "cpu: 2 threads", "1e11", "0", "2e10", "1e10", "2e-6"});
  r.add(plan_of("add/forward a=3 b=3"));
  r.add({"wrong", "cpu: 2 threads", "add/forward a=3 b=3", "00ff", "magic", "y[0] is 1; expected 2"});
  EXPECT_EQ(r.all.count, 3);
  return r.text();
}

TEST(Records, AreWrittenAsLinesAndReadBack) {
  Records r;
  r.read(three_records());
  ASSERT_EQ(r.all.count, 3);
  const lamina_record *plan = r.find({"plan", "cpu: 2 threads", "add/forward a=3 b=3", "00ff"});
  ASSERT_NE(plan, nullptr);
  EXPECT_STREQ(plan->field[4], "loop");
  EXPECT_FALSE(plan->fresh);
  EXPECT_EQ(r.find({"plan", "cpu: 1 threads", "add/forward a=3 b=3", "00ff"}), nullptr);
  EXPECT_EQ(r.find({"plan", "cpu: 2 threads", "add/forward a=4 b=4", "00ff"}), nullptr);
  EXPECT_EQ(r.find({"plan", "cpu: 2 threads", "add/forward a=3 b=3", "00fe"}), nullptr);
  r.add(plan_of("add/forward a=3 b=3", "onednn"));
  EXPECT_EQ(r.all.count, 3) << "a record with the same key takes the place of the old one";
  plan = r.find({"plan", "cpu: 2 threads", "add/forward a=3 b=3", "00ff"});
  EXPECT_STREQ(plan->field[4], "onednn");
  EXPECT_TRUE(plan->fresh);
}

TEST(Records, ThatAreNoneAreLeftOut) {
  Records r;
  r.add({"plan", "d", "p", "h", "e", "0", "0", "full", "1", "0"});    // no time at all
  r.add({"plan", "d", "p", "h", "e", "nan", "0", "full", "1", "0"});  // no number
  r.add({"plan", "d", "p", "h", "e", "1", "-1", "full", "1", "0"});   // less than nothing
  r.add({"plan", "d", "p", "h", "e", "1", "0", "full", "1"});         // too few
  r.add({"plan", "d", "p", "h", "", "1", "0", "full", "1", "0"});     // no engine
  r.add({"plan", "d\te", "p", "h", "e", "1", "0", "full", "1", "0"}); // would be read back as another
  r.add({"machine", "d", "0", "0", "1", "1", "1"});                   // a machine that does nothing
  r.add({"oracle", "d", "p", "h"});
  EXPECT_EQ(r.all.count, 0);
}

TEST(Records, OfADamagedFileThatAreWholeAreKept) {
  const std::string good = three_records();
  for (size_t length = 0; length <= good.size(); length++) { // cut anywhere
    Records r;
    r.read(good.substr(0, length));
    const int lines = static_cast<int>(std::count(good.begin(), good.begin() + static_cast<long>(length), '\n'));
    EXPECT_EQ(r.all.count, lines > 0 ? lines - 1 : 0) << length;
  }
  for (size_t at = 0; at < good.size(); at++)
    for (const char byte : {'\0', '\n', '\t', '9', '\xFF'}) { // one byte changed
      std::string bad = good;
      if (bad[at] == byte) continue;
      bad[at] = byte;
      Records r;
      r.read(bad);
      EXPECT_EQ(r.all.count, at < strlen("lamina-tune 1\n")             ? 0
                             : good[at] == '\n' && at + 1 < good.size() ? 1
                                                                        : 2)
          << at;
    }
  Records other;
  other.read("lamina-tune 2\n" + good.substr(good.find('\n') + 1));
  other.read(std::string(1 << 20, 'x'));
  other.read("lamina-tune 1\n" + std::string(1 << 20, 'x') + "\n");
  EXPECT_EQ(other.all.count, 0);
}

TEST(Records, AreBounded) {
  Records r;
  for (int i = 0; i < LAMINA_MOST_RECORDS + 5; i++) r.add({"wrong", "d", std::to_string(i), "h", "e", "r"});
  EXPECT_EQ(r.all.count, LAMINA_MOST_RECORDS);
  EXPECT_EQ(r.find({"wrong", "d", "4", "h", "e"}), nullptr) << "the oldest make room";
  EXPECT_NE(r.find({"wrong", "d", "5", "h", "e"}), nullptr);
}

TEST(Records, OfSeveralWritersAllStay) {
  Temporary folder;
  const std::string path = folder / "tune.txt";
  std::vector<pid_t> writers;
  for (int w = 0; w < 4; w++) {
    const pid_t pid = fork();
    if (pid == 0) {
      bool good = true;
      for (int n = 0; n < 10; n++) {
        Records r;
        r.add(plan_of("writer " + std::to_string(w) + " record " + std::to_string(n)));
        good &= lamina_records_save(path.c_str(), &r.all) == LAMINA_OK && !r.all.list[0].fresh;
      }
      _exit(good ? 0 : 1);
    }
    writers.push_back(pid);
  }
  for (const pid_t pid : writers) {
    int status = 0;
    waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
  }
  Records r;
  ASSERT_EQ(lamina_records_load(path.c_str(), &r.all), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(r.all.count, 40);
  EXPECT_EQ(folder.count(), 1) << "nothing but the file stays";
}

// ---- Probes ------------------------------------------------------------------------------------------------------------

struct Probe {
  double seconds = 1e-9; // its estimate
  int wait = 0;          // microseconds that a run takes
  int fault = 0;         // 1: the last element is off; 2: from the third run on; 3: it writes past y
  int runs = 0;
  std::set<float> seen; // the first elements that it was given
};

Probe &probe(const lamina_engine *engine) { return *static_cast<Probe *>(engine->user); }

void candidates(lamina_device *, const lamina_problem *, const lamina_engine *engine, lamina_candidate_fn *each,
                void *context) {
  each(context, "", probe(engine).seconds, "a probe");
}

lamina_status run_add(const lamina_plan *plan, const lamina_args *args, void *, lamina_stream *) {
  Probe &p = probe(plan->engine);
  const bool add = lamina_op_arg_count(plan->op) == 3;
  const int64_t n = lamina_desc_count(&plan->problem.arg[0]);
  const float *a = static_cast<const float *>(args->p[0]), *b = static_cast<const float *>(args->p[1]);
  float *y = static_cast<float *>(args->p[add ? 2 : 1]);
  p.seen.insert(a[0]);
  p.runs++;
  for (int64_t i = 0; i < n; i++) y[i] = add ? a[i] + b[i] : a[i] < 0 ? 0 : a[i];
  if (p.fault == 1 || (p.fault == 2 && p.runs > 3)) y[n - 1] += 1;
  if (p.fault == 3) y[n] = 1;
  if (p.wait) usleep(static_cast<useconds_t>(p.wait));
  return LAMINA_OK;
}

lamina_engine row(const char *name, Probe *probe, const char *op = "add/forward") {
  lamina_engine engine = {};
  engine.size = sizeof engine;
  engine.abi = LAMINA_ENGINE_ABI;
  engine.device = "cpu";
  engine.name = name;
  engine.op = op;
  engine.user = probe;
  engine.strides = LAMINA_STRIDES_DENSE;
  engine.candidates = candidates;
  engine.run = run_add;
  return engine;
}

void keep_log(void *user, lamina_log_level level, const char *message) {
  *static_cast<std::string *>(user) += (level == LAMINA_LOG_WARNING ? "warning: " : "") + std::string(message) + "\n";
}

// A device with probes, opened on a cache.
struct Device {
  lamina_device *device = nullptr;
  std::string log;
  std::vector<lamina_engine> rows;
  Device(const std::string &cache, bool tune, std::vector<lamina_engine> engines, int threads = 1)
      : rows(std::move(engines)) {
    lamina_device_options options = {};
    options.threads = threads;
    options.tune_cache = cache.c_str();
    options.tune = tune;
    options.tune_seconds = 0.01;
    options.log = keep_log;
    options.log_user = &log;
    EXPECT_EQ(lamina_device_open("cpu", &options, &device), LAMINA_OK) << lamina_last_error();
    for (const lamina_engine &engine : rows) EXPECT_EQ(lamina_engine_register(device, &engine), LAMINA_OK);
  }
  ~Device() { lamina_device_close(device); }
  Device(const Device &) = delete;
  Device &operator=(const Device &) = delete;

  // The engine that is planned for the words, and how it is explained.
  std::string plan(std::vector<const char *> words, std::string *explain = nullptr,
                   const lamina_plan_options *options = nullptr) {
    lamina_case c;
    lamina_plan *plan = nullptr;
    EXPECT_EQ(lamina_case_parse(static_cast<int>(words.size()), words.data(), nullptr, &c), LAMINA_OK);
    EXPECT_EQ(lamina_plan_open(device, &c.problem, options, &plan), LAMINA_OK) << lamina_last_error();
    const std::string engine = lamina_plan_engine(plan);
    if (explain) *explain = lamina_plan_explain(plan);
    lamina_plan_close(plan);
    return engine;
  }
  bool said(const std::string &words) const { return log.find(words) != std::string::npos; }
};

const std::vector<const char *> adding = {"add/forward", "a=64", "b=64"};

bool contains(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

// ---- Choosing ------------------------------------------------------------------------------------------------------------

TEST(Tune, TheFastestWinsStaysAndIsExplained) {
  Temporary folder;
  const std::string cache = folder / "tune.txt";
  Probe slow, fast;
  slow.wait = 2000;
  fast.seconds = 2e-9;
  const std::vector<lamina_engine> rows = {row("slow", &slow), row("fast", &fast)};
  std::string explain;
  {
    Device untuned(cache, false, rows);
    EXPECT_EQ(untuned.plan(adding), "slow") << "by its estimate";
    EXPECT_EQ(slow.runs + fast.runs, 0);
    EXPECT_EQ(access(cache.c_str(), F_OK), -1);
  }
  {
    Device tuning(cache, true, rows);
    EXPECT_EQ(tuning.plan(adding, &explain), "fast");
    EXPECT_TRUE(contains(explain, "fast: tuned: ")) << explain;
    EXPECT_TRUE(contains(explain, ", exact+full, chosen")) << explain;
    EXPECT_TRUE(tuning.said("tuned add/forward a=64 b=64")) << tuning.log;
    EXPECT_GT(fast.runs, 5);
    fast.runs = slow.runs = 0;
    const lamina_plan_options asked = {"slow", LAMINA_MATH_DEFAULT, false, 0};
    EXPECT_EQ(tuning.plan(adding, nullptr, &asked), "slow") << "who asks for an engine gets it";
  }
  Device again(cache, false, rows);
  EXPECT_EQ(again.plan(adding, &explain), "fast");
  EXPECT_TRUE(contains(explain, "fast: tuned: ")) << explain;
  Device known(cache, true, rows);
  EXPECT_EQ(known.plan(adding), "fast");
  EXPECT_EQ(slow.runs + fast.runs, 0) << "nothing is timed twice";
}

TEST(Tune, AnotherKeyIsAMiss) {
  Temporary folder;
  const std::string cache = folder / "tune.txt";
  Probe slow, fast, more;
  slow.wait = 2000;
  fast.seconds = 2e-9;
  more.seconds = 1;
  const std::vector<lamina_engine> rows = {row("slow", &slow), row("fast", &fast)};
  EXPECT_EQ(Device(cache, true, rows).plan(adding), "fast");
  EXPECT_EQ(Device(cache, false, rows).plan(adding), "fast");
  EXPECT_EQ(Device(cache, false, rows).plan({"add/forward", "a=65", "b=65"}), "slow") << "another shape";
  EXPECT_EQ(Device(cache, false, rows).plan({"add/forward", "a=64", "b=64", "y=@a"}), "slow") << "shared memory";
  EXPECT_EQ(Device(cache, false, rows).plan({"add/forward", "a=64", "b=64", "deterministic=1"}), "slow");
  EXPECT_EQ(Device(cache, false, rows, 2).plan(adding), "slow") << "another number of threads";
  std::vector<lamina_engine> others = rows;
  others.push_back(row("more", &more));
  EXPECT_EQ(Device(cache, false, others).plan(adding), "slow") << "another table of engines";
  EXPECT_EQ(Device("", false, rows).plan(adding), "slow") << "no cache";
}

TEST(Tune, AWrongEngineDoesntWinAndIsToldOf) {
#ifdef __SANITIZE_ADDRESS__ /* which ends the program for what is written past y */
  const std::vector<int> faults = {1, 2};
#else
  const std::vector<int> faults = {1, 2, 3};
#endif
  for (const int fault : faults) {
    Temporary folder;
    const std::string cache = folder / "tune.txt";
    Probe wrong, right;
    wrong.fault = fault;
    right.seconds = 2e-9;
    right.wait = 300;
    const std::vector<lamina_engine> rows = {row("wrong-fast", &wrong), row("right", &right)};
    std::string explain;
    {
      Device tuning(cache, true, rows);
      EXPECT_EQ(tuning.plan(adding, &explain), "right") << fault;
      EXPECT_TRUE(tuning.said("warning: add/forward a=64 b=64 y=64 by wrong-fast is left out: ")) << tuning.log;
      EXPECT_TRUE(tuning.said("lamina verify add/forward")) << tuning.log;
      EXPECT_TRUE(contains(explain, "wrong-fast: no, it was wrong when it was tuned: ")) << explain;
    }
    Device again(cache, false, rows);
    EXPECT_EQ(again.plan(adding, &explain), "right") << fault;
    EXPECT_TRUE(contains(explain, "wrong-fast: no, it was wrong when it was tuned: ")) << explain;
  }
}

TEST(Tune, WhatARunChangesIsPutBackBeforeTheNext) {
  Probe first, second;
  second.seconds = 2e-9;
  Device tuning("", true, {row("first", &first, "relu/forward"), row("second", &second, "relu/forward")});
  std::string explain;
  tuning.plan({"relu/forward", "x=64", "y=@x"}, &explain);
  EXPECT_TRUE(contains(explain, "tuned: ")) << explain;
  EXPECT_GT(first.runs, 5);
  EXPECT_LE(first.seen.size(), 2u) << "the exact numbers and the normal ones, each as they were";
}

TEST(Tune, SamplesLargeProblemsAndRepeatsUpdates) {
  Device tuning("", true, {}, 2);
  std::string explain;
  tuning.plan({"matmul/forward", "a=256x512", "b=512x256"}, &explain);
  EXPECT_TRUE(contains(explain, "exact+sample, chosen")) << explain;
  tuning.plan({"sgd/update", "w=100", "g=100", "m=100", "rate=1", "momentum=0.9"}, &explain);
  EXPECT_TRUE(contains(explain, "tuned: ")) << explain;
}

void expect_refused(const std::string &cache, bool tune, const char *reason) {
  lamina_device_options options = {};
  lamina_device *device = nullptr;
  options.tune_cache = cache.c_str();
  options.tune = tune;
  EXPECT_NE(lamina_device_open("cpu", &options, &device), LAMINA_OK) << cache;
  EXPECT_EQ(device, nullptr);
  EXPECT_TRUE(contains(lamina_last_error(), cache) && contains(lamina_last_error(), reason)) << lamina_last_error();
}

TEST(Tune, ABadCacheIsRefusedBeforeAnythingIsTuned) {
  Temporary folder;
  write_file(folder / "other.txt", "a letter");
  expect_refused(folder.path(), false, "Is a directory");
  expect_refused(folder / "none/tune.txt", true, "No such file");
  expect_refused(folder / "other.txt", true, "it is no tuning cache and would be written over");
  EXPECT_EQ(read_file(folder / "other.txt"), "a letter");
  write_file(folder / "later.txt", "lamina-tune 2\nplan\n");
  {
    Device reads(folder / "none/tune.txt", false, {}), writes(folder / "new.txt", true, {}),
        later(folder / "later.txt", true, {});
  }
  EXPECT_NE(access((folder / "new.txt").c_str(), F_OK), 0) << "nothing was found out";
  EXPECT_NE(access((folder / "new.txt.tmp").c_str(), F_OK), 0);
}

TEST(Tune, ACacheThatGoesAwayIsToldOfAndPlansGoOn) {
  Temporary folder;
  const std::string within = folder / "within", cache = within + "/tune.txt";
  ASSERT_EQ(mkdir(within.c_str(), 0777), 0);
  Device tuning(cache, true, {});
  ASSERT_EQ(rmdir(within.c_str()), 0);
  EXPECT_NE(tuning.plan(adding), "");
  EXPECT_TRUE(tuning.said("warning: what tuning finds isn't kept: ")) << tuning.log;
}

TEST(Tune, TheRooflineIsKeptAndWhatWasChosenCanBeSaved) {
  Temporary folder;
  const std::string cache = folder / "tune.txt", copy = folder / "copy.txt";
  lamina_roofline measured = {}, read = {};
  {
    Device tuning(cache, true, {});
    ASSERT_EQ(lamina_roofline_measure(tuning.device, &measured), LAMINA_OK) << lamina_last_error();
    tuning.plan(adding);
    ASSERT_EQ(lamina_tune_save(tuning.device, copy.c_str()), LAMINA_OK) << lamina_last_error();
  }
  for (const std::string &file : {cache, copy}) {
    std::string explain;
    Device again(file, false, {});
    lamina_device_roofline(again.device, &read);
    EXPECT_TRUE(read.measured);
    EXPECT_EQ(read.flops, measured.flops) << "to the last digit, or estimates would differ";
    EXPECT_EQ(read.copy, measured.copy);
    again.plan(adding, &explain);
    EXPECT_TRUE(contains(explain, "tuned: ")) << explain;
  }
  Device plain("", false, {});
  ASSERT_EQ(lamina_tune_save(plain.device, copy.c_str()), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(read_file(copy), "lamina-tune 1\n");
}

} // namespace
