/* What the engines of convolution share: one description of a problem, whatever family it comes from. */
#ifndef LAMINA_CUDA_CONV_H
#define LAMINA_CUDA_CONV_H

#include "cuda/cuda.h"
#include "kernels/conv.h"

typedef enum cuda_conv_family { CUDA_CONV, CUDA_CONV_TRANSPOSE, CUDA_LOCAL_CONV } cuda_conv_family;

/* Where the tensors of a row are, as kernels/conv.h names them: an engine row's `user`. */
typedef struct cuda_conv_row {
  cuda_conv_family family;
  int x, w, b, y; /* b: -1 for none */
  bool relu;      /* the output is held above 0 */
  int gate;       /* what lets the output through where it is above 0; 0, the input: none */
} cuda_conv_row;

extern const cuda_conv_row cuda_conv_forward, cuda_conv_data, cuda_conv_weights, cuda_conv_relu, cuda_relu_conv;
extern const cuda_conv_row cuda_conv_transpose_forward, cuda_conv_transpose_data, cuda_conv_transpose_weights;

kernel_conv cuda_conv_of(const lamina_problem *problem, const cuda_conv_row *row);
/* Refuses other types and sizes than kernels take. */
bool cuda_conv_takes(const lamina_problem *problem, const cuda_conv_row *row, lamina_candidate_fn *each, void *context);
/* Multiplications and additions, as the field counts them: of padding, too. */
double cuda_conv_flops(const kernel_conv *c);
static inline kernel_conv_after cuda_conv_after(const cuda_conv_row *row, const lamina_args *args) {
  return (kernel_conv_after){
      .bias = row->b >= 0 ? args->p[row->b] : NULL, .gate = row->gate ? args->p[row->gate] : NULL, .relu = row->relu};
}
/* A launcher from x to y, or from y to x, of tensors in that order with the filter between. */
typedef int cuda_conv_launcher(const kernel_conv *c, const void *from, const void *w, const kernel_conv_after *after,
                               void *to, kernel_stream stream);
/* Runs a plan of a row by one: `forward` from x to y, else from y to x. */
lamina_status cuda_conv_run(const lamina_plan *plan, const lamina_args *args, lamina_stream *stream, bool forward,
                            cuda_conv_launcher *launcher);
static inline int64_t cuda_conv_weights_count(const kernel_conv *c) {
  return c->K * (c->C / c->groups) * kernel_conv_area(c->w);
}

#endif
