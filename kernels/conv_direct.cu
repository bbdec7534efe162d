// Convolution straight from its formula.
//
//   kernel     good for     launch                                            passes                        bound by
//   gather     any problem  128 threads, a tile of ROWS channels out x 128*   input: M / ROWS, from caches  loads of the
//              (forward,    COLUMNS positions; the filter by way of shared    output: 1                     input, 2 for
//              data)        memory, DEPTH of taps x channels at a time                                      16 products
//   weights    any problem  256 threads for 4 filters x 8 taps (1 x 9 where   x: K / 4, y: C*taps / 8,      loads, 12 for
//                           a group has one filter), each with its positions; from caches; w: 1             32 products
//                           parts of them in blocks of their own, then added
//   channels   any size     256 threads for a channel, parts as above         1                             memory
//
// Sums have a fixed order: the parts depend on the problem and the device only.
#include "conv_direct.h"

#include "conv_kit.h"

namespace {

constexpr int gather_threads = 128, gather_depth = 128;

// ---- Forward, and the data's gradient -----------------------------------------------------------------------------

// The filter's part for `depth` places from d on, of ROWS channels out from m on: tile [depth][ROWS].
template <int ROWS, class T>
__device__ void stage_filter(const conv_way &way, const conv_phases &p, const T *w, int g, int m, int d, int depth,
                             float (*tile)[ROWS]) {
  for (int i = threadIdx.x; i < depth; i += gather_threads) {
    const conv_tap tap(way, p, (d + i) / way.C);
    const int from = way.w_g * g + way.w_c * ((d + i) % way.C) + tap.r;
#pragma unroll
    for (int j = 0; j < ROWS; j++) tile[i][j] = m + j < way.M ? to_f32(w[from + way.w_m * (m + j)]) : 0;
  }
}

template <int ROWS, int COLUMNS, class T>
__global__ void __launch_bounds__(gather_threads) gather(conv_way way, int64_t tasks, int row_tiles, int column_tiles,
                                                         const T *in, const T *w, conv_after<T> after, T *out) {
  SHARED(tile, float[gather_depth][ROWS]);
  for (int64_t task = blockIdx.x; task < tasks; task += gridDim.x) {
    const int column = int(task % column_tiles) * (gather_threads * COLUMNS) + threadIdx.x;
    const int m = int(task / column_tiles % row_tiles) * ROWS, g = int(task / column_tiles / row_tiles % way.groups);
    const conv_phases p(way, int(task / column_tiles / row_tiles / way.groups));
    conv_column at[COLUMNS];
    const T *plane[COLUMNS];
    float sum[COLUMNS][ROWS] = {};
#pragma unroll
    for (int i = 0; i < COLUMNS; i++) {
      at[i] = conv_column(way, p, column + i * gather_threads);
      plane[i] = in + (int64_t(at[i].n) * way.groups + g) * way.C * way.in_area;
    }

    const int all = way.C * p.taps();
    for (int d = 0; d < all; d += gather_depth) {
      const int depth = all - d < gather_depth ? all - d : gather_depth;
      __syncthreads(); // the last tile is done with
      stage_filter<ROWS>(way, p, w, g, m, d, depth, tile);
      __syncthreads();
      for (int done = 0; done < depth;) { // tap by tap
        const int c = (d + done) % way.C, stop = way.C - c < depth - done ? done + way.C - c : depth;
        const conv_tap tap(way, p, (d + done) / way.C);
        int seen[COLUMNS];
        const T *from[COLUMNS];
#pragma unroll
        for (int i = 0; i < COLUMNS; i++) {
          seen[i] = tap.seen(way, at[i]);
          from[i] = plane[i] + int64_t(c) * way.in_area + seen[i];
        }
#pragma unroll 4
        for (; done < stop; done++) {
          float x[COLUMNS];
#pragma unroll
          for (int i = 0; i < COLUMNS; i++) {
            x[i] = seen[i] >= 0 ? to_f32(*from[i]) : 0;
            from[i] += way.in_area;
          }
#pragma unroll
          for (int j = 0; j < ROWS; j++) {
            const float weight = tile[done][j];
#pragma unroll
            for (int i = 0; i < COLUMNS; i++) sum[i][j] += x[i] * weight;
          }
        }
      }
    }

#pragma unroll
    for (int i = 0; i < COLUMNS; i++)
#pragma unroll
      for (int j = 0; j < ROWS; j++)
        if (at[i].n >= 0 && m + j < way.M) {
          const int channel = g * way.M + m + j;
          const int64_t to = (int64_t(at[i].n) * way.groups * way.M + channel) * way.out_area + at[i].to;
          out[to] = after.result(sum[i][j] + after.bias_of(channel), to);
        }
  }
}

template <int ROWS, int COLUMNS, class T>
int launch_gather(const conv_way &way, const T *in, const T *w, const conv_after<T> &after, T *out,
                  kernel_stream stream) {
  const int row_tiles = conv_tiles(way.M, ROWS), column_tiles = conv_tiles(way.columns, gather_threads * COLUMNS);
  const int64_t tasks = int64_t(way.phases) * way.groups * row_tiles * column_tiles;
  return LAUNCH((gather<ROWS, COLUMNS, T>), grid_of(tasks), dim3(gather_threads), 0, stream, way, tasks, row_tiles,
                column_tiles, in, w, after, out);
}

// Small problems in small tiles, so that there are enough of them.
int run_gather(const kernel_conv *c, bool forward, const void *in, const void *w, const kernel_conv_after *follows,
               void *out, kernel_stream stream) {
  const conv_way way = conv_way_of(*c, forward);
  const int64_t large = int64_t(conv_tiles(way.columns, 256)) * conv_tiles(way.M, 8) * way.groups * way.phases;
  return by_type(c->type, [&](auto element) {
    using T = decltype(element);
    const T *from = static_cast<const T *>(in), *filter = static_cast<const T *>(w);
    const conv_after<T> after(*follows);
    T *to = static_cast<T *>(out);
    return large >= 256 && way.M > 4 ? launch_gather<8, 2>(way, from, filter, after, to, stream)
                                     : launch_gather<4, 1>(way, from, filter, after, to, stream);
  });
}

// ---- The filter's gradient ----------------------------------------------------------------------------------------

constexpr int sum_threads = 256;

struct weights_sizes {
  int C, K, groups, positions, per_part; // channels and filters of a group
  int x_area, y_area, width;             // width: entries of a filter
  bool single;                           // filters of a group: tiles of 1 x 9, else of 4 x 8
  int filter_tiles, entry_tiles;
};

// An entry of a filter: its channel's plane, and where it is from a position's first place.
struct conv_entry {
  int64_t plane;
  int offset[3];
};

// FILTERS x ENTRIES of them, (channel, tap) each, in a block.
template <int FILTERS, int ENTRIES, class T>
__global__ void __launch_bounds__(sum_threads)
    weights(kernel_conv c, weights_sizes s, const T *x, const T *y, T *w, float *part) {
  const int tile = blockIdx.x, e = tile % s.entry_tiles * ENTRIES;
  const int k = tile / s.entry_tiles % s.filter_tiles * FILTERS, g = tile / s.entry_tiles / s.filter_tiles;
  conv_entry entry[ENTRIES];
#pragma unroll
  for (int j = 0; j < ENTRIES; j++) {
    int rest = e + j < s.width ? e + j : e;
#pragma unroll
    for (int a = 2; a >= 0; a--) {
      const int r = rest % c.w[a];
      entry[j].offset[a] = (c.flip ? c.w[a] - 1 - r : r) * c.dilation[a] - c.pad[a];
      rest /= c.w[a];
    }
    entry[j].plane = int64_t(g * s.C + rest) * s.x_area;
  }
  float sum[FILTERS * ENTRIES] = {};
  const int64_t first = int64_t(blockIdx.y) * s.per_part;
  const int64_t end = s.positions - first < s.per_part ? s.positions : first + s.per_part;
  for (int64_t position = first + threadIdx.x; position < end; position += sum_threads) {
    const int n = int(position) / s.y_area, o = int(position) % s.y_area, o0 = o / (c.y[1] * c.y[2]),
              o1 = o / c.y[2] % c.y[1], o2 = o % c.y[2];
    const int at0 = o0 * c.stride[0], at1 = o1 * c.stride[1], at2 = o2 * c.stride[2];
    float dy[FILTERS];
#pragma unroll
    for (int i = 0; i < FILTERS; i++)
      dy[i] = k + i < s.K ? to_f32(y[(int64_t(n * s.groups + g) * s.K + k + i) * s.y_area + o]) : 0;
#pragma unroll
    for (int j = 0; j < ENTRIES; j++) {
      const int i0 = at0 + entry[j].offset[0], i1 = at1 + entry[j].offset[1], i2 = at2 + entry[j].offset[2];
      const bool inside = i0 >= 0 && i0 < c.x[0] && i1 >= 0 && i1 < c.x[1] && i2 >= 0 && i2 < c.x[2];
      const int64_t from = int64_t(n) * s.groups * s.C * s.x_area + entry[j].plane + (i0 * c.x[1] + i1) * c.x[2] + i2;
      const float in = inside ? to_f32(x[from]) : 0;
#pragma unroll
      for (int i = 0; i < FILTERS; i++) sum[i * ENTRIES + j] += dy[i] * in;
    }
  }
  const float total = conv_reduce<sum_threads>(sum);
  const int filter = k + threadIdx.x / ENTRIES, at = e + threadIdx.x % ENTRIES;
  if (threadIdx.x < FILTERS * ENTRIES && filter < s.K && at < s.width) {
    const int64_t to = int64_t(g * s.K + filter) * s.width + at;
    if (part)
      part[int64_t(blockIdx.y) * s.groups * s.K * s.width + to] = total;
    else
      w[to] = as<T>(total);
  }
}

weights_sizes weights_sizes_of(const kernel_conv &c) {
  weights_sizes s{};
  s.C = int(c.C / c.groups), s.K = int(c.K / c.groups), s.groups = int(c.groups);
  s.x_area = int(kernel_conv_area(c.x)), s.y_area = int(kernel_conv_area(c.y));
  s.width = s.C * int(kernel_conv_area(c.w)), s.positions = int(c.N) * s.y_area;
  s.single = s.K == 1;
  s.filter_tiles = conv_tiles(s.K, s.single ? 1 : 4), s.entry_tiles = conv_tiles(s.width, s.single ? 9 : 8);
  return s;
}

// ---- Channels -----------------------------------------------------------------------------------------------------

template <class T>
__global__ void __launch_bounds__(sum_threads)
    channels(kernel_channel_sum s, int64_t per_part, const T *x, T *sum, float *part) {
  const int64_t positions = s.N * s.area, first = blockIdx.y * per_part, c = blockIdx.x;
  const int64_t end = positions - first < per_part ? positions : first + per_part;
  const uint32_t area = uint32_t(s.area);
  float total = 0;
  for (int64_t i = first + threadIdx.x; i < end; i += sum_threads)
    total += to_f32(x[(uint32_t(i) / area * s.C + c) * s.area + uint32_t(i) % area]);
  total = reduce_block<sum_threads>(total, 0.0f, add{});
  if (threadIdx.x == 0) {
    if (part)
      part[blockIdx.y * s.C + c] = total;
    else
      sum[c] = as<T>(total);
  }
}

} // namespace

