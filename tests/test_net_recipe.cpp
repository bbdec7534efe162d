// Recipes: what they mean, and what each mistake in one gets.
#include "lamina/io.h"
#include "net_fixture.h"
#include "temporary.h"

namespace {

// Every mistake is one change of this recipe.
const char *const good = R"(input: [1, 8, 8]
data: {train: "digits:train,count=64", test: "digits:test,count=8"}
net:
  - conv: {filters: 4, kernel: 3}
  - relu
  - max_pool: 2
  - fc: 10
train:
  batch: 16
  epochs: 2
  optimizer: {sgd: {momentum: 0.9, decay: 1e-4}}
  rate: {cosine: 0.05}
  seed: 1
)";

struct Mistake {
  const char *name;
  const char *from, *to; // replaced once; from "": appended
  lamina_status status;
  const char *sentence; // after "…/net.yaml"
};

const Mistake mistakes[] = {
    // Keys that aren't known
    {"root", "input:", "imput:", LAMINA_INVALID, ":1:1: unknown key \"imput\"; did you mean \"input\"?"},
    {"root_far", "input:", "shape:", LAMINA_INVALID,
     ":1:1: unknown key \"shape\"; expected input, dtype, input_dtype, math, data, net or train"},
    {"data", "test:", "tets:", LAMINA_INVALID, ":2:40: data: unknown key \"tets\"; did you mean \"test\"?"},
    {"train", "epochs", "epoch", LAMINA_INVALID, ":10:3: train: unknown key \"epoch\"; did you mean \"epochs\"?"},
    {"conv", "filters", "filter", LAMINA_INVALID,
     ":4:12: net[0].conv: unknown key \"filter\"; did you mean \"filters\"?"},
    {"optimizer_key", "momentum", "momentun", LAMINA_INVALID,
     ":11:21: train.optimizer.sgd: unknown key \"momentun\"; did you mean \"momentum\"?"},
    {"rate_key", "{cosine: 0.05}", "{cosine: {rate: 0.05, every: 3}}", LAMINA_INVALID,
     ":12:31: train.rate.cosine: unknown key \"every\"; expected rate, final or warmup"},
    {"normalise", "data: {", "data: {normalise: {average: 1}, ", LAMINA_INVALID,
     ":2:20: data.normalise: unknown key \"average\"; expected mean or deviation"},
    // Names
    {"layer", "- relu", "- rely", LAMINA_INVALID, ":5:5: net[1]: there is no layer \"rely\"; did you mean \"relu\"?"},
    {"optimizer", "{sgd:", "{sdg:", LAMINA_INVALID,
     ":11:14: train.optimizer: there is no optimizer \"sdg\"; did you mean \"sgd\"?"},
    {"optimizer_far", "{sgd: {momentum: 0.9, decay: 1e-4}}", "lion", LAMINA_INVALID,
     ":11:14: train.optimizer: there is no optimizer \"lion\"; expected adam or sgd"},
    {"rate_kind", "cosine", "cosin", LAMINA_INVALID,
     ":12:10: train.rate: unknown key \"cosin\"; did you mean \"cosine\"?"},
    {"loss", "batch: 16", "loss: quadratic", LAMINA_INVALID,
     ":9:9: train.loss: there is no loss \"quadratic\"; expected nll, hinge, binary_cross_entropy, mse, l1, huber, "
     "softmax_cross_entropy or softmax_cross_entropy_target"},
    {"init", "kernel: 3}", "kernel: 3, init: he}", LAMINA_INVALID,
     ":4:41: net[0].conv.init: unknown name \"he\"; expected default, he_normal, he_uniform, xavier_normal, "
     "xavier_uniform or zero"},
    {"dtype", "input:", "dtype: f8\ninput:", LAMINA_INVALID,
     ":1:8: dtype: unknown name \"f8\"; expected f32, bf16, f16 or f64"},
    {"input_dtype", "input:", "input_dtype: f32\ninput:", LAMINA_INVALID,
     ":1:14: input_dtype: unknown name \"f32\"; did you mean \"i32\"?"},
    // Types
    {"word_for_number", "filters: 4", "filters: four", LAMINA_INVALID,
     ":4:21: net[0].conv.filters: expected an integer from 1 to 2147483648, got \"four\""},
    {"text_for_number", "batch: 16", "batch: \"16\"", LAMINA_INVALID,
     ":9:10: train.batch: expected an integer from 1 to 2147483647, got the text \"16\""},
    {"fraction", "batch: 16", "batch: 16.5", LAMINA_INVALID,
     ":9:10: train.batch: expected an integer from 1 to 2147483647, got \"16.5\""},
    {"list_for_map", "train:\n  batch: 16", "train: [1]\nnet2:\n  batch: 16", LAMINA_INVALID,
     ":9:1: unknown key \"net2\"; did you mean \"net\"?"},
    {"map_for_list", "net:\n  - conv: {filters: 4, kernel: 3}\n  - relu\n  - max_pool: 2\n  - fc: 10", "net: {fc: 10}",
     LAMINA_INVALID, ":3:6: net: expected a list, got a map"},
    {"two_in_one", "- relu", "- {relu: , tanh: }", LAMINA_INVALID,
     ":5:5: net[1]: expected a name, or a map with one key, got one with 2"},
    {"value_for_none", "- relu", "- relu: 3", LAMINA_INVALID, ":5:11: net[1].relu: it takes no value"},
    {"spec", "\"digits:train,count=64\"", "[1, 2]", LAMINA_INVALID, ":2:15: data.train: expected text, got a list"},
    {"bool", "kernel: 3}", "kernel: 3, bias: 1}", LAMINA_INVALID,
     ":4:41: net[0].conv.bias: expected true or false, got \"1\""},
    {"rate_word", "{cosine: 0.05}", "fast", LAMINA_INVALID, ":12:9: train.rate: expected a number, got \"fast\""},
    // Values
    {"missing_filters", "filters: 4, ", "", LAMINA_INVALID,
     ":4:5: net[0]: 0.conv: filters is missing; expected 1 to 2147483648"},
    {"missing_kernel", ", kernel: 3", "", LAMINA_INVALID,
     ":4:5: net[0]: 0.conv: kernel is missing; before it comes the input, which gives f32[1,8,8]"},
    {"missing_pool", "max_pool: 2", "max_pool", LAMINA_INVALID,
     ":6:5: net[2]: 2.max_pool: kernel is missing; before it comes 1.relu, which gives f32[4,6,6]"},
    {"missing_units", "fc: 10", "fc", LAMINA_INVALID, ":7:5: net[3]: 3.fc: units is missing; expected 1 to 2147483648"},
    {"missing_net", "net:\n  - conv: {filters: 4, kernel: 3}\n  - relu\n  - max_pool: 2\n  - fc: 10\n", "",
     LAMINA_INVALID, ":1:1: the key \"net\" is missing"},
    {"no_input", "input: [1, 8, 8]\ndata: {train: \"digits:train,count=64\", test: \"digits:test,count=8\"}\n", "",
     LAMINA_INVALID, ":1:1: expected `input:`, the shape of one example, or `data:` with `train:`"},
    {"zero_filters", "filters: 4", "filters: 0", LAMINA_INVALID,
     ":4:21: net[0].conv.filters: expected an integer from 1 to 2147483648, got \"0\""},
    {"negative_batch", "batch: 16", "batch: -1", LAMINA_INVALID,
     ":9:10: train.batch: expected an integer from 1 to 2147483647, got \"-1\""},
    {"seed", "seed: 1", "seed: 0", LAMINA_INVALID, ":13:9: train.seed: expected an integer of at least 1, got \"0\""},
    {"axes", "kernel: 3", "kernel: [3, 3, 3]", LAMINA_INVALID,
     ":4:32: net[0].conv.kernel: expected 2 integers, one for each spatial axis, got 3"},
    {"too_few_pads", "kernel: 3", "kernel: 3, pad: [[1, 1]]", LAMINA_INVALID,
     ":4:40: net[0].conv.pad: expected 2 pairs, one for each spatial axis, got 1"},
    {"half_a_pair", "kernel: 3", "kernel: 3, pad: [[1, 1], [1]]", LAMINA_INVALID,
     ":4:49: net[0].conv.pad[1]: expected two integers, before and after"},
    {"momentum", "momentum: 0.9", "momentum: 1.5", LAMINA_INVALID,
     ":11:31: train.optimizer.sgd.momentum: expected a number from 0 to 1, got \"1.5\""},
    {"decay", "decay: 1e-4", "decay: -1", LAMINA_INVALID,
     ":11:43: train.optimizer.sgd.decay: expected a number of at least 0, got \"-1\""},
    {"clip_norm", "batch: 16", "clip_norm: -1", LAMINA_INVALID,
     ":9:14: train.clip_norm: expected a number from 0 to 1e+300, got \"-1\""},
    {"clip_value", "batch: 16", "clip_value: small", LAMINA_INVALID,
     ":9:15: train.clip_value: expected a number from 0 to 1e+300, got \"small\""},
    {"rate_zero", "cosine: 0.05", "constant: 0", LAMINA_INVALID,
     ":12:9: train.rate: the learning rate is 0; expected more than 0"},
    {"step_every", "cosine: 0.05", "step: 0.05", LAMINA_INVALID,
     ":12:9: train.rate: the rate falls every 0 epochs; expected at least 1"},
    {"dropout", "- relu", "- dropout: 1.5", LAMINA_INVALID,
     ":5:14: net[1].dropout: expected a number from 0 to 1, got \"1.5\""},
    // Shapes that don't fit, naming both layers
    {"kernel_too_large", "- relu", "- conv: {filters: 2, kernel: 7}", LAMINA_INVALID,
     ":5:5: net[1]: 1.conv: conv/forward: x is f32[1,4,6,6]; with padding its spatial axis 0 has 6 elements, but the "
     "filter needs 7; before it comes 0.conv, which gives f32[4,6,6]"},
    {"conv_after_fc", "- fc: 10", "- fc: 10\n  - conv: {filters: 1, kernel: 1}", LAMINA_INVALID,
     ":8:5: net[4]: 4.conv: its input has 2 axes; expected [N, C] and 1 to 3 spatial axes; before it comes 3.fc, "
     "which gives f32[10]"},
    {"groups", "- relu", "- conv: {filters: 6, kernel: 1, groups: 3}", LAMINA_INVALID,
     ":5:5: net[1]: 1.conv: the 4 channels of its input can't be split into 3 groups; before it comes 0.conv, which "
     "gives f32[4,6,6]"},
    {"reshape", "- relu", "- reshape: [5, 5]", LAMINA_INVALID,
     ":5:5: net[1]: 1.reshape: f32[1,4,6,6] can't become f32[1,5,5]: the number of elements differs; before it comes "
     "0.conv, which gives f32[4,6,6]"},
    {"same_and_pad", "kernel: 3", "kernel: 3, same: true, pad: 1", LAMINA_INVALID,
     ":4:5: net[0]: 0.conv: pad is given beside `same`; expected one of them; before it comes the input, which gives "
     "f32[1,8,8]"},
    // Sizes
    {"units_too_many", "fc: 10", "fc: 9000000000000000000", LAMINA_INVALID,
     ":7:9: net[3].fc: expected an integer from 1 to 2147483648, got \"9000000000000000000\""},
    {"input_overflows", "input: [1, 8, 8]", "input: [2000000000, 2000000000, 2000000000]", LAMINA_INVALID,
     ":1:8: input: the size of the net's input overflows"},
    {"input_zero", "input: [1, 8, 8]", "input: [1, 0, 8]", LAMINA_INVALID,
     ":1:12: input[1]: expected an integer from 1 to 2147483647, got \"0\""},
    // YAML that isn't
    {"tab", "  - relu", "\t- relu", LAMINA_CORRUPT,
     ":5:1: found character that cannot start any token (while scanning for the next token that begins in line 5)"},
    {"open_bracket", "{cosine: 0.05}", "{cosine: 0.05", LAMINA_CORRUPT,
     ":13:7: did not find expected ',' or '}' (while parsing a flow mapping that begins in line 12)"},
    {"key_twice", "  seed: 1", "  seed: 1\n  seed: 2", LAMINA_CORRUPT,
     ":14:3: the key \"seed\" is already in line 13; expected it once"},
};

