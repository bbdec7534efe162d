/* Matrix product, batched.
 *
 *   y[…,m,n] = sum over k of A[…,m,k] * B[…,k,n]
 *
 * with A = a, or a with its last two axes swapped (transpose_a), and B alike of b.
 * Source: as numpy.matmul and torch.matmul of two or more axes; cublasGemmStridedBatchedEx where both have all batches.
 *
 * Shapes   a [batch…, M, K] (transpose_a: [batch…, K, M]), b [batch…, K, N] (transpose_b: [batch…, N, K]),
 *          y [batch…, M, N]; 2 to 8 axes. The batch axes are matched from the last one on; where one side has 1, or no
 *          such axis, its matrices are used for all of the other side's. Any size may be 0; K = 0 gives zeros.
 * Dtypes   f64, f32, f16, bf16, mixed as you like on `ref`; products and sums in f32 or better (f64 in f64)
 * Strides  any; an input may overlap itself (and a may be b), nothing may overlap an output
 * Backward needs a for db and b for da. Where an input was used for several batches, its gradient is the sum over them.
 *          Gradients overwrite, they don't accumulate. da and db have the shape of their output tensor; where that is to
 *          be inferred, all batches of dy.
 * Workspace as the plan says; the simple calls take the device's. Work is in stream order; on the CPU it is done at
 * return. Bitwise deterministic at a fixed thread count. Thread-safe.
 * Errors   INVALID: shapes that don't fit, with the sentence naming the argument; UNSUPPORTED: no engine;
 * OUT_OF_MEMORY; DEVICE. */
#ifndef LAMINA_MATMUL_H
#define LAMINA_MATMUL_H

#include "lamina/op.h"

#ifdef __cplusplus
extern "C" {
#endif

/** All zero: as they lie. */
typedef struct lamina_matmul {
  int64_t transpose_a; /**< 1: a is [batch…, K, M] */
  int64_t transpose_b; /**< 1: b is [batch…, N, K] */
} lamina_matmul;

/** y = A B. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_matmul_forward(lamina_device *device, const lamina_matmul *matmul,
                                                                const lamina_tensor *a, const lamina_tensor *b,
                                                                const lamina_tensor *y, lamina_stream *stream);
/** da: dA = dy B^T, in a's order. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_matmul_backward_a(lamina_device *device, const lamina_matmul *matmul,
                                                                   const lamina_tensor *dy, const lamina_tensor *b,
                                                                   const lamina_tensor *da, lamina_stream *stream);
/** db: dB = A^T dy, in b's order. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_matmul_backward_b(lamina_device *device, const lamina_matmul *matmul,
                                                                   const lamina_tensor *a, const lamina_tensor *dy,
                                                                   const lamina_tensor *db, lamina_stream *stream);

/** Data pointers of each pass, in the order of the op's row. */
typedef struct lamina_matmul_forward_args {
  const void *a, *b;
  void *y;
} lamina_matmul_forward_args;
typedef struct lamina_matmul_backward_a_args {
  const void *dy, *b;
  void *da;
} lamina_matmul_backward_a_args;
typedef struct lamina_matmul_backward_b_args {
  const void *a, *dy;
  void *db;
} lamina_matmul_backward_b_args;

/** The same passes planned once, and run with your workspace on your stream: see LAMINA_PLANNED. */
LAMINA_PLANNED(matmul_forward, const lamina_matmul *matmul, const lamina_tensor *a, const lamina_tensor *b,
               const lamina_tensor *y);
LAMINA_PLANNED(matmul_backward_a, const lamina_matmul *matmul, const lamina_tensor *dy, const lamina_tensor *b,
               const lamina_tensor *da);
LAMINA_PLANNED(matmul_backward_b, const lamina_matmul *matmul, const lamina_tensor *a, const lamina_tensor *dy,
               const lamina_tensor *db);

#ifdef __cplusplus
}
#endif
#endif
