/* A batch in parts, one to a thread: parts.c. */
#ifndef LAMINA_NET_PARTS_H
#define LAMINA_NET_PARTS_H

#include "net/net.h"

/* The parts of the executor's batch where it is to be cut into some; else NULL. */
lamina_status lamina_parts_open(lamina_net *net, const lamina_executor *executor, lamina_parts **parts);
void lamina_parts_close(lamina_net *net, lamina_parts *parts);
/* The executor of the larger ones, and how many parts there are in all. */
const lamina_executor *lamina_parts_larger(const lamina_parts *parts, int *count);
/* The bytes that they take, and taking them. Nothing for NULL. */
size_t lamina_parts_size(const lamina_parts *parts);
lamina_status lamina_parts_take(lamina_net *net, const lamina_parts *parts);
/* All that comes before the update: afterwards loss, hits and gradients are where the whole graph would leave them. */
lamina_status lamina_parts_run(const lamina_net *net, lamina_parts *parts, const lamina_feed *feed);

#endif
