// Optimizers: a step over all parameters at once, whatever segments they fall into.
//
//   kernel        good for   launch                                     bytes a parameter in f32    passes   bound by
//   sgd_update    any size   256 threads, four parameters at a time     12, with momentum 20        1        memory
//   adam_update   any size   256 threads, four parameters at a time     28                          1        memory
//
// A narrow copy of w adds what its type takes, 2 in bf16; of a gradient in bf16 2 are read, not 4.
// The rate and the step's number are read from device memory, so that a captured graph stays valid. The ends of the
// segments lie in shared memory, where each thread looks up those that its parameters lie in.
#include "optimizer.h"

#include "array_kit.h"

namespace {

constexpr int most_shared = scaled(512, 5); // segments; more of them stay in global memory

// Where a thread is among the segments: from parameter i on, which only grows, up to end - 1 they have one decay.
struct place {
  int64_t end = 0;
  double decay = 0;
};

// The first segment that ends behind parameter i.
__device__ inline place look_up(const kernel_segments &segments, const int64_t *ends, int64_t n, int64_t i) {
  int64_t low = 0, high = segments.count;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (i < ends[middle])
      high = middle;
    else
      low = middle + 1;
  }
  place to;
  to.end = low < segments.count ? ends[low] : n;
  to.decay = low < segments.count ? get_real(segments.decay, low) : 0;
  return to;
}

// Are parameters updated? The narrow copy is written in any case.
__device__ __forceinline__ bool is_open(const kernel_array &gate) { return !gate.data || isfinite(get_real(gate, 0)); }

// Calls f(i, count, decay) for parameters i … i + count - 1, for all parameters of this thread: count is 4, with i a
// multiple of 4, where they lie in one segment and `quads` allows it, else 1.
template <class F>
__device__ __forceinline__ void each_parameter(const kernel_segments &segments, int64_t n, bool quads, F f) {
  SHARED(shared_ends, int64_t[most_shared]);
  const bool cut = segments.ends && segments.decay.data, shared = cut && segments.count <= most_shared;
  if (shared)
    for (int s = int(threadIdx.x); s < segments.count; s += int(blockDim.x)) shared_ends[s] = segments.ends[s];
  __syncthreads();
  const int64_t *ends = shared ? shared_ends : segments.ends;
  place at;
  at.end = cut ? 0 : n;
  at.decay = !cut && segments.decay.data ? get_real(segments.decay, 0) : 0;
  for (int64_t i0 = 4 * first_of_grid(); i0 < n; i0 += 4 * size_of_grid()) {
    const int64_t last = i0 + 4 < n ? i0 + 4 : n;
    for (int64_t i = i0; i < last;) {
      if (i >= at.end) at = look_up(segments, ends, n, i);
      const bool all = quads && i == i0 && lesser(n, at.end) / 4 > i0 / 4;
      f(i, all ? 4 : 1, at.decay);
      i += all ? 4 : 1;
    }
  }
}

// `count`, 4 or 1, elements from i on; the rest are 0.
__device__ __forceinline__ four read(const kernel_array &a, int64_t i, int count) {
  if (count == 4) return get_four(a, i);
  return {{get(a, i), 0, 0, 0}};
}
__device__ __forceinline__ void write(const kernel_array &a, int64_t i, int count, const four &value) {
  if (count == 4)
    put_four(a, i, value);
  else
    put(a, i, value.v[0]);
}

__global__ void sgd_update(kernel_sgd p, bool quads) {
  const float rate = float(get_real(p.rate, 0));
  const bool moves = p.momentum != 0; // without, the old m is not read, and Nesterov's step is the plain one
  const bool open = is_open(p.gate);
  each_parameter(p.segments, open || p.shadow.data ? p.n : 0, quads, [&](int64_t i, int count, double decay) {
    four w = read(p.w, i, count);
    if (open) {
      four m = moves ? read(p.m, i, count) : four{};
      const four g = read(p.g, i, count);
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const float decayed = g.v[j] + float(decay) * w.v[j];
        m.v[j] = moves ? p.momentum * m.v[j] + decayed : decayed;
        w.v[j] -= rate * (moves && p.nesterov ? decayed + p.momentum * m.v[j] : m.v[j]);
      }
      write(p.w, i, count, w);
      if (p.m.data) write(p.m, i, count, m);
    }
    if (p.shadow.data) write(p.shadow, i, count, w);
  });
}

__global__ void adam_update(kernel_adam p, bool quads) {
  const double rate = get_real(p.rate, 0);
  const float step = float(*p.step);
  const float moved = float(rate) / -expm1f(step * p.log1); // 1 - beta^step without its cancellation
  const float scale = 1 / sqrtf(-expm1f(step * p.log2));
  const bool open = is_open(p.gate);
  each_parameter(p.segments, open || p.shadow.data ? p.n : 0, quads, [&](int64_t i, int count, double decay) {
    four w = read(p.w, i, count);
    if (open) {
      four m = read(p.m, i, count), v = read(p.v, i, count);
      const four g = read(p.g, i, count);
      const float added = p.decoupled ? 0 : float(decay), shrink = p.decoupled ? float(1 - rate * decay) : 1;
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const float decayed = g.v[j] + added * w.v[j];
        m.v[j] = p.beta1 * m.v[j] + p.rest1 * decayed;
        v.v[j] = p.beta2 * v.v[j] + p.rest2 * decayed * decayed;
        w.v[j] = shrink * w.v[j] - moved * m.v[j] / (sqrtf(v.v[j]) * scale + p.epsilon);
      }
      write(p.w, i, count, w);
      write(p.m, i, count, m);
      write(p.v, i, count, v);
    }
    if (p.shadow.data) write(p.shadow, i, count, w);
  });
}

} // namespace

int kernel_sgd_update(const kernel_sgd *sgd, kernel_stream stream) {
  return LAUNCH(sgd_update, blocks_for(sgd->n, 4 * block_size), dim3(block_size), 0, stream, *sgd,
                on_quads(sgd->w, sgd->g, sgd->m, sgd->shadow));
}

int kernel_adam_update(const kernel_adam *adam, kernel_stream stream) {
  return LAUNCH(adam_update, blocks_for(adam->n, 4 * block_size), dim3(block_size), 0, stream, *adam,
                on_quads(adam->w, adam->g, adam->m, adam->v, adam->shadow));
}
