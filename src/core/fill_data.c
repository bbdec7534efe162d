/* The arguments of one case in memory.
 *
 *   one block an argument, except where it lies on another:
 *   [ red zone | … up to a boundary, `offset` elements | lowest … element 0 … highest element | red zone ]
 *
 * `before` is the block as it shall be when a run starts, on the host; `device` is where it runs; `host` is what the
 * host sees afterwards, which is `device` itself where the device works in host memory. */
#include <stdio.h>

#include "core/device.h"
#include "core/verify.h"
#include "lamina/io.h"

enum { ZONE = 256, BOUNDARY = 64 };
#define MOST_OFFSET (INT64_C(1) << 32)

typedef struct block {
  size_t size, first; /* bytes; where element 0 lies */
  uint8_t *before, *device, *host;
} block;

struct lamina_data {
  lamina_device *device;
  lamina_case c;
  block block[LAMINA_MAX_ARGS]; /* size 0: absent, or on another argument's */
  lamina_tensor tensor[LAMINA_MAX_ARGS], before[LAMINA_MAX_ARGS];
  lamina_args args;
};

static bool on_host(const lamina_data *data) { return data->device->module.memory != LAMINA_MEMORY_DEVICE; }

int lamina_alias_of(const lamina_problem *problem, int arg) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  return problem->aliased >> arg & 1 && op->args[arg].alias ? lamina_op_arg(op, op->args[arg].alias) : -1;
}

/* ---- Blocks ----------------------------------------------------------------------------------------------------- */

/* Bytes from the lowest element to element 0. */
static size_t below(const lamina_desc *desc) {
  return lamina_desc_count(desc) ? (size_t)lamina_desc_below(desc) * lamina_dtype_size((lamina_dtype)desc->dtype) : 0;
}

static lamina_status block_open(lamina_data *data, int arg) {
  const lamina_allocator *allocator = &data->device->allocator;
  const lamina_desc *desc = &data->c.problem.arg[arg];
  const size_t element = lamina_dtype_size((lamina_dtype)desc->dtype);
  block *b = &data->block[arg];
  void *memory;
  b->first = lamina_align_up(ZONE + below(desc), BOUNDARY) + (size_t)data->c.offset[arg] * element;
  b->size = b->first - below(desc) + (size_t)lamina_desc_bytes(desc) + ZONE;
  b->before = lamina_alloc(allocator, b->size);
  if (!b->before) return LAMINA_OUT_OF_MEMORY;
  LAMINA_TRY(lamina_memory_alloc(data->device, b->size, &memory));
  b->device = memory;
  b->host = on_host(data) ? b->device : lamina_alloc(allocator, b->size);
  return b->host ? LAMINA_OK : LAMINA_OUT_OF_MEMORY;
}

static void block_close(lamina_data *data, block *b) {
  if (b->host != b->device) lamina_free(&data->device->allocator, b->host);
  lamina_memory_free(data->device, b->device, b->size);
  lamina_free(&data->device->allocator, b->before);
}

/* ---- Files ------------------------------------------------------------------------------------------------------ */

static lamina_status load(const char *path, const lamina_desc *desc, void *to, const lamina_allocator *allocator) {
  lamina_tensor file;
  LAMINA_TRY(lamina_npy_read(path, allocator, &file));
  const int64_t count = lamina_desc_count(desc);
  bool same = file.desc.rank == desc->rank;
  for (int d = 0; d < desc->rank && same; d++) same = file.desc.dims[d] == desc->dims[d];
  for (int64_t i = 0; i < count && same; i++) {
    const int64_t from = lamina_desc_offset(&file.desc, i), at = lamina_desc_offset(desc, i);
    if (file.desc.dtype == desc->dtype) { /* an i64 is more than an f64 can hold */
      const size_t size = lamina_dtype_size((lamina_dtype)desc->dtype);
      memcpy((char *)to + at * (int64_t)size, (const char *)file.data + from * (int64_t)size, size);
    } else {
      lamina_store((lamina_dtype)desc->dtype, to, at, lamina_load((lamina_dtype)file.desc.dtype, file.data, from));
    }
  }
  lamina_npy_free(allocator, &file);
  return same ? LAMINA_OK : lamina_error(LAMINA_INVALID, "%s: its shape has changed since it was looked at", path);
}

