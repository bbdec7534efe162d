/* The document tree: its memory, and what its readers ask it. */
#include "core/document.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Memory: blocks that are filled from the front and freed together ----------------------------------------------
 */

typedef struct block {
  struct block *next;
  size_t used, size; /* of what follows */
} block;

struct lamina_document {
  lamina_allocator allocator;
  block *blocks;
  lamina_node *root;
  int nodes;
};

enum { BLOCK = 32 << 10, ALIGN = 16 };
_Static_assert(sizeof(block) <= 2 * ALIGN, "a block's header fits before its bytes");

static void *take(lamina_document *document, size_t size) {
  size = lamina_align_up(size, ALIGN);
  block *b = document->blocks;
  if (!b || b->size - b->used < size) {
    const size_t room = size > BLOCK ? size : BLOCK;
    b = lamina_alloc(&document->allocator, 2 * ALIGN + room);
    if (!b) return NULL;
    *b = (block){document->blocks, 0, room};
    document->blocks = b;
  }
  void *memory = (char *)b + 2 * ALIGN + b->used;
  b->used += size;
  return memory;
}

lamina_status lamina_document_open(const lamina_allocator *allocator, lamina_document **document) {
  *document = lamina_alloc_zero(allocator, sizeof **document);
  if (!*document) return LAMINA_OUT_OF_MEMORY;
  (*document)->allocator = allocator ? *allocator : lamina_malloc;
  return LAMINA_OK;
}

void lamina_document_close(lamina_document *document) {
  if (!document) return;
  const lamina_allocator allocator = document->allocator;
  for (block *b = document->blocks, *next; b; b = next) {
    next = b->next;
    lamina_free(&allocator, b);
  }
  lamina_free(&allocator, document);
}

const char *lamina_document_copy(lamina_document *document, const char *bytes, size_t size) {
  char *copy = take(document, size + 1);
  if (!copy) return NULL;
  memcpy(copy, bytes, size);
  copy[size] = 0;
  return copy;
}

lamina_status lamina_document_node(lamina_document *document, lamina_node_kind kind, const char *source, int line,
                                   int column, lamina_node **node) {
  if (document->nodes >= LAMINA_DOCUMENT_NODES)
    return lamina_error(LAMINA_CORRUPT, "%s:%d:%d: more than %d values; expected fewer", source, line, column,
                        LAMINA_DOCUMENT_NODES);
  *node = take(document, sizeof **node);
  if (!*node) return LAMINA_OUT_OF_MEMORY;
  **node = (lamina_node){.kind = kind, .source = source, .line = line, .column = column};
  document->nodes++;
  return LAMINA_OK;
}

const lamina_node *lamina_document_root(const lamina_document *document) { return document->root; }
lamina_node *lamina_document_edit(lamina_document *document) { return document->root; }
void lamina_document_set_root(lamina_document *document, lamina_node *root) { document->root = root; }
const lamina_allocator *lamina_document_allocator(const lamina_document *document) { return &document->allocator; }

void lamina_node_append(lamina_node *parent, lamina_node *child) {
  child->parent = parent;
  child->next = NULL;
  if (parent->last)
    parent->last->next = child;
  else
    parent->first = child;
  parent->last = child;
  parent->count++;
}

static int by_key(const void *a, const void *b) {
  const lamina_node *x = *(const lamina_node *const *)a, *y = *(const lamina_node *const *)b;
  const int order = strcmp(x->key, y->key);
  if (order) return order;
  return x->key_line != y->key_line ? (x->key_line < y->key_line ? -1 : 1) : x->key_column < y->key_column ? -1 : 1;
}

lamina_status lamina_document_check_keys(lamina_document *document, const lamina_node *map) {
  if (map->count < 2) return LAMINA_OK;
  const lamina_node **sorted = lamina_alloc(&document->allocator, (size_t)map->count * sizeof *sorted);
  if (!sorted) return LAMINA_OUT_OF_MEMORY;
  lamina_status status = LAMINA_OK;
  int n = 0;
  for (const lamina_node *child = map->first; child; child = child->next) sorted[n++] = child;
  qsort(sorted, (size_t)n, sizeof *sorted, by_key);
  for (int i = 1; i < n && status == LAMINA_OK; i++) {
    const lamina_node *twice = sorted[i], *before = sorted[i - 1];
    if (strcmp(twice->key, before->key) == 0)
      status = lamina_error(LAMINA_CORRUPT, "%s:%d:%d: the key \"%.80s\" is already in line %d; expected it once",
                            twice->source, twice->key_line, twice->key_column, twice->key, before->key_line);
  }
  lamina_free(&document->allocator, sorted);
  return status;
}

/* ---- Errors --------------------------------------------------------------------------------------------------------
 */

