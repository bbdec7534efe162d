/* Negative log-likelihood and the hinge of many classes on the CPU: an example at a time, reckoned in f64, since beside
 * its kink the hinge's slope hangs on the last bit. The losses are added up in order: the same bits whatever the number
 * of threads.
 *   workspace of forward: [ the loss of each example, f64 ] */
#include <math.h>

#include "core/classes.h"
#include "cpu/loop.h"
#include "lamina/label_loss.h"

/* Places of the arguments; X is -1 in nll's backward pass, which takes none. */
typedef struct places {
  int x, labels, weights, dy, out;
} places;
static const places forward_places = {0, 1, 2, -1, 3}, nll_places = {-1, 0, 1, 2, 3}, hinge_places = {0, 1, 2, 3, 4};

typedef struct problem {
  const lamina_desc *arg;
  void *const *p;
  const places *at;
  lamina_classes s;
  lamina_reduction reduction;
  int64_t ignore;            /* INT64_MIN: none */
  const lamina_hinge *hinge; /* NULL: nll */
} problem;

static problem problem_of(const lamina_plan *plan, const lamina_args *args, const places *at) {
  const void *attr = lamina_attr(&plan->problem);
  const bool nll = strncmp(plan->op->name, "nll/", 4) == 0;
  return (problem){.arg = plan->problem.arg,
                   .p = args->p,
                   .at = at,
                   .s = lamina_classes_of(&plan->problem.arg[at->x < 0 ? at->out : at->x]),
                   .reduction = (lamina_reduction) * (const int64_t *)attr,
                   .ignore = nll ? ((const lamina_nll *)attr)->ignore : INT64_MIN,
                   .hinge = nll ? NULL : attr};
}

static double real_at(const problem *q, int arg, int64_t i) {
  return (double)lamina_loop_get(q->p[arg], i, q->arg[arg].dtype == LAMINA_BF16);
}
static int64_t class_of(const problem *q, int64_t m) {
  return lamina_label_at(&q->arg[q->at->labels], q->p[q->at->labels], m, q->s.C, q->ignore);
}
static double weight_of(const problem *q, int64_t label) {
  return q->p[q->at->weights] ? real_at(q, q->at->weights, label) : 1;
}

/* What a mean divides by; 1 else. */
static double divisor_of(const problem *q) {
  double by = 0;
  if (q->reduction != LAMINA_REDUCTION_MEAN) return 1;
  if (q->hinge) return (double)q->s.M;
  for (int64_t m = 0; m < q->s.M; m++) {
    const int64_t label = class_of(q, m);
    by += label >= 0 ? weight_of(q, label) : label == LAMINA_LABEL_BAD;
  }
  return by;
}

/* ---- Forward ---------------------------------------------------------------------------------------------------- */

static double hinge_of(const problem *q, int64_t first, int64_t label) {
  const double mine = real_at(q, q->at->x, first + label * q->s.S);
  double sum = 0;
  for (int64_t c = 0; c < q->s.C; c++) {
    const double z = q->hinge->margin - mine + real_at(q, q->at->x, first + c * q->s.S);
    if (c == label || z <= 0) continue;
    sum += q->hinge->power == 1 ? z : z * z;
  }
  return sum / (double)q->s.C;
}

static double loss_of(const problem *q, int64_t m) {
  const int64_t label = class_of(q, m), first = lamina_classes_at(&q->s, m);
  if (label < 0) return label == LAMINA_LABEL_BAD ? (double)NAN : 0;
  return weight_of(q, label) * (q->hinge ? hinge_of(q, first, label) : -real_at(q, q->at->x, first + label * q->s.S));
}

static lamina_status forward_prepare(lamina_plan *plan) {
  plan->workspace = (size_t)lamina_classes_of(&plan->problem.arg[0]).M * sizeof(double);
  return LAMINA_OK;
}

static lamina_status forward_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  const problem q = problem_of(plan, args, &forward_places);
  const bool bf16 = q.arg[q.at->out].dtype == LAMINA_BF16;
  double *loss = workspace, total = 0;
  (void)stream;
