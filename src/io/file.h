/* Files: read whole, and written so that the old file stays until the new one is safe on the disk. */
#ifndef LAMINA_IO_FILE_H
#define LAMINA_IO_FILE_H

#include "core/base.h"

/* The whole file, NUL-terminated; free with lamina_free. IO where it can't be read, CORRUPT where it has more than
 * `most` bytes. */
LAMINA_NODISCARD lamina_status lamina_file_read(const char *path, size_t most, const lamina_allocator *allocator,
                                                char **data, size_t *size);
/* Opens a regular file for reading and gives its size. */
LAMINA_NODISCARD lamina_status lamina_file_open(const char *path, int *descriptor, int64_t *size);
/* Reads exactly `size` bytes from `offset`; CORRUPT where the file ends before. */
LAMINA_NODISCARD lamina_status lamina_file_read_at(int descriptor, const char *path, int64_t offset, void *data,
                                                   size_t size);

/* A file that is being written: PATH.tmp beside it, locked, until lamina_file_commit renames it. A path that names a
 * device or a pipe is written to as it is. */
typedef struct lamina_file {
  lamina_allocator allocator;
  char *path, *temporary; /* temporary NULL: `path` itself is open, it is a device or a pipe */
  char *buffer;
  size_t used;
  int descriptor;
  int error; /* errno of the first write that failed; later ones do nothing */
} lamina_file;

LAMINA_NODISCARD lamina_status lamina_file_create(const char *path, const lamina_allocator *allocator,
                                                  lamina_file *file);
/* The same, but waits until another writer of this path is done, which should be soon: for those who put back what they
 * have read since. */
LAMINA_NODISCARD lamina_status lamina_file_replace(const char *path, const lamina_allocator *allocator,
                                                   lamina_file *file);
/* Appends; a failure shows in lamina_file_commit. */
void lamina_file_write(lamina_file *file, const void *data, size_t size);
/* Overwrites what was written before at `offset`. */
void lamina_file_rewrite(lamina_file *file, int64_t offset, const void *data, size_t size);
/* Writes, syncs, renames, syncs the folder. Whatever comes of it, the file is closed and nothing half-written stays. */
LAMINA_NODISCARD lamina_status lamina_file_commit(lamina_file *file);
void lamina_file_abandon(lamina_file *file);
LAMINA_NODISCARD lamina_status lamina_file_write_whole(const char *path, const void *data, size_t size,
                                                       const lamina_allocator *allocator);

/* Elements of a host tensor in row-major order, `put` called with dense runs of them; `dtype` is what they become. */
typedef void lamina_put_fn(void *context, const void *data, size_t size);
void lamina_put_tensor(const lamina_tensor *tensor, lamina_dtype dtype, lamina_put_fn *put, void *context);
/* INVALID unless `tensor` is a valid host tensor with data. `name` begins the sentence. */
LAMINA_NODISCARD lamina_status lamina_check_host_tensor(const char *name, const lamina_tensor *tensor);

#endif
