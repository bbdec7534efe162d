/* Files: tensors as NPY and safetensors, charts, JSON for machines.
 *
 * What is written replaces the old file only when it is whole and on the disk: it is made as PATH.tmp beside it,
 * synced and renamed, and the folder is synced. A failure leaves the old file as it was. A link is followed; a device
 * or pipe is written to as it is.
 *
 * `allocator` may be NULL for malloc. Everything here works on host memory and blocks until it is done. Nothing is
 * shared between calls, so they may run in many threads; one object from one thread at a time. Errors: IO (path and the
 * system's reason), CORRUPT (path, place, what was expected), OUT_OF_MEMORY, INVALID. */
#ifndef LAMINA_IO_H
#define LAMINA_IO_H

#include "lamina/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- NPY: one array a file (numpy.lib.format, versions 1.0, 2.0 and 3.0) -------------------------------------------
 */

/** Reads a whole file. Types f2 f4 f8 i4 i8 u1, little-endian; any order of axes: an array in Fortran order gets the
 *  strides of it. Rank up to LAMINA_MAX_RANK. Free tensor->data with lamina_npy_free. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_npy_read(const char *path, const lamina_allocator *allocator,
                                                          lamina_tensor *tensor);
/** Frees what lamina_npy_read returned, with the same allocator. */
LAMINA_API void lamina_npy_free(const lamina_allocator *allocator, lamina_tensor *tensor);
/** Writes any host tensor in C order, version 1.0. NPY has no bf16: it is widened to f4, without loss. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_npy_write(const char *path, const lamina_tensor *tensor,
                                                           const lamina_allocator *allocator);

/* ---- safetensors: named tensors and notes (github.com/huggingface/safetensors, "Format") --------------------------
 *
 * Ours carry two notes more, "lamina.version" and "lamina.crc32": a checksum (zlib's CRC-32) of every name, type, shape
 * and note and of all data, so that a file that was cut or altered is told from a whole one. Other programs ignore
 * them; files of other programs, without them, are read as well. */

/** A file that is being made. */
typedef struct lamina_safetensors_writer lamina_safetensors_writer;

/** Starts a file; what can't be written is said here already. End it with commit or abandon. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_safetensors_create(const char *path, const lamina_allocator *allocator,
                                                                    lamina_safetensors_writer **writer);
/** Adds a host tensor of any strides, or in blocks; it is written in row-major order. The name (UTF-8) is copied; the
 *  data is read by lamina_safetensors_commit, so it must stay until then. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_safetensors_add(lamina_safetensors_writer *writer, const char *name,
                                                                 const lamina_tensor *tensor);
/** Adds a note (a pair of the format's __metadata__); both texts are UTF-8 and copied. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_safetensors_note(lamina_safetensors_writer *writer, const char *key,
                                                                  const char *value);
/** Writes everything and replaces the old file. Frees the writer whatever comes of it. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_safetensors_commit(lamina_safetensors_writer *writer);
/** Frees the writer; the old file stays. NULL is fine. */
LAMINA_API void lamina_safetensors_abandon(lamina_safetensors_writer *writer);

/** An open file. */
typedef struct lamina_safetensors lamina_safetensors;

/** Is this file meant to be one? By its first eight bytes, which no text has, or by a name that ends in .safetensors. False
 *  where it can't be read. */
LAMINA_API bool lamina_safetensors_is(const char *path);

/** Opens and checks a file: bounds, types, shapes, offsets without holes or overlaps, and the checksum where it has one
 *  (that reads the whole file once). CORRUPT names the tensor and the field. Several threads may read from one. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_safetensors_open(const char *path, const lamina_allocator *allocator,
                                                                  lamina_safetensors **file);
/** NULL is fine. */
LAMINA_API void lamina_safetensors_close(lamina_safetensors *file);
/** Number of tensors; they are in the order of their names. */
LAMINA_API int lamina_safetensors_count(const lamina_safetensors *file);
/** The name of tensor `index`, below lamina_safetensors_count. Lives, as all that the file tells, until it is closed. */
LAMINA_API const char *lamina_safetensors_name(const lamina_safetensors *file, int index);
/** The shape of tensor `index`; dense. dtype LAMINA_NONE: a type of the format that Lamina doesn't have. */
LAMINA_API const lamina_desc *lamina_safetensors_desc(const lamina_safetensors *file, int index);
/** Index of the tensor named so; -1 when there is none. */
LAMINA_API int lamina_safetensors_find(const lamina_safetensors *file, const char *name);
/** The value of a note; NULL when there is none. */
LAMINA_API const char *lamina_safetensors_value(const lamina_safetensors *file, const char *key);
/** Reads a tensor into a host tensor of the same shape, any strides or blocks; floating types may differ and are rounded.
 *  INVALID where shapes or types don't fit. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_safetensors_read(const lamina_safetensors *file, int index,
                                                                  const lamina_tensor *to);

/* ---- Charts -------------------------------------------------------------------------------------------------------- */

