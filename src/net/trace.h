/* A net's trace, as what runs its ops sees it. Call these only where net->trace isn't NULL. */
#ifndef LAMINA_NET_TRACE_H
#define LAMINA_NET_TRACE_H

#include "net/net.h"

#ifdef __cplusplus /* for tests */
extern "C" {
#endif

/* Before a run of at most so many ops. */
lamina_status lamina_trace_begin(const lamina_net *net, int most);
/* Behind the op of a node. */
lamina_status lamina_trace_mark(const lamina_net *net, int node);
/* At the end of the run: waits for it, and tells of its ops. */
lamina_status lamina_trace_end(const lamina_net *net, const lamina_executor *executor);
/* When the net is closed. */
void lamina_trace_drop(lamina_net *net);

#ifdef __cplusplus
}
#endif

#endif
