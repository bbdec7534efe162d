/* Strided copy on the CPU: axes are merged where they can be, then rows are copied in parallel. */
#include "cpu/cpu.h"

typedef struct shape {
  int rank;
  int64_t dims[LAMINA_MAX_RANK], from[LAMINA_MAX_RANK], to[LAMINA_MAX_RANK];
} shape;

/* Drops axes of size 1 and merges neighbours that both tensors step through alike. */
static shape merged(const lamina_desc *x, const lamina_desc *y) {
  shape s = {0};
  for (int d = 0; d < x->rank; d++) {
    if (x->dims[d] == 1) continue;
    const int last = s.rank - 1;
    if (last >= 0 && s.from[last] == x->strides[d] * x->dims[d] && s.to[last] == y->strides[d] * y->dims[d]) {
      s.dims[last] *= x->dims[d];
      s.from[last] = x->strides[d], s.to[last] = y->strides[d];
    } else {
      s.dims[s.rank] = x->dims[d];
      s.from[s.rank] = x->strides[d], s.to[s.rank++] = y->strides[d];
    }
  }
  if (s.rank == 0) s = (shape){.rank = 1, .dims = {1}, .from = {1}, .to = {1}};
  return s;
}

static void copy_row(size_t size, int64_t n, const char *x, int64_t from, char *y, int64_t to) {
  if (from == 1 && to == 1) {
    memcpy(y, x, (size_t)n * size);
    return;
  }
  switch (size) { /* constant sizes, so that each memcpy is one move */
  case 1:
    for (int64_t i = 0; i < n; i++) memcpy(y + i * to, x + i * from, 1);
    break;
  case 2:
    for (int64_t i = 0; i < n; i++) memcpy(y + i * to * 2, x + i * from * 2, 2);
    break;
  case 4:
    for (int64_t i = 0; i < n; i++) memcpy(y + i * to * 4, x + i * from * 4, 4);
    break;
  default:
    for (int64_t i = 0; i < n; i++) memcpy(y + i * to * 8, x + i * from * 8, 8);
    break;
  }
}

static void candidates(lamina_device *device, const lamina_problem *p, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  double flops, bytes;
  (void)device, (void)engine;
  lamina_problem_work(p, &flops, &bytes);
  each(context, "", bytes / 5e9, "");
}

/* A single long row is cut so that every thread has some of it. */
enum { ROW = 16384 };

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  (void)workspace, (void)stream;
  const size_t size = lamina_dtype_size((lamina_dtype)plan->problem.arg[0].dtype);
  const shape s = merged(&plan->problem.arg[0], &plan->problem.arg[1]);
  const int64_t length = s.dims[s.rank - 1], cuts = (length + ROW - 1) / ROW;
  int64_t rows = cuts;
  for (int d = 0; d < s.rank - 1; d++) rows *= s.dims[d];
#pragma omp parallel for schedule(static) if (rows > 1 && rows * length > 32768)
  for (int64_t r = 0; r < rows; r++) {
    const int64_t first = r % cuts * ROW;
    int64_t from = first * s.from[s.rank - 1], to = first * s.to[s.rank - 1], index = r / cuts;
    for (int d = s.rank - 2; d >= 0; d--) {
      from += index % s.dims[d] * s.from[d];
      to += index % s.dims[d] * s.to[d];
      index /= s.dims[d];
    }
    copy_row(size, length - first < ROW ? length - first : ROW, (const char *)args->p[0] + from * (int64_t)size,
             s.from[s.rank - 1], (char *)args->p[1] + to * (int64_t)size, s.to[s.rank - 1]);
  }
  return LAMINA_OK;
}

const lamina_engine lamina_cpu_loop_copy = {
    .size = sizeof(lamina_engine),
    .abi = LAMINA_ENGINE_ABI,
    .device = "cpu",
    .name = "loop",
    .op = "copy/forward",
    .strides = LAMINA_STRIDES_ANY,
    .candidates = candidates,
    .run = run,
};
