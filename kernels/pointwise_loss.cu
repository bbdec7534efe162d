// Losses of one number against another, element by element.
//
//   kernel     good for   launch                                bytes an element in f32   passes   bound by
//   forward    any size   256 threads, up to 2048 blocks,       8 (12 with weights),      1        memory
//                         four elements at a time               4 more without reduction
//   backward   any size   256 threads, four elements at a time  12 (16; 4 more)           1        memory
#include "pointwise_loss.h"

#include "loss_kit.h"

namespace {

// ---- The losses and their slopes ------------------------------------------------------------------------------------

struct binary_cross_entropy {
  __device__ static float loss(float x, float t, float positive, bool) {
    const float soft = log1pf(expf(-fabsf(x))) + (x < 0 ? -x : 0);
    return (1 - t) * x + (1 + (positive - 1) * t) * soft;
  }
  __device__ static float slope(float x, float t, float positive, bool) {
    const float e = expf(-fabsf(x)), sigmoid = (x < 0 ? 1 : e) / (1 + e); // of -x
    return (1 - t) - (1 + (positive - 1) * t) * sigmoid;
  }
};
struct mse {
  __device__ static float loss(float x, float t, float, bool) { return (x - t) * (x - t); }
  __device__ static float slope(float x, float t, float, bool) { return 2 * (x - t); }
};
struct l1 {
  __device__ static float loss(float x, float t, float, bool) { return fabsf(x - t); }
  __device__ static float slope(float x, float t, float, bool) {
    const float d = x - t;
    return d > 0 ? 1 : d < 0 ? -1 : d;
  }
};
struct huber {
  __device__ static float loss(float x, float t, float delta, bool) {
    const float d = fabsf(x - t);
    return d > delta ? delta * (d - 0.5f * delta) : 0.5f * d * d;
  }
  __device__ static float slope(float x, float t, float delta, bool) {
    const float d = x - t;
    return d > delta ? delta : d < -delta ? -delta : d;
  }
};
struct binary_hinge {
  __device__ static float loss(float x, float t, float margin, bool square) {
    const float z = margin - t * x, h = z <= 0 ? 0 : z;
    return square ? h * h : h;
  }
  __device__ static float slope(float x, float t, float margin, bool square) {
    const float z = margin - t * x;
    return z <= 0 ? 0 : z > 0 ? (square ? -2 * t * z : -t) : z; // NaN stays NaN
  }
};

// ---- Kernels --------------------------------------------------------------------------------------------------------

// Elements by fours, and those behind them one by one.
struct fours {
  __device__ static four read(const kernel_array &a, int64_t i) { return get_four(a, i); }
  __device__ static void write(const kernel_array &a, int64_t i, const four &v) { put_four(a, i, v); }
  static constexpr int count = 4;
};
struct ones {
  __device__ static four read(const kernel_array &a, int64_t i) { return {{get(a, i), 0, 0, 0}}; }
  __device__ static void write(const kernel_array &a, int64_t i, const four &v) { put(a, i, v.v[0]); }
  static constexpr int count = 1;
};
// Calls f(i, fours or ones) for this thread's share of n elements, of which 4 quads go by fours.
template <class F> __device__ __forceinline__ void each_element(int64_t n, int64_t quads, F f) {
  for (int64_t i = first_of_grid(); i < quads; i += size_of_grid()) f(4 * i, fours{});
  for (int64_t i = 4 * quads + first_of_grid(); i < n; i += size_of_grid()) f(i, ones{});
}

template <class Loss>
__global__ void forward(kernel_pointwise_loss p, kernel_array y, int64_t quads, partial *partials) {
  double sum = 0;
  each_element(p.n, quads, [&](int64_t i, auto of) {
    four l = of.read(p.x, i);
    const four t = of.read(p.target, i), w = p.weights.data ? of.read(p.weights, i) : four{{1, 1, 1, 1}};
    float some = 0;
#pragma unroll
    for (int j = 0; j < of.count; j++) some += l.v[j] = w.v[j] * Loss::loss(l.v[j], t.v[j], p.a, p.power == 2);
    if (p.reduction == KERNEL_NONE)
      of.write(y, i, l);
    else
      sum += some;
  });
  const partial mine = {sum, first_of_grid() == 0 ? double(p.n) : 0};
  if (p.reduction != KERNEL_NONE) leave(mine, p.reduction == KERNEL_MEAN, y, partials);
}

template <class Loss>
__global__ void backward(kernel_pointwise_loss p, kernel_array dy, kernel_array dx, int64_t quads) {
  const bool none = p.reduction == KERNEL_NONE;
  const float one = none ? 0 : get(dy, 0), all = p.reduction == KERNEL_MEAN ? one / float(p.n) : one;
  each_element(p.n, quads, [&](int64_t i, auto of) {
    four s = of.read(p.x, i);
    const four t = of.read(p.target, i), w = p.weights.data ? of.read(p.weights, i) : four{{1, 1, 1, 1}};
    const four by = none ? of.read(dy, i) : four{{all, all, all, all}};
#pragma unroll
    for (int j = 0; j < of.count; j++) s.v[j] = w.v[j] * Loss::slope(s.v[j], t.v[j], p.a, p.power == 2) * by.v[j];
    of.write(dx, i, s);
  });
}

// ---- Launchers ------------------------------------------------------------------------------------------------------

// Calls f with the loss's struct.
template <class F> int by_name(kernel_pointwise_loss_name name, F f) {
  switch (name) {
#define X(name)                                                                                                        \
  case KERNEL_##name: return f(name{});
    KERNEL_POINTWISE_LOSSES(X)
#undef X
  }
  return cudaErrorInvalidValue;
}

// How many fours an array of n elements has: none where one of the arrays of that size doesn't lie on_quads.
int64_t quads_of(const kernel_pointwise_loss &loss, const kernel_array &y, const kernel_array &dx) {
  const bool all = on_quads(loss.x, loss.target, loss.weights, dx) && (loss.reduction != KERNEL_NONE || on_quads(y));
  return all ? loss.n / 4 : 0;
}

} // namespace

int kernel_pointwise_loss_forward(const kernel_pointwise_loss *loss, kernel_array y, void *workspace,
                                  kernel_stream stream) {
  return by_name(loss->name, [&](auto name) {
    using Loss = decltype(name);
    partial *partials = static_cast<partial *>(workspace);
    const int64_t quads = quads_of(*loss, y, {}), share = quads ? quads : loss->n;
    const unsigned blocks = grid_of((share + block_size - 1) / block_size, KERNEL_LOSS_BLOCKS).x;
    const int error = LAUNCH(forward<Loss>, dim3(blocks), dim3(block_size), 0, stream, *loss, y, quads, partials);
    if (loss->reduction == KERNEL_NONE) return error;
    return finish_loss(error, blocks, loss->reduction == KERNEL_MEAN, y, partials, stream);
  });
}

int kernel_pointwise_loss_backward(const kernel_pointwise_loss *loss, kernel_array dy, kernel_array dx,
                                   kernel_stream stream) {
  return by_name(loss->name, [&](auto name) {
    using Loss = decltype(name);
    const int64_t quads = quads_of(*loss, dy, dx), share = quads ? quads : loss->n;
    return LAUNCH(backward<Loss>, blocks_for(share), dim3(block_size), 0, stream, *loss, dy, dx, quads);
  });
}
