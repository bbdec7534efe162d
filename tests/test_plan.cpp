// Plans: how an engine is chosen and who may say so, the cache, packing, what runs are refused, and many threads at once.
// The op is add/forward; its engines here are probes that count what the core does with them.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "failing_allocator.h"
#include "lamina/lamina.h"

extern "C" lamina_status lamina_estimate(lamina_device *, const lamina_problem *, const lamina_plan_options *,
                                         double *); // core/candidates.h, which is C alone

namespace {

// What one probe engine was asked to do, and how it answers.
struct Probe {
  double seconds = 1e-9;         // its estimate: less than any real engine's
  const char *refuses = nullptr; // the reason that `candidates` gives
  bool fails_to_prepare = false;
  size_t workspace = 0;
  std::atomic<int> prepared{0}, released{0}, ran{0};
  std::mutex lock;
  lamina_problem seen = {}; // as prepare saw it last
};

Probe &probe(const lamina_engine *engine) { return *static_cast<Probe *>(engine->user); }

void candidates(lamina_device *, const lamina_problem *, const lamina_engine *engine, lamina_candidate_fn *each,
                void *context) {
  const Probe &p = probe(engine);
  each(context, p.refuses ? nullptr : "", p.seconds, p.refuses ? p.refuses : "a probe");
}

lamina_status prepare(lamina_plan *plan) {
  Probe &p = probe(plan->engine);
  p.prepared++;
  plan->state = &p;
  if (p.fails_to_prepare) return lamina_error(LAMINA_UNSUPPORTED, "the probe changed its mind");
  {
    const std::lock_guard<std::mutex> guard(p.lock); // many threads may plan
    p.seen = plan->problem;
  }
  plan->workspace = p.workspace;
  std::strcpy(plan->note, "probed");
  return LAMINA_OK;
}

lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *) {
  probe(plan->engine).ran++;
  if (plan->workspace) std::memset(workspace, 0xAB, plan->workspace);
  const lamina_desc *d = plan->problem.arg;
  for (int64_t i = 0; i < lamina_desc_count(&d[2]); i++)
    static_cast<float *>(args->p[2])[lamina_desc_offset(&d[2], i)] =
        static_cast<const float *>(args->p[0])[lamina_desc_offset(&d[0], i)] +
        static_cast<const float *>(args->p[1])[lamina_desc_offset(&d[1], i)];
  return LAMINA_OK;
}

void release(lamina_plan *plan) { probe(plan->engine).released += plan->state != nullptr; }

lamina_engine row(const char *name, Probe *probe, lamina_strides strides = LAMINA_STRIDES_ANY) {
  lamina_engine engine = {};
  engine.size = sizeof engine;
  engine.abi = LAMINA_ENGINE_ABI;
  engine.device = "cpu";
  engine.name = name;
  engine.op = "add/forward";
  engine.user = probe;
  engine.strides = strides;
  engine.candidates = candidates;
  engine.prepare = prepare;
  engine.run = run;
  engine.release = release;
  return engine;
}

lamina_problem add_of(const lamina_desc &a, const lamina_desc &b) {
  const lamina_desc y = lamina_infer(LAMINA_NONE), *args[] = {&a, &b, &y};
  lamina_problem problem;
  EXPECT_EQ(lamina_problem_init(&problem, lamina_op_find("add/forward"), nullptr, args), LAMINA_OK);
  return problem;
}

lamina_problem add_of(int64_t n) {
  const lamina_desc x = lamina_dense(LAMINA_F32, 1, &n);
  return add_of(x, x);
}

