// Slices by index, and their gradient: the indices are sorted, by radix, eight bits at a time and stably, so that what
// one slice of dx gets lies together; then pieces of that list are summed up, each by its own threads, and sums that
// reach over several pieces are joined. Every order is fixed.
//
//   kernel        good for    launch                           bytes an element          passes   bound by
//   pick          any size    256 threads, grid-stride         2 x size of type          1        memory
//   count_digits  any size    256 threads, 2048 indices        8 an index                1 - 4    memory
//   scan          any size    one block of 1024                8 x 256 for 2048 indices  1 - 4    latency
//   scatter       any size    256 threads, 2048 indices        16 an index               1 - 4    memory
//   sum_pieces    any size    256 threads, grid-stride, 64     size of dy                1        memory
//                             indices a thread
//   join          any size    256 threads, grid-stride         8 for 64 indices          1        latency
#include "gather.h"

#include "kit.h"

namespace {

__device__ __forceinline__ int64_t index_at(const void *indices, int size, int64_t j) {
  if (size == 8) return static_cast<const int64_t *>(indices)[j];
  if (size == 4) return static_cast<const int32_t *>(indices)[j];
  return static_cast<const uint8_t *>(indices)[j];
}

// ---- Forward ------------------------------------------------------------------------------------------------------

struct shape {
  int64_t size;
  divider inner, count; // inner: in units
  int index_size;
};

template <class T, int W> __global__ void pick(uint32_t n, shape s, const T *x, const void *indices, T *y) {
  using V = vector<T, W>;
  for (int64_t i = first_of_grid(); i < n; i += size_of_grid()) {
    uint32_t outer = uint32_t(i);
    const uint32_t k = s.inner.take(outer), j = s.count.take(outer);
    const int64_t at = index_at(indices, s.index_size, j);
    V v;
    if (at >= 0 && at < s.size) {
      v = reinterpret_cast<const V *>(x)[(outer * s.size + at) * s.inner.size + k];
    } else {
#pragma unroll
      for (int w = 0; w < W; w++) v.v[w] = as<T>(__int_as_float(0x7fc00000));
    }
    reinterpret_cast<V *>(y)[i] = v;
  }
}

// ---- Sorting ------------------------------------------------------------------------------------------------------

constexpr int digits = 256, warps = block_size / 32, strips = 8, tile = block_size * strips;

// The list of a pass: what place[i] names is key[i]; the first pass reads the indices. `none` is the key of what
// names nothing.
struct list {
  const void *indices;
  int index_size;
  int32_t none;
  int64_t padding;
  const int32_t *key, *place;

  __device__ __forceinline__ int32_t key_at(int64_t i) const {
    if (key) return key[i];
    const int64_t at = index_at(indices, index_size, i);
    return at >= 0 && at < none && at != padding ? int32_t(at) : none;
  }
};

// table: [digits, blocks]
__global__ void count_digits(int64_t count, list from, int shift, int32_t *table) {
  SHARED(bins, int32_t[digits]);
  bins[threadIdx.x] = 0;
  __syncthreads();
  for (int k = 0; k < strips; k++) {
    const int64_t i = int64_t(blockIdx.x) * tile + k * block_size + threadIdx.x;
    if (i < count) atomicAdd(&bins[from.key_at(i) >> shift & (digits - 1)], 1);
  }
  __syncthreads();
  table[threadIdx.x * gridDim.x + blockIdx.x] = bins[threadIdx.x];
}

// table[i] = the sum of what was before i; one block of 1024.
__global__ void scan(int64_t n, int32_t *table) {
  SHARED(sums, int32_t[2][1024]);
  const int64_t each = (n + 1023) / 1024, first = threadIdx.x * each, end = first + each < n ? first + each : n;
  int32_t sum = 0;
  for (int64_t i = first; i < end; i++) sum += table[i];
  sums[0][threadIdx.x] = sum;
  int now = 0;
  for (int step = 1; step < 1024; step *= 2, now ^= 1) {
    __syncthreads();
    const int32_t before = int(threadIdx.x) >= step ? sums[now][threadIdx.x - step] : 0;
    sums[now ^ 1][threadIdx.x] = sums[now][threadIdx.x] + before;
  }
  int32_t total = sums[now][threadIdx.x] - sum; // its own sum, which no other thread reads any more
  for (int64_t i = first; i < end; i++) {
    const int32_t here = table[i];
    table[i] = total;
    total += here;
  }
}

// Which lanes of the warp have this digit; of those that are not live, no one's.
__device__ __forceinline__ uint32_t lanes_with(int digit, bool live) {
  uint32_t same = __ballot_sync(0xffffffffu, live);
#pragma unroll
  for (int bit = 1; bit < digits; bit *= 2) {
    const uint32_t set = __ballot_sync(0xffffffffu, digit & bit);
    same &= digit & bit ? set : ~set;
  }
  return same;
}

// Moves a tile's part of the list to where its digits go; a warp has 256 neighbours, in their order.
__global__ void scatter(int64_t count, list from, int shift, const int32_t *table, int32_t *key, int32_t *place) {
  SHARED(next, int32_t[warps][digits]);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int32_t keys[strips], ranks[strips];
  for (int w = 0; w < warps; w++) next[w][threadIdx.x] = 0;
  __syncthreads();
#pragma unroll
  for (int k = 0; k < strips; k++) {
    const int64_t i = int64_t(blockIdx.x) * tile + (warp * strips + k) * 32 + lane;
    const bool live = i < count;
    keys[k] = live ? from.key_at(i) : 0;
    const int digit = keys[k] >> shift & (digits - 1);
    const uint32_t same = lanes_with(digit, live), before = same & ((1u << lane) - 1);
    ranks[k] = next[warp][digit] + __popc(before);
    __syncwarp();
    if (live && before == 0) next[warp][digit] += __popc(same);
    __syncwarp();
  }
  __syncthreads();
  int32_t to = table[threadIdx.x * gridDim.x + blockIdx.x];
  for (int w = 0; w < warps; w++) {
    const int32_t here = next[w][threadIdx.x];
    next[w][threadIdx.x] = to;
    to += here;
  }
  __syncthreads();
#pragma unroll
  for (int k = 0; k < strips; k++) {
    const int64_t i = int64_t(blockIdx.x) * tile + (warp * strips + k) * 32 + lane;
    if (i >= count) continue;
    const int32_t at = next[warp][keys[k] >> shift & (digits - 1)] + ranks[k];
    key[at] = keys[k];
    place[at] = from.key ? from.place[i] : int32_t(i);
  }
}

// ---- Sums ---------------------------------------------------------------------------------------------------------

constexpr int piece = 64; // places of the sorted list that a thread adds up

struct pieces {
  int64_t size, count, outer;
  divider inner, pieces; // inner: in units
  const int32_t *key, *place;
  float *open; // [2, outer, pieces, inner]: sums that go on to the left (or on both sides), and to the right

