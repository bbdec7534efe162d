/* IDX files, the format of MNIST (http://yann.lecun.com/exdb/mnist), all numbers big-endian:
 *
 *   pictures  [00 00 08 03][count][rows][columns][count * rows * columns unsigned bytes]
 *   labels    [00 00 08 01][count][count unsigned bytes]
 *              ^ two zeros, element type, number of axes
 *
 * Labels are held in memory. Pictures of a plain file stay in it: each is fetched when it is wanted, half a microsecond
 * from the page cache, so that opening costs nothing and a file may be larger than memory. */
#include <unistd.h>

#include "data/dataset.h"
#include "data/input.h"

typedef struct idx {
  lamina_allocator allocator;
  char *pictures, *labels; /* paths */
  int64_t count, size;     /* pictures, and bytes of one */
  int fd;                  /* of a plain picture file, else -1 */
  uint8_t *pixel;          /* [count, size], unpacked, or NULL */
  uint8_t *label;          /* [count] */
} idx;

enum { PICTURE_HEADER = 16, LABEL_HEADER = 8 };

/* ---- Finding the files ---- */

/* Looks for one of the usual names of `what` ("images", "labels") under folder and prefix: *path is the first that
 * exists, NULL when there is none. Appends to `tried`. */
static lamina_status find_file(const lamina_allocator *allocator, const char *folder, const char *prefix,
                               const char *what, int axes, char **path, char *tried, size_t room) {
  static const char *const forms[] = {"%s%s%s-%s-idx%d-ubyte", "%s%s%s-%s-idx%d-ubyte.gz", "%s%s%s-%s.idx%d-ubyte",
                                      "%s%s%s-%s.idx%d-ubyte.gz"};
  const size_t size = strlen(folder) + strlen(prefix) + 40; /* 40: the longest ending */
  *path = lamina_alloc(allocator, size);
  if (!*path) return LAMINA_OUT_OF_MEMORY;
  for (size_t i = 0; i < LAMINA_COUNT_OF(forms); i++) {
    **path = '\0';
    lamina_append(*path, size, forms[i], folder, *folder ? "/" : "", prefix, what, axes);
    if (!access(*path, F_OK)) return LAMINA_OK;
    lamina_append(tried, room, "%s%s", *tried ? ", " : "", *path);
  }
  lamina_free(allocator, *path);
  *path = NULL;
  return LAMINA_OK;
}

/* Pictures under root, else in the working directory; labels beside them. */
static lamina_status find_files(idx *data, const lamina_data_spec *spec) {
  const char *folders[2] = {"", ""};
  int count = 1;
  if (spec->root && spec->what[0] != '/') folders[0] = spec->root, count = 2;
  char tried[1536] = "";
  int i = 0;
  for (; i < count && !data->pictures; i++)
    LAMINA_TRY(find_file(&data->allocator, folders[i], spec->what, "images", 3, &data->pictures, tried, sizeof tried));
  if (!data->pictures)
    return lamina_error(LAMINA_IO, "dataset \"%s\": no picture file was found%s; tried %s", spec->text,
                        spec->root ? "" : " (LAMINA_DATA, the folder to look in, is not set)", tried);
  *tried = '\0';
  LAMINA_TRY(find_file(&data->allocator, folders[i - 1], spec->what, "labels", 1, &data->labels, tried, sizeof tried));
  if (!data->labels)
    return lamina_error(LAMINA_IO, "dataset \"%s\": %s has no label file beside it; tried %s", spec->text,
                        data->pictures, tried);
  return LAMINA_OK;
}

/* ---- Reading the files ---- */

static lamina_status check_magic(const char *path, const uint8_t *magic, int axes) {
  static const char *const types[256] = {[0x09] = "signed bytes",
                                         [0x0b] = "16-bit integers",
                                         [0x0c] = "32-bit integers",
                                         [0x0d] = "32-bit floats",
                                         [0x0e] = "64-bit floats"};
  if (!magic[0] && !magic[1] && types[magic[2]])
    return lamina_error(LAMINA_UNSUPPORTED, "%s: its elements are %s (type 0x%02X), expected unsigned bytes (0x08)",
                        path, types[magic[2]], magic[2]);
  if (magic[0] || magic[1] || magic[2] != 0x08 || magic[3] != axes)
    return lamina_error(LAMINA_CORRUPT, "%s: magic is 0x%02X%02X%02X%02X, expected 0x%08X (%s)", path, magic[0],
                        magic[1], magic[2], magic[3], 0x800u + (unsigned)axes,
                        axes == 3 ? "IDX pictures" : "IDX labels");
  return LAMINA_OK;
}

