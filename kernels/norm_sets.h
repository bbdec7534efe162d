// What the kernels of normalisations share in both directions: sets, numbers of channels, and sums that are cut into
// chunks. Only kernels/norm_*.cu include it.
#pragma once

#include <type_traits>

#include "kit.h"
#include "norm.h"

constexpr int team_elements = scaled(1024, 100); // up to so many a set is a warp's
constexpr int column_length = 32; // up to so many positions a run, sets side by side are taken as columns
constexpr int column_width = 32;  // the most threads side by side in a tile of columns

inline int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// W neighbours.
template <class T, int W> struct alignas(sizeof(T) * W) neighbours { T v[W]; };
template <int W, class T> __device__ __forceinline__ neighbours<T, W> load_neighbours(const T *p) {
  return *reinterpret_cast<const neighbours<T, W> *>(p);
}

// There are at most 2^31 - 1 elements, so that divisions are of 32 bits, which is much faster.
__device__ __forceinline__ int64_t quotient(int64_t a, int64_t b) { return uint32_t(a) / uint32_t(b); }
__device__ __forceinline__ int64_t rest(int64_t a, int64_t b) { return uint32_t(a) % uint32_t(b); }

// ---- Numbers ------------------------------------------------------------------------------------------------------

__device__ __forceinline__ float number(const kernel_numbers &n, int64_t i, float absent) {
  return n.p ? load_as(kernel_type(n.type), n.p, i) : absent;
}
__device__ __forceinline__ void put_number(const kernel_numbers &n, int64_t i, float value) {
  if (n.p) store_as(kernel_type(n.type), n.p, i, value);
}

template <int W, class T> __device__ __forceinline__ void read_numbers(const void *p, int64_t i, float (&out)[W]) {
#pragma unroll
  for (int k = 0; k < W; k++) out[k] = to_f32(static_cast<const T *>(p)[i + k]);
}
template <int W> __device__ __forceinline__ void numbers(const kernel_numbers &n, int64_t i, float (&out)[W]) {
  switch (n.type) {
  case KERNEL_F32: read_numbers<W, float>(n.p, i, out); return;
  case KERNEL_BF16: read_numbers<W, bf16>(n.p, i, out); return;
  case KERNEL_F16: read_numbers<W, f16>(n.p, i, out); return;
  }
}

// The numbers of the channels of W neighbours of one set, from `position` on.
template <int W>
__device__ __forceinline__ void of_channels(const kernel_norm &s, const kernel_numbers &n, int64_t set,
                                            int64_t position, float absent, float (&out)[W]) {
#pragma unroll
  for (int k = 0; k < W; k++) out[k] = absent;
  if (!n.p) return;
  const int64_t first = rest(set, s.groups) * s.each;
  if (s.area == 1) {
    numbers<W>(n, first + position, out);
    return;
  }
  int64_t channel = quotient(position, s.area), left = (channel + 1) * s.area - position;
  float value = number(n, first + channel, absent);
#pragma unroll
  for (int k = 0; k < W; k++) {
    out[k] = value;
    if (--left == 0 && k + 1 < W) {
      left = s.area;
      value = number(n, first + ++channel, absent);
    }
  }
}

// ---- Sets ---------------------------------------------------------------------------------------------------------

// Where element i of a set lies.
__device__ __forceinline__ int64_t element_of(const kernel_norm &s, int64_t set, int64_t i) {
  if (s.runs == 1) return set * s.length + i;
  const int64_t run = quotient(i, s.length);
  return (run * s.sets + set) * s.length + (i - run * s.length);
}

