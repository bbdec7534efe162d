/* YAML through libyaml's events: into a document, out of one, and one value of it changed.
 *
 * libyaml takes its memory from malloc while it parses; the document is the allocator's. */
#include <stdio.h>
#include <yaml.h>

#include "core/document.h"
#include "io/file.h"

/* ---- Parsing -------------------------------------------------------------------------------------------------------
 */

typedef struct reader {
  lamina_document *document;
  const char *source;
  const char *text;
  size_t size;
  bool placed; /* nodes have a line and column; the value of an override has none that a user would know */
  lamina_node *stack[LAMINA_DOCUMENT_DEPTH]; /* the lists and maps that are open */
  int depth, outer;                          /* `outer`: how deep the root itself will lie */
  lamina_node *root;
  const char *key; /* of the map on top of the stack: read, its value still to come */
  int key_line, key_column;
} reader;

static lamina_status corrupt(const reader *r, const yaml_mark_t *mark, const char *sentence) {
  if (!r->placed) return lamina_error(LAMINA_CORRUPT, "%s: %s", r->source, sentence);
  return lamina_error(LAMINA_CORRUPT, "%s:%zu:%zu: %s", r->source, mark->line + 1, mark->column + 1, sentence);
}

/* What libyaml has to say. A byte that is no text comes with its offset only. */
static lamina_status parser_error(const reader *r, const yaml_parser_t *parser) {
  if (parser->error == YAML_MEMORY_ERROR)
    return lamina_error(LAMINA_OUT_OF_MEMORY, "%s: out of memory while parsing", r->source);
  const char *problem = parser->problem ? parser->problem : "this is no YAML";
  if (parser->error == YAML_READER_ERROR) {
    yaml_mark_t mark = {0};
    for (size_t i = 0; i < parser->problem_offset && i < r->size; i++) {
      if (r->text[i] == '\n')
        mark.line++, mark.column = 0;
      else
        mark.column++;
    }
    return corrupt(r, &mark, problem);
  }
  char sentence[512];
  snprintf(sentence, sizeof sentence, "%s", problem);
  if (parser->context && r->placed)
    lamina_append(sentence, sizeof sentence, " (%s that begins in line %zu)", parser->context,
                  parser->context_mark.line + 1);
  return corrupt(r, &parser->problem_mark, sentence);
}

/* Puts a new node where it belongs: root, next in a list, or the value of the key that was read. */
static lamina_status place(reader *r, lamina_node *node, const yaml_mark_t *mark) {
  lamina_node *parent = r->depth ? r->stack[r->depth - 1] : NULL;
  if (!parent) {
    r->root = node;
    return LAMINA_OK;
  }
  if (parent->kind == LAMINA_NODE_MAP) {
    if (!r->key) return corrupt(r, mark, "a list or map as a key; expected text");
    node->key = r->key;
    if (r->placed) node->key_line = r->key_line, node->key_column = r->key_column;
    r->key = NULL;
  }
  lamina_node_append(parent, node);
  return LAMINA_OK;
}

static lamina_status begin(reader *r, lamina_node_kind kind, bool flow, const yaml_mark_t *mark) {
  if (r->depth + r->outer >= LAMINA_DOCUMENT_DEPTH) {
    char sentence[96];
    snprintf(sentence, sizeof sentence, "lists and maps more than %d deep; expected fewer", LAMINA_DOCUMENT_DEPTH);
    return corrupt(r, mark, sentence);
  }
  lamina_node *node;
  const int line = r->placed ? (int)mark->line + 1 : 0;
  LAMINA_TRY(lamina_document_node(r->document, kind, r->source, line, (int)mark->column + 1, &node));
  node->flow = flow;
  LAMINA_TRY(place(r, node, mark));
  r->stack[r->depth++] = node;
  return LAMINA_OK;
}

