/* A convolution's sizes, read once from its problem, and the elements of its references. */
#ifndef LAMINA_OPS_CONV_H
#define LAMINA_OPS_CONV_H

#include "core/problem.h"
#include "lamina/conv.h"

enum { LAMINA_CONV_FORWARD_X, LAMINA_CONV_FORWARD_W, LAMINA_CONV_FORWARD_B, LAMINA_CONV_FORWARD_Y };
enum { LAMINA_CONV_DATA_DY, LAMINA_CONV_DATA_W, LAMINA_CONV_DATA_DX };
enum { LAMINA_CONV_WEIGHTS_X, LAMINA_CONV_WEIGHTS_DY, LAMINA_CONV_WEIGHTS_DW };
enum { LAMINA_CONV_BIAS_DY, LAMINA_CONV_BIAS_DB };
enum { LAMINA_CONV_GATED_X = 2, LAMINA_CONV_GATED_DX }; /* relu_conv/backward_data, after dy and w */

/* How many positions a filter has along spatial axis `a` of argument x, or why there are none. */
lamina_status lamina_conv_output(const lamina_problem *p, int x, int w, int a, int64_t filter, const lamina_conv *conv,
                                 int64_t *y);

/* In three dimensions: smaller problems have axes of size 1 in front. */
typedef struct lamina_conv_sizes {
  int64_t C, K, groups;        /* channels of the input, filters */
  int64_t N, x[3], w[3], y[3]; /* batch; spatial sizes of input, filter and output */
  int64_t stride[3], dilation[3], pad[3];
  bool flip;
} lamina_conv_sizes;

lamina_conv_sizes lamina_conv_sizes_of(const lamina_conv *conv, const lamina_desc *x, const lamina_desc *w,
                                       const lamina_desc *y);
/* Element `index` of y from x and w, of dx from dy and w, of dw from x and dy, added to *e; q is a sum of squares yet. */
void lamina_conv_sum_forward(const lamina_conv_sizes *s, const double *x, const double *w, int64_t index,
                             lamina_expected *e);
void lamina_conv_sum_data(const lamina_conv_sizes *s, const double *dy, const double *w, int64_t index,
                          lamina_expected *e);
void lamina_conv_sum_weights(const lamina_conv_sizes *s, const double *x, const double *dy, int64_t index,
                             lamina_expected *e);

void lamina_conv_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_conv_backward_data_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_conv_backward_weights_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_conv_backward_bias_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_conv_relu_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_relu_conv_backward_data_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);

#endif