/** A line of a chart. */
typedef struct lamina_series {
  const char *name; /**< in the legend */
  size_t count;     /**< points */
  const double *x;  /**< NULL: 0, 1, 2 … */
  const double *y;  /**< not finite, or not positive on a logarithmic axis: a gap; so is what passes 1e150 */
  bool right;       /**< drawn against an axis of its own at the right */
  bool smooth;      /**< for noise: drawn as its mean over each 1/128 of the width, the values themselves faint */
} lamina_series;

/** All zero but the series: a linear chart without texts. Texts are UTF-8; NULL leaves them out. */
typedef struct lamina_chart {
  const char *title, *x_label, *left_label, *right_label; /**< above the picture, and along its axes */
  const lamina_series *series;                            /**< the lines */
  int count;                                              /**< how many lines */
  bool log_left;                                          /**< the left axis is logarithmic */
  int width, height;                                      /**< of the picture in pixels; 0: 960 by 540 */
} lamina_chart;

/** Draws a self-contained SVG: axes with round ticks, a legend with the last values; light, or dark where the viewer
 *  prefers that. A line has at most four points a pixel, however long the series is. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_chart_svg(const lamina_chart *chart, const char *path,
                                                           const lamina_allocator *allocator);
/** Draws the chart for a terminal, in lines of `columns` (24 … 256) characters, `rows` (6 … 64) lines, of UTF-8 braille
 *  dots; smooth series as their mean only. `colour` adds ANSI colours. INVALID where the buffer is too small: 8 bytes
 *  a character are enough, and 24 with colour. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_chart_text(const lamina_chart *chart, int columns, int rows,
                                                            bool colour, char *buffer, size_t size);

/** The most classes of a confusion matrix that is drawn. */
#define LAMINA_CONFUSION_CLASSES 4096

/** How often which class was taken for which. */
typedef struct lamina_confusion {
  const char *title;        /**< NULL: none */
  const char *const *names; /**< [classes]; NULL, or a NULL among them: numbers */
  int64_t classes;          /**< 1 … LAMINA_CONFUSION_CLASSES */
  const int64_t *counts;    /**< [label, answer], row-major, as lamina_net_confusion gives them */
} lamina_confusion;

/** Draws the matrix as a self-contained SVG: a row a label, a column an answer; right ones blue and wrong ones orange, the
 *  stronger the larger their share of the row; with counts and names as far as there is room. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_confusion_svg(const lamina_confusion *matrix, const char *path,
                                                               const lamina_allocator *allocator);

/* ---- JSON for machines: one object, one line ----------------------------------------------------------------------- */

/** Builds `{"step":3,"loss":0.25}`. Calls remember a failure, and lamina_json_line tells it. */
typedef struct lamina_json lamina_json;

/** Opens the first line. OUT_OF_MEMORY. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_json_open(const lamina_allocator *allocator, lamina_json **json);
/** NULL is fine. */
LAMINA_API void lamina_json_close(lamina_json *json);
/** Adds a pair to the object that is open, or, with key NULL, a value to the array that is open. Text is UTF-8 (what is
 *  not becomes U+FFFD), NULL becomes null. */
LAMINA_API void lamina_json_text(lamina_json *json, const char *key, const char *value);
/** A whole number, all of its digits. */
LAMINA_API void lamina_json_int(lamina_json *json, const char *key, int64_t value);
/** The shortest number that reads back the same; what is not finite becomes null. */
LAMINA_API void lamina_json_real(lamina_json *json, const char *key, double value);
/** true or false. */
LAMINA_API void lamina_json_bool(lamina_json *json, const char *key, bool value);
/** Opens an object within; brackets may be 15 deep. */
LAMINA_API void lamina_json_object(lamina_json *json, const char *key);
/** Opens an array within. */
LAMINA_API void lamina_json_array(lamina_json *json, const char *key);
/** Closes what was opened last. */
LAMINA_API void lamina_json_end(lamina_json *json);
/** Closes what is open and gives the text, without a newline; the next call on `json` starts a new object and ends the
 *  life of *line. INVALID where a key was missing or too much, or more was closed than opened. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_json_line(lamina_json *json, const char **line);

#ifdef __cplusplus
}
#endif
#endif
