// A large dense tensor and a small one that repeats along some of its axes: where they meet, and sums over all that one
// element of the small one meets. For .cu files.
//
//   kernel        good for                               launch                        bytes an element    passes  bound by
//   sum_rows      elements that one meets lie in rows    a warp for each part of a     that of all inputs  1       memory
//                                                        sum
//   sum_columns   elements that neighbours meet lie      8 warps, the columns of one   that of all inputs  1       memory
//                 side by side                           side by side
//   sum_parts     sums that were cut into parts          a warp for each sum           4 x parts           1       latency
//
// How a sum is cut depends on shapes and on whether vectors may be loaded, so its bits do not change from run to run.
#pragma once

#include "kit.h"

// ---- Shapes -------------------------------------------------------------------------------------------------------

// Axes of the large tensor; neighbours are of different kinds.
struct broadcast {
  int rank = 0;
  int64_t dims[KERNEL_MAX_RANK] = {};
  bool repeats[KERNEL_MAX_RANK] = {}; // does the small one repeat along it?

  broadcast(int rank_, const int64_t *dims_, const bool *repeats_) {
    for (int d = 0; d < rank_; d++) {
      if (dims_[d] == 1) continue;
      if (rank > 0 && repeats[rank - 1] == repeats_[d])
        dims[rank - 1] *= dims_[d];
      else
        dims[rank] = dims_[d], repeats[rank++] = repeats_[d];
    }
    if (rank == 0) dims[rank++] = 1;
  }
  int64_t count(bool repeated) const {
    int64_t n = 1;
    for (int d = 0; d < rank; d++)
      if (repeats[d] == repeated) n *= dims[d];
    return n;
  }
};

// Some axes, and how far apart their elements lie in a tensor.
struct places {
  int rank = 0, zero = 0; // no padding: records of launches have what is in here
  divider size[KERNEL_MAX_RANK];
  int64_t stride[KERNEL_MAX_RANK] = {};

  void put(int64_t size_, int64_t stride_) {
    if (rank > 0) size[rank] = divider(size_); // the first one's isn't needed
    stride[rank++] = stride_;
  }
  // Of index i, which is below 2^31 where there is more than one axis.
  __device__ __forceinline__ int64_t operator()(int64_t i) const {
    if (rank <= 1) return rank ? i * stride[0] : 0;
    uint32_t rest = uint32_t(i);
    int64_t at = 0;
#pragma unroll 1
    for (int d = rank - 1; d > 0; d--) at += int64_t(size[d].take(rest)) * stride[d];
    return at + int64_t(rest) * stride[0];
  }
};

// Where the large tensor's elements, taken `many` at a time along the last axis, meet the small one.
inline places meetings(const broadcast &s, int many) {
  places at;
  int64_t stride[KERNEL_MAX_RANK], next = 1;
  for (int d = s.rank - 1; d >= 0; d--) {
    stride[d] = s.repeats[d] ? 0 : next;
    if (!s.repeats[d]) next *= s.dims[d];
  }
  for (int d = 0; d < s.rank; d++) {
    const int unit = d == s.rank - 1 ? many : 1;
    at.put(s.dims[d] / unit, stride[d] * unit);
  }
  return at;
}

// Where the elements of the axes of one kind lie in the large tensor, taken `many` at a time along its last axis.
inline places members(const broadcast &s, bool repeated, int many) {
  places at;
  int64_t stride[KERNEL_MAX_RANK], next = 1;
  for (int d = s.rank - 1; d >= 0; d--) stride[d] = next, next *= s.dims[d];
  for (int d = 0; d < s.rank; d++) {
    const int unit = d == s.rank - 1 ? many : 1;
    if (s.repeats[d] == repeated) at.put(s.dims[d] / unit, stride[d] * unit);
  }
  return at;
}

// ---- Sums ---------------------------------------------------------------------------------------------------------

// Sum number o of `outputs`, of `units` of terms, cut into `parts` of up to `each` units.
struct sums {
  int64_t outputs, units, each;
  int parts;
  int width;   // terms of a unit, or, for columns, outputs that a thread has
  int columns; // sum_columns, not sum_rows
  int zero;    // see places
  places output, unit;
};

inline sums plan_sums(const broadcast &s, bool aligned, int width) {
  const int64_t last = s.dims[s.rank - 1];
  const bool rows = s.repeats[s.rank - 1];
  sums plan = {};
  plan.outputs = s.count(false), plan.units = s.count(true);
  plan.columns = !rows && last >= 8;
  const bool vectors = aligned && last % width == 0 && (rows || last >= 32 * width);
  plan.width = vectors ? width : 1;
  plan.output = members(s, false, plan.columns ? plan.width : 1);
  plan.unit = members(s, true, plan.columns ? 1 : plan.width);
  if (!plan.columns) plan.units /= plan.width;
  const int64_t at_once = plan.columns ? (plan.outputs / plan.width + 31) / 32 : plan.outputs;
  const int64_t wanted = (plan.columns ? 1024 : 8192) / at_once, most = plan.units / (plan.columns ? 64 : 256);
  const int64_t parts = lesser(wanted, most);
  plan.each = parts > 1 ? (plan.units + parts - 1) / parts : plan.units;
  plan.parts = int((plan.units + plan.each - 1) / plan.each);
  return plan;
}

