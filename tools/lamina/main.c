/* lamina: one command, one table of what it can do. */
#include <string.h>

#include "cli.h"
#include "help.h"

static const cli_command commands[] = {
    {"train", "RECIPE [--set key=value]… [--epochs N] [--seed S] [--out DIR] [--resume]",
     "Trains the network of a recipe; the last line is its accuracy on the test data.", help_train, run_train},
    {"eval", "CHECKPOINT [--data SPEC] [--json]", "Loss and accuracy of a trained network on its test data.", help_eval,
     run_eval},
    {"predict", "CHECKPOINT FILE… [--json]", "What a trained network sees in pictures.", help_predict, run_predict},
    {"op", "OP tensor=FILE.npy|SHAPE… attribute=value… [dtype=T] [--engine E] [--explain]",
     "Runs one op on files or generated numbers.", help_op, run_op},
    {"verify", "[OP… | OP tensor=… attribute=…] [--engine E] [--cases N] [--seed S]",
     "Holds every engine against the oracle.", help_verify, run_verify},
    {"bench", "[OP tensor=SHAPE… attribute=value… [dtype=T] | --shapes FILE | RECIPE | --compare A B]",
     "Times every engine, checked, and whole nets, against what the device can do.", help_bench, run_bench},
    {"info", "[RECIPE | CHECKPOINT | OP] [--batch N] [--engines] [--json]",
     "Shows a network, an op, or what this build can do.", help_info, run_info},
    {"tune", "[RECIPE] [--set key=value]… [--batch N]",
     "Finds the fastest engine for each problem of a network, and keeps it.", help_tune, run_tune},
    {"doctor", "[--measure] [--json]", "Says what this machine offers and what is missing.", NULL, run_doctor},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void usage(FILE *to) {
  fprintf(to, "lamina %s: a deep learning runtime in C\n\n", LAMINA_VERSION);
  for (int i = 0; i < COMMANDS; i++) fprintf(to, "  lamina %-8s %s\n", commands[i].name, commands[i].summary);
  fprintf(to, "\nlamina COMMAND --help says more. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C.\n"
              "Environment: LAMINA_DATA, the folder of data files; LAMINA_THREADS; LAMINA_ENGINE, such as\n"
              "conv/forward:onednn,fc:ref; LAMINA_MODULE_PATH, where modules of other devices lie;\n"
              "LAMINA_TUNE_CACHE, the file of what tuning found; LAMINA_CUDA_SYNC=1, which waits for every op on a\n"
              "CUDA device, so that an error names it.\n");
}

static int unknown_command(const char *word) {
  const char *names[COMMANDS + 1] = {NULL};
  for (int i = 0; i < COMMANDS; i++) names[i] = commands[i].name;
  const char *near = cli_nearest(word, names);
  fprintf(stderr, "lamina: there is no command \"%s\"", word);
  if (near)
    fprintf(stderr, "; did you mean %s?\n", near);
  else
    fprintf(stderr, "; lamina help lists them\n");
  return EXIT_USAGE;
}

static int run(int argc, char **argv) {
  for (int i = 0; i < COMMANDS; i++)
    if (strcmp(argv[0], commands[i].name) == 0) return commands[i].run(&commands[i], argc, argv);
  return unknown_command(argv[0]);
}

int main(int argc, char **argv) {
  if (argc < 2) {
    usage(stderr);
    return EXIT_USAGE;
  }
  const bool help = strcmp(argv[1], "help") == 0;
  if (help && argc > 2) { /* lamina help train */
    char option[] = "--help", *words[] = {argv[2], option, NULL};
    return run(2, words);
  }
  if (help || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
    usage(stdout);
    return 0;
  }
  if (strcmp(argv[1], "--version") == 0) {
    printf("lamina %s\n", LAMINA_VERSION);
    return 0;
  }
  cli_wait_politely(argv);
  return run(argc - 1, argv + 1);
}
