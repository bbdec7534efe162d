/* The matrix product: packed blocks and a micro-kernel that keeps a tile of C in registers.
 *
 *   for columns of C, NC at a time
 *     for the depth, KC at a time             B's block [KC, NC] packed into panels of nr columns     (L2)
 *       for rows of C, MC at a time           A's block [MC, KC] packed into panels of mr rows        (L2)
 *         for panels of B, for panels of A    tile [mr, nr] += panel of A [KC, mr] · panel of B [KC, nr]
 *
 *   kernel      tile      registers of C, B, A
 *   AVX-512     12 x 32   24 + 2 + 1 of 32
 *   AVX2, FMA    6 x 16   12 + 2 + 1 of 16
 *   any          4 x 8     8 + 2 + 1 of 16, as 4-lane vectors
 *
 * Source: Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008; the loops are BLIS's.
 * A bf16 C is made block by block in f32 and rounded when it is whole. This file alone is compiled with contraction
 * (-ffp-contract=fast), so that products are fused into sums. */
#include "cpu/gemm.h"

#include "cpu/loop.h"

enum { KC = 192, MC = 192, NC = 768, MR_MOST = 12, NR_MOST = 32 };

/* tile[i * ld + j] += sum over k of a[k * mr + i] * b[k * nr + j], or = without `add` */
typedef void kernel_fn(int64_t depth, const float *a, const float *b, float *tile, int64_t ld, bool add);
typedef struct kernel {
  int mr, nr;
  kernel_fn *run;
} kernel;

#define DEFINE_KERNEL(name, attribute, lanes, rows)                                                                    \
  typedef float name##_vector __attribute__((vector_size(lanes * sizeof(float))));                                     \
  attribute static void name(int64_t depth, const float *a, const float *b, float *tile, int64_t ld, bool add) {       \
    name##_vector sum[rows][2] = {{{0}}}, old;                                                                         \
    for (int64_t k = 0; k < depth; k++, a += (rows), b += 2 * (lanes)) {                                               \
      name##_vector b0, b1;                                                                                            \
      memcpy(&b0, b, sizeof b0);                                                                                       \
      memcpy(&b1, b + (lanes), sizeof b1);                                                                             \
      _Pragma("GCC unroll 16") for (int i = 0; i < (rows); i++) {                                                      \
        sum[i][0] += a[i] * b0;                                                                                        \
        sum[i][1] += a[i] * b1;                                                                                        \
      }                                                                                                                \
    }                                                                                                                  \
    _Pragma("GCC unroll 16") for (int i = 0; i < (rows); i++) _Pragma("GCC unroll 2") for (int j = 0; j < 2; j++) {    \
      float *at = tile + i * ld + j * (lanes);                                                                         \
      if (add) {                                                                                                       \
        memcpy(&old, at, sizeof old);                                                                                  \
        sum[i][j] += old;                                                                                              \
      }                                                                                                                \
      memcpy(at, &sum[i][j], sizeof old);                                                                              \
    }                                                                                                                  \
  }

DEFINE_KERNEL(kernel_any, , 4, 4)
static const kernel any = {4, 8, kernel_any};
#if defined(__x86_64__) && defined(__GNUC__)
DEFINE_KERNEL(kernel_avx2, __attribute__((target("avx2,fma"))), 8, 6)
DEFINE_KERNEL(kernel_avx512, __attribute__((target("avx512f"))), 16, 12)
static const kernel avx2 = {6, 16, kernel_avx2}, avx512 = {12, 32, kernel_avx512};
#endif

/* Kernel number `wanted` of those that the machine has, best first; NULL past the last. */
static const kernel *kernel_at(int wanted) {
#if defined(__x86_64__) && defined(__GNUC__)
  if (__builtin_cpu_supports("avx512f") && wanted-- == 0) return &avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && wanted-- == 0) return &avx2;
#endif
  return wanted == 0 ? &any : NULL;
}

