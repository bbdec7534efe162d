/* Before memory is taken: is there enough, and if not, which batch would fit. */
#include <stdio.h>

#include "net/net.h"

static size_t taken(const lamina_net *net) {
  size_t sum = 0;
  for (int b = 0; b < LAMINA_BUFFERS; b++) sum += net->size[b];
  return sum;
}

/* The largest batch below `too_many` that fits, by halving; 0 when not even one example does. */
static int64_t largest(int64_t too_many, size_t limit, lamina_need_fn *need_of, void *user) {
  int64_t fits = 0;
  while (too_many - fits > 1) {
    const int64_t middle = fits + (too_many - fits) / 2;
    lamina_memory_need need;
    if (need_of(user, middle, &need) == LAMINA_OK && need.total <= limit)
      fits = middle;
    else
      too_many = middle;
  }
  return fits;
}

lamina_status lamina_net_check_memory(lamina_net *net, int64_t batch, lamina_need_fn *need_of, void *user) {
  lamina_memory_need need;
  char advice[96];
  LAMINA_TRY(need_of(user, batch, &need));
  size_t limit = net->options.memory_limit;
  if (!limit && lamina_net_on_host(net)) {
    const size_t available = lamina_machine_memory("");
    limit = available ? available + taken(net) : 0;
  }
  if (!limit || need.total <= limit) return LAMINA_OK;
  const int64_t fits = largest(batch, limit, need_of, user);
  snprintf(advice, sizeof advice, fits ? "the largest batch that fits is %lld" : "not even one example fits",
           (long long)fits);
  return lamina_error(
      LAMINA_OUT_OF_MEMORY, "a batch of %lld needs %.1f MiB (%.1f of them for activations), but there are %.1f MiB; %s",
      (long long)batch, (double)need.total / 0x1p20, (double)need.activations / 0x1p20, (double)limit / 0x1p20, advice);
}
