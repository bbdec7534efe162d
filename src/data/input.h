/* Input files: plain or packed by gzip, told apart by content, read alike. */
#ifndef LAMINA_DATA_INPUT_H
#define LAMINA_DATA_INPUT_H

#include "core/base.h"

typedef struct lamina_unpacker lamina_unpacker;

typedef struct lamina_input {
  const char *path; /* the caller's, for error sentences; every error of a call below names it */
  int fd;
  int64_t size;              /* on disk */
  int64_t most;              /* bytes that reading can bring at most: size, or what deflate could pack into it */
  lamina_unpacker *unpacker; /* NULL: plain */
  const lamina_allocator *allocator;
} lamina_input;

/* Opens a regular file. IO, OUT_OF_MEMORY. */
lamina_status lamina_input_open(const char *path, const lamina_allocator *allocator, lamina_input *file);
void lamina_input_close(lamina_input *file);

/* The next n bytes, fewer only where the content ends: *got tells. CORRUPT where gzip's data is damaged or cut; its CRC
 * has been checked when *got < n comes back. */
lamina_status lamina_input_read(lamina_input *file, void *to, int64_t n, int64_t *got);

/* Bytes offset … offset + n - 1 of a plain file, from any thread; IO where it has become shorter. */
lamina_status lamina_input_read_at(int fd, const char *path, int64_t offset, void *to, int64_t n);

#endif