/* ---- The whole -------------------------------------------------------------------------------------------------- */

static void set_views(lamina_data *data) {
  for (int i = 0; i < LAMINA_MAX_ARGS; i++) {
    const lamina_desc *desc = &data->c.problem.arg[i];
    if (!lamina_present(desc)) continue;
    const int alias = lamina_alias_of(&data->c.problem, i);
    const block *b = &data->block[alias < 0 ? i : alias];
    data->tensor[i] = lamina_tensor_of(*desc, b->host + b->first);
    data->before[i] = lamina_tensor_of(*desc, b->before + b->first);
    data->args.p[i] = b->device + b->first;
  }
}

static lamina_status fill(lamina_data *data) {
  const lamina_op_def *op = lamina_op_at(data->c.problem.op);
  const lamina_tensor *view[LAMINA_MAX_ARGS] = {NULL};
  for (int i = 0; op->args[i].name; i++) {
    if (!lamina_present(&data->c.problem.arg[i])) continue;
    view[i] = &data->before[i];
    if (data->c.file[i] && lamina_is_input(&op->args[i]))
      LAMINA_TRY(load(data->c.file[i], &view[i]->desc, view[i]->data, &data->device->allocator));
  }
  return lamina_fill_inputs(&data->c, view, lamina_device_threads(data->device), &data->device->allocator);
}

static lamina_status check_offsets(const lamina_case *c) {
  const lamina_op_def *op = lamina_op_at(c->problem.op);
  for (int i = 0; op->args[i].name; i++)
    if (c->offset[i] < 0 || c->offset[i] > MOST_OFFSET)
      return lamina_error(LAMINA_INVALID, "%s: offset[%d], of %s, is %lld; expected 0 to 2^32", op->name, i,
                          op->args[i].name, (long long)c->offset[i]);
  return LAMINA_OK;
}

lamina_status lamina_data_open(lamina_device *device, const lamina_case *c, lamina_data **out) {
  LAMINA_NOT_NULL(out, "data");
  *out = NULL;
  LAMINA_NOT_NULL(device, "device");
  LAMINA_NOT_NULL(c, "c");
  lamina_data *data = lamina_alloc_zero(&device->allocator, sizeof *data);
  if (!data) return LAMINA_OUT_OF_MEMORY;
  data->device = device;
  data->c = *c;
  lamina_status status = lamina_problem_infer(&data->c.problem);
  if (!status) status = lamina_want_layouts(&data->c.problem);
  if (!status) status = check_offsets(&data->c);
  for (int i = 0; i < LAMINA_MAX_ARGS && !status; i++)
    if (lamina_present(&data->c.problem.arg[i]) && lamina_alias_of(&data->c.problem, i) < 0) {
      status = block_open(data, i);
      if (!status) memset(data->block[i].before, LAMINA_POISON_NAN, data->block[i].size);
    }
  if (!status) {
    set_views(data);
    status = fill(data);
  }
  if (!status) status = lamina_data_reset(data);
  if (status)
    lamina_data_close(data);
  else
    *out = data;
  return status;
}

void lamina_data_close(lamina_data *data) {
  if (!data) return;
  for (int i = 0; i < LAMINA_MAX_ARGS; i++) block_close(data, &data->block[i]);
  lamina_free(&data->device->allocator, data);
}

const lamina_args *lamina_data_args(const lamina_data *data) { return data ? &data->args : NULL; }

const lamina_tensor *lamina_data_tensor(const lamina_data *data, int arg) {
  return data && arg >= 0 && arg < LAMINA_MAX_ARGS && data->tensor[arg].data ? &data->tensor[arg] : NULL;
}

