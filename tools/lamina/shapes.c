/* Reads files of shapes: a line each is cut into words, which the library's own grammar reads. */
#include "shapes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t\r\v\f"
enum { MOST_BYTES = 16 << 20 };

static int say(const cli_command *self, const char *path, int number, const char *text) {
  fprintf(stderr, "lamina %s: %s:%d: %s\n", self->name, path, number, text);
  return EXIT_FAILED;
}

/* The whole file with a 0 behind it; NULL with errno set. */
static char *read_all(FILE *file, size_t *size) {
  char *text = NULL;
  for (size_t room = 0;;) {
    if (*size + 1 >= room) {
      char *more = room < MOST_BYTES ? realloc(text, room = room ? 2 * room : 1 << 14) : NULL;
      if (!more) {
        free(text);
        errno = room < MOST_BYTES ? ENOMEM : EFBIG;
        return NULL;
      }
      text = more;
    }
    const size_t got = fread(text + *size, 1, room - 1 - *size, file);
    *size += got;
    if (got) continue;
    text[*size] = 0;
    if (!ferror(file)) return text;
    free(text);
    return NULL;
  }
}

static int load(const cli_command *self, const char *path, char **text) {
  const bool standard = strcmp(path, "-") == 0;
  size_t size = 0;
  FILE *file = standard ? stdin : fopen(path, "r");
  *text = file ? read_all(file, &size) : NULL;
  if (!*text) fprintf(stderr, "lamina %s: %s: %s\n", self->name, path, strerror(errno));
  if (file && !standard) fclose(file);
  if (*text && strlen(*text) != size) return say(self, path, 1, "it has a zero byte; expected a text");
  return *text ? 0 : EXIT_FAILED;
}

static bool wanted(const char *line, const char *const *filter, int filters) {
  for (int i = 0; i < filters; i++)
    if (!strstr(line, filter[i])) return false;
  return true;
}

/* The comment of a line without its blanks; cuts the line before it. */
static const char *cut_comment(char *line) {
  char *comment = strchr(line, '#');
  if (!comment) return "";
  *comment++ = 0;
  comment += strspn(comment, BLANKS "#");
  for (size_t end = strlen(comment); end && strchr(BLANKS, comment[end - 1]);) comment[--end] = 0;
  return comment;
}

/* The words of a line; more than there is room for are counted only. */
static int split(char *line, const char **words) {
  int count = 0;
  for (char *rest, *word = strtok_r(line, BLANKS, &rest); word; word = strtok_r(NULL, BLANKS, &rest)) {
    if (count < SHAPES_MOST_WORDS) words[count] = word;
    count++;
  }
  return count;
}

static bool says_dtype(int count, const char *const *words) {
  for (int i = 1; i < count; i++)
    if (strncmp(words[i], "dtype=", 6) == 0) return true;
  return false;
}

/* `line` without its comment becomes the case of `to`. */
static int understand(const cli_command *self, const char *path, const char *dtype, char *line, shapes_line *to) {
  const char *words[SHAPES_MOST_WORDS + 1];
  char text[1280];
  int count = split(line, words);
  if (count > SHAPES_MOST_WORDS) {
    snprintf(text, sizeof text, "it has %d words; at most %d are read", count, SHAPES_MOST_WORDS);
    return say(self, path, to->number, text);
  }
  if (dtype && !says_dtype(count, words)) words[count++] = dtype;
  if (!lamina_case_parse(count, words, NULL, &to->c)) return 0;
  snprintf(text, sizeof text, "%s", lamina_last_error());
  return say(self, path, to->number, text);
}

static int add(const cli_command *self, const char *path, shapes *list, const char *dtype, int number, const char *name,
               char *line) {
  if (!(list->count & (list->count - 1))) { /* a power of two, or none: it is full */
    shapes_line *more = realloc(list->line, sizeof *more * (size_t)(list->count ? 2 * list->count : 1));
    if (!more) return say(self, path, number, "out of memory");
    list->line = more;
  }
  shapes_line *to = &list->line[list->count];
  *to = (shapes_line){.number = number, .name = name};
  const int error = understand(self, path, dtype, line, to);
  if (!error) list->count++;
  return error;
}

int shapes_read(const cli_command *self, const char *path, const char *dtype, const char *const *filter, int filters,
                shapes *list) {
  char word[32];
  int problems = 0;
  *list = (shapes){0};
  if (dtype && !lamina_dtype_find(dtype))
    return cli_usage(self, "--dtype is \"%s\"; expected f64, f32, f16 or bf16", dtype);
  if (dtype) snprintf(word, sizeof word, "dtype=%s", dtype);
  int error = load(self, path, &list->text);
  char *next = list->text;
  for (int number = 1; next && !error; number++) {
    char *line = next;
    if ((next = strchr(line, '\n'))) *next++ = 0;
    const bool kept = wanted(line, filter, filters);
    const char *name = cut_comment(line);
    if (!line[strspn(line, BLANKS)]) continue;
    problems++;
    if (kept) error = add(self, path, list, dtype ? word : NULL, number, name, line);
  }
  if (error || list->count) return error;
  fprintf(stderr, "lamina %s: %s: %s\n", self->name, path,
          problems ? "the filter leaves none of its problems" : "there is no problem in it; expected one a line");
  return EXIT_FAILED;
}

void shapes_close(shapes *list) {
  free(list->line);
  free(list->text);
  *list = (shapes){0};
}
