// Engines from outside: registered by a program, brought by a plug-in, and used by the command like ours.
#include <dlfcn.h>

#include <cmath>
#include <cstddef>
#include <deque>
#include <sstream>
#include <utility>

#include "command.h"
#include "failing_allocator.h"
#include "lamina/lamina.h"

namespace {

const std::string lib = LAMINA_BINARY_DIR "/lib/";
const std::string good = lib + "my_conv.so", faulty = lib + "faulty_conv.so", fixture = lib + "fixture_plugin.so";

bool contains(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

class Env {
public:
  Env(const char *name, const std::string &value) : name(name) { setenv(name, value.c_str(), 1); }
  ~Env() { unsetenv(name); }

private:
  const char *name;
};

class Device : public testing::Test {
protected:
  void SetUp() override { open({}); }
  void TearDown() override { lamina_device_close(device); }
  void open(const lamina_device_options &options) {
    lamina_device_close(device);
    ASSERT_EQ(lamina_device_open("cpu", &options, &device), LAMINA_OK) << lamina_last_error();
  }
  int engines() const {
    int count = 0;
    while (lamina_engine_at(device, count)) count++;
    return count;
  }
  lamina_case case_of(const Words &words) {
    std::vector<const char *> all;
    for (const std::string &word : words) all.push_back(word.c_str());
    lamina_case c = {};
    EXPECT_EQ(lamina_case_parse(static_cast<int>(all.size()), all.data(), nullptr, &c), LAMINA_OK)
        << lamina_last_error();
    return c;
  }
  // The engine that a problem gets, with the explanation; "" and the sentence where there is none.
  std::string chosen(const lamina_problem &problem) {
    lamina_plan *plan = nullptr;
    if (lamina_plan_open(device, &problem, nullptr, &plan)) return "";
    const std::string name = lamina_plan_engine(plan);
    lamina_plan_close(plan);
    return name;
  }

  // A row that lives as long as the device, which still asks its plans' engines when it is closed.
  lamina_engine &keep(const lamina_engine &engine) {
    rows.push_back(engine);
    return rows.back();
  }

  lamina_device *device = nullptr;

private:
  std::deque<lamina_engine> rows;
};

// ---- A program's own -----------------------------------------------------------------------------------------------

void offer(lamina_device *, const lamina_problem *, const lamina_engine *, lamina_candidate_fn *each, void *context) {
  each(context, "", 1e-12, "");
}
lamina_status relu(const lamina_plan *plan, const lamina_args *args, void *, lamina_stream *) {
  const float *x = static_cast<const float *>(args->p[0]);
  for (int64_t i = 0; i < lamina_desc_count(&plan->problem.arg[0]); i++)
    static_cast<float *>(args->p[1])[i] = x[i] > 0 ? x[i] : 0;
  return LAMINA_OK;
}

lamina_engine row(const char *name = "mine") {
  lamina_engine engine = {};
  engine.size = sizeof engine, engine.abi = LAMINA_ENGINE_ABI;
  engine.device = "cpu", engine.name = name, engine.op = "relu/forward";
  engine.strides = LAMINA_STRIDES_DENSE;
  engine.candidates = offer, engine.run = relu;
  return engine;
}

TEST_F(Device, AProgramsEngineIsChosenExplainedAndVerifiedLikeOurs) {
  lamina_engine &mine = keep(row());
  ASSERT_EQ(lamina_engine_register(device, &mine), LAMINA_OK) << lamina_last_error();
  const lamina_case c = case_of({"relu/forward", "x=3x5"});
  EXPECT_EQ(chosen(c.problem), "mine");
  lamina_plan *plan = nullptr;
  ASSERT_EQ(lamina_plan_open(device, &c.problem, nullptr, &plan), LAMINA_OK);
  EXPECT_EQ(std::string(lamina_plan_explain(plan)).rfind("mine: estimated", 0), 0u) << lamina_plan_explain(plan);
  lamina_plan_close(plan);
  lamina_verdict verdict[8];
  int count = 8;
  EXPECT_EQ(lamina_verify(device, &c, nullptr, verdict, &count), LAMINA_OK) << lamina_last_error();
  EXPECT_GT(count, 1);
  EXPECT_STREQ(verdict[0].engine, "mine");
  EXPECT_EQ(verdict[0].elements, 15);
}

TEST_F(Device, AnOverrideMayNameWhatIsRegisteredLater) {
  lamina_device_options options = {};
  options.engine = "relu/forward:mine,relu/backward:ref";
  lamina_engine &mine = keep(row());
  open(options);
  const lamina_case c = case_of({"relu/forward", "x=3x5"}), back = case_of({"relu/backward", "y=3x5", "dy=3x5"});
  EXPECT_EQ(chosen(c.problem), "");
  EXPECT_TRUE(contains(lamina_last_error(), "cpu has no engine \"mine\"; it has ")) << lamina_last_error();
  ASSERT_EQ(lamina_engine_register(device, &mine), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(chosen(c.problem), "mine");
  EXPECT_EQ(chosen(back.problem), "ref");
}

TEST_F(Device, RowsThatDoNotFitAreSaid) {
  const auto expect = [&](const lamina_engine &engine, const std::string &sentence) {
    const int before = engines();
    EXPECT_EQ(lamina_engine_register(device, &engine), LAMINA_INVALID) << sentence;
    EXPECT_TRUE(contains(lamina_last_error(), sentence)) << lamina_last_error() << "\nexpected " << sentence;
    EXPECT_EQ(engines(), before);
  };
  lamina_engine bad = row();
  bad.abi = 99, expect(bad, "the engine was built for ABI 99");
  bad = row(), bad.size--, expect(bad, "79 bytes; this library has ABI 1 and 80 bytes");
  bad = row(), bad.name = nullptr, expect(bad, "the engine's name is NULL");
  for (const char *name : {"", "/", "a/", "/a", "a//b", "a b", "a,b", "a:b", "ü",
                           "a234567890123456789012345678901234567890123456789012345678901234"})
    expect(row(name), "the engine's name is \"" + std::string(name) + "\"; expected");
  bad = row(), bad.device = nullptr, expect(bad, "engine mine: its device is NULL; expected cpu");
  bad = row(), bad.device = "cuda", expect(bad, "engine mine: its device is cuda; expected cpu");
  bad = row(), bad.op = nullptr, expect(bad, "engine mine: its op is NULL");
  bad = row(), bad.op = "relu", expect(bad, "engine mine: there is no op \"relu\"");
  bad = row(), bad.strides = static_cast<lamina_strides>(7), expect(bad, "engine mine: its strides are 7");
  bad = row(), bad.candidates = nullptr, expect(bad, "engine mine: its candidates is NULL");
  bad = row(), bad.run = nullptr, expect(bad, "engine mine: its run is NULL");
  expect(row("ref"), "engine ref: cpu has an engine of this name for relu/forward already");
  bad = row("loop"), bad.op = "*", expect(bad, "engine loop: cpu has an engine of this name for ");
  EXPECT_EQ(lamina_engine_register(nullptr, &bad), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "lamina_engine_register: device is NULL");
  EXPECT_EQ(lamina_engine_register(device, nullptr), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "lamina_engine_register: engine is NULL");
  const lamina_engine &mine = keep(row("a.b/c-d_E/9"));
  EXPECT_EQ(lamina_engine_register(device, &mine), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(chosen(case_of({"relu/forward", "x=3"}).problem), "a.b/c-d_E/9");
  const lamina_engine late = row("late");
  expect(late, "engine late: engines are registered before the device's first plan");
}

void offer_nonsense(lamina_device *, const lamina_problem *, const lamina_engine *, lamina_candidate_fn *each,
                    void *context) {
  each(context, "nan", static_cast<double>(NAN), "");
  each(context, "before", -1, "");
  each(context, std::string(64, 'v').c_str(), 1e-12, "");
}

TEST_F(Device, CandidatesThatMakeNoSenseAreRefusals) {
  lamina_engine &mine = keep(row());
  mine.candidates = offer_nonsense;
  ASSERT_EQ(lamina_engine_register(device, &mine), LAMINA_OK);
  const lamina_case c = case_of({"relu/forward", "x=3"});
  lamina_candidate list[16];
  int count = 16;
  lamina_plan_options options = {};
  options.engine = "mine";
  ASSERT_EQ(lamina_candidates(device, &c.problem, &options, list, &count), LAMINA_OK);
  ASSERT_EQ(count, 3);
  for (int i = 0; i < 3; i++) EXPECT_LT(list[i].seconds, 0) << list[i].variant;
  EXPECT_NE(chosen(c.problem), "mine");
}

int wanted_align = 0;
lamina_status wants_align(lamina_plan *plan) {
  plan->align = wanted_align;
  return LAMINA_OK;
}

TEST_F(Device, AnAlignmentThatTheProblemDoesNotPromiseIsARefusal) {
  lamina_engine &mine = keep(row());
  mine.prepare = wants_align;
  ASSERT_EQ(lamina_engine_register(device, &mine), LAMINA_OK);
  lamina_problem problem = case_of({"relu/forward", "x=3"}).problem;
  problem.arg[0].align = 32, problem.arg[1].align = 16;
  lamina_plan_options options = {};
  lamina_plan *plan = nullptr;
  options.engine = "mine";
  const std::pair<int, std::string> wishes[] = {{32, "it needs data aligned to 32 bytes, but y promises 16"},
                                                {128, "128 bytes; expected a power of two to 64"},
                                                {24, "24 bytes; expected a power of two to 64"},
                                                {-8, "-8 bytes; expected a power of two to 64"}};
  for (const auto &[align, sentence] : wishes) {
    wanted_align = align;
    EXPECT_EQ(lamina_plan_open(device, &problem, &options, &plan), LAMINA_UNSUPPORTED) << align;
    EXPECT_TRUE(contains(lamina_last_error(), sentence)) << lamina_last_error();
  }
  wanted_align = 16;
  EXPECT_EQ(lamina_plan_open(device, &problem, &options, &plan), LAMINA_OK) << lamina_last_error();
  lamina_plan_close(plan);
}

// ---- A plug-in -----------------------------------------------------------------------------------------------------

TEST_F(Device, APlugInsEngineIsThere) {
  ASSERT_EQ(lamina_plugin_load(device, good.c_str()), LAMINA_OK) << lamina_last_error();
  EXPECT_STREQ(lamina_engine_at(device, engines() - 1)->name, "mine");
  const lamina_case c = case_of({"conv/forward", "x=2x4x9x9", "w=6x2x5x5", "groups=2", "pad=2:1"});
  lamina_verdict verdict;
  int count = 1;
  lamina_verify_options options = {};
  options.engine = "mine";
  EXPECT_EQ(lamina_verify(device, &c, &options, &verdict, &count), LAMINA_OK) << lamina_last_error();
  EXPECT_TRUE(contains(verdict.repeat, " --engine mine --plugin " + good)) << verdict.repeat;
}

TEST_F(Device, BadPlugInsAreSentencesAndLeaveNothing) {
  Temporary folder;
  const int before = engines();
  const auto expect = [&](const std::string &path, lamina_status status, const std::string &sentence) {
    EXPECT_EQ(lamina_plugin_load(device, path.c_str()), status) << lamina_last_error();
    EXPECT_TRUE(contains(lamina_last_error(), "plug-in " + path)) << lamina_last_error();
    EXPECT_TRUE(contains(lamina_last_error(), sentence)) << lamina_last_error();
    EXPECT_EQ(engines(), before);
  };
  const auto expect_fixture = [&](const char *wish, lamina_status status, const std::string &sentence) {
    Env env("FIXTURE_PLUGIN", wish);
    expect(fixture, status, sentence);
  };
  write_file(folder / "text.so", "not a library");
  expect(folder / "none.so", LAMINA_IO, "No such file");
  expect("none.so", LAMINA_IO, "No such file");
  expect(folder / "text.so", LAMINA_IO, "can't be loaded");
  EXPECT_EQ(lamina_plugin_load(device, std::string(5000, 'x').c_str()), LAMINA_INVALID);
  EXPECT_TRUE(contains(lamina_last_error(), "the path is too long")) << lamina_last_error();
  expect(lib + "liblamina-fixture.so", LAMINA_INVALID, "it has no lamina_plugin_open");
  expect_fixture("nothing", LAMINA_INVALID, "it registered no engine");
  expect_fixture("silent", LAMINA_UNSUPPORTED, "it refused without a reason");
  expect_fixture("refuses", LAMINA_UNSUPPORTED, "it wants 2 unicorns");
  expect_fixture("old row", LAMINA_INVALID, "the engine was built for ABI 99");
  expect_fixture("half", LAMINA_INVALID, "engine fixture: its run is NULL");
  EXPECT_EQ(lamina_plugin_load(device, fixture.c_str()), LAMINA_OK) << lamina_last_error();
  EXPECT_EQ(engines(), before + 2);
  EXPECT_EQ(lamina_plugin_load(device, fixture.c_str()), LAMINA_INVALID);
  EXPECT_TRUE(contains(lamina_last_error(), "cpu has an engine of this name for relu/forward already"));
  EXPECT_EQ(engines(), before + 2);
  EXPECT_EQ(chosen(case_of({"relu/forward", "x=3"}).problem), "fixture");
  EXPECT_EQ(lamina_plugin_load(device, good.c_str()), LAMINA_INVALID);
  EXPECT_TRUE(contains(lamina_last_error(), "plug-ins are loaded before the device's first plan"));
  EXPECT_EQ(lamina_plugin_load(nullptr, good.c_str()), LAMINA_INVALID);
  EXPECT_EQ(lamina_plugin_load(device, nullptr), LAMINA_INVALID);
  EXPECT_STREQ(lamina_last_error(), "lamina_plugin_load: path is NULL");
}

// What another release of the library would hand to the example: it looks before it uses anything.
TEST(Plugin, TheExampleRefusesAnotherAbi) {
  void *library = dlopen(good.c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << dlerror();
  const auto open = reinterpret_cast<lamina_plugin_open_fn *>(dlsym(library, "lamina_plugin_open"));
  ASSERT_NE(open, nullptr);
  lamina_host other = {};
  other.size = sizeof other, other.abi = 99, other.error = lamina_error;
  EXPECT_EQ(open(&other, nullptr), LAMINA_UNSUPPORTED);
  EXPECT_STREQ(lamina_last_error(), "it was built for ABI 1 of Lamina, not 99");
  other.abi = LAMINA_MODULE_ABI, other.size = offsetof(lamina_host, engine_register);
  EXPECT_EQ(open(&other, nullptr), LAMINA_UNSUPPORTED);
  dlclose(library);
}

TEST(Plugin, OutOfMemoryIsAStatus) {
  expect_out_of_memory_is_a_status([](const lamina_allocator *allocator) {
    lamina_device_options options = {};
    lamina_device *device = nullptr;
    options.allocator = allocator, options.engine = "conv/forward:mine";
    lamina_status status = lamina_device_open("cpu", &options, &device);
    if (!status) status = lamina_plugin_load(device, good.c_str());
    if (!status) status = lamina_plugin_load(device, fixture.c_str());
    lamina_device_close(device);
    return status;
  });
}

// ---- The command ---------------------------------------------------------------------------------------------------

class Command : public testing::Test {
protected:
  Result run(const Words &words) { return run_lamina(words, folder.path()); }
  Temporary folder;
};

TEST_F(Command, TheGoodExamplePassesVerify) {
  const Result result =
      run({"verify", "conv/forward", "dtype=f32", "--cases", "60", "--engine", "mine", "--plugin", good});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(contains(result.out, " mine ")) << result.out;
  EXPECT_TRUE(contains(result.out, "all agree")) << result.out;
}

// The line that repeats a case is one that can be pasted.
TEST_F(Command, TheFaultyExampleIsNamed) {
  const Result result =
      run({"verify", "conv/forward", "dtype=f32", "--cases", "40", "--plugin", good, "--plugin", faulty});
  EXPECT_EQ(result.code, 1);
  EXPECT_TRUE(contains(result.err, "conv/forward by faulty: y[")) << result.err;
  for (const char *innocent : {"by mine", "by ref", "by onednn"}) EXPECT_FALSE(contains(result.err, innocent));
  const std::string begin = "  lamina verify ";
  const size_t at = result.err.find(begin);
  ASSERT_NE(at, std::string::npos) << result.err;
  std::istringstream line(result.err.substr(at + begin.size(), result.err.find('\n', at) - at - begin.size()));
  Words words = {"verify"};
  for (std::string word; line >> word;) words.push_back(word);
  EXPECT_EQ(words[1], "conv/forward");
  const Result repeated = run(words);
  EXPECT_EQ(repeated.code, 1) << repeated.out << repeated.err;
  EXPECT_TRUE(contains(repeated.out, "WRONG")) << repeated.out;
}

TEST_F(Command, PlugInsWorkInEveryCommandThatTakesThem) {
  const Words conv = {"conv/forward", "x=1x2x6x6", "w=3x2x5x5"};
  const auto with = [&](const std::string &command, const Words &more) {
    Words words = {command};
    words.insert(words.end(), conv.begin(), conv.end());
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  };
  const Result op = with("op", {"--explain", "--engine", "mine", "--plugin", good});
  EXPECT_EQ(op.out.substr(op.out.find('\n') + 1).rfind("mine: estimated", 0), 0u) << op.out << op.err;
  const Result bench = with("bench", {"--seconds", "0", "--plugin", good, "--plugin=" + faulty});
  EXPECT_EQ(bench.code, 1);
  EXPECT_TRUE(contains(bench.out, "\nmine")) << bench.out;
  EXPECT_TRUE(contains(bench.out, "\nfaulty")) << bench.out;
  Env env("LAMINA_ENGINE", "conv/forward:mine");
  EXPECT_TRUE(contains(with("op", {"--plugin", good}).out, "engine   mine\n"));
  expect_failure(with("op", {}), {"LAMINA_ENGINE: cpu has no engine \"mine\"; it has "});
  const Result info = run({"info", "--engines", "--plugin", good});
  const std::string engines = info.out.substr(info.out.find("conv/forward "));
  EXPECT_TRUE(contains(engines.substr(0, engines.find('\n') + 1), " mine\n")) << info.out;
}

TEST_F(Command, BadPlugInsAreSentences) {
  write_file(folder / "text.so", "not a library");
  expect_failure(run({"op", "relu/forward", "x=3", "--plugin", "text.so"}),
                 {"lamina op: plug-in text.so can't be loaded"});
  expect_failure(run({"verify", "relu", "--plugin", "none.so"}), {"plug-in none.so", "No such file"});
  expect_failure(run({"bench", "relu/forward", "x=3", "--plugin"}), {"--plugin needs a value"}, 2);
  Words many = {"info"};
  for (int i = 0; i < 17; i++) many.insert(many.end(), {"--plugin", good});
  expect_failure(run(many), {"--plugin came 17 times; at most 16 are loaded"}, 2);
}

} // namespace
