/* The file of what tuning found: read whole, and written beside what others have put there. The temporary file is the lock:
 * who has it reads the newest state, adds to it and renames. */
#include <errno.h>
#include <unistd.h>

#include "core/records.h"
#include "io/file.h"

lamina_status lamina_records_load(const char *path, lamina_records *records) {
  char *text;
  size_t size;
  if (access(path, F_OK) != 0 && errno == ENOENT) return LAMINA_OK;
  LAMINA_TRY(lamina_file_read(path, LAMINA_RECORDS_BYTES, records->allocator, &text, &size));
  const lamina_status status = lamina_records_read(records, text, size);
  lamina_free(records->allocator, text);
  return status;
}

/* Files of other versions count as caches; they are made anew. */
static lamina_status check_begin(const char *path, const lamina_allocator *allocator) {
  static const char begin[] = "lamina-tune ";
  char *text;
  size_t size;
  if (access(path, F_OK) != 0) return LAMINA_OK;
  LAMINA_TRY(lamina_file_read(path, LAMINA_RECORDS_BYTES, allocator, &text, &size));
  const bool mine = !size || strncmp(text, begin, sizeof begin - 1) == 0;
  lamina_free(allocator, text);
  if (mine) return LAMINA_OK;
  return lamina_error(LAMINA_CORRUPT,
                      "%s: it is no tuning cache and would be written over; expected one, or a file that isn't there",
                      path);
}

lamina_status lamina_records_check(const char *path, const lamina_allocator *allocator) {
  lamina_file file;
  LAMINA_TRY(check_begin(path, allocator));
  LAMINA_TRY(lamina_file_replace(path, allocator, &file));
  lamina_file_abandon(&file);
  return LAMINA_OK;
}

static lamina_status merge(const char *path, const lamina_records *records, lamina_records *all) {
  const lamina_status status = lamina_records_load(path, all);
  if (status == LAMINA_OUT_OF_MEMORY) return status; /* what can't be read is written anew */
  for (int i = 0; i < records->count; i++)
    if (records->list[i].fresh)
      LAMINA_TRY(lamina_records_add(all, records->list[i].field, records->list[i].fields, false));
  return LAMINA_OK;
}

static lamina_status write_all(lamina_file *file, const lamina_records *records) {
  lamina_text text = {.allocator = records->allocator};
  lamina_records_write(records, &text);
  lamina_status status = lamina_text_status(&text);
  if (status) {
    lamina_file_abandon(file);
  } else {
    lamina_file_write(file, text.data, text.used);
    status = lamina_file_commit(file);
  }
  lamina_text_free(&text);
  return status;
}

lamina_status lamina_records_save(const char *path, lamina_records *records) {
  lamina_file file;
  lamina_records all = {.allocator = records->allocator};
  LAMINA_TRY(lamina_file_replace(path, records->allocator, &file));
  lamina_status status = merge(path, records, &all);
  if (status)
    lamina_file_abandon(&file);
  else
    status = write_all(&file, &all);
  for (int i = 0; i < records->count && !status; i++) records->list[i].fresh = false;
  lamina_records_close(&all);
  return status;
}

lamina_status lamina_records_replace(const char *path, const lamina_records *records) {
  lamina_file file;
  LAMINA_TRY(lamina_file_create(path, records->allocator, &file));
  return write_all(&file, records);
}
