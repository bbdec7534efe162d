/* Fill: the same number everywhere.
 *
 *   y[i] = value
 *
 * Source: mirrors cudnnSetTensor.
 *
 * Shapes   y, any rank; it must be given
 * Dtypes   any: value is rounded to the nearest (even) number of y's type; integers saturate
 * Strides  any; y may not overlap itself
 * Nothing saved. Bitwise exact. Thread-safe. Workspace as the plan says (packing of strided outputs). Stream order; on
 * the CPU done at return.
 * Errors   INVALID: y without a shape, a value that is not a number; UNSUPPORTED: no engine; OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_FILL_H
#define LAMINA_FILL_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** All zero: zeros. */
typedef struct lamina_fill {
  double value; /**< what every element becomes, rounded to its type */
} lamina_fill;

/** y[i] = value. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_fill_forward(lamina_device *device, const lamina_fill *fill,
                                                              const lamina_tensor *y, lamina_stream *stream);

/** Data pointers, in the order of the op's row. */
typedef struct lamina_fill_forward_args {
  void *y;
} lamina_fill_forward_args;

/** The same planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(fill_forward, const lamina_fill *fill, const lamina_tensor *y);

#ifdef __cplusplus
}
#endif
#endif
