// Moves between strided views, and fills.
//
//   kernel     good for                                      launch                    bytes an element   passes   bound by
//   straight   both sides without gaps, in one order         256 threads, grid-stride  2 x size           1        memory
//   rows       both sides run along one axis, or one side    256 threads, grid-stride  2 x size           1        memory
//              repeats, or an axis is short
//   tiles      the sides run along different axes, of 16     32 x 8 threads, a tile    2 x size           1        memory
//              elements or more                              at a time
//   fill       any size                                      256 threads, grid-stride  size               1        memory
//
// `rows` goes through y in its order, in units of up to 16 bytes where all strides and both addresses allow it. Of two
// axes along which the sides run, a short one is innermost: then a warp uses up the few places on the other side.
// `tiles` turns squares of 32 (64 elements of 1 or 2 bytes) around in shared memory, whose rows are an odd number of
// words long.
#include "move.h"

#include <cstdlib>
#include <cstring>

#include "kit.h"

namespace {

// What is moved at once.
template <class F> int by_unit(int bytes, F f) {
  switch (bytes) {
  case 1: return f(uint8_t{});
  case 2: return f(uint16_t{});
  case 4: return f(uint32_t{});
  case 8: return f(uint64_t{});
  case 16: return f(vector<uint32_t>{});
  }
  return cudaErrorInvalidValue;
}

constexpr int items = 4; // loads of a thread that are under way at once

// ---- Kernels ------------------------------------------------------------------------------------------------------

template <class T> __global__ void straight(int64_t bytes, const uint8_t *x, uint8_t *y) {
  const int64_t n = bytes / int64_t(sizeof(T)), step = int64_t(block_size) * items;
  const T *const from = reinterpret_cast<const T *>(x);
  T *const to = reinterpret_cast<T *>(y);
  for (int64_t first = blockIdx.x * step + threadIdx.x; first < n; first += gridDim.x * step) {
    T v[items];
#pragma unroll
    for (int k = 0; k < items; k++)
      if (first + k * block_size < n) v[k] = from[first + k * block_size];
#pragma unroll
    for (int k = 0; k < items; k++)
      if (first + k * block_size < n) to[first + k * block_size] = v[k];
  }
  const int64_t last = n * int64_t(sizeof(T)) + first_of_grid(); // the grid has more threads than a unit has bytes
  if (last < bytes) y[last] = x[last];
}

struct axes {
  int rank;
  divider size[KERNEL_MAX_RANK];
  int64_t from[KERNEL_MAX_RANK], to[KERNEL_MAX_RANK];
};

// Where index i of the first `rank` axes lies on both sides.
__device__ __forceinline__ void place(const axes &a, int rank, uint32_t i, int64_t &from, int64_t &to) {
  from = to = 0;
  for (int d = rank - 1; d >= 0; d--) {
    const int64_t at = d > 0 ? a.size[d].take(i) : i;
    from += at * a.from[d];
    to += at * a.to[d];
  }
}

template <class T> __global__ void rows(uint32_t n, axes a, const T *x, T *y) {
  const uint32_t step = block_size * items;
  for (uint32_t first = blockIdx.x * step + threadIdx.x; first < n; first += gridDim.x * step) {
    T v[items];
    int64_t to[items];
#pragma unroll
    for (int k = 0; k < items; k++) {
      const uint32_t i = first + k * block_size;
      int64_t from;
      place(a, a.rank, i < n ? i : first, from, to[k]);
      if (i < n) v[k] = x[from];
    }
#pragma unroll
    for (int k = 0; k < items; k++)
      if (first + k * block_size < n) y[to[k]] = v[k];
  }
}

template <class T> constexpr int side = sizeof(T) < 4 ? 64 : 32;

// The last two axes are x's fastest and y's fastest; `down` and `across` are how many tiles lie along them.
template <class T> __global__ void tiles(uint32_t count, axes a, divider down, divider across, const T *x, T *y) {
  constexpr int pad = sizeof(T) < 4 ? 4 / sizeof(T) : 1, warps = block_size / 32;
  SHARED(tile, T[side<T>][side<T> + pad]); // [y's fastest][x's fastest]
  const int k = a.rank - 2, l = a.rank - 1, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (uint32_t t = blockIdx.x; t < count; t += gridDim.x) {
    uint32_t index = t;
    const uint32_t first_l = across.take(index) * side<T>, first_k = down.take(index) * side<T>;
    const uint32_t left_l = a.size[l].size - first_l, left_k = a.size[k].size - first_k;
    int64_t from, to;
    place(a, k, index, from, to);
    from += first_k * a.from[k] + first_l * a.from[l];
    to += first_k * a.to[k] + first_l * a.to[l];
    __syncthreads(); // the tile before this one has been read
#pragma unroll
    for (int row = 0; row < side<T>; row += warps)
#pragma unroll
      for (int column = 0; column < side<T>; column += 32) {
        const uint32_t at_l = row + warp, at_k = column + lane;
        if (at_l < left_l && at_k < left_k) tile[at_l][at_k] = x[from + at_l * a.from[l] + at_k * a.from[k]];
      }
    __syncthreads();
#pragma unroll
    for (int row = 0; row < side<T>; row += warps)
#pragma unroll
      for (int column = 0; column < side<T>; column += 32) {
        const uint32_t at_k = row + warp, at_l = column + lane;
        if (at_l < left_l && at_k < left_k) y[to + at_l * a.to[l] + at_k * a.to[k]] = tile[at_l][at_k];
      }
  }
}

template <class T> __global__ void fill(int64_t n, T value, T *y) {
  using V = vector<T>;
  V all;
#pragma unroll
  for (int k = 0; k < V::width; k++) all.v[k] = value;
  const int64_t before = -int64_t(reinterpret_cast<uintptr_t>(y) / sizeof(T)) & (V::width - 1);
  const int64_t head = lesser(before, n), vectors = (n - head) / V::width;
  for (int64_t i = first_of_grid(); i < vectors; i += size_of_grid()) reinterpret_cast<V *>(y + head)[i] = all;
  const int64_t i = first_of_grid(), tail = head + vectors * V::width;
  if (i < head) y[i] = value; // the grid has more threads than a vector has elements
  if (tail + i < n) y[tail + i] = value;
}

// ---- Plans --------------------------------------------------------------------------------------------------------

void put(kernel_move &m, int at, int64_t dim, int64_t from, int64_t to) {
  m.dims[at] = dim, m.from[at] = from, m.to[at] = to;
}

// Makes axis `from` the one at `to`, which is not outside it; those between move outwards.
void move_axis(kernel_move &m, int from, int to) {
  const int64_t dim = m.dims[from], x = m.from[from], y = m.to[from];
  for (int d = from; d < to; d++) put(m, d, m.dims[d + 1], m.from[d + 1], m.to[d + 1]);
  put(m, to, dim, x, y);
}

// The axis other than the last along which x runs faster than along the last; -1: none.
int faster_in_x(const kernel_move &m) {
  int best = m.rank - 1;
  if (m.from[best] == 0) return -1;
  for (int d = m.rank - 2; d >= 0; d--)
    if (m.from[d] != 0 && llabs(m.from[d]) < llabs(m.from[best])) best = d;
  return best == m.rank - 1 ? -1 : best;
}

// The most bytes, up to 16, that may be moved at once where both sides run along the last axis.
int widest_unit(const kernel_move &m) {
  const int l = m.rank - 1;
  if (m.from[l] != 1 || m.to[l] != 1) return m.size;
  int64_t all = m.dims[l];
  for (int d = 0; d < l; d++) all |= m.from[d] | m.to[d];
  int unit = m.size;
  while (unit < 16 && all % 2 == 0) unit *= 2, all /= 2;
  return unit;
}

// ---- Launches -----------------------------------------------------------------------------------------------------

constexpr int64_t most = scaled(INT32_MAX, 4000); // units that one launch can count

int64_t count_of(const kernel_move &m) {
  int64_t count = 1;
  for (int d = 0; d < m.rank; d++) count *= m.dims[d];
  return count;
}

axes axes_of(const kernel_move &m) {
  axes a = {};
  a.rank = m.rank;
  for (int d = 0; d < m.rank; d++) a.size[d] = divider(m.dims[d]), a.from[d] = m.from[d], a.to[d] = m.to[d];
  return a;
}

template <class T> int run_rows(const kernel_move &m, const void *x, void *y, kernel_stream stream) {
  const int64_t count = count_of(m);
  return LAUNCH(rows<T>, blocks_for(count, block_size * items), dim3(block_size), 0, stream, uint32_t(count),
                axes_of(m), static_cast<const T *>(x), static_cast<T *>(y));
}

template <class T> int run_tiles(const kernel_move &m, const void *x, void *y, kernel_stream stream) {
  const int64_t down = (m.dims[m.rank - 2] + side<T> - 1) / side<T>,
                across = (m.dims[m.rank - 1] + side<T> - 1) / side<T>;
  int64_t count = down * across;
  for (int d = 0; d < m.rank - 2; d++) count *= m.dims[d];
  return LAUNCH(tiles<T>, blocks_for(count, 1), dim3(block_size), 0, stream, uint32_t(count), axes_of(m), divider(down),
                divider(across), static_cast<const T *>(x), static_cast<T *>(y));
}

// By the unit that dims and strides are given in. What one launch can't count is halved.
int run_units(const kernel_move &m, int unit, const void *x, void *y, kernel_stream stream) {
  if (count_of(m) > most) {
    int largest = 0;
    for (int d = 1; d < m.rank; d++)
      if (m.dims[d] > m.dims[largest]) largest = d;
    kernel_move first = m, rest = m;
    const int64_t half = first.dims[largest] /= 2;
    rest.dims[largest] -= half;
    const int error = run_units(first, unit, x, y, stream);
    if (error) return error;
    return run_units(rest, unit, static_cast<const char *>(x) + half * m.from[largest] * unit,
                     static_cast<char *>(y) + half * m.to[largest] * unit, stream);
  }
  return by_unit(unit, [&](auto element) {
    using T = decltype(element);
    if (m.way != KERNEL_MOVE_TILES) return run_rows<T>(m, x, y, stream);
    if constexpr (sizeof(T) <= 8)
      return run_tiles<T>(m, x, y, stream);
    else // no element is as large
      return int(cudaErrorInvalidValue);
  });
}

} // namespace

