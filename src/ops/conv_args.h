/* The arguments of a convolution's passes, which transposed and local convolutions share, name by name. */
#ifndef LAMINA_OPS_CONV_ARGS_H
#define LAMINA_OPS_CONV_ARGS_H

#include "core/base.h"

static const lamina_arg_def forward_args[] = {{"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                              {"w", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                              {"b", LAMINA_IN, true, LAMINA_FLOATING, NULL},
                                              {"y", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                              {0}};
static const lamina_arg_def backward_data_args[] = {{"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                    {"w", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                    {"dx", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                                    {0}};
static const lamina_arg_def backward_weights_args[] = {{"x", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                       {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL},
                                                       {"dw", LAMINA_OUT, false, LAMINA_FLOATING, NULL},
                                                       {0}};
static const lamina_arg_def backward_bias_args[] = {
    {"dy", LAMINA_IN, false, LAMINA_FLOATING, NULL}, {"db", LAMINA_OUT, false, LAMINA_FLOATING, NULL}, {0}};

#endif
