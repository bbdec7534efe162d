/* What CPU engines share. */
#ifndef LAMINA_CPU_CPU_H
#define LAMINA_CPU_CPU_H

#ifdef _OPENMP
#include <omp.h>
#endif

#include "core/device.h"
#include "core/problem.h"
#include "cpu/roofline.h"

/* Sets how wide the calling thread's teams are, which is the caller's to keep; returns what it was. */
static inline int lamina_cpu_width(int threads) {
#ifdef _OPENMP
  const int before = omp_get_max_threads();
  if (before != threads) omp_set_num_threads(threads);
  return before;
#else
  return threads;
#endif
}

#endif
