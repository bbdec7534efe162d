// Reading and writing a kernel_array: one element, or four neighbours at once.
#pragma once

#include "array.h"
#include "kit.h"

// ---- f32, bf16 and f16 as f32 ---------------------------------------------------------------------------------------

__device__ __forceinline__ float get(const kernel_array &a, int64_t i) {
  switch (a.type) {
  case KERNEL_ELEMENT_BF16: return to_f32(static_cast<const bf16 *>(a.data)[i]);
  case KERNEL_ELEMENT_F16: return to_f32(static_cast<const f16 *>(a.data)[i]);
  default: return static_cast<const float *>(a.data)[i];
  }
}

__device__ __forceinline__ void put(const kernel_array &a, int64_t i, float value) {
  switch (a.type) {
  case KERNEL_ELEMENT_BF16: static_cast<bf16 *>(a.data)[i] = as<bf16>(value); break;
  case KERNEL_ELEMENT_F16: static_cast<f16 *>(a.data)[i] = as<f16>(value); break;
  default: static_cast<float *>(a.data)[i] = value;
  }
}

struct four {
  float v[4];
};
template <class T> struct alignas(4 * sizeof(T)) quad { T v[4]; };

template <class T> __device__ __forceinline__ four get_quad(const void *data, int64_t i) {
  const quad<T> from = static_cast<const quad<T> *>(data)[i];
  return {{to_f32(from.v[0]), to_f32(from.v[1]), to_f32(from.v[2]), to_f32(from.v[3])}};
}
template <class T> __device__ __forceinline__ void put_quad(void *data, int64_t i, const four &from) {
  static_cast<quad<T> *>(data)[i] = {{as<T>(from.v[0]), as<T>(from.v[1]), as<T>(from.v[2]), as<T>(from.v[3])}};
}

// Elements i … i + 3, i a multiple of 4, of an array that lies on_quads.
__device__ __forceinline__ four get_four(const kernel_array &a, int64_t i) {
  switch (a.type) {
  case KERNEL_ELEMENT_BF16: return get_quad<bf16>(a.data, i / 4);
  case KERNEL_ELEMENT_F16: return get_quad<f16>(a.data, i / 4);
  default: return get_quad<float>(a.data, i / 4);
  }
}
__device__ __forceinline__ void put_four(const kernel_array &a, int64_t i, const four &value) {
  switch (a.type) {
  case KERNEL_ELEMENT_BF16: put_quad<bf16>(a.data, i / 4, value); break;
  case KERNEL_ELEMENT_F16: put_quad<f16>(a.data, i / 4, value); break;
  default: put_quad<float>(a.data, i / 4, value);
  }
}

// Do all of these floating arrays, as far as they are there, lie on addresses where four neighbours can be loaded at once?
template <class... A> inline bool on_quads(const A &...a) {
  return ((reinterpret_cast<uintptr_t>(a.data) % (a.type == KERNEL_ELEMENT_F32 ? 16 : 8) == 0) && ...);
}

// ---- Any type -------------------------------------------------------------------------------------------------------

__device__ __forceinline__ int64_t get_integer(const kernel_array &a, int64_t i) {
  switch (a.type) {
  case KERNEL_ELEMENT_I32: return static_cast<const int32_t *>(a.data)[i];
  case KERNEL_ELEMENT_U8: return static_cast<const uint8_t *>(a.data)[i];
  default: return static_cast<const int64_t *>(a.data)[i];
  }
}

// A number that may be of any floating type.
__device__ __forceinline__ double get_real(const kernel_array &a, int64_t i) {
  return a.type == KERNEL_ELEMENT_F64 ? static_cast<const double *>(a.data)[i] : double(get(a, i));
}

// A whole number of at least 0, which the smaller integers saturate; else f32, bf16 or f16.
__device__ __forceinline__ void put_number(const kernel_array &a, int64_t i, double value) {
  switch (a.type) {
  case KERNEL_ELEMENT_I64: static_cast<int64_t *>(a.data)[i] = int64_t(value); break;
  case KERNEL_ELEMENT_I32: static_cast<int32_t *>(a.data)[i] = int32_t(value < INT32_MAX ? value : INT32_MAX); break;
  case KERNEL_ELEMENT_U8: static_cast<uint8_t *>(a.data)[i] = uint8_t(value < UINT8_MAX ? value : UINT8_MAX); break;
  default: put(a, i, float(value));
  }
}
