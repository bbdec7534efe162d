/* NPY, as numpy.lib.format describes it.
 *
 *   [ 0x93 N U M P Y | major | minor | header length: u16 (1.0) or u32 (2.0, 3.0), little-endian ]
 *   [ {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  padded with spaces to a multiple of 64, then \n ]
 *   [ the elements ] */
#include <stdio.h>
#include <unistd.h>

#include "core/text.h"
#include "io/file.h"
#include "lamina/io.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are written and read as they lie in memory");

static const char magic[6] = "\x93NUMPY";
enum { HEADER_MOST = 1 << 20 };

/* Types as NPY writes them. A byte has no order, so '|u1' and '<u1' are one. */
static const struct {
  const char *name;
  lamina_dtype dtype;
} types[] = {{"<f2", LAMINA_F16}, {"<f4", LAMINA_F32}, {"<f8", LAMINA_F64}, {"<i4", LAMINA_I32},
             {"<i8", LAMINA_I64}, {"|u1", LAMINA_U8},  {"<u1", LAMINA_U8}};

/* ---- The header: a Python dict of three keys -----------------------------------------------------------------------
 */

typedef struct reader {
  const char *path, *at; /* the text ends with NUL */
  const char *start;
  char type[32];
  bool fortran;
  int rank;
  int64_t dims[LAMINA_MAX_RANK];
} reader;

static lamina_status corrupt(const reader *r, const char *expected) {
  return lamina_error(LAMINA_CORRUPT, "%s: header, byte %lld: expected %s", r->path, (long long)(r->at - r->start),
                      expected);
}

static void skip_space(reader *r) { r->at += strspn(r->at, " \t\r\n"); }

static bool accept(reader *r, const char *word) {
  skip_space(r);
  const size_t size = strlen(word);
  if (strncmp(r->at, word, size) != 0) return false;
  r->at += size;
  return true;
}

/* 'text' or "text", without escapes: none is needed for what may come. */
static lamina_status quoted(reader *r, const char *what, char *text, size_t size) {
  const char quote = accept(r, "'") ? '\'' : accept(r, "\"") ? '"' : 0;
  if (!quote) return corrupt(r, what);
  size_t n = 0;
  while (r->at[n] && r->at[n] != quote && r->at[n] != '\\') n++;
  if (r->at[n] != quote || n >= size) return corrupt(r, what);
  memcpy(text, r->at, n);
  text[n] = 0;
  r->at += n + 1;
  return LAMINA_OK;
}

static lamina_status read_type(reader *r) {
  if (accept(r, "[")) return lamina_error(LAMINA_CORRUPT, "%s: a table with columns; expected one array", r->path);
  return quoted(r, "a type in quotes", r->type, sizeof r->type);
}

static lamina_status read_order(reader *r) {
  r->fortran = accept(r, "True");
  return r->fortran || accept(r, "False") ? LAMINA_OK : corrupt(r, "True or False");
}

/* (), (2,), (2, 3). Python 2 wrote 3L. */
static lamina_status read_shape(reader *r) {
  if (!accept(r, "(")) return corrupt(r, "a shape in parentheses");
  for (r->rank = 0; !accept(r, ")");) {
    char digits[24] = "";
    skip_space(r);
    const size_t n = strspn(r->at, "0123456789");
    if (!n || n >= sizeof digits) return corrupt(r, "a size");
    if (r->rank == LAMINA_MAX_RANK)
      return lamina_error(LAMINA_CORRUPT, "%s: more than %d axes; expected fewer", r->path, LAMINA_MAX_RANK);
    memcpy(digits, r->at, n);
    if (!lamina_read_int(digits, &r->dims[r->rank++])) return corrupt(r, "a size that fits 64 bits");
    r->at += n;
    (void)accept(r, "L");
    if (!accept(r, ",") && *r->at != ')') return corrupt(r, "a comma or )");
  }
  return LAMINA_OK;
}

