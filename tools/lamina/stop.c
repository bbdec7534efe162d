#include "stop.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static volatile sig_atomic_t wanted;

static void on_signal(int number) {
  static const char words[] = "\nstopping after this step; once more stops at once\n";
  (void)number;
  if (wanted) _exit(EXIT_STOPPED);
  wanted = 1;
  if (isatty(STDERR_FILENO) && write(STDERR_FILENO, words, sizeof words - 1) < 0) return; /* nothing to be done */
}

void stop_watch(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

bool stop_wanted(void) { return wanted; }
