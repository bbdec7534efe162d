/* Which elements meet where one of two tensors repeats, and shapes to test that. */
#include "ops/binary.h"

#include "ops/shape.h"

int64_t lamina_broadcast_index(const lamina_desc *large, const lamina_desc *small, int64_t index) {
  int64_t dims[LAMINA_MAX_RANK], at = 0, stride = 1;
  lamina_broadcast_dims(large, small, dims);
  for (int d = large->rank - 1; d >= 0; d--) {
    if (dims[d] > 1) at += index % large->dims[d] * stride;
    index /= large->dims[d], stride *= dims[d];
  }
  return at;
}

int64_t lamina_broadcast_count(const lamina_desc *large, const lamina_desc *small) {
  const int64_t count = lamina_desc_count(small);
  return count ? lamina_desc_count(large) / count : 0;
}

int64_t lamina_broadcast_member(const lamina_desc *large, const lamina_desc *small, int64_t index, int64_t n) {
  int64_t dims[LAMINA_MAX_RANK], at = 0, stride = 1;
  lamina_broadcast_dims(large, small, dims);
  for (int d = large->rank - 1; d >= 0; d--) {
    const bool repeats = dims[d] != large->dims[d];
    at += (repeats ? n % large->dims[d] : index % dims[d]) * stride;
    if (repeats)
      n /= large->dims[d];
    else
      index /= dims[d];
    stride *= large->dims[d];
  }
  return at;
}

void lamina_sample_binary(lamina_problem *p, lamina_draw *draw) {
  enum { A, B, ALIKE = 0, CHANNELS, ONES };
  int64_t dims[LAMINA_MAX_RANK];
  const int rank = (int)LAMINA_PICK(draw, "rank", 1, 2, 3, 4, 4, 8);
  const int64_t kind = LAMINA_PICK(draw, "b", ALIKE, CHANNELS, ONES, ONES);
  lamina_draw_dims(draw, rank, dims);
  p->arg[A] = lamina_draw_shape(draw, rank, dims);
  for (int d = 0; d < rank && kind == ONES; d++)
    if (LAMINA_PICK(draw, "one", 0, 1)) dims[d] = 1;
  if (kind == CHANNELS && rank > 1)
    p->arg[B] = lamina_draw_shape(draw, 1, &dims[1]);
  else
    p->arg[B] = lamina_draw_shape(draw, rank, dims);
}
