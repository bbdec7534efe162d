/* How OpenMP's threads wait for each other. libgomp's preset is to spin some 10 ms before they sleep; on a machine that
 * others use, too, a thread then spins away the very time that the one it waits for could work in (a small convolution
 * on two shared cores: 38 ms, and 1 ms with this). A thousand turns, some 40 us, is what libgomp itself takes where it
 * knows that there are more threads than cores. It reads its environment when it is loaded, before main; so the command
 * starts itself again, once. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"

void cli_wait_politely(char **argv) {
  char self[4096];
  if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return;
  const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  if (length <= 0 || setenv("GOMP_SPINCOUNT", "1000", 1)) return;
  self[length] = 0;
  execv(self, argv); /* if it fails all goes on, slower at worst */
}