static lamina_status read_dict(reader *r) {
  static const char *const keys[] = {"descr", "fortran_order", "shape"};
  static lamina_status (*const values[])(reader *) = {read_type, read_order, read_shape};
  bool seen[3] = {false};
  if (!accept(r, "{")) return corrupt(r, "{");
  while (!accept(r, "}")) {
    char key[32];
    size_t k = 0;
    LAMINA_TRY(quoted(r, "'descr', 'fortran_order' or 'shape'", key, sizeof key));
    while (k < 3 && strcmp(keys[k], key) != 0) k++;
    if (k == 3 || seen[k]) return corrupt(r, "'descr', 'fortran_order' and 'shape' before here, once each");
    seen[k] = true;
    if (!accept(r, ":")) return corrupt(r, "a colon");
    LAMINA_TRY(values[k](r));
    if (!accept(r, ",") && *r->at != '}') return corrupt(r, "a comma or }");
  }
  skip_space(r);
  if (*r->at) return corrupt(r, "nothing after the }");
  for (size_t k = 0; k < 3; k++)
    if (!seen[k]) return lamina_error(LAMINA_CORRUPT, "%s: header: '%s' is missing", r->path, keys[k]);
  return LAMINA_OK;
}

/* What the dict says as a description. */
static lamina_status describe(const reader *r, lamina_desc *desc) {
  size_t t = 0;
  while (t < LAMINA_COUNT_OF(types) && strcmp(types[t].name, r->type) != 0) t++;
  if (t == LAMINA_COUNT_OF(types))
    return lamina_error(LAMINA_CORRUPT, "%s: elements of type '%s'; expected <f2, <f4, <f8, <i4, <i8 or |u1", r->path,
                        r->type);
  *desc = lamina_dense(types[t].dtype, r->rank, r->dims);
  if (r->fortran) {
    int64_t step = 1;
    for (int i = 0; i < r->rank; i++) {
      desc->strides[i] = step;
      if (r->dims[i] > 1 && !lamina_mul(step, r->dims[i], &step)) step = 0; /* counted below */
    }
  }
  if (lamina_desc_count(desc) < 0 || lamina_desc_bytes(desc) < 0)
    return lamina_error(LAMINA_CORRUPT, "%s: a shape of more elements than 64 bits can count", r->path);
  return LAMINA_OK;
}

/* ---- Reading -------------------------------------------------------------------------------------------------------
 */

/* Reads up to the first element: the length of that in *start. */
static lamina_status read_header(int file, const char *path, int64_t size, const lamina_allocator *allocator,
                                 lamina_desc *desc, int64_t *start) {
  uint8_t fixed[12] = {0};
  if (size < 10) return lamina_error(LAMINA_CORRUPT, "%s: %lld bytes; that is no NPY file", path, (long long)size);
  LAMINA_TRY(lamina_file_read_at(file, path, 0, fixed, size < 12 ? 10 : 12));
  if (memcmp(fixed, magic, sizeof magic) != 0)
    return lamina_error(LAMINA_CORRUPT, "%s: doesn't begin with \\x93NUMPY, so it is no NPY file", path);
  const int major = fixed[6];
  if (major < 1 || major > 3 || fixed[7] != 0)
    return lamina_error(LAMINA_CORRUPT, "%s: NPY version %d.%d; expected 1.0, 2.0 or 3.0", path, major, fixed[7]);
  const int64_t before = major == 1 ? 10 : 12;
  const int64_t length =
      major == 1 ? fixed[8] | fixed[9] << 8
                 : (int64_t)fixed[8] | (int64_t)fixed[9] << 8 | (int64_t)fixed[10] << 16 | (int64_t)fixed[11] << 24;
  if (length > HEADER_MOST || before + length > size)
    return lamina_error(LAMINA_CORRUPT, "%s: a header of %lld bytes; expected at most %lld", path, (long long)length,
                        (long long)(size - before < HEADER_MOST ? size - before : HEADER_MOST));
  char *text = lamina_alloc(allocator, (size_t)length + 1);
  if (!text) return LAMINA_OUT_OF_MEMORY;
  lamina_status status = lamina_file_read_at(file, path, before, text, (size_t)length);
  text[length] = 0;
  reader r = {.path = path, .at = text, .start = text};
  if (status == LAMINA_OK && strlen(text) != (size_t)length)
    status = lamina_error(LAMINA_CORRUPT, "%s: header: a NUL character", path);
  if (status == LAMINA_OK) status = read_dict(&r);
  if (status == LAMINA_OK) status = describe(&r, desc);
  lamina_free(allocator, text);
  *start = before + length;
  return status;
}