lamina_device *lamina_data_device(const lamina_data *data) { return data->device; }
const lamina_case *lamina_data_case(const lamina_data *data) { return &data->c; }
const void *lamina_data_before(const lamina_data *data, int arg) { return data->before[arg].data; }

static lamina_status copy_blocks(lamina_data *data, bool in) {
  for (int i = 0; i < LAMINA_MAX_ARGS; i++) {
    const block *b = &data->block[i];
    if (!b->size || (!in && on_host(data))) continue;
    LAMINA_TRY(lamina_copy(data->device, in ? b->device : b->host, in ? b->before : b->device, b->size, NULL));
  }
  return LAMINA_OK;
}

lamina_status lamina_data_reset(lamina_data *data) {
  LAMINA_NOT_NULL(data, "data");
  return copy_blocks(data, true);
}

lamina_status lamina_data_poison(lamina_data *data, int poison) {
  const lamina_op_def *op = lamina_op_at(data->c.problem.op);
  for (int i = 0; op->args[i].name; i++) /* inputs keep their NaN around them */
    if (data->block[i].size && !lamina_is_input(&op->args[i]))
      memset(data->block[i].before, poison, data->block[i].size);
  return copy_blocks(data, true);
}

lamina_status lamina_data_fetch(lamina_data *data) {
  LAMINA_NOT_NULL(data, "data");
  LAMINA_TRY(lamina_stream_sync(data->device, NULL));
  return copy_blocks(data, false);
}

void lamina_data_forbid(const lamina_data *data, bool forbid) {
  for (int i = 0; i < LAMINA_MAX_ARGS; i++) {
    const block *b = &data->block[i];
    if (!b->size) continue;
    lamina_forbid(b->device, b->first - below(&data->tensor[i].desc), forbid);
    lamina_forbid(b->device + b->size - ZONE, ZONE, forbid);
  }
}

/* ---- What must not have changed ---------------------------------------------------------------------------------- */

/* Puts back the elements that a run may write, so that only what it may not differs. */
static void put_back(lamina_data *data, int arg) {
  const lamina_desc *desc = &data->tensor[arg].desc;
  const int64_t count = lamina_desc_count(desc);
  const int64_t size = (int64_t)lamina_dtype_size((lamina_dtype)desc->dtype);
  lamina_walk walk = lamina_walk_from(desc, 0);
  for (int64_t i = 0; i < count; i++, lamina_walk_on(&walk)) {
    const int64_t at = walk.offset * size;
    memcpy((char *)data->tensor[arg].data + at, (char *)data->before[arg].data + at, (size_t)size);
  }
}

static bool block_intact(lamina_data *data, int arg, char *what, size_t size) {
  const lamina_op_def *op = lamina_op_at(data->c.problem.op);
  const char *name = op->args[arg].name;
  const block *b = &data->block[arg];
  bool written = false;
  for (int i = 0; op->args[i].name; i++)
    if (data->tensor[i].data && (i == arg || lamina_alias_of(&data->c.problem, i) == arg) &&
        lamina_is_output(&op->args[i])) {
      put_back(data, i);
      written = true;
    }
  if (memcmp(b->before, b->host, b->size) == 0) return true;
  size_t at = 0;
  while (b->before[at] == b->host[at]) at++;
  const size_t low = b->first - below(&data->tensor[arg].desc), high = b->size - ZONE;
  if (at < low)
    snprintf(what, size, "memory before %s was written to, %zu bytes before its lowest element", name, low - at);
  else if (at >= high)
    snprintf(what, size, "memory after %s was written to, %zu bytes past its end", name, at - high);
  else if (written)
    snprintf(what, size, "a gap between the elements of %s was written to, %zu bytes in", name, at - low);
  else
    snprintf(what, size, "the input %s was written to, %zu bytes in", name, at - low);
  return false;
}

bool lamina_data_intact(lamina_data *data, char *what, size_t size) {
  for (int i = 0; i < LAMINA_MAX_ARGS; i++)
    if (data->block[i].size && !block_intact(data, i, what, size)) return false;
  return true;
}
