/* Status names and the thread's error sentence. */
#include <stdbool.h>
#include <stdio.h>

#include "core/base.h"

static _Thread_local char last_error[2048];

const char *lamina_status_name(lamina_status status) {
  switch (status) {
#define X(name, meaning)                                                                                               \
  case LAMINA_##name: return #name;
    LAMINA_STATUS_MAP(X)
#undef X
  }
  return "?";
}

const char *lamina_status_meaning(lamina_status status) {
  switch (status) {
#define X(name, meaning)                                                                                               \
  case LAMINA_##name: return meaning;
    LAMINA_STATUS_MAP(X)
#undef X
  }
  return "?";
}

const char *lamina_last_error(void) { return last_error; }

/* Names in a sentence may be anybody's: what would command a terminal, and bytes that are no UTF-8, become "?". */
static void make_readable(char *text) {
  for (unsigned char *p = (unsigned char *)text; *p;) {
    const unsigned char c = *p;
    int more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xf0 && c < 0xf5 ? 3 : -1;
    for (int i = 1; i <= more; i++)
      if ((p[i] & 0xc0) != 0x80) more = -1;
    const bool control = c == 0x7f || (c < 0x20 && c != '\n' && c != '\t') || (c == 0xc2 && p[1] < 0xa0);
    if (control || more < 0) *p = '?', more = 0;
    p += more + 1;
  }
}

lamina_status lamina_error(lamina_status status, const char *format, ...) {
  char text[sizeof last_error]; /* the arguments may point into last_error */
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format ? format : "", list);
  va_end(list);
  make_readable(text);
  memcpy(last_error, text, strlen(text) + 1);
  return status;
}

lamina_status lamina_error_at(lamina_status status, const char *format, ...) {
  char text[sizeof last_error];
  va_list list;
  va_start(list, format);
  const int length = vsnprintf(text, sizeof text, format, list);
  va_end(list);
  if (length >= 0 && (size_t)length < sizeof text) lamina_append(text, sizeof text, "%s", last_error);
  memcpy(last_error, text, strlen(text) + 1);
  return status;
}
