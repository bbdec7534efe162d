/* What kernels are written with whose sums stay in registers. */
#ifndef LAMINA_CPU_UNROLL_H
#define LAMINA_CPU_UNROLL_H

#ifdef __SANITIZE_ADDRESS__ /* the same statements, each only once: all unrolled, with checks, they compile for a minute */
#define INLINE static inline
#define UNROLL
#else
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
#endif

#endif
