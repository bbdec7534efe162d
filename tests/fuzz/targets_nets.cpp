// What nets are read from: JSON, YAML, recipes, checkpoints.
#include <cmath>
#include <cstring>

#include "lamina/io.h"
#include "lamina/train.h"
#include "targets.h"

extern "C" {
#include "core/document.h"
}

namespace fuzz {

namespace {

const Inputs yaml_words = {
    "- ",          ": ",    ", ",      "{",   "}",    "[",    "]",    "\n  ",   "\n",           "#",
    "\"",          "'",     "|\n",     ">\n", "? ",   "&a ",  "*a",   "!!int ", "---\n",        "...\n",
    "%YAML 1.1\n", "\\x41", "\\u00e9", "~",   "null", "true", "<<: ", "\t",     "\xef\xbb\xbf", "\xff\xfe"};

Inputs with(Inputs words, const Inputs &more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// ---- JSON

Inputs json_seeds() {
  return {"{\"a\": [1, -2.5e3, true, null, \"x\\n\\u00e9\\ud83d\\ude00\"], \"b\": {}, \"c\": []}", "\"text\"", " 0 ",
          "[[[[]]]]"};
}

void json_run(const std::string &input) {
  lamina_document *document = nullptr;
  begin();
  if (ended_well(lamina_json_parse("x.json", input.data(), input.size(), memory(), &document)))
    lamina_document_close(document);
  else if (document)
    fail("a failure gave a document");
}

// ---- YAML: what is printed reads back as the same, after an assignment, too. [text][NUL][assignment]

Inputs yaml_seeds() {
  const std::string recipe =
      "data: {train: \"idx:mnist/train\", shift: 2}\nnet:\n  - conv: {filters: 6, kernel: [5, 3]}\n  - relu\n"
      "  - dropout: 0.5\ntrain:\n  rate: {cosine: 0.05}\n";
  const std::string nul(1, '\0');
  return {recipe,
          recipe + nul + "train.rate.cosine=0.1",
          recipe + nul + "net[0].conv.kernel=[7, 1]",
          recipe + nul + "net.2=relu",
          "a: |\n  one\n  two\nb: >\n  folded\n  text\n",
          "- 'it''s'\n- \"a\\tb\"\n- [x, {y: z}]\n-\n- ~\n",
          "? a\n: b\n"};
}

std::string print(const lamina_document *document) {
  lamina_text text = {};
  text.allocator = memory();
  if (!ended_well(lamina_yaml_print(document, &text))) fail("what was read can't be printed: %s", lamina_last_error());
  const std::string printed(text.data ? text.data : "", text.used);
  lamina_text_free(&text);
  return printed;
}

bool is_number(const lamina_node *node) {
  double value;
  return lamina_node_real(node, -HUGE_VAL, HUGE_VAL, &value) == LAMINA_OK;
}

// The same to all who read it; a scalar that is no number may have come into quotes.
bool same(const lamina_node *a, const lamina_node *b) {
  if (lamina_node_is_null(a) || lamina_node_is_null(b)) return lamina_node_is_null(a) && lamina_node_is_null(b);
  if (a->kind != b->kind || a->count != b->count || (a->key && strcmp(a->key, b->key) != 0)) return false;
  if (a->kind == LAMINA_NODE_SCALAR) return strcmp(a->text, b->text) == 0 && is_number(a) == is_number(b);
  const lamina_node *x = a->first, *y = b->first;
  while (x && same(x, y)) x = x->next, y = y->next;
  return !x;
}

void check_print(const lamina_document *document) {
  lamina_document *again = nullptr;
  const std::string printed = print(document);
  begin();
  if (!ended_well(lamina_yaml_parse("printed", printed.data(), printed.size(), memory(), &again)))
    fail("what was printed can't be read: %s\n%s", lamina_last_error(), printed.c_str());
  if (!same(lamina_document_root(document), lamina_document_root(again)))
    fail("what was printed reads back as something else:\n%s", printed.c_str());
  lamina_document_close(again);
}

void yaml_run(const std::string &input) {
  const size_t end = input.find('\0');
  const std::string text = input.substr(0, end);
  lamina_document *document = nullptr;
  begin();
  if (!ended_well(lamina_yaml_parse("x.yaml", text.data(), text.size(), memory(), &document))) {
    if (document) fail("a failure gave a document");
    return;
  }
  check_print(document);
  begin();
  if (end != std::string::npos && ended_well(lamina_document_set(document, input.c_str() + end + 1)))
    check_print(document);
  lamina_document_close(document);
}

// ---- Recipes: loaded and planned. [recipe][NUL][assignment]

// On the reference alone, so that planning takes no time.
struct Device {
  lamina_device *device = nullptr;
  Device() {
    static const std::string engines = [] {
      std::string text;
      for (int id = 0; lamina_op_at(id); id++) {
        const std::string name = lamina_op_at(id)->name, family = "," + name.substr(0, name.find('/')) + ":ref";
        if (text.find(family) == std::string::npos) text += family;
      }
      return text.substr(1);
    }();
    lamina_device_options options = {};
    options.threads = 1;
    options.engine = engines.c_str();
    options.allocator = memory();
    if (lamina_device_open("cpu", &options, &device)) fail("%s", lamina_last_error());
  }
  ~Device() { lamina_device_close(device); }
  operator lamina_device *() const { return device; }
};

const char small_net[] = "input: [1, 9, 9]\ndata: {train: \"xo:train,count=16\", threads: 0}\nnet:\n  - conv: "
                         "{filters: 2, kernel: 3}\n  - relu\n"
                         "  - max_pool: 2\n  - fc: 2\ntrain: {batch: 8, epochs: 2, optimizer: {adam: {decay: 0.1}}, "
                         "rate: {step: {rate: 0.1, "
                         "every: 1}}, seed: 3}\n";

Inputs recipe_seeds() {
  const std::string nul(1, '\0');
  return {
      small_net, std::string(small_net) + nul + "net[0].conv.pad=[[0, 1], [2, 2]]",
      std::string(small_net) + nul + "train.batch=3",
      "data: {train: \"pictures:train,size=8,classes=3,count=9\", shift: 1, normalise: {mean: [0.1, 0.2, 0.3], "
      "deviation: 0.5}}\n"
      "math: bf16\nnet:\n  - conv: {filters: 4, kernel: 3, stride: 2, pad: 1, dilation: 1, groups: 1}\n  - sigmoid\n  "
      "- dropout: 0.5\n"
      "  - avg_pool: {kernel: 2, stride: 1, ceil: true}\n  - flatten\n  - fc: {units: 3, bias: false}\n  - softmax\n",
      "input: [4]\ndtype: f64\nnet: [{fc: 8}, tanh, {fc: 2}]\ntrain: {optimizer: {sgd: {momentum: 0.9, nesterov: "
      "true}}, rate: 0.1}\n"};
}

void recipe_run(const std::string &input) {
  const size_t end = input.find('\0');
  const std::string path = put("a.yaml", input.substr(0, end));
  const char *const set[] = {end == std::string::npos ? nullptr : input.c_str() + end + 1, nullptr};
  lamina_load_options options = {};
  options.set = set;
  options.root = "/nowhere";
  lamina_net *net = nullptr;
  const Device device;
  begin();
  if (!ended_well(lamina_net_load(device, path.c_str(), &options, &net))) {
    if (net) fail("a failure gave a net");
    return;
  }
  const char *text;
  lamina_memory_need need;
  begin();
  (void)ended_well(lamina_net_summary(net, 2, &text));
  begin();
  (void)ended_well(lamina_net_memory(net, 1, &need));
  begin();
  (void)ended_well(lamina_training_memory(net, nullptr, &need));
  lamina_net_close(net);
}

// ---- Checkpoints, written with a right checksum: notes "KEY=VALUE" and tensors "!NAME TYPE SHAPE", with 0x1E between

const char BETWEEN = '\x1e';

struct Trained {
  Device device;
  lamina_net *net = nullptr;
  lamina_trainer *trainer = nullptr;
  Trained() {
    if (lamina_net_load(device, put("trained.yaml", small_net).c_str(), nullptr, &net) ||
        lamina_trainer_open(net, nullptr, &trainer))
      fail("%s", lamina_last_error());
  }
  ~Trained() {
    lamina_trainer_close(trainer);
    lamina_net_close(net);
  }
};

// The parts of a checkpoint as an input.
std::string dump(const std::string &path) {
  lamina_safetensors *file;
  if (lamina_safetensors_open(path.c_str(), memory(), &file)) fail("%s", lamina_last_error());
  std::string text;
  for (const char *key : {"recipe", "net", "range", "classes", "run", "step", "loss_sum"}) {
    const char *value = lamina_safetensors_value(file, (std::string("lamina.") + key).c_str());
    if (value) text += std::string("lamina.") + key + "=" + value + BETWEEN;
  }
  for (int i = 0; i < lamina_safetensors_count(file); i++) {
    const lamina_desc *desc = lamina_safetensors_desc(file, i);
    text += std::string("!") + lamina_safetensors_name(file, i) + " " +
            lamina_dtype_name(static_cast<lamina_dtype>(desc->dtype)) + " ";
    for (int axis = 0; axis < desc->rank; axis++) text += (axis ? "x" : "") + std::to_string(desc->dims[axis]);
    text += BETWEEN;
  }
  lamina_safetensors_close(file);
  return text;
}

Inputs checkpoint_seeds() {
  const Trained t;
  const std::string run = put("run.safetensors", ""), net = put("net.safetensors", "");
  if (lamina_trainer_step(t.trainer) || lamina_trainer_save(t.trainer, run.c_str()) ||
      lamina_net_save(t.net, net.c_str()))
    fail("%s", lamina_last_error());
  return {dump(run), dump(net)};
}

// "NAME TYPE 2x3"; false for what is no tensor of a moderate size.
bool read_tensor(const std::string &text, std::string *name, lamina_desc *desc) {
  const size_t last = text.rfind(' '), first = last == std::string::npos ? last : text.rfind(' ', last - 1);
  int64_t dims[LAMINA_MAX_RANK];
  int rank = 0;
  if (first == std::string::npos || last == 0) return false;
  *name = text.substr(0, first);
  const lamina_dtype dtype = lamina_dtype_find(text.substr(first + 1, last - first - 1).c_str());
  for (const char *at = text.c_str() + last + 1; *at && rank < LAMINA_MAX_RANK; at += *at == 'x') {
    char *end;
    dims[rank++] = strtol(at, &end, 10);
    if (end == at || dims[rank - 1] < 0 || dims[rank - 1] > 4096) return false;
    at = end;
  }
  *desc = lamina_dense(dtype, rank, dims);
  return dtype && lamina_desc_count(desc) <= 4096;
}

bool write_checkpoint(const std::string &input, const std::string &path) {
  static double data[4096];
  lamina_safetensors_writer *writer;
  begin();
  lamina_status status = lamina_safetensors_create(path.c_str(), memory(), &writer);
  if (!ended_well(status)) fail("no checkpoint could be begun");
  for (size_t start = 0; start < input.size() && !status;) {
    const size_t end = std::min(input.find(BETWEEN, start), input.size());
    const std::string record = input.substr(start, end - start);
    const size_t equals = record.find('=');
    std::string name;
    lamina_desc desc;
    start = end + 1;
    begin();
    if (record[0] == '!') {
      if (!read_tensor(record.substr(1), &name, &desc)) continue;
      const lamina_tensor tensor = lamina_tensor_of(desc, data);
      status = lamina_safetensors_add(writer, name.c_str(), &tensor);
    } else if (equals != std::string::npos) {
      status = lamina_safetensors_note(writer, record.substr(0, equals).c_str(), record.c_str() + equals + 1);
    }
    (void)ended_well(status);
  }
  if (status) {
    lamina_safetensors_abandon(writer);
    return false;
  }
  begin();
  return ended_well(lamina_safetensors_commit(writer));
}

void load(const std::string &path) {
  const Device device;
  lamina_load_options options = {};
  options.root = "/nowhere";
  options.memory_limit = 1 << 20;
  lamina_net *net = nullptr;
  begin();
  if (!ended_well(lamina_net_load(device, path.c_str(), &options, &net), true)) {
    if (net) fail("a failure gave a net");
    return;
  }
  const lamina_desc in = lamina_net_input(net), out = lamina_net_output(net);
  if (lamina_desc_count(&in) < 4096 && lamina_desc_count(&out) < 4096) {
    std::vector<double> x(4096), y(4096);
    begin();
    (void)ended_well(lamina_net_forward(net, 1, x.data(), y.data()), true);
  }
  for (int i = 0; i < 3; i++) (void)lamina_net_class_name(net, i);
  lamina_net_close(net);
}

void resume(const std::string &path) {
  const Trained t;
  lamina_trainer *trainer = t.trainer;
  lamina_progress before, after;
  lamina_trainer_progress(trainer, &before);
  begin();
  const bool resumed = ended_well(lamina_trainer_resume(trainer, path.c_str()));
  lamina_trainer_progress(trainer, &after);
  if (!resumed && (before.total != after.total || before.epoch != after.epoch || before.step != after.step))
    fail("a checkpoint that was refused moved the trainer from step %lld to %lld", static_cast<long long>(before.total),
         static_cast<long long>(after.total));
  begin();
  if (resumed && !lamina_trainer_done(trainer)) (void)ended_well(lamina_trainer_step(trainer));
}

void checkpoint_run(const std::string &input) {
  const std::string path = put("a.safetensors", "");
  if (!write_checkpoint(input, path)) return;
  load(path);
  resume(path);
}

} // namespace

const Target json = {"json",
                     json_seeds,
                     {"{", "}", "[", "]", ",", ":", "\"", "\\u", "\\ud800", "\\udc00", "true", "null", "1e999", "-",
                      "\xf0\x9f\x98\x80", "\xc0\x80"},
                     json_run};
const Target yaml = {"yaml", yaml_seeds, with(yaml_words, {std::string(1, '\0'), "net[0]", ".", "="}), yaml_run};
const Target recipe = {"recipe", recipe_seeds,
                       with(yaml_words, {std::string(1, '\0'),
                                         "input: ",
                                         "net: ",
                                         "train: ",
                                         "data: ",
                                         "dtype: ",
                                         "math: ",
                                         "conv: ",
                                         "max_pool: ",
                                         "avg_pool: ",
                                         "fc: ",
                                         "dropout: ",
                                         "kernel: ",
                                         "stride: ",
                                         "pad: ",
                                         "dilation: ",
                                         "filters: ",
                                         "groups: ",
                                         "units: ",
                                         "batch: ",
                                         "epochs: ",
                                         "optimizer: ",
                                         "adam",
                                         "sgd",
                                         "momentum: ",
                                         "decay: ",
                                         "rate: ",
                                         "cosine: ",
                                         "step: ",
                                         "every: ",
                                         "warmup: ",
                                         "xo:train",
                                         "digits:train,count=10",
                                         "net[0].conv.filters="}),
                       recipe_run};
const Target checkpoint = {"checkpoint",
                           checkpoint_seeds,
                           {std::string(1, BETWEEN), "lamina.step=", "lamina.run=", "lamina.loss_sum=", "lamina.range=",
                            "lamina.classes=", "lamina.recipe=", "lamina.net=", "!0.conv.w f32 2x1x3x3", "optimizer.m/",
                            "optimizer.v/", "f16", "i64", "bf16", "\n", "  - fc: 2"},
                           checkpoint_run};

} // namespace fuzz
