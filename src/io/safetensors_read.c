/* Reading safetensors: everything is checked when the file is opened, so that reading a tensor can only meet the disk.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "core/document.h"
#include "io/file.h"
#include "io/safetensors.h"
#include "lamina/io.h"

typedef struct entry {
  const char *name; /* in the document */
  const lamina_safetensors_type *type;
  lamina_desc desc;
  int64_t begin, end;
} entry;

struct lamina_safetensors {
  lamina_allocator allocator;
  char *path;
  int descriptor;
  int64_t size, data; /* of the file; where its data begins */
  lamina_document *header;
  const lamina_node *notes; /* NULL: none */
  entry *entries;
  int count;
};

/* ---- The table ----------------------------------------------------------------------------------------------------- */

static lamina_status read_type(const lamina_node *node, entry *e) {
  const char *name;
  LAMINA_TRY(lamina_node_text(node, &name));
  for (e->type = lamina_safetensors_types; e->type->name; e->type++)
    if (node->quoted && strcmp(e->type->name, name) == 0) return LAMINA_OK;
  return lamina_node_error(node, "unknown type \"%.40s\"; expected \"F32\" or another of the format's", name);
}

static lamina_status read_shape(const lamina_node *node, entry *e) {
  int64_t dims[LAMINA_MAX_RANK] = {0};
  int rank = 0;
  LAMINA_TRY(lamina_node_is_list(node));
  if (node->count > LAMINA_MAX_RANK)
    return lamina_node_error(node, "%d axes; expected at most %d", node->count, LAMINA_MAX_RANK);
  for (const lamina_node *child = node->first; child; child = child->next)
    LAMINA_TRY(lamina_node_int(child, 0, INT64_MAX, &dims[rank++]));
  e->desc = lamina_dense(e->type->dtype, rank, dims);
  return LAMINA_OK;
}

static lamina_status read_offsets(const lamina_node *node, entry *e) {
  LAMINA_TRY(lamina_node_is_list(node));
  if (node->count != 2) return lamina_node_error(node, "%d numbers; expected 2", node->count);
  LAMINA_TRY(lamina_node_int(node->first, 0, INT64_MAX, &e->begin));
  LAMINA_TRY(lamina_node_int(node->last, e->begin, INT64_MAX, &e->end));
  int64_t bits;
  const int64_t count = lamina_desc_count(&e->desc);
  if (!lamina_mul(count, e->type->bits, &bits))
    return lamina_node_error(node->parent, "a shape of more bits than 64 bits can count");
  if (bits % 8 != 0 || bits / 8 != e->end - e->begin)
    return lamina_node_error(node, "%lld bytes; expected %lld bits for %lld elements of %s",
                             (long long)(e->end - e->begin), (long long)bits, (long long)count, e->type->name);
  return LAMINA_OK;
}

static lamina_status read_entry(const lamina_node *node, entry *e) {
  static const char *const keys[] = {"dtype", "shape", "data_offsets", NULL};
  const lamina_node *type, *shape, *offsets;
  LAMINA_TRY(lamina_node_is_map(node, keys));
  LAMINA_TRY(lamina_node_need(node, "dtype", &type));
  LAMINA_TRY(lamina_node_need(node, "shape", &shape));
  LAMINA_TRY(lamina_node_need(node, "data_offsets", &offsets));
  e->name = node->key;
  LAMINA_TRY(read_type(type, e));
  LAMINA_TRY(read_shape(shape, e));
  return read_offsets(offsets, e);
}

static lamina_status read_notes(lamina_safetensors *f, const lamina_node *node) {
  LAMINA_TRY(lamina_node_is_map(node, NULL));
  for (const lamina_node *child = node->first; child; child = child->next)
    if (child->kind != LAMINA_NODE_SCALAR || !child->quoted) return lamina_node_error(child, "expected text in quotes");
  f->notes = node;
  return LAMINA_OK;
}

static int by_place(const void *a, const void *b) {
  const entry *x = a, *y = b;
  if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
  return x->end != y->end ? (x->end < y->end ? -1 : 1) : strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b) { return strcmp(((const entry *)a)->name, ((const entry *)b)->name); }

