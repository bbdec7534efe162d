// Sums, products and PReLU of two tensors, the second of which may repeat, and multiples. (Gradients of the second one:
// broadcast.h.)
//
//   kernel    good for   launch                      bytes an element      passes   bound by
//   combine   any size   256 threads, grid-stride    that of all tensors   1        memory
//   scale     any size   256 threads, grid-stride    2 x size of type      1        memory
//
// Both go by 16-byte vectors where all addresses allow it, and the length of the last axis.
#include "arithmetic.h"

#include "broadcast.h"

namespace {

// ---- One element --------------------------------------------------------------------------------------------------

// y = of(a, c, b); term(a, c) is what db adds up. What doesn't look at c has `three`, or `two`,
// false.
struct sum {
  static constexpr bool three = false, two = false;
  static __device__ float of(float a, float, float b) { return a + b; }
  static __device__ float term(float a, float) { return a; }
};
struct product {
  static constexpr bool three = false, two = true;
  static __device__ float of(float a, float, float b) { return a * b; }
  static __device__ float term(float a, float c) { return c * a; }
};
struct prelu {
  static constexpr bool three = false;
  static __device__ float of(float a, float, float b) { return a > 0 ? a : a * b; }
};
struct prelu_gradient {
  static constexpr bool three = true, two = true;
  static __device__ float of(float a, float c, float b) { return c > 0 ? a : a * b; }
  static __device__ float term(float a, float c) { return c > 0 ? 0 : c * a; }
};

// ---- Kernels ------------------------------------------------------------------------------------------------------

// W elements at a time, which meet W of b (OWN), or one; one element meets one in any case.
template <class F, class T, int W, bool OWN>
__global__ void combine(int64_t n, int64_t units, places at, const T *a, const T *c, const T *b, T *y) {
  using V = vector<T, W>;
  for (int64_t i = first_of_grid(); i < units; i += size_of_grid()) {
    const int64_t met = at(i);
    const V va = reinterpret_cast<const V *>(a)[i];
    const V vc = F::three ? reinterpret_cast<const V *>(c)[i] : va;
    V vb, vy;
    if constexpr (OWN)
      vb = *reinterpret_cast<const V *>(b + met);
    else
      vb.v[0] = b[met];
#pragma unroll
    for (int k = 0; k < W; k++) vy.v[k] = as<T>(F::of(to_f32(va.v[k]), to_f32(vc.v[k]), to_f32(vb.v[OWN ? k : 0])));
    reinterpret_cast<V *>(y)[i] = vy;
  }
  for (int64_t i = units * W + first_of_grid(); i < n; i += size_of_grid()) // only where there is one axis
    y[i] = as<T>(F::of(to_f32(a[i]), to_f32(F::three ? c[i] : a[i]), to_f32(b[OWN ? i : 0])));
}

template <class T> __global__ void scale(int64_t n, int64_t vectors, float factor, const T *x, T *y) {
  using V = vector<T>;
  for (int64_t i = first_of_grid(); i < vectors; i += size_of_grid()) {
    V v = reinterpret_cast<const V *>(x)[i];
#pragma unroll
    for (int k = 0; k < V::width; k++) v.v[k] = as<T>(factor * to_f32(v.v[k]));
    reinterpret_cast<V *>(y)[i] = v;
  }
  for (int64_t i = vectors * V::width + first_of_grid(); i < n; i += size_of_grid())
    y[i] = as<T>(factor * to_f32(x[i]));
}

// ---- Launchers ----------------------------------------------------------------------------------------------------

template <class F> int by_function(kernel_function function, F f) {
  switch (function) {
  case KERNEL_ADD: return f(sum{});
  case KERNEL_MULTIPLY: return f(product{});
  case KERNEL_PRELU: return f(prelu{});
  case KERNEL_PRELU_GRADIENT: return f(prelu_gradient{});
  }
  return cudaErrorInvalidValue;
}

template <class F, class T, int W, bool OWN>
int run(const broadcast &s, const T *a, const T *c, const T *b, T *y, kernel_stream stream) {
  const int64_t n = s.count(false) * s.count(true), units = n / W;
  return LAUNCH((combine<F, T, W, OWN>), blocks_for(units + 1), dim3(block_size), 0, stream, n, units, meetings(s, W),
                a, c, b, y);
}

} // namespace

int kernel_binary_run(const kernel_binary *s, const void *a, const void *c, const void *b, void *y,
                      kernel_stream stream) {
  return by_function(s->function, [&](auto function) {
    return by_type(s->type, [&](auto element) {
      using F = decltype(function);
      using T = decltype(element);
      constexpr int width = vector<T>::width;
      const broadcast shape(s->rank, s->dims, s->repeats);
      const int last = shape.rank - 1;
      const bool vectors = on_vectors(a, b, c, y) && (shape.rank == 1 || shape.dims[last] % width == 0);
      const auto with = [&](auto run) {
        return run(shape, static_cast<const T *>(a), static_cast<const T *>(c), static_cast<const T *>(b),
                   static_cast<T *>(y), stream);
      };
      if (!vectors) return with(run<F, T, 1, false>);
      return with(shape.repeats[last] ? run<F, T, width, false> : run<F, T, width, true>);
    });
  });
}

int kernel_binary_collect(const kernel_binary *s, const void *a, const void *c, void *db, void *workspace,
                          kernel_stream stream) {
  return by_function(s->function, [&](auto function) {
    return by_type(s->type, [&](auto element) {
      using F = decltype(function);
      using T = decltype(element);
      const broadcast shape(s->rank, s->dims, s->repeats);
      if constexpr (std::is_same_v<F, prelu>)
        return int(cudaErrorInvalidValue);
      else
        return sum_meetings<F>(shape, s->aligned, static_cast<const T *>(a), static_cast<const T *>(c),
                               static_cast<T *>(db), workspace, stream);
    });
  });
}

size_t kernel_binary_workspace(const kernel_binary *s) {
  return sums_workspace(broadcast(s->rank, s->dims, s->repeats), s->aligned, s->type == KERNEL_F32 ? 4 : 8);
}

int kernel_scale_run(const kernel_scale *s, const void *x, void *y, kernel_stream stream) {
  return by_type(s->type, [&](auto element) {
    using T = decltype(element);
    const int64_t vectors = on_vectors(x, y) ? s->n / vector<T>::width : 0;
    return LAUNCH(scale<T>, blocks_for(vectors ? vectors : s->n), dim3(block_size), 0, stream, s->n, vectors, s->factor,
                  static_cast<const T *>(x), static_cast<T *>(y));
  });
}