#pragma omp parallel for schedule(static) if (q.s.M * q.s.C >= LAMINA_LOOP_PARALLEL)
  for (int64_t m = 0; m < q.s.M; m++) loss[m] = loss_of(&q, m);
  for (int64_t m = 0; m < q.s.M; m++) {
    if (q.reduction == LAMINA_REDUCTION_NONE) lamina_loop_set(args->p[q.at->out], m, (float)loss[m], bf16);
    total += loss[m];
  }
  if (q.reduction != LAMINA_REDUCTION_NONE)
    lamina_loop_set(args->p[q.at->out], 0, (float)(total / divisor_of(&q)), bf16);
  return LAMINA_OK;
}

/* ---- Backward --------------------------------------------------------------------------------------------------- */

static void put(const problem *q, int64_t i, double value) {
  lamina_loop_set(q->p[q->at->out], i, (float)value, q->arg[q->at->out].dtype == LAMINA_BF16);
}

/* k: what the slopes are multiplied by. */
static void hinge_gradient(const problem *q, int64_t first, int64_t label, double k) {
  const double mine = real_at(q, q->at->x, first + label * q->s.S);
  double sum = 0;
  k /= (double)q->s.C;
  for (int64_t c = 0; c < q->s.C; c++) {
    const double z = q->hinge->margin - mine + real_at(q, q->at->x, first + c * q->s.S);
    const double slope = c == label || z <= 0 ? 0 : q->hinge->power == 1 ? (isnan(z) ? z : 1) : 2 * z;
    sum += slope;
    put(q, first + c * q->s.S, k * slope);
  }
  put(q, first + label * q->s.S, -k * sum);
}

static void gradient_of(const problem *q, int64_t m, double by) {
  const int64_t label = class_of(q, m), first = lamina_classes_at(&q->s, m);
  const double dy = real_at(q, q->at->dy, q->reduction == LAMINA_REDUCTION_NONE ? m : 0) / by;
  if (label >= 0 && q->hinge) {
    hinge_gradient(q, first, label, dy * weight_of(q, label));
    return;
  }
  for (int64_t c = 0; c < q->s.C; c++) put(q, first + c * q->s.S, label == LAMINA_LABEL_BAD ? (double)NAN : 0);
  if (label >= 0) put(q, first + label * q->s.S, -weight_of(q, label) * dy);
}

static lamina_status backward(const problem *q) {
  const double by = divisor_of(q);
#pragma omp parallel for schedule(static) if (q->s.M * q->s.C >= LAMINA_LOOP_PARALLEL)
  for (int64_t m = 0; m < q->s.M; m++) gradient_of(q, m, by);
  return LAMINA_OK;
}

static lamina_status nll_backward_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                      lamina_stream *stream) {
  const problem q = problem_of(plan, args, &nll_places);
  (void)workspace, (void)stream;
  return backward(&q);
}
static lamina_status hinge_backward_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                        lamina_stream *stream) {
  const problem q = problem_of(plan, args, &hinge_places);
  (void)workspace, (void)stream;
  return backward(&q);
}

/* f32 and bf16, each argument its own. */
static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  double flops, bytes;
  (void)device, (void)engine;
  for (int i = 0; op->args[i].name; i++) {
    const int32_t dtype = problem->arg[i].dtype;
    if (op->args[i].type != LAMINA_FLOATING || !dtype || dtype == LAMINA_F32 || dtype == LAMINA_BF16) continue;
    each(context, NULL, 0, "it takes f32 and bf16");
    return;
  }
  lamina_problem_work(problem, &flops, &bytes);
  each(context, "", 1e-6 + bytes / 1e9, NULL);
}

const lamina_engine lamina_cpu_loop_nll_forward = {
    LAMINA_LOOP_ENGINE("nll/forward", LAMINA_STRIDES_DENSE),
    .candidates = candidates,
    .prepare = forward_prepare,
    .run = forward_run,
};
const lamina_engine lamina_cpu_loop_nll_backward = {
    LAMINA_LOOP_ENGINE("nll/backward", LAMINA_STRIDES_DENSE),
    .candidates = candidates,
    .run = nll_backward_run,
};
const lamina_engine lamina_cpu_loop_hinge_forward = {
    LAMINA_LOOP_ENGINE("hinge/forward", LAMINA_STRIDES_DENSE),
    .candidates = candidates,
    .prepare = forward_prepare,
    .run = forward_run,
};
const lamina_engine lamina_cpu_loop_hinge_backward = {
    LAMINA_LOOP_ENGINE("hinge/backward", LAMINA_STRIDES_DENSE),
    .candidates = candidates,
    .run = hinge_backward_run,
};
