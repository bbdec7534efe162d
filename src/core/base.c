/* Host memory, checked arithmetic and text. */
#include "core/base.h"

#include <stdio.h>
#include <stdlib.h>

static void *malloc_alloc(void *user, size_t size, size_t align) {
  (void)user;
  return size > SIZE_MAX - align ? NULL : aligned_alloc(align, lamina_align_up(size, align));
}

static void malloc_free(void *user, void *memory, size_t size) {
  (void)user, (void)size;
  free(memory);
}

const lamina_allocator lamina_malloc = {malloc_alloc, malloc_free, NULL};

lamina_status lamina_allocator_check(const lamina_allocator *allocator, const char *who) {
  if (!allocator || (allocator->alloc && allocator->free)) return LAMINA_OK;
  return lamina_error(LAMINA_INVALID, "%s: allocator has no function %s", who, allocator->alloc ? "free" : "alloc");
}

/* A block of lamina_alloc:  [ size | padding to 64 ][ the caller's bytes ]  so that free knows the size. */
enum { HEADER = 64 };

void *lamina_alloc(const lamina_allocator *allocator, size_t size) {
  if (!allocator) allocator = &lamina_malloc;
  char *block = size > SIZE_MAX - 2 * HEADER ? NULL : allocator->alloc(allocator->user, size + HEADER, HEADER);
  if (!block) {
    (void)lamina_error(LAMINA_OUT_OF_MEMORY, "out of memory: %zu bytes of host memory were wanted", size);
    return NULL;
  }
  memcpy(block, &size, sizeof size);
  return block + HEADER;
}

void *lamina_alloc_zero(const lamina_allocator *allocator, size_t size) {
  void *memory = lamina_alloc(allocator, size);
  if (memory) memset(memory, 0, size);
  return memory;
}

void *lamina_grow(const lamina_allocator *allocator, void *memory, size_t size) {
  void *grown = lamina_alloc(allocator, size);
  if (grown && memory) {
    size_t old;
    memcpy(&old, (char *)memory - HEADER, sizeof old);
    memcpy(grown, memory, old < size ? old : size);
    lamina_free(allocator, memory);
  }
  return grown;
}

void lamina_free(const lamina_allocator *allocator, void *memory) {
  if (!memory) return;
  if (!allocator) allocator = &lamina_malloc;
  char *block = (char *)memory - HEADER;
  size_t size;
  memcpy(&size, block, sizeof size);
  allocator->free(allocator->user, block, size + HEADER);
}

char *lamina_copy_text(const lamina_allocator *allocator, const char *text) {
  const size_t size = strlen(text) + 1;
  char *copy = lamina_alloc(allocator, size);
  if (copy) memcpy(copy, text, size);
  return copy;
}

bool lamina_mul(int64_t a, int64_t b, int64_t *product) {
  return a >= 0 && b >= 0 && !__builtin_mul_overflow(a, b, product);
}

bool lamina_sum(int64_t a, int64_t b, int64_t *sum) { return !__builtin_add_overflow(a, b, sum); }

void lamina_append(char *buffer, size_t size, const char *format, ...) {
  const size_t used = strlen(buffer);
  if (used + 1 >= size) return;
  va_list list;
  va_start(list, format);
  vsnprintf(buffer + used, size - used, format, list);
  va_end(list);
}

/* Levenshtein's distance with one row of the table; texts over 63 characters count as far. */
static size_t edits(const char *a, const char *b) {
  const size_t n = strlen(a), m = strlen(b);
  if (n > 63 || m > 63) return SIZE_MAX;
  size_t row[64];
  for (size_t j = 0; j <= m; j++) row[j] = j;
  for (size_t i = 1; i <= n; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= m; j++) {
      size_t best = diagonal + (a[i - 1] != b[j - 1]);
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      diagonal = row[j];
      row[j] = best;
    }
  }
  return row[m];
}

const char *lamina_nearest(const char *text, const char *const *choices) {
  const char *nearest = NULL;
  size_t least = 1 + strlen(text) / 3; /* one slip for each three letters, and one for free */
  for (; *choices; choices++) {
    const size_t distance = edits(text, *choices);
    if (distance <= least && (!nearest || distance < least)) nearest = *choices, least = distance;
  }
  return nearest;
}