// Bytes of workspace.
inline size_t sums_workspace(const broadcast &s, bool aligned, int width) {
  const sums plan = plan_sums(s, aligned, width);
  return plan.parts > 1 ? size_t(plan.outputs) * size_t(plan.parts) * sizeof(float) : 0;
}

// Adds F::term(a, c) of the W elements from `at` on to sums `step` apart; c is NULL where F::two is false.
template <class F, class T, int W>
__device__ __forceinline__ void add_terms(const T *a, const T *c, int64_t at, float *sum, int step) {
  using V = vector<T, W>;
  const V va = *reinterpret_cast<const V *>(a + at);
  const V vc = F::two ? *reinterpret_cast<const V *>(c + at) : va;
#pragma unroll
  for (int k = 0; k < W; k++) sum[k * step] += F::term(to_f32(va.v[k]), to_f32(vc.v[k]));
}

template <class T>
__device__ __forceinline__ void put_sum(const sums &s, int64_t o, int part, float sum, float *parts, T *y) {
  if (s.parts > 1)
    parts[o * s.parts + part] = sum;
  else
    y[o] = as<T>(sum);
}

template <class F, class T, int W> __global__ void sum_rows(sums s, const T *a, const T *c, float *parts, T *y) {
  const int64_t job = first_of_grid() / 32, o = job / s.parts;
  if (o >= s.outputs) return;
  const int part = int(job % s.parts), lane = threadIdx.x % 32;
  const int64_t base = s.output(o), first = part * s.each, end = first + s.each < s.units ? first + s.each : s.units;
  float sum = 0;
#pragma unroll 4
  for (int64_t i = first + lane; i < end; i += 32) add_terms<F, T, W>(a, c, base + s.unit(i), &sum, 0);
  sum = reduce_warp(sum, add{});
  if (lane == 0) put_sum(s, o, part, sum, parts, y);
}

template <class F, class T, int W> __global__ void sum_columns(sums s, const T *a, const T *c, float *parts, T *y) {
  constexpr int warps = block_size / 32;
  SHARED(of_warp, float[warps][32 * W]);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, part = int(blockIdx.y);
  const int64_t column = int64_t(blockIdx.x) * 32 + lane;
  const int64_t first = part * s.each, end = first + s.each < s.units ? first + s.each : s.units;
  float sum[W] = {};
  if (column * W < s.outputs) {
    const int64_t base = s.output(column);
#pragma unroll 4
    for (int64_t i = first + warp; i < end; i += warps) add_terms<F, T, W>(a, c, base + s.unit(i), sum, 1);
  }
#pragma unroll
  for (int k = 0; k < W; k++) of_warp[warp][lane * W + k] = sum[k];
  __syncthreads();
  for (int k = threadIdx.x; k < 32 * W; k += block_size) {
    const int64_t o = int64_t(blockIdx.x) * 32 * W + k;
    float total = 0;
#pragma unroll
    for (int w = 0; w < warps; w++) total += of_warp[w][k];
    if (o < s.outputs) put_sum(s, o, part, total, parts, y);
  }
}

template <class T> __global__ void sum_parts(int64_t outputs, int parts, const float *from, T *y) {
  const int64_t o = first_of_grid() / 32;
  if (o >= outputs) return;
  float sum = 0;
  for (int i = threadIdx.x % 32; i < parts; i += 32) sum += from[o * parts + i];
  sum = reduce_warp(sum, add{});
  if (threadIdx.x % 32 == 0) y[o] = as<T>(sum);
}

inline dim3 blocks_for_warps(int64_t warps) {
  return dim3(unsigned((warps + block_size / 32 - 1) / (block_size / 32)));
}

template <class F, class T, int W>
int launch_sums(const sums &plan, const T *a, const T *c, float *parts, T *y, kernel_stream stream) {
  if (!plan.columns)
    return LAUNCH((sum_rows<F, T, W>), blocks_for_warps(plan.outputs * plan.parts), dim3(block_size), 0, stream, plan,
                  a, c, parts, y);
  const dim3 grid(unsigned((plan.outputs / W + 31) / 32), unsigned(plan.parts));
  return LAUNCH((sum_columns<F, T, W>), grid, dim3(block_size), 0, stream, plan, a, c, parts, y);
}

// y[o] = the sum of F::term(a[i], c[i]) over all i that it meets. `aligned`: may vectors be loaded? The workspace is as
// sums_workspace says; the large tensor has less than 2^31 elements, or the small one has one.
template <class F, class T>
int sum_meetings(const broadcast &s, bool aligned, const T *a, const T *c, T *y, void *workspace,
                 kernel_stream stream) {
  constexpr int width = vector<T>::width;
  const sums plan = plan_sums(s, aligned, width);
  float *const parts = static_cast<float *>(workspace);
  const int error = plan.width == 1 ? launch_sums<F, T, 1>(plan, a, c, parts, y, stream)
                                    : launch_sums<F, T, width>(plan, a, c, parts, y, stream);
  if (error || plan.parts == 1) return error;
  return LAUNCH(sum_parts<T>, blocks_for_warps(plan.outputs), dim3(block_size), 0, stream, plan.outputs, plan.parts,
                parts, y);
}