  __device__ __forceinline__ int64_t end(int64_t first) const { return first + piece < count ? first + piece : count; }
  __device__ __forceinline__ bool goes_on(int64_t at) const { return at > 0 && at < count && key[at] == key[at - 1]; }
};

template <class T, int W> __device__ __forceinline__ void put(T *to, int64_t unit, const float *sum) {
  vector<T, W> v;
#pragma unroll
  for (int w = 0; w < W; w++) v.v[w] = as<T>(sum[w]);
  reinterpret_cast<vector<T, W> *>(to)[unit] = v;
}

template <class T, int W> __global__ void sum_pieces(uint32_t n, pieces s, const T *dy, T *dx) {
  for (int64_t i = first_of_grid(); i < n; i += size_of_grid()) {
    uint32_t outer = uint32_t(i);
    const uint32_t k = s.inner.take(outer), p = s.pieces.take(outer);
    const int64_t first = int64_t(p) * piece, end = s.end(first);
    bool left = s.goes_on(first);
    float sum[W] = {};
    int32_t key = s.key[first];
    for (int64_t at = first; at < end && key < s.size; at++) {
      const vector<T, W> v =
          reinterpret_cast<const vector<T, W> *>(dy)[(outer * s.count + s.place[at]) * s.inner.size + k];
#pragma unroll
      for (int w = 0; w < W; w++) sum[w] += to_f32(v.v[w]);
      const int32_t next = at + 1 < s.count ? s.key[at + 1] : -1;
      const bool last = at + 1 == end;
      if (next == key && !last) continue;
      const bool right = next == key;
      if (left || right)
        put<float, W>(s.open, i + (left ? 0 : int64_t(n)), sum);
      else
        put<T, W>(dx, (outer * s.size + key) * s.inner.size + k, sum);
#pragma unroll
      for (int w = 0; w < W; w++) sum[w] = 0;
      left = false;
      key = next;
      if (last) break;
    }
  }
}

template <class T, int W> __global__ void join(uint32_t n, pieces s, T *dx) {
  for (int64_t i = first_of_grid(); i < n; i += size_of_grid()) {
    uint32_t outer = uint32_t(i);
    const uint32_t k = s.inner.take(outer);
    int64_t first = int64_t(s.pieces.take(outer)) * piece, end = s.end(first), at = i;
    const int32_t key = s.key[end - 1];
    if (key >= s.size || !s.goes_on(end)) continue;
    if (s.key[first] == key && s.goes_on(first)) continue; // it begins in a piece before this one
    vector<float, W> sum = reinterpret_cast<const vector<float, W> *>(s.open)[n + i];
    while (s.goes_on(end)) {
      at += s.inner.size;
      const vector<float, W> more = reinterpret_cast<const vector<float, W> *>(s.open)[at];
#pragma unroll
      for (int w = 0; w < W; w++) sum.v[w] += more.v[w];
      if (s.end(end) < s.count && s.key[s.end(end)] == key)
        end = s.end(end);
      else
        break;
    }
    put<T, W>(dx, (outer * s.size + key) * s.inner.size + k, sum.v);
  }
}

// ---- Workspace ----------------------------------------------------------------------------------------------------

int64_t quotient_up(int64_t n, int64_t to) { return (n + to - 1) / to; }

// [4, count] keys and places, twice; [digits, tiles]; open sums where there is more than one piece.
struct workspace {
  size_t list, table, open;

