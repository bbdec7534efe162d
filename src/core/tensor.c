/* Element types and tensor views. */
#include <math.h>
#include <stdio.h>

#include "core/base.h"
#include "core/blocks.h"

static const struct {
  const char *name;
  size_t size;
  bool floating;
  double roundoff;
} dtypes[] = {{"none", 0, false, 0.0},
#define X(name, bytes, floating, u) {#name, bytes, floating, u},
              LAMINA_DTYPE_MAP(X)
#undef X
};

static bool known(lamina_dtype dtype) { return (size_t)dtype < LAMINA_COUNT_OF(dtypes); }

size_t lamina_dtype_size(lamina_dtype dtype) { return known(dtype) ? dtypes[dtype].size : 0; }
bool lamina_dtype_is_floating(lamina_dtype dtype) { return known(dtype) && dtypes[dtype].floating; }
double lamina_dtype_roundoff(lamina_dtype dtype) { return known(dtype) ? dtypes[dtype].roundoff : 0.0; }

const char *lamina_dtype_name(lamina_dtype dtype) {
  switch (dtype) {
  case LAMINA_NONE: return "none";
  case LAMINA_F64: return "f64";
  case LAMINA_F32: return "f32";
  case LAMINA_F16: return "f16";
  case LAMINA_BF16: return "bf16";
  case LAMINA_I64: return "i64";
  case LAMINA_I32: return "i32";
  case LAMINA_U8: return "u8";
  }
  return "?";
}

lamina_dtype lamina_dtype_find(const char *name) {
  if (!name) return LAMINA_NONE;
  for (size_t d = 1; d < LAMINA_COUNT_OF(dtypes); d++)
    if (strcmp(name, lamina_dtype_name((lamina_dtype)d)) == 0) return (lamina_dtype)d;
  return LAMINA_NONE;
}

lamina_desc lamina_strided(lamina_dtype dtype, int rank, const int64_t *dims, const int64_t *strides) {
  lamina_desc desc = {0};
  if (rank < 0 || rank > LAMINA_MAX_RANK || (rank && (!dims || !strides))) return desc;
  desc.dtype = dtype;
  desc.rank = rank;
  for (int i = 0; i < rank; i++) desc.dims[i] = dims[i], desc.strides[i] = strides[i];
  return desc;
}

lamina_desc lamina_dense(lamina_dtype dtype, int rank, const int64_t *dims) {
  int64_t strides[LAMINA_MAX_RANK] = {0}, step = 1;
  if (rank < 0 || rank > LAMINA_MAX_RANK || (rank && !dims)) return (lamina_desc){0};
  for (int i = rank - 1; i >= 0; i--) {
    strides[i] = step;
    if (dims[i] > 1 && !lamina_mul(step, dims[i], &step)) step = 0; /* lamina_desc_count reports the overflow */
  }
  return lamina_strided(dtype, rank, dims, strides);
}

lamina_desc lamina_blocked(lamina_dtype dtype, int rank, const int64_t *dims, int32_t layout) {
  lamina_desc desc = lamina_dense(dtype, rank, dims);
  if (layout == 0 || desc.rank != rank) return desc;
  desc.layout = layout;
  int64_t step = lamina_block_elements(layout);
  for (int i = desc.rank - 1; i >= 0; i--) {
    const int64_t blocks = dims[i] / lamina_block_of(layout, i);
    desc.strides[i] = layout < 0 ? 0 : step;
    if (blocks > 1 && !lamina_mul(step, blocks, &step)) step = 0;
  }
  return desc;
}

lamina_desc lamina_infer(lamina_dtype dtype) {
  return (lamina_desc){.dtype = (int32_t)dtype, .rank = LAMINA_RANK_INFER};
}

lamina_tensor lamina_tensor_of(lamina_desc desc, void *data) { return (lamina_tensor){.desc = desc, .data = data}; }

lamina_tensor lamina_vector(lamina_dtype dtype, int64_t n, void *data) {
  return lamina_tensor_of(lamina_dense(dtype, 1, (int64_t[]){n}), data);
}

lamina_tensor lamina_matrix(lamina_dtype dtype, int64_t rows, int64_t columns, void *data) {
  return lamina_tensor_of(lamina_dense(dtype, 2, (int64_t[]){rows, columns}), data);
}

lamina_tensor lamina_ncw(lamina_dtype dtype, int64_t n, int64_t c, int64_t w, void *data) {
  return lamina_tensor_of(lamina_dense(dtype, 3, (int64_t[]){n, c, w}), data);
}

lamina_tensor lamina_nchw(lamina_dtype dtype, int64_t n, int64_t c, int64_t h, int64_t w, void *data) {
  return lamina_tensor_of(lamina_dense(dtype, 4, (int64_t[]){n, c, h, w}), data);
}

