/* Picture files, a function a format. `bytes` is the whole file, whose first two bytes were seen to be the format's;
 * errors name `path`. What was allocated is the caller's to free, on errors, too. */
#ifndef LAMINA_DATA_IMAGE_H
#define LAMINA_DATA_IMAGE_H

#include "core/base.h"
#include "lamina/data.h"

lamina_status lamina_image_pgm(const char *path, const unsigned char *bytes, int64_t size,
                               const lamina_allocator *allocator, lamina_image *image);
lamina_status lamina_image_png(const char *path, const unsigned char *bytes, int64_t size,
                               const lamina_allocator *allocator, lamina_image *image);

#endif