kernel_move kernel_move_plan(int size, int rank, const int64_t *dims, const int64_t *from, const int64_t *to) {
  kernel_move s = {}, m = {};
  for (int d = 0; d < rank; d++) { // the axis along which y runs fastest is the last
    if (dims[d] == 1) continue;
    int at = s.rank++;
    for (; at > 0 && llabs(s.to[at - 1]) < llabs(to[d]); at--) put(s, at, s.dims[at - 1], s.from[at - 1], s.to[at - 1]);
    put(s, at, dims[d], from[d], to[d]);
  }
  for (int d = 0; d < s.rank; d++) {
    const int last = m.rank - 1;
    if (last >= 0 && m.from[last] == s.from[d] * s.dims[d] && m.to[last] == s.to[d] * s.dims[d])
      put(m, last, m.dims[last] * s.dims[d], s.from[d], s.to[d]);
    else
      put(m, m.rank++, s.dims[d], s.from[d], s.to[d]);
  }
  if (m.rank == 0) put(m, m.rank++, 1, 1, 1);
  m.size = size;
  m.way = m.rank == 1 && m.from[0] == 1 && m.to[0] == 1 ? KERNEL_MOVE_STRAIGHT : KERNEL_MOVE_ROWS;
  const int faster = faster_in_x(m), l = m.rank - 1;
  if (faster >= 0) {
    const bool both_long = m.dims[faster] >= 16 && m.dims[l] >= 16;
    if (both_long) m.way = KERNEL_MOVE_TILES;
    move_axis(m, faster, both_long || m.dims[l] <= m.dims[faster] ? l - 1 : l);
  }
  m.unit = m.way == KERNEL_MOVE_TILES ? size : widest_unit(m);
  return m;
}

