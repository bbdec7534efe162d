/* JSON (RFC 8259) into a document: strict, UTF-8 only, no key twice, at most LAMINA_DOCUMENT_DEPTH deep. */
#include "core/document.h"

typedef struct reader {
  lamina_document *document;
  const char *source, *at, *end, *line_start;
  int line, depth;
  lamina_text text; /* the string that is being read */
} reader;

static int column(const reader *r) { return (int)(r->at - r->line_start) + 1; }

static lamina_status corrupt(const reader *r, const char *sentence) {
  return lamina_error(LAMINA_CORRUPT, "%s:%d:%d: %s", r->source, r->line, column(r), sentence);
}

static void skip_space(reader *r) {
  for (; r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\r' || *r->at == '\n'); r->at++)
    if (*r->at == '\n') r->line++, r->line_start = r->at + 1;
}

static bool accept(reader *r, char c) {
  skip_space(r);
  if (r->at == r->end || *r->at != c) return false;
  r->at++;
  return true;
}

/* ---- Strings -------------------------------------------------------------------------------------------------------
 */

static lamina_status hex4(reader *r, uint32_t *code) {
  *code = 0;
  for (int i = 0; i < 4; i++, r->at++) {
    const char c = r->at < r->end ? *r->at : 0;
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return corrupt(r, "expected four hexadecimal digits after \\u");
    *code = *code << 4 | (uint32_t)digit;
  }
  return LAMINA_OK;
}

static void put_utf8(lamina_text *text, uint32_t code) {
  const char bytes[4] = {(char)(code < 0x80      ? code
                                : code < 0x800   ? 0xC0 | code >> 6
                                : code < 0x10000 ? 0xE0 | code >> 12
                                                 : 0xF0 | code >> 18),
                         (char)(0x80 | (code >> (code < 0x800     ? 0
                                                 : code < 0x10000 ? 6
                                                                  : 12) &
                                        63)),
                         (char)(0x80 | (code >> (code < 0x10000 ? 0 : 6) & 63)), (char)(0x80 | (code & 63))};
  lamina_text_add(text, bytes, code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4);
}

/* After a backslash. */
static lamina_status escape(reader *r) {
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  const char c = r->at < r->end ? *r->at : 0;
  const char *name = c ? strchr(names, c) : NULL;
  if (name) {
    lamina_text_add(&r->text, values + (name - names), 1);
    r->at++;
    return LAMINA_OK;
  }
  if (c != 'u') return corrupt(r, "expected one of \" \\ / b f n r t u after a backslash");
  uint32_t code, low;
  r->at++;
  LAMINA_TRY(hex4(r, &code));
  if (code == 0) return corrupt(r, "a NUL character in a string");
  if (code >= 0xDC00 && code <= 0xDFFF) return corrupt(r, "the second half of a surrogate pair without the first");
  if (code >= 0xD800 && code <= 0xDBFF) {
    if (r->end - r->at < 2 || r->at[0] != '\\' || r->at[1] != 'u')
      return corrupt(r, "the first half of a surrogate pair without the second");
    r->at += 2;
    LAMINA_TRY(hex4(r, &low));
    if (low < 0xDC00 || low > 0xDFFF) return corrupt(r, "the first half of a surrogate pair without the second");
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  put_utf8(&r->text, code);
  return LAMINA_OK;
}

/* A string from its opening quote on; the copy belongs to the document. */
static lamina_status string(reader *r, const char **text) {
  lamina_text_clear(&r->text);
  for (r->at++; r->at < r->end && *r->at != '"';) {
    if (*r->at == '\\') {
      r->at++;
      LAMINA_TRY(escape(r));
      continue;
    }
    const size_t n = lamina_utf8(r->at, (size_t)(r->end - r->at));
    if (!n) return corrupt(r, "a byte that is no UTF-8");
    if ((unsigned char)*r->at < 0x20) return corrupt(r, "a control character in a string");
    lamina_text_add(&r->text, r->at, n);
    r->at += n;
  }
  if (r->at == r->end) return corrupt(r, "the text ends within a string");
  r->at++;
  LAMINA_TRY(lamina_text_status(&r->text));
  *text = lamina_document_copy(r->document, r->text.used ? r->text.data : "", r->text.used);
  return *text ? LAMINA_OK : LAMINA_OUT_OF_MEMORY;
}

/* ---- Values --------------------------------------------------------------------------------------------------------
 */

static size_t digits(const char *at) { return strspn(at, "0123456789"); }

/* RFC 8259, section 6: [ minus ] int [ frac ] [ exp ]. */
static bool is_number(const char *text) {
  const char *at = text + (*text == '-');
  const size_t whole = digits(at);
  if (!whole || (whole > 1 && *at == '0')) return false;
  at += whole;
  if (*at == '.') {
    const size_t n = digits(++at);
    if (!n) return false;
    at += n;
  }
  if (*at == 'e' || *at == 'E') {
    at++;
    at += *at == '-' || *at == '+';
    const size_t n = digits(at);
    if (!n) return false;
    at += n;
  }
  return !*at;
}

/* A number, true, false or null. */
static lamina_status word(reader *r, const char **text) {
  const char *start = r->at;
  while (r->at < r->end && ((*r->at >= '0' && *r->at <= '9') || (*r->at >= 'a' && *r->at <= 'z') || *r->at == 'E' ||
                            *r->at == '-' || *r->at == '+' || *r->at == '.'))
    r->at++;
  *text = lamina_document_copy(r->document, start, (size_t)(r->at - start));
  if (!*text) return LAMINA_OUT_OF_MEMORY;
  if (!strcmp(*text, "true") || !strcmp(*text, "false") || !strcmp(*text, "null") || is_number(*text)) return LAMINA_OK;
  r->at = start;
  return corrupt(r, start == r->end ? "the text ends where a value was expected" : "expected a value");
}

static lamina_status value(reader *r, lamina_node **node);

static lamina_status member(reader *r, lamina_node *map) {
  skip_space(r);
  if (r->at == r->end || *r->at != '"') return corrupt(r, "expected a key in quotes");
  const char *key;
  const int line = r->line, place = column(r);
  lamina_node *child;
  LAMINA_TRY(string(r, &key));
  if (!accept(r, ':')) return corrupt(r, "expected a colon");
  LAMINA_TRY(value(r, &child));
  child->key = key, child->key_line = line, child->key_column = place;
  lamina_node_append(map, child);
  return LAMINA_OK;
}

/* What is between the brackets, and the closing one. */
static lamina_status children(reader *r, lamina_node *node) {
  const bool map = node->kind == LAMINA_NODE_MAP;
  const char close = map ? '}' : ']';
  lamina_node *child;
  if (++r->depth > LAMINA_DOCUMENT_DEPTH) return corrupt(r, "lists and maps more than 64 deep; expected fewer");
  for (bool more = !accept(r, close); more;) {
    if (map)
      LAMINA_TRY(member(r, node));
    else {
      LAMINA_TRY(value(r, &child));
      lamina_node_append(node, child);
    }
    more = accept(r, ',');
    if (!more && !accept(r, close)) return corrupt(r, map ? "expected , or }" : "expected , or ]");
  }
  r->depth--;
  return map ? lamina_document_check_keys(r->document, node) : LAMINA_OK;
}

static lamina_status value(reader *r, lamina_node **node) {
  skip_space(r);
  const char c = r->at < r->end ? *r->at : 0;
  const lamina_node_kind kind = c == '{' ? LAMINA_NODE_MAP : c == '[' ? LAMINA_NODE_LIST : LAMINA_NODE_SCALAR;
  LAMINA_TRY(lamina_document_node(r->document, kind, r->source, r->line, column(r), node));
  if (kind == LAMINA_NODE_SCALAR) {
    (*node)->quoted = c == '"';
    return c == '"' ? string(r, &(*node)->text) : word(r, &(*node)->text);
  }
  (*node)->flow = true;
  r->at++;
  return children(r, *node);
}

lamina_status lamina_json_parse(const char *name, const char *text, size_t size, const lamina_allocator *allocator,
                                lamina_document **document) {
  *document = NULL;
  lamina_document *d;
  lamina_node *root;
  LAMINA_TRY(lamina_document_open(allocator, &d));
  reader r = {.document = d, .at = text, .end = text + size, .line_start = text, .line = 1};
  r.text.allocator = lamina_document_allocator(d);
  r.source = lamina_document_copy(d, name, strlen(name));
  lamina_status status = r.source ? value(&r, &root) : LAMINA_OUT_OF_MEMORY;
  skip_space(&r);
  if (status == LAMINA_OK && r.at < r.end) status = corrupt(&r, "expected the end of the text");
  lamina_text_free(&r.text);
  if (status != LAMINA_OK) return lamina_document_close(d), status;
  lamina_document_set_root(d, root);
  *document = d;
  return LAMINA_OK;
}
