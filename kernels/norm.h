/* Normalisations, as lamina/batch_norm.h and lamina/layer_norm.h say.
 *
 * Elements are normalised in sets; element `position` of run `run` of set `set` is number
 * (run * sets + set) * length + position. Batch normalisation has a set for each channel and a run for each example;
 * layer and group normalisation have sets of one run. There are at most 2^31 - 1 elements. */
#ifndef KERNEL_NORM_H
#define KERNEL_NORM_H

#include "launch.h"

/* A few numbers that go with a large tensor, of a type of their own; p NULL: absent. */
typedef struct kernel_numbers {
  void *p;
  int64_t type; /* a kernel_type */
} kernel_numbers;

typedef struct kernel_norm {
  int64_t runs, sets, length;
  int64_t groups, each, area;    /* position p of set s is of channel s % groups * each + p / area */
  int64_t mean_runs, mean_each;  /* backward: run r of set s has mean number r * mean_runs + s / mean_each */
  int64_t chunks;                /* of each set, where `split` */
  float epsilon, keep, momentum; /* of running numbers: keep * old + momentum * now */
  kernel_type type;              /* of x, y, dy and dx */
  int32_t by_set;                /* w and b have a number for each set; else for each channel */
  int32_t split;                 /* sets are cut into chunks, in three kernels; else in one */
} kernel_norm;

/* Sets `chunks` so that the device is busy, and returns the bytes of workspace. */
KERNEL_API size_t kernel_norm_plan(kernel_norm *n);

typedef struct kernel_norm_forward_numbers {
  kernel_numbers w, b;                           /* see by_set */
  kernel_numbers mean, deviation;                /* out: [sets] */
  kernel_numbers running_mean, running_variance; /* [sets] */
  kernel_numbers new_mean, new_variance;         /* out: [sets]; may be the running ones */
} kernel_norm_forward_numbers;

/* x, y: [runs, sets, length]; y may be x. */
KERNEL_API int kernel_norm_forward(const kernel_norm *n, const void *x, void *y, const kernel_norm_forward_numbers *f,
                                   void *workspace, kernel_stream stream);
/* The same with the running numbers; of those that are out nothing is looked at. */
KERNEL_API int kernel_norm_inference(const kernel_norm *n, const void *x, void *y, const kernel_norm_forward_numbers *f,
                                     void *workspace, kernel_stream stream);

typedef struct kernel_norm_backward_numbers {
  kernel_numbers w;               /* see by_set */
  kernel_numbers mean, deviation; /* see mean_runs */
  kernel_numbers dw, db;          /* out: [sets], where by_set or without dx */
} kernel_norm_backward_numbers;

/* x, dy, dx: [runs, sets, length]; dx may be dy, or NULL with `split`: only dw and db are wanted then. */
KERNEL_API int kernel_norm_backward(const kernel_norm *n, const void *x, const void *dy, void *dx,
                                    const kernel_norm_backward_numbers *b, void *workspace, kernel_stream stream);

#endif
