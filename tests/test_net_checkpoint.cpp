// Checkpoints: a run that was stopped and resumed is the run that never stopped; a file that isn't whole, or isn't of
// this net, changes nothing.
#include <functional>

#include "lamina/io.h"
#include "lamina/optimizer.h"
#include "net_fixture.h"
#include "temporary.h"

namespace {

struct Recipe {
  const char *name, *optimizer;
  const void *attrs;
  std::function<void(Net &)> build;
  double clip_norm = 0, clip_value = 0;
  lamina_dtype dtype = LAMINA_F32;
};

const lamina_sgd momentum = {0.9, 0}, nesterov = {0.8, 1}, plain = {};
const lamina_adam adam = {};

void build_small(Net &net) { net.conv(4, 3).add("relu").pool("max_pool", 2).fc(6).add("tanh").fc(4); }
void build_dropout(Net &net) { net.conv(4, 3).dropout(0.3, true).add("relu").fc(12).add("relu").dropout(0.5).fc(4); }

const Recipe recipes[] = {{"sgd", "sgd", &plain, build_small},
                          {"momentum", "sgd", &momentum, build_small},
                          {"nesterov", "sgd", &nesterov, build_dropout},
                          {"adam", "adam", &adam, build_small},
                          {"adam_dropout", "adam", &adam, build_dropout},
                          {"clipped", "adam", &adam, build_small, 0.3, 0.05},
                          {"bf16_momentum", "sgd", &momentum, build_small, 0, 0, LAMINA_BF16},
                          {"bf16_adam_clipped", "adam", &adam, build_dropout, 0.3, 0.05, LAMINA_BF16}};

void PrintTo(const Recipe &recipe, std::ostream *out) { *out << recipe.name; }

// A device, a net and a trainer, as a process has them that was just started.
struct Process {
  Device device;
  Examples examples{47, 1, 8, 4};
  Net net;
  lamina_training training = {};
  lamina_trainer *trainer = nullptr;

  explicit Process(const Recipe &recipe, uint64_t seed = 5, int64_t batch = 9) // 5 steps an epoch leave 2 examples
      : net(device, {1, 8, 8}, recipe.dtype) {
    recipe.build(net);
    training.train = training.test = examples;
    training.optimizer = recipe.optimizer, training.optimizer_attrs = recipe.attrs;
    training.decay = 0.001, training.batch = batch, training.epochs = 3, training.seed = seed, training.shift = 1;
    training.clip_norm = recipe.clip_norm, training.clip_value = recipe.clip_value;
    training.rate.kind = LAMINA_RATE_COSINE, training.rate.rate = 0.02, training.rate.warmup = 1;
    EXPECT_OK(lamina_trainer_open(net, &training, &trainer));
  }
  ~Process() { lamina_trainer_close(trainer); }
  void steps(int count) {
    for (int i = 0; i < count; i++) ASSERT_OK(lamina_trainer_step(trainer));
  }
};

class Resumed : public testing::TestWithParam<Recipe> {};

TEST_P(Resumed, IsAsIfItHadNeverStopped) {
  Temporary folder = Temporary::in_memory();
  const std::string path = folder / "run.safetensors";
  Process whole(GetParam());
  std::vector<double> losses, accuracies;
  for (int s = 0; s < 15; s++) {
    whole.steps(1);
    lamina_progress now = {};
    lamina_trainer_progress(whole.trainer, &now);
    losses.push_back(now.mean_loss), accuracies.push_back(now.accuracy);
  }
  const std::vector<double> end = whole.net.all();
  for (const int stop : {0, 1, 5, 7, 14, 15}) { // before, in the middle of and after epochs
    SCOPED_TRACE(stop);
    {
      Process killed(GetParam());
      killed.steps(stop);
      ASSERT_OK(lamina_trainer_save(killed.trainer, path.c_str()));
      if (stop < 15) killed.steps(1); // what comes after is lost
    }
    Process resumed(GetParam());
    ASSERT_OK(lamina_trainer_resume(resumed.trainer, path.c_str()));
    lamina_progress now = {};
    lamina_trainer_progress(resumed.trainer, &now);
    EXPECT_EQ(now.total, stop);
    EXPECT_EQ(now.epoch, stop / 5);
    EXPECT_EQ(now.examples, 9 * stop);
    for (int s = stop; s < 15; s++) {
      resumed.steps(1);
      lamina_trainer_progress(resumed.trainer, &now);
      ASSERT_EQ(now.mean_loss, losses[static_cast<size_t>(s)]) << "step " << s;
      ASSERT_EQ(now.accuracy, accuracies[static_cast<size_t>(s)]) << "step " << s;
    }
    EXPECT_TRUE(lamina_trainer_done(resumed.trainer));
    EXPECT_EQ(resumed.net.all(), end);
  }
}

INSTANTIATE_TEST_SUITE_P(Recipes, Resumed, testing::ValuesIn(recipes),
                         [](const auto &info) { return info.param.name; });

// ---- Files that won't do

class Checkpoint : public testing::Test {
protected:
  Temporary folder = Temporary::in_memory();
  const std::string path = folder / "run.safetensors";
  const Recipe &recipe = recipes[1];