static lamina_status scalar(reader *r, const yaml_event_t *event) {
  const yaml_mark_t *mark = &event->start_mark;
  const char *bytes = (const char *)event->data.scalar.value;
  const size_t size = event->data.scalar.length;
  if (memchr(bytes, 0, size)) return corrupt(r, mark, "a NUL character in a text");
  const char *text = lamina_document_copy(r->document, bytes, size);
  if (!text) return LAMINA_OUT_OF_MEMORY;
  const lamina_node *parent = r->depth ? r->stack[r->depth - 1] : NULL;
  if (parent && parent->kind == LAMINA_NODE_MAP && !r->key) {
    if (!size) return corrupt(r, mark, "a key without text");
    r->key = text, r->key_line = (int)mark->line + 1, r->key_column = (int)mark->column + 1;
    return LAMINA_OK;
  }
  lamina_node *node;
  const int line = r->placed ? (int)mark->line + 1 : 0;
  LAMINA_TRY(lamina_document_node(r->document, LAMINA_NODE_SCALAR, r->source, line, (int)mark->column + 1, &node));
  node->text = text;
  node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
  return place(r, node, mark);
}

static lamina_status end(reader *r) {
  const lamina_node *node = r->stack[--r->depth];
  return node->kind == LAMINA_NODE_MAP ? lamina_document_check_keys(r->document, node) : LAMINA_OK;
}

static lamina_status take_event(reader *r, const yaml_event_t *event) {
  const yaml_mark_t *mark = &event->start_mark;
  switch (event->type) {
  case YAML_DOCUMENT_START_EVENT: return r->root ? corrupt(r, mark, "a second document; expected one") : LAMINA_OK;
  case YAML_ALIAS_EVENT: return corrupt(r, mark, "aliases are not supported; write the value out");
  case YAML_SCALAR_EVENT:
    if (event->data.scalar.anchor) return corrupt(r, mark, "anchors are not supported; write the value out");
    if (event->data.scalar.tag) return corrupt(r, mark, "tags are not supported");
    return scalar(r, event);
  case YAML_SEQUENCE_START_EVENT:
    if (event->data.sequence_start.anchor) return corrupt(r, mark, "anchors are not supported; write the value out");
    if (event->data.sequence_start.tag) return corrupt(r, mark, "tags are not supported");
    return begin(r, LAMINA_NODE_LIST, event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE, mark);
  case YAML_MAPPING_START_EVENT:
    if (event->data.mapping_start.anchor) return corrupt(r, mark, "anchors are not supported; write the value out");
    if (event->data.mapping_start.tag) return corrupt(r, mark, "tags are not supported");
    return begin(r, LAMINA_NODE_MAP, event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE, mark);
  case YAML_SEQUENCE_END_EVENT:
  case YAML_MAPPING_END_EVENT: return end(r);
  default: return LAMINA_OK;
  }
}

/* Parses into r->document; the tree is left in r->root, NULL where there is no text. */
static lamina_status parse(reader *r) {
  if (r->size > LAMINA_YAML_SIZE)
    return lamina_error(LAMINA_CORRUPT, "%s: %zu bytes; expected at most %u", r->source, r->size, LAMINA_YAML_SIZE);
  yaml_parser_t parser;
  if (!yaml_parser_initialize(&parser))
    return lamina_error(LAMINA_OUT_OF_MEMORY, "%s: out of memory while parsing", r->source);
  yaml_parser_set_input_string(&parser, (const unsigned char *)r->text, r->size);
  lamina_status status = LAMINA_OK;
  for (bool done = false; !done && status == LAMINA_OK;) {
    yaml_event_t event;
    if (!yaml_parser_parse(&parser, &event)) {
      status = parser_error(r, &parser);
      break;
    }
    status = take_event(r, &event);
    done = event.type == YAML_STREAM_END_EVENT;
    yaml_event_delete(&event);
  }
  yaml_parser_delete(&parser);
  return status;
}

lamina_status lamina_yaml_parse(const char *name, const char *text, size_t size, const lamina_allocator *allocator,
                                lamina_document **document) {
  *document = NULL;
  lamina_document *d;
  LAMINA_TRY(lamina_document_open(allocator, &d));
  reader r = {.document = d, .text = text, .size = size, .placed = true};
  r.source = lamina_document_copy(d, name, strlen(name));
  lamina_status status = r.source ? parse(&r) : LAMINA_OUT_OF_MEMORY;
  if (status == LAMINA_OK && !r.root)
    status = lamina_error(LAMINA_CORRUPT, "%s: there is nothing in it; expected YAML", name);
  if (status != LAMINA_OK) return lamina_document_close(d), status;
  lamina_document_set_root(d, r.root);
  *document = d;
  return LAMINA_OK;
}

