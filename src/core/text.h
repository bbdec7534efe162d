/* Text that grows, and numbers whose form doesn't depend on the host program's locale.
 *
 * A lamina_text remembers the first failure, so a writer appends without looking and asks once, at the end. */
#ifndef LAMINA_CORE_TEXT_H
#define LAMINA_CORE_TEXT_H

#include "core/base.h"

#ifdef __cplusplus /* for tests */
extern "C" {
#endif

typedef struct lamina_text {
  const lamina_allocator *allocator; /* NULL: malloc */
  char *data;                        /* NUL-terminated; NULL while nothing was appended */
  size_t used, size;                 /* bytes without the NUL; bytes allocated */
  bool failed;                       /* memory ran out; later appends do nothing */
} lamina_text;

void lamina_text_add(lamina_text *text, const void *bytes, size_t size);
void lamina_text_put(lamina_text *text, const char *string);
/* With a decimal point whatever the locale. */
void lamina_text_print(lamina_text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The shortest decimal number that reads back as `value`; "nan", "inf" and "-inf" for those. */
void lamina_text_real(lamina_text *text, double value);
/* The axes of a SET attribute, with `between` between them: "1,-1". */
void lamina_text_axes(lamina_text *text, int64_t set, const char *between);
/* As a JSON string with its quotes. Bytes that are no UTF-8 become U+FFFD. */
void lamina_text_json(lamina_text *text, const char *string);
/* As XML text or attribute value. Bytes that are no UTF-8 and control characters become U+FFFD. */
void lamina_text_xml(lamina_text *text, const char *string);
void lamina_text_clear(lamina_text *text);
void lamina_text_free(lamina_text *text);
/* OUT_OF_MEMORY when an append failed. */
LAMINA_NODISCARD lamina_status lamina_text_status(const lamina_text *text);

/* Length of the UTF-8 sequence at `bytes` (1 … 4), or 0 when the first of the `size` bytes begins none: overlong forms,
 * surrogates and what lies past U+10FFFF are none. */
size_t lamina_utf8(const char *bytes, size_t size);
bool lamina_is_utf8(const char *text);

/* snprintf with a decimal point whatever the locale. */
int lamina_format(char *buffer, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A whole text as a number, with a decimal point whatever the locale; false where anything else is in it, or where it
 * doesn't fit. lamina_read_real takes decimal numbers only (no hexadecimal, no "inf" or "nan"). */
bool lamina_read_int(const char *text, int64_t *value);
bool lamina_read_real(const char *text, double *value);

#ifdef __cplusplus
}
#endif

#endif
