/* Writing safetensors: the table is gathered, then all is written in one go. */
#include "io/safetensors.h"

#include <stdio.h>
#include <zlib.h>

#include "core/text.h"
#include "io/file.h"
#include "lamina/io.h"

const lamina_safetensors_type lamina_safetensors_types[] = {
    {"F64", 64, LAMINA_F64},     {"F32", 32, LAMINA_F32},     {"F16", 16, LAMINA_F16},     {"BF16", 16, LAMINA_BF16},
    {"I64", 64, LAMINA_I64},     {"I32", 32, LAMINA_I32},     {"U8", 8, LAMINA_U8},        {"BOOL", 8, LAMINA_NONE},
    {"I8", 8, LAMINA_NONE},      {"I16", 16, LAMINA_NONE},    {"U16", 16, LAMINA_NONE},    {"U32", 32, LAMINA_NONE},
    {"U64", 64, LAMINA_NONE},    {"C64", 64, LAMINA_NONE},    {"F8_E4M3", 8, LAMINA_NONE}, {"F8_E5M2", 8, LAMINA_NONE},
    {"F8_E8M0", 8, LAMINA_NONE}, {"F6_E2M3", 6, LAMINA_NONE}, {"F6_E3M2", 6, LAMINA_NONE}, {"F4", 4, LAMINA_NONE},
    {NULL, 0, LAMINA_NONE}};

/* ---- The checksum -------------------------------------------------------------------------------------------------- */

static uint32_t crc_bytes(uint32_t crc, const void *bytes, size_t size) { return (uint32_t)crc32_z(crc, bytes, size); }

/* With its NUL, so that "a", "bc" and "ab", "c" differ. */
static uint32_t crc_text(uint32_t crc, const char *text) { return crc_bytes(crc, text, strlen(text) + 1); }

uint32_t lamina_safetensors_crc_tensor(uint32_t crc, const char *name, const char *type, const lamina_desc *desc,
                                       int64_t begin, int64_t end) {
  const int64_t numbers[] = {desc->rank, begin, end};
  crc = crc_text(crc_text(crc, name), type);
  crc = crc_bytes(crc, numbers, sizeof numbers);
  return crc_bytes(crc, desc->dims, sizeof desc->dims);
}

uint32_t lamina_safetensors_crc_note(uint32_t crc, const char *key, const char *value) {
  return crc_text(crc_text(crc, key), value);
}

/* ---- The writer ---------------------------------------------------------------------------------------------------- */

typedef struct entry {
  char *name;
  lamina_tensor tensor;
  int64_t begin;
} entry;

typedef struct note {
  char *key, *value;
} note;

struct lamina_safetensors_writer {
  lamina_allocator allocator;
  lamina_file file;
  entry *entries;
  note *notes;
  int count, room, note_count, note_room;
  uint32_t crc;
};

static void free_writer(lamina_safetensors_writer *w) {
  const lamina_allocator allocator = w->allocator;
  for (int i = 0; i < w->count; i++) lamina_free(&allocator, w->entries[i].name);
  for (int i = 0; i < w->note_count; i++) {
    lamina_free(&allocator, w->notes[i].key);
    lamina_free(&allocator, w->notes[i].value);
  }
  lamina_free(&allocator, w->entries);
  lamina_free(&allocator, w->notes);
  lamina_free(&allocator, w);
}

static lamina_status add_note(lamina_safetensors_writer *w, const char *key, const char *value) {
  if (w->note_count == w->note_room) {
    const int room = w->note_room ? 2 * w->note_room : 8;
    note *notes = lamina_grow(&w->allocator, w->notes, (size_t)room * sizeof *notes);
    if (!notes) return LAMINA_OUT_OF_MEMORY;
    w->notes = notes, w->note_room = room;
  }
  const note added = {lamina_copy_text(&w->allocator, key), lamina_copy_text(&w->allocator, value)};
  w->notes[w->note_count++] = added;
  return added.key && added.value ? LAMINA_OK : LAMINA_OUT_OF_MEMORY;
}

