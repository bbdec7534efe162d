/* Conversions between f32 and the 16-bit types, row by row. */
#include "cpu/rows.h"

#include "cpu/f16.h"

LAMINA_CLONES static void read_bf16(int64_t n, const uint16_t *restrict x, float *restrict y) {
  for (int64_t i = 0; i < n; i++) y[i] = lamina_bf16_to_f32(x[i]);
}
LAMINA_CLONES static void read_f16(int64_t n, const uint16_t *restrict x, float *restrict y) {
  for (int64_t i = 0; i < n; i++) y[i] = lamina_f16_to_f32(x[i]);
}
LAMINA_CLONES static void write_bf16(int64_t n, const float *restrict x, uint16_t *restrict y) {
  for (int64_t i = 0; i < n; i++) y[i] = lamina_bf16_from_f32(x[i]);
}
LAMINA_CLONES static void write_f16(int64_t n, const float *restrict x, uint16_t *restrict y) {
  for (int64_t i = 0; i < n; i++) y[i] = lamina_f16_from_f32(x[i]);
}

const float *lamina_row_read(int32_t dtype, const void *x, int64_t i, int64_t n, float *buffer) {
  if (dtype == LAMINA_F32) return (const float *)x + i;
  (dtype == LAMINA_BF16 ? read_bf16 : read_f16)(n, (const uint16_t *)x + i, buffer);
  return buffer;
}

float *lamina_row_for(int32_t dtype, void *y, int64_t i, float *buffer) {
  return dtype == LAMINA_F32 ? (float *)y + i : buffer;
}

float *lamina_row_in_place(int32_t dtype, void *y, int64_t i, int64_t n, float *buffer) {
  lamina_row_read(dtype, y, i, n, buffer);
  return lamina_row_for(dtype, y, i, buffer);
}

void lamina_row_write(int32_t dtype, void *y, int64_t i, int64_t n, const float *row) {
  if (dtype != LAMINA_F32)
    (dtype == LAMINA_BF16 ? write_bf16 : write_f16)(n, row, (uint16_t *)y + i);
  else if (row != (const float *)y + i)
    memcpy((float *)y + i, row, (size_t)n * sizeof *row);
}

void lamina_row_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                           lamina_candidate_fn *each, void *context) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  (void)engine;
  for (int i = 0; op->args[i].name; i++)
    if (op->args[i].type == LAMINA_FLOATING && problem->arg[i].dtype && !lamina_row_type(problem->arg[i].dtype)) {
      each(context, NULL, 0, LAMINA_ROW_REFUSAL);
      return;
    }
  lamina_row_offer(device, problem, each, context);
}

void lamina_row_offer(const lamina_device *device, const lamina_problem *problem, lamina_candidate_fn *each,
                      void *context) {
  double flops, bytes;
  lamina_problem_work(problem, &flops, &bytes);
  each(context, "", lamina_loop_moving(device, bytes) + 1e-6, "");
}
