// What a block of a convolution as a matrix product does, for the products on CUDA cores and on tensor cores alike.
#pragma once

#include "conv_operand.h"

// The way from one side to the other: a product for each phase and group.
struct conv_product {
  conv_way way;
  int rows, columns; // tiles of a product
  int filter_row;    // elements of a row of the filter
  bool packed;       // a filter for each phase, else the one of all
  bool vector_filter, vector_out;
};

inline int conv_packed_row(const conv_way &way) { // in whole vectors of any type
  int taps = 1;
  for (int a = 0; a < 3; a++)
    taps *= way.axis[a].forward ? way.axis[a].filter : conv_tiles(way.axis[a].filter, way.axis[a].spacing);
  return (way.C * taps + 7) / 8 * 8;
}

inline conv_product conv_product_of(const kernel_conv &c, bool forward, int BM, int BN, const void *filter,
                                    const kernel_conv_after &after, const void *out) {
  conv_product job{};
  const int width = c.type == KERNEL_F32 ? 4 : 8;
  job.way = conv_way_of(c, forward);
  job.rows = conv_tiles(job.way.M, BM), job.columns = conv_tiles(job.way.columns, BN);
  job.packed = !forward;
  job.filter_row = forward ? job.way.w_m : conv_packed_row(job.way);
  job.vector_filter = on_vectors(filter) && job.filter_row % width == 0;
  job.vector_out = on_vectors(out) && (!after.gate || on_vectors(after.gate)) && job.way.phases == 1 &&
                   job.way.out_area % width == 0;
  return job;
}

inline dim3 conv_grid(const conv_product &job) {
  return dim3(unsigned(int64_t(job.rows) * job.columns * job.way.groups * job.way.phases));
}

// Calls product(a, b, m, n, depth) where there is something to add up, and always finish(output, m, n).
template <class T, int BM, int BN, class Product, class Finish>
__device__ __forceinline__ void conv_block(const conv_product &job, const T *in, const T *filter, conv_after<T> after,
                                           T *out, Product product, Finish finish) {
  const conv_way &way = job.way;
  const int tiles = job.rows * job.columns, number = blockIdx.x / tiles, g = number % way.groups;
  const conv_phases phase(way, number / way.groups);
  int m, n;
  gemm_place(blockIdx.x % tiles, job.rows, job.columns, m, n);
  m *= BM, n *= BN;
  const conv_columns<T> b(way, phase, in, g);
  const gemm_matrix<T, true, true> a = {filter + int64_t(job.packed ? number : g) * way.M * job.filter_row,
                                        job.filter_row,
                                        1,
                                        way.M,
                                        b.depth,
                                        job.vector_filter};
  if (b.depth > 0) product(a, b, m, n, b.depth);
  const int plane = g * way.M;
  if (after.bias) after.bias += plane;
  if (after.gate) after.gate += plane * way.out_area;
  finish(conv_output<T>{out + plane * way.out_area, after, way, phase, job.vector_out}, m, n);
}

// The filter's gradient: a product for each group, its sum in parts.
struct conv_weights_product {
  conv_gradient s;
  int rows, columns, per_part; // tiles; positions of a part, in whole steps
};

inline conv_weights_product conv_weights_product_of(const kernel_conv &c, int BM, int BN, int depth, int parts,
                                                    const void *y) {
  conv_weights_product job{};
  job.s = conv_gradient_of(c, y);
  job.rows = conv_tiles(job.s.K, BM), job.columns = conv_tiles(job.s.width, BN);
  job.per_part = conv_tiles(conv_tiles(job.s.positions, depth), parts) * depth;
  return job;
}

// Calls product(a, b, m, n, first, last) where the part has something, and always finish(output, m, n).
template <class T, int BM, int BN, class Product, class Finish>
__device__ __forceinline__ void conv_weights_block(const conv_weights_product &job, const T *x, const T *y, T *w,
                                                   float *part, Product product, Finish finish) {
  const conv_gradient &s = job.s;
  const int tiles = job.rows * job.columns, g = blockIdx.x / tiles;
  int m, n;
  gemm_place(blockIdx.x % tiles, job.rows, job.columns, m, n);
  m *= BM, n *= BN;
  const int64_t first = int64_t(blockIdx.y) * job.per_part, end = first + job.per_part;
  const conv_filters<T> a = {y + int64_t(g) * s.K * s.y_area, s};
  const conv_taps<T> b = {x + int64_t(g) * s.C * s.x_area, s};
  if (first < s.positions) product(a, b, m, n, int(first), int(lesser<int64_t>(end, s.positions)));
  const int64_t group = int64_t(s.K) * s.width;
  finish(conv_filter_output<T>{w + g * group, part ? part + (int64_t(blockIdx.y) * s.groups + g) * group : nullptr, s.K,
                               s.width},
         m, n);
}

inline dim3 conv_grid(const conv_weights_product &job, int parts) {
  return dim3(unsigned(job.rows * job.columns * job.s.groups), unsigned(parts));
}

// The parts' sum, to w.
template <class T> int conv_add(const kernel_conv &c, int parts, const float *part, T *w, kernel_stream stream) {
  const int64_t n = c.K * (c.C / c.groups) * kernel_conv_area(c.w);
  return LAUNCH((conv_add_parts<T>), blocks_for(n), dim3(block_size), 0, stream, n, parts, part, w);
}
