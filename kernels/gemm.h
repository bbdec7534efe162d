/* Matrix products in batches, with what may follow one, and sums of columns.
 *
 *   c[z][m,n] = after(sum over s, k of a[z,s][m,k] * b[z,s][k,n])
 *   after(v)  = v + bias[m,n], held above 0 where relu says so, 0 where gate[z][m,n] is not above 0
 *
 * z goes over the axes of batches that c has, s over those that it doesn't have. All matrices have any strides. */
#ifndef KERNEL_GEMM_H
#define KERNEL_GEMM_H

#include "launch.h"

/* Axes of batches. */
enum { KERNEL_GEMM_AXES = KERNEL_MAX_RANK - 2 };

/* X(place, rows, columns of c's tile, its step in k, threads of a block, blocks that fit a multiprocessor).
 * On the CUDA cores: f32. */
#define KERNEL_GEMM_TILES(X)                                                                                           \
  X(0, 128, 128, 16, 256, 2)                                                                                           \
  X(1, 64, 64, 16, 128, 4)                                                                                             \
  X(2, 32, 32, 16, 64, 12)

/* X(place, rows, columns, bytes of its step in k, threads, blocks that fit a multiprocessor). On tensor cores. */
#define KERNEL_GEMM_MMA_TILES(X)                                                                                       \
  X(0, 128, 256, 64, 256, 1)                                                                                           \
  X(1, 128, 128, 64, 128, 2)                                                                                           \
  X(2, 64, 64, 64, 128, 4)
/* What doesn't lie in whole chunks of 16 bytes has this one. */
enum { KERNEL_GEMM_MMA_ANY_TILE = 2 };

/* Steps between neighbours, in elements; a batch step of 0 is for an axis that the matrix doesn't have. */
typedef struct kernel_gemm_steps {
  int64_t row, column, batch[KERNEL_GEMM_AXES];
} kernel_gemm_steps;

typedef struct kernel_gemm {
  kernel_type type; /* of all matrices and the bias */
  int tile;         /* a place in KERNEL_GEMM_TILES, or in KERNEL_GEMM_MMA_TILES */
  int M, N, K;
  int kept, summed;               /* axes of batches: those of c, then those that are summed over */
  int splits;                     /* blocks that share a tile's sum; 1: none */
  int64_t size[KERNEL_GEMM_AXES]; /* of each */
  kernel_gemm_steps a, b, c;
  int64_t bias_row, bias_column; /* steps of the bias; one is 0 */
  int64_t relu;                  /* 0 or 1 */
} kernel_gemm;

typedef struct kernel_gemm_pointers {
  const void *a, *b, *bias, *gate; /* bias and gate may be NULL; gate has c's shape and steps */
  void *c;
  float *partial; /* kernel_gemm_workspace bytes */
} kernel_gemm_pointers;

/* Bytes that `partial` needs: [splits][z][M][N] f32, none where splits is 1. */
KERNEL_API size_t kernel_gemm_workspace(const kernel_gemm *g);
/* Are the columns of b without gaps, and the rows of a not? No kernel is made for that: the product of the transposes,
 * c' = b' a', is to be asked for. */
KERNEL_API bool kernel_gemm_of_transposes(const kernel_gemm *g);
/* On the CUDA cores: products and sums in f32, of f32. */
KERNEL_API int kernel_gemm_run(const kernel_gemm *g, const kernel_gemm_pointers *p, kernel_stream stream);

/* Do a and b lie in whole chunks of 16 bytes, where their addresses are multiples of that? */
KERNEL_API bool kernel_gemm_in_chunks(const kernel_gemm *g);
/* On tensor cores: products of bf16, f16, or f32 rounded to tf32; sums in f32, truncated. */
KERNEL_API int kernel_gemm_mma_run(const kernel_gemm *g, const kernel_gemm_pointers *p, kernel_stream stream);

/* y[column] = sum over rows of x[row, column]. */
typedef struct kernel_column_sum {
  kernel_type type;
  int64_t rows, columns;
  int64_t row, column; /* steps of x */
  int64_t step;        /* of y */
  int parts;           /* into which the rows are divided; 1: none */
} kernel_column_sum;

/* x: [rows, columns], y: [columns]; partial: [parts][columns], nothing where parts is 1. */
KERNEL_API int kernel_column_sum_run(const kernel_column_sum *s, const void *x, void *y, float *partial,
                                     kernel_stream stream);

#endif
