// Reductions over axes, and their gradients.
//
//   kernel    good for                                launch                          bytes            passes  bound by
//   by_warp   the last axis reduced, up to 512        a warp a result                 x + y            1       memory
//   by_block  the last axis reduced, long             256 threads a result and chunk  x + y            1       memory
//   columns   the last axis kept                      256 threads a tile of results   x + y            1       memory
//   spread    every gradient                          256 threads, grid-stride        dy + dx          1       memory
//
// Where there are too few results for the device, their members are cut into chunks, whose parts lie in the workspace as
// [chunks][results]; `columns` brings them together. All orders are fixed, so the bits are the same run to run. x is read
// by 16-byte vectors where address and length allow it.
#include "reduce.h"

#include "kit.h"

namespace {

constexpr int warp_members = scaled(512, 128); // up to so many a warp is enough
constexpr int row_width = 32;                  // the most threads side by side in a tile of columns

// Where results go: parts of chunks in the workspace, or y.
struct target {
  void *y, *parts;
  int32_t *indices;
  float divisor;
  kernel_type type;
};

// ---- What is reduced: one member, what changes nothing, two together, the result -----------------------------------

struct sum {
  using part = float;
  __device__ static part one(float x, int64_t) { return x; }
  __device__ static part nothing() { return 0; }
  __device__ part operator()(part a, part b) const { return a + b; }
  __device__ static void finish(const target &to, int64_t i, part a) { store_as(to.type, to.y, i, a / to.divisor); }
};

// The place of what comes before every other, at the end.
struct placed {
  float value;
  int32_t index;
};
__device__ __forceinline__ placed across(placed a, int lane) {
  return {::across(a.value, lane), ::across(a.index, lane)};
}
// NaN is the largest; of equal ones the first counts.
struct largest {
  using part = placed;
  __device__ static part one(float x, int64_t member) { return {x, int32_t(member)}; }
  __device__ static part one(part x, int64_t) { return x; }
  __device__ static part nothing() { return {-INFINITY, INT32_MAX}; }
  __device__ part operator()(part a, part b) const {
    const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    const bool equal = a.value == b.value || (a_nan && b_nan);
    const bool other = equal ? b.index < a.index : b_nan || (!a_nan && b.value > a.value);
    return other ? b : a;
  }
  __device__ static void finish(const target &to, int64_t i, part a) {
    store_as(to.type, to.y, i, a.value);
    if (to.indices) to.indices[i] = a.index;
  }
};

__device__ __forceinline__ placed value_of(placed x) { return x; }
template <class T> __device__ __forceinline__ float value_of(T x) { return to_f32(x); }

template <class Op> __device__ void put(const target &to, int64_t i, typename Op::part a) {
  if (to.parts)
    static_cast<typename Op::part *>(to.parts)[i] = a;
  else
    Op::finish(to, i, a);
}

// There are at most 2^31 - 1 elements, so that divisions are of 32 bits, which is much faster.
__device__ __forceinline__ int64_t quotient(int64_t a, int64_t b) { return uint32_t(a) / uint32_t(b); }
__device__ __forceinline__ int64_t rest(int64_t a, int64_t b) { return uint32_t(a) % uint32_t(b); }

__device__ __forceinline__ int64_t place(const kernel_groups &g, int64_t i) {
  int64_t at = 0;
  for (int k = 0; k + 1 < g.count; k++) {
    at += rest(i, g.dims[k]) * g.strides[k];
    i = quotient(i, g.dims[k]);
  }
  return g.count ? at + i * g.strides[g.count - 1] : 0;
}

// ---- Rows ---------------------------------------------------------------------------------------------------------

// A thread's share, begun at `lane` of `lanes`, of members first … last - 1 of the result whose row 0 begins at x.
template <class Op, class T>
__device__ typename Op::part of_row(const kernel_reduce &r, bool vectors, const T *x, int64_t first, int64_t last,
                                    int lane, int lanes) {
  using V = vector<T>;
  const Op op{};
  typename Op::part lone = Op::nothing();
  if (vectors) {
    typename Op::part part[V::width];
#pragma unroll
    for (int k = 0; k < V::width; k++) part[k] = Op::nothing();
#pragma unroll 2
    for (int64_t i = first + int64_t(lane) * V::width; i < last; i += int64_t(lanes) * V::width) {
      const int64_t at = r.reduced.count ? place(r.reduced, quotient(i, r.length)) + rest(i, r.length) : i;
      const V v = *reinterpret_cast<const V *>(x + at);
#pragma unroll
      for (int k = 0; k < V::width; k++) part[k] = op(part[k], Op::one(value_of(v.v[k]), i + k));
    }
#pragma unroll
    for (int k = 0; k < V::width; k++) lone = op(lone, part[k]);
  } else {
    for (int64_t i = first + lane; i < last; i += lanes) {
      const int64_t at = r.reduced.count ? place(r.reduced, quotient(i, r.length)) + rest(i, r.length) : i;
      lone = op(lone, Op::one(value_of(x[at]), i));
    }
  }
  return lone;
}

template <class Op, class T>
__global__ void __launch_bounds__(block_size) by_warp(kernel_reduce r, bool vectors, const T *x, target to) {
  const int lane = threadIdx.x % 32, warps = block_size / 32;
  for (int64_t o = int64_t(blockIdx.x) * warps + threadIdx.x / 32; o < r.outputs; o += int64_t(gridDim.x) * warps) {
    const auto part = of_row<Op>(r, vectors, x + place(r.kept, o), 0, r.members, lane, 32);
    const auto all = reduce_warp(part, Op{});
    if (lane == 0) put<Op>(to, o, all);
  }
}

// `share` members a chunk.
template <class Op, class T>
__global__ void __launch_bounds__(block_size)
    by_block(kernel_reduce r, int64_t share, bool vectors, const T *x, target to) {
  for (int64_t b = blockIdx.x; b < r.outputs * r.chunks; b += gridDim.x) {
    const int64_t o = rest(b, r.outputs), first = quotient(b, r.outputs) * share;
    const int64_t last = lesser(first + share, r.members);
    const auto part = of_row<Op>(r, vectors, x + place(r.kept, o), first, last, threadIdx.x, block_size);
    const auto all = reduce_block<block_size>(part, Op::nothing(), Op{});
    if (threadIdx.x == 0) put<Op>(to, b, all);
  }
}

// ---- Columns ------------------------------------------------------------------------------------------------------

// A tile is `width` threads wide (a power of two), W results each, and 256 / width high; each row of threads takes every
// 256 / width-th member of a chunk.
template <class Op, class T, int W>
__global__ void __launch_bounds__(block_size)
    columns(kernel_reduce r, int64_t share, int width, int64_t tiles, int64_t blocks, const T *x, target to) {
  using part = typename Op::part;
  struct alignas(sizeof(T) * W) neighbours {
    T v[W];
  };
  SHARED(parts, part[block_size][W]);
  const Op op{};
  const int column = threadIdx.x % width, row = threadIdx.x / width, rows = block_size / width;
  for (int64_t b = blockIdx.x; b < blocks; b += gridDim.x) {
    const int64_t j = (rest(b, tiles) * width + column) * W, lines = quotient(r.outputs, r.length);
    const int64_t outer = rest(quotient(b, tiles), lines), chunk = quotient(quotient(b, tiles), lines);
    const int64_t first = chunk * share, last = lesser(first + share, r.members);
    part mine[W];
#pragma unroll
    for (int k = 0; k < W; k++) mine[k] = Op::nothing();
    if (j < r.length) {
      const T *from = x + place(r.kept, outer) + j;
#pragma unroll 4
      for (int64_t i = first + row; i < last; i += rows) {
        const neighbours v = *reinterpret_cast<const neighbours *>(from + place(r.reduced, i));
#pragma unroll
        for (int k = 0; k < W; k++) mine[k] = op(mine[k], Op::one(value_of(v.v[k]), i));
      }
    }
    __syncthreads(); // the last tile has been read
#pragma unroll
    for (int k = 0; k < W; k++) parts[threadIdx.x][k] = mine[k];
    for (int half = rows / 2; half > 0; half /= 2) {
      __syncthreads();
      if (row < half)
#pragma unroll
        for (int k = 0; k < W; k++)
          parts[threadIdx.x][k] = op(parts[threadIdx.x][k], parts[threadIdx.x + half * width][k]);
    }
    if (row == 0 && j < r.length)
#pragma unroll
      for (int k = 0; k < W; k++) put<Op>(to, chunk * r.outputs + outer * r.length + j + k, parts[threadIdx.x][k]);
  }
}

// ---- Gradients ----------------------------------------------------------------------------------------------------

struct origin {
  int64_t output, member;
};
__device__ __forceinline__ origin origin_of(const kernel_spread &s, int64_t i) {
  origin from = {0, 0};
  for (int k = 0; k < s.count; k++) {
    const int64_t at = k + 1 < s.count ? rest(i, s.dims[k]) : i;
    from.output += at * s.outputs[k];
    from.member += at * s.members[k];
    i = quotient(i, s.dims[k]);
  }
  return from;
}

// W elements at a time, which lie in one row of the innermost group.
template <class T, int W>
__global__ void __launch_bounds__(block_size) spread(kernel_spread s, const T *dy, const int32_t *indices, T *dx) {
  struct alignas(sizeof(T) * W) neighbours {
    T v[W];
  };
  for (int64_t i = first_of_grid() * W; i < s.n; i += size_of_grid() * W) {
    const origin from = origin_of(s, i);
    neighbours v;
#pragma unroll
    for (int k = 0; k < W; k++) {
      const int64_t output = from.output + k * s.outputs[0], member = from.member + k * s.members[0];
      const bool here = !indices || indices[output] == member;
      v.v[k] = here ? as<T>(to_f32(dy[output]) * s.factor) : as<T>(0);
    }
    *reinterpret_cast<neighbours *>(dx + i) = v;
  }
}

// ---- Launchers ----------------------------------------------------------------------------------------------------

int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t wanted_blocks = scaled(2048, 24);

bool short_rows(const kernel_reduce &r) { return r.rows && r.members <= warp_members && r.chunks == 1; }

int tile_width(int64_t columns) {
  int width = 1;
  while (width < row_width && width < columns) width *= 2;
  return width;
}

template <class Op, class T, int W>
int run_columns(const kernel_reduce &r, const T *x, const target &to, kernel_stream stream) {
  const int width = tile_width(r.length / W);
  const int64_t tiles = up(r.length, int64_t(width) * W), blocks = tiles * (r.outputs / r.length) * r.chunks;
  return LAUNCH((columns<Op, T, W>), grid_of(blocks), dim3(block_size), 0, stream, r, up(r.members, r.chunks), width,
                tiles, blocks, x, to);
}

template <class Op, class T> int run_stage(const kernel_reduce &r, const T *x, const target &to, kernel_stream stream) {
  constexpr int W = vector<T>::width;
  const bool vectors = on_vectors(x) && r.length % W == 0;
  if (short_rows(r))
    return LAUNCH((by_warp<Op, T>), grid_of(up(r.outputs, block_size / 32)), dim3(block_size), 0, stream, r, vectors, x,
                  to);
  if (r.rows)
    return LAUNCH((by_block<Op, T>), grid_of(r.outputs * r.chunks), dim3(block_size), 0, stream, r,
                  up(up(r.members, r.chunks), W) * W, vectors, x, to);
  return vectors ? run_columns<Op, T, W>(r, x, to, stream) : run_columns<Op, T, 1>(r, x, to, stream);
}

// The chunks' parts are columns, too.
template <class Op> int run_parts(const kernel_reduce &r, const void *parts, const target &to, kernel_stream stream) {
  kernel_reduce second = {};
  second.length = second.outputs = r.outputs, second.members = r.chunks, second.chunks = 1;
  second.reduced.count = 1, second.reduced.dims[0] = r.chunks, second.reduced.strides[0] = r.outputs;
  return run_columns<Op, typename Op::part, 1>(second, static_cast<const typename Op::part *>(parts), to, stream);
}

template <class Op>
int run(const kernel_reduce &r, const void *x, void *y, int32_t *indices, void *workspace, kernel_stream stream) {
  const target result = {y, nullptr, indices, r.divisor, r.type};
  target first = result;
  if (r.chunks > 1) first.parts = workspace;
  const int error = by_type(r.type, [&](auto element) {
    using T = decltype(element);
    return run_stage<Op>(r, static_cast<const T *>(x), first, stream);
  });
  return error || r.chunks == 1 ? error : run_parts<Op>(r, workspace, result, stream);
}

template <class T, int W>
int run_spread(const kernel_spread &s, const void *dy, const int32_t *indices, void *dx, kernel_stream stream) {
  return LAUNCH((spread<T, W>), blocks_for(up(s.n, W)), dim3(block_size), 0, stream, s, static_cast<const T *>(dy),
                indices, static_cast<T *>(dx));
}

} // namespace

