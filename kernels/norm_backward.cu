// Normalisations, backward.
//
//   kernel         good for                        launch                        bytes                 passes  bound by
//   whole_sets     many sets                       a warp or 256 threads a set   x + dy + dx, x and    1       memory
//                                                                                dy again from cache
//   chunk_sums     few and long sets               256 threads a set and chunk   x + dy                1       memory
//   column_sums    runs of up to 32: channels      256 threads a tile            x + dy                1       memory
//                  without or with few positions
//   finish_sums    what these two left             a warp a set                  the parts             1       latency
//   differentiate  then                            256 threads, grid-stride      x + dy + dx           1       memory
//
// Sums are of g, which is dy, or dy * w where w is not by_set, and of g * h with h = (x - mean) * r. Batch normalisation's
// are db and dw; for layer and group normalisation those are sums over other sets, the channels', in two kernels more that
// read x and dy again. All orders are fixed.
#include "norm.h"
#include "norm_sets.h"

namespace {

struct sums {
  float plain, tilted; // of g and of g * h
};
__device__ __forceinline__ sums across(sums a, int lane) { return {::across(a.plain, lane), ::across(a.tilted, lane)}; }
struct add_sums {
  using part = sums;
  __device__ static part nothing() { return {0, 0}; }
  __device__ part operator()(part a, part b) const { return {a.plain + b.plain, a.tilted + b.tilted}; }
};
__device__ __forceinline__ void take(sums &to, float g, float x, float mean, float r) {
  to.plain += g;
  to.tilted += g * ((x - mean) * r);
}

__device__ __forceinline__ int64_t mean_of(const kernel_norm &s, int64_t run, int64_t set) {
  return run * s.mean_runs + quotient(set, s.mean_each);
}

// Adds W neighbours of a set, the first being element i.
template <int W, class T>
__device__ __forceinline__ void take_at(const kernel_norm &s, const kernel_norm_backward_numbers &b, const T *x,
                                        const T *dy, int64_t set, int64_t i, sums &to) {
  const int64_t at = element_of(s, set, i), m = mean_of(s, s.runs == 1 ? 0 : quotient(i, s.length), set);
  const float mean = number(b.mean, m, 0), r = number(b.deviation, m, 0);
  const auto xs = load_neighbours<W>(x + at), dys = load_neighbours<W>(dy + at);
  float w[W];
  of_channels<W>(s, s.by_set ? kernel_numbers{} : b.w, set, i, 1, w);
#pragma unroll
  for (int k = 0; k < W; k++) take(to, to_f32(dys.v[k]) * w[k], to_f32(xs.v[k]), mean, r);
}

// A thread's share, begun at `lane` of `lanes`, of elements first … last - 1 of a set.
template <class T>
__device__ __forceinline__ sums sums_of(const kernel_norm &s, const kernel_norm_backward_numbers &b, bool vectors,
                                        const T *x, const T *dy, int64_t set, int64_t first, int64_t last, int lane,
                                        int lanes) {
  constexpr int W = vector<T>::width;
  sums to = add_sums::nothing();
  if (vectors)
    for (int64_t i = first + int64_t(lane) * W; i < last; i += int64_t(lanes) * W) take_at<W>(s, b, x, dy, set, i, to);
  else
    for (int64_t i = first + lane; i < last; i += lanes) take_at<1>(s, b, x, dy, set, i, to);
  return to;
}

// dx = (g - level - (x - mean) * tilt) * scale: a table row holds mean, level, tilt and scale.
__device__ __forceinline__ table_row finish_set(const kernel_norm &s, const kernel_norm_backward_numbers &b,
                                                int64_t set, sums all, bool writes) {
  const float n = float(s.runs * s.length), r = number(b.deviation, set, 0);
  if (writes) {
    put_number(b.db, set, all.plain);
    put_number(b.dw, set, all.tilted);
  }
  const float scale = s.by_set ? r * number(b.w, set, 1) : r;
  return {number(b.mean, set, 0), all.plain / n, r * all.tilted / n, scale};
}

template <int W, class T>
__device__ __forceinline__ void write_dx(const kernel_norm &s, const kernel_norm_backward_numbers &b, table_row row,
                                         int64_t set, int64_t position, const T *x, const T *dy, T *dx) {
  const auto xs = load_neighbours<W>(x);
  auto v = load_neighbours<W>(dy);
  float w[W];
  of_channels<W>(s, s.by_set ? kernel_numbers{} : b.w, set, position, 1, w);
#pragma unroll
  for (int k = 0; k < W; k++) {
    const float d = to_f32(xs.v[k]) - row.a, g = to_f32(v.v[k]) * w[k];
    v.v[k] = as<T>(((g - row.b) - d * row.c) * row.d);
  }
  *reinterpret_cast<neighbours<T, W> *>(dx) = v;
}

// ---- Kernels ------------------------------------------------------------------------------------------------------

template <class T, int THREADS>
__global__ void __launch_bounds__(block_size)
    whole_sets(kernel_norm s, kernel_norm_backward_numbers b, bool vectors, const T *x, const T *dy, T *dx) {
  constexpr int teams = block_size / THREADS, W = vector<T>::width;
  const int lane = threadIdx.x % THREADS;
  const int64_t n = s.runs * s.length;
  for (int64_t set = int64_t(blockIdx.x) * teams + threadIdx.x / THREADS; set < s.sets; set += gridDim.x * teams) {
    const sums mine = sums_of(s, b, vectors, x, dy, set, 0, n, lane, THREADS);
    const sums all = reduce_team<THREADS>(mine, add_sums::nothing(), add_sums{});
    const table_row row = from_first<THREADS>(finish_set(s, b, set, all, lane == 0));
    if (vectors) {
      for (int64_t i = int64_t(lane) * W; i < n; i += THREADS * W) {
        const int64_t at = element_of(s, set, i);
        write_dx<W>(s, b, row, set, i, x + at, dy + at, dx + at);
      }
    } else {
      for (int64_t i = lane; i < n; i += THREADS) {
        const int64_t at = element_of(s, set, i);
        write_dx<1>(s, b, row, set, i, x + at, dy + at, dx + at);
      }
    }
  }
}

template <class T>
__global__ void __launch_bounds__(block_size) chunk_sums(kernel_norm s, kernel_norm_backward_numbers b, int64_t share,
                                                         bool vectors, const T *x, const T *dy, sums *parts) {
  for (int64_t k = blockIdx.x; k < s.sets * s.chunks; k += gridDim.x) {
    const int64_t set = rest(k, s.sets), first = quotient(k, s.sets) * share, n = s.runs * s.length;
    const sums mine =
        sums_of(s, b, vectors, x, dy, set, first, first + share < n ? first + share : n, threadIdx.x, block_size);
    const sums all = reduce_block<block_size>(mine, add_sums::nothing(), add_sums{});
    if (threadIdx.x == 0) parts[k] = all;
  }
}

// `share` runs a chunk; a tile of columns is `width` threads (a power of two) wide, W columns each, and 256 / width high.
template <class T, int W>
__global__ void __launch_bounds__(block_size)
    column_sums(kernel_norm s, kernel_norm_backward_numbers b, int64_t share, int width, int64_t tiles, const T *x,
                const T *dy, sums *parts) {
  const int64_t line = s.sets * s.length; // elements of a run of all sets
  const int row = threadIdx.x / width, rows = block_size / width;
  for (int64_t k = blockIdx.x; k < tiles * s.chunks; k += gridDim.x) {
    const int64_t j = (rest(k, tiles) * width + threadIdx.x % width) * W, first = quotient(k, tiles) * share;
    const int64_t last = first + share < s.runs ? first + share : s.runs;
    sums mine[W];
    int64_t mean[W]; // its number in run 0
#pragma unroll
    for (int i = 0; i < W; i++) {
      mine[i] = add_sums::nothing();
      mean[i] = mean_of(s, 0, quotient(j + i, s.length));
    }
    if (j < line)
      for (int64_t run = first + row; run < last; run += rows) {
        const auto xs = load_neighbours<W>(x + run * line + j), dys = load_neighbours<W>(dy + run * line + j);
#pragma unroll
        for (int i = 0; i < W; i++) {
          const int64_t m = run * s.mean_runs + mean[i];
          take(mine[i], to_f32(dys.v[i]), to_f32(xs.v[i]), number(b.mean, m, 0), number(b.deviation, m, 0));
        }
      }
    reduce_tile<add_sums, W>(mine, width);
    if (row == 0 && j < line)
#pragma unroll
      for (int i = 0; i < W; i++) parts[quotient(k, tiles) * line + j + i] = mine[i];
  }
}

// table: [sets], or NULL where only dw and db are wanted.
__global__ void __launch_bounds__(block_size)
    finish_sums(kernel_norm s, kernel_norm_backward_numbers b, int64_t slices, const sums *parts, table_row *table) {
  const int warps = block_size / 32;
  for (int64_t set = int64_t(blockIdx.x) * warps + threadIdx.x / 32; set < s.sets; set += gridDim.x * warps) {
    const sums all = all_parts<add_sums>(s, slices, set, parts);
    if (threadIdx.x % 32) continue;
    if (table) {
      table[set] = finish_set(s, b, set, all, true);
    } else {
      put_number(b.db, set, all.plain);
      put_number(b.dw, set, all.tilted);
    }
  }
}

template <class T>
__global__ void __launch_bounds__(block_size) differentiate(kernel_norm s, kernel_norm_backward_numbers b, bool vectors,
                                                            const table_row *table, const T *x, const T *dy, T *dx) {
  over_elements<vector<T>::width>(s, vectors, table,
                                  [&](auto width, int64_t i, int64_t set, int64_t position, table_row row) {
                                    write_dx<decltype(width)::value>(s, b, row, set, position, x + i, dy + i, dx + i);
                                  });
}

// ---- Launchers ----------------------------------------------------------------------------------------------------

template <class T, int W>
int run_columns(const kernel_norm &n, const kernel_norm_backward_numbers &b, const T *x, const T *dy, sums *parts,
                kernel_stream stream) {
  const int width = tile_width(n.sets * n.length / W);
  const int64_t tiles = up(n.sets * n.length, int64_t(width) * W);
  return LAUNCH((column_sums<T, W>), grid_of(tiles * n.chunks), dim3(block_size), 0, stream, n, b, share_of(n), width,
                tiles, x, dy, parts);
}

template <class T>
int run_sums(const kernel_norm &n, const kernel_norm_backward_numbers &b, const T *x, const T *dy, sums *parts,
             kernel_stream stream) {
  constexpr int W = vector<T>::width;
  const bool aligned = on_vectors(x, dy);
  if (!by_columns(n))
    return LAUNCH((chunk_sums<T>), grid_of(n.sets * n.chunks), dim3(block_size), 0, stream, n, b, share_of(n),
                  aligned && n.length % W == 0, x, dy, parts);
  return aligned && n.sets * n.length % W == 0 ? run_columns<T, W>(n, b, x, dy, parts, stream)
                                               : run_columns<T, 1>(n, b, x, dy, parts, stream);
}

// The workspace begins with the table; the parts follow.
template <class T>
int run_split(const kernel_norm &n, const kernel_norm_backward_numbers &b, const T *x, const T *dy, T *dx,
              void *workspace, kernel_stream stream) {
  table_row *table = static_cast<table_row *>(workspace);
  sums *parts = reinterpret_cast<sums *>(table + n.sets);
  int error = run_sums(n, b, x, dy, parts, stream);
  if (error) return error;
  error = LAUNCH(finish_sums, grid_of(up(n.sets, block_size / 32)), dim3(block_size), 0, stream, n, b, slices_of(n),
                 static_cast<const sums *>(parts), dx ? table : nullptr);
  if (error || !dx) return error;
  const bool vectors = on_vectors(x, dy, dx);
  const int64_t elements = n.runs * n.sets * n.length;
  return LAUNCH((differentiate<T>), blocks_for(vectors ? up(elements, vector<T>::width) : elements), dim3(block_size),
                0, stream, n, b, vectors, static_cast<const table_row *>(table), x, dy, dx);
}

template <class T>
int run_whole(const kernel_norm &n, const kernel_norm_backward_numbers &b, const T *x, const T *dy, T *dx,
              kernel_stream stream) {
  const bool vectors = on_vectors(x, dy, dx) && n.length % vector<T>::width == 0;
  if (n.runs * n.length <= team_elements)
    return LAUNCH((whole_sets<T, 32>), grid_of(up(n.sets, block_size / 32)), dim3(block_size), 0, stream, n, b, vectors,
                  x, dy, dx);
  return LAUNCH((whole_sets<T, block_size>), grid_of(n.sets), dim3(block_size), 0, stream, n, b, vectors, x, dy, dx);
}

} // namespace

int kernel_norm_backward(const kernel_norm *n, const void *x, const void *dy, void *dx,
                         const kernel_norm_backward_numbers *b, void *workspace, kernel_stream stream) {
  return by_type(n->type, [&](auto element) {
    using T = decltype(element);
    const T *xs = static_cast<const T *>(x), *dys = static_cast<const T *>(dy);
    return n->split ? run_split(*n, *b, xs, dys, static_cast<T *>(dx), workspace, stream)
                    : run_whole(*n, *b, xs, dys, static_cast<T *>(dx), stream);
  });
}