const char *lamina_node_path(const lamina_node *node, char *buffer, size_t size) {
  const lamina_node *parent = node->parent;
  if (!parent) {
    if (size) buffer[0] = 0;
    return buffer;
  }
  lamina_node_path(parent, buffer, size);
  if (parent->kind == LAMINA_NODE_MAP) {
    lamina_append(buffer, size, "%s%s", buffer[0] ? "." : "", node->key);
  } else {
    int index = 0;
    for (const lamina_node *child = parent->first; child != node; child = child->next) index++;
    lamina_append(buffer, size, "[%d]", index);
  }
  return buffer;
}

/* `at` gives the place, of its key or its value; the path is that of `node`. */
static lamina_status error_at(const lamina_node *at, bool key, const lamina_node *node, const char *format,
                              va_list list) {
  char sentence[1024], path[512], place[48] = "";
  vsnprintf(sentence, sizeof sentence, format, list);
  lamina_node_path(node, path, sizeof path);
  key = key && at->key_line > 0;
  if (at->line > 0)
    snprintf(place, sizeof place, ":%d:%d", key ? at->key_line : at->line, key ? at->key_column : at->column);
  return lamina_error(LAMINA_INVALID, "%s%s: %s%s%s", at->source, place, path, path[0] ? ": " : "", sentence);
}

lamina_status lamina_node_error(const lamina_node *node, const char *format, ...) {
  va_list list;
  va_start(list, format);
  const lamina_status status = error_at(node, false, node, format, list);
  va_end(list);
  return status;
}

lamina_status lamina_node_key_error(const lamina_node *node, const char *format, ...) {
  va_list list;
  va_start(list, format);
  const lamina_status status = error_at(node, true, node->parent ? node->parent : node, format, list);
  va_end(list);
  return status;
}

/* "a list", "nothing", "\"abc\"": what is there instead of what was expected. */
static const char *got(const lamina_node *node, char *buffer, size_t size) {
  if (node->kind == LAMINA_NODE_LIST)
    snprintf(buffer, size, "a list");
  else if (node->kind == LAMINA_NODE_MAP)
    snprintf(buffer, size, "a map");
  else if (lamina_node_is_null(node))
    snprintf(buffer, size, "nothing");
  else
    snprintf(buffer, size, "%s\"%.80s\"", node->quoted ? "the text " : "", node->text);
  return buffer;
}

static lamina_status expected(const lamina_node *node, const char *what) {
  char buffer[128];
  return lamina_node_error(node, "expected %s, got %s", what, got(node, buffer, sizeof buffer));
}

/* "a, b or c", cut where it gets long. */
static const char *list_choices(const char *const *choices, char *buffer, size_t size) {
  buffer[0] = 0;
  for (size_t i = 0; choices[i]; i++)
    lamina_append(buffer, size, "%s%s", i == 0 ? "" : choices[i + 1] ? ", " : " or ", choices[i]);
  return buffer;
}

/* "; did you mean …?", or the whole list where nothing is near. */
static const char *hint(const char *text, const char *const *choices, char *buffer, size_t size) {
  char list[480];
  const char *nearest = lamina_nearest(text, choices);
  if (nearest)
    snprintf(buffer, size, "; did you mean \"%s\"?", nearest);
  else if (choices[0])
    snprintf(buffer, size, "; expected %s", list_choices(choices, list, sizeof list));
  else
    snprintf(buffer, size, "; expected none");
  return buffer;
}

/* ---- Lists and maps ------------------------------------------------------------------------------------------------
 */

const lamina_node *lamina_node_find(const lamina_node *node, const char *key) {
  if (node->kind != LAMINA_NODE_MAP) return NULL;
  for (const lamina_node *child = node->first; child; child = child->next)
    if (strcmp(child->key, key) == 0) return child;
  return NULL;
}

const lamina_node *lamina_node_at(const lamina_node *node, int index) {
  if (node->kind != LAMINA_NODE_LIST || index < 0) return NULL;
  const lamina_node *child = node->first;
  while (child && index--) child = child->next;
  return child;
}

bool lamina_node_is_null(const lamina_node *node) {
  return node->kind == LAMINA_NODE_SCALAR && !node->quoted &&
         (!node->text[0] || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0);
}

lamina_status lamina_node_is_list(const lamina_node *node) {
  return node->kind == LAMINA_NODE_LIST ? LAMINA_OK : expected(node, "a list");
}

lamina_status lamina_node_is_map(const lamina_node *node, const char *const *known) {
  if (lamina_node_is_null(node)) return LAMINA_OK;
  if (node->kind != LAMINA_NODE_MAP) return expected(node, "a map");
  for (const lamina_node *child = node->first; known && child; child = child->next) {
    size_t i = 0;
    while (known[i] && strcmp(known[i], child->key) != 0) i++;
    if (known[i]) continue;
    char buffer[512];
    return lamina_node_key_error(child, "unknown key \"%.80s\"%s", child->key,
                                 hint(child->key, known, buffer, sizeof buffer));
  }
  return LAMINA_OK;
}

