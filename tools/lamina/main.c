/* lamina: one command, one table of what it can do. */
#include <string.h>

#include "cli.h"

static const cli_command commands[] = {
    {"info", "[RECIPE | CHECKPOINT] [--engines]", "shows a network, or what this build can do", run_info},
    {"doctor", "[--json]", "says what this machine offers and what is missing", run_doctor},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void usage(FILE *to) {
  fprintf(to, "lamina %s: a deep learning runtime in C\n\n", LAMINA_VERSION);
  for (int i = 0; i < COMMANDS; i++) fprintf(to, "  lamina %-8s %s\n", commands[i].name, commands[i].summary);
  fprintf(to, "\nlamina COMMAND --help says more.\n");
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
  fprintf(stderr, "lamina: there is no command \"%s\"\n\n", argv[1]);
  usage(stderr);
  return EXIT_USAGE;
}
