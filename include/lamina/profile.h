/* What each op of a net takes.
 *
 *   static void seen(void *user, const lamina_op_trace *op) { printf("%s %g\n", op->layer, op->seconds); }
 *   lamina_net_trace(net, seen, NULL);      from here on each op that the net runs is told, in training, too
 *   …
 *   lamina_net_trace(net, NULL, NULL);      no more
 *
 * Without a trace there is no cost. With one, an event is recorded before the first op of a run and after each, and the
 * host waits at the end of the run: no op waits for another, but steps no longer run beside the host, and a training
 * step is not captured but launched op by op. On the CPU that costs some 0.1 us an op, and a small net whose batch would go
 * in parts, side by side on the threads, goes as a whole: it takes longer, and its last bits are others. */
#ifndef LAMINA_PROFILE_H
#define LAMINA_PROFILE_H

#include "lamina/net.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What a net was run for. */
typedef enum lamina_run {
  LAMINA_RUN_INFERENCE,  /**< lamina_net_forward, lamina_net_predict */
  LAMINA_RUN_EVALUATION, /**< a batch of lamina_net_evaluate */
  LAMINA_RUN_TRAINING    /**< a step of a trainer; lamina_net_gradients */
} lamina_run;

/** One op that a net has run. All that it points to lives until the call returns, and the plan as long as the net keeps
 *  its plans for this batch. */
typedef struct lamina_op_trace {
  lamina_run run;          /**< what for */
  int64_t number;          /**< of the run, from 0, since the trace was set */
  int64_t batch;           /**< examples */
  int index, count;        /**< of the op in the run, from 0; how many ops it has */
  const char *layer;       /**< "3.conv"; "loss" and "update" for what belongs to no layer */
  const lamina_plan *plan; /**< what ran: lamina_plan_problem, lamina_plan_engine … */
  double start;            /**< seconds since the trace was set, by the device's clock */
  double seconds;          /**< that it took */
} lamina_op_trace;

/** Is told of each op, in the order in which they ran, after the run. May not use the net. */
typedef void lamina_trace_fn(void *user, const lamina_op_trace *op);

/** Tells `trace` of every op that the net runs from now on; NULL: of none any more. Beside nothing else on the net.
 *  INVALID; UNSUPPORTED where the device's events have no times; OUT_OF_MEMORY, DEVICE. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_net_trace(lamina_net *net, lamina_trace_fn *trace, void *user);

#ifdef __cplusplus
}
#endif
#endif
