/* What the writer and the reader of safetensors share.
 *
 *   [ header length: u64, little-endian ][ header: JSON, spaces up to a multiple of 64 ][ data, without holes ]
 *   header: {"__metadata__": {"key": "value"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
 *
 * The checksum runs over the tensors in the order of their data, the notes in the order of the file, then the data. */
#ifndef LAMINA_IO_SAFETENSORS_H
#define LAMINA_IO_SAFETENSORS_H

#include "core/base.h"

#define LAMINA_SAFETENSORS_HEADER 100000000 /* bytes at most, as the format's own reader has it */
#define LAMINA_SAFETENSORS_NOTES  "__metadata__"
#define LAMINA_SAFETENSORS_PREFIX "lamina." /* of notes: where there is one, there must be a checksum */
#define LAMINA_SAFETENSORS_CRC    "lamina.crc32"
#define LAMINA_SAFETENSORS_BY     "lamina.version"

/* A type of the format; `dtype` is LAMINA_NONE where we have no such type. NULL ends the list. */
typedef struct lamina_safetensors_type {
  const char *name;
  int bits;
  lamina_dtype dtype;
} lamina_safetensors_type;
extern const lamina_safetensors_type lamina_safetensors_types[];

uint32_t lamina_safetensors_crc_tensor(uint32_t crc, const char *name, const char *type, const lamina_desc *desc,
                                       int64_t begin, int64_t end);
uint32_t lamina_safetensors_crc_note(uint32_t crc, const char *key, const char *value);

#endif
