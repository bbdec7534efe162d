/* Before memory is taken: is there enough, and if not, which batch would fit. */
#include <stdio.h>

#include "core/device.h"
#include "net/net.h"

static size_t taken(const lamina_net *net) {
  size_t sum = 0;
  for (int b = 0; b < LAMINA_BUFFERS; b++) sum += net->size[b];
  return sum;
}

/* What there is: of the device's memory, and of the host's for what stays there; 0: nobody knows. `all`: for both. */
typedef struct limits {
  size_t device, host, all;
} limits;

static bool fits_in(const lamina_memory_need *need, const limits *limit) {
  return (!limit->all || need->total <= limit->all) && (!limit->device || need->device <= limit->device) &&
         (!limit->host || need->loader <= limit->host);
}

/* The largest batch below `too_many` that fits, by halving; 0 when not even one example does. */
static int64_t largest(int64_t too_many, const limits *limit, lamina_need_fn *need_of, void *user) {
  int64_t fits = 0;
  while (too_many - fits > 1) {
    const int64_t middle = fits + (too_many - fits) / 2;
    lamina_memory_need need;
    if (need_of(user, middle, &need) == LAMINA_OK && fits_in(&need, limit))
      fits = middle;
    else
      too_many = middle;
  }
  return fits;
}

static lamina_status find_limits(const lamina_net *net, limits *limit) {
  const lamina_device *device = net->device;
  *limit = (limits){.all = net->options.memory_limit};
  if (limit->all) return LAMINA_OK;
  const size_t host = lamina_machine_memory("");
  if (lamina_net_on_host(net)) {
    limit->all = host ? host + taken(net) : 0;
    return LAMINA_OK;
  }
  limit->host = host;
  if (!device->module.memory_left) return LAMINA_OK;
  LAMINA_TRY(device->module.memory_left(device->state, &limit->device));
  limit->device += taken(net);
  return LAMINA_OK;
}

lamina_status lamina_net_check_memory(lamina_net *net, int64_t batch, lamina_need_fn *need_of, void *user) {
  lamina_memory_need need;
  limits limit;
  char advice[96];
  LAMINA_TRY(need_of(user, batch, &need));
  LAMINA_TRY(find_limits(net, &limit));
  if (fits_in(&need, &limit)) return LAMINA_OK;
  const int64_t fits = largest(batch, &limit, need_of, user);
  snprintf(advice, sizeof advice, fits ? "the largest batch that fits is %lld" : "not even one example fits",
           (long long)fits);
  if (limit.device && need.device > limit.device)
    return lamina_error(
        LAMINA_OUT_OF_MEMORY,
        "a batch of %lld needs %.1f MiB on %s (%.1f of them for activations, most at a time for %s), but "
        "%.1f MiB are free; %s",
        (long long)batch, (double)need.device / 0x1p20, net->device->name, (double)need.activations / 0x1p20,
        need.widest, (double)limit.device / 0x1p20, advice);
  if (!limit.all)
    return lamina_error(LAMINA_OUT_OF_MEMORY,
                        "batches of %lld that are made ahead need %.1f MiB of host memory, but there are %.1f MiB; %s",
                        (long long)batch, (double)need.loader / 0x1p20, (double)limit.host / 0x1p20, advice);
  return lamina_error(LAMINA_OUT_OF_MEMORY,
                      "a batch of %lld needs %.1f MiB (%.1f of them for activations, most at a time for %s), but there "
                      "are %.1f MiB; %s",
                      (long long)batch, (double)need.total / 0x1p20, (double)need.activations / 0x1p20, need.widest,
                      (double)limit.all / 0x1p20, advice);
}
