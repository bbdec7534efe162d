// Out of memory, wherever it happens: each allocation of building a net, training it, writing and reading a checkpoint
// and loading data fails in turn. The call says so, nothing is lost, and the same objects go on to the same bits.
#include <functional>

#include "failing_allocator.h"
#include "lamina/io.h"
#include "net_fixture.h"
#include "temporary.h"

namespace {

// An allocator whose call number `fails` (from 0) fails, once; `open` counts what is not freed.
struct OneFailure {
  int calls = 0, fails, open = 0;
  bool failed = false;
  lamina_allocator allocator = {[](void *user, size_t size, size_t align) -> void * {
                                  OneFailure *self = static_cast<OneFailure *>(user);
                                  if (self->calls++ == self->fails) {
                                    self->failed = true;
                                    return nullptr;
                                  }
                                  self->open++;
                                  return aligned_alloc(align, (size + align - 1) / align * align);
                                },
                                [](void *user, void *memory, size_t) {
                                  static_cast<OneFailure *>(user)->open--;
                                  free(memory);
                                },
                                this};
  explicit OneFailure(int call) : fails(call) {}
  OneFailure(const OneFailure &) = delete;
  OneFailure &operator=(const OneFailure &) = delete;

  // The call, or where memory ran out in it the call and then once more.
  void run(const char *what, const std::function<lamina_status()> &call) {
    const bool before = failed;
    lamina_status status = call();
    if (status != LAMINA_OK && failed && !before) {
      EXPECT_EQ(status, LAMINA_OUT_OF_MEMORY) << what << ": " << lamina_last_error();
      EXPECT_STRNE(lamina_last_error(), "");
      status = call();
    }
    ASSERT_EQ(status, LAMINA_OK) << what << ": " << lamina_last_error();
  }
};

const char recipe[] = "input: [1, 9, 9]\n"
                      "data: {train: \"xo:train,count=20\", test: \"xo:test,count=6\", shift: 1, threads: THREADS}\n"
                      "net:\n"
                      "  - conv: {filters: 2, kernel: 3, pad: 1}\n"
                      "  - relu\n"
                      "  - max_pool: 2\n"
                      "  - dropout: 0.25\n"
                      "  - fc: 4\n"
                      "  - tanh\n"
                      "  - fc: 2\n"
                      "train: {batch: 8, epochs: 3, optimizer: adam, rate: {cosine: 0.02}, seed: 3}\n";

struct Run {
  int threads; // of the loader
  const char *dtype;
  int step; // every so many allocations: what is different in this run is little
};

class OutOfMemory : public testing::TestWithParam<Run> {
protected:
  void SetUp() override {
    std::string text = recipe;
    text.replace(text.find("THREADS"), 7, std::to_string(GetParam().threads));
    text += std::string("dtype: ") + GetParam().dtype + "\n";
    write_file(folder / "net.yaml", text);
  }

  // Two epochs of two steps, a checkpoint in the middle; a second trainer resumes it and ends, and its net is saved and
  // predicts. Everything that can be computed is put into `bytes`.
  void whole_run(OneFailure *memory, std::string *bytes) {
    lamina_device_options options = {};
    options.allocator = &memory->allocator;
    options.threads = 1;
    options.engine = "";
    const std::string path = folder / "net.yaml", saved = folder / "run.safetensors", end = folder / "end.safetensors";
    lamina_device *device = nullptr;
    lamina_net *first = nullptr, *second = nullptr, *loaded = nullptr;
    lamina_trainer *a = nullptr, *b = nullptr;
    float x[3 * 81] = {1, 2, 3}, prob[6] = {};
    const char *text = nullptr;
    memory->run("device_open", [&] { return lamina_device_open("cpu", &options, &device); });
    memory->run("net_load", [&] { return lamina_net_load(device, path.c_str(), nullptr, &first); });
    memory->run("trainer_open", [&] { return lamina_trainer_open(first, nullptr, &a); });
    for (lamina_progress now = {}; now.total < 3; lamina_trainer_progress(a, &now))
      memory->run("trainer_step", [&] { return lamina_trainer_step(a); });
    memory->run("trainer_save", [&] { return lamina_trainer_save(a, saved.c_str()); });
    lamina_trainer_close(a);
    lamina_net_close(first);
    memory->run("net_load", [&] { return lamina_net_load(device, path.c_str(), nullptr, &second); });
    memory->run("trainer_open", [&] { return lamina_trainer_open(second, nullptr, &b); });
    memory->run("trainer_resume", [&] { return lamina_trainer_resume(b, saved.c_str()); });
    memory->run("trainer_run", [&] { return lamina_trainer_run(b); });
    EXPECT_TRUE(lamina_trainer_done(b));
    memory->run("net_save", [&] { return lamina_net_save(second, end.c_str()); });
    memory->run("net_load", [&] { return lamina_net_load(device, end.c_str(), nullptr, &loaded); });
    memory->run("net_summary", [&] { return lamina_net_summary(loaded, 3, &text); });
    *bytes = text;
    memory->run("net_explain", [&] { return lamina_net_explain(loaded, 3, true, &text); });
    memory->run("net_predict", [&] { return lamina_net_predict(loaded, 3, x, prob); });
    bytes->append(reinterpret_cast<const char *>(prob), sizeof prob);
    bytes->append(read_file(saved));
    bytes->append(read_file(end));
    lamina_trainer_close(b);
    lamina_net_close(loaded);
    lamina_net_close(second);
    lamina_device_close(device);
    EXPECT_EQ(memory->open, 0);
  }

  Temporary folder = Temporary::in_memory();
};

TEST_P(OutOfMemory, InAnyAllocationOfARunIsAStatusAndTheRunGoesOn) {
  std::string want;
  OneFailure never(-1);
  whole_run(&never, &want);
  ASSERT_FALSE(HasFatalFailure());
  for (int call = 0; call < never.calls; call += GetParam().step) {
    SCOPED_TRACE("allocation " + std::to_string(call) + " of " + std::to_string(never.calls));
    std::string got;
    OneFailure memory(call);
    whole_run(&memory, &got);
    if (HasFailure()) break;
    EXPECT_TRUE(memory.failed);
    EXPECT_TRUE(got == want) << "the run ended otherwise";
  }
}

INSTANTIATE_TEST_SUITE_P(Runs, OutOfMemory, testing::Values(Run{0, "f32", 1}, Run{2, "f32", 7}, Run{0, "bf16", 13}),
                         [](const auto &info) {
                           return info.param.dtype + std::string(info.param.threads ? "_threads" : "");
                         });

} // namespace
