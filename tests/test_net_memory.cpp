// Where a net's values lie: nothing is overwritten that is read later, nothing depends on what memory held before; what
// is predicted is what is taken; and what doesn't fit is said before.
#include <algorithm>
#include <map>
#include <set>

#include "core/problem.h"
#include "lamina/optimizer.h"
#include "net/trainer.h"
#include "net_fixture.h"

namespace {

class Dice {
public:
  explicit Dice(unsigned seed) : engine_(seed) {}
  int64_t upto(int64_t n) { return 1 + static_cast<int64_t>(engine_() % static_cast<unsigned>(n)); }
  bool coin() { return engine_() & 1; }

private:
  std::mt19937 engine_;
};

// Random layers that fit, fc at the end.
void build_random(Net &net, Dice &dice) {
  static const char *const plain[] = {"relu", "sigmoid", "tanh", "relu", "scale", "softmax", "log_softmax"};
  for (int64_t left = 2 + dice.upto(9); left > 0; left--) {
    const int64_t kind = dice.upto(8);
    if (kind == 1)
      net.conv(dice.upto(5), dice.upto(2), 1);
    else if (kind == 2)
      net.pool(dice.coin() ? "max_pool" : "avg_pool", 2).conv(2, 1, 1);
    else if (kind == 3)
      net.dropout(0.5, dice.coin());
    else
      net.add(plain[dice.upto(7) - 1]);
  }
  if (dice.coin()) net.add("flatten").add("relu");
  net.fc(dice.upto(9)).add("relu").fc(3);
}

// The node's memory in the arena: every argument with elements there, and the workspace.
struct Range {
  size_t from, to;
  int value; // -1: workspace
  bool written;
};

std::vector<Range> ranges_of(const lamina_graph &graph, const lamina_node_op &node) {
  std::vector<Range> ranges;
  const lamina_op_def *op = lamina_op_at(node.op);
  for (int i = 0; op->args[i].name; i++) {
    if (node.arg[i] < 0 || graph.values[node.arg[i]].buffer != LAMINA_BUFFER_ARENA) continue;
    const lamina_value &value = graph.values[node.arg[i]];
    const size_t bytes = static_cast<size_t>(lamina_desc_bytes(&value.desc));
    ranges.push_back({value.offset, value.offset + bytes, node.arg[i], op->args[i].role != LAMINA_IN});
  }
  if (const size_t bytes = lamina_plan_workspace(node.plan))
    ranges.push_back({node.workspace_offset, node.workspace_offset + bytes, -1, true});
  return ranges;
}

// Runs the plan on paper: each 64 bytes of the arena remember who wrote them last, and a reader must find the value
// that it wants. It knows nothing of lifetimes. A view counts as the value that it shows.
void check_places(const lamina_graph &graph) {
  std::map<int, int> shown;
  for (int n = 0; n < graph.node_count; n++) {
    const lamina_node_op &node = graph.nodes[n];
    if (node.op < 0) shown[node.arg[1]] = shown.count(node.arg[0]) ? shown[node.arg[0]] : node.arg[0];
  }
  const auto owner_of = [&](int value) { return shown.count(value) ? shown[value] : value; };
  std::vector<int> owner(graph.arena / 64, -2);
  for (int n = 0; n < graph.node_count; n++) {
    const lamina_node_op &node = graph.nodes[n];
    if (node.op < 0) continue;
    const std::vector<Range> ranges = ranges_of(graph, node);
    for (const Range &r : ranges) {
      ASSERT_EQ(r.from % 64, 0u);
      ASSERT_LE(r.to, graph.arena);
      if (r.written) continue;
      for (size_t line = r.from / 64; line * 64 < r.to; line++)
        ASSERT_EQ(owner[line], owner_of(r.value))
            << "node " << n << ", " << lamina_op_at(node.op)->name << ", reads " << graph.values[r.value].name;
    }
    for (const Range &a : ranges) // within a node only an output lies on an input, where the row says so
      for (const Range &b : ranges)
        if (&a < &b && a.from < b.to && b.from < a.to) {
          ASSERT_TRUE(node.aliased && a.value >= 0 && b.value >= 0 && a.from == b.from && a.to == b.to)
              << "node " << n << ", " << lamina_op_at(node.op)->name;
        }
    for (const Range &r : ranges)
      if (r.written)
        for (size_t line = r.from / 64; line * 64 < r.to; line++) owner[line] = r.value;
  }
  for (int v = 0; v < graph.value_count; v++) // what is read after the run is still there
    if (graph.values[v].kept && graph.values[v].buffer == LAMINA_BUFFER_ARENA) {
      ASSERT_EQ(owner[graph.values[v].offset / 64], owner_of(v)) << graph.values[v].name;
    }
}

TEST(NetMemory, NothingIsOverwrittenThatIsReadLater) {
  Device device;
  for (unsigned seed = 0; seed < 60; seed++) {
    SCOPED_TRACE(seed);
    Dice dice(seed);
    Net net(device, {dice.upto(3), 4 + dice.upto(5), 4 + dice.upto(5)}, seed % 3 ? LAMINA_F32 : LAMINA_F64);
    build_random(net, dice);
    ASSERT_FALSE(HasFailure());
    lamina_net *inside = net;
    for (const lamina_mode mode : {LAMINA_MODE_GRADIENTS, LAMINA_MODE_EVALUATE, LAMINA_MODE_INFER}) {
      lamina_executor *executor = nullptr;
      lamina_criterion loss;
      ASSERT_OK(lamina_net_criterion(inside, nullptr, nullptr, &loss));
      ASSERT_OK(lamina_net_executor(inside, mode, dice.upto(4), &loss, 1, &executor));
      check_places(executor->graph);
      ASSERT_FALSE(HasFatalFailure());
    }
  }
}

// The same graph planned again with every value kept to the end: nothing runs in place, nothing shares memory.
void plan_apart(lamina_net *net, lamina_executor *executor) {
  lamina_graph &graph = executor->graph;
  for (int v = 0; v < graph.value_count; v++) graph.values[v].root = v, graph.values[v].kept = true;
  for (int n = 0; n < graph.node_count; n++) {
    lamina_node_op &node = graph.nodes[n];
    lamina_plan_close(node.plan);
    node.plan = nullptr, node.aliased = 0;
    if (node.op < 0) graph.values[node.arg[1]].root = graph.values[node.arg[0]].root;
  }
  ASSERT_OK(lamina_graph_plan(&graph, net->device));
}

// Runs a step of the net node by node, and after each one fills all of the arena with NaN that nobody reads later.
void run_poisoning(lamina_net *net, const lamina_executor *e, const Batch &batch) {
  const lamina_graph &graph = e->graph;
  char *arena = static_cast<char *>(net->block[LAMINA_BUFFER_ARENA]);
  lamina_feed feed = {};
  feed.x = batch.x.data(), feed.labels = batch.labels.data();
  std::memset(arena, 0xFF, net->size[LAMINA_BUFFER_ARENA]);
  for (int n = 0; n < graph.node_count; n++) {
    ASSERT_OK(lamina_executor_run(net, e, n, n + 1, &feed));
    std::vector<bool> wanted(graph.arena / 64);
    for (int m = n + 1; m < graph.node_count; m++)
      if (graph.nodes[m].op >= 0)
        for (const Range &r : ranges_of(graph, graph.nodes[m]))
          if (!r.written)
            for (size_t line = r.from / 64; line * 64 < r.to; line++) wanted[line] = true;
    for (int v = 0; v < graph.value_count; v++)
      if (graph.values[v].kept && graph.values[v].buffer == LAMINA_BUFFER_ARENA)
        wanted[graph.values[v].offset / 64] = true;
    for (size_t line = 0; line < wanted.size(); line++)
      if (!wanted[line]) std::memset(arena + 64 * line, 0xFF, 64);
  }
}

TEST(NetMemory, ResultsDontDependOnWhatMemoryHeldOrOnSharingIt) {
  Device device;
  int in_place = 0;
  for (unsigned seed = 100; seed < 125; seed++) {
    SCOPED_TRACE(seed);
    Dice dice(seed);
    Net net(device, {dice.upto(3), 4 + dice.upto(5), 4 + dice.upto(5)});
    build_random(net, dice);
    ASSERT_OK(lamina_net_init(net, seed));
    const Batch batch(net, dice.upto(4));
    const double loss = batch.gradients(net);
    ASSERT_TRUE(std::isfinite(loss));
    const std::vector<double> gradients = net.all_gradients();

    lamina_net *inside = net;
    lamina_executor *e = inside->executors;
    ASSERT_EQ(e->mode, LAMINA_MODE_GRADIENTS);
    for (int n = 0; n < e->graph.node_count; n++) in_place += e->graph.nodes[n].aliased != 0;
    run_poisoning(inside, e, batch);
    EXPECT_EQ(net.all_gradients(), gradients) << "with dead memory poisoned";

    const size_t shared = e->graph.arena;
    plan_apart(inside, e);
    EXPECT_GE(e->graph.arena, shared);
    EXPECT_EQ(batch.gradients(net), loss);
    EXPECT_EQ(net.all_gradients(), gradients) << "with a place for every value";
  }
  EXPECT_GT(in_place, 25);
}

// ---- What is predicted is what is taken

void expect_predicted(lamina_device *device, size_t predicted) {
  size_t most = 0;
  lamina_memory_used(device, nullptr, &most);
  EXPECT_LE(most, predicted);
  EXPECT_GE(static_cast<double>(most), 0.95 * static_cast<double>(predicted));
}

// One parameter is written, so all count as set: nothing has to draw 61 million numbers.
void set_parameters(Net &net) { net.write(net.parameters() - 1, net.parameter_zeros(net.parameters() - 1)); }

void train_two_steps(lamina_device *device, Net &net) {
  lamina_memory_need need = {};
  lamina_training training = {};
  ASSERT_OK(lamina_training_memory(net, &training, &need));
  EXPECT_EQ(need.device,
            need.parameters + need.gradients + need.optimizer + need.activations + need.input + need.other);
  EXPECT_EQ(need.total, need.device + need.loader);
  size_t most = 0;
  lamina_memory_used(device, nullptr, &most);
  EXPECT_EQ(most, 0u) << "predicting took memory";
  set_parameters(net);
  Trainer trainer(net, training);
  trainer.steps(2); // the last one of the epoch: an evaluation follows
  EXPECT_TRUE(lamina_trainer_done(trainer));
  expect_predicted(device, need.device);
}

TEST(NetMemory, LenetTakesWhatWasPredicted) {
  for (const char *dtype : {"dtype=f32", "dtype=bf16"}) {
    Device device;
    Net net(device, "digits",
            {dtype, "data.train=\"digits:train,count=8\"", "data.test=\"digits:test,count=7\"", "train.batch=4",
             "train.epochs=1"});
    train_two_steps(device, net);
  }
}

TEST(NetMemory, AlexnetTakesWhatWasPredicted) {
  Device device("", 2);
  Net net(device, "alexnet",
          {"data.train=\"pictures:train,size=224,classes=1000,count=8\"",
           "data.test=\"pictures:test,size=224,classes=1000,count=5\"", "train.batch=4", "train.epochs=1"});
  train_two_steps(device, net);
}

TEST(NetMemory, InferenceTakesWhatWasPredicted) {
  Device device;
  Net net(device, {3, 40, 40});
  net.conv(16, 3, 1).add("relu").pool("max_pool", 2).conv(32, 3, 1).add("relu").pool("max_pool", 2).fc(100);
  lamina_memory_need need = {};
  ASSERT_OK(lamina_net_memory(net, 5, &need));
  EXPECT_EQ(need.gradients + need.optimizer + need.loader, 0u);
  ASSERT_OK(lamina_net_init(net, 1));
  const Batch batch(net, 5);
  std::vector<float> y(500);
  ASSERT_OK(lamina_net_forward(net, 5, batch.x.data(), y.data()));
  expect_predicted(device, need.device);
  lamina_memory_need more = {};
  ASSERT_OK(lamina_net_memory(net, 6, &more));
  EXPECT_GT(more.activations, need.activations);
}

TEST(NetMemory, AMillionBatchSizesTakeNoMoreThanAFew) {
  Device device;
  Net net(device, {4});
  net.fc(3);
  ASSERT_OK(lamina_net_init(net, 1));
  const Batch batch(net, 64);
  std::vector<float> y(3 * 64);
  for (int64_t n = 1; n <= 64; n++) ASSERT_OK(lamina_net_forward(net, n, batch.x.data(), y.data()));
  int executors = 0;
  for (const lamina_executor *e = static_cast<lamina_net *>(net)->executors; e; e = e->next) executors++;
  EXPECT_LE(executors, 8);
}

// ---- What doesn't fit

const Dims wide = {3, 16, 16};
void build_wide(Net &net) { net.conv(8, 3, 1).add("relu").pool("max_pool", 2).fc(10); }

// "… the largest batch that fits is 12" → 12
int64_t said_to_fit() {
  const std::string sentence = lamina_last_error(), before = "the largest batch that fits is ";
  const size_t at = sentence.find(before);
  return at == std::string::npos ? -1 : std::stoll(sentence.substr(at + before.size()));
}

TEST(NetMemory, TheLargestBatchThatIsSaidToFitFits) {
  size_t open = 0;
  lamina_allocator counting = {[](void *user, size_t size, size_t align) {
                                 ++*static_cast<size_t *>(user);
                                 return aligned_alloc(align, (size + align - 1) / align * align);
                               },
                               [](void *user, void *memory, size_t) {
                                 --*static_cast<size_t *>(user);
                                 free(memory);
                               },
                               &open};
  {
    Device device("", 1, &counting);
    Net net(device, wide, LAMINA_F32, 3 << 20);
    build_wide(net);
    Examples examples(1000, 3, 16, 10);
    lamina_training training = {};
    training.train = examples, training.batch = 900;
    lamina_trainer *trainer = nullptr;
    const size_t before = open;
    ASSERT_EQ(lamina_trainer_open(net, &training, &trainer), LAMINA_OUT_OF_MEMORY);
    EXPECT_EQ(trainer, nullptr);
    EXPECT_NE(std::string(lamina_last_error()).find("a batch of 900 needs "), std::string::npos) << lamina_last_error();
    EXPECT_NE(std::string(lamina_last_error()).find("but there are 3.0 MiB"), std::string::npos) << lamina_last_error();
    size_t most = 0;
    lamina_memory_used(device, nullptr, &most);
    EXPECT_EQ(most, 0u) << "memory was taken before it was checked";
    const int64_t fits = said_to_fit();
    ASSERT_GT(fits, 1) << lamina_last_error();
    training.batch = fits + 1;
    ASSERT_EQ(lamina_trainer_open(net, &training, &trainer), LAMINA_OUT_OF_MEMORY);
    EXPECT_EQ(said_to_fit(), fits);
    training.batch = fits;
    {
      Trainer fitting(net, training);
      fitting.steps(2);
      lamina_memory_used(device, nullptr, &most);
      EXPECT_LE(most, size_t{3} << 20);
    }
    EXPECT_GE(open, before);
  }
  EXPECT_EQ(open, 0u);
}

TEST(NetMemory, NotEvenOneExample) {
  Device device;
  Net net(device, wide, LAMINA_F32, 1000);
  build_wide(net);
  ASSERT_OK(lamina_net_init(net, 1));
  const Batch batch(net, 2);
  float y[20];
  EXPECT_EQ(lamina_net_forward(net, 2, batch.x.data(), y), LAMINA_OUT_OF_MEMORY);
  EXPECT_NE(std::string(lamina_last_error()).find("not even one example fits"), std::string::npos);
}

// A trainer's plans stay its own, whatever is asked of the net meanwhile.
TEST(NetMemory, AskingForTooMuchDoesNoHarmToAnOpenTrainer) {
  Device device;
  Examples examples(64, 3, 16, 10);
  std::vector<double> ends[2];
  for (const bool asking : {false, true}) {
    Net net(device, wide, LAMINA_F32, 4 << 20);
    build_wide(net);
    lamina_training training = {}, other = {};
    training.train = other.train = examples;
    training.batch = 8, other.batch = 9;
    other.optimizer = "adam";
    Trainer trainer(net, training);
    trainer.steps(2);
    if (asking) {
      const Batch batch(net, 5000);
      std::vector<float> y(50000);
      EXPECT_EQ(lamina_net_forward(net, 5000, batch.x.data(), y.data()), LAMINA_OUT_OF_MEMORY);
      for (int64_t n = 1; n < 20; n++) EXPECT_OK(lamina_net_forward(net, n, batch.x.data(), y.data()));
      lamina_memory_need need = {};
      EXPECT_OK(lamina_training_memory(net, &other, &need));
      EXPECT_EQ(need.optimizer, 2 * need.parameters);
      EXPECT_ERROR(lamina_net_add(net, "relu", nullptr), LAMINA_INVALID,
                   "a net takes no more layers once it has parameters or a trainer");
      lamina_trainer *second = nullptr;
      EXPECT_ERROR(lamina_trainer_open(net, &training, &second), LAMINA_INVALID,
                   "the net has a trainer already; close that first");
    }
    trainer.steps(2);
    ends[asking] = net.all();
  }
  EXPECT_EQ(ends[0], ends[1]);
}

// ---- Inside a step

TEST(NetMemory, NothingIsAllocatedInsideAStep) {
  struct Counts {
    std::atomic<int> allocs{0};
  } counts;
  lamina_allocator counting = {[](void *user, size_t size, size_t align) {
                                 static_cast<Counts *>(user)->allocs++;
                                 return aligned_alloc(align, (size + align - 1) / align * align);
                               },
                               [](void *, void *memory, size_t) { free(memory); }, &counts};
  Device device("", 1, &counting);
  Net net(device, {1, 12, 12});
  net.conv(6, 5, 2).add("relu").pool("max_pool", 2).conv(7, 3).add("relu").pool("avg_pool", 2).dropout(0.5).fc(20);
  net.add("tanh").fc(10);
  Examples examples(100, 1, 12, 10);
  lamina_training training = {};
  training.train = training.test = examples;
  training.batch = 8, training.epochs = 3, training.shift = 2; // 12 steps an epoch
  lamina_adam adam = {};
  training.optimizer = "adam", training.optimizer_attrs = &adam, training.decay = 1e-4;
  training.rate.rate = 0.001;
  Trainer trainer(net, training);
  trainer.steps(2);
  const int before = counts.allocs;
  trainer.steps(9);
  EXPECT_EQ(counts.allocs, before);
  trainer.steps(1); // the epoch's end: an evaluation with a loader of its own
  EXPECT_GT(counts.allocs, before);
  const int first = counts.allocs - before;
  trainer.steps(12); // plans are made once
  const int second = counts.allocs - before - first;
  EXPECT_LT(second, first);
  trainer.steps(12);
  EXPECT_EQ(counts.allocs - before - first - second, second);
}

} // namespace
