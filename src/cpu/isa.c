#include "cpu/isa.h"

#include <string.h>

static lamina_isa widest(void) {
#if defined(__x86_64__) && defined(__GNUC__)
  const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx2) return __builtin_cpu_supports("avx512f") ? LAMINA_AVX512 : LAMINA_AVX2;
#endif
  return LAMINA_PLAIN;
}

lamina_isa lamina_isa_at(int index) {
  const lamina_isa first = widest();
  return index < (int)(LAMINA_ISAS - first) ? first + (lamina_isa)index : LAMINA_ISAS;
}

int lamina_isa_index(const char *name) {
  static const char *const names[LAMINA_ISAS] = {"avx512", "avx2", "plain"};
  int index = 0;
  for (lamina_isa isa; (isa = lamina_isa_at(index)) != LAMINA_ISAS && strcmp(names[isa], name) != 0;) index++;
  return index;
}