size_t kernel_reduce_plan(kernel_reduce *r) {
  // Members that keep a block busy for long enough, and the blocks that there are without chunks.
  const int width = tile_width(r->length), rows = block_size / width;
  const int64_t worth = r->rows ? scaled(16, 1) * block_size : scaled(32, 2) * rows;
  const int64_t blocks = r->rows ? r->outputs : up(r->length, width) * (r->outputs / r->length);
  const int64_t chunks = up(wanted_blocks, blocks), most = r->members / worth;
  r->chunks = blocks >= wanted_blocks / 4 || most < 2 ? 1 : lesser(chunks, most);
  const size_t part = r->largest ? sizeof(placed) : sizeof(float);
  return r->chunks > 1 ? size_t(r->outputs) * size_t(r->chunks) * part : 0;
}

int kernel_reduce_forward(const kernel_reduce *r, const void *x, void *y, int32_t *indices, void *workspace,
                          kernel_stream stream) {
  return r->largest ? run<largest>(*r, x, y, indices, workspace, stream)
                    : run<sum>(*r, x, y, nullptr, workspace, stream);
}

int kernel_reduce_backward(const kernel_spread *s, const void *dy, const int32_t *indices, void *dx,
                           kernel_stream stream) {
  return by_type(s->type, [&](auto element) {
    using T = decltype(element);
    constexpr int W = vector<T>::width;
    return on_vectors(dx) && s->dims[0] % W == 0 ? run_spread<T, W>(*s, dy, indices, dx, stream)
                                                 : run_spread<T, 1>(*s, dy, indices, dx, stream);
  });
}