/* The data of the tensors, in its order, must fill what follows the header: no hole, no overlap, nothing left over. */
static lamina_status check_places(const lamina_safetensors *f) {
  const int64_t size = f->size - f->data;
  int64_t at = 0;
  for (int i = 0; i < f->count; i++) {
    const entry *e = &f->entries[i];
    if (e->begin != at)
      return lamina_error(LAMINA_CORRUPT,
                          "%s: %s.data_offsets: begins at %lld; expected %lld, where the one before ends", f->path,
                          e->name, (long long)e->begin, (long long)at);
    at = e->end;
    if (at > size)
      return lamina_error(LAMINA_CORRUPT,
                          "%s: %s.data_offsets: ends at %lld, but the file has %lld bytes of data: it was cut", f->path,
                          e->name, (long long)at, (long long)size);
  }
  if (at == size) return LAMINA_OK;
  return lamina_error(LAMINA_CORRUPT, "%s: %lld bytes after the last tensor; expected none", f->path,
                      (long long)(size - at));
}

static lamina_status read_table(lamina_safetensors *f) {
  const lamina_node *root = lamina_document_root(f->header);
  LAMINA_TRY(lamina_node_is_map(root, NULL));
  f->entries = lamina_alloc_zero(&f->allocator, ((size_t)root->count + 1) * sizeof *f->entries);
  if (!f->entries) return LAMINA_OUT_OF_MEMORY;
  for (const lamina_node *child = root->first; child; child = child->next)
    if (strcmp(child->key, LAMINA_SAFETENSORS_NOTES) == 0)
      LAMINA_TRY(read_notes(f, child));
    else
      LAMINA_TRY(read_entry(child, &f->entries[f->count++]));
  qsort(f->entries, (size_t)f->count, sizeof *f->entries, by_place);
  return check_places(f);
}

/* ---- The checksum -------------------------------------------------------------------------------------------------- */

enum { CHUNK = 1 << 20 };

static lamina_status crc_data(const lamina_safetensors *f, uint32_t *crc) {
  char *chunk = lamina_alloc(&f->allocator, CHUNK);
  if (!chunk) return LAMINA_OUT_OF_MEMORY;
  lamina_status status = LAMINA_OK;
  for (int64_t at = f->data; at < f->size && status == LAMINA_OK; at += CHUNK) {
    const size_t n = f->size - at < CHUNK ? (size_t)(f->size - at) : CHUNK;
    status = lamina_file_read_at(f->descriptor, f->path, at, chunk, n);
    if (status == LAMINA_OK) *crc = (uint32_t)crc32_z(*crc, (const unsigned char *)chunk, n);
  }
  lamina_free(&f->allocator, chunk);
  return status;
}

/* A file with a note of ours must have the checksum: a damaged key must not switch the check off. */
static lamina_status check_sum(const lamina_safetensors *f) {
  const char *want = NULL;
  bool ours = false;
  uint32_t crc = 0;
  char got[9];
  for (int i = 0; i < f->count; i++) {
    const entry *e = &f->entries[i];
    crc = lamina_safetensors_crc_tensor(crc, e->name, e->type->name, &e->desc, e->begin, e->end);
  }
  for (const lamina_node *note = f->notes ? f->notes->first : NULL; note; note = note->next) {
    ours |= strncmp(note->key, LAMINA_SAFETENSORS_PREFIX, strlen(LAMINA_SAFETENSORS_PREFIX)) == 0;
    if (strcmp(note->key, LAMINA_SAFETENSORS_CRC) == 0)
      want = note->text;
    else
      crc = lamina_safetensors_crc_note(crc, note->key, note->text);
  }
  if (!ours) return LAMINA_OK;
  if (!want)
    return lamina_error(LAMINA_CORRUPT, "%s: the note " LAMINA_SAFETENSORS_CRC " is missing: the file was altered",
                        f->path);
  LAMINA_TRY(crc_data(f, &crc));
  snprintf(got, sizeof got, "%08x", (unsigned)crc);
  if (strcmp(got, want) == 0) return LAMINA_OK;
  return lamina_error(LAMINA_CORRUPT,
                      "%s: the content's checksum is %s; expected %.16s: the file was altered or damaged", f->path, got,
                      want);
}

