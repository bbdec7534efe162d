/* The batched matrix product on oneDNN's matmul.
 *
 * given    all matrices as they lie; a transposed one is a view
 * plain    all copied to rows as the product takes them
 */
#include "cpu/onednn_base.h"
#include "lamina/matmul.h"

/* Rows: a, b, y | dy, b, da | a, dy, db; as the primitive takes them: A B, dy B^T, A^T dy. */
static void view(const lamina_problem *p, int arg, lamina_desc *desc) {
  const lamina_matmul *matmul = lamina_attr(p);
  const char *name = lamina_op_at(p->op)->args[arg].name;
  const bool forward = strcmp(lamina_op_at(p->op)->name, "matmul/forward") == 0;
  const bool is_a = name[strlen(name) - 1] == 'a', is_b = name[strlen(name) - 1] == 'b';
  bool swap = (is_a && matmul->transpose_a) || (is_b && matmul->transpose_b);
  if (!forward && name[0] != 'd') swap = !swap; /* the partner of dy */
  int rank = 0;
  for (int i = 0; i < 3; i++) rank = p->arg[i].rank > rank ? p->arg[i].rank : rank;
  const int more = rank - desc->rank;
  const int64_t all = desc->dims[0] * desc->strides[0]; /* a step that an axis of 1 never takes */
  for (int d = rank - 1; d >= 0; d--) {
    desc->dims[d] = d < more ? 1 : desc->dims[d - more];
    desc->strides[d] = d < more ? all : desc->strides[d - more];
  }
  desc->rank = rank;
  int64_t *const dims = desc->dims + rank - 2, *const strides = desc->strides + rank - 2;
  if (swap) {
    const int64_t dim = dims[0], stride = strides[0];
    dims[0] = dims[1], strides[0] = strides[1];
    dims[1] = dim, strides[1] = stride;
  }
  if (dims[1] == 1) strides[1] = 1; /* steps that are never taken, but that oneDNN's gemm asks for */
  if (dims[0] == 1) strides[0] = dims[1] * strides[1];
}

/* Does an input have more batches than the output? */
static const char *refuse(const lamina_problem *p) {
  lamina_desc in[2] = {p->arg[0], p->arg[1]}, out = p->arg[2];
  for (int i = 0; i < 2; i++) view(p, i, &in[i]);
  view(p, 2, &out);
  for (int d = 0; d < out.rank - 2; d++)
    if (in[0].dims[d] > out.dims[d] || in[1].dims[d] > out.dims[d]) return "oneDNN's matmul adds up no batches";
  return NULL;
}

static dnnl_status_t describe(lamina_onednn_setup *s) {
  return dnnl_matmul_desc_init(&s->ask.matmul, &s->wanted[0], &s->wanted[1], NULL, &s->wanted[2]);
}

static double seconds(const lamina_onednn_setup *s) {
  double flops, bytes;
  lamina_problem_work(s->problem, &flops, &bytes);
  return flops / lamina_onednn_rate(s) + lamina_onednn_moving(s, bytes);
}

static const lamina_onednn_recipe matmul = {
    .bind = {{DNNL_ARG_SRC, LAMINA_ONEDNN_FILTER},
             {DNNL_ARG_WEIGHTS, LAMINA_ONEDNN_FILTER},
             {DNNL_ARG_DST, LAMINA_ONEDNN_FILTER}},
    .layouts = {{"given", LAMINA_ONEDNN_GIVEN, LAMINA_ONEDNN_GIVEN},
                {"plain", LAMINA_ONEDNN_PLAIN, LAMINA_ONEDNN_PLAIN}},
    .refuse = refuse,
    .view = view,
    .describe = describe,
    .seconds = seconds,
};

const lamina_engine lamina_cpu_onednn_matmul_forward = {
    LAMINA_ONEDNN_ENGINE("matmul/forward", matmul, LAMINA_STRIDES_ANY)};
const lamina_engine lamina_cpu_onednn_matmul_backward_a = {
    LAMINA_ONEDNN_ENGINE("matmul/backward_a", matmul, LAMINA_STRIDES_ANY)};
const lamina_engine lamina_cpu_onednn_matmul_backward_b = {
    LAMINA_ONEDNN_ENGINE("matmul/backward_b", matmul, LAMINA_STRIDES_ANY)};
