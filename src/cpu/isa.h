/* The instruction sets that kernels are written for, in lists of one kernel for each; which of them a machine has shows
 * at run time. */
#ifndef LAMINA_CPU_ISA_H
#define LAMINA_CPU_ISA_H

/* The widest first: a machine that has one has those below it. */
typedef enum lamina_isa { LAMINA_AVX512, LAMINA_AVX2, LAMINA_PLAIN, LAMINA_ISAS } lamina_isa;

/* Number `index` of this machine's; LAMINA_ISAS past the last. */
lamina_isa lamina_isa_at(int index);
/* The number of the one of that name, "avx512", "avx2" or "plain"; past the last where this machine hasn't got it. */
int lamina_isa_index(const char *name);

#endif