lamina_tensor lamina_nhwc(lamina_dtype dtype, int64_t n, int64_t c, int64_t h, int64_t w, void *data) {
  const lamina_desc memory = lamina_dense(dtype, 4, (int64_t[]){n, h, w, c});
  const int64_t strides[] = {memory.strides[0], memory.strides[3], memory.strides[1], memory.strides[2]};
  return lamina_tensor_of(lamina_strided(dtype, 4, (int64_t[]){n, c, h, w}, strides), data);
}

lamina_tensor lamina_ncdhw(lamina_dtype dtype, int64_t n, int64_t c, int64_t d, int64_t h, int64_t w, void *data) {
  return lamina_tensor_of(lamina_dense(dtype, 5, (int64_t[]){n, c, d, h, w}), data);
}

int64_t lamina_desc_count(const lamina_desc *desc) {
  int64_t count = 1;
  bool empty = false; /* an empty tensor is empty, however large its other axes are */
  if (!desc || desc->rank < 0 || desc->rank > LAMINA_MAX_RANK) return -1;
  for (int i = 0; i < desc->rank; i++) {
    if (desc->dims[i] < 0) return -1;
    empty |= desc->dims[i] == 0;
  }
  for (int i = 0; i < desc->rank && !empty; i++)
    if (!lamina_mul(count, desc->dims[i], &count)) return -1;
  return empty ? 0 : count;
}

int64_t lamina_desc_bytes(const lamina_desc *desc) {
  const int64_t count = lamina_desc_count(desc);
  if (count <= 0) return count;
  if (!lamina_layout_fits(desc)) return -1;
  int64_t span = desc->layout < 0 ? count : lamina_block_elements(desc->layout);
  for (int i = 0; i < desc->rank && desc->layout >= 0; i++) {
    int64_t step, stride = desc->strides[i];
    if (stride == INT64_MIN) return -1;
    if (stride < 0) stride = -stride;
    if (!lamina_mul(desc->dims[i] / lamina_block_of(desc->layout, i) - 1, stride, &step) ||
        !lamina_sum(span, step, &span))
      return -1;
  }
  return lamina_mul(span, (int64_t)lamina_dtype_size((lamina_dtype)desc->dtype), &span) ? span : -1;
}

bool lamina_desc_is_dense(const lamina_desc *desc) {
  int64_t step = 1;
  if (lamina_desc_count(desc) <= 0) return lamina_desc_count(desc) == 0;
  for (int i = desc->rank - 1; i >= 0; i--) {
    if (desc->dims[i] == 1) continue;
    if (desc->strides[i] != step) return false;
    step *= desc->dims[i];
  }
  return desc->layout == 0;
}

static int64_t blocked_offset(const lamina_desc *desc, int64_t index) {
  int64_t at[LAMINA_MAX_RANK], size, offset = 0, step = 1;
  for (int i = desc->rank - 1; i >= 0; i--) at[i] = index % desc->dims[i], index /= desc->dims[i];
  for (int n = 0, axis; lamina_block_at(desc->layout, n, &axis, &size); n++) {
    offset += at[axis] % size * step;
    at[axis] /= size;
    step *= size;
  }
  for (int i = 0; i < desc->rank; i++) offset += at[i] * desc->strides[i];
  return offset;
}

int64_t lamina_desc_offset(const lamina_desc *desc, int64_t index) {
  int64_t offset = 0;
  if (lamina_desc_count(desc) <= 0 || !lamina_layout_fits(desc)) return 0;
  if (desc->layout) return desc->layout < 0 ? index : blocked_offset(desc, index);
  for (int i = desc->rank - 1; i >= 0; i--) {
    offset += index % desc->dims[i] * desc->strides[i];
    index /= desc->dims[i];
  }
  return offset;
}

/* Do the strides say nothing that the dims and the layout don't? */
static bool follows(const lamina_desc *desc) {
  if (desc->layout == 0) return lamina_desc_is_dense(desc);
  const lamina_desc whole = lamina_blocked((lamina_dtype)desc->dtype, desc->rank, desc->dims, desc->layout);
  for (int i = 0; i < desc->rank; i++)
    if (desc->strides[i] != whole.strides[i] && desc->dims[i] != lamina_block_of(desc->layout, i)) return false;
  return true;
}

void lamina_layout_text(const lamina_desc *desc, char *buffer, size_t size) {
  int64_t block;
  if (!size) return;
  buffer[0] = 0;
  if (desc->layout != LAMINA_LAYOUT_ANY && desc->rank > 0 && !follows(desc))
    for (int i = 0; i < desc->rank; i++)
      lamina_append(buffer, size, "%s%lld", i ? "," : "/", (long long)desc->strides[i]);
  if (desc->layout < 0) lamina_append(buffer, size, desc->layout == LAMINA_LAYOUT_ANY ? "_any" : "_?");
  for (int n = LAMINA_MAX_BLOCKS - 1, axis; n >= 0; n--)
    if (lamina_block_at(desc->layout, n, &axis, &block))
      lamina_append(buffer, size, "_%dx%lld", axis, (long long)block);
}

