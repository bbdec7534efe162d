// Moving by the indices that pools save, plane by plane.
//
//   kernel    good for                                launch                            bytes       passes   bound by
//   scatter   gradients of pools, unpooling           a block a plane, or part of one   y + i + x   1        memory
//             with a gate, of max pools behind a ReLU                                   2y + i + x
//   gather    unpooling's gradient                    a thread an element of y          i + 2 y     1        memory
//
// scatter adds nothing atomically in floating point, so its sums have one order, that of o. Where every index lies in its
// own window an element of dx looks at the windows that cover it, by pairs of elements where these go in steps of two
// (LeNet, AlexNet). A block looks at all indices of its plane first, whether that holds; of planes of many windows that is
// found out once, before. Where it doesn't hold, and where there are no windows, elements are claimed: in each round the
// smallest o that is left of those with the same index wins (integers whose minimum has no order), and rounds go on while
// one was left. Mostly that is one round.
#include "pool.h"

#include "pool_windows.h"

namespace {

enum { most_scanned = scaled(8192, 200) }; // indices that each block of a plane looks at
enum { none = 0x7fffffff };

struct parts {
  int planes, count, size; // of planes; parts of a plane; elements of a part
  int room;                // elements that are claimed at a time
  divider by_pairs;        // pairs of rows, where a block has whole planes of which scatter_pairs is good; else 1
};

// What is handed to dx.
template <class T> struct source {
  const T *dy, *gate; // gate: NULL for none

  __device__ source of(int64_t plane) const { return {dy + plane, gate ? gate + plane : nullptr}; }
  __device__ float operator[](int o) const { return gate && !(to_f32(gate[o]) > 0) ? 0 : to_f32(dy[o]); }
};

// What is claimed, in shared memory.
struct claims {
  int *owner, *last; // the o that wins this round; the o that won last
  float *sum;
};

// Sums for elements base … base + n - 1 of the plane, of the dy at them.
template <class T>
__device__ void claim(const claims &c, int y_plane, source<T> dy, const int32_t *indices, int base, int n) {
  for (int t = threadIdx.x; t < n; t += blockDim.x) c.owner[t] = none, c.last[t] = -1, c.sum[t] = 0;
  __syncthreads();
  for (bool more = true; more;) {
    bool left = false;
    for (int o = threadIdx.x; o < y_plane; o += blockDim.x) {
      const uint32_t t = uint32_t(indices[o]) - uint32_t(base);
      if (t < uint32_t(n) && o > c.last[t] && atomicMin(&c.owner[t], o) != none) left = true;
    }
    more = __syncthreads_or(left);
    for (int t = threadIdx.x; t < n; t += blockDim.x)
      if (c.owner[t] != none) c.sum[t] += dy[c.owner[t]], c.last[t] = c.owner[t], c.owner[t] = none;
    __syncthreads();
  }
}

// Where windows of two or three rows and columns go in steps of two: two elements of dx, one below the other, of a whole
// plane. They see the same windows, of which there are at most two along each axis.
template <class T>
__device__ void scatter_pairs(const pool_windows &w, const divider &by_pairs, source<T> dy, const int32_t *indices,
                              T *dx) {
  const int n = w.x[0] * int(by_pairs.size) * w.x[2];
  for (int t = threadIdx.x; t < n; t += blockDim.x) {
    uint32_t left = uint32_t(t);
    const int c = int(w.by_x[2].take(left)), pair = int(by_pairs.take(left)), d = int(left);
    const int row = 2 * pair - w.pad[1], i = w.index_x(d, row, c), column = (c + w.pad[2]) / 2;
    const bool both = w.kernel[2] == 3 && (c + w.pad[2]) % 2 == 0; // windows along the columns
    float upper = 0, lower = 0;
#pragma unroll
    for (int a = 1; a >= 0; a--)
#pragma unroll
      for (int b = 1; b >= 0; b--) {
        const int h = pair - a, v = column - b;
        if ((a && w.kernel[1] < 3) || (b && !both) || h < 0 || h >= w.y[1] || v < 0 || v >= w.y[2]) continue;
        const int o = w.index_y(d, h, v), at = indices[o];
        const float value = dy[o];
        upper += at == i ? value : 0, lower += at == i + w.x[2] ? value : 0;
      }
    if (row >= 0 && row < w.x[1]) dx[i] = as<T>(upper);
    if (row + 1 >= 0 && row + 1 < w.x[1]) dx[i + w.x[2]] = as<T>(lower);
  }
}

// stray: for each plane, is an index outside its window? NULL: blocks find out. AVERAGE: the gradient of a mixture.
template <class T, bool WINDOWS, bool AVERAGE>
__global__ void scatter(pool_windows w, parts parts, float share, const uint32_t *stray, source<T> dy,
                        const int32_t *indices, T *dx) {
  DYN_SHARED(int, shared);
  const claims c{shared, shared + parts.room, reinterpret_cast<float *>(shared + 2 * parts.room)};
  for (int64_t part = blockIdx.x; part < int64_t(parts.planes) * parts.count; part += gridDim.x) {
    const int plane = int(part / parts.count), begin = int(part % parts.count) * parts.size;
    const int end = w.x_plane - begin > parts.size ? begin + parts.size : w.x_plane;
    const source<T> from = dy.of(w.plane_of_y(plane));
    const int32_t *at = indices + w.plane_of_y(plane);
    T *to = dx + w.plane_of_x(plane);
    bool look = WINDOWS; // at the windows that cover an element
    if (WINDOWS && stray) look = stray[plane] == 0;
    if (WINDOWS && !stray) {
      bool strays = false;
      for (int o = threadIdx.x; o < w.y_plane; o += blockDim.x) strays |= !w.expects(w.of_y(uint32_t(o)).at, at[o]);
      look = !__syncthreads_or(strays);
    }
    if (!AVERAGE && look && parts.by_pairs.size > 1) {
      scatter_pairs(w, parts.by_pairs, from, at, to);
      continue;
    }
    for (int base = begin, n; base < end; base += n) {
      n = look || end - base < parts.room ? end - base : parts.room;
      if (!look) claim(c, w.y_plane, from, at, base, n);
      for (int t = threadIdx.x; t < n; t += blockDim.x) {
        const int i = base + t;
        float sum = look ? 0 : c.sum[t], average = 0;
        if (look || AVERAGE) {
          const pool_range r = w.over(w.of_x(uint32_t(i)).at);
          for (int d = r.begin[0]; d < r.end[0]; d++)
            for (int h = r.begin[1]; h < r.end[1]; h++)
              for (int v = r.begin[2]; v < r.end[2]; v++) {
                const int o = w.index_y(d, h, v);
                if (AVERAGE) average += from[o] / w.count({d, h, v});
                if (look && at[o] == i) sum += from[o];
              }
        }
        to[i] = as<T>(AVERAGE ? share * sum + (1 - share) * average : sum);
      }
    }
  }
}

__global__ void clear(int planes, uint32_t *stray) {
  for (int64_t p = first_of_grid(); p < planes; p += size_of_grid()) stray[p] = 0;
}

__global__ void find_strays(pool_windows w, const int32_t *indices, uint32_t *stray) {
  for (uint32_t o = uint32_t(first_of_grid()); o < w.y_count; o += uint32_t(size_of_grid())) {
    const pool_place place = w.of_y(o);
    if (!w.expects(place.at, indices[o])) atomicOr(&stray[place.plane], 1u);
  }
}

template <class T> __global__ void gather(pool_windows w, const T *from, const int32_t *indices, T *to) {
  for (uint32_t o = uint32_t(first_of_grid()); o < w.y_count; o += uint32_t(size_of_grid())) {
    const int i = indices[o];
    const bool in = uint32_t(i) < uint32_t(w.x_plane);
    to[o] = in ? from[w.plane_of_x(int(w.by_y[0].quotient(o))) + i] : as<T>(0);
  }
}

// ---- Launchers ----------------------------------------------------------------------------------------------------

bool has_many(const pool_windows &w) { return w.y_plane > most_scanned; }

int round_up(int n, int to) { return (n + to - 1) / to * to; }

// Are windows of 1 x 2 x 2 to 1 x 3 x 3 elements, side by side along the first axis, two apart along the others?
bool goes_by_two(const pool_windows &w) {
  bool two = w.kernel[0] == 1 && w.x[0] == w.y[0];
  for (int a = 1; a < 3; a++)
    two = two && w.stride[a] == 2 && w.dilation[a] == 1 && (w.kernel[a] == 2 || w.kernel[a] == 3);
  return two;
}

// A block a plane where there are many planes, and several where there are few. A block that has to look at all indices
// of the plane should write much.
parts parts_of(const pool_windows &w, int planes, bool windows) {
  const int wanted = 528; // a few for each multiprocessor
  parts p{planes, 1, w.x_plane, windows ? 1024 : 4096, divider(1)};
  int size = w.x_plane / (1 + wanted / planes);
  if (has_many(w) && windows) size = 4096;
  if (size < 1024) size = 1024;
  if (size < w.x_plane) p.size = round_up(size, 32), p.count = (w.x_plane - 1) / p.size + 1;
  if (p.room > p.size) p.room = round_up(p.size, 32);
  if (windows && p.count == 1 && goes_by_two(w)) p.by_pairs = divider((w.x[1] + w.pad[1] + 1) / 2);
  return p;
}

template <bool WINDOWS, bool AVERAGE>
int launch_scatter(const kernel_pool &p, const void *gate, const void *dy, const int32_t *indices, void *dx,
                   uint32_t *stray, cudaStream_t stream) {
  const pool_windows w(p);
  const parts parts = parts_of(w, p.planes, WINDOWS);
  const int64_t blocks = int64_t(p.planes) * parts.count;
  const int threads = parts.size >= 1024 ? 256 : parts.size >= 256 ? 128 : 64;
  if (!WINDOWS || !has_many(w)) stray = nullptr;
  if (stray) {
    int error = LAUNCH(clear, blocks_for(p.planes), dim3(block_size), 0, stream, p.planes, stray);
    if (!error) error = LAUNCH(find_strays, blocks_for(w.y_count), dim3(block_size), 0, stream, w, indices, stray);
    if (error) return error;
  }
  return by_type(p.type, [&](auto element) {
    using T = decltype(element);
    return LAUNCH((scatter<T, WINDOWS, AVERAGE>), grid_of(blocks), dim3(unsigned(threads)), size_t(parts.room) * 12,
                  stream, w, parts, p.share, stray, source<T>{static_cast<const T *>(dy), static_cast<const T *>(gate)},
                  indices, static_cast<T *>(dx));
  });
}

} // namespace

