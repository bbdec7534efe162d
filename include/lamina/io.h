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

/* ---- safetensors: named tensors and notes (github.com/huggingface/safetensors, "Format") --------------------------
 *
 * Ours carry two notes more, "lamina.version" and "lamina.crc32": a checksum (zlib's CRC-32) of every name, type, shape
 * and note and of all data, so that a file that was cut or altered is told from a whole one. Other programs ignore
 * them; files of other programs, without them, are read as well. */

typedef struct lamina_safetensors_writer lamina_safetensors_writer;

/** Starts a file; what can't be written is said here already. End it with commit or abandon. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_safetensors_create(const char *path, const lamina_allocator *allocator,
                                                                    lamina_safetensors_writer **writer);
/** Adds a host tensor of any strides; it is written in row-major order. The name (UTF-8) is copied; the data is read by
 *  lamina_safetensors_commit, so it must stay until then. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_safetensors_add(lamina_safetensors_writer *writer, const char *name,
                                                                 const lamina_tensor *tensor);
/** Adds a note (a pair of the format's __metadata__); both texts are UTF-8 and copied. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_safetensors_note(lamina_safetensors_writer *writer, const char *key,
                                                                  const char *value);
/** Writes everything and replaces the old file. Frees the writer whatever comes of it. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_safetensors_commit(lamina_safetensors_writer *writer);
/** Frees the writer; the old file stays. NULL is fine. */
LAMINA_API void lamina_safetensors_abandon(lamina_safetensors_writer *writer);

typedef struct lamina_safetensors lamina_safetensors;

/** Opens and checks a file: bounds, types, shapes, offsets without holes or overlaps, and the checksum where it has one
 *  (that reads the whole file once). CORRUPT names the tensor and the field. Several threads may read from one. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_safetensors_open(const char *path, const lamina_allocator *allocator,
                                                                  lamina_safetensors **file);
LAMINA_API void lamina_safetensors_close(lamina_safetensors *file);
/** Number of tensors; they are in the order of their names. */
LAMINA_API int lamina_safetensors_count(const lamina_safetensors *file);
LAMINA_API const char *lamina_safetensors_name(const lamina_safetensors *file, int index);
/** Dense. dtype LAMINA_NONE: a type of the format that Lamina doesn't have. */
LAMINA_API const lamina_desc *lamina_safetensors_desc(const lamina_safetensors *file, int index);
/** Index of the tensor named so; -1 when there is none. */
LAMINA_API int lamina_safetensors_find(const lamina_safetensors *file, const char *name);
/** The value of a note; NULL when there is none. */
LAMINA_API const char *lamina_safetensors_value(const lamina_safetensors *file, const char *key);
/** Reads a tensor into a host tensor of the same shape, any strides; floating types may differ and are rounded. INVALID
 *  where shapes or types don't fit. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_safetensors_read(const lamina_safetensors *file, int index,
                                                                  const lamina_tensor *to);

#ifdef __cplusplus
}
#endif
#endif