const char *lamina_desc_text(const lamina_desc *desc, char *buffer, size_t size) {
  char layout[256];
  if (!buffer || !size) return buffer;
  buffer[0] = 0;
  if (!desc) return buffer;
  lamina_append(buffer, size, "%s[", lamina_dtype_name((lamina_dtype)desc->dtype));
  if (desc->rank < 0 || desc->rank > LAMINA_MAX_RANK) {
    lamina_append(buffer, size, "?]");
    return buffer;
  }
  for (int i = 0; i < desc->rank; i++) lamina_append(buffer, size, "%s%lld", i ? "," : "", (long long)desc->dims[i]);
  lamina_layout_text(desc, layout, sizeof layout);
  lamina_append(buffer, size, "]%s", layout);
  return buffer;
}

/* ---- Elements as f64 ------------------------------------------------------------------------------------------- */

static double f16_to_f64(uint16_t h) {
  const int exponent = h >> 10 & 31, fraction = h & 1023;
  double v = exponent == 0    ? ldexp(fraction, -24)
             : exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY)
                              : ldexp(1024 + fraction, exponent - 25);
  return h >> 15 ? -v : v;
}

/* Rounds to a binary format with `digits` bits of precision, least normal exponent 2^least and greatest value `most`.
 */
static double round_to(double v, int digits, int least, double most) {
  if (isnan(v) || isinf(v) || v == 0) return v;
  int e;
  (void)frexp(v, &e);
  const int ulp = (e - 1 < least ? least : e - 1) - (digits - 1);
  const double r = ldexp(nearbyint(ldexp(v, -ulp)), ulp);
  return fabs(r) > most ? copysign((double)INFINITY, r) : r;
}

static uint16_t f64_to_f16(double v) {
  const uint16_t sign = signbit(v) ? 0x8000 : 0;
  if (isnan(v)) return sign | 0x7E00;
  v = fabs(round_to(v, 11, -14, 65504.0));
  if (isinf(v)) return sign | 0x7C00;
  if (v < 0x1p-14) return (uint16_t)(sign | (uint16_t)ldexp(v, 24));
  int e;
  const double m = frexp(v, &e); /* 0.5 <= m < 1 */
  return (uint16_t)(sign | (e + 14) << 10 | ((int)ldexp(m, 11) & 1023));
}

/* bf16 is the upper half of an f32; going through f32 first would round twice. */
static uint16_t f64_to_bf16(double v) {
  uint32_t bits;
  const float f = (float)round_to(v, 8, -126, 0x1.FEp127);
  memcpy(&bits, &f, sizeof bits);
  return (uint16_t)(isnan(v) ? 0x7FC0 | (bits >> 16 & 0x8000) : bits >> 16);
}

double lamina_load(lamina_dtype dtype, const void *data, int64_t offset) {
  if (!data) return (double)NAN;
  switch (dtype) {
  case LAMINA_F64: return ((const double *)data)[offset];
  case LAMINA_F32: return (double)((const float *)data)[offset];
  case LAMINA_F16: return f16_to_f64(((const uint16_t *)data)[offset]);
  case LAMINA_BF16: {
    const uint32_t bits = (uint32_t)((const uint16_t *)data)[offset] << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return (double)f;
  }
  case LAMINA_I64: return (double)((const int64_t *)data)[offset];
  case LAMINA_I32: return ((const int32_t *)data)[offset];
  case LAMINA_U8: return ((const uint8_t *)data)[offset];
  case LAMINA_NONE: break;
  }
  return (double)NAN;
}

/* Nearest integer in [least, most]; NaN becomes 0. `most` is exact as f64 for all our types but i64, handled by >=. */
static int64_t to_integer(double v, int64_t least, int64_t most) {
  if (isnan(v)) return 0;
  v = nearbyint(v);
  return v <= (double)least ? least : v >= (double)most ? most : (int64_t)v;
}

void lamina_store(lamina_dtype dtype, void *data, int64_t offset, double value) {
  if (!data) return;
  switch (dtype) {
  case LAMINA_F64: ((double *)data)[offset] = value; break;
  case LAMINA_F32: ((float *)data)[offset] = (float)value; break;
  case LAMINA_F16: ((uint16_t *)data)[offset] = f64_to_f16(value); break;
  case LAMINA_BF16: ((uint16_t *)data)[offset] = f64_to_bf16(value); break;
  case LAMINA_I64: ((int64_t *)data)[offset] = to_integer(value, INT64_MIN, INT64_MAX); break;
  case LAMINA_I32: ((int32_t *)data)[offset] = (int32_t)to_integer(value, INT32_MIN, INT32_MAX); break;
  case LAMINA_U8: ((uint8_t *)data)[offset] = (uint8_t)to_integer(value, 0, UINT8_MAX); break;
  case LAMINA_NONE: break;
  }
}

double lamina_round(lamina_dtype dtype, double value) {
  union {
    double align;
    unsigned char bytes[8];
  } element;
  lamina_store(dtype, &element, 0, value);
  return lamina_load(dtype, &element, 0);
}
