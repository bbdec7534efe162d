/* Records of what tuning found: a line of the cache file each, fields with tabs between, the last one a checksum of what is
 * before it. */
#ifndef LAMINA_CORE_RECORDS_H
#define LAMINA_CORE_RECORDS_H

#include "core/text.h"

#ifdef __cplusplus /* for tests */
extern "C" {
#endif

enum {
  LAMINA_RECORD_FIELDS = 10,      /* at most, the checksum not counted */
  LAMINA_RECORD_LINE = 8192,      /* bytes of a line at most */
  LAMINA_MOST_RECORDS = 4096,     /* the oldest make room */
  LAMINA_RECORDS_BYTES = 16 << 20 /* of the file at most */
};

/* The fields of each kind; those before the semicolon are its key.
 *
 *   machine  device; flops flops_half read copy region
 *   plan     device problem hash; engine seconds spread proof elements worst
 *   wrong    device problem hash engine; reason */
typedef struct lamina_record {
  char *text;                              /* the fields, a NUL after each; owned */
  const char *field[LAMINA_RECORD_FIELDS]; /* [0] is the kind */
  int fields;
  uint64_t key; /* of the kind and its key fields */
  bool fresh;   /* not in the file yet */
} lamina_record;

typedef struct lamina_records {
  const lamina_allocator *allocator;
  lamina_record *list;
  int count, room;
} lamina_records;

/* Adds a record of these fields, in the place of one with the same key. What can't be a record (a kind that there isn't,
 * numbers that can't be) is left out. OUT_OF_MEMORY. */
lamina_status lamina_records_add(lamina_records *records, const char *const *field, int fields, bool fresh);
/* Adds what a cache file holds, line by line; what isn't a good record is left out. */
lamina_status lamina_records_read(lamina_records *records, const char *text, size_t size);
/* Writes all of them, as a cache file has them. */
void lamina_records_write(const lamina_records *records, lamina_text *text);
/* By its kind and key fields; NULL: there is none. */
const lamina_record *lamina_records_find(const lamina_records *records, const char *const *key);
void lamina_records_close(lamina_records *records);

/* Reads the file at `path`; none is one without records. IO where it can't be read. (src/io) */
lamina_status lamina_records_load(const char *path, lamina_records *records);
/* Brings what is fresh into the file, beside what others have put there meanwhile; waits for another writer. (src/io) */
lamina_status lamina_records_save(const char *path, lamina_records *records);
/* Can records be saved there? IO where not; CORRUPT where the file is of something else. Changes nothing. (src/io) */
lamina_status lamina_records_check(const char *path, const lamina_allocator *allocator);

/* Writes these and no others. (src/io) */
lamina_status lamina_records_replace(const char *path, const lamina_records *records);

#ifdef __cplusplus
}
#endif

#endif
