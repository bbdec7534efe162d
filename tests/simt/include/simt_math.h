// CUDA's arithmetic intrinsics for the CPU; part of simt.h. What <math.h> and the toolkit's headers of half and bfloat16
// already have, they give. The fast ones are as exact as the slow ones here, and nothing is contracted into an FMA.
#ifndef SIMT_MATH_H
#define SIMT_MATH_H

// Of any two types, as CUDA's many overloads; a NaN loses against a number, as there.
template <class A, class B> inline auto max(A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<T>)
    return static_cast<T>(fmax(T(a), T(b)));
  else
    return T(a) < T(b) ? T(b) : T(a);
}
template <class A, class B> inline auto min(A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<T>)
    return static_cast<T>(fmin(T(a), T(b)));
  else
    return T(b) < T(a) ? T(b) : T(a);
}

// ---- Memory ---------------------------------------------------------------------------------------------------------
template <class T> inline T __ldg(const T *p) { return *p; }
template <class T> inline T __ldca(const T *p) { return *p; }
template <class T> inline T __ldcg(const T *p) { return *p; }
template <class T> inline T __ldcs(const T *p) { return *p; }
template <class T> inline void __stcg(T *p, simt::same<T> v) { *p = v; }
template <class T> inline void __stcs(T *p, simt::same<T> v) { *p = v; }
template <class T> inline void __stwt(T *p, simt::same<T> v) { *p = v; }

// ---- Bits -----------------------------------------------------------------------------------------------------------
template <class To, class From> SIMT_OWN inline To simt_bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "the same size");
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}
inline int __float_as_int(float x) { return simt_bits<int>(x); }
inline unsigned __float_as_uint(float x) { return simt_bits<unsigned>(x); }
inline float __int_as_float(int x) { return simt_bits<float>(x); }
inline float __uint_as_float(unsigned x) { return simt_bits<float>(x); }
inline long long __double_as_longlong(double x) { return simt_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return simt_bits<double>(x); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64; }
inline unsigned __brev(unsigned x) {
  unsigned r = 0;
  for (int i = 0; i < 32; i++) r |= (x >> i & 1u) << (31 - i);
  return r;
}
inline unsigned long long __brevll(unsigned long long x) {
  return static_cast<unsigned long long>(__brev(static_cast<unsigned>(x))) << 32 |
         __brev(static_cast<unsigned>(x >> 32));
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by) {
  return static_cast<unsigned>(((static_cast<uint64_t>(high) << 32 | low) << (by & 31)) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by) {
  return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) >> (by & 31));
}
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const uint64_t bytes = static_cast<uint64_t>(y) << 32 | x;
  unsigned r = 0;
  for (int i = 0; i < 4; i++) {
    const unsigned s = selector >> (4 * i) & 0xf;
    unsigned byte = static_cast<unsigned>(bytes >> (8 * (s & 7))) & 0xff;
    if (s & 8) byte = byte & 0x80 ? 0xff : 0; // its sign, replicated
    r |= byte << (8 * i);
  }
  return r;
}

// ---- Integers -------------------------------------------------------------------------------------------------------
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32); }
inline int __mulhi(int a, int b) { return static_cast<int>(static_cast<int64_t>(a) * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  __extension__ using wide = unsigned __int128;
  return static_cast<unsigned long long>(static_cast<wide>(a) * b >> 64);
}

// ---- Floating point -------------------------------------------------------------------------------------------------
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fdividef(float a, float b) { return a / b; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __frsqrt_rn(float x) { return static_cast<float>(1.0 / sqrt(static_cast<double>(x))); }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
inline float __saturatef(float x) { return x > 0 ? x < 1 ? x : 1 : 0; } // of NaN: 0, as the GPU says
// (glibc declares some of these without having them, hence macros.)
#define __expf   expf
#define __exp10f exp10f
#define __logf   logf
#define __log2f  log2f
#define __log10f log10f
#define __powf   powf
#define __sinf   sinf
#define __cosf   cosf
#define __tanf   tanf

// ---- Conversions: out of range saturates, NaN is 0, as on the GPU -----------------------------------------------------
template <class Int> inline Int simt_to_int(double x) {
  if (x != x) return 0;
  const double low = static_cast<double>(std::is_signed_v<Int> ? -exp2(8 * sizeof(Int) - 1.0) : 0.0);
  const double past = exp2(8 * sizeof(Int) - (std::is_signed_v<Int> ? 1.0 : 0.0));
  if (x < low) return static_cast<Int>(std::is_signed_v<Int> ? Int(1) << (8 * sizeof(Int) - 1) : 0);
  if (x >= past) return static_cast<Int>(~(std::is_signed_v<Int> ? Int(1) << (8 * sizeof(Int) - 1) : Int(0)));
  return static_cast<Int>(x);
}
inline int __float2int_rn(float x) { return simt_to_int<int>(nearbyint(x)); }
inline int __float2int_rz(float x) { return simt_to_int<int>(x); }
inline int __float2int_rd(float x) { return simt_to_int<int>(floor(x)); }
inline int __float2int_ru(float x) { return simt_to_int<int>(ceil(x)); }
inline unsigned __float2uint_rn(float x) { return simt_to_int<unsigned>(nearbyint(x)); }
inline unsigned __float2uint_rz(float x) { return simt_to_int<unsigned>(x); }
inline long long __float2ll_rn(float x) { return simt_to_int<long long>(nearbyint(x)); }
inline int __double2int_rn(double x) { return simt_to_int<int>(nearbyint(x)); }
inline int __double2int_rz(double x) { return simt_to_int<int>(x); }
inline float __double2float_rn(double x) { return static_cast<float>(x); }
inline float __int2float_rn(int x) { return static_cast<float>(x); }
inline float __uint2float_rn(unsigned x) { return static_cast<float>(x); }
inline float __ll2float_rn(long long x) { return static_cast<float>(x); }
inline float __ull2float_rn(unsigned long long x) { return static_cast<float>(x); }

#endif
