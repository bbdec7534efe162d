// What a block of kernel_gemm does, for the products on CUDA cores and on tensor cores alike: its tile, its batch, its part
// of the sum; and how many blocks there are.
#pragma once

#include "gemm.h"
#include "gemm_operand.h"

struct gemm_job { // without padding
  kernel_gemm g;
  kernel_gemm_pointers p;
  int rows, columns;                // tiles of a matrix
  int steps;                        // tiles along K
  int sums;                         // products that add up in one matrix
  int matrices;                     // of c
  int vector_a, vector_b, vector_c; // may they be read and written by vectors? 0 or 1
};

inline int64_t gemm_product_of(const kernel_gemm &g, int first, int count) {
  int64_t product = 1;
  for (int i = first; i < first + count; i++) product *= g.size[i];
  return product;
}

// Do chunks of 16 bytes of a matrix lie on multiples of that? `unit` is the step between a chunk's elements, `step` the
// other one; a row of chunks has `size` elements.
inline bool gemm_on_vectors(const kernel_gemm &g, const void *data, const kernel_gemm_steps &steps, int64_t unit,
                            int64_t step, int64_t size) {
  const int64_t width = g.type == KERNEL_F32 ? 4 : 8;
  bool good = reinterpret_cast<uintptr_t>(data) % 16 == 0 && unit == 1 && step % width == 0 && size % width == 0;
  for (int i = 0; i < g.kept + g.summed; i++) good = good && steps.batch[i] % width == 0;
  return good;
}

// Do chunks lie along k? They lie along whichever axis has neighbours.
inline bool gemm_a_along_k(const kernel_gemm &g) { return g.a.column == 1 && (g.a.row != 1 || g.K > 1); }
inline bool gemm_b_along_k(const kernel_gemm &g) { return g.b.row == 1 && (g.b.column != 1 || g.K > 1); }

inline bool gemm_a_on_vectors(const kernel_gemm &g, const void *a) {
  return gemm_a_along_k(g) ? gemm_on_vectors(g, a, g.a, g.a.column, g.a.row, g.K)
                           : gemm_on_vectors(g, a, g.a, g.a.row, g.a.column, g.M);
}
inline bool gemm_b_on_vectors(const kernel_gemm &g, const void *b) {
  return gemm_b_along_k(g) ? gemm_on_vectors(g, b, g.b, g.b.row, g.b.column, g.K)
                           : gemm_on_vectors(g, b, g.b, g.b.column, g.b.row, g.N);
}

// Calls f with the two operands' along_k as types. Not with b's alone: that is the product of two transposes.
template <class F> int gemm_by_axes(const kernel_gemm &g, F f) {
  using yes = std::true_type;
  using no = std::false_type;
  const bool a = gemm_a_along_k(g), b = gemm_b_along_k(g);
  if (b && !a) return cudaErrorInvalidValue;
  return !a ? f(no{}, no{}) : b ? f(yes{}, yes{}) : f(yes{}, no{});
}

// False where there would be too many blocks.
inline bool gemm_job_of(const kernel_gemm &g, const kernel_gemm_pointers &p, int BM, int BN, int depth, gemm_job *job,
                        dim3 *grid) {
  const int64_t rows = (g.M - 1) / BM + 1, columns = (g.N - 1) / BN + 1, steps = (g.K - 1) / depth + 1;
  const int64_t sums = gemm_product_of(g, g.kept, g.summed);
  const int64_t blocks = rows * columns * gemm_product_of(g, 0, g.kept) * g.splits;
  if (blocks > gemm_blocks_most || sums * steps > gemm_blocks_most) return false;
  *job = {g,
          p,
          int(rows),
          int(columns),
          int(steps),
          int(sums),
          int(gemm_product_of(g, 0, g.kept)),
          gemm_a_on_vectors(g, p.a),
          gemm_b_on_vectors(g, p.b),
          gemm_on_vectors(g, p.c, g.c, g.c.column, g.c.row, 0)};
  *grid = dim3(unsigned(blocks));
  return true;
}

// Where batch z, and product s of its sum, begins.
__device__ inline int64_t gemm_offset(const kernel_gemm &g, const kernel_gemm_steps &steps, int z, int s) {
  int64_t offset = 0;
  for (int i = g.kept + g.summed - 1; i >= g.kept; i--) {
    offset += s % int(g.size[i]) * steps.batch[i];
    s /= int(g.size[i]);
  }
  for (int i = g.kept - 1; i >= 0; i--) {
    offset += z % int(g.size[i]) * steps.batch[i];
    z /= int(g.size[i]);
  }
  return offset;
}

template <class T> __device__ gemm_result<T> gemm_result_of(const gemm_job &job, int z, int part) {
  const kernel_gemm &g = job.g;
  const int64_t offset = gemm_offset(g, g.c, z, 0), matrix = int64_t(g.M) * g.N;
  return {static_cast<T *>(job.p.c) + offset,
          static_cast<const T *>(job.p.bias),
          job.p.gate ? static_cast<const T *>(job.p.gate) + offset : nullptr,
          g.splits > 1 ? job.p.partial + (int64_t(part) * job.matrices + z) * matrix : nullptr,
          g.c.row,
          g.c.column,
          g.bias_row,
          g.bias_column,
          g.M,
          g.N,
          g.relu != 0,
          job.vector_c != 0};
}

// What one block makes: the tile at (m, n) of batch z, steps first … last - 1 of all sums * steps.
struct gemm_work {
  int m, n, z, part, first, last;

  __device__ gemm_work(const gemm_job &job, int BM, int BN) {
    const int tiles = job.rows * job.columns, outer = blockIdx.x / tiles;
    gemm_place(blockIdx.x % tiles, job.rows, job.columns, m, n);
    m *= BM, n *= BN, part = outer % job.g.splits, z = outer / job.g.splits;
    const int64_t all = int64_t(job.steps) * job.sums;
    first = int(all * part / job.g.splits), last = int(all * (part + 1) / job.g.splits);
  }
};

// Calls product(a, b, first k, last k) for each product of the block's part of the sum.
template <class T, bool A_ALONG_K, bool B_ALONG_K, bool ANY, int DEPTH, class F>
__device__ __forceinline__ void gemm_sum(const gemm_job &job, const gemm_work &work, F product) {
  const kernel_gemm &g = job.g;
  for (int step = work.first; step < work.last;) {
    const int s = step / job.steps, begin = s * job.steps;
    const int end = lesser(work.last, begin + job.steps);
    const gemm_matrix<T, A_ALONG_K, ANY> a = {static_cast<const T *>(job.p.a) + gemm_offset(g, g.a, work.z, s),
                                              g.a.row,
                                              g.a.column,
                                              g.M,
                                              g.K,
                                              job.vector_a != 0};
    const gemm_matrix<T, B_ALONG_K, ANY> b = {static_cast<const T *>(job.p.b) + gemm_offset(g, g.b, work.z, s),
                                              g.b.column,
                                              g.b.row,
                                              g.N,
                                              g.K,
                                              job.vector_b != 0};
    product(a, b, (step - begin) * DEPTH, (end - begin) * DEPTH);
    step = end;
  }
}

// Adds the parts up and finishes: queued after the product where splits is more than 1.
int gemm_reduce(const gemm_job &job, kernel_stream stream);