/* ---- Is it one? ---------------------------------------------------------------------------------------------------- */

bool lamina_safetensors_is(const char *path) {
  static const char ending[] = ".safetensors";
  const size_t end = path ? strlen(path) : 0; /* NULL is no file */
  int descriptor;
  int64_t size;
  uint64_t length = UINT64_MAX;
  if (end > sizeof ending - 1 && strcmp(path + end - (sizeof ending - 1), ending) == 0) return true;
  if (!path || lamina_file_open(path, &descriptor, &size)) return false;
  const bool read = size > 8 && lamina_file_read_at(descriptor, path, 0, &length, sizeof length) == LAMINA_OK;
  close(descriptor);
  return read && length <= LAMINA_SAFETENSORS_HEADER;
}

/* ---- Opening ------------------------------------------------------------------------------------------------------- */

static lamina_status read_header(lamina_safetensors *f) {
  uint64_t length;
  char name[PATH_MAX + 16], *text;
  if (f->size < 8)
    return lamina_error(LAMINA_CORRUPT, "%s: %lld bytes; that is no safetensors file", f->path, (long long)f->size);
  LAMINA_TRY(lamina_file_read_at(f->descriptor, f->path, 0, &length, sizeof length));
  if (length > LAMINA_SAFETENSORS_HEADER)
    return lamina_error(LAMINA_CORRUPT, "%s: a header of %llu bytes, expected at most %d: that is no safetensors file",
                        f->path, (unsigned long long)length, LAMINA_SAFETENSORS_HEADER);
  if ((int64_t)length > f->size - 8)
    return lamina_error(LAMINA_CORRUPT, "%s: a header of %llu bytes, but the file has %lld: it was cut", f->path,
                        (unsigned long long)length, (long long)f->size);
  f->data = 8 + (int64_t)length;
  text = lamina_alloc(&f->allocator, (size_t)length + 1);
  if (!text) return LAMINA_OUT_OF_MEMORY;
  lamina_status status = lamina_file_read_at(f->descriptor, f->path, 8, text, (size_t)length);
  snprintf(name, sizeof name, "%s: header", f->path);
  if (status == LAMINA_OK && (!length || text[0] != '{'))
    status = lamina_error(LAMINA_CORRUPT, "%s doesn't begin with {: that is no safetensors file", name);
  if (status == LAMINA_OK) status = lamina_json_parse(name, text, (size_t)length, &f->allocator, &f->header);
  lamina_free(&f->allocator, text);
  return status;
}

lamina_status lamina_safetensors_open(const char *path, const lamina_allocator *allocator, lamina_safetensors **file) {
  LAMINA_NOT_NULL(file, "file");
  *file = NULL;
  LAMINA_NOT_NULL(path, "path");
  LAMINA_TRY(lamina_allocator_check(allocator, __func__));
  lamina_safetensors *f = lamina_alloc_zero(allocator, sizeof *f);
  if (!f) return LAMINA_OUT_OF_MEMORY;
  f->allocator = allocator ? *allocator : lamina_malloc;
  f->descriptor = -1;
  f->path = lamina_copy_text(allocator, path);
  lamina_status status = f->path ? lamina_file_open(path, &f->descriptor, &f->size) : LAMINA_OUT_OF_MEMORY;
  if (status == LAMINA_OK) status = read_header(f);
  if (status == LAMINA_OK) {
    status = read_table(f);
    if (status == LAMINA_INVALID) status = LAMINA_CORRUPT; /* a value that doesn't fit is damage here */
  }
  if (status == LAMINA_OK) status = check_sum(f);
  if (status != LAMINA_OK) return lamina_safetensors_close(f), status;
  qsort(f->entries, (size_t)f->count, sizeof *f->entries, by_name);
  *file = f;
  return LAMINA_OK;
}

void lamina_safetensors_close(lamina_safetensors *file) {
  if (!file) return;
  const lamina_allocator allocator = file->allocator;
  if (file->descriptor >= 0) close(file->descriptor);
  lamina_document_close(file->header);
  lamina_free(&allocator, file->entries);
  lamina_free(&allocator, file->path);
  lamina_free(&allocator, file);
}

/* ---- Asking and reading -------------------------------------------------------------------------------------------- */