lamina_status lamina_npy_read(const char *path, const lamina_allocator *allocator, lamina_tensor *tensor) {
  int file;
  int64_t size, start = 0;
  lamina_desc desc = {0};
  char *data = NULL, shape[160];
  LAMINA_NOT_NULL(tensor, "tensor");
  *tensor = (lamina_tensor){0};
  LAMINA_NOT_NULL(path, "path");
  LAMINA_TRY(lamina_allocator_check(allocator, __func__));
  LAMINA_TRY(lamina_file_open(path, &file, &size));
  lamina_status status = read_header(file, path, size, allocator, &desc, &start);
  if (status != LAMINA_OK) goto cleanup;
  const int64_t bytes = lamina_desc_bytes(&desc);
  if (bytes != size - start) {
    status = lamina_error(LAMINA_CORRUPT, "%s: %lld bytes of elements; expected %lld for %s", path,
                          (long long)(size - start), (long long)bytes, lamina_desc_text(&desc, shape, sizeof shape));
    goto cleanup;
  }
  data = bytes ? lamina_alloc(allocator, (size_t)bytes) : NULL;
  if (bytes && !data) status = LAMINA_OUT_OF_MEMORY;
  if (bytes && data) status = lamina_file_read_at(file, path, start, data, (size_t)bytes);
  if (status != LAMINA_OK) goto cleanup;
  *tensor = lamina_tensor_of(desc, data);
  data = NULL;
cleanup:
  lamina_free(allocator, data);
  close(file);
  return status;
}

void lamina_npy_free(const lamina_allocator *allocator, lamina_tensor *tensor) {
  if (!tensor) return;
  lamina_free(allocator, tensor->data);
  *tensor = (lamina_tensor){0};
}

/* ---- Writing -------------------------------------------------------------------------------------------------------
 */

static void put(void *file, const void *data, size_t size) { lamina_file_write(file, data, size); }

lamina_status lamina_npy_write(const char *path, const lamina_tensor *tensor, const lamina_allocator *allocator) {
  LAMINA_NOT_NULL(path, "path");
  LAMINA_NOT_NULL(tensor, "tensor");
  LAMINA_TRY(lamina_allocator_check(allocator, __func__));
  LAMINA_TRY(lamina_check_host_tensor(path, tensor));
  const lamina_desc *desc = &tensor->desc;
  const lamina_dtype dtype = desc->dtype == LAMINA_BF16 ? LAMINA_F32 : (lamina_dtype)desc->dtype;
  size_t t = 0;
  while (types[t].dtype != dtype) t++; /* every type is in the table, but bf16 */
  char header[384];
  snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (", types[t].name);
  for (int i = 0; i < desc->rank; i++)
    lamina_append(header, sizeof header, i == 0 ? "%lld," : i == 1 ? " %lld" : ", %lld", (long long)desc->dims[i]);
  lamina_append(header, sizeof header, "), }");
  const size_t total = lamina_align_up(10 + strlen(header) + 1, 64), length = total - 10;
  const char fixed[] = {1, 0, (char)(length & 255), (char)(length >> 8)};
  lamina_file file;
  LAMINA_TRY(lamina_file_create(path, allocator, &file));
  lamina_file_write(&file, magic, sizeof magic);
  lamina_file_write(&file, fixed, sizeof fixed);
  lamina_file_write(&file, header, strlen(header));
  for (size_t n = 10 + strlen(header) + 1; n < total; n++) lamina_file_write(&file, " ", 1);
  lamina_file_write(&file, "\n", 1);
  lamina_put_tensor(tensor, dtype, put, &file);
  return lamina_file_commit(&file);
}
