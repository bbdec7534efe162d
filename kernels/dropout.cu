// Dropout: masks are drawn again in the backward pass, so nothing is saved.
//
//   kernel     good for                    launch                      bytes an element    passes   bound by
//   elements   a draw for each element     256 threads, grid-stride    2 x size of type    1        memory
//   areas      a draw for each channel     256 threads, grid-stride    2 x size of type    1        memory
//
// A thread has 16 bytes of neighbours, which are one or two of Philox's blocks of four; of areas a draw is one word.
#include "dropout.h"

#include "kit.h"
#include "philox.h"

namespace {

struct generator {
  uint64_t seed;
  uint32_t stream, step;
};

__device__ __forceinline__ generator generator_of(const kernel_dropout &d, const int64_t *rng) {
  return {uint64_t(rng[0]), d.stream, uint32_t(rng[1])};
}

template <class T> __device__ __forceinline__ T drop(const kernel_dropout &d, uint32_t word, T x) {
  return as<T>(word >> 8 < d.threshold ? 0.0f : to_f32(x) * d.scale);
}

// The `some` first elements of a vector, or all, by one load where they are aligned.
template <class T> __device__ __forceinline__ vector<T> load(const T *x, int some, bool aligned) {
  if (aligned && some == vector<T>::width) return *reinterpret_cast<const vector<T> *>(x);
  vector<T> v = {};
#pragma unroll
  for (int k = 0; k < vector<T>::width; k++)
    if (k < some) v.v[k] = x[k];
  return v;
}

template <class T> __device__ __forceinline__ void store(T *y, const vector<T> &v, int some, bool aligned) {
  if (aligned && some == vector<T>::width) {
    *reinterpret_cast<vector<T> *>(y) = v;
    return;
  }
#pragma unroll
  for (int k = 0; k < vector<T>::width; k++)
    if (k < some) y[k] = v.v[k];
}

template <class T> __global__ void elements(kernel_dropout d, bool aligned, const T *x, const int64_t *rng, T *y) {
  constexpr int width = vector<T>::width;
  static_assert(width % 4 == 0, "whole blocks of Philox");
  const generator g = generator_of(d, rng);
  for (int64_t i = first_of_grid() * width; i < d.n; i += size_of_grid() * width) {
    const int some = int(lesser(d.n - i, int64_t(width)));
    vector<T> v = load(x + i, some, aligned);
#pragma unroll
    for (int k = 0; k < width; k += 4) {
      const philox_words words = philox_block(g.seed, uint64_t(i + k) / 4, g.stream, g.step);
#pragma unroll
      for (int j = 0; j < 4; j++) v.v[k + j] = drop(d, words.v[j], v.v[k + j]);
    }
    store(y + i, v, some, aligned);
  }
}

template <class T> __global__ void areas(kernel_dropout d, bool aligned, const T *x, const int64_t *rng, T *y) {
  constexpr int width = vector<T>::width;
  const generator g = generator_of(d, rng);
  for (int64_t i = first_of_grid() * width; i < d.n; i += size_of_grid() * width) {
    const int some = int(lesser(d.n - i, int64_t(width)));
    vector<T> v = load(x + i, some, aligned);
    int64_t area = i / d.area, left = (area + 1) * d.area - i;
    uint32_t word = philox_word(g.seed, uint64_t(area), g.stream, g.step);
#pragma unroll
    for (int k = 0; k < width; k++) {
      if (left-- == 0) {
        word = philox_word(g.seed, uint64_t(++area), g.stream, g.step);
        left = d.area - 1;
      }
      v.v[k] = drop(d, word, v.v[k]);
    }
    store(y + i, v, some, aligned);
  }
}

} // namespace

int kernel_dropout_run(const kernel_dropout *d, const void *x, const int64_t *rng, void *y, kernel_stream stream) {
  return by_type(d->type, [&](auto element) {
    using T = decltype(element);
    const int64_t vectors = (d->n + vector<T>::width - 1) / vector<T>::width;
    return LAUNCH((d->area == 1 ? elements<T> : areas<T>), blocks_for(vectors), dim3(block_size), 0, stream, *d,
                  on_vectors(x, y), static_cast<const T *>(x), rng, static_cast<T *>(y));
  });
}
