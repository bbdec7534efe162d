// Casts, element by element, vectors of 16 bytes on the side that is wider.
//
//   kernel   good for   launch                      bytes an element    passes   bound by
//   cast     any size   256 threads, grid-stride    size of both        1        memory
//
// Between floating types of 4 and 2 bytes, and from u8 to these, by way of f32. All others go by way of f64, which holds
// every number but those of i64 beyond 2^53.
#include "cast.h"

#include <cstring>
#include <type_traits>

#include "kit.h"

namespace {

template <class T>
constexpr bool small_float = std::is_same_v<T, float> || std::is_same_v<T, bf16> || std::is_same_v<T, f16>;

// To the nearest f32 with an odd last bit where x isn't one: rounded again, to fewer bits, it is as if x had been.
__host__ __device__ inline float to_odd(double x) {
  const float nearest = float(x);
  if (double(nearest) == x) return nearest;
  uint32_t bits;
  memcpy(&bits, &nearest, sizeof bits);
  if (fabs(double(nearest)) > fabs(x)) bits--;
  bits |= 1;
  float odd;
  memcpy(&odd, &bits, sizeof odd);
  return odd;
}

template <class T> __device__ __forceinline__ double to_f64(T x) {
  if constexpr (small_float<T>)
    return to_f32(x);
  else
    return double(x);
}

// The nearest integer in [least, most]; `highest` is that for all from `most` on.
template <class T> __host__ __device__ inline T nearest(double x, double least, double most, T highest) {
  const double r = rint(x); // NaN fails both comparisons, and the third
  return r <= least ? T(least) : r >= most ? highest : r == r ? T(r) : T(0);
}

template <class T> __host__ __device__ inline T from_f64(double x) {
  if constexpr (std::is_same_v<T, bf16> || std::is_same_v<T, f16>) return as<T>(to_odd(x));
  if constexpr (std::is_same_v<T, double> || std::is_same_v<T, float>) return T(x);
  if constexpr (std::is_same_v<T, int64_t>) return nearest<T>(x, -0x1p63, 0x1p63, INT64_MAX);
  if constexpr (std::is_same_v<T, int32_t>) return nearest<T>(x, INT32_MIN, INT32_MAX, INT32_MAX);
  if constexpr (std::is_same_v<T, uint8_t>) return nearest<T>(x, 0, UINT8_MAX, UINT8_MAX);
}

template <class From, class To> __device__ __forceinline__ To convert(From x) {
  if constexpr (small_float<From> && small_float<To>)
    return as<To>(to_f32(x));
  else if constexpr (std::is_same_v<From, uint8_t> && small_float<To>)
    return as<To>(float(x));
  else
    return from_f64<To>(to_f64(x));
}

template <class From, class To> constexpr int width = 16 / (sizeof(From) > sizeof(To) ? sizeof(From) : sizeof(To));

template <class From, class To> __global__ void cast(int64_t n, int64_t vectors, const From *x, To *y) {
  constexpr int many = width<From, To>;
  for (int64_t i = first_of_grid(); i < vectors; i += size_of_grid()) {
    const vector<From, many> in = reinterpret_cast<const vector<From, many> *>(x)[i];
    vector<To, many> out;
#pragma unroll
    for (int k = 0; k < many; k++) out.v[k] = convert<From, To>(in.v[k]);
    reinterpret_cast<vector<To, many> *>(y)[i] = out;
  }
  for (int64_t i = vectors * many + first_of_grid(); i < n; i += size_of_grid()) y[i] = convert<From, To>(x[i]);
}

// Calls f with a value of the element's type.
template <class F> auto by_element(kernel_element type, F f) {
  switch (type) {
  case KERNEL_ELEMENT_F64: return f(double{});
  case KERNEL_ELEMENT_F16: return f(f16{});
  case KERNEL_ELEMENT_BF16: return f(bf16{});
  case KERNEL_ELEMENT_I64: return f(int64_t{});
  case KERNEL_ELEMENT_I32: return f(int32_t{});
  case KERNEL_ELEMENT_U8: return f(uint8_t{});
  case KERNEL_ELEMENT_F32: break;
  }
  return f(float{});
}

} // namespace

int kernel_cast_run(const kernel_cast *c, const void *x, void *y, kernel_stream stream) {
  return by_element(c->from, [&](auto from) {
    return by_element(c->to, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      const int64_t vectors = on_vectors(x, y) ? c->n / width<From, To> : 0, share = vectors ? vectors : c->n;
      return LAUNCH((cast<From, To>), blocks_for(share), dim3(block_size), 0, stream, c->n, vectors,
                    static_cast<const From *>(x), static_cast<To *>(y));
    });
  });
}

uint64_t kernel_element_of(kernel_element type, double value) {
  return by_element(type, [&](auto element) {
    uint64_t bits = 0;
    element = from_f64<decltype(element)>(value);
    memcpy(&bits, &element, sizeof element);
    return bits;
  });
}
