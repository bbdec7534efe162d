/* Found before the toolkit's. Types and declarations are the toolkit's own, so that they can't drift: a definition of
 * ours that differs doesn't compile, and a function that isn't modelled is an undefined reference. */
#pragma once
#pragma GCC system_header
#include_next <cuda_runtime.h>
#ifdef __cplusplus
#include "emulated_launch.h"
#endif
