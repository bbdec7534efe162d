/* Moving elements between strided views, of any type: what copies, cuts and joins of tensors are made of. */
#ifndef LAMINA_CPU_MOVE_H
#define LAMINA_CPU_MOVE_H

#include "cpu/loop.h"

/* y[i] = x[i] for every index i of `dims`: elements of `size` bytes, strides `from` and `to` in elements. x may repeat
 * itself (strides of 0); y may overlap neither itself nor x. */
void lamina_cpu_move(size_t size, int rank, const int64_t *dims, const void *x, const int64_t *from, void *y,
                     const int64_t *to);

/* The same for tensors in any layout, with the same dims and type. */
void lamina_cpu_convert(const lamina_desc *x, const void *from, const lamina_desc *y, void *to);

/* y[i] = the element at `value`. */
void lamina_cpu_set(size_t size, int rank, const int64_t *dims, const void *value, void *y, const int64_t *to);

/* Of `whole` the elements outside the box that starts at `first` and has `dims` become the one at `value`. */
void lamina_cpu_set_around(const lamina_desc *whole, const int64_t *dims, const int64_t *first, const void *value,
                           void *y);

/* x + i elements. */
static inline const void *lamina_element_at(const lamina_desc *desc, const void *x, int64_t i) {
  return (const char *)x + i * (int64_t)lamina_dtype_size((lamina_dtype)desc->dtype);
}
static inline void *lamina_element_to(const lamina_desc *desc, void *y, int64_t i) {
  return (char *)y + i * (int64_t)lamina_dtype_size((lamina_dtype)desc->dtype);
}

/* The candidates of an engine that moves elements of any type. */
void lamina_move_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                            lamina_candidate_fn *each, void *context);

#endif
