/* What the parts of the verifier share: fills, the buffers of a case, tolerances. */
#ifndef LAMINA_CORE_VERIFY_H
#define LAMINA_CORE_VERIFY_H

#include "core/blocks.h"
#include "core/problem.h"
#include "lamina/verify.h"

#ifdef __cplusplus /* for tests */
extern "C" {
#endif

/* Steps through the elements of a tensor in row-major order: `offset` is where the current one lies. */
typedef struct lamina_walk {
  lamina_axes axes; /* of memory */
  int64_t offset, at[LAMINA_MAX_AXES];
} lamina_walk;

/* At element `index`. */
static inline lamina_walk lamina_walk_from(const lamina_desc *desc, int64_t index) {
  lamina_walk walk;
  walk.axes.rank = 0;
  walk.offset = lamina_desc_offset(desc, index);
  if (lamina_desc_count(desc) > 0) walk.axes = lamina_axes_of(desc, desc);
  for (int d = walk.axes.rank - 1; d >= 0; d--) walk.at[d] = index % walk.axes.dims[d], index /= walk.axes.dims[d];
  return walk;
}

static inline void lamina_walk_on(lamina_walk *walk) {
  for (int d = walk->axes.rank - 1; d >= 0; d--) {
    walk->offset += walk->axes.x[d];
    if (++walk->at[d] < walk->axes.dims[d]) return;
    walk->offset -= walk->at[d] * walk->axes.x[d];
    walk->at[d] = 0;
  }
}

/* Fills every element of a host tensor; `stream` tells tensors of one seed apart. */
void lamina_fill_values(const lamina_desc *desc, void *data, const lamina_fill_def *fill, uint64_t seed,
                        uint32_t stream, int threads);

/* The problem of the family's first pass (FAMILY/forward) that a later pass belongs to: its argument m has the shape
 * that m or dm has in `problem`. False when there is none or its shapes don't follow. */
bool lamina_first_pass(const lamina_problem *problem, lamina_problem *first);
/* The reverse: the shapes of the later pass `op` from those of an inferred first pass. False when one is missing. */
bool lamina_later_pass(const lamina_problem *first, int op, lamina_problem *later);

/* Fills the inputs of a case that no file gives; tensor[i] is the host's view of argument i. */
lamina_status lamina_fill_inputs(const lamina_case *c, const lamina_tensor *const *tensor, int threads,
                                 const lamina_allocator *allocator);

/* What an address `offset` elements past a 64-byte boundary is a multiple of, as lamina_desc.align has it. */
static inline int32_t lamina_alignment(const lamina_desc *desc, int64_t offset) {
  const int64_t bytes = offset * (int64_t)lamina_dtype_size((lamina_dtype)desc->dtype);
  return bytes & 63 ? (int32_t)(bytes & -bytes) : 64;
}

/* The spatial axes of a problem: those past the first two of its first argument that has any. */
int lamina_spatial_axes(const lamina_problem *problem);

/* Copies the elements of a host tensor to one of the same dims. */
void lamina_copy_values(const lamina_desc *from, const void *data, const lamina_desc *to, void *out);

/* The input that argument `arg` shares its memory with; -1: none. */
int lamina_alias_of(const lamina_problem *problem, int arg);

/* Outputs and red zones are filled with one of these bytes: a NaN in every floating type and far out of range, or a
 * large finite number. */
enum { LAMINA_POISON_NAN = 0xFF, LAMINA_POISON_FINITE = 0x5A };

/* As lamina_data_reset, with another poison. */
lamina_status lamina_data_poison(lamina_data *data, int poison);
/* What it was opened with. */
lamina_device *lamina_data_device(const lamina_data *data);
const lamina_case *lamina_data_case(const lamina_data *data);
/* An argument's data as they were before the run. */
const void *lamina_data_before(const lamina_data *data, int arg);
/* Forbids the red zones to whoever runs in between and is watched by AddressSanitizer: the host, an emulated device. */
void lamina_data_forbid(const lamina_data *data, bool forbid);
static inline void lamina_forbid(const void *memory, size_t size, bool forbid) {
#ifdef __SANITIZE_ADDRESS__
  void __asan_poison_memory_region(void const volatile *, size_t);
  void __asan_unpoison_memory_region(void const volatile *, size_t);
  (forbid ? __asan_poison_memory_region : __asan_unpoison_memory_region)(memory, size);
#else
  (void)memory, (void)size, (void)forbid;
#endif
}

/* After lamina_data_fetch: is everything but the elements of outputs as it was? Writes what isn't. The results are gone
 * then: outputs are put back. */
bool lamina_data_intact(lamina_data *data, char *what, size_t size);

/* How far an element of `dtype` may be from e->value. */
double lamina_tolerance(const lamina_expected *e, lamina_dtype dtype, const lamina_numerics *numerics, bool all_f64);
/* Is `got` what e expects? `exact`: bit for bit. Writes the tolerance (0: exact) and the error as a share of it. */
bool lamina_agrees(const lamina_expected *e, double got, lamina_dtype dtype, double tolerance, double *share);

#ifdef __cplusplus
}
#endif

#endif