class Recipe : public testing::Test {
protected:
  Temporary folder;
  Device device;
  const std::string path = folder / "net.yaml";

  lamina_status load(const std::string &text, std::vector<const char *> set = {}) {
    lamina_load_options options = {};
    set.push_back(nullptr);
    options.set = set.data();
    write_file(path, text);
    lamina_net_close(net);
    return lamina_net_load(device, path.c_str(), &options, &net);
  }
  ~Recipe() override { lamina_net_close(net); }

  lamina_net *net = nullptr;
};

TEST_F(Recipe, EveryMistakeGetsItsPlaceAndSentence) {
  ASSERT_OK(load(good));
  for (const Mistake &mistake : mistakes) {
    SCOPED_TRACE(mistake.name);
    std::string text = good;
    const size_t at = text.find(mistake.from);
    ASSERT_NE(at, std::string::npos);
    text.replace(at, std::strlen(mistake.from), mistake.to);
    EXPECT_EQ(load(text), mistake.status);
    EXPECT_EQ(net, nullptr);
    const std::string sentence = lamina_last_error();
    ASSERT_EQ(sentence.rfind(path, 0), 0u) << sentence;
    EXPECT_EQ(sentence.substr(path.size()), mistake.sentence);
  }
}

TEST_F(Recipe, ReadsEverythingItSays) {
  ASSERT_OK(load(R"(
input: [2, 9, 7]
data:
  train: "digits:train,count=64"
  shift: 2
  threads: 0
net:
  - conv: {filters: 4, kernel: [3, 2], stride: [2, 1], pad: [[1, 0], [0, 2]], dilation: 1, bias: false, init: he_uniform}
  - conv: {filters: 6, kernel: 3, pad: same, groups: 2}
  - avg_pool: {kernel: 2, stride: 1, pad: [1, 0], ceil: true, count_pad: true}
  - max_pool: {global: true}
  - flatten
  - reshape: [2, 3]
  - softmax: {axis: -1}
  - scale: 2.5
  - dropout: {p: 0}
  - fc: {units: 5, bias: false}
train:
  loss: softmax_cross_entropy
  batch: 3
  epochs: 4
  optimizer: {adam: {beta1: 0.8, decay: 0.01, decoupled: true}}
  rate: {step: {rate: 0.1, every: 2, factor: 0.5, warmup: 1}}
  seed: 9
  top_k: 2
  evaluate: -1
)"));
  char shape[64];
  const char *const shapes[] = {"f32[1,4,4,8]", "f32[1,6,4,8]", "f32[1,6,5,7]", "f32[1,6,1,1]", "f32[1,6]",
                                "f32[1,2,3]",   "f32[1,2,3]",   "f32[1,2,3]",   "f32[1,2,3]",   "f32[1,5]"};
  for (int i = 0; i < 10; i++) {
    lamina_layer_info info = {};
    ASSERT_OK(lamina_net_layer(net, i, 1, &info));
    EXPECT_STREQ(lamina_desc_text(&info.output, shape, sizeof shape), shapes[i]) << info.name;
  }
  EXPECT_EQ(lamina_net_parameter_total(net), 4 * 2 * 6 + 6 * 2 * 9 + 6 + 5 * 6);
}

TEST_F(Recipe, TrainsAsItSays) {
  ASSERT_OK(load(std::string(good) + "  top_k: 3\n  evaluate: 2\n",
                 {"train.optimizer={adam: {beta1: 0.8, decay: 0.01}}", "train.rate={step: {rate: 0.1, every: 2}}",
                  "data.shift=1", "data.threads=0", "net[3].fc=12", "input=[1, 28, 28]"}));
  EXPECT_EQ(lamina_net_output(net).dims[0], 12);
  Trainer trainer(net);
  const lamina_training *t = lamina_trainer_training(trainer);
  EXPECT_STREQ(t->optimizer, "adam");
  EXPECT_EQ(t->decay, 0.01);
  EXPECT_EQ(t->batch, 16);
  EXPECT_EQ(t->epochs, 2);
  EXPECT_EQ(t->top_k, 3);
  EXPECT_EQ(t->evaluate, 2);
  EXPECT_EQ(t->shift, 1);
  EXPECT_LT(t->threads, 0);
  EXPECT_EQ(t->seed, 1u);
  EXPECT_EQ(t->rate.kind, LAMINA_RATE_STEP);
  EXPECT_EQ(t->rate.every, 2);
  EXPECT_EQ(lamina_dataset_info_of(t->train)->count, 64);
  const std::string recipe = lamina_net_recipe(net);
  EXPECT_NE(recipe.find("fc: 12"), std::string::npos) << recipe; // after the assignments
  EXPECT_EQ(recipe.find("cosine"), std::string::npos) << recipe;
}

TEST_F(Recipe, TheInputIsTheDatasWhereItIsNotSaid) {
  std::string text = good;
  text.erase(0, text.find('\n') + 1);
  ASSERT_OK(load(text));
  const lamina_desc input = lamina_net_input(net);
  char shape[64];
  EXPECT_STREQ(lamina_desc_text(&input, shape, sizeof shape), "f32[1,28,28]");
}

TEST_F(Recipe, ShortFormsAreTheLongOnes) {
  const char *const pairs[][2] = {{"max_pool: 2", "max_pool: {kernel: [2, 2]}"},
                                  {"fc: 10", "fc: {units: 10, bias: true}"},
                                  {"- relu", "- relu: {}"},
                                  {"- relu", "- relu: null"}};
  ASSERT_OK(load(good));
  ASSERT_OK(lamina_net_init(net, 1));
  const std::string first = folder / "first.safetensors", second = folder / "second.safetensors";
  ASSERT_OK(lamina_net_save(net, first.c_str()));
  for (const auto &pair : pairs) {
    std::string text = good;
    text.replace(text.find(pair[0]), std::strlen(pair[0]), pair[1]);
    ASSERT_OK(load(text));
    ASSERT_OK(lamina_net_init(net, 1));
    ASSERT_OK(lamina_net_save(net, second.c_str()));
    const auto net_of = [](const std::string &file) {
      lamina_safetensors *opened = nullptr;
      EXPECT_OK(lamina_safetensors_open(file.c_str(), nullptr, &opened));
      const std::string note = lamina_safetensors_value(opened, "lamina.net");
      lamina_safetensors_close(opened);
      return note;
    };
    EXPECT_EQ(net_of(first), net_of(second)) << pair[1];
  }
}

TEST_F(Recipe, AssignmentsThatCantBe) {
  EXPECT_EQ(load(good, {"train.batch"}), LAMINA_INVALID);
  EXPECT_EQ(load(good, {"net[9].fc=3"}), LAMINA_INVALID);
  EXPECT_EQ(load(good, {"train.bath=3"}), LAMINA_INVALID);
  EXPECT_NE(std::string(lamina_last_error()).find("unknown key \"bath\"; did you mean \"batch\"?"), std::string::npos)
      << lamina_last_error();
  EXPECT_EQ(load(good, {"train.batch=many"}), LAMINA_INVALID);
  EXPECT_NE(std::string(lamina_last_error()).find("train.batch: expected an integer"), std::string::npos)
      << lamina_last_error();
}

TEST_F(Recipe, FilesThatArent) {
  EXPECT_EQ(lamina_net_load(device, (folder / "none.yaml").c_str(), nullptr, &net), LAMINA_IO);
  EXPECT_NE(std::string(lamina_last_error()).find(folder / "none.yaml"), std::string::npos);
  EXPECT_EQ(load(""), LAMINA_CORRUPT);
}

} // namespace
