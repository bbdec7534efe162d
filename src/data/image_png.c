/* PNG pictures, through libpng's simplified interface: eight bits a sample, grey or colours, transparency over white. */
#include <png.h>

#include "data/image.h"

/* Deflate packs 1032 bytes into one at most, so what claims to be larger is no picture of this file. */
enum { DEFLATE_MOST = 1032 };

static lamina_status corrupt(const char *path, const png_image *png) {
  return lamina_error(LAMINA_CORRUPT, "%s: its PNG is damaged: %.64s", path, png->message);
}

/* Samples as they lie in the file's order, [H, W, C], become [C, H, W] in 0 … 1. */
static void spread(const unsigned char *samples, int64_t channels, int64_t pixels, float *x) {
  for (int64_t c = 0; c < channels; c++)
    for (int64_t i = 0; i < pixels; i++) x[c * pixels + i] = (float)samples[i * channels + c] / 255;
}

static lamina_status decode(const char *path, png_image *png, const lamina_allocator *allocator, lamina_image *image) {
  const png_color white = {255, 255, 255};
  const int64_t channels = image->channels, pixels = image->height * image->width;
  unsigned char *samples = lamina_alloc(allocator, (size_t)(channels * pixels));
  if (!samples) return lamina_error_at(LAMINA_OUT_OF_MEMORY, "%s: ", path);
  lamina_status status = LAMINA_OK;
  if (!png_image_finish_read(png, &white, samples, 0, NULL)) status = corrupt(path, png);
  if (!status && !(image->x = lamina_alloc(allocator, (size_t)(channels * pixels) * sizeof *image->x)))
    status = lamina_error_at(LAMINA_OUT_OF_MEMORY, "%s: ", path);
  if (!status) spread(samples, channels, pixels, image->x);
  lamina_free(allocator, samples);
  return status;
}

lamina_status lamina_image_png(const char *path, const unsigned char *bytes, int64_t size,
                               const lamina_allocator *allocator, lamina_image *image) {
  png_image png = {.version = PNG_IMAGE_VERSION};
  if (!png_image_begin_read_from_memory(&png, bytes, (size_t)size)) return corrupt(path, &png);
  *image =
      (lamina_image){.channels = png.format & PNG_FORMAT_FLAG_COLOR ? 3 : 1, .height = png.height, .width = png.width};
  lamina_status status = LAMINA_OK;
  if (image->height * image->width > size * DEFLATE_MOST * 8) /* a sample may be one bit */
    status = lamina_error(LAMINA_CORRUPT, "%s: %lld bytes can't hold the %lld x %lld pixels that its header names",
                          path, (long long)size, (long long)image->width, (long long)image->height);
  png.format = image->channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  if (!status) status = decode(path, &png, allocator, image);
  png_image_free(&png);
  return status;
}
