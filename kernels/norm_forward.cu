// Normalisations, forward.
//
//   kernel        good for                        launch                        bytes                 passes  bound by
//   by_set        many sets                       a warp or 256 threads a set   x + y, x again        1       memory
//                                                                               from the cache
//   chunks        few and long sets               256 threads a set and chunk   x                     1       memory
//   columns       runs of up to 32: channels      256 threads a tile            x                     1       memory
//                 without or with few positions
//   finish        what chunks and columns left    a warp a set                  the parts             1       latency
//   from_running  the same for inference          a thread a set                the running numbers   1       latency
//   normalise     then                            256 threads, grid-stride      x + y                 1       memory
//
// Moments are Welford's, of the distances d from the set's first element, so that an offset costs nothing; parts are merged
// by the formula of Chan, Golub and LeVeque in a fixed order.
#include "norm.h"

#include "norm_sets.h"

namespace {

struct moments {
  float n, mean, squares, sum; // of d; squares: the sum of (d - mean)^2; sum: of x
};
__device__ __forceinline__ moments across(moments m, int lane) {
  return {::across(m.n, lane), ::across(m.mean, lane), ::across(m.squares, lane), ::across(m.sum, lane)};
}
struct merge {
  using part = moments;
  __device__ static part nothing() { return {0, 0, 0, 0}; }
  __device__ part operator()(part a, part b) const {
    if (b.n == 0) return a;
    const float n = a.n + b.n, step = b.mean - a.mean, share = b.n / n;
    return {n, a.mean + step * share, a.squares + (b.squares + step * step * (a.n * share)), a.sum + b.sum};
  }
};
// Takes one more; 1 / n then is `share`.
__device__ __forceinline__ void take(moments &m, float x, float pivot, float share) {
  m.n += 1;
  m.sum += x;
  const float d = x - pivot, step = d - m.mean;
  m.mean += step * share;
  m.squares += step * (d - m.mean);
}

// A thread's share, begun at `lane` of `lanes`, of elements first … last - 1 of a set.
template <class T>
__device__ __forceinline__ moments moments_of(const kernel_norm &s, bool vectors, const T *x, int64_t set,
                                              int64_t first, int64_t last, int lane, int lanes) {
  constexpr int W = vector<T>::width;
  const float pivot = to_f32(x[set * s.length]);
  moments m = merge::nothing();
  if (vectors) {
#pragma unroll 2
    for (int64_t i = first + int64_t(lane) * W; i < last; i += int64_t(lanes) * W) {
      const auto v = load_neighbours<W>(x + element_of(s, set, i));
      float d[W], sum = 0, distances = 0, squares = 0;
#pragma unroll
      for (int k = 0; k < W; k++) {
        sum += to_f32(v.v[k]);
        distances += d[k] = to_f32(v.v[k]) - pivot;
      }
      const float mean = distances * (1.0f / W);
#pragma unroll
      for (int k = 0; k < W; k++) squares += (d[k] - mean) * (d[k] - mean);
      m = merge{}(m, {W, mean, squares, sum});
    }
  } else {
    for (int64_t i = first + lane; i < last; i += lanes)
      take(m, to_f32(x[element_of(s, set, i)]), pivot, __fdividef(1, m.n + 1));
  }
  return m;
}

// ---- What is made of moments --------------------------------------------------------------------------------------

// A table row holds the mean in two parts, and what x - mean is multiplied with and what is added; these are r and 0
// where w and b are not by_set.
__device__ __forceinline__ table_row row_of(const kernel_norm &s, const kernel_norm_forward_numbers &f, int64_t set,
                                            float high, float low, float r) {
  return s.by_set ? table_row{high, low, r * number(f.w, set, 1), number(f.b, set, 0)} : table_row{high, low, r, 0};
}

__device__ __forceinline__ table_row finish_set(const kernel_norm &s, const kernel_norm_forward_numbers &f, float pivot,
                                                int64_t set, moments m, bool writes) {
  float high = pivot + m.mean, back = high - pivot, low = (pivot - (high - back)) + (m.mean - back);
  // The distances' mean is off like the pivot, which may be far out where x itself is about 0.
  if (!(fabsf(high) >= fabsf(m.mean))) high = m.sum / m.n, low = 0;
  const bool finite = fabsf(high) < INFINITY; // no NaN either
  const float mean = finite ? high : NAN, r = finite ? 1 / sqrtf(m.squares / m.n + s.epsilon) : NAN;
  if (writes) {
    put_number(f.mean, set, mean);
    put_number(f.deviation, set, r);
    if (f.new_mean.p) put_number(f.new_mean, set, s.keep * number(f.running_mean, set, 0) + s.momentum * mean);
    if (f.new_variance.p) {
      const float old = number(f.running_variance, set, 0);
      put_number(f.new_variance, set, m.n > 1 ? s.keep * old + s.momentum * (m.squares / (m.n - 1)) : old);
    }
  }
  return row_of(s, f, set, mean, low, r);
}

// W neighbours of a set, x and y at the first.
template <int W, class T>
__device__ __forceinline__ void write_y(const kernel_norm &s, const kernel_norm_forward_numbers &f, table_row row,
                                        int64_t set, int64_t position, const T *x, T *y) {
  auto v = load_neighbours<W>(x);
  if (s.by_set) {
#pragma unroll
    for (int k = 0; k < W; k++) v.v[k] = as<T>(((to_f32(v.v[k]) - row.a) - row.b) * row.c + row.d);
  } else {
    float w[W], b[W];
    of_channels<W>(s, f.w, set, position, 1, w);
    of_channels<W>(s, f.b, set, position, 0, b);
#pragma unroll
    for (int k = 0; k < W; k++) v.v[k] = as<T>(((to_f32(v.v[k]) - row.a) - row.b) * (row.c * w[k]) + b[k]);
  }
  *reinterpret_cast<neighbours<T, W> *>(y) = v;
}

// ---- Kernels ------------------------------------------------------------------------------------------------------

template <class T, int THREADS>
__global__ void __launch_bounds__(block_size)
    by_set(kernel_norm s, kernel_norm_forward_numbers f, bool vectors, const T *x, T *y) {
  constexpr int teams = block_size / THREADS, W = vector<T>::width;
  const int lane = threadIdx.x % THREADS;
  const int64_t n = s.runs * s.length;
  for (int64_t set = int64_t(blockIdx.x) * teams + threadIdx.x / THREADS; set < s.sets; set += gridDim.x * teams) {
    const float pivot = to_f32(x[set * s.length]);
    const moments mine = moments_of(s, vectors, x, set, 0, n, lane, THREADS);
    const moments m = reduce_team<THREADS>(mine, merge::nothing(), merge{});
    const table_row row = from_first<THREADS>(finish_set(s, f, pivot, set, m, lane == 0));
    if (vectors) {
      for (int64_t i = int64_t(lane) * W; i < n; i += THREADS * W) {
        const int64_t at = element_of(s, set, i);
        write_y<W>(s, f, row, set, i, x + at, y + at);
      }
    } else {
      for (int64_t i = lane; i < n; i += THREADS) {
        const int64_t at = element_of(s, set, i);
        write_y<1>(s, f, row, set, i, x + at, y + at);
      }
    }
  }
}

template <class T>
__global__ void __launch_bounds__(block_size)
    chunks(kernel_norm s, int64_t share, bool vectors, const T *x, moments *parts) {
  for (int64_t b = blockIdx.x; b < s.sets * s.chunks; b += gridDim.x) {
    const int64_t set = rest(b, s.sets), first = quotient(b, s.sets) * share, n = s.runs * s.length;
    const moments mine =
        moments_of(s, vectors, x, set, first, first + share < n ? first + share : n, threadIdx.x, block_size);
    const moments m = reduce_block<block_size>(mine, merge::nothing(), merge{});
    if (threadIdx.x == 0) parts[b] = m;
  }
}

// `share` runs a chunk; a tile of columns is `width` threads (a power of two) wide, W columns each, and 256 / width high.
template <class T, int W>
__global__ void __launch_bounds__(block_size, 3)
    columns(kernel_norm s, int64_t share, int width, int64_t tiles, const T *x, moments *parts) {
  const int64_t line = s.sets * s.length; // elements of a run of all sets
  const int row = threadIdx.x / width, rows = block_size / width;
  for (int64_t b = blockIdx.x; b < tiles * s.chunks; b += gridDim.x) {
    const int64_t j = (rest(b, tiles) * width + threadIdx.x % width) * W, first = quotient(b, tiles) * share;
    const int64_t last = first + share < s.runs ? first + share : s.runs;
    moments mine[W];
    float pivot[W];
#pragma unroll
    for (int k = 0; k < W; k++) {
      mine[k] = merge::nothing();
      pivot[k] = j < line ? to_f32(x[quotient(j + k, s.length) * s.length]) : 0;
    }
    if (j < line)
#pragma unroll 2
      for (int64_t run = first + row; run < last; run += rows) {
        const auto v = load_neighbours<W>(x + run * line + j);
        const float share_of_next = __fdividef(1, mine[0].n + 1); // as good here, and of fewer registers
#pragma unroll
        for (int k = 0; k < W; k++) take(mine[k], to_f32(v.v[k]), pivot[k], share_of_next);
      }
    reduce_tile<merge, W>(mine, width);
    if (row == 0 && j < line)
#pragma unroll
      for (int k = 0; k < W; k++) parts[quotient(b, tiles) * line + j + k] = mine[k];
  }
}

template <class T>
__global__ void __launch_bounds__(block_size) finish(kernel_norm s, kernel_norm_forward_numbers f, int64_t slices,
                                                     const T *x, const moments *parts, table_row *table) {
  const int warps = block_size / 32;
  for (int64_t set = int64_t(blockIdx.x) * warps + threadIdx.x / 32; set < s.sets; set += gridDim.x * warps) {
    const moments m = all_parts<merge>(s, slices, set, parts);
    if (threadIdx.x % 32 == 0) table[set] = finish_set(s, f, to_f32(x[set * s.length]), set, m, true);
  }
}

__global__ void __launch_bounds__(block_size)
    from_running(kernel_norm s, kernel_norm_forward_numbers f, table_row *table) {
  for (int64_t set = first_of_grid(); set < s.sets; set += size_of_grid()) {
    const float r = 1 / sqrtf(number(f.running_variance, set, 0) + s.epsilon);
    table[set] = row_of(s, f, set, number(f.running_mean, set, 0), 0, r);
  }
}

template <class T>
__global__ void __launch_bounds__(block_size)
    normalise(kernel_norm s, kernel_norm_forward_numbers f, bool vectors, const table_row *table, const T *x, T *y) {
  over_elements<vector<T>::width>(s, vectors, table,
                                  [&](auto width, int64_t i, int64_t set, int64_t position, table_row row) {
                                    write_y<decltype(width)::value>(s, f, row, set, position, x + i, y + i);
                                  });
}

// ---- Launchers ----------------------------------------------------------------------------------------------------

// The workspace begins with the table; the parts follow.
moments *parts_in(const kernel_norm &n, void *workspace) {
  return reinterpret_cast<moments *>(static_cast<table_row *>(workspace) + n.sets);
}

template <class T, int W> int run_columns(const kernel_norm &n, const T *x, moments *parts, kernel_stream stream) {
  const int width = tile_width(n.sets * n.length / W);
  const int64_t tiles = up(n.sets * n.length, int64_t(width) * W);
  return LAUNCH((columns<T, W>), grid_of(tiles * n.chunks), dim3(block_size), 0, stream, n, share_of(n), width, tiles,
                x, parts);
}

template <class T>
int run_normalise(const kernel_norm &n, const kernel_norm_forward_numbers &f, const T *x, T *y, void *workspace,
                  kernel_stream stream) {
  const bool vectors = on_vectors(x, y);
  const int64_t elements = n.runs * n.sets * n.length;
  return LAUNCH((normalise<T>), blocks_for(vectors ? up(elements, vector<T>::width) : elements), dim3(block_size), 0,
                stream, n, f, vectors, static_cast<const table_row *>(workspace), x, y);
}

template <class T>
int run_split(const kernel_norm &n, const kernel_norm_forward_numbers &f, const T *x, T *y, void *workspace,
              kernel_stream stream) {
  constexpr int W = vector<T>::width;
  moments *parts = parts_in(n, workspace);
  int error;
  if (!by_columns(n))
    error = LAUNCH((chunks<T>), grid_of(n.sets * n.chunks), dim3(block_size), 0, stream, n, share_of(n),
                   on_vectors(x) && n.length % W == 0, x, parts);
  else if (on_vectors(x) && n.sets * n.length % W == 0)
    error = run_columns<T, W>(n, x, parts, stream);
  else
    error = run_columns<T, 1>(n, x, parts, stream);
  if (error) return error;
  error = LAUNCH((finish<T>), grid_of(up(n.sets, block_size / 32)), dim3(block_size), 0, stream, n, f, slices_of(n), x,
                 parts, static_cast<table_row *>(workspace));
  return error ? error : run_normalise(n, f, x, y, workspace, stream);
}

template <class T>
int run_whole(const kernel_norm &n, const kernel_norm_forward_numbers &f, const T *x, T *y, kernel_stream stream) {
  const bool vectors = on_vectors(x, y) && n.length % vector<T>::width == 0;
  if (n.runs * n.length <= team_elements)
    return LAUNCH((by_set<T, 32>), grid_of(up(n.sets, block_size / 32)), dim3(block_size), 0, stream, n, f, vectors, x,
                  y);
  return LAUNCH((by_set<T, block_size>), grid_of(n.sets), dim3(block_size), 0, stream, n, f, vectors, x, y);
}

} // namespace

