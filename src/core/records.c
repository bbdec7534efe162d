/* Records of what tuning found, in memory and as lines.
 *
 *   lamina-tune 1                                             the first line; with another number it is another's file
 *   plan <tab> cpu: 2 threads, … <tab> conv/forward x=… <tab> … <tab> checksum
 *
 * A line that was cut, changed or is of a kind that isn't known is no record. Later ones take the place of earlier ones
 * with the same key. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/records.h"

static const char header[] = "lamina-tune 1\n";

/* FNV-1a. */
static uint64_t hash_of(const void *bytes, size_t size, uint64_t hash) {
  const uint8_t *b = bytes;
  for (size_t i = 0; i < size; i++) hash = (hash ^ b[i]) * 0x100000001b3u;
  return hash;
}
#define HASH_START UINT64_C(0xcbf29ce484222325)

/* What the fields of a kind are: k a part of the key, t text, n a number that is not negative, p one above 0. */
static const char *form_of(const char *kind) {
  return strcmp(kind, "machine") == 0 ? "kkpnppn" : strcmp(kind, "plan") == 0 ? "kkkktpntnn" : "kkkkkt";
}

static bool is_kind(const char *kind) {
  return strcmp(kind, "machine") == 0 || strcmp(kind, "plan") == 0 || strcmp(kind, "wrong") == 0;
}

static bool fits(const char *field, char form) {
  double value;
  if (form == 'k' || form == 't') return *field && !strpbrk(field, "\t\n\r");
  return lamina_read_real(field, &value) && value < 1e19 && (form == 'p' ? value > 0 : value >= 0);
}

static bool is_record(const char *const *field, int fields) {
  if (fields < 1 || !is_kind(field[0])) return false;
  const char *form = form_of(field[0]);
  if ((size_t)fields != strlen(form)) return false;
  size_t size = 32; /* the checksum */
  for (int i = 0; i < fields; i++) {
    if (!fits(field[i], form[i])) return false;
    size += strlen(field[i]) + 1;
  }
  return size < LAMINA_RECORD_LINE;
}

static uint64_t key_of(const char *const *field) {
  const char *form = form_of(field[0]);
  uint64_t hash = HASH_START;
  for (int i = 0; form[i] == 'k'; i++) hash = hash_of(field[i], strlen(field[i]) + 1, hash);
  return hash;
}

static bool same_key(const lamina_record *record, uint64_t hash, const char *const *field) {
  if (record->key != hash || strcmp(record->field[0], field[0]) != 0) return false;
  const char *form = form_of(field[0]);
  for (int i = 1; form[i] == 'k'; i++)
    if (strcmp(record->field[i], field[i]) != 0) return false;
  return true;
}

const lamina_record *lamina_records_find(const lamina_records *records, const char *const *key) {
  const uint64_t hash = key_of(key);
  for (int i = 0; i < records->count; i++)
    if (same_key(&records->list[i], hash, key)) return &records->list[i];
  return NULL;
}

/* ---- Adding -------------------------------------------------------------------------------------------------------- */

static lamina_status make(const lamina_allocator *allocator, const char *const *field, int fields, bool fresh,
                          lamina_record *record) {
  size_t size = 0;
  for (int i = 0; i < fields; i++) size += strlen(field[i]) + 1;
  *record = (lamina_record){.text = lamina_alloc(allocator, size), .fields = fields, .fresh = fresh};
  if (!record->text) return LAMINA_OUT_OF_MEMORY;
  char *to = record->text;
  for (int i = 0; i < fields; i++) {
    const size_t length = strlen(field[i]) + 1;
    record->field[i] = memcpy(to, field[i], length);
    to += length;
  }
  record->key = key_of(record->field);
  return LAMINA_OK;
}

static void drop(lamina_records *records, int index) {
  lamina_free(records->allocator, records->list[index].text);
  records->count--;
  memmove(&records->list[index], &records->list[index + 1], (size_t)(records->count - index) * sizeof *records->list);
}

lamina_status lamina_records_add(lamina_records *records, const char *const *field, int fields, bool fresh) {
  lamina_record record;
  if (fields > LAMINA_RECORD_FIELDS || !is_record(field, fields)) return LAMINA_OK;
  const lamina_record *there = lamina_records_find(records, field);
  if (records->count == records->room) {
    const int room = records->room ? 2 * records->room : 64;
    lamina_record *grown = lamina_grow(records->allocator, records->list, (size_t)room * sizeof *grown);
    if (!grown) return LAMINA_OUT_OF_MEMORY;
    if (there) there = grown + (there - records->list);
    records->list = grown, records->room = room;
  }
  LAMINA_TRY(make(records->allocator, field, fields, fresh, &record)); /* `field` may be the old one's */
  if (there) drop(records, (int)(there - records->list));
  if (records->count == LAMINA_MOST_RECORDS) drop(records, 0);
  records->list[records->count++] = record;
  return LAMINA_OK;
}

void lamina_records_close(lamina_records *records) {
  for (int i = 0; i < records->count; i++) lamina_free(records->allocator, records->list[i].text);
  lamina_free(records->allocator, records->list);
  *records = (lamina_records){.allocator = records->allocator};
}

/* ---- As text ------------------------------------------------------------------------------------------------------- */

/* Takes a line apart, in place. */
static lamina_status read_line(lamina_records *records, char *line) {
  const char *field[LAMINA_RECORD_FIELDS + 1];
  char checksum[20];
  int fields = 0;
  char *last = strrchr(line, '\t');
  if (!last) return LAMINA_OK;
  *last = 0;
  snprintf(checksum, sizeof checksum, "%016llx", (unsigned long long)hash_of(line, strlen(line), HASH_START));
  if (strcmp(checksum, last + 1) != 0) return LAMINA_OK;
  for (char *at = line; at; fields++) {
    if (fields == LAMINA_RECORD_FIELDS) return LAMINA_OK;
    field[fields] = at;
    at = strchr(at, '\t');
    if (at) *at++ = 0;
  }
  return lamina_records_add(records, field, fields, false);
}

lamina_status lamina_records_read(lamina_records *records, const char *text, size_t size) {
  const size_t start = sizeof header - 1;
  if (size < start || memcmp(text, header, start) != 0) return LAMINA_OK;
  char *line = lamina_alloc(records->allocator, LAMINA_RECORD_LINE);
  if (!line) return LAMINA_OUT_OF_MEMORY;
  lamina_status status = LAMINA_OK;
  for (size_t at = start; at < size && !status;) {
    const char *end = memchr(text + at, '\n', size - at);
    const size_t length = end ? (size_t)(end - text) - at : size - at;
    if (end && length < LAMINA_RECORD_LINE && !memchr(text + at, 0, length)) { /* without an end it was cut */
      memcpy(line, text + at, length);
      line[length] = 0;
      status = read_line(records, line);
    }
    at += length + 1;
  }
  lamina_free(records->allocator, line);
  return status;
}

void lamina_records_write(const lamina_records *records, lamina_text *text) {
  lamina_text_put(text, header);
  for (int i = 0; i < records->count; i++) {
    const lamina_record *record = &records->list[i];
    const size_t start = text->used;
    for (int f = 0; f < record->fields; f++) lamina_text_print(text, "%s%s", f ? "\t" : "", record->field[f]);
    if (text->failed) return;
    const uint64_t checksum = hash_of(text->data + start, text->used - start, HASH_START);
    lamina_text_print(text, "\t%016llx\n", (unsigned long long)checksum);
  }
}
