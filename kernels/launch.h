/* What all launchers share. kernels/FAMILY.h declares the launchers of kernels/FAMILY.cu in C, with plain structs and
 * raw pointers to device memory; nothing here knows Lamina.
 *
 * A launcher queues its kernels on `stream` and returns at once; it returns a cudaError_t, 0 where all were queued. It
 * takes any sizes that its struct allows, 0 excepted, and any addresses that its element types allow. */
#ifndef KERNEL_LAUNCH_H
#define KERNEL_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define KERNEL_API extern "C"
#else
#define KERNEL_API
#endif

/* A cudaStream_t. */
typedef struct CUstream_st *kernel_stream;

/* How floating elements are stored; kernels compute in f32. */
typedef enum kernel_type { KERNEL_F32, KERNEL_BF16, KERNEL_F16 } kernel_type;

/* As many axes as a tensor may have. */
enum { KERNEL_MAX_RANK = 8 };

#endif
