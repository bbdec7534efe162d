/* The engine of a convolution as a sparse matrix. */
#include "kernels/conv_matrix.h"

#include "cuda/cuda.h"
#include "lamina/conv.h"

enum { W, VALUES, COLUMNS, ROWS };

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* Does the axis fit 32 bits, with room for a step beyond its padding? What changes nothing on it is made small. */
static bool axis_of(const lamina_conv_matrix_desc *attr, int a, int64_t w, kernel_conv *c, int to) {
  const lamina_conv *conv = &attr->conv;
  const int64_t before = conv->pad[a][0], padded = attr->size[a] + before + conv->pad[a][1];
  const int64_t dilation = w == 1 ? 1 : conv->dilation[a], y = (padded - dilation * (w - 1) - 1) / conv->stride[a] + 1;
  c->x[to] = (int32_t)least(attr->size[a], INT32_MAX), c->w[to] = (int32_t)least(w, INT32_MAX);
  c->y[to] = (int32_t)least(y, INT32_MAX), c->pad[to] = (int32_t)least(before, INT32_MAX);
  c->dilation[to] = (int32_t)least(dilation, INT32_MAX);
  c->stride[to] = (int32_t)least(y == 1 ? 1 : conv->stride[a], INT32_MAX);
  return padded <= INT32_MAX / 2 && w < INT32_MAX;
}

static bool matrix_of(const lamina_problem *p, kernel_conv_matrix *m) {
  const lamina_conv_matrix_desc *attr = cuda_attr(p);
  const lamina_desc *w = &p->arg[W];
  const int axes = w->rank - 2;
  bool fits = true;
  *m = (kernel_conv_matrix){.c = {.N = 1,
                                  .C = w->dims[1] * attr->conv.groups,
                                  .K = w->dims[0],
                                  .groups = attr->conv.groups,
                                  .flip = (int32_t)attr->conv.flip},
                            .size = cuda_size_of(w->dtype),
                            .each = cuda_count(&p->arg[VALUES]) / w->dims[0],
                            .wide_columns = p->arg[COLUMNS].dtype == LAMINA_I64,
                            .wide_rows = p->arg[ROWS].dtype == LAMINA_I64};
  kernel_conv *c = &m->c;
  for (int a = 0; a < 3; a++) c->x[a] = c->w[a] = c->y[a] = c->stride[a] = c->dilation[a] = 1;
  for (int a = 0; a < axes; a++) fits &= axis_of(attr, a, w->dims[2 + a], c, 3 - axes + a);
  return fits && cuda_count(w) < INT32_MAX && cuda_count(&p->arg[ROWS]) / w->dims[0] < INT32_MAX;
}

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  kernel_conv_matrix m;
  (void)engine;
  if (problem->arg[W].dtype != problem->arg[VALUES].dtype)
    each(context, NULL, 0, "it takes w and values of one type");
  else if (!matrix_of(problem, &m))
    each(context, NULL, 0,
         "it takes filters and planes of less than 2^31 elements, axes with padding of less than 2^30");
  else
    each(context, "", cuda_seconds(device, 0, cuda_bytes(problem)), "");
}

static lamina_status run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  kernel_conv_matrix m;
  (void)workspace;
  matrix_of(&plan->problem, &m);
  return cuda_launched(plan, kernel_conv_matrix_of(&m, args->p[W], args->p[VALUES], args->p[COLUMNS], args->p[ROWS],
                                                   cuda_stream_of(stream)));
}

const lamina_engine lamina_cuda_conv_matrix = {
    CUDA_ENGINE("kernel", "conv/matrix", LAMINA_STRIDES_DENSE),
    .candidates = candidates,
    .run = run,
};
