// Activations, element by element.
//
//   kernel     good for   launch                      bytes an element     passes   bound by
//   forward    any size   256 threads, grid-stride    2 x size of type     1        memory
//   backward   any size   256 threads, grid-stride    3 x size of type     1        memory
//
// Both go by 16-byte vectors where all addresses allow it, and element by element at the end and otherwise.
// Infinities would meet 0 where a tail is x times something that vanishes, so x is held in a range there beyond which
// nothing changes.
#include "activation.h"

#include "kit.h"

namespace {

// ---- One element --------------------------------------------------------------------------------------------------

__device__ float at_least(float x, float low) { return x < low ? low : x; } // NaN passes
__device__ float at_most(float x, float high) { return x > high ? high : x; }
__device__ float sigmoid_of(float x) {
  const float t = expf(x < 0 ? x : -x), high = 1 / (1 + t);
  return x < 0 ? t * high : high;
}

constexpr float selu_scale = 1.0507009873554805f, selu_low = 1.7580993408473768f; // scale, scale * alpha
constexpr float sqrt_half = 0.70710678f, gelu_k = 0.79788456f, gelu_cube = 0.044715f;
constexpr float gelu_range = 16;  // exp(-x^2/2) is 0 from 14.5 on, 1 + erf(-x/sqrt(2)) from 5.7 on
constexpr float silu_range = 110; // exp(-x) is 0 there

struct relu {
  __device__ static float forward(float x, float) { return x <= 0 ? 0 : x; }
  __device__ static float backward(float y, float dy, float) { return y > 0 ? dy : 0; }
};
struct leaky_relu {
  __device__ static float forward(float x, float slope) { return x > 0 ? x : x * slope; }
  __device__ static float backward(float y, float dy, float slope) { return y > 0 ? dy : dy * slope; }
};
struct sigmoid {
  __device__ static float forward(float x, float) { return sigmoid_of(x); }
  __device__ static float backward(float y, float dy, float) { return dy * y * (1 - y); }
};
struct tanh {
  __device__ static float forward(float x, float) { return tanhf(x); }
  __device__ static float backward(float y, float dy, float) { return dy * (1 - y * y); }
};
struct elu {
  __device__ static float forward(float x, float alpha) { return x > 0 ? x : alpha * expm1f(x); }
  __device__ static float backward(float y, float dy, float alpha) { return y > 0 ? dy : dy * (y + alpha); }
};
struct selu {
  __device__ static float forward(float x, float) { return x > 0 ? selu_scale * x : selu_low * expm1f(x); }
  __device__ static float backward(float y, float dy, float) { return dy * (y > 0 ? selu_scale : y + selu_low); }
};
struct gelu_erf {
  __device__ static float forward(float x, float) {
    x = at_least(x, -gelu_range);
    return 0.5f * x * (1 + erff(x * sqrt_half));
  }
  __device__ static float backward(float x, float dy, float) {
    x = at_most(at_least(x, -gelu_range), gelu_range);
    const float density = 0.39894228f * expf(-0.5f * x * x);
    return dy * (0.5f * (1 + erff(x * sqrt_half)) + x * density);
  }
};
struct gelu_tanh {
  __device__ static float forward(float x, float) {
    x = at_least(x, -gelu_range);
    return 0.5f * x * (1 + tanhf(gelu_k * (x + gelu_cube * x * x * x)));
  }
  __device__ static float backward(float x, float dy, float) {
    x = at_most(at_least(x, -gelu_range), gelu_range);
    const float t = tanhf(gelu_k * (x + gelu_cube * x * x * x));
    return dy * (0.5f * (1 + t) + 0.5f * x * (1 - t * t) * (gelu_k * (1 + 3 * gelu_cube * x * x)));
  }
};
struct silu {
  __device__ static float forward(float x, float) {
    x = at_least(x, -silu_range);
    return x * sigmoid_of(x);
  }
  __device__ static float backward(float x, float dy, float) {
    x = at_most(at_least(x, -silu_range), silu_range);
    return dy * (sigmoid_of(x) * (1 + x * sigmoid_of(-x)));
  }
};
struct softplus {
  __device__ static float forward(float x, float beta) {
    const float z = beta * x, tail = log1pf(expf(z < 0 ? z : -z)) / beta;
    return x > 0 ? x + tail : tail;
  }
  __device__ static float backward(float y, float dy, float beta) { return -dy * expm1f(-beta * y); }
};
struct hard_sigmoid {
  __device__ static float forward(float x, float) { return at_most(at_least(x + 3, 0), 6) / 6; }
  __device__ static float backward(float x, float dy, float) { return x > -3 && x < 3 ? dy / 6 : 0; }
};
struct softsign {
  __device__ static float forward(float x, float) {
    const float size = fabsf(x), r = 1 / (1 + size), far = x < 0 ? r - 1 : 1 - r;
    return size > 1 ? far : x * r;
  }
  __device__ static float backward(float y, float dy, float) {
    const float left = 1 - fabsf(y);
    return dy * (left * left);
  }
};

// ---- Kernels ------------------------------------------------------------------------------------------------------

// Vectors of a thread that are under way at once: y may be x, so a store would keep the next load back.
constexpr int items = 2;

// The first `vectors` of a tensor are whole vectors, the rest single elements.
template <class F, class T> __global__ void forward(int64_t n, int64_t vectors, const T *x, T *y, float p) {
  using V = vector<T>;
  const int64_t step = size_of_grid();
  for (int64_t i = first_of_grid(); i < vectors; i += items * step) {
    V v[items];
#pragma unroll
    for (int j = 0; j < items; j++)
      if (i + j * step < vectors) v[j] = reinterpret_cast<const V *>(x)[i + j * step];
#pragma unroll
    for (int j = 0; j < items; j++) {
#pragma unroll
      for (int k = 0; k < V::width; k++) v[j].v[k] = as<T>(F::forward(to_f32(v[j].v[k]), p));
      if (i + j * step < vectors) reinterpret_cast<V *>(y)[i + j * step] = v[j];
    }
  }
  for (int64_t i = vectors * V::width + first_of_grid(); i < n; i += size_of_grid())
    y[i] = as<T>(F::forward(to_f32(x[i]), p));
}

template <class F, class T>
__global__ void backward(int64_t n, int64_t vectors, const T *saved, const T *dy, T *dx, float p) {
  using V = vector<T>;
  for (int64_t i = first_of_grid(); i < vectors; i += size_of_grid()) {
    const V s = reinterpret_cast<const V *>(saved)[i];
    V v = reinterpret_cast<const V *>(dy)[i];
#pragma unroll
    for (int k = 0; k < V::width; k++) v.v[k] = as<T>(F::backward(to_f32(s.v[k]), to_f32(v.v[k]), p));
    reinterpret_cast<V *>(dx)[i] = v;
  }
  for (int64_t i = vectors * V::width + first_of_grid(); i < n; i += size_of_grid())
    dx[i] = as<T>(F::backward(to_f32(saved[i]), to_f32(dy[i]), p));
}

// ---- Launchers ----------------------------------------------------------------------------------------------------

// Calls f with the function's struct.
template <class F> int by_function(kernel_activation_function function, F f) {
  switch (function) {
#define X(name)                                                                                                        \
  case KERNEL_##name: return f(name{});
    KERNEL_ACTIVATIONS(X)
#undef X
  }
  return cudaErrorInvalidValue;
}

} // namespace

int kernel_activation_forward(const kernel_activation *a, const void *x, void *y, kernel_stream stream) {
  return by_function(a->function, [&](auto function) {
    return by_type(a->type, [&](auto element) {
      using F = decltype(function);
      using T = decltype(element);
      const int64_t vectors = on_vectors(x, y) ? a->n / vector<T>::width : 0, share = vectors ? vectors : a->n;
      return LAUNCH((forward<F, T>), blocks_for(share), dim3(block_size), 0, stream, a->n, vectors,
                    static_cast<const T *>(x), static_cast<T *>(y), a->p);
    });
  });
}

int kernel_activation_backward(const kernel_activation *a, const void *saved, const void *dy, void *dx,
                               kernel_stream stream) {
  return by_function(a->function, [&](auto function) {
    return by_type(a->type, [&](auto element) {
      using F = decltype(function);
      using T = decltype(element);
      const int64_t vectors = on_vectors(saved, dy, dx) ? a->n / vector<T>::width : 0, share = vectors ? vectors : a->n;
      return LAUNCH((backward<F, T>), blocks_for(share), dim3(block_size), 0, stream, a->n, vectors,
                    static_cast<const T *>(saved), static_cast<const T *>(dy), static_cast<T *>(dx), a->p);
    });
  });
}