  explicit workspace(const kernel_gather &g)
      : list(size_t(quotient_up(g.count, 64)) * 64 * sizeof(int32_t)),
        table(size_t(digits * quotient_up(g.count, tile)) * sizeof(int32_t)),
        open(g.count > piece ? size_t(2 * g.outer * g.inner * quotient_up(g.count, piece)) * sizeof(float) : 0) {}
  size_t bytes() const { return 4 * list + table + open; }
};

template <class T, int W>
int sum_up(const kernel_gather &g, const pieces &s, const void *dy, void *dx, kernel_stream stream) {
  const int64_t n = g.outer * quotient_up(g.count, piece) * (g.inner / W);
  const int error = LAUNCH((sum_pieces<T, W>), blocks_for(n), dim3(block_size), 0, stream, uint32_t(n), s,
                           static_cast<const T *>(dy), static_cast<T *>(dx));
  if (error || g.count <= piece) return error;
  return LAUNCH((join<T, W>), blocks_for(n), dim3(block_size), 0, stream, uint32_t(n), s, static_cast<T *>(dx));
}

} // namespace

int kernel_gather_forward(const kernel_gather *g, const void *x, const void *indices, void *y, kernel_stream stream) {
  return by_type(g->type, [&](auto element) {
    using T = decltype(element);
    constexpr int width = vector<T>::width;
    const int many = on_vectors(x, y) && g->inner % width == 0 ? width : 1;
    const shape s = {g->size, divider(g->inner / many), divider(g->count), g->index_size};
    const int64_t n = g->outer * g->count * (g->inner / many);
    return LAUNCH((many == 1 ? pick<T, 1> : pick<T, width>), blocks_for(n), dim3(block_size), 0, stream, uint32_t(n), s,
                  static_cast<const T *>(x), indices, static_cast<T *>(y));
  });
}

int kernel_gather_backward(const kernel_gather *g, const void *indices, const void *dy, void *dx, void *workspace_,
                           kernel_stream stream) {
  const workspace room(*g);
  const auto at = [&](size_t bytes) { return static_cast<void *>(static_cast<char *>(workspace_) + bytes); };
  const unsigned tiles = unsigned(quotient_up(g->count, tile));
  int32_t *const table = static_cast<int32_t *>(at(4 * room.list));
  list from = {indices, g->index_size, int32_t(g->size), g->padding, nullptr, nullptr};
  int error = 0;
  for (int shift = 0, pass = 0; shift < 32 && g->size >> shift && !error; shift += 8, pass++) {
    int32_t *const key = static_cast<int32_t *>(at(size_t(pass % 2 * 2) * room.list));
    int32_t *const place = static_cast<int32_t *>(at(size_t(pass % 2 * 2 + 1) * room.list));
    error = LAUNCH(count_digits, dim3(tiles), dim3(block_size), 0, stream, g->count, from, shift, table);
    if (!error) error = LAUNCH(scan, dim3(1), dim3(1024), 0, stream, int64_t(digits) * tiles, table);
    if (!error)
      error = LAUNCH(scatter, dim3(tiles), dim3(block_size), 0, stream, g->count, from, shift, table, key, place);
    from.key = key, from.place = place;
  }
  if (error) return error;
  return by_type(g->type, [&](auto element) {
    using T = decltype(element);
    constexpr int width = vector<T>::width;
    const size_t bytes = size_t(g->outer * g->size * g->inner) * sizeof(T);
    const int many = on_vectors(dy, dx) && g->inner % width == 0 ? width : 1;
    const pieces s = {g->size,
                      g->count,
                      g->outer,
                      divider(g->inner / many),
                      divider(quotient_up(g->count, piece)),
                      from.key,
                      from.place,
                      static_cast<float *>(at(4 * room.list + room.table))};
    const int cleared = cudaMemsetAsync(dx, 0, bytes, stream); // what no index names
    if (cleared) return cleared;
    return many == 1 ? sum_up<T, 1>(*g, s, dy, dx, stream) : sum_up<T, width>(*g, s, dy, dx, stream);
  });
}

size_t kernel_gather_workspace(const kernel_gather *g) { return workspace(*g).bytes(); }