int lamina_gemm_kernels(void) {
  int count = 0;
  while (kernel_at(count)) count++;
  return count;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t panels(int64_t n, int64_t width) { return (n + width - 1) / width * width; }

/* ---- Packing ---------------------------------------------------------------------------------------------------- */

/* `lines` rows of A (columns of B) that lie `line` elements apart, `depth` elements each that lie `step` apart, from
 * element `first` on: to panels of `width` lines, out[panel][k][line], the last one filled up with zeros. */
LAMINA_INLINE void pack(const void *x, bool bf16, int64_t first, int64_t line, int64_t step, int64_t lines,
                        int64_t depth, int64_t width, float *restrict out) {
  for (int64_t l0 = 0; l0 < lines; l0 += width, out += width * depth) {
    const int64_t here = lines - l0 < width ? lines - l0 : width, at = first + l0 * line;
    if (here < width) memset(out, 0, (size_t)(width * depth) * sizeof *out);
    if (line == 1)
      for (int64_t k = 0; k < depth; k++)
        for (int64_t l = 0; l < here; l++) out[k * width + l] = lamina_loop_get(x, at + k * step + l, bf16);
    else
      for (int64_t k0 = 0; k0 < depth; k0 += 16) /* a cache line of each */
        for (int64_t l = 0; l < here; l++)
          for (int64_t k = k0; k < (depth - k0 < 16 ? depth : k0 + 16); k++)
            out[k * width + l] = lamina_loop_get(x, at + l * line + k * step, bf16);
  }
}

LAMINA_CLONES static void pack_f32(const void *x, int64_t first, int64_t line, int64_t step, int64_t lines,
                                   int64_t depth, int64_t width, float *out) {
  pack(x, false, first, line, step, lines, depth, width, out);
}
LAMINA_CLONES static void pack_bf16(const void *x, int64_t first, int64_t line, int64_t step, int64_t lines,
                                    int64_t depth, int64_t width, float *out) {
  pack(x, true, first, line, step, lines, depth, width, out);
}

/* ---- Blocks ----------------------------------------------------------------------------------------------------- */

/* c [m, n] += packed A · packed B, or = without `add`. Tiles that reach beyond C are made beside it. */
static void run_tiles(const kernel *best, int64_t m, int64_t n, int64_t depth, const float *a, const float *b, float *c,
                      int64_t ldc, bool add) {
  const int64_t mr = best->mr, nr = best->nr;
  float beside[MR_MOST * NR_MOST];
  for (int64_t j = 0; j < n; j += nr)
    for (int64_t i = 0; i < m; i += mr) {
      const float *pa = a + i * depth, *pb = b + j * depth;
      float *tile = c + i * ldc + j;
      if (i + mr <= m && j + nr <= n) {
        best->run(depth, pa, pb, tile, ldc, add);
        continue;
      }
      best->run(depth, pa, pb, beside, nr, false);
      for (int64_t r = 0; r < least(mr, m - i); r++)
        for (int64_t s = 0; s < least(nr, n - j); s++)
          tile[r * ldc + s] = beside[r * nr + s] + (add ? tile[r * ldc + s] : 0);
    }
}

/* C in f32. */
static void run_f32(const kernel *best, const lamina_gemm *g, float *c, int64_t ldc, int64_t i0, int64_t j0, int64_t M,
                    int64_t N, bool add, float *packed_a, float *packed_b) {
  for (int64_t j = 0; j < N; j += NC)
    for (int64_t k = 0; k < g->K; k += KC) {
      const int64_t n = least(NC, N - j), depth = least(KC, g->K - k);
      (g->b.bf16 ? pack_bf16 : pack_f32)(g->b.data, k * g->b.row + (j0 + j) * g->b.col, g->b.col, g->b.row, n, depth,
                                         best->nr, packed_b);
      for (int64_t i = 0; i < M; i += MC) {
        const int64_t m = least(MC, M - i);
        (g->a.bf16 ? pack_bf16 : pack_f32)(g->a.data, (i0 + i) * g->a.row + k * g->a.col, g->a.row, g->a.col, m, depth,
                                           best->mr, packed_a);
        run_tiles(best, m, n, depth, packed_a, packed_b, c + i * ldc + j, ldc, add || k > 0);
      }
    }
}

LAMINA_CLONES static void read_row(int64_t n, const uint16_t *x, float *y) { lamina_bf16_read(n, x, y); }
LAMINA_CLONES static void write_row(int64_t n, const float *x, uint16_t *y) { lamina_bf16_write(n, x, y); }

/* C in bf16: block by block through `block` [MC, NC]. */
static void run_bf16(const kernel *best, const lamina_gemm *g, float *packed_a, float *packed_b, float *block) {
  for (int64_t j = 0; j < g->N; j += NC)
    for (int64_t i = 0; i < g->M; i += MC) {
      const int64_t m = least(MC, g->M - i), n = least(NC, g->N - j);
      uint16_t *c = (uint16_t *)g->c + i * g->ldc + j;
      if (g->add)
        for (int64_t r = 0; r < m; r++) read_row(n, c + r * g->ldc, block + r * n);
      run_f32(best, g, block, n, i, j, m, n, g->add, packed_a, packed_b);
      for (int64_t r = 0; r < m; r++) write_row(n, block + r * n, c + r * g->ldc);
    }
}

/* ---- The call --------------------------------------------------------------------------------------------------- */

/* Floats of workspace before B's panels, before the block of C, and in all. */
static void divide(const kernel *best, const lamina_gemm *g, int64_t at[3]) {
  const int64_t depth = least(KC, g->K), m = least(MC, g->M), n = least(NC, g->N);
  at[0] = panels(panels(m, best->mr) * depth, 16);
  at[1] = at[0] + panels(panels(n, best->nr) * depth, 16);
  at[2] = at[1] + (g->c_bf16 ? m * n : 0);
}

size_t lamina_gemm_workspace(const lamina_gemm *gemm) {
  int64_t at[3];
  divide(kernel_at(gemm->kernel), gemm, at);
  return (size_t)at[2] * sizeof(float);
}

void lamina_gemm_run(const lamina_gemm *gemm, void *workspace) {
  const kernel *best = kernel_at(gemm->kernel);
  const size_t element = gemm->c_bf16 ? 2 : 4;
  float *packed = workspace;
  int64_t at[3];
  if (gemm->K == 0 && !gemm->add)
    for (int64_t i = 0; i < gemm->M; i++)
      memset((char *)gemm->c + (size_t)(i * gemm->ldc) * element, 0, (size_t)gemm->N * element);
  if (gemm->K == 0) return;
  divide(best, gemm, at);
  if (gemm->c_bf16)
    run_bf16(best, gemm, packed, packed + at[0], packed + at[1]);
  else
    run_f32(best, gemm, gemm->c, gemm->ldc, 0, 0, gemm->M, gemm->N, gemm->add, packed, packed + at[0]);
}

void lamina_gemm_tile(int64_t *rows, int64_t *columns) {
  const kernel *best = kernel_at(0);
  *rows = best->mr, *columns = best->nr;
}