bool contains(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

class Plan : public testing::Test {
protected:
  void open(const lamina_device_options &options = {}) {
    lamina_device_close(device);
    ASSERT_EQ(lamina_device_open("cpu", &options, &device), LAMINA_OK) << lamina_last_error();
    first = row("probe", &probes[0]);
    second = row("probe/late", &probes[1], LAMINA_STRIDES_DENSE);
    probes[1].seconds = 1;
    ASSERT_EQ(lamina_engine_register(device, &first), LAMINA_OK) << lamina_last_error();
    ASSERT_EQ(lamina_engine_register(device, &second), LAMINA_OK) << lamina_last_error();
  }
  void SetUp() override { open(); }
  void TearDown() override { lamina_device_close(device); }

  lamina_plan *plan(const lamina_problem &problem, const lamina_plan_options &options = {}) {
    lamina_plan *p = nullptr;
    EXPECT_EQ(lamina_plan_open(device, &problem, &options, &p), LAMINA_OK) << lamina_last_error();
    return p;
  }
  static lamina_plan_options engine(const char *name) {
    lamina_plan_options options = {};
    options.engine = name;
    return options;
  }
  lamina_cache_info cache() const {
    lamina_cache_info info;
    lamina_device_cache(device, &info);
    return info;
  }

  lamina_device *device = nullptr;
  Probe probes[2];
  lamina_engine first, second;
};

// ---- The choice ----------------------------------------------------------------------------------------------------

TEST_F(Plan, TheSmallestEstimateWinsAndTheRestIsExplained) {
  lamina_plan *p = plan(add_of(5));
  EXPECT_STREQ(lamina_plan_engine(p), "probe");
  EXPECT_STREQ(lamina_plan_variant(p), "");
  const std::string text = lamina_plan_explain(p);
  EXPECT_EQ(text.rfind("probe: estimated 1e-06 ms, chosen; probed; a probe\n", 0), 0u) << text;
  EXPECT_TRUE(contains(text, "\nref: estimated ")) << text;
  EXPECT_LT(text.find("\nref: "), text.find("\nprobe/late: estimated 1e+03 ms")) << text;
  lamina_plan_close(p);
}

TEST_F(Plan, RefusalsAreListedWithTheirReasons) {
  probes[0].refuses = "it is Sunday";
  probes[1].seconds = 1e-9;
  probes[1].fails_to_prepare = true;
  lamina_plan *p = plan(add_of(5));
  const std::string text = lamina_plan_explain(p);
  EXPECT_TRUE(contains(text, "probe: no, it is Sunday\n")) << text;
  EXPECT_TRUE(contains(text, "probe/late: no, the probe changed its mind\n")) << text;
  EXPECT_STRNE(lamina_plan_engine(p), "probe/late");
  EXPECT_EQ(probes[1].prepared, 1);
  EXPECT_EQ(probes[1].released, 1) << "also after a prepare that failed";
  lamina_plan_close(p);

  lamina_plan *none = nullptr;
  const lamina_problem problem = add_of(6);
  const lamina_plan_options only = engine("probe");
  EXPECT_EQ(lamina_plan_open(device, &problem, &only, &none), LAMINA_UNSUPPORTED);
  EXPECT_EQ(none, nullptr);
  EXPECT_TRUE(contains(lamina_last_error(), "add/forward: no engine can run it:")) << lamina_last_error();
  EXPECT_TRUE(contains(lamina_last_error(), "it is Sunday")) << lamina_last_error();
}

TEST_F(Plan, CandidatesComeBestFirstAndRefusalsLast) {
  probes[1].refuses = "not today";
  lamina_candidate list[16];
  int count = 16;
  const lamina_problem problem = add_of(5);
  ASSERT_EQ(lamina_candidates(device, &problem, nullptr, list, &count), LAMINA_OK) << lamina_last_error();
  ASSERT_GE(count, 3);
  EXPECT_STREQ(list[0].engine, "probe");
  EXPECT_STREQ(list[count - 1].engine, "probe/late");
  EXPECT_LT(list[count - 1].seconds, 0);
  EXPECT_STREQ(list[count - 1].reason, "not today");
  int room = 1;
  ASSERT_EQ(lamina_candidates(device, &problem, nullptr, list, &room), LAMINA_OK);
  EXPECT_EQ(room, count) << "there are more than fit";
}

TEST_F(Plan, OverridesMatchWholeParts) {
  const char *const expected[][2] = {{"ref", "ref"}, {"probe/late", "probe/late"}, {"probe", "probe"}, {"", "probe"}};
  for (const auto &e : expected) {
    lamina_plan *p = plan(add_of(5), engine(e[0]));
    EXPECT_STREQ(lamina_plan_engine(p), e[1]) << "asked for \"" << e[0] << "\"";
    lamina_plan_close(p);
  }
  lamina_plan *none = nullptr;
  const lamina_problem problem = add_of(5);
  const lamina_plan_options part = engine("prob");
  EXPECT_EQ(lamina_plan_open(device, &problem, &part, &none), LAMINA_UNSUPPORTED);
  EXPECT_STREQ(lamina_last_error(), "add/forward: there is no engine \"prob\" for it");
}

TEST_F(Plan, ThePlansWordBeatsTheDevicesAndTheLastOneCounts) {
  lamina_device_options options = {};
  options.engine = "add:loop,add/forward:ref,relu:ref";
  open(options);
  lamina_plan *by_device = plan(add_of(5)), *by_plan = plan(add_of(5), engine("probe"));
  EXPECT_STREQ(lamina_plan_engine(by_device), "ref");
  EXPECT_STREQ(lamina_plan_engine(by_plan), "probe");
  lamina_plan_close(by_device);
  lamina_plan_close(by_plan);
}

TEST_F(Plan, TheEnvironmentChoosesToo) {
  ASSERT_EQ(setenv("LAMINA_ENGINE", "add/forward:ref", 1), 0);
  open();
  unsetenv("LAMINA_ENGINE");
  lamina_plan *p = plan(add_of(5));
  EXPECT_STREQ(lamina_plan_engine(p), "ref");
  lamina_plan_close(p);
}

TEST_F(Plan, AWorkspaceLimitPassesOverTheGreedy) {
  probes[0].workspace = 1000;
  lamina_plan_options options = {};
  options.workspace_limit = 512;
  lamina_plan *small = plan(add_of(5), options), *large = plan(add_of(5));
  EXPECT_STRNE(lamina_plan_engine(small), "probe");
  EXPECT_TRUE(
      contains(lamina_plan_explain(small), "probe: no, it needs 1024 bytes of workspace, more than the limit of 512"))
      << lamina_plan_explain(small);
  EXPECT_STREQ(lamina_plan_engine(large), "probe");
  EXPECT_EQ(lamina_plan_workspace(large), 1024u) << "whole cache lines";
  lamina_plan_close(small);
  lamina_plan_close(large);
}

TEST_F(Plan, MathAndDeterminismBelongToTheProblem) {
  lamina_plan_options options = {};
  options.deterministic = true;
  options.math = LAMINA_MATH_STRICT;
  lamina_plan *p = plan(add_of(5), options);
  EXPECT_EQ(lamina_plan_problem(p)->flags, LAMINA_DETERMINISTIC);
  EXPECT_EQ(lamina_plan_problem(p)->math, LAMINA_MATH_STRICT);
  lamina_plan_close(p);
}

// ---- The cache -----------------------------------------------------------------------------------------------------

TEST_F(Plan, EqualProblemsShareAPlan) {
  lamina_problem given = add_of(5), inferred = given;
  ASSERT_EQ(lamina_problem_infer(&inferred), LAMINA_OK);
  lamina_plan *a = plan(given), *b = plan(inferred), *c = plan(add_of(6)), *d = plan(given, engine("probe"));
  EXPECT_EQ(a, b);
  EXPECT_NE(a, c);
  EXPECT_NE(a, d) << "what was asked for is part of the key";
  EXPECT_EQ(cache().hits, 1u);
  EXPECT_EQ(cache().misses, 3u);
  EXPECT_EQ(cache().plans, 3);
  for (lamina_plan *p : {a, b, c, d}) lamina_plan_close(p);
  EXPECT_EQ(probes[0].released, 0) << "the cache keeps them";
  lamina_device_close(device);
  device = nullptr;
  EXPECT_EQ(probes[0].released, 3);
}

TEST_F(Plan, TheLongestUnusedPlanGoesAndOneInUseLives) {
  lamina_device_options options = {};
  options.plan_cache = 2;
  open(options);
  lamina_plan *held = plan(add_of(1));
  lamina_plan_close(plan(add_of(2)));
  lamina_plan_close(plan(add_of(1))); // now 2 is the longest unused
  lamina_plan_close(plan(add_of(3)));
  EXPECT_EQ(cache().evictions, 1u);
  EXPECT_EQ(probes[0].released, 1);
  lamina_plan_close(plan(add_of(1)));
  EXPECT_EQ(cache().hits, 2u) << "1 is still there";
  lamina_plan_close(plan(add_of(4)));
  lamina_plan_close(plan(add_of(5)));
  EXPECT_EQ(cache().evictions, 3u);
  EXPECT_EQ(cache().plans, 2);
  EXPECT_EQ(probes[0].released, 2) << "1 was put out, but is in use";
  float a = 1, b = 2, y = 0;
  const lamina_args args = {{&a, &b, &y}};
  ASSERT_EQ(lamina_plan_run(held, &args, nullptr, nullptr), LAMINA_OK);
  EXPECT_EQ(y, 3);
  lamina_plan_close(held);
  EXPECT_EQ(probes[0].released, 3);
}

TEST_F(Plan, TheSimplePathPlansOnce) {
  float a[4] = {1, 2, 3, 4}, y[4] = {};
  const lamina_tensor at = lamina_vector(LAMINA_F32, 4, a), yt = lamina_vector(LAMINA_F32, 4, y);
  for (int i = 0; i < 3; i++) ASSERT_EQ(lamina_add_forward(device, &at, &at, &yt, nullptr), LAMINA_OK);
  EXPECT_EQ(y[3], 8);
  EXPECT_EQ(probes[0].prepared, 1);
  EXPECT_EQ(probes[0].ran, 3);
  EXPECT_EQ(cache().hits, 2u);
}

// ---- Packing -------------------------------------------------------------------------------------------------------

TEST_F(Plan, StridesThatAnEngineDoesNotTakeArePacked) {
  const int64_t dims[] = {2, 3}, columns[] = {1, 2}, gaps[] = {8, 2};
  const lamina_desc a = lamina_strided(LAMINA_F32, 2, dims, columns), b = lamina_dense(LAMINA_F32, 2, dims);
  const lamina_desc y = lamina_strided(LAMINA_F32, 2, dims, gaps), *args[] = {&a, &b, &y};
  lamina_problem problem;
  ASSERT_EQ(lamina_problem_init(&problem, lamina_op_find("add/forward"), nullptr, args), LAMINA_OK);
  lamina_plan *p = plan(problem, engine("probe/late"));
  for (int i = 0; i < 3; i++) EXPECT_TRUE(lamina_desc_is_dense(&probes[1].seen.arg[i])) << i;
  EXPECT_TRUE(contains(lamina_plan_explain(p), "; 2 arguments packed")) << lamina_plan_explain(p);
  EXPECT_EQ(lamina_plan_workspace(p), 128u);
  EXPECT_EQ(lamina_plan_problem(p)->arg[0].strides[0], 1) << "the plan's own problem stays the user's";
  float x[6] = {1, 4, 2, 5, 3, 6}, w[6] = {10, 20, 30, 40, 50, 60}, z[13];
  alignas(64) char workspace[128];
  for (float &v : z) v = -1;
  const lamina_args data = {{x, w, z}};
  ASSERT_EQ(lamina_plan_run(p, &data, workspace, nullptr), LAMINA_OK) << lamina_last_error();
  const std::vector<float> expected = {11, -1, 22, -1, 33, -1, -1, -1, 44, -1, 55, -1, 66};
  EXPECT_EQ(std::vector<float>(z, z + 13), expected) << "and gaps stay as they were";
  lamina_plan_close(p);
}

// Blocks are packed for engines that don't know them, and reach those that do; one layout for all arguments is flat memory.
TEST_F(Plan, BlocksReachWhoTakesThem) {
  const int64_t dims[] = {2, 4, 3};
  const lamina_desc blocked = lamina_blocked(LAMINA_F32, 3, dims, LAMINA_BLOCK(1, 2));
  const lamina_desc dense = lamina_dense(LAMINA_F32, 3, dims), *mixed[] = {&blocked, &dense, &blocked};
  const lamina_desc *same[] = {&blocked, &blocked, &blocked};
  const lamina_strides takes[] = {LAMINA_STRIDES_ANY, LAMINA_STRIDES_DENSE, LAMINA_STRIDES_SAME,
                                  LAMINA_STRIDES_BLOCKED};
  lamina_problem problem, alike;
  ASSERT_EQ(lamina_problem_init(&problem, lamina_op_find("add/forward"), nullptr, mixed), LAMINA_OK);
  ASSERT_EQ(lamina_problem_init(&alike, lamina_op_find("add/forward"), nullptr, same), LAMINA_OK);
  for (const lamina_strides strides : takes) {
    lamina_device *other = nullptr;
    Probe probe;
    const lamina_engine engine_row = row("probe/blocks", &probe, strides);
    ASSERT_EQ(lamina_device_open("cpu", nullptr, &other), LAMINA_OK);
    ASSERT_EQ(lamina_engine_register(other, &engine_row), LAMINA_OK) << lamina_last_error();
    for (const lamina_problem *p : {&problem, &alike}) {
      lamina_plan *planned = nullptr;
      ASSERT_EQ(lamina_plan_open(other, p, nullptr, &planned), LAMINA_OK) << lamina_last_error();
      const bool packed = strides == LAMINA_STRIDES_ANY || strides == LAMINA_STRIDES_DENSE ||
                          (strides == LAMINA_STRIDES_SAME && p == &problem);
      EXPECT_EQ(probe.seen.arg[0].layout, packed ? 0 : LAMINA_BLOCK(1, 2)) << strides;
      EXPECT_EQ(lamina_plan_problem(planned)->arg[0].layout, LAMINA_BLOCK(1, 2));
      float x[24], w[24], y[24] = {};
      for (int i = 0; i < 24; i++) x[i] = static_cast<float>(i), w[i] = static_cast<float>(100 * i);
      std::vector<char> workspace(lamina_plan_workspace(planned) + 64);
      const lamina_args args = {{x, w, y}};
      void *aligned = workspace.data() + (64 - reinterpret_cast<uintptr_t>(workspace.data()) % 64);
      ASSERT_EQ(lamina_plan_run(planned, &args, aligned, nullptr), LAMINA_OK) << lamina_last_error();
      for (int64_t i = 0; i < 24; i++) {
        const lamina_desc *d = lamina_plan_problem(planned)->arg;
        ASSERT_EQ(y[lamina_desc_offset(&d[2], i)], x[lamina_desc_offset(&d[0], i)] + w[lamina_desc_offset(&d[1], i)]);
      }
      lamina_plan_close(planned);
    }
    lamina_device_close(other);
  }
}

// What a layout that is left open becomes: row-major, what others have, or what a prepare says.
TEST_F(Plan, OpenLayoutsAreChosen) {
  const int64_t dims[] = {2, 4, 3};
  const lamina_desc any = lamina_blocked(LAMINA_F32, 3, dims, LAMINA_LAYOUT_ANY);
  const lamina_desc blocked = lamina_blocked(LAMINA_F32, 3, dims, LAMINA_BLOCK(1, 2)), *args[] = {&blocked, &any, &any};
  lamina_problem problem;
  ASSERT_EQ(lamina_problem_init(&problem, lamina_op_find("add/forward"), nullptr, args), LAMINA_OK);
  for (const lamina_strides strides : {LAMINA_STRIDES_ANY, LAMINA_STRIDES_SAME, LAMINA_STRIDES_BLOCKED}) {
    for (const bool chooses : {false, true}) {
      if (chooses && strides != LAMINA_STRIDES_BLOCKED) continue;
      lamina_device *other = nullptr;
      lamina_plan *planned = nullptr;
      Probe probe;
      lamina_engine engine_row = row("probe/open", &probe, strides);
      if (chooses)
        engine_row.prepare = [](lamina_plan *plan) {
          plan->problem.arg[2] = lamina_blocked(LAMINA_F32, 3, plan->problem.arg[2].dims, LAMINA_BLOCK(0, 1));
          return LAMINA_OK;
        };
      ASSERT_EQ(lamina_device_open("cpu", nullptr, &other), LAMINA_OK);
      ASSERT_EQ(lamina_engine_register(other, &engine_row), LAMINA_OK) << lamina_last_error();
      ASSERT_EQ(lamina_plan_open(other, &problem, nullptr, &planned), LAMINA_OK) << lamina_last_error();
      const lamina_desc *chosen = lamina_plan_problem(planned)->arg;
      const lamina_desc dense = lamina_dense(LAMINA_F32, 3, dims);
      const lamina_desc want = chooses ? lamina_blocked(LAMINA_F32, 3, dims, LAMINA_BLOCK(0, 1))
                               : strides == LAMINA_STRIDES_SAME ? blocked
                                                                : dense;
      EXPECT_EQ(chosen[2].layout, want.layout) << strides;
      EXPECT_EQ(std::memcmp(chosen[2].strides, want.strides, sizeof want.strides), 0) << strides;
      EXPECT_EQ(lamina_plan_workspace(planned) > 0, strides == LAMINA_STRIDES_ANY) << "x alone is packed for it";
      lamina_plan_close(planned);
      lamina_device_close(other);
    }
  }
}

TEST_F(Plan, LayoutsThatDoNotFitAreNotChosen) {
  const int64_t dims[] = {2, 4, 3};
  const lamina_desc any = lamina_blocked(LAMINA_F32, 3, dims, LAMINA_LAYOUT_ANY), *args[] = {&any, &any, &any};
  lamina_problem problem;
  lamina_device *other = nullptr;
  lamina_plan *planned = nullptr;
  Probe probe;
  lamina_engine engine_row = row("probe/gaps", &probe, LAMINA_STRIDES_BLOCKED);
  engine_row.prepare = [](lamina_plan *plan) {
    plan->problem.arg[2] = lamina_blocked(LAMINA_F32, 3, plan->problem.arg[2].dims, LAMINA_BLOCK(1, 3));
    return LAMINA_OK;
  };
  ASSERT_EQ(lamina_problem_init(&problem, lamina_op_find("add/forward"), nullptr, args), LAMINA_OK);
  ASSERT_EQ(lamina_device_open("cpu", nullptr, &other), LAMINA_OK);
  ASSERT_EQ(lamina_engine_register(other, &engine_row), LAMINA_OK) << lamina_last_error();
  const lamina_plan_options only = engine("probe/gaps");
  EXPECT_EQ(lamina_plan_open(other, &problem, &only, &planned), LAMINA_UNSUPPORTED);
  EXPECT_TRUE(contains(lamina_last_error(), "the layout that its prepare chose for y doesn't fit, or leaves gaps"))
      << lamina_last_error();
  lamina_device_close(other);
}

// An estimate is what the best candidate says, without preparing it.
TEST_F(Plan, EstimatesPrepareNothing) {
  const lamina_problem problem = add_of(4);
  double seconds = 0;
  probes[0].seconds = 3e-9, probes[1].seconds = 2e-9;
  ASSERT_EQ(lamina_estimate(device, &problem, nullptr, &seconds), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(seconds, 2e-9);
  EXPECT_EQ(probes[0].prepared + probes[1].prepared, 0);
  const lamina_plan_options nobody = engine("nobody");
  ASSERT_EQ(lamina_estimate(device, &problem, &nobody, &seconds), LAMINA_OK) << lamina_last_error();
  EXPECT_LT(seconds, 0);
}

// ---- Running -------------------------------------------------------------------------------------------------------

TEST_F(Plan, RunsThatCannotBeAreRefused) {
  probes[0].workspace = 64;
  lamina_problem problem = add_of(4);
  problem.arg[1].align = 16;
  lamina_plan *p = plan(problem);
  alignas(64) float a[8] = {}, y[8] = {}, workspace[16];
  lamina_args args = {{a, a, y}};
  EXPECT_EQ(lamina_plan_run(p, &args, workspace, nullptr), LAMINA_OK);
  EXPECT_EQ(lamina_plan_run(p, &args, nullptr, nullptr), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "add/forward: the plan needs 64 bytes of workspace, but workspace is NULL");
  args.p[1] = a + 1;
  EXPECT_EQ(lamina_plan_run(p, &args, workspace, nullptr), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "add/forward: b is not aligned to 16 bytes, as its plan was promised");
  args.p[1] = nullptr;
  EXPECT_EQ(lamina_plan_run(p, &args, workspace, nullptr), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "add/forward: the data of b is NULL");
  lamina_copy_forward_args other = {a, y};
  EXPECT_EQ(lamina_copy_forward_run(p, &other, nullptr, nullptr), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "copy/forward: the plan is one of add/forward");
  EXPECT_EQ(probes[0].ran, 1);
  lamina_plan_close(p);
  lamina_plan_close(nullptr);
  EXPECT_EQ(lamina_plan_open(nullptr, &problem, nullptr, &p), LAMINA_INVALID);
}

TEST_F(Plan, NothingRunsWhereNothingComesOut) {
  lamina_plan *p = plan(add_of(0));
  EXPECT_STREQ(lamina_plan_engine(p), "");
  EXPECT_STREQ(lamina_plan_explain(p), "nothing to do: no output has elements\n");
  const lamina_args args = {};
  EXPECT_EQ(lamina_plan_run(p, &args, nullptr, nullptr), LAMINA_OK);
  EXPECT_EQ(probes[0].prepared + probes[0].ran, 0);
  lamina_plan_close(p);
}

// An empty sum's identity comes from the reference, whatever engine was asked for.
TEST_F(Plan, EmptyReductionsAreZero) {
  const int64_t dy[] = {0, 3, 5}, db[] = {3};
  float out[3] = {7, 7, 7}, nothing[1];
  const lamina_tensor dyt = lamina_tensor_of(lamina_dense(LAMINA_F32, 3, dy), nothing);
  const lamina_tensor dbt = lamina_tensor_of(lamina_dense(LAMINA_F32, 1, db), out);
  ASSERT_EQ(lamina_conv_backward_bias(device, nullptr, &dyt, &dbt, nullptr), LAMINA_OK) << lamina_last_error();
  for (const float v : out) EXPECT_EQ(v, 0);
}

// ---- Registration --------------------------------------------------------------------------------------------------

TEST_F(Plan, RegisteredEnginesComeLast) {
  int count = 0;
  while (lamina_engine_at(device, count)) count++;
  EXPECT_EQ(lamina_engine_at(device, count - 1), &second);
  EXPECT_EQ(lamina_engine_at(device, -1), nullptr);
}

// ---- Many threads --------------------------------------------------------------------------------------------------

// More shapes than the cache holds, from many threads: plans come and go under the runs of others.
TEST_F(Plan, ManyThreadsShareADevice) {
  constexpr int threads = 8, rounds = 60, shapes = 5;
  lamina_device_options options = {};
  options.plan_cache = 2;
  open(options);
  probes[0].workspace = 64;
  std::atomic<int> wrong{0};
  std::vector<std::thread> team;
  for (int t = 0; t < threads; t++)
    team.emplace_back([&, t] {
      lamina_stream *stream = nullptr;
      if (t % 2 && lamina_stream_open(device, &stream)) wrong++; // the others share the device's own
      for (int i = 0; i < rounds; i++) {
        const int64_t n = 1 + (t * 3 + i) % shapes;
        std::vector<float> a(static_cast<size_t>(n), static_cast<float>(t)), b(a.size(), static_cast<float>(i)),
            y(a.size());
        const lamina_tensor at = lamina_vector(LAMINA_F32, n, a.data()), bt = lamina_vector(LAMINA_F32, n, b.data()),
                            yt = lamina_vector(LAMINA_F32, n, y.data());
        if (lamina_add_forward(device, &at, &bt, &yt, stream)) wrong++;
        for (const float v : y) wrong += v != static_cast<float>(t + i);
      }
      lamina_stream_close(stream);
    });
  for (std::thread &thread : team) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(probes[0].ran, threads * rounds);
  const lamina_cache_info info = cache();
  EXPECT_EQ(info.hits + info.misses, static_cast<uint64_t>(threads * rounds));
  EXPECT_LE(info.plans, 2);
  lamina_device_close(device);
  device = nullptr;
  EXPECT_EQ(probes[0].released, probes[0].prepared) << "every plan that was made was closed once";
}

// Out of memory anywhere on the way to a result is a status, and nothing stays behind.
TEST(Plans, OutOfMemoryIsAStatus) {
  expect_out_of_memory_is_a_status([](const lamina_allocator *allocator) {
    lamina_device_options options = {};
    options.allocator = allocator;
    lamina_device *device = nullptr;
    lamina_status status = lamina_device_open("cpu", &options, &device);
    if (status) return status;
    const int64_t dims[] = {2, 3}, columns[] = {1, 2};
    float x[6] = {}, y[6] = {};
    const lamina_tensor xt = lamina_tensor_of(lamina_strided(LAMINA_F32, 2, dims, columns), x);
    const lamina_tensor yt = lamina_tensor_of(lamina_dense(LAMINA_F32, 2, dims), y);
    status = lamina_tanh_forward(device, &xt, &yt, nullptr);
    lamina_device_close(device);
    return status;
  });
}

TEST(Verify, OutOfMemoryIsAStatus) {
  expect_out_of_memory_is_a_status([](const lamina_allocator *allocator) {
    lamina_device_options options = {};
    options.allocator = allocator;
    lamina_device *device = nullptr;
    lamina_status status = lamina_device_open("cpu", &options, &device);
    if (status) return status;
    const char *const words[] = {"max_pool/backward", "dx=1x2x5", "kernel=2"};
    lamina_case c;
    lamina_verify_options only = {};
    only.engine = "ref";
    lamina_verdict verdict;
    int count = 1;
    status = lamina_case_parse(3, words, allocator, &c);
    if (!status) status = lamina_verify(device, &c, &only, &verdict, &count);
    lamina_device_close(device);
    return status;
  });
}

} // namespace