int kernel_move_run(const kernel_move *move, const void *x, void *y, kernel_stream stream) {
  const uintptr_t addresses = reinterpret_cast<uintptr_t>(x) | reinterpret_cast<uintptr_t>(y);
  int unit = move->way == KERNEL_MOVE_STRAIGHT ? 16 : move->unit;
  while (addresses % uintptr_t(unit)) unit /= 2;
  if (move->way == KERNEL_MOVE_STRAIGHT)
    return by_unit(unit, [&](auto element) {
      using T = decltype(element);
      const int64_t bytes = move->dims[0] * move->size;
      return LAUNCH(straight<T>, blocks_for(bytes / unit + 1, block_size * items), dim3(block_size), 0, stream, bytes,
                    static_cast<const uint8_t *>(x), static_cast<uint8_t *>(y));
    });
  kernel_move m = *move;
  const int many = unit / m.size, l = m.rank - 1;
  if (many > 1) {
    m.dims[l] /= many;
    for (int d = 0; d < l; d++) m.from[d] /= many, m.to[d] /= many;
  }
  return run_units(m, unit, x, y, stream);
}

int kernel_fill(int size, int64_t n, const void *value, void *y, kernel_stream stream) {
  return by_unit(size, [&](auto element) {
    using T = decltype(element);
    if constexpr (sizeof(T) <= 8) {
      T v;
      memcpy(&v, value, sizeof v);
      return LAUNCH(fill<T>, blocks_for(n / vector<T>::width + 1), dim3(block_size), 0, stream, n, v,
                    static_cast<T *>(y));
    }
    return int(cudaErrorInvalidValue);
  });
}
