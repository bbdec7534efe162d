#include "cpu/conv_layout.h"

enum { BLOCK = LAMINA_CONV_BLOCK };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- What lies where ---------------------------------------------------------------------------------------------- */

void lamina_conv_settle(lamina_problem *p) {
  for (int i = LAMINA_CONV_X; i <= LAMINA_CONV_Y; i++) {
    lamina_desc *desc = &p->arg[i];
    if (desc->layout != LAMINA_LAYOUT_ANY || desc->dtype == LAMINA_NONE) continue;
    const int axis = i == LAMINA_CONV_W ? 0 : 1;
    if (i == LAMINA_CONV_B || desc->dims[axis] % BLOCK != 0) {
      lamina_desc_settle(desc, NULL);
      continue;
    }
    const int32_t align = desc->align;
    *desc = lamina_blocked((lamina_dtype)desc->dtype, desc->rank, desc->dims, LAMINA_BLOCK(axis, 4));
    desc->align = align;
  }
}

/* Weights that lie as the kernels want them? */
static bool in_blocks(const lamina_desc *w) {
  const lamina_desc whole = lamina_blocked((lamina_dtype)w->dtype, w->rank, w->dims, LAMINA_BLOCK(0, 4));
  if (w->layout != LAMINA_BLOCK(0, 4)) return false;
  for (int a = 0; a < w->rank; a++)
    if (w->dims[a] > (a ? 1 : BLOCK) && w->strides[a] != whole.strides[a]) return false;
  return true;
}

const char *lamina_conv_layouts_refusal(const lamina_problem *p) {
  const lamina_desc *w = &p->arg[LAMINA_CONV_W];
  for (int i = LAMINA_CONV_X; i <= LAMINA_CONV_Y; i += LAMINA_CONV_Y - LAMINA_CONV_X) {
    const int32_t layout = p->arg[i].layout;
    if (layout != 0 && (layout >> 4 != 1 || layout >> 8))
      return "it takes data that is strided or has channels in blocks";
  }
  if (p->arg[LAMINA_CONV_B].layout != 0) return "it takes a bias without blocks";
  if (w->layout != 0 && !in_blocks(w)) return "it takes weights that are strided or have channels out in blocks of 16";
  return NULL;
}

lamina_conv_side lamina_conv_side_of(const lamina_desc *d) {
  lamina_conv_side s = {
      .image = d->strides[0], .row = d->rank > 3 ? d->strides[2] : 0, .column = d->strides[d->rank - 1]};
  s.bf16 = d->dtype == LAMINA_BF16;
  s.size = d->layout ? lamina_block_of(d->layout, 1) : d->dims[1];
  s.block = d->layout ? d->strides[1] : 0;
  s.inner = d->layout ? 1 : d->strides[1];
  return s;
}

/* ---- Packing weights ---------------------------------------------------------------------------------------------- */

LAMINA_CLONES static void widen(int64_t n, const void *x, int64_t at, float *to) {
  lamina_bf16_read(n, (const uint16_t *)x + at, to);
}

void lamina_conv_widen(int64_t n, const void *x, int64_t at, float *to) { widen(n, x, at, to); }

void lamina_conv_pack(const lamina_desc *desc, const lamina_lanes_kernel *kernel, const void *w, int64_t block,
                      int64_t i, int64_t n, float *to) {
  const int64_t k = block * BLOCK;
  const int lanes = (int)least(BLOCK, desc->dims[0] - k);
  const bool dense = lamina_desc_is_dense(desc), w16 = desc->dtype == LAMINA_BF16;
  int64_t each = 1;
  for (int a = 1; a < desc->rank; a++) each *= desc->dims[a];
  for (int64_t end = i + n; i < end; i += 16) {
    float square[16 * BLOCK];
    const int rows = (int)least(16, end - i);
    if (!dense)
      for (int l = 0; l < lanes; l++)
        for (int r = 0; r < rows; r++)
          square[l * 16 + r] = lamina_loop_get(w, lamina_desc_offset(desc, (k + l) * each + i + r), w16);
    else if (w16)
      for (int l = 0; l < lanes; l++) widen(rows, w, (k + l) * each + i, square + l * 16);
    const bool there = dense && !w16;
    kernel->transpose(lanes, rows, there ? (const float *)w + k * each + i : square, there ? each : 16,
                      to + (block * each + i) * BLOCK, BLOCK, BLOCK);
  }
}

/* ---- Rows on their way out ---------------------------------------------------------------------------------------- */

/* Columns of `channels` of a block, which lie at `at` in y. */
LAMINA_INLINE void leave(int64_t columns, int64_t channels, const float *from, void *y, const int64_t *at,
                         int64_t column, bool y16) {
  const bool beside = channels == BLOCK && at[BLOCK - 1] - at[0] == BLOCK - 1;
  for (int64_t j = 0; j < columns; j++, from += BLOCK)
    if (beside)
      for (int64_t c = 0; c < BLOCK; c++) lamina_loop_set(y, at[0] + j * column + c, from[c], y16);
    else
      for (int64_t c = 0; c < channels; c++) lamina_loop_set(y, at[c] + j * column, from[c], y16);
}
LAMINA_CLONES static void leave_f32(int64_t columns, int64_t channels, const float *from, void *y, const int64_t *at,
                                    int64_t column) {
  leave(columns, channels, from, y, at, column, false);
}
LAMINA_CLONES static void leave_bf16(int64_t columns, int64_t channels, const float *from, void *y, const int64_t *at,
                                     int64_t column) {
  leave(columns, channels, from, y, at, column, true);
}

void lamina_conv_leave(const lamina_conv_side *side, const lamina_lanes_kernel *lanes, const float *from, int64_t n,
                       int64_t k, int64_t channels, int64_t h, int64_t j, int64_t columns, void *y) {
  const int64_t begin = n * side->image + h * side->row + j * side->column;
  int64_t at[BLOCK];
  for (int64_t c = 0; c < channels; c++) at[c] = begin + lamina_conv_channel_at(side, k + c);
  if (side->bf16 || side->column != 1 || side->block) {
    (side->bf16 ? leave_bf16 : leave_f32)(columns, channels, from, y, at, side->column);
    return;
  }
  for (int64_t i = 0; i < columns; i += 16)
    lanes->transpose((int)least(16, columns - i), (int)channels, from + i * BLOCK, BLOCK, (float *)y + at[0] + i,
                     side->inner, (int)least(16, columns - i));
}
