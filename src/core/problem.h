/* Building and checking problems; what an op's `infer` is written with. */
#ifndef LAMINA_CORE_PROBLEM_H
#define LAMINA_CORE_PROBLEM_H

#include "core/base.h"

#ifdef __cplusplus /* for tests */
extern "C" {
#endif

/* Is the argument there (or to be inferred)? */
static inline bool lamina_present(const lamina_desc *desc) {
  return desc->dtype != LAMINA_NONE || desc->rank == LAMINA_RANK_INFER;
}
static inline bool lamina_is_input(const lamina_arg_def *arg) {
  return arg->role == LAMINA_IN || arg->role == LAMINA_INOUT;
}
static inline bool lamina_is_output(const lamina_arg_def *arg) { return arg->role != LAMINA_IN; }

/* The descriptor of the op's family. */
static inline const void *lamina_attr(const lamina_problem *problem) { return problem->attr; }

/* "conv/forward: x is f32[2,3]; " + the rest of the sentence. */
lamina_status lamina_problem_error(const lamina_problem *problem, int arg, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Argument `arg` has `rank` axes, or at least `rank` and at most `most`. */
lamina_status lamina_want_rank(const lamina_problem *problem, int arg, int rank, int most);
/* Argument `arg` (skipped when absent) has exactly these dims. */
lamina_status lamina_want_dims(const lamina_problem *problem, int arg, int rank, const int64_t *dims);
/* Argument `arg` (skipped when absent) has elements of `dtype`. */
lamina_status lamina_want_dtype(const lamina_problem *problem, int arg, lamina_dtype dtype);
/* An output: fills it in (row-major or in its blocks, `dtype` unless it names one) where it is to be inferred, else
 * checks its dims. */
lamina_status lamina_set_output(lamina_problem *problem, int arg, lamina_dtype dtype, int rank, const int64_t *dims);
/* `small` seen with the axes of `large`: its own, or, of one axis beside an array of more, those of channels: [1, C, 1 …].
 */
void lamina_broadcast_dims(const lamina_desc *large, const lamina_desc *small, int64_t dims[LAMINA_MAX_RANK]);
/* Argument `small` (skipped when absent), seen so, has along each axis what `large` has, or 1. */
lamina_status lamina_want_broadcast(const lamina_problem *problem, int large, int small);
/* No layout is left to an engine: for whoever has data. */
lamina_status lamina_want_layouts(const lamina_problem *problem);
/* A shape that can't be inferred must have been given. */
lamina_status lamina_want_shape(const lamina_problem *problem, int arg);
/* How many numbers a field of this type holds. */
int lamina_attr_numbers(lamina_attr_type type);
/* AXES and PADS attributes of more than `axes` spatial axes: an error unless they say nothing; cleared then. */
lamina_status lamina_trim_axes(lamina_problem *problem, int axes);

/* A SET attribute of a tensor with `rank` axes as bits 0 … rank-1; an error names an axis that isn't there. */
lamina_status lamina_axis_set(const lamina_problem *problem, int64_t set, int rank, int64_t *normal);

/* Fills in presets of a descriptor and checks the ranges; `who` is what errors call its owner. */
lamina_status lamina_attrs_check(const char *who, const lamina_attr_def *attrs, void *descriptor);

/* Fills for an exact test: every floating argument small integers, low … high. */
void lamina_fill_integers(const lamina_problem *problem, lamina_fill_def *fill, double low, double high);

#ifdef __cplusplus
}
#endif

#endif
