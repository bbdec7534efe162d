// A convolution as a sparse matrix: for each row the taps that lie on the input.
//
//   kernel   good for   launch                                          bytes an entry              passes   bound by
//   matrix   any        256 threads; a warp for a row, its lanes along  2 x size of an element and  1        memory, and
//                       its entries                                     of an index                          filling lanes
//
// Where a row begins follows from the taps of all positions before it, which the lanes count together.
#include "conv_matrix.h"

#include "conv_kit.h"

namespace {

constexpr int warps = block_size / 32;

// Of one position along an axis: its taps [first, first + count), the input's place under tap 0.
struct reach {
  int first, count, at;
  __device__ reach(const kernel_conv &c, int a, int o) {
    at = o * c.stride[a] - c.pad[a];
    const int step = c.dilation[a];
    int low = at < 0 ? (step - 1 - at) / step : 0, high = at < c.x[a] ? (c.x[a] - 1 - at) / step + 1 : 0;
    if (high > c.w[a]) high = c.w[a];
    first = low, count = high > low ? high - low : 0;
  }
};

// Taps of the positions 0 ... o - 1 of an axis; all lanes of a warp call it.
__device__ int64_t taps_before(const kernel_conv &c, int a, int o) {
  int64_t count = 0;
  for (int i = threadIdx.x % 32; i < o; i += 32) count += reach(c, a, i).count;
  return reduce_warp(count, add{});
}

__device__ void put(void *index, bool wide, int64_t i, int64_t value) {
  if (wide)
    static_cast<int64_t *>(index)[i] = value;
  else
    static_cast<int32_t *>(index)[i] = int32_t(value);
}

template <class T>
__global__ void __launch_bounds__(block_size)
    matrix(kernel_conv_matrix m, int64_t n_rows, const T *w, T *values, void *columns, void *rows) {
  const kernel_conv &c = m.c;
  const int64_t step = int64_t(gridDim.x) * warps, C = c.C / c.groups, area = int64_t(c.y[0]) * c.y[1] * c.y[2];
  const int lane = threadIdx.x % 32;
  for (int64_t row = int64_t(blockIdx.x) * warps + threadIdx.x / 32; row < n_rows; row += step) {
    const int64_t k = row / area;
    const int o = int(row % area), o0 = o / (c.y[1] * c.y[2]), o1 = o / c.y[2] % c.y[1], o2 = o % c.y[2];
    const reach at0(c, 0, o0), at1(c, 1, o1), at2(c, 2, o2);
    const int64_t plane = taps_before(c, 1, c.y[1]), line = taps_before(c, 2, c.y[2]);
    const int64_t before = taps_before(c, 0, o0) * plane * line + at0.count * taps_before(c, 1, o1) * line +
                           int64_t(at0.count) * at1.count * taps_before(c, 2, o2);
    const int64_t begin = k * m.each + C * before, entries = C * at0.count * at1.count * at2.count;
    if (lane == 0) put(rows, m.wide_rows, row, begin);
    if (lane == 0 && row == n_rows - 1) put(rows, m.wide_rows, n_rows, c.K * m.each);
    for (int64_t e = lane; e < entries; e += 32) {
      const int t2 = int(e % at2.count) + at2.first, t1 = int(e / at2.count % at1.count) + at1.first;
      const int64_t rest = e / at2.count / at1.count, channel = rest / at0.count;
      const int t0 = int(rest % at0.count) + at0.first;
      const int i0 = at0.at + t0 * c.dilation[0], i1 = at1.at + t1 * c.dilation[1], i2 = at2.at + t2 * c.dilation[2];
      const int taps = c.w[0] * c.w[1] * c.w[2], tap = (t0 * c.w[1] + t1) * c.w[2] + t2;
      values[begin + e] = w[(k * C + channel) * taps + (c.flip ? taps - 1 - tap : tap)];
      const int64_t from = k / (c.K / c.groups) * C + channel;
      put(columns, m.wide_columns, begin + e, ((from * c.x[0] + i0) * c.x[1] + i1) * c.x[2] + i2);
    }
  }
}

} // namespace

int kernel_conv_matrix_of(const kernel_conv_matrix *m, const void *w, void *values, void *columns, void *rows,
                          kernel_stream stream) {
  const int64_t n_rows = m->c.K * kernel_conv_area(m->c.y);
  const auto run = [&](auto element) {
    using T = decltype(element);
    return LAUNCH((matrix<T>), blocks_for(n_rows, warps), dim3(block_size), 0, stream, *m, n_rows,
                  static_cast<const T *>(w), static_cast<T *>(values), columns, rows);
  };
  switch (m->size) {
  case 1: return run(uint8_t{});
  case 2: return run(uint16_t{});
  case 4: return run(uint32_t{});
  case 8: return run(uint64_t{});
  }
  return cudaErrorInvalidValue;
}
