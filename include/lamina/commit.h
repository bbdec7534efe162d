/* Taking over new values, unless something went wrong.
 *
 *   y = gate is finite ? x : y
 *
 * A layer computes the next values of what it keeps (running statistics) with the forward pass; they take their place
 * with the update of the parameters, under the same condition: see the gate in lamina/optimizer.h.
 *
 * Source: our own; it mirrors what a loss scaler does with a step whose gradients overflow (Micikevicius et al., "Mixed
 * precision training", ICLR 2018, section 3.2), with the loss in place of the gradients.
 *
 * Shapes   x and y alike, any rank; gate [1]
 * Dtypes   x and y of one type, any; gate floating
 * Strides  any; nothing may overlap
 * In place y is read where the gate shuts.
 * Workspace as the plan says (packing of strides that differ). Work is in stream order; on the CPU it is done at return.
 * Bitwise deterministic. Thread-safe.
 * Errors   INVALID: shapes or types that differ, with the sentence naming the argument; UNSUPPORTED: no engine;
 * OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_COMMIT_H
#define LAMINA_COMMIT_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** y = gate is finite ? x : y. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_commit_forward(lamina_device *device, const lamina_tensor *x,
                                                                const lamina_tensor *gate, const lamina_tensor *y,
                                                                lamina_stream *stream);

/** Data pointers, in the order of the op's row. */
typedef struct lamina_commit_forward_args {
  const void *x, *gate;
  void *y;
} lamina_commit_forward_args;

/** The same planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(commit_forward, const lamina_tensor *x, const lamina_tensor *gate, const lamina_tensor *y);

#ifdef __cplusplus
}
#endif
#endif