// ---- Launchers ----------------------------------------------------------------------------------------------------

int kernel_conv_direct_forward(const kernel_conv *c, const void *x, const void *w, const kernel_conv_after *after,
                               void *y, kernel_stream stream) {
  return run_gather(c, true, x, w, after, y, stream);
}

int kernel_conv_direct_data(const kernel_conv *c, const void *y, const void *w, const kernel_conv_after *after, void *x,
                            kernel_stream stream) {
  return run_gather(c, false, y, w, after, x, stream);
}

int kernel_conv_direct_weights_parts(const kernel_conv *c, int multiprocessors) {
  const weights_sizes s = weights_sizes_of(*c);
  return conv_parts(s.positions, int64_t(s.groups) * s.filter_tiles * s.entry_tiles, 4 * sum_threads, multiprocessors);
}

int kernel_conv_direct_weights(const kernel_conv *c, const void *x, const void *y, void *w, int parts, float *part,
                               kernel_stream stream) {
  weights_sizes s = weights_sizes_of(*c);
  s.per_part = conv_tiles(s.positions, parts);
  const dim3 grid(unsigned(s.groups * s.filter_tiles * s.entry_tiles), unsigned(parts));
  return by_type(c->type, [&](auto element) {
    using T = decltype(element);
    const T *in = static_cast<const T *>(x), *dy = static_cast<const T *>(y);
    T *to = static_cast<T *>(w);
    float *sums = parts > 1 ? part : nullptr;
    const int error = s.single
                          ? LAUNCH((weights<1, 9, T>), grid, dim3(sum_threads), 0, stream, *c, s, in, dy, to, sums)
                          : LAUNCH((weights<4, 8, T>), grid, dim3(sum_threads), 0, stream, *c, s, in, dy, to, sums);
    const int64_t n = c->K * s.width;
    if (error || parts == 1) return error;
    return LAUNCH((conv_add_parts<T>), blocks_for(n), dim3(block_size), 0, stream, n, parts, part, to);
  });
}

int kernel_channel_sum_parts(const kernel_channel_sum *s, int multiprocessors) {
  return conv_parts(s->N * s->area, s->C, 8 * sum_threads, multiprocessors);
}

int kernel_channel_sum_of(const kernel_channel_sum *s, const void *x, void *sum, int parts, float *part,
                          kernel_stream stream) {
  const int64_t per_part = (s->N * s->area + parts - 1) / parts;
  return by_type(s->type, [&](auto element) {
    using T = decltype(element);
    const int error = LAUNCH((channels<T>), dim3(unsigned(s->C), unsigned(parts)), dim3(sum_threads), 0, stream, *s,
                             per_part, static_cast<const T *>(x), static_cast<T *>(sum), parts > 1 ? part : nullptr);
    if (error || parts == 1) return error;
    return LAUNCH((conv_add_parts<T>), blocks_for(s->C), dim3(block_size), 0, stream, s->C, parts, part,
                  static_cast<T *>(sum));
  });
}