int lamina_safetensors_count(const lamina_safetensors *file) { return file ? file->count : 0; }
static bool has(const lamina_safetensors *file, int index) { return file && index >= 0 && index < file->count; }

const char *lamina_safetensors_name(const lamina_safetensors *file, int index) {
  return has(file, index) ? file->entries[index].name : NULL;
}

const lamina_desc *lamina_safetensors_desc(const lamina_safetensors *file, int index) {
  return has(file, index) ? &file->entries[index].desc : NULL;
}

int lamina_safetensors_find(const lamina_safetensors *file, const char *name) {
  if (!file || !name || !file->count) return -1;
  const entry key = {.name = name};
  const entry *found = bsearch(&key, file->entries, (size_t)file->count, sizeof key, by_name);
  return found ? (int)(found - file->entries) : -1;
}

const char *lamina_safetensors_value(const lamina_safetensors *file, const char *key) {
  const lamina_node *note = file && key && file->notes ? lamina_node_find(file->notes, key) : NULL;
  return note ? note->text : NULL;
}

static lamina_status check_fit(const lamina_safetensors *f, const entry *e, const lamina_tensor *to) {
  char want[160], have[160];
  const lamina_dtype from = e->type->dtype, into = (lamina_dtype)to->desc.dtype;
  bool fits = to->desc.rank == e->desc.rank &&
              (from == into || (lamina_dtype_is_floating(from) && lamina_dtype_is_floating(into)));
  LAMINA_TRY(lamina_check_host_tensor(e->name, to));
  if (from == LAMINA_NONE)
    return lamina_error(LAMINA_UNSUPPORTED, "%s: %s is of type %s, which Lamina doesn't have", f->path, e->name,
                        e->type->name);
  for (int i = 0; fits && i < e->desc.rank; i++) fits = to->desc.dims[i] == e->desc.dims[i];
  if (fits) return LAMINA_OK;
  return lamina_error(LAMINA_INVALID, "%s: %s is %s; expected %s", f->path, e->name,
                      lamina_desc_text(&e->desc, have, sizeof have), lamina_desc_text(&to->desc, want, sizeof want));
}

/* Through a buffer, element by element. */
static lamina_status scatter(const lamina_safetensors *f, const entry *e, const lamina_tensor *to) {
  const lamina_dtype from = e->type->dtype, into = (lamina_dtype)to->desc.dtype;
  const size_t size = lamina_dtype_size(from);
  const int64_t count = lamina_desc_count(&e->desc), run = CHUNK / (int64_t)size;
  char *chunk = lamina_alloc(&f->allocator, CHUNK);
  if (!chunk) return LAMINA_OUT_OF_MEMORY;
  lamina_status status = LAMINA_OK;
  for (int64_t first = 0; first < count && status == LAMINA_OK; first += run) {
    const int64_t n = count - first < run ? count - first : run;
    status = lamina_file_read_at(f->descriptor, f->path, f->data + e->begin + first * (int64_t)size, chunk,
                                 (size_t)n * size);
    for (int64_t i = 0; i < n && status == LAMINA_OK; i++) {
      const int64_t offset = lamina_desc_offset(&to->desc, first + i);
      if (from == into)
        memcpy((char *)to->data + offset * (int64_t)size, chunk + i * (int64_t)size, size);
      else
        lamina_store(into, to->data, offset, lamina_load(from, chunk, i));
    }
  }
  lamina_free(&f->allocator, chunk);
  return status;
}

lamina_status lamina_safetensors_read(const lamina_safetensors *file, int index, const lamina_tensor *to) {
  LAMINA_NOT_NULL(file, "file");
  LAMINA_NOT_NULL(to, "to");
  if (!has(file, index))
    return lamina_error(LAMINA_INVALID, "%s: has no tensor %d; expected a number below %d", file->path, index,
                        file->count);
  const entry *e = &file->entries[index];
  LAMINA_TRY(check_fit(file, e, to));
  if (to->desc.dtype != (int32_t)e->type->dtype || !lamina_desc_is_dense(&to->desc)) return scatter(file, e, to);
  return lamina_file_read_at(file->descriptor, file->path, file->data + e->begin, to->data,
                             (size_t)(e->end - e->begin));
}
