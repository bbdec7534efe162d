/* Layouts in oneDNN's words and back. Its inner blocks are listed as ours are, the outermost first. */
#include "cpu/onednn_layout.h"

static int blocks_of(int32_t layout) {
  int64_t size;
  int count = 0;
  for (int axis; lamina_block_at(layout, count, &axis, &size);) count++;
  return count;
}

dnnl_status_t lamina_onednn_given(dnnl_memory_desc_t *to, const lamina_desc *desc, dnnl_data_type_t type) {
  const int rank = desc->rank ? desc->rank : 1, count = blocks_of(desc->layout);
  dnnl_dims_t dims = {1}, strides = {1};
  int64_t size, step = 1;
  for (int d = desc->rank - 1; d >= 0; step *= desc->dims[d--]) {
    dims[d] = desc->dims[d];
    strides[d] = count ? step : desc->strides[d]; /* what it checks knows nothing of blocks */
  }
  const dnnl_status_t status = dnnl_memory_desc_init_by_strides(to, rank, dims, type, strides);
  if (status || !count) return status;
  dnnl_blocking_desc_t *blocking = &to->format_desc.blocking;
  blocking->inner_nblks = count;
  for (int n = 0, axis; n < count && lamina_block_at(desc->layout, count - 1 - n, &axis, &size); n++)
    blocking->inner_blks[n] = size, blocking->inner_idxs[n] = axis;
  for (int d = 0; d < desc->rank; d++) blocking->strides[d] = desc->strides[d];
  return dnnl_success;
}

bool lamina_onednn_layout_of(const dnnl_memory_desc_t *from, lamina_desc *to) {
  const dnnl_blocking_desc_t *blocking = &from->format_desc.blocking;
  lamina_desc desc = *to;
  if (from->format_kind != dnnl_blocked || from->extra.flags || from->offset0 || from->ndims != to->rank ||
      blocking->inner_nblks > LAMINA_MAX_BLOCKS)
    return false;
  desc.layout = 0;
  for (int n = 0; n < blocking->inner_nblks; n++) {
    int log2 = 1;
    while (log2 < 15 && INT64_C(1) << log2 < blocking->inner_blks[n]) log2++;
    if (INT64_C(1) << log2 != blocking->inner_blks[n]) return false;
    desc.layout = desc.layout << 8 | (int32_t)LAMINA_BLOCK(blocking->inner_idxs[n], log2);
  }
  for (int d = 0; d < from->ndims; d++) {
    if (from->padded_dims[d] != from->dims[d]) return false;
    desc.strides[d] = blocking->strides[d];
  }
  const int64_t bytes = lamina_desc_count(&desc) * (int64_t)lamina_dtype_size((lamina_dtype)desc.dtype);
  if (lamina_desc_bytes(&desc) != bytes) return false;
  *to = desc;
  return true;
}

bool lamina_onednn_same_bytes(const dnnl_memory_desc_t *a, const dnnl_memory_desc_t *b) {
  if (dnnl_memory_desc_equal(a, b)) return true;
  if (a->data_type != b->data_type || a->format_kind != dnnl_blocked || b->format_kind != dnnl_blocked) return false;
  const dnnl_blocking_desc_t *s = &a->format_desc.blocking, *t = &b->format_desc.blocking;
  int64_t block[DNNL_MAX_NDIMS];
  if (s->inner_nblks != t->inner_nblks || a->offset0 != b->offset0 || b->extra.flags) return false;
  for (int d = 0; d < a->ndims; d++) block[d] = 1;
  for (int n = 0; n < s->inner_nblks; n++) {
    if (s->inner_blks[n] != t->inner_blks[n] || s->inner_idxs[n] != t->inner_idxs[n]) return false;
    block[s->inner_idxs[n]] *= s->inner_blks[n];
  }
  for (int d = 0; d < a->ndims; d++)
    if (a->padded_dims[d] != b->padded_dims[d] || (a->padded_dims[d] > block[d] && s->strides[d] != t->strides[d]))
      return false;
  return true;
}

int32_t lamina_onednn_move_blocks(int32_t layout, int first, int by) {
  int32_t moved = 0;
  int64_t size;
  for (int n = 0, axis; lamina_block_at(layout, n, &axis, &size); n++) {
    const int32_t block = layout >> 8 * n & 255;
    moved |= (axis >= first ? block + by * 16 : block) << 8 * n;
  }
  return moved;
}