size_t kernel_norm_plan(kernel_norm *n) {
  const int64_t wanted = scaled(1056, 24), wide = n->type == KERNEL_F32 ? 4 : 8; // blocks: eight on each of an H100's
  if (!n->split) return n->chunks = 0;
  int64_t blocks = n->sets, most = n->runs * n->length / scaled(4096, 200);
  if (by_columns(*n)) {
    const int64_t line = n->sets * n->length, vectors = line % wide == 0 ? line / wide : line;
    const int width = tile_width(vectors);
    blocks = up(vectors, width), most = n->runs / (block_size / width * scaled(8, 1));
  }
  n->chunks = lesser(up(wanted, blocks), most);
  if (n->chunks < 1) n->chunks = 1;
  return size_t(n->sets) * (sizeof(table_row) + size_t(n->chunks * slices_of(*n)) * sizeof(moments));
}

int kernel_norm_forward(const kernel_norm *n, const void *x, void *y, const kernel_norm_forward_numbers *f,
                        void *workspace, kernel_stream stream) {
  return by_type(n->type, [&](auto element) {
    using T = decltype(element);
    const T *from = static_cast<const T *>(x);
    return n->split ? run_split(*n, *f, from, static_cast<T *>(y), workspace, stream)
                    : run_whole(*n, *f, from, static_cast<T *>(y), stream);
  });
}

int kernel_norm_inference(const kernel_norm *n, const void *x, void *y, const kernel_norm_forward_numbers *f,
                          void *workspace, kernel_stream stream) {
  const int error = LAUNCH(from_running, blocks_for(n->sets), dim3(block_size), 0, stream, *n, *f,
                           static_cast<table_row *>(workspace));
  if (error) return error;
  return by_type(n->type, [&](auto element) {
    using T = decltype(element);
    return run_normalise(*n, *f, static_cast<const T *>(x), static_cast<T *>(y), workspace, stream);
  });
}