lamina_status lamina_yaml_read(const char *path, const lamina_allocator *allocator, lamina_document **document) {
  char *text;
  size_t size;
  *document = NULL;
  LAMINA_TRY(lamina_file_read(path, LAMINA_YAML_SIZE, allocator, &text, &size));
  const lamina_status status = lamina_yaml_parse(path, text, size, allocator, document);
  lamina_free(allocator, text);
  return status;
}

/* ---- Setting one value ---------------------------------------------------------------------------------------------
 */

enum { PATH = 512 };

/* Cuts the next part off a path, "net[0].conv" -> "net"; NULL at its end. */
static char *next_part(char **path) {
  char *part = *path + strspn(*path, ".[]");
  if (!*part) return NULL;
  char *end = part + strcspn(part, ".[]");
  *path = end + (*end != 0);
  *end = 0;
  return part;
}

static lamina_status no_key(const char *source, const lamina_node *map, const char *key) {
  char place[PATH];
  const char *known[257];
  int n = 0;
  for (const lamina_node *child = map->first; child && n < 256; child = child->next) known[n++] = child->key;
  known[n] = NULL;
  const char *nearest = lamina_nearest(key, known);
  lamina_node_path(map, place, sizeof place);
  char hint[PATH] = "";
  if (nearest)
    snprintf(hint, sizeof hint, "; did you mean \"%s\"?", nearest);
  else {
    snprintf(hint, sizeof hint, n ? "; there is " : "; it is empty");
    for (int i = 0; i < n; i++) lamina_append(hint, sizeof hint, "%s%s", i ? ", " : "", known[i]);
  }
  return lamina_error(LAMINA_INVALID, "%s: there is no \"%s\" in %s%s", source, key, place[0] ? place : "the file",
                      hint);
}

/* The child that a part of the path names; NULL for a key that a map lacks. */
static lamina_status step(const char *source, const lamina_node *node, const char *part, lamina_node **child) {
  char place[PATH];
  int64_t index;
  lamina_node_path(node, place, sizeof place);
  *child = NULL;
  if (node->kind == LAMINA_NODE_MAP || lamina_node_is_null(node)) {
    *child = node->first;
    while (*child && strcmp((*child)->key, part) != 0) *child = (*child)->next;
    return LAMINA_OK;
  }
  if (node->kind == LAMINA_NODE_SCALAR)
    return lamina_error(LAMINA_INVALID, "%s: %s is \"%.80s\" and has no \"%s\" in it; set %s as a whole", source, place,
                        node->text, part, place);
  if (!lamina_read_int(part, &index) || index < 0 || index >= node->count)
    return lamina_error(LAMINA_INVALID, "%s: %s is a list of %d; expected a number from 0 to %d, got \"%s\"", source,
                        place, node->count, node->count - 1, part);
  *child = node->first;
  while (index--) *child = (*child)->next;
  return LAMINA_OK;
}

/* `value` takes the place of what `node` said; its own key and neighbours stay. */
static void replace(lamina_node *node, const lamina_node *value) {
  node->kind = value->kind, node->quoted = value->quoted, node->flow = value->flow, node->count = value->count;
  node->line = value->line, node->column = value->column, node->source = value->source, node->text = value->text;
  node->first = value->first, node->last = value->last;
  for (lamina_node *child = node->first; child; child = child->next) child->parent = node;
}

/* Follows the path to the value that is to be set: *node, or where its last key is new the map and that key. */
static lamina_status walk(reader *r, char *path, lamina_node **node, const char **added) {
  char *part = next_part(&path);
  if (!part) return lamina_error(LAMINA_INVALID, "%s: there is no key before the =", r->source);
  for (; part; part = next_part(&path)) {
    lamina_node *child;
    if (*added) return no_key(r->source, *node, *added);
    LAMINA_TRY(step(r->source, *node, part, &child));
    if (child)
      *node = child;
    else
      *added = part;
    r->outer++;
  }
  return LAMINA_OK;
}

