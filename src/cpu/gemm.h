/* One matrix product for every engine of ours that needs one: C = A B, or C += A B.
 *
 *   C [M, N], A [M, K], B [K, N]; A and B f32 or bf16 with any strides, C row-major f32 or bf16
 *
 * A call runs on the calling thread alone, on a piece of C that the caller chose; a team divides C among its threads.
 * Sums are in f32, in an order that depends on K only: the bits of an element are the same in whatever piece it lies.
 * (They differ from one instruction set to another, as products are fused into sums where the machine can.) */
#ifndef LAMINA_CPU_GEMM_H
#define LAMINA_CPU_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus /* for tests */
extern "C" {
#endif

/* Element (i, j) is data[i * row + j * col]. Row-major: {data, ld, 1}; its transpose: {data, 1, ld}. */
typedef struct lamina_gemm_matrix {
  const void *data;
  int64_t row, col;
  bool bf16;
} lamina_gemm_matrix;

typedef struct lamina_gemm {
  int64_t M, N, K; /* any may be 0 */
  lamina_gemm_matrix a, b;
  void *c;
  int64_t ldc;
  bool c_bf16; /* sums stay in f32 until they are whole; rounded once */
  bool add;    /* C += A B */
  int kernel;  /* 0: the machine's best; 1 …: for tests, the others that it has, see lamina_gemm_kernels */
} lamina_gemm;

/* Bytes of workspace for this product and every smaller one; at most some 1.5 MiB. */
size_t lamina_gemm_workspace(const lamina_gemm *gemm);
/* `workspace` is 64-byte aligned and this thread's own. */
void lamina_gemm_run(const lamina_gemm *gemm, void *workspace);
/* How C is best divided: pieces that start at multiples of these waste nothing. */
void lamina_gemm_tile(int64_t *rows, int64_t *columns);
/* How many kernels this machine can run. */
int lamina_gemm_kernels(void);

#ifdef __cplusplus
}
#endif
#endif
