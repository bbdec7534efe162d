// Norms and clipping.
//
//   kernel       good for   launch                                               bytes an element   passes   bound by
//   add_squares  any size   256 threads, up to 1024 blocks, four at a time       size of type       1        memory
//   close_norm   any size   256 threads of one block, where there were several   8 a block          1        latency
//   clip_norm    any size   256 threads, four elements at a time                 2 x size of type   1        memory
//   clip_value   any size   256 threads, four elements at a time                 2 x size of type   1        memory
//
// Squares are exact in f64 and added up there, in an order that only the size decides. The norm and the gate are read from device
// memory, so that a captured graph stays valid.
#include "clip.h"

#include "array_kit.h"

namespace {

static_assert(sizeof(double) * KERNEL_NORM2_BLOCKS == KERNEL_NORM2_WORKSPACE, "the launcher's caller makes room");

// Calls f(i, count) for all elements of this thread: i … i + 3 at once where `quads` allows it, else one by one.
template <class F> __device__ __forceinline__ void each_four(int64_t n, bool quads, F f) {
  const int64_t fours = quads ? n / 4 : 0;
  for (int64_t i = first_of_grid(); i < fours; i += size_of_grid()) f(4 * i, 4);
  for (int64_t i = 4 * fours + first_of_grid(); i < n; i += size_of_grid()) f(i, 1);
}

__global__ void add_squares(int64_t n, kernel_array x, bool quads, kernel_array y, double *partials) {
  double sum = 0;
  each_four(n, quads, [&](int64_t i, int count) {
    const four v = count == 4 ? get_four(x, i) : four{{get(x, i), 0, 0, 0}};
#pragma unroll
    for (int j = 0; j < 4; j++) sum += double(v.v[j]) * double(v.v[j]);
  });
  sum = reduce_block<block_size>(sum, 0.0, add{});
  if (threadIdx.x != 0) return;
  if (gridDim.x > 1)
    partials[blockIdx.x] = sum;
  else
    put(y, 0, float(sqrt(sum)));
}

__global__ void close_norm(unsigned count, const double *partials, kernel_array y) {
  double sum = 0;
  for (unsigned i = threadIdx.x; i < count; i += blockDim.x) sum += partials[i];
  sum = reduce_block<block_size>(sum, 0.0, add{});
  if (threadIdx.x == 0) put(y, 0, float(sqrt(sum)));
}

// y = f(x), element by element.
template <class F> __device__ __forceinline__ void each_element(const kernel_clip &p, bool quads, F f) {
  each_four(p.n, quads, [&](int64_t i, int count) {
    if (count == 4) {
      four v = get_four(p.x, i);
#pragma unroll
      for (int j = 0; j < 4; j++) v.v[j] = f(v.v[j]);
      put_four(p.y, i, v);
    } else {
      put(p.y, i, f(get(p.x, i)));
    }
  });
}

__global__ void clip_norm(kernel_clip p, bool quads) {
  const double wanted = p.most / (double(get(p.norm, 0)) + 1e-6);
  const bool shut = p.gate.data && !isfinite(get(p.gate, 0));
  const double factor = shut || wanted >= 1 ? 1 : wanted; // NaN stays one
  each_element(p, quads, [&](float x) { return float(double(x) * factor); });
}

__global__ void clip_value(kernel_clip p, bool quads) {
  const float limit = float(p.most);
  each_element(p, quads, [&](float x) { return x > limit ? limit : x < -limit ? -limit : x; });
}

} // namespace

int kernel_norm2(int64_t n, kernel_array x, kernel_array y, void *workspace, kernel_stream stream) {
  double *partials = static_cast<double *>(workspace);
  const unsigned blocks = grid_of((n + 4 * block_size - 1) / (4 * block_size), KERNEL_NORM2_BLOCKS).x;
  const int error = LAUNCH(add_squares, dim3(blocks), dim3(block_size), 0, stream, n, x, on_quads(x), y, partials);
  if (error || blocks == 1) return error;
  return LAUNCH(close_norm, dim3(1), dim3(block_size), 0, stream, blocks, partials, y);
}

int kernel_clip_norm(const kernel_clip *clip, kernel_stream stream) {
  return LAUNCH(clip_norm, blocks_for(clip->n, 4 * block_size), dim3(block_size), 0, stream, *clip,
                on_quads(clip->x, clip->y));
}

int kernel_clip_value(const kernel_clip *clip, kernel_stream stream) {
  return LAUNCH(clip_value, blocks_for(clip->n, 4 * block_size), dim3(block_size), 0, stream, *clip,
                on_quads(clip->x, clip->y));
}
