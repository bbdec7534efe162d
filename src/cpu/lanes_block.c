/* A block of 16 examples of a tensor as [channels][places][16], with a border of zeros where that is wanted: read where
 * it lies, copied, or transposed out of a plain tensor; and the way back. */
#include "cpu/lanes.h"

#include "core/blocks.h"

lamina_lanes_side lamina_lanes_side_of(const lamina_desc *desc, int64_t N, int64_t C, const int64_t *size) {
  return (lamina_lanes_side){.N = N,
                             .C = C,
                             .size = {size[0], size[1], size[2]},
                             .area = size[0] * size[1] * size[2],
                             .padded = size[0] * size[1] * size[2],
                             .lanes = desc->layout == LAMINA_LANES_LAYOUT};
}

bool lamina_lanes_in_place(const lamina_lanes_side *s) { return s->lanes && s->area == s->padded; }

int64_t lamina_lanes_block(const lamina_lanes_side *s, int64_t channels) { return channels * s->padded * LAMINA_LANES; }

/* The examples that block n has. */
static int examples(const lamina_lanes_side *s, int64_t n) {
  const int64_t left = s->N - n * LAMINA_LANES;
  return left < LAMINA_LANES ? (int)left : LAMINA_LANES;
}

/* `count` elements side by side of the block's examples into the lanes; `plane` is from one example to the next. */
static void gather(const lamina_lanes_kernel *kernel, int n, const float *x, int64_t plane, int64_t count, float *to) {
  for (int64_t i = 0; i < count; i += LAMINA_LANES) {
    const int columns = count - i < LAMINA_LANES ? (int)(count - i) : LAMINA_LANES;
    kernel->transpose(n, columns, x + i, plane, to + i * LAMINA_LANES, LAMINA_LANES, LAMINA_LANES);
  }
}

/* A row of the block, from where it lies. */
static void read_row(const lamina_lanes_side *s, const lamina_lanes_kernel *kernel, const float *x, int64_t n,
                     int64_t c, int64_t place, int64_t count, float *to) {
  if (s->lanes)
    memcpy(to, x + ((n * s->C + c) * s->area + place) * LAMINA_LANES, (size_t)(count * LAMINA_LANES) * sizeof *to);
  else
    gather(kernel, examples(s, n), x + (n * LAMINA_LANES * s->C + c) * s->area + place, s->C * s->area, count, to);
}

/* One plane with its border. */
static void read_plane(const lamina_lanes_side *s, const lamina_lanes_kernel *kernel, const float *x, int64_t n,
                       int64_t c, float *to) {
  const int64_t width = s->lo[2] + s->size[2] + s->hi[2], height = s->lo[1] + s->size[1] + s->hi[1];
  float *at = to + ((s->lo[0] * height + s->lo[1]) * width + s->lo[2]) * LAMINA_LANES, *end = to;
  for (int64_t d = 0, place = 0; d < s->size[0]; d++, at += (s->lo[1] + s->hi[1]) * width * LAMINA_LANES)
    for (int64_t h = 0; h < s->size[1]; h++, place += s->size[2], at += width * LAMINA_LANES) {
      memset(end, 0, (size_t)(at - end) * sizeof *end); /* from the row before to this one */
      read_row(s, kernel, x, n, c, place, s->size[2], at);
      end = at + s->size[2] * LAMINA_LANES;
    }
  memset(end, 0, (size_t)(to + s->padded * LAMINA_LANES - end) * sizeof *end);
}

const float *lamina_lanes_read(const lamina_lanes_side *s, const lamina_lanes_kernel *kernel, const float *x, int64_t n,
                               int64_t c, int64_t channels, float *room) {
  if (lamina_lanes_in_place(s)) return x + (n * s->C + c) * s->area * LAMINA_LANES;
  if (s->area == s->padded)
    read_row(s, kernel, x, n, c, 0, channels * s->area, room);
  else
    for (int64_t i = 0; i < channels; i++) read_plane(s, kernel, x, n, c + i, room + i * s->padded * LAMINA_LANES);
  return room;
}

