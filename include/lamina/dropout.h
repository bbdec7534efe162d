/* Dropout: each element is 0 with probability p, and scaled by 1/(1-p) otherwise.
 *
 *   y[i] = u(i) < p ? 0 : x[i] / (1 - p)        dx[i] = u(i) < p ? 0 : dy[i] / (1 - p)
 *   u(i) = the upper 24 bits of word i % 4 of Philox 4x32-10, over 2^24
 *          key = seed; counter = low and high half of i / 4, stream, step
 *
 * i counts logical elements in row-major order, whatever the strides; with `channels` it counts channels, n*C + c of
 * x [N, C, spatial…], and a channel is dropped whole. So the mask is the same on every device and engine, and a resumed
 * run continues with it.
 * Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014, in its inverted
 * form; Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011; Tompson et al., "Efficient object
 * localization using convolutional networks", 2015, for channels.
 *
 * Shapes   x, y, dy and dx alike, any rank (at least 2 with channels); rng i64 [2]: seed and step, of which the lower 32
 *          bits count. Give each dropout layer a stream of its own, and count the step up between runs.
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; computed in f32 or better (f64 in f64)
 * Strides  any; an input may overlap itself
 * Aliasing forward: y may be x; backward: dx may be dy (same shape, type and strides)
 * Backward needs rng as the forward pass had it, nothing else: the mask is not stored, it is drawn again. Gradients
 *          overwrite, they don't accumulate.
 * p        0 … 1. p = 0 copies; p = 1 gives zeros. What is dropped is 0 whatever it was, NaN too.
 * Workspace as the plan says (packing of strides that differ); the simple calls take the device's. Work is in stream
 * order; on the CPU it is done at return. Bitwise deterministic, whatever the number of threads. Thread-safe.
 * Errors   INVALID: shapes that differ, with the sentence naming the argument; UNSUPPORTED: no engine; OUT_OF_MEMORY;
 * DEVICE. */
#ifndef LAMINA_DROPOUT_H
#define LAMINA_DROPOUT_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** All zero: nothing is dropped. */
typedef struct lamina_dropout {
  double p;         /**< the probability that an element is dropped */
  int64_t channels; /**< 0 or 1: drop whole channels */
  int64_t stream;   /**< 0 … 2^32 - 1: which of the seed's streams of random numbers */
} lamina_dropout;

/** y = x with elements dropped. Mirrors cudnnDropoutForward, but for its opaque state. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_dropout_forward(lamina_device *device, const lamina_dropout *dropout,
                                                                 const lamina_tensor *x, const lamina_tensor *rng,
                                                                 const lamina_tensor *y, lamina_stream *stream);
/** dx = dy with the same elements dropped. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_dropout_backward(lamina_device *device, const lamina_dropout *dropout,
                                                                  const lamina_tensor *dy, const lamina_tensor *rng,
                                                                  const lamina_tensor *dx, lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_dropout_forward_args {
  const void *x, *rng;
  void *y;
} lamina_dropout_forward_args;
typedef struct lamina_dropout_backward_args {
  const void *dy, *rng;
  void *dx;
} lamina_dropout_backward_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(dropout_forward, const lamina_dropout *dropout, const lamina_tensor *x, const lamina_tensor *rng,
               const lamina_tensor *y);
LAMINA_PLANNED(dropout_backward, const lamina_dropout *dropout, const lamina_tensor *dy, const lamina_tensor *rng,
               const lamina_tensor *dx);

#ifdef __cplusplus
}
#endif
#endif