lamina_status lamina_safetensors_create(const char *path, const lamina_allocator *allocator,
                                        lamina_safetensors_writer **writer) {
  LAMINA_NOT_NULL(writer, "writer");
  *writer = NULL;
  LAMINA_NOT_NULL(path, "path");
  LAMINA_TRY(lamina_allocator_check(allocator, __func__));
  lamina_safetensors_writer *w = lamina_alloc_zero(allocator, sizeof *w);
  if (!w) return LAMINA_OUT_OF_MEMORY;
  w->allocator = allocator ? *allocator : lamina_malloc;
  lamina_status status = lamina_file_create(path, &w->allocator, &w->file);
  if (status != LAMINA_OK) {
    lamina_free(&w->allocator, w);
    return status;
  }
  if (!w->file.temporary)
    status =
        lamina_error(LAMINA_IO, "%s: is a device or a pipe; expected a file, as the checksum is written last", path);
  if (status == LAMINA_OK) status = add_note(w, LAMINA_SAFETENSORS_BY, LAMINA_VERSION);
  if (status == LAMINA_OK)
    *writer = w;
  else
    lamina_safetensors_abandon(w);
  return status;
}

void lamina_safetensors_abandon(lamina_safetensors_writer *writer) {
  if (!writer) return;
  lamina_file_abandon(&writer->file);
  free_writer(writer);
}

lamina_status lamina_safetensors_add(lamina_safetensors_writer *w, const char *name, const lamina_tensor *tensor) {
  LAMINA_NOT_NULL(w, "writer");
  LAMINA_NOT_NULL(name, "name");
  LAMINA_NOT_NULL(tensor, "tensor");
  LAMINA_TRY(lamina_check_host_tensor(name, tensor));
  if (strcmp(name, LAMINA_SAFETENSORS_NOTES) == 0 || !lamina_is_utf8(name))
    return lamina_error(LAMINA_INVALID, "%s: \"%s\" can't be a tensor's name; expected other UTF-8", w->file.path,
                        name);
  for (int i = 0; i < w->count; i++)
    if (strcmp(w->entries[i].name, name) == 0)
      return lamina_error(LAMINA_INVALID, "%s: two tensors are named \"%s\"", w->file.path, name);
  if (w->count == w->room) {
    const int room = w->room ? 2 * w->room : 32;
    entry *entries = lamina_grow(&w->allocator, w->entries, (size_t)room * sizeof *entries);
    if (!entries) return LAMINA_OUT_OF_MEMORY;
    w->entries = entries, w->room = room;
  }
  const entry added = {.name = lamina_copy_text(&w->allocator, name), .tensor = *tensor};
  if (!added.name) return LAMINA_OUT_OF_MEMORY;
  w->entries[w->count++] = added;
  return LAMINA_OK;
}

lamina_status lamina_safetensors_note(lamina_safetensors_writer *w, const char *key, const char *value) {
  LAMINA_NOT_NULL(w, "writer");
  LAMINA_NOT_NULL(key, "key");
  LAMINA_NOT_NULL(value, "value");
  if (strcmp(key, LAMINA_SAFETENSORS_CRC) == 0 || !lamina_is_utf8(key) || !lamina_is_utf8(value))
    return lamina_error(LAMINA_INVALID, "%s: the note \"%s\" = \"%s\" can't be written; expected UTF-8 and another key",
                        w->file.path, key, value);
  for (int i = 0; i < w->note_count; i++)
    if (strcmp(w->notes[i].key, key) == 0)
      return lamina_error(LAMINA_INVALID, "%s: two notes are named \"%s\"", w->file.path, key);
  return add_note(w, key, value);
}

/* Large elements first, else as they were added: so each lies at a multiple of its element's size without holes. */
static lamina_status lay_out(lamina_safetensors_writer *w, entry **order) {
  int64_t at = 0;
  int n = 0;
  for (size_t size = 8; size; size /= 2)
    for (int i = 0; i < w->count; i++) {
      entry *e = &w->entries[i];
      if (lamina_dtype_size((lamina_dtype)e->tensor.desc.dtype) != size) continue;
      e->begin = at;
      int64_t bytes;
      if (!lamina_mul(lamina_desc_count(&e->tensor.desc), (int64_t)size, &bytes) || !lamina_sum(at, bytes, &at))
        return lamina_error(LAMINA_INVALID, "%s: more bytes than 64 bits can count", w->file.path);
      order[n++] = e;
    }
  return LAMINA_OK;
}