float *lamina_lanes_for(const lamina_lanes_side *s, float *y, int64_t n, int64_t c, float *room) {
  return s->lanes ? y + (n * s->C + c) * s->area * LAMINA_LANES : room;
}

void lamina_lanes_write(const lamina_lanes_side *s, const lamina_lanes_kernel *kernel, float *y, int64_t n, int64_t c,
                        int64_t channels, const float *room) {
  if (s->lanes) return;
  const int64_t count = channels * s->area, plane = s->C * s->area;
  float *to = y + (n * LAMINA_LANES * s->C + c) * s->area;
  for (int64_t i = 0; i < count; i += LAMINA_LANES) {
    const int rows = count - i < LAMINA_LANES ? (int)(count - i) : LAMINA_LANES;
    kernel->transpose(rows, examples(s, n), room + i * LAMINA_LANES, LAMINA_LANES, to + i, plane, rows);
  }
}

double lamina_lanes_rate(const lamina_device *device, int index) {
  return lamina_lanes_kernel_at(index)->share * device->roofline.flops / (device->threads * (1 << index));
}

double lamina_lanes_cached(const lamina_device *device, double bytes) {
  return 8 * bytes / (device->roofline.flops / device->threads);
}

double lamina_lanes_turned(const lamina_device *device, double elements) {
  return 2.5 * lamina_lanes_cached(device, 8 * elements);
}

double lamina_lanes_moving(const lamina_device *device, const lamina_lanes_side *s) {
  return lamina_lanes_in_place(s) ? 0 : lamina_lanes_turned(device, (double)(s->N * s->C * s->area));
}

/* ---- What the engines take -------------------------------------------------------------------------------------- */

static bool is_data(const int *data, int arg) {
  for (; *data >= 0; data++)
    if (*data == arg) return true;
  return false;
}

void lamina_lanes_settle(lamina_problem *p, const int *data) {
  const lamina_op_def *op = lamina_op_at(p->op);
  for (int i = 0; op->args[i].name; i++) {
    lamina_desc *desc = &p->arg[i];
    const int with = p->aliased >> i & 1 ? lamina_op_arg(op, op->args[i].alias) : -1;
    if (desc->layout != LAMINA_LAYOUT_ANY) continue;
    if (with >= 0)
      lamina_desc_settle(desc, &p->arg[with]);
    else if (is_data(data, i) && desc->dims[0] % LAMINA_LANES == 0) {
      const int32_t align = desc->align;
      *desc = lamina_blocked((lamina_dtype)desc->dtype, desc->rank, desc->dims, LAMINA_LANES_LAYOUT);
      desc->align = align;
    } else
      lamina_desc_settle(desc, NULL);
  }
}

/* With the batch in the lanes, one block right behind the other? */
static bool in_lanes(const lamina_desc *desc) {
  const lamina_desc whole = lamina_blocked((lamina_dtype)desc->dtype, desc->rank, desc->dims, LAMINA_LANES_LAYOUT);
  if (desc->layout != LAMINA_LANES_LAYOUT) return false;
  for (int a = 0; a < desc->rank; a++)
    if (desc->dims[a] > (a ? 1 : LAMINA_LANES) && desc->strides[a] != whole.strides[a]) return false;
  return true;
}

bool lamina_lanes_takes(const lamina_problem *p, const int *data, lamina_candidate_fn *each, void *context) {
  for (int i = 0; i < LAMINA_MAX_ARGS; i++) {
    const lamina_desc *desc = &p->arg[i];
    if (desc->dtype == LAMINA_NONE) continue;
    if (desc->dtype != LAMINA_F32) {
      each(context, NULL, 0, "it takes f32, which its lanes are made of");
      return false;
    }
    if (lamina_desc_is_dense(desc) || (is_data(data, i) && in_lanes(desc))) continue;
    each(context, NULL, 0, "it takes data with the batch in the lanes or row-major, all else row-major, without gaps");
    return false;
  }
  return true;
}
