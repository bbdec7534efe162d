/* Files: tensors as NPY and safetensors, charts, JSON for machines.
 *
 * What is written replaces the old file only when it is whole and on the disk: it is made as PATH.tmp beside it,
 * synced and renamed, and the folder is synced. A failure leaves the old file as it was. A link is followed; a device
 * or pipe is written to as it is.
 *
 * `allocator` may be NULL for malloc. Everything here works on host memory and blocks until it is done. Nothing is
 * shared between calls, so they may run in many threads; one object from one thread at a time. Errors: IO (path and the
 * system's reason), CORRUPT (path, place, what was expected), OUT_OF_MEMORY, INVALID. */
#ifndef LAMINA_IO_H
#define LAMINA_IO_H

#include "lamina/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- NPY: one array a file (numpy.lib.format, versions 1.0, 2.0 and 3.0) -------------------------------------------
 */

/** Reads a whole file. Types f2 f4 f8 i4 i8 u1, little-endian; any order of axes: an array in Fortran order gets the
 *  strides of it. Rank up to LAMINA_MAX_RANK. Free tensor->data with lamina_npy_free. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_npy_read(const char *path, const lamina_allocator *allocator,
                                                          lamina_tensor *tensor);
/** Frees what lamina_npy_read returned, with the same allocator. */
LAMINA_API void lamina_npy_free(const lamina_allocator *allocator, lamina_tensor *tensor);
/** Writes any host tensor in C order, version 1.0. NPY has no bf16: it is widened to f4, without loss. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_npy_write(const char *path, const lamina_tensor *tensor,
                                                           const lamina_allocator *allocator);

#ifdef __cplusplus
}
#endif
#endif
