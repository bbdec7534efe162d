/* A convolution as a sparse matrix in compressed rows, as lamina/conv.h says. */
#ifndef KERNEL_CONV_MATRIX_H
#define KERNEL_CONV_MATRIX_H

#include "conv.h"

typedef struct kernel_conv_matrix {
  kernel_conv c;                /* one image; its type is not looked at */
  size_t size;                  /* of an element of w and values: 1, 2, 4, 8 */
  int64_t each;                 /* entries of a filter */
  bool wide_columns, wide_rows; /* i64, else i32 */
} kernel_conv_matrix;

/* w [K, C/groups, w…], values and columns [K*each], rows [K*y… + 1]. */
KERNEL_API int kernel_conv_matrix_of(const kernel_conv_matrix *m, const void *w, void *values, void *columns,
                                     void *rows, kernel_stream stream);

#endif