lamina_status lamina_document_set(lamina_document *document, const char *assignment) {
  const size_t length = strcspn(assignment, "=");
  char path[PATH], source[PATH];
  if (!assignment[length] || length >= sizeof path)
    return lamina_error(LAMINA_INVALID, "override \"%.200s\": expected PATH=VALUE, for example train.batch=32",
                        assignment);
  if (!lamina_is_utf8(assignment))
    return lamina_error(LAMINA_INVALID, "override \"%.200s\": expected UTF-8", assignment);
  snprintf(path, sizeof path, "%.*s", (int)length, assignment);
  snprintf(source, sizeof source, "override \"%.400s\"", assignment);
  reader r = {.document = document, .text = assignment + length + 1};
  r.size = strlen(r.text);
  r.source = lamina_document_copy(document, source, strlen(source));
  if (!r.source) return LAMINA_OUT_OF_MEMORY;

  lamina_node *node = lamina_document_edit(document);
  const char *added = NULL;
  LAMINA_TRY(walk(&r, path, &node, &added));
  LAMINA_TRY(parse(&r));
  if (!r.root) { /* nothing after the = */
    LAMINA_TRY(lamina_document_node(document, LAMINA_NODE_SCALAR, r.source, 0, 0, &r.root));
    r.root->text = "";
  }
  if (!added) {
    replace(node, r.root);
    return LAMINA_OK;
  }
  r.root->key = lamina_document_copy(document, added, strlen(added));
  if (!r.root->key) return LAMINA_OUT_OF_MEMORY;
  if (node->kind == LAMINA_NODE_SCALAR) node->kind = LAMINA_NODE_MAP, node->text = NULL; /* `conv:` with nothing */
  lamina_node_append(node, r.root);
  return LAMINA_OK;
}

/* ---- Printing ------------------------------------------------------------------------------------------------------
 */

static int append_output(void *text, unsigned char *bytes, size_t size) {
  lamina_text_add(text, bytes, size);
  return !((lamina_text *)text)->failed;
}

static bool emit_scalar(yaml_emitter_t *emitter, const char *text, bool quoted) {
  yaml_event_t event;
  if (!quoted && !*text) text = "null";
  const yaml_scalar_style_t style = quoted ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE;
  return yaml_scalar_event_initialize(&event, NULL, NULL, (const unsigned char *)text, (int)strlen(text), 1, 1,
                                      style) &&
         yaml_emitter_emit(emitter, &event);
}

static bool emit(yaml_emitter_t *emitter, const lamina_node *node) {
  yaml_event_t event;
  if (node->kind == LAMINA_NODE_SCALAR) return emit_scalar(emitter, node->text, node->quoted);
  const bool list = node->kind == LAMINA_NODE_LIST;
  const int made = list ? yaml_sequence_start_event_initialize(
                              &event, NULL, NULL, 1, node->flow ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE)
                        : yaml_mapping_start_event_initialize(
                              &event, NULL, NULL, 1, node->flow ? YAML_FLOW_MAPPING_STYLE : YAML_BLOCK_MAPPING_STYLE);
  if (!made || !yaml_emitter_emit(emitter, &event)) return false;
  for (const lamina_node *child = node->first; child; child = child->next) {
    if (!list && !emit_scalar(emitter, child->key, false)) return false;
    if (!emit(emitter, child)) return false;
  }
  return (list ? yaml_sequence_end_event_initialize(&event) : yaml_mapping_end_event_initialize(&event)) &&
         yaml_emitter_emit(emitter, &event);
}

lamina_status lamina_yaml_print(const lamina_document *document, lamina_text *text) {
  yaml_emitter_t emitter;
  yaml_event_t event;
  if (!yaml_emitter_initialize(&emitter)) return lamina_error(LAMINA_OUT_OF_MEMORY, "out of memory while writing YAML");
  yaml_emitter_set_output(&emitter, append_output, text);
  yaml_emitter_set_unicode(&emitter, 1);
  yaml_emitter_set_width(&emitter, 120);
  const bool done = yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) &&
                    yaml_emitter_emit(&emitter, &event) &&
                    yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) &&
                    yaml_emitter_emit(&emitter, &event) && emit(&emitter, lamina_document_root(document)) &&
                    yaml_document_end_event_initialize(&event, 1) && yaml_emitter_emit(&emitter, &event) &&
                    yaml_stream_end_event_initialize(&event) && yaml_emitter_emit(&emitter, &event);
  const bool memory = emitter.error == YAML_MEMORY_ERROR || emitter.error == YAML_NO_ERROR;
  char problem[160];
  snprintf(problem, sizeof problem, "%s", emitter.problem ? emitter.problem : "?");
  yaml_emitter_delete(&emitter);
  LAMINA_TRY(lamina_text_status(text));
  if (done) return LAMINA_OK;
  return lamina_error(memory ? LAMINA_OUT_OF_MEMORY : LAMINA_INTERNAL, "writing YAML: %s", problem);
}
