/* What every file of the library may use: errors, host memory, checked sizes. */
#ifndef LAMINA_CORE_BASE_H
#define LAMINA_CORE_BASE_H

#include <stdarg.h>
#include <string.h>

#include "lamina/engine.h"

#ifdef __cplusplus /* for tests */
extern "C" {
#endif

/* Returns from the function when the call fails; for functions that hold nothing. */
#define LAMINA_TRY(call)                                                                                               \
  do {                                                                                                                 \
    const lamina_status try_status = (call);                                                                           \
    if (try_status != LAMINA_OK) return try_status;                                                                    \
  } while (0)

/* At a public function's border: INVALID, naming function and argument, where that is NULL. */
#define LAMINA_NOT_NULL(argument, name)                                                                                \
  do {                                                                                                                 \
    if (!(argument)) return lamina_error(LAMINA_INVALID, "%s: %s is NULL", __func__, name);                            \
  } while (0)

#define LAMINA_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* INVALID, naming the function `who`, for an allocator without one of its functions; NULL is fine. */
lamina_status lamina_allocator_check(const lamina_allocator *allocator, const char *who);

/* malloc behind the allocator's interface. */
extern const lamina_allocator lamina_malloc;

/* Host memory from `allocator` (NULL: malloc), 64-byte aligned, not cleared; NULL when there is none left, with the
 * error sentence set. lamina_free takes what these return, or NULL. */
void *lamina_alloc(const lamina_allocator *allocator, size_t size);
void *lamina_alloc_zero(const lamina_allocator *allocator, size_t size);
/* Grows to `size` bytes, keeping the content; on failure the old block stays and NULL returns. */
void *lamina_grow(const lamina_allocator *allocator, void *memory, size_t size);
void lamina_free(const lamina_allocator *allocator, void *memory);
char *lamina_copy_text(const lamina_allocator *allocator, const char *text);

/* a * b and a + b, false on overflow or a negative factor. */
bool lamina_mul(int64_t a, int64_t b, int64_t *product);
bool lamina_sum(int64_t a, int64_t b, int64_t *sum);

static inline size_t lamina_align_up(size_t size, size_t align) { return (size + align - 1) / align * align; }

/* Appends to a NUL-terminated buffer; cuts when it is full. */
void lamina_append(char *buffer, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* What follows a shape's dims: "/STRIDES" where they say something, "_AXISxSIZE" for each block, "_any"; "" for a dense
 * one. The rank is 0 … LAMINA_MAX_RANK. */
void lamina_layout_text(const lamina_desc *desc, char *buffer, size_t size);

/* Of `choices` (NULL-terminated) the one nearest to `text` by edits; NULL when none is near enough to be meant. */
const char *lamina_nearest(const char *text, const char *const *choices);

/* Prefixes the current error sentence: "layer 3 (conv): " + what was said. Returns status. */
lamina_status lamina_error_at(lamina_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif

#endif
