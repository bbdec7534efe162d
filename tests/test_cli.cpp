// The command line itself: help, wrong words, and what the build says of itself.
#include "command.h"

namespace {

class Cli : public testing::Test {
protected:
  Result run(const Words &words) { return run_lamina(words, folder.path()); }
  Temporary folder;
};

TEST_F(Cli, ListsItsCommands) {
  const Result none = run({}), help = run({"--help"});
  EXPECT_EQ(none.code, 2);
  EXPECT_EQ(help.code, 0);
  EXPECT_EQ(none.err, help.out);
  for (const char *command : {"train", "eval", "predict", "op", "verify", "bench", "info", "doctor"})
    EXPECT_NE(help.out.find(std::string("lamina ") + command), std::string::npos) << command;
}

TEST_F(Cli, EveryCommandHasHelpWithItsOptions) {
  const std::vector<Words> expected = {{"train", "--set", "--resume", "--epochs", "lamina train digits"},
                                       {"eval", "--data", "lamina eval"},
                                       {"predict", "--json", "lamina predict"},
                                       {"op", "--explain", "lamina op conv/forward"},
                                       {"verify", "--cases", "lamina verify"},
                                       {"bench", "--seconds", "lamina bench"},
                                       {"info", "--engines", "lamina info"},
                                       {"doctor", "--json"}};
  for (const Words &words : expected) {
    const Result help = run({words[0], "--help"});
    EXPECT_EQ(help.code, 0);
    EXPECT_EQ(help.err, "");
    for (const std::string &part : words) EXPECT_NE(help.out.find(part), std::string::npos) << part << "\n" << help.out;
    EXPECT_EQ(run({"help", words[0]}).out, help.out);
  }
}

TEST_F(Cli, SaysItsVersion) {
  const Result version = run({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_EQ(version.out.rfind("lamina ", 0), 0u);
}

TEST_F(Cli, UnknownWordsGetTheNearest) {
  const Result command = run({"trian", "digits"});
  EXPECT_EQ(command.code, 2);
  EXPECT_EQ(command.err, "lamina: there is no command \"trian\"; did you mean train?\n");
  EXPECT_EQ(run({"xyzzy"}).err, "lamina: there is no command \"xyzzy\"; lamina help lists them\n");
  expect_failure(run({"train", "digits", "--epoch", "3"}), {"--epoch;", "did you mean --epochs?"}, 2);
  expect_failure(run({"train", "digts"}), {"\"digts\"", "did you mean \"digits\"?"});
  expect_failure(run({"info", "conv/foward"}), {"\"conv/foward\"", "did you mean conv/forward?"});
  expect_failure(run({"op", "conv/foward"}), {"\"conv/foward\"", "did you mean conv/forward?"});
  expect_failure(run({"verify", "poool"}), {"\"poool\""});
}

TEST_F(Cli, OptionsAreChecked) {
  expect_failure(run({"train", "digits", "--epochs", "three"}), {"--epochs", "\"three\"", "whole number"}, 2);
  expect_failure(run({"train", "digits", "--epochs"}), {"--epochs needs a value"}, 2);
  expect_failure(run({"train", "digits", "--json=1"}), {"--json takes no value"}, 2);
  expect_failure(run({"train"}), {"RECIPE"}, 2);
  expect_failure(run({"train", "digits", "xo"}), {"\"xo\"", "too many"}, 2);
  expect_failure(run({"train", "digits", "--threads", "-1"}), {"--threads is -1"}, 2);
  expect_failure(run({"eval"}), {"CHECKPOINT"}, 2);
  expect_failure(run({"predict", "x.safetensors"}), {"picture"}, 2);
  expect_failure(run({"bench", "relu/forward", "x=3", "--seconds", "long"}), {"--seconds", "\"long\""}, 2);
  expect_failure(run({"verify", "--cases", "0"}), {"--cases is 0"}, 2);
  expect_failure(run({"doctor", "now"}), {"\"now\""}, 2);
}

TEST_F(Cli, DevicesAreNeverReplaced) {
  const Result result = run({"train", "digits", "--device", "gpu:0"});
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("gpu"), std::string::npos) << result.err;
  EXPECT_EQ(result.out, "");
}

TEST_F(Cli, InfoShowsNetsOpsAndTheBuild) {
  const Result build = run({"info", "--engines"}), op = run({"info", "conv/backward_data"}),
               family = run({"info", "fc"});
  EXPECT_EQ(build.code, 0);
  EXPECT_NE(build.out.find("numbers:"), std::string::npos);
  EXPECT_NE(build.out.find("conv/backward_weights"), std::string::npos);
  EXPECT_EQ(op.out.rfind("conv/backward_data\n", 0), 0u);
  EXPECT_NE(op.out.find("dilation"), std::string::npos);
  EXPECT_NE(family.out.find("fc/backward_bias"), std::string::npos);
  const Result net = run({"info", "digits", "--batch", "3", "--engines"});
  EXPECT_EQ(net.code, 0) << net.err;
  for (const char *part : {"f32[3,6,28,28]", "61706", "inference", "training", "softmax_cross_entropy/backward"})
    EXPECT_NE(net.out.find(part), std::string::npos) << part << net.out;
  const Result json = run({"info", "digits", "--json"});
  EXPECT_EQ(
      json.out.rfind("{\"batch\":1,\"parameters\":61706,\"layers\":[{\"name\":\"0.conv\",\"output\":[1,6,28,28]", 0),
      0u);
  EXPECT_EQ(count_lines(json.out), 1);
}

TEST_F(Cli, DoctorFindsTheProcessor) {
  const Result words = run({"doctor"}), json = run({"doctor", "--json"});
  EXPECT_EQ(words.code, 0);
  EXPECT_EQ(words.out.rfind("ok   cpu", 0), 0u) << words.out;
  EXPECT_EQ(json.out.rfind("{\"checks\":[{\"check\":\"cpu\",\"ok\":true,", 0), 0u) << json.out;
}

TEST_F(Cli, DoctorFailsWhereTheProcessorCannotBeUsed) {
  setenv("LAMINA_THREADS", "none", 1);
  const Result words = run({"doctor"}), json = run({"doctor", "--json"});
  unsetenv("LAMINA_THREADS");
  EXPECT_EQ(words.code, 1);
  EXPECT_EQ(words.out.rfind("--   cpu      LAMINA_THREADS is \"none\"", 0), 0u) << words.out;
  EXPECT_EQ(json.code, 1);
  EXPECT_EQ(json.out.rfind("{\"checks\":[{\"check\":\"cpu\",\"ok\":false,", 0), 0u) << json.out;
}

TEST_F(Cli, RecipesAreFoundByPathAndByName) {
  std::filesystem::create_directory(folder / "recipes");
  write_file(folder / "recipes/mine.yaml", "input: [4]\nnet: [{fc: 3}]\n");
  write_file(folder / "recipes/digits.yaml", "input: [5]\nnet: [{fc: 3}]\n");
  EXPECT_NE(run({"info", "mine"}).out.find("15"), std::string::npos);
  EXPECT_NE(run({"info", "mine.yaml"}).out.find("15"), std::string::npos);
  EXPECT_NE(run({"info", "recipes/mine.yaml"}).out.find("15"), std::string::npos);
  EXPECT_NE(run({"info", "digits"}).out.find("18"), std::string::npos); // ./recipes comes before the command's own
  expect_failure(run({"info", "recipes/none.yaml"}), {"recipes/none.yaml", "no such file"});
}

} // namespace