// A value of thread 0 of a team, a warp or a block, for all of its threads, which all call it; between two calls a block
// meets at other barriers, those of reduce_block.
template <int THREADS, class A> __device__ __forceinline__ A from_first(A value) {
  if constexpr (THREADS == 32) {
    __syncwarp(); // what was read before may be overwritten after
    return first_lane(value);
  } else {
    SHARED(of_first, A);
    if (threadIdx.x == 0) of_first = value;
    __syncthreads();
    return of_first;
  }
}
template <int THREADS, class A, class Op> __device__ __forceinline__ A reduce_team(A value, A identity, Op op) {
  if constexpr (THREADS == 32)
    return reduce_warp(value, op);
  else
    return reduce_block<THREADS>(value, identity, op);
}

// Four floats that a set's elements share.
struct alignas(16) table_row {
  float a, b, c, d;
};
__device__ __forceinline__ table_row first_lane(table_row r) {
  return {__shfl_sync(0xffffffffu, r.a, 0), __shfl_sync(0xffffffffu, r.b, 0), __shfl_sync(0xffffffffu, r.c, 0),
          __shfl_sync(0xffffffffu, r.d, 0)};
}

// Calls f(how many, element, set, position, table row) for all elements: W neighbours of one set, or one element. How many
// is a constant's type.
template <int W, class F>
__device__ __forceinline__ void over_elements(const kernel_norm &s, bool vectors, const table_row *table, F f) {
  const int64_t n = s.runs * s.sets * s.length, step = vectors ? W : 1;
  for (int64_t i = first_of_grid() * step; i < n; i += size_of_grid() * step) {
    const int64_t row = quotient(i, s.length);
    int64_t set = rest(row, s.sets), position = i - row * s.length;
    if (vectors && position + W <= s.length) {
      f(std::integral_constant<int, W>{}, i, set, position, table[set]);
      continue;
    }
    for (int64_t k = i; k < i + step && k < n; k++) {
      f(std::integral_constant<int, 1>{}, k, set, position, table[set]);
      if (++position < s.length) continue;
      position = 0;
      if (++set == s.sets) set = 0;
    }
  }
}

// ---- Chunks -------------------------------------------------------------------------------------------------------

// Parts lie as [chunks][sets][slices]: a slice is a column, or the whole set.
inline bool by_columns(const kernel_norm &s) { return s.by_set && s.length <= column_length; }
inline int64_t slices_of(const kernel_norm &s) { return by_columns(s) ? s.length : 1; }
// Elements of a set, or runs, in a chunk; whole vectors.
inline int64_t share_of(const kernel_norm &s) {
  return by_columns(s) ? up(s.runs, s.chunks) : up(up(s.runs * s.length, s.chunks), 8) * 8;
}

inline int tile_width(int64_t columns) {
  int width = 1;
  while (width < column_width && width < columns) width *= 2;
  return width;
}

// The parts of one set, which a warp brings together.
template <class Op>
__device__ __forceinline__ typename Op::part all_parts(const kernel_norm &s, int64_t slices, int64_t set,
                                                       const typename Op::part *parts) {
  const Op op{};
  typename Op::part mine = Op::nothing();
  for (int64_t i = threadIdx.x % 32; i < s.chunks * slices; i += 32)
    mine = op(mine, parts[(quotient(i, slices) * s.sets + set) * slices + rest(i, slices)]);
  return reduce_warp(mine, op);
}

// Brings a tile's rows of threads together; the first row gets the result. All threads call it.
template <class Op, int W> __device__ __forceinline__ void reduce_tile(typename Op::part (&mine)[W], int width) {
  SHARED(parts, typename Op::part[block_size][W]);
  const Op op{};
  const int row = threadIdx.x / width;
  __syncthreads(); // the last tile has been read
#pragma unroll
  for (int k = 0; k < W; k++) parts[threadIdx.x][k] = mine[k];
  for (int half = block_size / width / 2; half > 0; half /= 2) {
    __syncthreads();
    if (row < half)
#pragma unroll
      for (int k = 0; k < W; k++)
        parts[threadIdx.x][k] = op(parts[threadIdx.x][k], parts[threadIdx.x + half * width][k]);
  }
#pragma unroll
  for (int k = 0; k < W; k++) mine[k] = parts[threadIdx.x][k];
}