size_t kernel_pool_scatter_workspace(const kernel_pool *p) {
  return has_many(pool_windows(*p)) ? size_t(p->planes) * sizeof(uint32_t) : 0;
}

int kernel_pool_scatter(const kernel_pool *p, bool windows, const void *gate, const void *dy, const int32_t *indices,
                        void *dx, uint32_t *workspace, kernel_stream stream) {
  return windows ? launch_scatter<true, false>(*p, gate, dy, indices, dx, workspace, stream)
                 : launch_scatter<false, false>(*p, gate, dy, indices, dx, workspace, stream);
}

int kernel_pool_mixed_backward(const kernel_pool *p, const void *dy, const int32_t *indices, void *dx,
                               uint32_t *workspace, kernel_stream stream) {
  return launch_scatter<true, true>(*p, nullptr, dy, indices, dx, workspace, stream);
}

int kernel_pool_gather(const kernel_pool *p, const void *from, const int32_t *indices, void *to, kernel_stream stream) {
  const pool_windows w(*p);
  return by_type(p->type, [&](auto element) {
    using T = decltype(element);
    return LAUNCH((gather<T>), blocks_for(w.y_count), dim3(block_size), 0, stream, w, static_cast<const T *>(from),
                  indices, static_cast<T *>(to));
  });
}