/* Magic and dims, each checked on its own: dims: [axes]. */
static lamina_status read_header(lamina_input *file, int axes, int64_t *dims) {
  static const char *const names[] = {"magic", "count", "rows", "columns"};
  uint8_t header[PICTURE_HEADER];
  int64_t got;
  LAMINA_TRY(lamina_input_read(file, header, 4 + 4 * axes, &got));
  if (got >= 4) LAMINA_TRY(check_magic(file->path, header, axes));
  if (got < 4 + 4 * axes)
    return lamina_error(LAMINA_CORRUPT, "%s: ends in field %s after %lld bytes, expected a header of %d", file->path,
                        names[got / 4], (long long)got, 4 + 4 * axes);
  for (int i = 0; i < axes; i++) {
    const uint8_t *b = header + 4 + 4 * i;
    dims[i] = (int64_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
    if (dims[i] < 1 || dims[i] > INT32_MAX)
      return lamina_error(LAMINA_CORRUPT, "%s: %s is %lld, expected 1 … 2147483647", file->path, names[i + 1],
                          (long long)dims[i]);
  }
  return LAMINA_OK;
}

/* Whether the file's size agrees with what the header tells of: exactly when it is plain, possibly when packed. */
static lamina_status check_size(const lamina_input *file, int axes, const int64_t *dims) {
  int64_t bytes = 4 + 4 * axes, body = 1;
  char shape[80] = "";
  bool fits = true;
  for (int i = 0; i < axes; i++) {
    fits = fits && lamina_mul(body, dims[i], &body);
    lamina_append(shape, sizeof shape, "%s%lld", i ? " x " : "", (long long)dims[i]);
  }
  if (!fits || !lamina_sum(bytes, body, &bytes))
    return lamina_error(LAMINA_CORRUPT, "%s: its header tells of %s bytes, which no file can hold", file->path, shape);
  if (!file->unpacker && file->size > bytes)
    return lamina_error(LAMINA_CORRUPT, "%s: %lld bytes too many after the %s that its header tells of", file->path,
                        (long long)(file->size - bytes), shape);
  if (bytes > file->most)
    return lamina_error(LAMINA_CORRUPT,
                        "%s: is cut short: %lld bytes%s, expected %lld for the %s that its header tells of", file->path,
                        (long long)file->size, file->unpacker ? " (packed)" : "", (long long)bytes, shape);
  return LAMINA_OK;
}

static lamina_status open_array(const idx *data, const char *path, int axes, lamina_input *file, int64_t *dims) {
  LAMINA_TRY(lamina_input_open(path, &data->allocator, file));
  lamina_status status = read_header(file, axes, dims);
  if (!status) status = check_size(file, axes, dims);
  if (status) lamina_input_close(file);
  return status;
}

/* All that follows the header, into new memory. */
static lamina_status read_body(const idx *data, lamina_input *file, int64_t bytes, uint8_t **body) {
  *body = lamina_alloc(&data->allocator, (size_t)bytes);
  if (!*body) return lamina_error_at(LAMINA_OUT_OF_MEMORY, "%s: ", file->path);
  int64_t got;
  uint8_t next;
  LAMINA_TRY(lamina_input_read(file, *body, bytes, &got));
  if (got < bytes)
    return lamina_error(LAMINA_CORRUPT, "%s: is cut short: %lld bytes unpacked after the header, expected %lld",
                        file->path, (long long)got, (long long)bytes);
  LAMINA_TRY(lamina_input_read(file, &next, 1, &got)); /* checks gzip's CRC, too */
  if (got)
    return lamina_error(LAMINA_CORRUPT, "%s: goes on after the %lld bytes that its header tells of", file->path,
                        (long long)bytes);
  return LAMINA_OK;
}

/* The first label that isn't below `classes`. */
static lamina_status check_labels(const idx *data, int64_t classes, lamina_status status) {
  for (int64_t i = 0; i < data->count; i++)
    if (data->label[i] >= classes)
      return lamina_error(status, "%s: label %lld (at byte %lld) is %d, expected 0 … %lld", data->labels, (long long)i,
                          (long long)(LABEL_HEADER + i), data->label[i], (long long)classes - 1);
  return LAMINA_OK;
}

static lamina_status read_files(idx *data, lamina_input *pictures, lamina_dataset_info *info) {
  int64_t dims[3], labels = 0;
  LAMINA_TRY(open_array(data, data->pictures, 3, pictures, dims));
  lamina_input file;
  LAMINA_TRY(open_array(data, data->labels, 1, &file, &labels));
  lamina_status status = LAMINA_OK;
  if (labels != dims[0])
    status = lamina_error(LAMINA_CORRUPT, "%s: count is %lld, expected %lld as in %s", data->labels, (long long)labels,
                          (long long)dims[0], data->pictures);
  if (!status) status = read_body(data, &file, labels, &data->label);
  lamina_input_close(&file);
  LAMINA_TRY(status);

  data->count = dims[0];
  data->size = dims[1] * dims[2];
  info->count = dims[0];
  info->channels = 1;
  info->height = dims[1];
  info->width = dims[2];
  if (pictures->unpacker) return read_body(data, pictures, data->count * data->size, &data->pixel);
  data->fd = pictures->fd;
  pictures->fd = -1;
  return LAMINA_OK;
}

/* ---- The dataset ---- */

static void idx_close(void *user) {
  idx *data = user;
  const lamina_allocator allocator = data->allocator;
  if (data->fd >= 0) close(data->fd);
  lamina_free(&allocator, data->pictures);
  lamina_free(&allocator, data->labels);
  lamina_free(&allocator, data->pixel);
  lamina_free(&allocator, data->label);
  lamina_free(&allocator, data);
}

/* x: [1, rows, columns], byte / 255 */
static lamina_status idx_read(void *user, int64_t index, float *x, int32_t *label) {
  const idx *data = user;
  *label = data->label[index];
  uint8_t block[4096];
  for (int64_t at = 0; at < data->size; at += (int64_t)sizeof block) {
    const int64_t n = data->size - at < (int64_t)sizeof block ? data->size - at : (int64_t)sizeof block;
    const int64_t offset = index * data->size + at;
    const uint8_t *byte = block;
    if (data->pixel)
      byte = data->pixel + offset;
    else
      LAMINA_TRY(lamina_input_read_at(data->fd, data->pictures, PICTURE_HEADER + offset, block, n));
    for (int64_t i = 0; i < n; i++) x[at + i] = (float)byte[i] / 255.0f;
  }
  return LAMINA_OK;
}

static lamina_status idx_check_classes(void *user, int64_t classes) {
  return check_labels(user, classes, LAMINA_INVALID);
}

static lamina_status idx_open(const lamina_data_spec *spec, lamina_source *source) {
  idx *data = lamina_alloc_zero(spec->allocator, sizeof *data);
  if (!data) return LAMINA_OUT_OF_MEMORY;
  data->allocator = spec->allocator ? *spec->allocator : lamina_malloc;
  data->fd = -1;
  lamina_input pictures = {.fd = -1, .allocator = &data->allocator};
  lamina_status status = find_files(data, spec);
  if (!status) status = read_files(data, &pictures, &source->info);
  lamina_input_close(&pictures);
  if (!status && spec->value[0]) status = check_labels(data, spec->value[0], LAMINA_CORRUPT);
  if (status) return idx_close(data), status;

  int64_t classes = 1;
  for (int64_t i = 0; i < data->count; i++)
    if (data->label[i] >= classes) classes = data->label[i] + 1;
  source->info.classes = spec->value[0] ? spec->value[0] : classes;
  source->read = idx_read;
  source->close = idx_close;
  source->user = data;
  return LAMINA_OK;
}

const lamina_data_kind lamina_data_idx = {
    .about = {"idx", "idx:PREFIX[,classes=N]", "IDX files, as MNIST's: PREFIX-images-idx3-ubyte[.gz] and labels"},
    .keys = {{"classes", 0, 1, 256}},
    .open = idx_open,
    .check_classes = idx_check_classes};