lamina_status lamina_node_need(const lamina_node *node, const char *key, const lamina_node **child) {
  LAMINA_TRY(lamina_node_is_map(node, NULL));
  *child = lamina_node_find(node, key);
  return *child ? LAMINA_OK : lamina_node_error(node, "the key \"%s\" is missing", key);
}

lamina_status lamina_node_named(const lamina_node *node, const char **name, const lamina_node **value) {
  if (node->kind == LAMINA_NODE_MAP && node->count == 1) {
    *name = node->first->key;
    *value = node->first;
    return LAMINA_OK;
  }
  *value = NULL;
  if (node->kind == LAMINA_NODE_SCALAR && !lamina_node_is_null(node)) return *name = node->text, LAMINA_OK;
  if (node->kind == LAMINA_NODE_MAP)
    return lamina_node_error(node, "expected a name, or a map with one key, got one with %d", node->count);
  return expected(node, "a name, or a map with one key");
}

/* ---- Scalars -------------------------------------------------------------------------------------------------------
 */

lamina_status lamina_node_text(const lamina_node *node, const char **text) {
  if (node->kind != LAMINA_NODE_SCALAR || lamina_node_is_null(node)) return expected(node, "text");
  *text = node->text;
  return LAMINA_OK;
}

static bool is_plain(const lamina_node *node) { return node->kind == LAMINA_NODE_SCALAR && !node->quoted; }

lamina_status lamina_node_bool(const lamina_node *node, bool *value) {
  const bool yes = is_plain(node) && strcmp(node->text, "true") == 0;
  if (!yes && !(is_plain(node) && strcmp(node->text, "false") == 0)) return expected(node, "true or false");
  *value = yes;
  return LAMINA_OK;
}

lamina_status lamina_node_int(const lamina_node *node, int64_t least, int64_t most, int64_t *value) {
  int64_t number;
  if (is_plain(node) && lamina_read_int(node->text, &number) && number >= least && number <= most)
    return *value = number, LAMINA_OK;
  char what[96] = "an integer";
  if (least > INT64_MIN && most < INT64_MAX)
    lamina_append(what, sizeof what, " from %lld to %lld", (long long)least, (long long)most);
  else if (least > INT64_MIN)
    lamina_append(what, sizeof what, " of at least %lld", (long long)least);
  else if (most < INT64_MAX)
    lamina_append(what, sizeof what, " of at most %lld", (long long)most);
  return expected(node, what);
}

lamina_status lamina_node_real(const lamina_node *node, double least, double most, double *value) {
  double number;
  if (is_plain(node) && lamina_read_real(node->text, &number) && number >= least && number <= most)
    return *value = number, LAMINA_OK;
  char what[96] = "a number";
  if (least > -DBL_MAX && most < DBL_MAX)
    lamina_append(what, sizeof what, " from %g to %g", least, most);
  else if (least > -DBL_MAX)
    lamina_append(what, sizeof what, " of at least %g", least);
  else if (most < DBL_MAX)
    lamina_append(what, sizeof what, " of at most %g", most);
  return expected(node, what);
}

lamina_status lamina_node_ints(const lamina_node *node, int64_t least, int64_t most, int capacity, int64_t *values,
                               int *count) {
  *count = 0;
  if (node->kind != LAMINA_NODE_LIST) {
    LAMINA_TRY(lamina_node_int(node, least, most, values));
    *count = 1;
    return LAMINA_OK;
  }
  if (node->count < 1 || node->count > capacity)
    return lamina_node_error(node, "expected 1 to %d integers, got %d", capacity, node->count);
  for (const lamina_node *child = node->first; child; child = child->next)
    LAMINA_TRY(lamina_node_int(child, least, most, &values[(*count)++]));
  return LAMINA_OK;
}

lamina_status lamina_node_choice(const lamina_node *node, const char *const *choices, int *index) {
  char buffer[512];
  if (node->kind != LAMINA_NODE_SCALAR || lamina_node_is_null(node)) {
    char list[480];
    snprintf(buffer, sizeof buffer, "one of %s", list_choices(choices, list, sizeof list));
    return expected(node, buffer);
  }
  for (int i = 0; choices[i]; i++)
    if (strcmp(choices[i], node->text) == 0) return *index = i, LAMINA_OK;
  return lamina_node_error(node, "unknown name \"%.80s\"%s", node->text,
                           hint(node->text, choices, buffer, sizeof buffer));
}
