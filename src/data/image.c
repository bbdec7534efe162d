/* Pictures: which format it is, told by the first bytes. */
#include "data/image.h"

#include "data/input.h"

typedef lamina_status read_fn(const char *path, const unsigned char *bytes, int64_t size,
                              const lamina_allocator *allocator, lamina_image *image);

static const struct {
  const char magic[3];
  read_fn *read;
} formats[] = {{"P2", lamina_image_pgm}, {"P5", lamina_image_pgm}, {"\x89P", lamina_image_png}};

/* Told before the rest is read: whatever a person may name is a file, of any size. */
static lamina_status find_format(const lamina_input *file, read_fn **read) {
  unsigned char magic[2] = {0};
  if (file->size < 2)
    return lamina_error(LAMINA_CORRUPT, "%s: ends after %d byte(s), expected a PNG or PGM picture", file->path,
                        (int)file->size);
  LAMINA_TRY(lamina_input_read_at(file->fd, file->path, 0, magic, 2));
  for (size_t i = 0; i < LAMINA_COUNT_OF(formats); i++)
    if (memcmp(magic, formats[i].magic, 2) == 0) {
      *read = formats[i].read;
      return LAMINA_OK;
    }
  return lamina_error(LAMINA_UNSUPPORTED, "%s: is no PNG or PGM picture: it begins with bytes 0x%02X%02X", file->path,
                      magic[0], magic[1]);
}

lamina_status lamina_image_read(const char *path, const lamina_allocator *allocator, lamina_image *image) {
  LAMINA_NOT_NULL(image, "image");
  *image = (lamina_image){0};
  LAMINA_NOT_NULL(path, "path");
  LAMINA_TRY(lamina_allocator_check(allocator, __func__));
  lamina_input file;
  LAMINA_TRY(lamina_input_open(path, allocator, &file));
  unsigned char *content = NULL;
  int64_t got = 0;
  read_fn *read = NULL;
  lamina_status status = find_format(&file, &read);
  if (!status && !(content = lamina_alloc(allocator, (size_t)file.size))) status = LAMINA_OUT_OF_MEMORY;
  if (!status) status = lamina_input_read(&file, content, file.size, &got);
  if (!status) status = read(path, content, got, allocator, image);
  lamina_free(allocator, content);
  lamina_input_close(&file);
  if (status) lamina_image_free(allocator, image);
  return status;
}

void lamina_image_free(const lamina_allocator *allocator, lamina_image *image) {
  if (!image) return;
  lamina_free(allocator, image->x);
  *image = (lamina_image){0};
}
