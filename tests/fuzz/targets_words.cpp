// Words: the grammar of cases, names of engines, specs of datasets, the environment.
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <sstream>

#include "core/records.h"
#include "lamina/data.h"
#include "lamina/verify.h"
#include "targets.h"

namespace fuzz {

namespace {

Inputs words_of(const std::string &text) {
  std::istringstream stream(text);
  Inputs words;
  for (std::string word; words.size() < 40 && stream >> word;) words.push_back(word);
  return words;
}

lamina_status parse(const Inputs &words, lamina_case *c) {
  std::vector<const char *> pointers;
  for (const std::string &word : words) pointers.push_back(word.c_str());
  begin();
  return lamina_case_parse(static_cast<int>(pointers.size()), pointers.data(), memory(), c);
}

// ---- Cases: an inferred one's text reads back as the same

Inputs case_seeds() {
  return {"conv/forward x=2x3x5x7/120,40,8,1+3:bf16 w=4x3x3x3:bf16 b=4:bf16 pad=0:1,2:2 stride=2 seed=7",
          "conv/backward_weights x=2x3x5x5 dy=2x4x3x3 dw=4x3x3x3 dtype=f64 fill=exact",
          "max_pool/forward x=1x2x8x8 y=1x2x4x4 kernel=2,2 stride=2 math=bf16 deterministic=1",
          "relu/forward x=3x4 y=@x dtype=f16",
          "copy/forward x=0x3 y=0x3",
          "softmax_cross_entropy/forward x=4x5 labels=4:i32",
          "sgd/update w=9 dw=9 rate=1 momentum=0.9",
          "fill/forward y=7:i64 value=3",
          "add/forward a=0d b=0d y=z.npy"};
}

void case_run(const std::string &input) {
  const Inputs words = words_of(input);
  lamina_case first, second;
  if (!ended_well(parse(words, &first))) return;
  char text[4096];
  lamina_case_text(&first, text, sizeof text);
  if (strlen(text) == sizeof text - 1) return;
  const Inputs printed = words_of(text);
  if (!ended_well(parse(printed, &second))) fail("the text of a case can't be read: %s\n%s", lamina_last_error(), text);
  if (memcmp(&first.problem, &second.problem, sizeof first.problem) != 0 || first.seed != second.seed ||
      first.exact != second.exact || memcmp(first.offset, second.offset, sizeof first.offset) != 0)
    fail("the text of a case reads back as another case: %s", text);
}

// ---- Plans: [engine][newline][case], on the machine's own engines

Inputs plan_seeds() {
  Inputs seeds;
  for (const char *engine : {"", "ref", "loop", "onednn", "onednn/blocked"})
    for (const std::string &words : case_seeds()) seeds.push_back(std::string(engine) + "\n" + words);
  return seeds;
}

void plan_run(const std::string &input) {
  const size_t end = std::min(input.find('\n'), input.size());
  const std::string engine = input.substr(0, end);
  lamina_case c;
  if (!ended_well(parse(words_of(input.substr(end)), &c))) return;
  lamina_device *device = nullptr;
  lamina_device_options device_options = {};
  device_options.threads = 1;
  device_options.engine = "";
  device_options.allocator = memory();
  if (lamina_device_open("cpu", &device_options, &device)) fail("%s", lamina_last_error());
  lamina_plan_options options = {};
  options.engine = engine.empty() ? nullptr : engine.c_str();
  options.math = static_cast<lamina_math>(input.size() % 6);
  options.deterministic = input.size() % 2;
  options.workspace_limit = input.size() % 3 ? 0 : input.size();
  lamina_plan *plan = nullptr;
  begin();
  if (ended_well(lamina_plan_open(device, &c.problem, &options, &plan))) {
    if (!*lamina_plan_explain(plan)) fail("a plan without a reason");
    if (options.workspace_limit && lamina_plan_workspace(plan) > options.workspace_limit)
      fail("a plan takes too much workspace");
    lamina_plan_close(plan);
  } else if (plan) {
    fail("a failure gave a plan");
  }
  lamina_candidate list[40];
  int count = 40;
  begin();
  (void)ended_well(lamina_candidates(device, &c.problem, &options, list, &count));
  lamina_device_close(device);
}

// ---- Datasets

Inputs dataset_seeds() {
  return {"idx:mnist/train",
          "idx:/dev/null,classes=10",
          "digits:train",
          "digits:test,count=5",
          "xo:train,count=3,jitter=0",
          "xo:test,jitter=100",
          "pictures:train,classes=4,size=8,count=7",
          "pictures:test"};
}

void dataset_run(const std::string &input) {
  lamina_dataset_options options = {};
  options.allocator = memory();
  options.root = "/nowhere";
  lamina_dataset *data = nullptr;
  begin();
  if (!ended_well(lamina_dataset_open(input.c_str(), &options, &data))) {
    if (data) fail("a failure gave a dataset");
    return;
  }
  const lamina_dataset_info *info = lamina_dataset_info_of(data);
  const int64_t values = info->channels * info->height * info->width;
  for (const int64_t index : {int64_t{0}, info->count - 1}) {
    if (values > 1 << 16) break;
    std::vector<float> x(static_cast<size_t>(values));
    int32_t label;
    begin();
    if (!ended_well(lamina_dataset_read(data, 1, &index, x.data(), &label))) fail("%s", lamina_last_error());
  }
  lamina_dataset_close(data);
}

// ---- The environment: [device][newline][NAME=value]…

const char *const variables[] = {"LAMINA_ENGINE", "LAMINA_THREADS", "LAMINA_MODULE_PATH", "LAMINA_DATA"};

Inputs environment_seeds() {
  return {"cpu\nLAMINA_ENGINE=conv/forward:ref,conv:onednn,fc:loop", "cpu\nLAMINA_THREADS=2",
          "nothing:0\nLAMINA_MODULE_PATH=/nowhere",
          "cpu\nLAMINA_DATA=/nowhere\nLAMINA_THREADS=1\nLAMINA_ENGINE=relu/forward:loop"};
}

void environment_run(const std::string &input) {
  for (const char *name : variables) unsetenv(name);
  std::istringstream stream(input.c_str());
  std::string name, line;
  std::getline(stream, name);
  while (std::getline(stream, line))
    for (const char *variable : variables)
      if (line.rfind(std::string(variable) + "=", 0) == 0) setenv(variable, line.c_str() + strlen(variable) + 1, 1);
  lamina_device_options options = {};
  options.allocator = memory();
  lamina_device *opened = nullptr;
  begin();
  lamina_status status = lamina_device_open(name.c_str(), &options, &opened);
  if (status == LAMINA_DEVICE) status = LAMINA_INVALID; // there is no such module
  if (ended_well(status)) {
    if (lamina_device_threads(opened) < 1) fail("%d threads", lamina_device_threads(opened));
    lamina_device_close(opened);
  } else if (opened) {
    fail("a failure gave a device");
  }
  lamina_dataset *data = nullptr;
  lamina_dataset_options data_options = {};
  data_options.allocator = memory();
  begin();
  if (ended_well(lamina_dataset_open("idx:mnist/train", &data_options, &data))) fail("a dataset from nowhere");
}

// ---- Records of the tuning cache: [what a file holds], and lines of it without their checksums

Inputs record_seeds() {
  lamina_records r = {};
  lamina_text text = {};
  const char *machine[] = {"machine", "cpu: 2 threads", "1e11", "0", "2e10", "1e10", "2e-6"};
  const char *plan[] = {"plan",   "cpu: 2 threads", "add/forward a=3 b=3", "00ff", "loop",
                        "1.5e-3", "0.02",           "exact+full",          "120",  "0.1"};
  (void)lamina_records_add(&r, machine, 7, true);
  (void)lamina_records_add(&r, plan, 10, true);
  lamina_records_write(&r, &text);
  const Inputs seeds = {text.data, "plan\tcpu\tadd\t00\tloop\t1\t0\tfull\t1\t0\nwrong\td\tp\th\te\treason\n"};
  lamina_text_free(&text);
  lamina_records_close(&r);
  return seeds;
}

void records_run(const std::string &input) {
  lamina_records r = {}, again = {};
  lamina_text text = {};
  r.allocator = again.allocator = text.allocator = memory();
  begin();
  bool good = ended_well(lamina_records_read(&r, input.data(), input.size()));
  std::istringstream lines(input);
  for (std::string line; good && std::getline(lines, line);) {
    std::vector<std::string> words;
    std::vector<const char *> fields;
    std::istringstream parts(line.c_str());
    for (std::string word; words.size() < 12 && std::getline(parts, word, '\t');) words.push_back(word);
    for (const std::string &word : words) fields.push_back(word.c_str());
    begin();
    good = ended_well(lamina_records_add(&r, fields.data(), static_cast<int>(fields.size()), true));
  }
  lamina_records_write(&r, &text);
  begin();
  if (good && text.data && !text.failed && ended_well(lamina_records_read(&again, text.data, text.used)) &&
      again.count != r.count)
    fail("%d records are read back as %d", r.count, again.count);
  lamina_text_free(&text);
  lamina_records_close(&again);
  lamina_records_close(&r);
}

const Inputs case_words = {"conv/forward",
                           "conv/backward_data",
                           "conv/backward_weights",
                           "max_pool/forward",
                           "max_pool/backward",
                           "avg_pool/forward",
                           "relu/backward",
                           "softmax/forward",
                           "fc/backward_weights",
                           "dropout/forward",
                           "top_k/forward",
                           "adam/update",
                           "cast/forward",
                           "scale/forward",
                           " x=",
                           " w=",
                           " b=",
                           " y=",
                           " dy=",
                           " dx=",
                           " dw=",
                           "@x",
                           "x",
                           "/",
                           ",",
                           "+",
                           ":",
                           "0d",
                           ":bf16",
                           ":i32",
                           " dtype=",
                           " math=",
                           " fill=",
                           " seed=",
                           " deterministic=",
                           " stride=",
                           " pad=",
                           " kernel=",
                           " dilation=",
                           " groups=",
                           " axis=",
                           "tf32",
                           ".npy"};

const Inputs plan_words = [] {
  Inputs words = {"ref\n", "loop\n", "onednn\n", "onednn/blocked/", "jit"};
  words.insert(words.end(), case_words.begin(), case_words.end());
  return words;
}();

} // namespace

const Target cases = {"case", case_seeds, case_words, case_run};
const Target plan = {"plan", plan_seeds, plan_words, plan_run};
const Target dataset = {"dataset",
                        dataset_seeds,
                        {"idx:", "digits:", "xo:", "pictures:", "train", "test", ",", "=", ":",
                         "count=", "classes=", "size=", "jitter=", "/", ".."},
                        dataset_run};
const Target environment = {"environment",
                            environment_seeds,
                            {"LAMINA_ENGINE=", "LAMINA_THREADS=", "LAMINA_MODULE_PATH=", "LAMINA_DATA=", "\n",
                             "conv/forward", "fc", ":", ",", "ref", "onednn", "loop", "/blocked", "/dev/null", "cpu",
                             "cuda:0"},
                            environment_run};
const Target records = {
    "records",
    record_seeds,
    {"lamina-tune 1\n", "\t", "\n", "machine\t", "plan\t", "wrong\t", "cpu", "1e9", "-1", "nan", "0"},
    records_run};

} // namespace fuzz
