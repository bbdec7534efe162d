/* How many labels are among the k best scores, as lamina/metric.h says. */
#ifndef KERNEL_TOP_K_H
#define KERNEL_TOP_K_H

#include "classes.h"
#include "loss.h"

/* scores: [N, C, S]; labels: [N, S], integers; hits: [1], an integer. Workspace: KERNEL_LOSS_WORKSPACE bytes. */
KERNEL_API int kernel_top_k(kernel_classes k, int64_t top, kernel_array scores, kernel_array labels, kernel_array hits,
                            void *workspace, kernel_stream stream);

#endif
