/* Engines of the batched matrix product.
 *
 *   forward      y  = A B
 *   backward_a   da = dy B', or with transpose_a its transpose, B dy'
 *   backward_b   db = A' dy, or with transpose_b its transpose, dy' A
 *
 * Batch axes that the result doesn't have are summed over; those that can be are joined to its rows or to the depth.
 * math=default is strict: factors of f32 are not rounded. */
#include "lamina/matmul.h"

#include "cuda/gemm.h"

enum { A, B, Y };       /* of forward */
enum { DY, A_B, DA };   /* of backward_a */
enum { B_A, B_DY, DB }; /* of backward_b */

/* The matrices in the order of the product, and the sizes of the batch axes, last one first. */
typedef struct batches {
  cuda_gemm_view a, b, c;
  int axes;
  int64_t size[KERNEL_GEMM_AXES];
  bool summed[KERNEL_GEMM_AXES];
} batches;

static void remove_axis(batches *m, int axis) {
  kernel_gemm_steps *const steps[] = {&m->a.steps, &m->b.steps, &m->c.steps};
  m->axes--;
  for (int i = axis; i < m->axes; i++) {
    m->size[i] = m->size[i + 1], m->summed[i] = m->summed[i + 1];
    for (int s = 0; s < 3; s++) steps[s]->batch[i] = steps[s]->batch[i + 1];
  }
}

/* Makes an axis part of the rows, or of the depth, where the steps allow it. */
static bool join_axis(batches *m, int axis) {
  const int64_t d = m->size[axis], M = m->a.rows, K = m->a.columns;
  const int64_t a = m->a.steps.batch[axis], b = m->b.steps.batch[axis], c = m->c.steps.batch[axis];
  if (d == 1) { /* an axis of nothing */
  } else if (!m->summed[axis] && b == 0 && a == M * m->a.steps.row && c == M * m->c.steps.row && M * d <= INT32_MAX) {
    m->a.rows = m->c.rows = M * d;
  } else if (m->summed[axis] && a == K * m->a.steps.column && b == K * m->b.steps.row && K * d <= INT32_MAX) {
    m->a.columns = m->b.rows = K * d;
  } else {
    return false;
  }
  remove_axis(m, axis);
  return true;
}

static batches batches_of(const lamina_problem *p) {
  const lamina_matmul *matmul = cuda_attr(p);
  const char *pass = strchr(cuda_host->op_at(p->op)->name, '/') + 1;
  const bool ta = matmul->transpose_a, tb = matmul->transpose_b, forward = strcmp(pass, "forward") == 0,
             of_a = strcmp(pass, "backward_a") == 0;
  const lamina_desc *y = &p->arg[forward ? Y : of_a ? DY : B_DY], *c = &p->arg[forward ? Y : of_a ? DA : DB];
  batches m = {.c = cuda_gemm_view_of(c, false), .axes = y->rank - 2};
  if (forward) {
    m.a = cuda_gemm_view_of(&p->arg[A], ta), m.b = cuda_gemm_view_of(&p->arg[B], tb);
  } else if (of_a) {
    const cuda_gemm_view dy = cuda_gemm_view_of(&p->arg[DY], ta), b = cuda_gemm_view_of(&p->arg[A_B], ta ? tb : !tb);
    m.a = ta ? b : dy, m.b = ta ? dy : b;
  } else {
    const cuda_gemm_view a = cuda_gemm_view_of(&p->arg[B_A], tb ? ta : !ta), dy = cuda_gemm_view_of(&p->arg[B_DY], tb);
    m.a = tb ? dy : a, m.b = tb ? a : dy;
  }
  for (int i = 0; i < m.axes; i++) {
    m.size[i] = y->dims[y->rank - 3 - i];
    m.summed[i] = i >= c->rank - 2 || c->dims[c->rank - 3 - i] != m.size[i];
  }
  for (int i = 0; i < m.axes;)
    if (join_axis(&m, i))
      i = 0;
    else
      i++;
  return m;
}

static bool describe(const lamina_problem *p, kernel_gemm *gemm) {
  const batches m = batches_of(p);
  int to = 0;
  *gemm = (kernel_gemm){.type = cuda_type(&p->arg[0]),
                        .M = (int)m.a.rows,
                        .N = (int)m.b.columns,
                        .K = (int)m.a.columns,
                        .a = m.a.steps,
                        .b = m.b.steps,
                        .c = m.c.steps,
                        .splits = 1};
  for (int summed = 0; summed < 2; summed++) { /* first the axes that c has */
    for (int i = 0; i < m.axes; i++) {
      if (m.summed[i] != (summed == 1)) continue;
      gemm->size[to] = m.size[i];
      gemm->a.batch[to] = m.a.steps.batch[i], gemm->b.batch[to] = m.b.steps.batch[i];
      gemm->c.batch[to] = m.c.steps.batch[i];
      to++;
      summed ? gemm->summed++ : gemm->kept++;
    }
  }
  return m.a.rows <= INT32_MAX && m.b.columns <= INT32_MAX && m.a.columns <= INT32_MAX;
}

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  kernel_gemm gemm;
  if (!cuda_takes(problem, each, context)) return;
  if (describe(problem, &gemm))
    cuda_gemm_candidates(device, problem, engine, &gemm, false, each, context);
  else
    each(context, NULL, 0, "it takes matrices of up to 2^31 - 1 rows and columns");
}

static lamina_status prepare(lamina_plan *plan) {
  kernel_gemm gemm;
  (void)describe(&plan->problem, &gemm);
  return cuda_gemm_prepare(plan, &gemm);
}

/* In each pass the first two arguments are multiplied; which one is on the left the transposes say. */
static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  const lamina_matmul *matmul = cuda_attr(&plan->problem);
  const char *pass = strchr(plan->op->name, '/') + 1;
  const bool reverse = (strcmp(pass, "backward_a") == 0 && matmul->transpose_a) ||
                       (strcmp(pass, "backward_b") == 0 && matmul->transpose_b);
  const kernel_gemm_pointers p = {.a = args->p[reverse ? 1 : 0], .b = args->p[reverse ? 0 : 1], .c = args->p[2]};
  return cuda_gemm_run(plan, &p, workspace, stream);
}

#define ENGINE(name, pass)                                                                                             \
  CUDA_ENGINE(name, "matmul/" #pass, LAMINA_STRIDES_ANY), .candidates = candidates, .prepare = prepare, .run = run,    \
                                                          .release = cuda_release
const lamina_engine lamina_cuda_matmul_forward = {ENGINE("kernel/gemm", forward)};
const lamina_engine lamina_cuda_matmul_forward_mma = {ENGINE("kernel/gemm_mma", forward)};
const lamina_engine lamina_cuda_matmul_backward_a = {ENGINE("kernel/gemm", backward_a)};
const lamina_engine lamina_cuda_matmul_backward_a_mma = {ENGINE("kernel/gemm_mma", backward_a)};
const lamina_engine lamina_cuda_matmul_backward_b = {ENGINE("kernel/gemm", backward_b)};
const lamina_engine lamina_cuda_matmul_backward_b_mma = {ENGINE("kernel/gemm_mma", backward_b)};