  std::string write() {
    Process run(recipe);
    run.steps(3);
    EXPECT_OK(lamina_trainer_save(run.trainer, path.c_str()));
    return read_file(path);
  }
  // The run can't take `path`, says why, and goes on as if it had not been asked.
  std::string refused(Process &run, lamina_status code) {
    const std::vector<double> before = run.net.all();
    EXPECT_EQ(lamina_trainer_resume(run.trainer, path.c_str()), code) << lamina_last_error();
    const std::string sentence = lamina_last_error();
    EXPECT_EQ(sentence.rfind(path + ": ", 0), 0u) << sentence;
    EXPECT_EQ(run.net.all(), before);
    lamina_progress now = {};
    lamina_trainer_progress(run.trainer, &now);
    EXPECT_EQ(now.total, 0);
    return sentence.substr(path.size() + 2);
  }
};

TEST_F(Checkpoint, CutAnywhere) {
  const std::string bytes = write();
  Process run(recipe), untouched(recipe);
  for (size_t size = 0; size < bytes.size(); size += size < 300 ? 1 : 29) {
    write_file(path, bytes.substr(0, size));
    refused(run, LAMINA_CORRUPT);
    ASSERT_FALSE(HasFailure()) << "at " << size << " of " << bytes.size() << " bytes";
  }
  run.steps(4), untouched.steps(4);
  EXPECT_EQ(run.net.all(), untouched.net.all()); // momentum and place were left alone, too
}

TEST_F(Checkpoint, AlteredAnywhere) {
  const std::string bytes = write();
  Process run(recipe), untouched(recipe);
  for (size_t at = 0; at < bytes.size(); at += at < 2500 ? 3 : 41) {
    std::string altered = bytes;
    altered[at] = static_cast<char>(altered[at] ^ (1 << at % 7));
    write_file(path, altered);
    const lamina_status status = lamina_trainer_resume(run.trainer, path.c_str());
    ASSERT_TRUE(status == LAMINA_CORRUPT || status == LAMINA_INVALID) << "byte " << at << ": " << lamina_last_error();
  }
  run.steps(4), untouched.steps(4);
  EXPECT_EQ(run.net.all(), untouched.net.all());
}

TEST_F(Checkpoint, OfARunWithOtherOptions) {
  static const lamina_sgd less = {0.8, 0};
  struct Change {
    const char *sentence;
    void (*make)(lamina_training *);
  };
  const Change changes[] = {
      {"optimizer sgd: {momentum: 0.9}, but this run has optimizer sgd: {momentum: 0.8}",
       [](lamina_training *t) { t->optimizer_attrs = &less; }},
      {"decay 0.001, but this run has decay 0.002", [](lamina_training *t) { t->decay = 0.002; }},
      {"decay 0.001, but this run has decay 0.001, clip_value 0.5, clip_norm 1",
       [](lamina_training *t) { t->clip_norm = 1, t->clip_value = 0.5; }},
      {"shift 1, but this run has shift 2", [](lamina_training *t) { t->shift = 2; }},
      {"rate 0.02 cosine, warmup 1, final 0, but this run has rate 0.03 cosine, warmup 1, final 0",
       [](lamina_training *t) { t->rate.rate = 0.03; }},
      {"rate 0.02 cosine, warmup 1, final 0, but this run has rate 0.02 cosine, final 0",
       [](lamina_training *t) { t->rate.warmup = 0; }},
      {"rate 0.02 cosine, warmup 1, final 0, but this run has rate 0.02 step, warmup 1, every 2, factor 0.5",
       [](lamina_training *t) { t->rate.kind = LAMINA_RATE_STEP, t->rate.every = 2, t->rate.factor = 0.5; }}};
  write();
  for (const Change &change : changes) {
    Process run(recipe);
    lamina_trainer_close(run.trainer);
    change.make(&run.training);
    ASSERT_OK(lamina_trainer_open(run.net, &run.training, &run.trainer));
    EXPECT_EQ(refused(run, LAMINA_INVALID), std::string("it was trained with ") + change.sentence);
  }
}

TEST_F(Checkpoint, IsToldByItsContent) {
  const std::string bytes = write(), other = folder / "weights.bin";
  Device device;
  write_file(other, bytes);
  EXPECT_TRUE(lamina_safetensors_is(other.c_str()));
  lamina_net *net;
  ASSERT_OK(lamina_net_load(device, other.c_str(), nullptr, &net));
  const Net loaded(net);
  EXPECT_EQ(loaded.parameters(), 6);
  write_file(other, "input: [4]\nnet: [fc: 2]\n"); // a recipe, whatever it is called
  EXPECT_FALSE(lamina_safetensors_is(other.c_str()));
  ASSERT_OK(lamina_net_load(device, other.c_str(), nullptr, &net));
  const Net read(net);
  EXPECT_EQ(read.outputs(), 2);
  write_file(path, "input: [4]\n"); // but not under a name that promises something else
  EXPECT_TRUE(lamina_safetensors_is(path.c_str()));
  EXPECT_EQ(lamina_net_load(device, path.c_str(), nullptr, &net), LAMINA_CORRUPT);
  EXPECT_FALSE(lamina_safetensors_is((folder / "nothing").c_str()));
  EXPECT_FALSE(lamina_safetensors_is(folder.path().c_str()));
}

TEST_F(Checkpoint, OfAnotherNetOrRun) {
  write();
  {
    Process run({"", "sgd", &momentum, build_dropout});
    EXPECT_EQ(refused(run, LAMINA_INVALID), "it is a checkpoint of another net: it has \"relu\" where this one has "
                                            "\"dropout: {p: 0.3, channels: true}\"");
  }
  {
    Process run({"", "sgd", &momentum, [](Net &net) { build_small(net), net.add("relu"); }});
    EXPECT_EQ(refused(run, LAMINA_INVALID),
              "it is a checkpoint of another net: it has \"\" where this one has \"relu\"");
  }
  {
    Process run(recipe, 6);
    EXPECT_EQ(refused(run, LAMINA_INVALID), "it was trained with seed 5, but this run has seed 6");
  }
  {
    Process run(recipe, 5, 8);
    EXPECT_NE(refused(run, LAMINA_INVALID).find("but this run has batch 8"), std::string::npos);
  }
  {
    Process run(recipes[3]);
    EXPECT_NE(refused(run, LAMINA_INVALID).find("optimizer adam"), std::string::npos);
  }
  {
    Process without(recipes[0]); // sgd without momentum leaves no vectors for one with
    without.steps(1);
    ASSERT_OK(lamina_trainer_save(without.trainer, path.c_str()));
    Process run(recipe);
    EXPECT_EQ(refused(run, LAMINA_INVALID),
              "it was trained with optimizer sgd, but this run has optimizer sgd: {momentum: 0.9}");
  }
  {
    Process saved(recipe);
    ASSERT_OK(lamina_net_save(saved.net, path.c_str()));
    Process run(recipe);
    EXPECT_EQ(refused(run, LAMINA_INVALID), "it holds a net, but no training to go on with");
  }
  {
    Process longer(recipe);
    longer.steps(15);
    ASSERT_OK(lamina_trainer_save(longer.trainer, path.c_str()));
    Process run(recipe);
    lamina_trainer_close(run.trainer);
    run.training.epochs = 2;
    ASSERT_OK(lamina_trainer_open(run.net, &run.training, &run.trainer));
    EXPECT_EQ(refused(run, LAMINA_INVALID), "it stopped after step 15, but this run has 10 steps");
  }
}

// A file of some other program, with our names but other types.
TEST_F(Checkpoint, OfAnotherProgram) {
  lamina_safetensors_writer *writer = nullptr;
  ASSERT_OK(lamina_safetensors_create(path.c_str(), nullptr, &writer));
  const float number = 1;
  const lamina_tensor tensor = lamina_vector(LAMINA_F32, 1, const_cast<float *>(&number));
  ASSERT_OK(lamina_safetensors_add(writer, "weight", &tensor));
  ASSERT_OK(lamina_safetensors_commit(writer));
  Process run(recipe);
  EXPECT_EQ(refused(run, LAMINA_INVALID), "it holds a net, but no training to go on with");
  lamina_net *net = nullptr;
  EXPECT_EQ(lamina_net_load(run.device, path.c_str(), nullptr, &net), LAMINA_INVALID);
  EXPECT_EQ(lamina_last_error(), path + ": it carries no recipe, so it can't be told what net it is of");
  write_file(path, "x: 1");
  EXPECT_EQ(lamina_net_load(run.device, path.c_str(), nullptr, &net), LAMINA_CORRUPT);
  EXPECT_EQ(lamina_net_load(run.device, (folder / "none.safetensors").c_str(), nullptr, &net), LAMINA_IO);
  EXPECT_EQ(net, nullptr);
}

TEST_F(Checkpoint, StaysWholeWhereTheNewOneCantBeWritten) {
  const std::string bytes = write();
  Process run(recipe);
  run.steps(1);
  std::filesystem::create_directory(path + ".tmp"); // stands where the new file would grow; for root, too
  EXPECT_EQ(lamina_trainer_save(run.trainer, path.c_str()), LAMINA_IO);
  EXPECT_EQ(read_file(path), bytes);
  EXPECT_EQ(lamina_trainer_save(run.trainer, (folder / "no/such.safetensors").c_str()), LAMINA_IO);
  run.steps(1); // and the run is none the worse
}

// ---- What a file holds

TEST_F(Checkpoint, LoadsTheNetItWasBuiltAs) {
  Device device;
  Net built(device, {4, 9, 7}, LAMINA_F64);
  lamina_conv_layer conv = {};
  conv.filters = 6, conv.kernel[0] = 3, conv.kernel[1] = 2, conv.stride[1] = 2, conv.groups = 2, conv.has_bias = 1;
  conv.pad[0][0] = 1, conv.pad[1][1] = 2, conv.dilation[0] = 2, conv.init = LAMINA_INIT_XAVIER_NORMAL;
  lamina_conv_layer same = {};
  same.filters = 6, same.kernel[0] = 3, same.same = 1;
  lamina_pool_layer pool = {}, global = {};
  pool.kernel[0] = 3, pool.kernel[1] = 2, pool.stride[0] = 1, pool.ceil = 1, pool.pad[0][0] = 1;
  global.global = 1;
  lamina_softmax_layer softmax = {-1, 1};
  lamina_scale_layer scale = {1.0 / 3, 0};
  lamina_reshape_layer reshape = {{2, 4}};
  built.add("conv", conv).add("conv", same).add("max_pool", pool).add("avg_pool", global).add("flatten").fc(8);
  built.add("reshape", reshape).add("softmax", softmax).add("scale", scale).dropout(0).add("log_softmax").fc(3);
  ASSERT_OK(lamina_net_init(built, 3));
  ASSERT_OK(lamina_net_save(built, path.c_str()));
  lamina_net *opened = nullptr;
  ASSERT_OK(lamina_net_load(device, path.c_str(), nullptr, &opened));
  Net loaded(opened);
  EXPECT_EQ(loaded.all(), built.all());
  const Batch batch(built, 2);
  double y[6], z[6];
  ASSERT_OK(lamina_net_forward(built, 2, batch.x.data(), y));
  ASSERT_OK(lamina_net_forward(loaded, 2, batch.x.data(), z));
  EXPECT_EQ(std::memcmp(y, z, sizeof y), 0);
  const std::string again = folder / "again.safetensors"; // and says of itself the same
  ASSERT_OK(lamina_net_save(loaded, again.c_str()));
  lamina_safetensors *a = nullptr, *b = nullptr;
  ASSERT_OK(lamina_safetensors_open(path.c_str(), nullptr, &a));
  ASSERT_OK(lamina_safetensors_open(again.c_str(), nullptr, &b));
  EXPECT_STREQ(lamina_safetensors_value(a, "lamina.net"), lamina_safetensors_value(b, "lamina.net"));
  EXPECT_EQ(lamina_safetensors_count(a), loaded.parameters());
  lamina_safetensors_close(a), lamina_safetensors_close(b);
}

TEST_F(Checkpoint, CarriesRecipeClassesAndRange) {
  Device device;
  float x[81], prob[2], again[2];
  std::string recipe_text, class_name;
  std::vector<float> pixels(81, 0.25f);
  lamina_image image = {};
  image.channels = 1, image.height = image.width = 9, image.x = pixels.data();
  {
    Net net(device, "xo", {"data.train=\"xo:train,count=40\"", "data.test=\"xo:test,count=10\"", "train.epochs=1"});
    Trainer trainer(net);
    ASSERT_OK(lamina_trainer_run(trainer));
    ASSERT_OK(lamina_trainer_save(trainer, path.c_str()));
    ASSERT_OK(lamina_net_picture(net, &image, x));
    ASSERT_OK(lamina_net_predict(net, 1, x, prob));
    recipe_text = lamina_net_recipe(net), class_name = lamina_net_class_name(net, 1);
  }
  lamina_net *opened = nullptr;
  ASSERT_OK(lamina_net_load(device, path.c_str(), nullptr, &opened));
  Net net(opened);
  EXPECT_EQ(lamina_net_recipe(net), recipe_text);
  EXPECT_NE(recipe_text.find("xo:train,count=40"), std::string::npos);
  EXPECT_EQ(lamina_net_class_name(net, 1), class_name);
  float y[81];
  ASSERT_OK(lamina_net_picture(net, &image, y));
  EXPECT_EQ(std::memcmp(x, y, sizeof x), 0);
  EXPECT_EQ(y[0], -0.5f); // xo's pixels are -1 … 1
  ASSERT_OK(lamina_net_predict(net, 1, y, again));
  EXPECT_EQ(std::memcmp(prob, again, sizeof prob), 0);
  lamina_evaluation result = {};
  const lamina_dataset *test = nullptr;
  ASSERT_OK(lamina_net_data(net, nullptr, &test));
  ASSERT_OK(lamina_net_evaluate(net, test, nullptr, 0, 0, &result));
  EXPECT_EQ(result.examples, 10);
}

} // namespace
