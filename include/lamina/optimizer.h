/* Optimizers: one step over a vector of parameters, in place.
 *
 * A net keeps all its parameters in one vector, so that a step is one pass over memory; segments give each of its parts
 * a weight decay of its own. Everything that changes from step to step (the rate, the step's number) is an argument, in
 * the device's memory, so plans stay valid.
 *
 * Sources: those named with each update, in the form that PyTorch's optimizers have.
 *
 * Shapes   w, g, m, v and shadow alike, any rank; rate [1]; step [1]; segments [S], decay [S]; gate [1]
 * Segments end offsets into w in row-major order, increasing: element i belongs to the first segment s with
 *          i < segments[s], and decay[s] is its weight decay. Elements past the last end have none. Offsets outside
 *          0 … n touch no memory. decay without segments is [1], for all of w; without decay there is none, and segments
 *          mean nothing.
 * Gate     where it is NaN or infinite, w, m and v stay as they are. A trainer gives the loss, so that one that isn't
 *          finite spoils nothing, and the host needn't look at it first.
 * Shadow   w after the update, rounded once to its own type, to nearest even: what ops read where w itself is kept wide.
 *          Where the gate is shut it is w as it is, rounded. In the type of w it has the bits of w; where w has fewer
 *          bits than it, it is the number that w was rounded from. Written in the pass over memory that updates w.
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; computed in f32 or better (f64 in f64). What is stored in
 *          fewer bits (a bf16 m) is rounded there only: w moves by the unrounded value. segments and step i64
 * Strides  any; nothing may overlap
 * In place w, m and v are read and overwritten; start m and v as zeros. shadow is overwritten and never read.
 * Workspace as the plan says (packing of strides that differ); the simple calls take the device's. Work is in stream
 * order; on the CPU it is done at return. Bitwise deterministic, whatever the number of threads. Thread-safe.
 * Errors   INVALID: shapes that don't fit, with the sentence naming the argument; UNSUPPORTED: no engine;
 * OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_OPTIMIZER_H
#define LAMINA_OPTIMIZER_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** All zero: plain gradient descent. */
typedef struct lamina_sgd {
  double momentum;  /**< 0 … 1; anything but 0 needs m */
  int64_t nesterov; /**< 0 or 1 */
} lamina_sgd;

/** Gradient descent, with momentum and weight decay as PyTorch's SGD has them (Sutskever et al., "On the importance of
 *  initialization and momentum in deep learning", 2013, with the rate outside of m):
 *    g' = g + decay * w
 *    m  = momentum * m + g'            (momentum 0: m = g', the old m is not read, and m may be absent)
 *    w  = w - rate * (nesterov ? g' + momentum * m : m)
 *  m, segments, decay, gate and shadow may be NULL. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_sgd_update(lamina_device *device, const lamina_sgd *sgd,
                                                            const lamina_tensor *w, const lamina_tensor *g,
                                                            const lamina_tensor *m, const lamina_tensor *rate,
                                                            const lamina_tensor *segments, const lamina_tensor *decay,
                                                            const lamina_tensor *gate, const lamina_tensor *shadow,
                                                            lamina_stream *stream);

/** All zero: the paper's settings. */
typedef struct lamina_adam {
  double beta1;        /**< 0 … below 1; 0: 0.9, unless has_beta1 */
  double beta2;        /**< 0 … below 1; 0: 0.999, unless has_beta2 */
  double epsilon;      /**< 0: 1e-8, unless has_epsilon */
  int64_t decoupled;   /**< 0: decay is added to the gradient (Adam); 1: w shrinks by it (AdamW) */
  int64_t has_beta1;   /**< 1: beta1 is meant, though it is 0 */
  int64_t has_beta2;   /**< 1: beta2 is meant, though it is 0 */
  int64_t has_epsilon; /**< 1: epsilon is meant, though it is 0 */
} lamina_adam;

/** Adam (Kingma and Ba, "Adam: a method for stochastic optimization", 2015) and AdamW (Loshchilov and Hutter, "Decoupled
 *  weight decay regularization", 2019), as PyTorch has them:
 *    g' = g + decay * w                   (decoupled: g' = g, and w = w * (1 - rate * decay) first)
 *    m  = beta1 * m + (1 - beta1) * g'
 *    v  = beta2 * v + (1 - beta2) * g'^2
 *    w  = w - rate / (1 - beta1^step) * m / (sqrt(v / (1 - beta2^step)) + epsilon)
 *  step is 1 at the first update; what comes of a step below 1 or a negative v is no number to rely on. segments,
 *  decay, gate and shadow may be NULL. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_adam_update(lamina_device *device, const lamina_adam *adam,
                                                             const lamina_tensor *w, const lamina_tensor *g,
                                                             const lamina_tensor *m, const lamina_tensor *v,
                                                             const lamina_tensor *rate, const lamina_tensor *step,
                                                             const lamina_tensor *segments, const lamina_tensor *decay,
                                                             const lamina_tensor *gate, const lamina_tensor *shadow,
                                                             lamina_stream *stream);

/** Data pointers of each update, in the order of the op's row. */
typedef struct lamina_sgd_update_args {
  void *w;
  const void *g;
  void *m;
  const void *rate, *segments, *decay, *gate;
  void *shadow;
} lamina_sgd_update_args;
typedef struct lamina_adam_update_args {
  void *w;
  const void *g;
  void *m, *v;
  const void *rate, *step, *segments, *decay, *gate;
  void *shadow;
} lamina_adam_update_args;

/** The same planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(sgd_update, const lamina_sgd *sgd, const lamina_tensor *w, const lamina_tensor *g,
               const lamina_tensor *m, const lamina_tensor *rate, const lamina_tensor *segments,
               const lamina_tensor *decay, const lamina_tensor *gate, const lamina_tensor *shadow);
LAMINA_PLANNED(adam_update, const lamina_adam *adam, const lamina_tensor *w, const lamina_tensor *g,
               const lamina_tensor *m, const lamina_tensor *v, const lamina_tensor *rate, const lamina_tensor *step,
               const lamina_tensor *segments, const lamina_tensor *decay, const lamina_tensor *gate,
               const lamina_tensor *shadow);

#ifdef __cplusplus
}
#endif
#endif
