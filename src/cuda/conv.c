/* What the engines of convolution share. */
#include "cuda/conv.h"

#include "lamina/conv.h"
#include "lamina/conv_transpose.h"
#include "lamina/local_conv.h"

const cuda_conv_row cuda_conv_forward = {.x = 0, .w = 1, .b = 2, .y = 3},
                    cuda_conv_data = {.y = 0, .w = 1, .b = -1, .x = 2},
                    cuda_conv_weights = {.x = 0, .y = 1, .b = -1, .w = 2},
                    cuda_conv_relu = {.x = 0, .w = 1, .b = 2, .y = 3, .relu = true},
                    cuda_relu_conv = {.y = 0, .w = 1, .b = -1, .gate = 2, .x = 3};
const cuda_conv_row cuda_conv_transpose_forward = {CUDA_CONV_TRANSPOSE, .y = 0, .w = 1, .b = 2, .x = 3},
                    cuda_conv_transpose_data = {CUDA_CONV_TRANSPOSE, .x = 0, .w = 1, .b = -1, .y = 2},
                    cuda_conv_transpose_weights = {CUDA_CONV_TRANSPOSE, .y = 0, .x = 1, .b = -1, .w = 2};

/* The attributes as a convolution's: a transposed one's are those of the convolution that it turns around. */
#define COPY(family)                                                                                                   \
  do {                                                                                                                 \
    const lamina_##family *from = cuda_attr(problem);                                                                  \
    memcpy(conv.pad, from->pad, sizeof conv.pad);                                                                      \
    memcpy(conv.stride, from->stride, sizeof conv.stride);                                                             \
    memcpy(conv.dilation, from->dilation, sizeof conv.dilation);                                                       \
    conv.groups = from->groups;                                                                                        \
  } while (0)
static lamina_conv attributes(const lamina_problem *problem, const cuda_conv_row *row) {
  lamina_conv conv = {0};
  if (row->family == CUDA_CONV_TRANSPOSE)
    COPY(conv_transpose);
  else if (row->family == CUDA_LOCAL_CONV)
    COPY(local_conv);
  else
    conv = *(const lamina_conv *)cuda_attr(problem);
  return conv;
}
#undef COPY

/* An axis of the problem; what changes nothing on it is made small. */
typedef struct axis {
  int64_t x, w, y, stride, dilation, pad;
} axis;

static axis axis_of(const lamina_problem *problem, const cuda_conv_row *row, const lamina_conv *conv, int a) {
  const lamina_desc *x = &problem->arg[row->x], *w = &problem->arg[row->w];
  const int before = row->family == CUDA_LOCAL_CONV ? x->rank : 2; /* axes of w before the filter's */
  axis to = {.x = x->dims[2 + a],
             .w = w->dims[before + a],
             .y = problem->arg[row->y].dims[2 + a],
             .stride = conv->stride[a],
             .dilation = conv->dilation[a],
             .pad = conv->pad[a][0]};
  if (to.w == 1) to.dilation = 1;
  if (to.y == 1) to.stride = 1;
  return to;
}

kernel_conv cuda_conv_of(const lamina_problem *problem, const cuda_conv_row *row) {
  const lamina_conv conv = attributes(problem, row);
  const int axes = problem->arg[row->x].rank - 2;
  kernel_conv c = {.type = cuda_type(&problem->arg[row->x]),
                   .N = problem->arg[row->x].dims[0],
                   .C = problem->arg[row->x].dims[1],
                   .K = problem->arg[row->y].dims[1],
                   .groups = conv.groups,
                   .flip = (int32_t)conv.flip};
  for (int a = 0; a < 3; a++) c.x[a] = c.w[a] = c.y[a] = c.stride[a] = c.dilation[a] = 1;
  for (int a = 0; a < axes; a++) {
    const axis from = axis_of(problem, row, &conv, a);
    const int to = 3 - axes + a;
    c.x[to] = (int32_t)from.x, c.w[to] = (int32_t)from.w, c.y[to] = (int32_t)from.y;
    c.stride[to] = (int32_t)from.stride, c.dilation[to] = (int32_t)from.dilation, c.pad[to] = (int32_t)from.pad;
  }
  return c;
}

/* As kernels/conv.h wants it; 2^16 less, so that whole tiles fit, too. Each factor is less than 2^31 where it is used. */
static bool fits(const lamina_problem *problem, const cuda_conv_row *row) {
  const int64_t most = INT32_MAX - (1 << 16);
  const lamina_conv conv = attributes(problem, row);
  const lamina_desc *x = &problem->arg[row->x], *y = &problem->arg[row->y];
  if (cuda_count(x) / x->dims[1] > most || cuda_count(y) / y->dims[1] > most || x->dims[1] > most || y->dims[1] > most)
    return false;
  if (cuda_count(&problem->arg[row->w]) > most) return false;
  for (int a = 0; a < x->rank - 2; a++) {
    const axis s = axis_of(problem, row, &conv, a);
    if (s.dilation > most || s.stride > most || s.pad > most) return false;
    if ((s.y - 1) * s.stride > most || (s.w - 1) * s.dilation > most) return false;
    if ((s.y - 1) * s.stride + (s.w - 1) * s.dilation + s.pad + s.x > most) return false;
  }
  return true;
}

bool cuda_conv_takes(const lamina_problem *problem, const cuda_conv_row *row, lamina_candidate_fn *each,
                     void *context) {
  if (!cuda_takes(problem, each, context)) return false;
  if (fits(problem, row)) return true;
  each(context, NULL, 0, "it takes planes of all images, filters, and axes with padding of less than 2^31 elements");
  return false;
}

double cuda_conv_flops(const kernel_conv *c) {
  return 2.0 * (double)(c->N * c->K * kernel_conv_area(c->y)) * (double)(c->C / c->groups * kernel_conv_area(c->w));
}

lamina_status cuda_conv_run(const lamina_plan *plan, const lamina_args *args, lamina_stream *stream, bool forward,
                            cuda_conv_launcher *launcher) {
  const cuda_conv_row *row = plan->engine->user;
  const kernel_conv c = cuda_conv_of(&plan->problem, row);
  const kernel_conv_after after = cuda_conv_after(row, args);
  const int from = forward ? row->x : row->y, to = forward ? row->y : row->x;
  return cuda_launched(plan, launcher(&c, args->p[from], args->p[row->w], &after, args->p[to], cuda_stream_of(stream)));
}
