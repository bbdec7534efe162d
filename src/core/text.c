/* Growing text and numbers in the C locale. */
#include "core/text.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Makes room for `more` bytes and a NUL. */
static bool reserve(lamina_text *text, size_t more) {
  if (text->failed) return false;
  if (more > SIZE_MAX / 4 - text->used) return !(text->failed = true);
  const size_t need = text->used + more + 1;
  if (need <= text->size) return true;
  size_t size = text->size ? text->size : 256;
  while (size < need) size *= 2;
  char *data = lamina_grow(text->allocator, text->data, size);
  if (!data) return !(text->failed = true);
  text->data = data, text->size = size;
  return true;
}

void lamina_text_add(lamina_text *text, const void *bytes, size_t size) {
  if (!reserve(text, size)) return;
  if (size) memcpy(text->data + text->used, bytes, size);
  text->used += size;
  text->data[text->used] = 0;
}

void lamina_text_put(lamina_text *text, const char *string) { lamina_text_add(text, string, strlen(string)); }

/* Between these two the thread's numbers have a point. */
static locale_t enter_c(locale_t *host) {
  const locale_t c = newlocale(LC_ALL_MASK, "C", NULL);
  *host = c ? uselocale(c) : NULL;
  return c;
}

static void leave_c(locale_t c, locale_t host) {
  if (!c) return;
  uselocale(host);
  freelocale(c);
}

int lamina_format(char *buffer, size_t size, const char *format, ...) {
  locale_t host;
  const locale_t c = enter_c(&host);
  va_list list;
  va_start(list, format);
  const int length = vsnprintf(buffer, size, format, list);
  va_end(list);
  leave_c(c, host);
  return length;
}

void lamina_text_print(lamina_text *text, const char *format, ...) {
  locale_t host;
  const locale_t c = enter_c(&host);
  va_list list, again;
  va_start(list, format);
  va_copy(again, list);
  const int length = vsnprintf(NULL, 0, format, list);
  if (length < 0)
    text->failed = true;
  else if (reserve(text, (size_t)length)) {
    vsnprintf(text->data + text->used, (size_t)length + 1, format, again);
    text->used += (size_t)length;
  }
  va_end(again);
  va_end(list);
  leave_c(c, host);
}

void lamina_text_real(lamina_text *text, double value) {
  const size_t start = text->used;
  for (int digits = 15; digits <= 17; digits++) {
    double back;
    text->used = start;
    lamina_text_print(text, "%.*g", digits, value);
    if (text->failed || !isfinite(value) || (lamina_read_real(text->data + start, &back) && !(back != value))) return;
  }
}

void lamina_text_axes(lamina_text *text, int64_t set, const char *between) {
  bool any = false;
  for (int bit = 0; bit < 16; bit++) {
    if (!((uint64_t)set >> bit & 1)) continue;
    lamina_text_print(text, "%s%d", any ? between : "", bit < 8 ? bit : bit - 16);
    any = true;
  }
}

void lamina_text_json(lamina_text *text, const char *string) {
  const size_t size = strlen(string);
  lamina_text_put(text, "\"");
  for (size_t i = 0, n; i < size; i += n) {
    const unsigned char c = (unsigned char)string[i];
    n = lamina_utf8(string + i, size - i);
    if (!n)
      n = 1, lamina_text_put(text, "\xEF\xBF\xBD");
    else if (c == '"' || c == '\\')
      lamina_text_print(text, "\\%c", c);
    else if (c == '\n')
      lamina_text_put(text, "\\n");
    else if (c == '\t')
      lamina_text_put(text, "\\t");
    else if (c < 0x20 || c == 0x7F)
      lamina_text_print(text, "\\u%04x", c);
    else
      lamina_text_add(text, string + i, n);
  }
  lamina_text_put(text, "\"");
}

void lamina_text_xml(lamina_text *text, const char *string) {
  const size_t size = strlen(string);
  for (size_t i = 0, n; i < size; i += n) {
    const unsigned char c = (unsigned char)string[i];
    n = lamina_utf8(string + i, size - i);
    const bool bad = !n || (c < 0x20 && c != '\n' && c != '\t') || c == 0x7F;
    if (!n) n = 1;
    if (bad)
      lamina_text_put(text, "\xEF\xBF\xBD");
    else if (c == '&')
      lamina_text_put(text, "&amp;");
    else if (c == '<')
      lamina_text_put(text, "&lt;");
    else if (c == '>')
      lamina_text_put(text, "&gt;");
    else if (c == '"')
      lamina_text_put(text, "&quot;");
    else
      lamina_text_add(text, string + i, n);
  }
}

void lamina_text_clear(lamina_text *text) {
  text->used = 0;
  text->failed = false;
  if (text->data) text->data[0] = 0;
}

void lamina_text_free(lamina_text *text) {
  lamina_free(text->allocator, text->data);
  *text = (lamina_text){.allocator = text->allocator};
}

lamina_status lamina_text_status(const lamina_text *text) {
  if (!text->failed) return LAMINA_OK;
  return lamina_error(LAMINA_OUT_OF_MEMORY, "out of memory: a text of %zu bytes could not grow", text->used);
}

/* The Unicode standard, table 3-7: well-formed UTF-8 byte sequences. */
size_t lamina_utf8(const char *bytes, size_t size) {
  const unsigned char *b = (const unsigned char *)bytes;
  if (!size) return 0;
  if (b[0] < 0x80) return 1;
  const size_t n = b[0] >= 0xC2 && b[0] <= 0xDF ? 2 : (b[0] & 0xF0) == 0xE0 ? 3 : b[0] >= 0xF0 && b[0] <= 0xF4 ? 4 : 0;
  if (!n || n > size) return 0;
  const unsigned least = b[0] == 0xE0 ? 0xA0 : b[0] == 0xF0 ? 0x90 : 0x80;
  const unsigned most = b[0] == 0xED ? 0x9F : b[0] == 0xF4 ? 0x8F : 0xBF;
  if (b[1] < least || b[1] > most) return 0;
  for (size_t i = 2; i < n; i++)
    if ((b[i] & 0xC0) != 0x80) return 0;
  return n;
}

bool lamina_is_utf8(const char *text) {
  for (size_t n, left = strlen(text); left; text += n, left -= n)
    if (!(n = lamina_utf8(text, left))) return false;
  return true;
}

bool lamina_read_int(const char *text, int64_t *value) {
  const char *digits = text + (*text == '-' || *text == '+');
  if (!*digits || digits[strspn(digits, "0123456789")]) return false;
  errno = 0;
  const long long number = strtoll(text, NULL, 10);
  if (errno) return false;
  *value = number;
  return true;
}

bool lamina_read_real(const char *text, double *value) {
  if (!*text || text[strspn(text, "0123456789+-.eE")]) return false;
  const locale_t c = newlocale(LC_ALL_MASK, "C", NULL);
  if (!c) return false;
  char *end;
  const double number = strtod_l(text, &end, c);
  freelocale(c);
  if (*end || end == text || isinf(number)) return false;
  *value = number;
  return true;
}
