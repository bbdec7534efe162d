/* One JSON object after the other, each built call by call. */
#include <math.h>

#include "core/text.h"
#include "lamina/io.h"

enum { DEPTH = 16 };

struct lamina_json {
  lamina_allocator allocator;
  lamina_text text;
  char closing[DEPTH]; /* '}' or ']' of what is open; [0] is the object of the line */
  int depth;           /* 0: the next call starts a line */
  bool misused;
};

lamina_status lamina_json_open(const lamina_allocator *allocator, lamina_json **json) {
  LAMINA_NOT_NULL(json, "json");
  *json = NULL;
  LAMINA_TRY(lamina_allocator_check(allocator, __func__));
  *json = lamina_alloc_zero(allocator, sizeof **json);
  if (!*json) return LAMINA_OUT_OF_MEMORY;
  (*json)->allocator = allocator ? *allocator : lamina_malloc;
  (*json)->text.allocator = &(*json)->allocator;
  return LAMINA_OK;
}

void lamina_json_close(lamina_json *json) {
  if (!json) return;
  const lamina_allocator allocator = json->allocator;
  lamina_text_free(&json->text);
  lamina_free(&allocator, json);
}

static void open_bracket(lamina_json *json, char opening, char closing) {
  if (json->depth == DEPTH) {
    json->misused = true;
    return;
  }
  lamina_text_add(&json->text, &opening, 1);
  json->closing[json->depth++] = closing;
}

static void start(lamina_json *json) {
  if (json->depth) return;
  lamina_text_clear(&json->text);
  json->misused = false;
  open_bracket(json, '{', '}');
}

/* What comes before a value: comma and key. */
static void begin(lamina_json *json, const char *key) {
  start(json);
  const bool object = json->closing[json->depth - 1] == '}';
  if (object != (key != NULL)) json->misused = true;
  const char before = json->text.used ? json->text.data[json->text.used - 1] : 0;
  if (before != '{' && before != '[') lamina_text_put(&json->text, ",");
  if (!object || !key) return;
  lamina_text_json(&json->text, key);
  lamina_text_put(&json->text, ":");
}

void lamina_json_text(lamina_json *json, const char *key, const char *value) {
  if (!json) return;
  begin(json, key);
  if (value)
    lamina_text_json(&json->text, value);
  else
    lamina_text_put(&json->text, "null");
}

void lamina_json_int(lamina_json *json, const char *key, int64_t value) {
  if (!json) return;
  begin(json, key);
  lamina_text_print(&json->text, "%lld", (long long)value);
}

void lamina_json_real(lamina_json *json, const char *key, double value) {
  if (!json) return;
  begin(json, key);
  if (isfinite(value))
    lamina_text_real(&json->text, value);
  else
    lamina_text_put(&json->text, "null");
}

void lamina_json_bool(lamina_json *json, const char *key, bool value) {
  if (!json) return;
  begin(json, key);
  lamina_text_put(&json->text, value ? "true" : "false");
}

void lamina_json_object(lamina_json *json, const char *key) {
  if (!json) return;
  begin(json, key);
  open_bracket(json, '{', '}');
}

void lamina_json_array(lamina_json *json, const char *key) {
  if (!json) return;
  begin(json, key);
  open_bracket(json, '[', ']');
}

void lamina_json_end(lamina_json *json) {
  if (!json) return;
  start(json);
  if (json->depth == 1)
    json->misused = true; /* the line's own object is closed by lamina_json_line */
  else
    lamina_text_add(&json->text, &json->closing[--json->depth], 1);
}

lamina_status lamina_json_line(lamina_json *json, const char **line) {
  LAMINA_NOT_NULL(line, "line");
  *line = NULL;
  LAMINA_NOT_NULL(json, "json");
  start(json);
  while (json->depth) lamina_text_add(&json->text, &json->closing[--json->depth], 1);
  LAMINA_TRY(lamina_text_status(&json->text));
  if (json->misused)
    return lamina_error(LAMINA_INVALID, "JSON: keys belong in objects only, each opening has one end, at most %d deep",
                        DEPTH - 1);
  *line = json->text.data;
  return LAMINA_OK;
}