static const char *type_name(lamina_dtype dtype) {
  const lamina_safetensors_type *type = lamina_safetensors_types;
  while (type->dtype != dtype) type++; /* every type of ours is in the table */
  return type->name;
}

/* The header, and where in it the checksum's eight digits go. */
static void print_header(lamina_safetensors_writer *w, entry *const *order, lamina_text *text, size_t *digits) {
  lamina_text_put(text, "{\"" LAMINA_SAFETENSORS_NOTES "\":{\"" LAMINA_SAFETENSORS_CRC "\":\"");
  *digits = text->used;
  lamina_text_put(text, "00000000\"");
  for (int i = 0; i < w->note_count; i++) {
    lamina_text_put(text, ",");
    lamina_text_json(text, w->notes[i].key);
    lamina_text_put(text, ":");
    lamina_text_json(text, w->notes[i].value);
  }
  lamina_text_put(text, "}");
  for (int i = 0; i < w->count; i++) {
    const lamina_desc *desc = &order[i]->tensor.desc;
    const int64_t bytes = lamina_desc_count(desc) * (int64_t)lamina_dtype_size((lamina_dtype)desc->dtype);
    const int64_t begin = order[i]->begin, end = begin + bytes;
    const char *type = type_name((lamina_dtype)desc->dtype);
    lamina_text_put(text, ",");
    lamina_text_json(text, order[i]->name);
    lamina_text_print(text, ":{\"dtype\":\"%s\",\"shape\":[", type);
    for (int axis = 0; axis < desc->rank; axis++)
      lamina_text_print(text, "%s%lld", axis ? "," : "", (long long)desc->dims[axis]);
    lamina_text_print(text, "],\"data_offsets\":[%lld,%lld]}", (long long)begin, (long long)end);
    w->crc = lamina_safetensors_crc_tensor(w->crc, order[i]->name, type, desc, begin, end);
  }
  lamina_text_put(text, "}");
  while ((8 + text->used) % 64 && !text->failed) lamina_text_put(text, " ");
  for (int i = 0; i < w->note_count; i++)
    w->crc = lamina_safetensors_crc_note(w->crc, w->notes[i].key, w->notes[i].value);
}

static void put_data(void *writer, const void *data, size_t size) {
  lamina_safetensors_writer *w = writer;
  w->crc = crc_bytes(w->crc, data, size);
  lamina_file_write(&w->file, data, size);
}

static lamina_status write_all(lamina_safetensors_writer *w, entry **order) {
  lamina_text text = {.allocator = &w->allocator};
  size_t at;
  char digits[9];
  LAMINA_TRY(lay_out(w, order));
  print_header(w, order, &text, &at);
  lamina_status status = lamina_text_status(&text);
  if (status == LAMINA_OK && text.used > LAMINA_SAFETENSORS_HEADER)
    status = lamina_error(LAMINA_INVALID, "%s: a header of %zu bytes; expected at most %d", w->file.path, text.used,
                          LAMINA_SAFETENSORS_HEADER);
  if (status == LAMINA_OK) {
    const uint64_t length = text.used;
    lamina_file_write(&w->file, &length, sizeof length);
    lamina_file_write(&w->file, text.data, text.used);
    for (int i = 0; i < w->count; i++)
      lamina_put_tensor(&order[i]->tensor, (lamina_dtype)order[i]->tensor.desc.dtype, put_data, w);
    snprintf(digits, sizeof digits, "%08x", (unsigned)w->crc);
    lamina_file_rewrite(&w->file, 8 + (int64_t)at, digits, 8);
  }
  lamina_text_free(&text);
  return status;
}

lamina_status lamina_safetensors_commit(lamina_safetensors_writer *w) {
  LAMINA_NOT_NULL(w, "writer");
  entry **order = lamina_alloc(&w->allocator, ((size_t)w->count + 1) * sizeof *order);
  const lamina_status status = order ? write_all(w, order) : LAMINA_OUT_OF_MEMORY;
  lamina_free(&w->allocator, order);
  if (status != LAMINA_OK) return lamina_safetensors_abandon(w), status;
  const lamina_status committed = lamina_file_commit(&w->file);
  free_writer(w);
  return committed;
}
