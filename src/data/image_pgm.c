/* PGM pictures: "P5" (bytes) and "P2" (text), https://netpbm.sourceforge.net/doc/pgm.html
 *
 *   P5 [space] width [space] height [space] maxval [one space] rows of samples
 *   white space may hold comments, from # to the end of the line, before the samples */
#include "data/image.h"

typedef struct text {
  const char *path;
  const unsigned char *at, *end;
} text;

static bool is_space(int c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static void skip_space(text *in) {
  for (; in->at < in->end && (is_space(*in->at) || *in->at == '#'); in->at++)
    if (*in->at == '#')
      while (in->at + 1 < in->end && *in->at != '\n' && *in->at != '\r') in->at++;
}

/* The word at the place, for an error sentence: its first letters, what can't be shown as '?'. */
static const char *excerpt(const text *in, const unsigned char *start, char word[13]) {
  int n = 0;
  for (; n < 12 && start + n < in->end && !is_space(start[n]); n++)
    word[n] = (char)(start[n] > ' ' && start[n] < 127 ? start[n] : '?');
  word[n] = '\0';
  return word;
}

/* A decimal number; `field` is what it is called. */
static lamina_status read_number(text *in, const char *field, int64_t least, int64_t most, int64_t *number) {
  skip_space(in);
  if (in->at == in->end) return lamina_error(LAMINA_CORRUPT, "%s: ends before %s, expected a number", in->path, field);
  const unsigned char *start = in->at;
  for (*number = 0; in->at < in->end && *in->at >= '0' && *in->at <= '9' && *number <= most; in->at++)
    *number = *number * 10 + (*in->at - '0');
  if (in->at == start || *number < least || *number > most ||
      (in->at < in->end && !is_space(*in->at) && *in->at != '#')) {
    char word[13];
    return lamina_error(LAMINA_CORRUPT, "%s: %s is \"%s\", expected a number from %lld to %lld", in->path, field,
                        excerpt(in, start, word), (long long)least, (long long)most);
  }
  return LAMINA_OK;
}

static lamina_status read_text_samples(text *in, int64_t maxval, int64_t n, float *x) {
  for (int64_t i = 0; i < n; i++) {
    char field[40] = "";
    int64_t value;
    lamina_append(field, sizeof field, "sample %lld", (long long)i);
    LAMINA_TRY(read_number(in, field, 0, maxval, &value));
    x[i] = (float)value / (float)maxval;
  }
  return LAMINA_OK;
}

static lamina_status read_byte_samples(text *in, int64_t maxval, int64_t n, float *x) {
  const int wide = maxval > 255;
  for (int64_t i = 0; i < n; i++) {
    const int value = wide ? in->at[2 * i] << 8 | in->at[2 * i + 1] : in->at[i];
    if (value > maxval)
      return lamina_error(LAMINA_CORRUPT, "%s: sample %lld is %d, expected 0 … %lld (maxval)", in->path, (long long)i,
                          value, (long long)maxval);
    x[i] = (float)value / (float)maxval;
  }
  return LAMINA_OK;
}

/* Sizes, and the place of the first sample. */
static lamina_status read_header(text *in, bool *bytes, int64_t *width, int64_t *height, int64_t *maxval) {
  *bytes = in->at[1] == '5';
  in->at += 2;
  LAMINA_TRY(read_number(in, "width", 1, INT32_MAX, width));
  LAMINA_TRY(read_number(in, "height", 1, INT32_MAX, height));
  LAMINA_TRY(read_number(in, "maxval", 1, 65535, maxval));
  if (*bytes && in->at == in->end)
    return lamina_error(LAMINA_CORRUPT, "%s: ends after maxval, expected %lld x %lld samples", in->path,
                        (long long)*width, (long long)*height);
  if (*bytes) in->at++; /* one white space, then samples */
  return LAMINA_OK;
}

static lamina_status parse(text *in, const lamina_allocator *allocator, lamina_image *image) {
  bool bytes;
  int64_t width, height, maxval;
  LAMINA_TRY(read_header(in, &bytes, &width, &height, &maxval));
  /* Both forms need a byte a sample at least, so a size that memory can't hold is no size of this file. */
  const int64_t n = width * height, left = in->end - in->at, needed = bytes && maxval > 255 ? 2 * n : n;
  if (left < needed)
    return lamina_error(LAMINA_CORRUPT, "%s: is cut short: %lld bytes of samples, expected %s%lld for %lld x %lld",
                        in->path, (long long)left, bytes ? "" : "at least ", (long long)needed, (long long)width,
                        (long long)height);
  image->x = lamina_alloc(allocator, (size_t)n * sizeof *image->x);
  if (!image->x) return lamina_error_at(LAMINA_OUT_OF_MEMORY, "%s: ", in->path);
  image->channels = 1;
  image->height = height;
  image->width = width;
  return (bytes ? read_byte_samples : read_text_samples)(in, maxval, n, image->x);
}

lamina_status lamina_image_pgm(const char *path, const unsigned char *bytes, int64_t size,
                               const lamina_allocator *allocator, lamina_image *image) {
  text in = {path, bytes, bytes + size};
  if (size < 3 || (!is_space(bytes[2]) && bytes[2] != '#'))
    return lamina_error(LAMINA_CORRUPT, "%s: expected white space behind %.2s (a PGM picture)", path,
                        (const char *)bytes);
  return parse(&in, allocator, image);
}
