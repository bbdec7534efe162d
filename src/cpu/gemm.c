/* The matrix product: packed blocks, and the kernels of gemm_kernel.c.
 *
 *   for columns of C, NC at a time
 *     for the depth, KC at a time             B's block [KC, NC] packed into panels of nr columns     (L2)
 *       for rows of C, MC at a time           A's block [MC, KC] packed into panels of mr rows        (L2)
 *         for panels of B, for panels of A    tile [mr, nr] += panel of A [KC, mr] · panel of B [KC, nr]
 *
 * Source: Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008; the loops are BLIS's.
 * A bf16 C is made block by block in f32 and rounded when it is whole. */
#include "cpu/gemm.h"

#include "cpu/gemm_kernel.h"
#include "cpu/loop.h"

enum { KC = 192, MC = 192, NC = 768, TILE_MOST = 12 * 32 };

int lamina_gemm_kernels(void) {
  int count = 0;
  while (lamina_gemm_kernel_at(count)) count++;
  return count;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

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
static void run_tiles(const lamina_gemm_kernel *best, int64_t m, int64_t n, int64_t depth, const float *a,
                      const float *b, float *c, int64_t ldc, bool add) {
  const int64_t mr = best->mr, nr = best->nr;
  float beside[TILE_MOST];
  for (int64_t j = 0; j < n; j += nr)
    for (int64_t i = 0; i < m; i += mr) {
      const float *pa = a + i * depth, *pb = b + j * depth;
      const int rows = (int)least(mr, m - i);
      float *tile = c + i * ldc + j;
      if (j + nr <= n) {
        best->tile(rows, depth, pa, pb, tile, ldc, add);
        continue;
      }
      best->tile(rows, depth, pa, pb, beside, nr, false);
      for (int64_t r = 0; r < rows; r++)
        for (int64_t s = 0; s < least(nr, n - j); s++)
          tile[r * ldc + s] = beside[r * nr + s] + (add ? tile[r * ldc + s] : 0);
    }
}

/* C in f32. */
static void run_f32(const lamina_gemm_kernel *best, const lamina_gemm *g, float *c, int64_t ldc, int64_t i0, int64_t j0,
                    int64_t M, int64_t N, bool add, float *packed_a, float *packed_b) {
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
static void run_bf16(const lamina_gemm_kernel *best, const lamina_gemm *g, float *packed_a, float *packed_b,
                     float *block) {
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
static void divide(const lamina_gemm_kernel *best, const lamina_gemm *g, int64_t at[3]) {
  const int64_t depth = least(KC, g->K), m = least(MC, g->M), n = least(NC, g->N);
  at[0] = lamina_gemm_round(lamina_gemm_round(m, best->mr) * depth, 16);
  at[1] = at[0] + lamina_gemm_round(lamina_gemm_round(n, best->nr) * depth, 16);
  at[2] = at[1] + (g->c_bf16 ? m * n : 0);
}

size_t lamina_gemm_workspace(const lamina_gemm *gemm) {
  int64_t at[3];
  divide(lamina_gemm_kernel_at(gemm->kernel), gemm, at);
  return (size_t)at[2] * sizeof(float);
}

void lamina_gemm_run(const lamina_gemm *gemm, void *workspace) {
  const lamina_gemm_kernel *best = lamina_gemm_kernel_at(gemm->kernel);
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
  const lamina_gemm_kernel *best = lamina_gemm_kernel_at(0);
  *rows = best->mr, *columns = best->nr;
}
