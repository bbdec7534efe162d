// Nets that take integers: the rows that an embedding picks, what other layers say, and training on token numbers.
#include "net_fixture.h"
#include "temporary.h"

namespace {

const lamina_embedding_layer three_words = {3, 2, 0};

TEST(NetEmbedding, PicksRows) {
  Device device;
  Net net(device, {2, 2}, LAMINA_F32, 0, LAMINA_I32);
  net.add("embedding", three_words);
  const lamina_desc x = lamina_net_input(net), y = lamina_net_output(net), w = net.desc(0);
  char text[64];
  EXPECT_STREQ(lamina_desc_text(&x, text, sizeof text), "i32[2,2]");
  EXPECT_STREQ(lamina_desc_text(&y, text, sizeof text), "f32[2,2,2]");
  EXPECT_STREQ(lamina_desc_text(&w, text, sizeof text), "f32[3,2]");
  net.write(0, {1, 2, 3, 4, 5, 6});
  const int32_t words[] = {2, 0, 2, 1};
  float rows[8] = {};
  ASSERT_OK(lamina_net_forward(net, 1, words, rows));
  EXPECT_EQ(std::vector<float>(rows, rows + 8), (std::vector<float>{5, 6, 1, 2, 5, 6, 3, 4}));
  const int32_t outside[] = {3, 0, -1, 1};
  ASSERT_OK(lamina_net_forward(net, 1, outside, rows));
  EXPECT_TRUE(std::isnan(rows[0]) && std::isnan(rows[1]) && std::isnan(rows[4]) && std::isnan(rows[5]));
  EXPECT_EQ(rows[2], 1);
  EXPECT_EQ(rows[7], 4);
}

TEST(NetEmbedding, TakesWhatOnlyChangesTheShape) {
  Device device;
  Net net(device, {2, 3}, LAMINA_F32, 0, LAMINA_I32);
  net.add("flatten").add("embedding", three_words);
  net.write(0, {1, 2, 3, 4, 5, 6});
  const int32_t words[] = {0, 1, 2, 2, 1, 0};
  float rows[12] = {};
  ASSERT_OK(lamina_net_forward(net, 1, words, rows));
  EXPECT_EQ(std::vector<float>(rows, rows + 12), (std::vector<float>{1, 2, 3, 4, 5, 6, 5, 6, 3, 4, 1, 2}));
}

TEST(NetEmbedding, OtherTypesAreSentences) {
  Device device;
  Net integers(device, {3}, LAMINA_F32, 0, LAMINA_I32), numbers(device, {3});
  const lamina_fc_layer fc = {2, 0, 0, 0};
  EXPECT_ERROR(
      lamina_net_add(integers, "fc", &fc), LAMINA_INVALID,
      "0.fc: fc/forward: x is i32[1,3]; expected f64, f32, f16 or bf16; before it comes the input, which gives "
      "i32[3]");
  EXPECT_ERROR(lamina_net_add(numbers, "embedding", &three_words), LAMINA_INVALID,
               "0.embedding: embedding/forward: indices is f32[1,3]; expected i64, i32 or u8; before it comes the "
               "input, which gives f32[3]");
  lamina_net_options options = {};
  lamina_net *net = nullptr;
  options.rank = 1, options.dims[0] = 3, options.input_dtype = LAMINA_F16;
  EXPECT_ERROR(lamina_net_open(device, &options, &net), LAMINA_INVALID,
               "a net with an input of dtype f16; expected i32, or the net's own");
  options.input_dtype = LAMINA_F32;
  ASSERT_OK(lamina_net_open(device, &options, &net));
  lamina_net_close(net);
}

// "Sentences" of five words, whose class is their last word modulo 3; a word that no table has, where it is asked for.
class Sentences {
public:
  float odd = -1;
  Sentences() {
    source_.info = {"sentences", 60, 1, 1, 5, 3, 0, 0, nullptr};
    source_.user = this;
    source_.read = [](void *user, int64_t index, float *x, int32_t *label) {
      const float odd = static_cast<Sentences *>(user)->odd;
      std::mt19937 engine(static_cast<unsigned>(index));
      for (int i = 0; i < 5; i++) x[i] = static_cast<float>(engine() % 12);
      *label = static_cast<int32_t>(x[4]) % 3;
      if (odd >= 0) x[0] = odd;
      return LAMINA_OK;
    };
    EXPECT_OK(lamina_dataset_wrap(&source_, nullptr, &dataset_));
  }
  ~Sentences() { lamina_dataset_close(dataset_); }
  operator const lamina_dataset *() const { return dataset_; }

private:
  lamina_source source_ = {};
  lamina_dataset *dataset_ = nullptr;
};

const char recipe[] = "input: [1, 1, 5]\n"
                      "input_dtype: i32\n"
                      "net:\n"
                      "  - embedding: {count: 12, dim: 4}\n"
                      "  - fc: 3\n"
                      "train: {batch: 12, epochs: 30, optimizer: adam, rate: 0.05}\n";

TEST(NetEmbedding, LearnsAndIsSaved) {
  Temporary folder;
  write_file(folder / "words.yaml", recipe);
  Device device;
  Sentences sentences;
  Net net(device, (folder / "words.yaml").c_str());
  lamina_training training = {};
  training.train = sentences;
  lamina_memory_need need = {}, of_floats = {}; // and no rounded batch beside the loader's
  Net floats(device, {1, 1, 5});
  floats.fc(3);
  ASSERT_OK(lamina_training_memory(net, &training, &need));
  training.batch = 12;
  ASSERT_OK(lamina_training_memory(floats, &training, &of_floats));
  EXPECT_EQ(need.loader, of_floats.loader + 12 * 5 * sizeof(int32_t));
  {
    Trainer trainer(net, training);
    ASSERT_OK(lamina_trainer_run(trainer));
  }
  lamina_evaluation evaluation = {};
  ASSERT_OK(lamina_net_evaluate(net, sentences, nullptr, 7, 1, &evaluation));
  EXPECT_EQ(evaluation.hits, evaluation.examples);
  int64_t counts[9] = {};
  ASSERT_OK(lamina_net_confusion(net, sentences, 7, counts));
  EXPECT_EQ(counts[0] + counts[4] + counts[8], 60);

  ASSERT_OK(lamina_net_save(net, (folder / "words.safetensors").c_str()));
  Net again(device, (folder / "words.safetensors").c_str());
  EXPECT_EQ(lamina_net_input(again).dtype, LAMINA_I32);
  EXPECT_EQ(again.all(), net.all());
  const float words[] = {0, 1, 2, 3, 4};
  const int32_t same[] = {0, 1, 2, 3, 4};
  float prob[3] = {}, scores[3] = {};
  ASSERT_OK(lamina_net_predict(again, 1, words, prob));
  ASSERT_OK(lamina_net_forward(again, 1, same, scores));
  EXPECT_GT(prob[1], 0.5f); // 4 % 3
  EXPECT_NEAR(std::log(prob[1] / prob[0]), scores[1] - scores[0], 1e-3);
}

// A net that is built in C is saved with a recipe, too.
TEST(NetEmbedding, IsDescribed) {
  Temporary folder;
  Device device;
  Net net(device, {4}, LAMINA_F16, 0, LAMINA_I32);
  net.add("embedding", three_words).fc(2);
  ASSERT_OK(lamina_net_init(net, 1));
  ASSERT_OK(lamina_net_save(net, (folder / "words.safetensors").c_str()));
  Net again(device, (folder / "words.safetensors").c_str());
  EXPECT_EQ(lamina_net_input(again).dtype, LAMINA_I32);
  EXPECT_EQ(lamina_net_output(again).dtype, LAMINA_F16);
  EXPECT_EQ(again.all(), net.all());
}

TEST(NetEmbedding, AWordThatNoTableHasIsBlamed) {
  Temporary folder;
  write_file(folder / "words.yaml", recipe);
  Device device;
  Sentences sentences;
  sentences.odd = 12;
  Net net(device, (folder / "words.yaml").c_str());
  lamina_training training = {};
  training.train = sentences;
  Trainer trainer(net, training);
  EXPECT_EQ(lamina_trainer_step(trainer), LAMINA_NOT_FINITE);
  EXPECT_NE(std::string(lamina_last_error()).find("0.embedding"), std::string::npos) << lamina_last_error();
}

} // namespace
