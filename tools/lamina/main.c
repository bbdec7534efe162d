/* lamina: one command, one table of what it can do. */
#include <string.h>

#include "cli.h"

static const char train_help[] =
    "RECIPE is a YAML file, or the name of one in recipes/: digits and xo need no files. Relative data files are "
    "looked\n"
    "for under $LAMINA_DATA. DIR (default runs/NAME) gets\n"
    "  checkpoint.safetensors   after every epoch, and when the training ends or is stopped\n"
    "  metrics.jsonl            loss, rate, accuracy and speed, a JSON object a line\n"
    "  loss.svg                 the same as a picture\n"
    "  recipe.yaml              the recipe after --set\n"
    "Ctrl-C finishes the step, saves and exits with 130; pressed twice it stops at once. --resume goes on from DIR as "
    "if\n"
    "it had never stopped; RECIPE may be left out then.\n\n"
    "  lamina train digits\n"
    "  lamina train lenet5-mnist --epochs 3 --set train.rate.cosine=0.02 --out runs/short\n"
    "  lamina train --out runs/short --resume\n";

static const char eval_help[] =
    "CHECKPOINT is what lamina train wrote, or the folder. SPEC is other data, as in a recipe: "
    "\"idx:PREFIX\", \"digits:test,count=500\";\n"
    "it is normalised as the recipe says.\n\n"
    "  lamina eval runs/digits\n"
    "  lamina eval runs/lenet5-mnist/checkpoint.safetensors --data idx:mnist/t10k --json\n";

static const char predict_help[] = "FILE is a PGM picture (grey; P2 or P5) of the size that the network was trained "
                                   "on. A line each: the file, the class,\n"
                                   "its probability and the runners-up. Files that can't be read are said; the rest is "
                                   "done, and the exit code is 1.\n\n"
                                   "  lamina predict runs/digits seven.pgm three.pgm\n";

static const char info_help[] = "Of a network: its layers with shapes, parameters and work, and the memory that it "
                                "takes. Of an op, \"conv/forward\", or\n"
                                "a family of them, \"conv\": its arguments and attributes, by the names that lamina op "
                                "takes. Without a word: version,\n"
                                "device, how numbers are rounded, and with --engines what runs each op.\n\n"
                                "  lamina info lenet5-mnist --batch 128 --engines\n"
                                "  lamina info conv/backward_data\n";

static const cli_command commands[] = {
    {"train", "RECIPE [--set key=value]… [--epochs N] [--seed S] [--out DIR] [--resume]",
     "Trains the network of a recipe; the last line is its accuracy on the test data.", train_help, run_train},
    {"eval", "CHECKPOINT [--data SPEC] [--json]", "Loss and accuracy of a trained network on its test data.", eval_help,
     run_eval},
    {"predict", "CHECKPOINT FILE… [--json]", "What a trained network sees in pictures.", predict_help, run_predict},
    {"info", "[RECIPE | CHECKPOINT | OP] [--batch N] [--engines] [--json]",
     "Shows a network, an op, or what this build can do.", info_help, run_info},
    {"doctor", "[--json]", "Says what this machine offers and what is missing.", NULL, run_doctor},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void usage(FILE *to) {
  fprintf(to, "lamina %s: a deep learning runtime in C\n\n", LAMINA_VERSION);
  for (int i = 0; i < COMMANDS; i++) fprintf(to, "  lamina %-8s %s\n", commands[i].name, commands[i].summary);
  fprintf(to, "\nlamina COMMAND --help says more.\n");
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

int main(int argc, char **argv) {
  if (argc < 2) {
    usage(stderr);
    return EXIT_USAGE;
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
    usage(stdout);
    return 0;
  }
  if (strcmp(argv[1], "--version") == 0) {
    printf("lamina %s\n", LAMINA_VERSION);
    return 0;
  }
  for (int i = 0; i < COMMANDS; i++)
    if (strcmp(argv[1], commands[i].name) == 0) return commands[i].run(&commands[i], argc - 1, argv + 1);
  return unknown_command(argv[1]);
}
