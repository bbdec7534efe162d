/* Status names and the thread's error sentence. */
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

lamina_status lamina_error(lamina_status status, const char *format, ...) {
  char text[sizeof last_error]; /* the arguments may point into last_error */
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format ? format : "", list);
  va_end(list);
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
