/* A matrix product on packed panels, for the loops that are products in disguise. It knows nothing of Lamina.
 *
 *   c [m, n] = a [m, k] * b [k, n]                    all f32
 *
 *        nr          a comes as panels of mr rows, [k][mr], b as panels of nr columns, [k][nr]: the kernel reads both
 *       ┌──┬──┐      from one end to the other and keeps an mr x nr tile of c in registers. What is beyond m and n in
 *   b   │  │  │ k    the last panels is 0 or anything; it reaches only what is beyond them in c.
 *       └──┴──┘
 *   ┌─┐ ┌──┬──┐      With AVX-512 a tile is 12 x 32, with AVX2 6 x 16, else 4 x 8; a multiplication and its addition
 *   │ │ │  │  │ mr   are rounded once where the machine can, so its results differ from machine to machine in the
 *   ├─┤ ├──┼──┤      last bits, as sums in another order do.
 *   │ │ │  │  │
 *   └─┘ └──┴──┘      The caller packs (im2col, a transposition, bf16 to f32, zeros) and blocks: LAMINA_GEMM_DEPTH of k
 *    k               at a time, so that a panel of b stays in the L1 cache and the block of a in L2. */
#ifndef LAMINA_CPU_GEMM_KERNEL_H
#define LAMINA_CPU_GEMM_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus /* for tests */
extern "C" {
#endif

enum { LAMINA_GEMM_DEPTH = 256 };

typedef struct lamina_gemm_kernel {
  int mr, nr;
  double share; /* of what multiply-adds can be, as measured where its vectors are the widest: for estimates */
  /* One tile, of which the first `rows` rows are wanted; k may be 0. `add`: to what c [rows][ldc] holds. */
  void (*tile)(int rows, int64_t k, const float *a, const float *b, float *c, int64_t ldc, bool add);
} lamina_gemm_kernel;

/* Those that this machine runs, the best one first; NULL past the last. */
const lamina_gemm_kernel *lamina_gemm_kernel_at(int index);

/* c [m][ldc] of all panels of a and b; ldc is at least n, rounded up to whole panels. */
void lamina_gemm_panels(const lamina_gemm_kernel *kernel, int64_t m, int64_t n, int64_t k, const float *a,
                        const float *b, float *c, int64_t ldc, bool add);

/* n rounded up to a multiple. */
static inline int64_t lamina_gemm_round(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

#ifdef __cplusplus
}
#endif

#endif
