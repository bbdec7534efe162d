/* Softmax and log-softmax along an axis, as lamina/softmax.h says. */
#ifndef KERNEL_SOFTMAX_H
#define KERNEL_SOFTMAX_H

#include "classes.h"

/* x, y: [N, C, S]; y may be x. */
KERNEL_API int kernel_softmax_forward(kernel_classes k, bool logarithm, kernel_array x, kernel_array y,
                                      kernel_stream stream);
/* y, dy, dx: [N, C, S]; dx may be dy. */
KERNEL_API int kernel_softmax_backward(kernel_classes k, bool logarithm, kernel_array y, kernel_array dy,
                                       kernel_array dx, kernel_stream stream);

#endif
