/* Documents: a tree of scalars, lists and maps that was read from YAML or JSON.
 *
 *   net:                     map "net" ─ list ─┬─ map ── map "conv" ── scalar "filters" = "6"
 *     - conv: {filters: 6}                     └─ scalar "relu"
 *     - relu
 *
 * A reader asks a node for what it expects; what doesn't fit is LAMINA_INVALID with file, line, column, the path of
 * the node and what was expected: `lenet.yaml:4:20: net[0].conv.filters: expected an integer, got "six"`. Scalars stay
 * text until they are asked for. A document owns its nodes; they don't change while it is read, so many threads may
 * read one document. */
#ifndef LAMINA_CORE_DOCUMENT_H
#define LAMINA_CORE_DOCUMENT_H

#include "core/text.h"

#define LAMINA_DOCUMENT_DEPTH 64          /* lists and maps within each other */
#define LAMINA_DOCUMENT_NODES (1 << 20)   /* nodes of one document, so that a small file can't fill the memory */
#define LAMINA_YAML_SIZE      (16u << 20) /* bytes of a YAML file */

typedef struct lamina_document lamina_document;
typedef enum lamina_node_kind { LAMINA_NODE_SCALAR, LAMINA_NODE_LIST, LAMINA_NODE_MAP } lamina_node_kind;

typedef struct lamina_node {
  lamina_node_kind kind;
  bool quoted;      /* a scalar in quotes is text, never a number or nothing */
  bool flow;        /* a list or map that was written as [ ] or { } */
  int count;        /* children */
  int line, column; /* where the value begins, from 1; 0: it has no place */
  int key_line, key_column;
  const char *source; /* the file's name */
  const char *key;    /* of a child of a map; else NULL */
  const char *text;   /* of a scalar; else NULL */
  struct lamina_node *parent, *first, *last, *next;
} lamina_node;

/* ---- Reading from and writing to text: src/io/yaml.c, src/io/json_read.c -------------------------------------------
 */

/* One YAML 1.1 document of plain lists, maps and scalars; anchors, aliases and tags are refused. `name` is what errors
 * call the text. CORRUPT with line and column where it isn't YAML, where a key comes twice or a bound is passed. */
LAMINA_NODISCARD lamina_status lamina_yaml_parse(const char *name, const char *text, size_t size,
                                                 const lamina_allocator *allocator, lamina_document **document);
LAMINA_NODISCARD lamina_status lamina_yaml_read(const char *path, const lamina_allocator *allocator,
                                                lamina_document **document);
/* Appends the document as YAML, flow and block style as they were read; comments are lost. */
LAMINA_NODISCARD lamina_status lamina_yaml_print(const lamina_document *document, lamina_text *text);

/* Sets one value before the document is read: "train.rate.cosine=0.1", "net[0].conv.filters=8" (or net.0.conv.filters).
 * The value is YAML in one line. All but the last part of the path must exist; a last part that is new is added to its
 * map, and whoever reads the map says whether the key is known. */
LAMINA_NODISCARD lamina_status lamina_document_set(lamina_document *document, const char *assignment);

/* One JSON text (RFC 8259), UTF-8, no key twice, no NUL in a string. */
LAMINA_NODISCARD lamina_status lamina_json_parse(const char *name, const char *text, size_t size,
                                                 const lamina_allocator *allocator, lamina_document **document);

/* ---- Asking --------------------------------------------------------------------------------------------------------
 */

const lamina_node *lamina_document_root(const lamina_document *document);
void lamina_document_close(lamina_document *document); /* NULL is fine */

/* The child of a map with this key, child `index` of a list; NULL where there is none or the node is no such thing. */
const lamina_node *lamina_node_find(const lamina_node *node, const char *key);
const lamina_node *lamina_node_at(const lamina_node *node, int index);
/* A plain scalar that says nothing: empty, ~ or null. */
bool lamina_node_is_null(const lamina_node *node);

LAMINA_NODISCARD lamina_status lamina_node_is_list(const lamina_node *node);
/* A map without keys other than the `known` ones (NULL-terminated; NULL: any). Null counts as an empty map. */
LAMINA_NODISCARD lamina_status lamina_node_is_map(const lamina_node *node, const char *const *known);
/* As lamina_node_find, but the key must be there. */
LAMINA_NODISCARD lamina_status lamina_node_need(const lamina_node *node, const char *key, const lamina_node **child);
/* `name` or `name: value`: text, or a map with one key. *value is NULL for the first form. */
LAMINA_NODISCARD lamina_status lamina_node_named(const lamina_node *node, const char **name, const lamina_node **value);

LAMINA_NODISCARD lamina_status lamina_node_text(const lamina_node *node, const char **text);
LAMINA_NODISCARD lamina_status lamina_node_bool(const lamina_node *node, bool *value);
/* Numbers in least … most. */
LAMINA_NODISCARD lamina_status lamina_node_int(const lamina_node *node, int64_t least, int64_t most, int64_t *value);
LAMINA_NODISCARD lamina_status lamina_node_real(const lamina_node *node, double least, double most, double *value);
/* One integer or a list of 1 … capacity of them. */
LAMINA_NODISCARD lamina_status lamina_node_ints(const lamina_node *node, int64_t least, int64_t most, int capacity,
                                                int64_t *values, int *count);
/* One of `choices` (NULL-terminated), as its index. */
LAMINA_NODISCARD lamina_status lamina_node_choice(const lamina_node *node, const char *const *choices, int *index);

/* "net[3].conv"; "" for the root. Returns buffer. */
const char *lamina_node_path(const lamina_node *node, char *buffer, size_t size);
/* INVALID: place, path and this sentence, for the value; or for the key, with the path of the map that it is in. */
lamina_status lamina_node_error(const lamina_node *node, const char *format, ...) __attribute__((format(printf, 2, 3)));
lamina_status lamina_node_key_error(const lamina_node *node, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- Building, for those who parse ---------------------------------------------------------------------------------
 */

LAMINA_NODISCARD lamina_status lamina_document_open(const lamina_allocator *allocator, lamina_document **document);
/* A copy that lives as long as the document; NULL when memory ran out. */
const char *lamina_document_copy(lamina_document *document, const char *bytes, size_t size);
LAMINA_NODISCARD lamina_status lamina_document_node(lamina_document *document, lamina_node_kind kind,
                                                    const char *source, int line, int column, lamina_node **node);
void lamina_document_set_root(lamina_document *document, lamina_node *root);
lamina_node *lamina_document_edit(lamina_document *document); /* the root, to be changed */
void lamina_node_append(lamina_node *parent, lamina_node *child);
/* CORRUPT where a key of the map comes twice. */
LAMINA_NODISCARD lamina_status lamina_document_check_keys(lamina_document *document, const lamina_node *map);
const lamina_allocator *lamina_document_allocator(const lamina_document *document);

#endif
