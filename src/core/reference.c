/* The oracle's machinery, once for all ops: inputs become dense f64 copies, the row's `prepare` computes what elements
 * share, and every element of every output is computed by itself, so the order never matters and an output may lie on
 * an input. The `ref` engine is the same with nothing expected and everything stored. */
#include <math.h>

#include "core/blocks.h"
#include "core/candidates.h"
#include "core/device.h"
#include "core/problem.h"
#include "core/reference.h"

/* ---- Dense copies ---------------------------------------------------------------------------------------------- */

/* Calls body(offset of the row's first element, flat index of it) for each row along the last axis of memory. */
#define FOR_EACH_ROW(desc, length, step, offset, index)                                                                \
  const int64_t row_count = lamina_desc_count(desc);                                                                   \
  const lamina_axes axes = row_count ? lamina_axes_of(desc, desc) : (lamina_axes){0};                                  \
  const int64_t length = axes.rank ? axes.dims[axes.rank - 1] : 1, step = axes.rank ? axes.x[axes.rank - 1] : 0;       \
  int64_t at[LAMINA_MAX_AXES] = {0}, offset = 0;                                                                       \
  for (int64_t index = 0; index < row_count; index += length, offset = next_row(&axes, at, offset))

static int64_t next_row(const lamina_axes *axes, int64_t *at, int64_t offset) {
  for (int d = axes->rank - 2; d >= 0; d--) {
    offset += axes->x[d];
    if (++at[d] < axes->dims[d]) return offset;
    offset -= at[d] * axes->x[d];
    at[d] = 0;
  }
  return offset;
}

static void gather_f64(const lamina_desc *desc, const void *data, double *to) {
  const lamina_dtype dtype = (lamina_dtype)desc->dtype;
  FOR_EACH_ROW(desc, length, step, offset, index) {
    if (dtype == LAMINA_F32)
      for (int64_t i = 0; i < length; i++) to[index + i] = (double)((const float *)data)[offset + i * step];
    else
      for (int64_t i = 0; i < length; i++) to[index + i] = lamina_load(dtype, data, offset + i * step);
  }
}

static void gather_i64(const lamina_desc *desc, const void *data, int64_t *to) {
  FOR_EACH_ROW(desc, length, step, offset, index) {
    for (int64_t i = 0; i < length; i++)
      to[index + i] = desc->dtype == LAMINA_I64   ? ((const int64_t *)data)[offset + i * step]
                      : desc->dtype == LAMINA_I32 ? ((const int32_t *)data)[offset + i * step]
                                                  : ((const uint8_t *)data)[offset + i * step];
  }
}

/* ---- One reference ---------------------------------------------------------------------------------------------- */

static void reference_close(lamina_reference *ref, const lamina_allocator *allocator) {
  for (int i = 0; i < LAMINA_MAX_ARGS; i++) {
    lamina_free(allocator, (void *)(uintptr_t)ref->x[i]);
    lamina_free(allocator, (void *)(uintptr_t)ref->i[i]);
  }
  lamina_free(allocator, ref->scratch);
}

static lamina_status copy_input(lamina_reference *ref, int i, const void *data, const lamina_allocator *allocator) {
  const lamina_desc *desc = &ref->problem->arg[i];
  const int64_t count = lamina_desc_count(desc);
  int64_t bytes;
  if (!lamina_mul(count, sizeof(double), &bytes))
    return lamina_error(LAMINA_OUT_OF_MEMORY, "out of memory: the reference wants %lld numbers", (long long)count);
  double *x = lamina_alloc(allocator, (size_t)bytes);
  if (!x) return LAMINA_OUT_OF_MEMORY;
  ref->x[i] = x;
  gather_f64(desc, data, x);
  if (lamina_dtype_is_floating((lamina_dtype)desc->dtype)) return LAMINA_OK;
  int64_t *integers = lamina_alloc(allocator, (size_t)bytes);
  if (!integers) return LAMINA_OUT_OF_MEMORY;
  ref->i[i] = integers;
  gather_i64(desc, data, integers);
  return LAMINA_OK;
}

static lamina_status reference_open(lamina_reference *ref, const lamina_problem *problem, const lamina_args *args,
                                    const lamina_allocator *allocator) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  lamina_status status = LAMINA_OK;
  *ref = (lamina_reference){.problem = problem, .attr = problem->attr};
  for (int i = 0; op->args[i].name && !status; i++) {
    if (!lamina_is_input(&op->args[i]) || !lamina_present(&problem->arg[i])) continue;
    if (!args->p[i] && lamina_desc_count(&problem->arg[i]))
      status = lamina_error(LAMINA_INVALID, "%s: the data of %s is NULL", op->name, op->args[i].name);
    else
      status = copy_input(ref, i, args->p[i], allocator);
  }
  if (!status && op->scratch) {
    ref->scratch = lamina_alloc(allocator, (size_t)op->scratch(problem) * sizeof(double));
    if (!ref->scratch) status = LAMINA_OUT_OF_MEMORY;
  }
  if (!status && op->prepare) status = op->prepare(ref);
  if (status) reference_close(ref, allocator);
  return status;
}

static void run_output(const lamina_reference *ref, int arg, void *data, lamina_expected *want, int threads) {
  const lamina_op_def *op = lamina_op_at(ref->problem->op);
  const lamina_desc *desc = &ref->problem->arg[arg];
  const int64_t count = lamina_desc_count(desc);
  (void)threads;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 64) if (threads > 1 && count > 64)
  for (int64_t i = 0; i < count; i++) {
    lamina_expected e = {0};
    op->element(ref, arg, i, &e);
    if (want) want[i] = e;
    if (data) lamina_store((lamina_dtype)desc->dtype, data, lamina_desc_offset(desc, i), e.value);
  }
}

enum { MOST_THREADS = 4096 };

/* `problem` is inferred. */
static lamina_status run(const lamina_problem *problem, const lamina_args *args, lamina_expected *const *want,
                         int threads, const lamina_allocator *allocator) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  lamina_reference ref;
  LAMINA_TRY(reference_open(&ref, problem, args, allocator));
  for (int i = 0; op->args[i].name; i++)
    if (lamina_is_output(&op->args[i]) && lamina_present(&problem->arg[i]) && (args->p[i] || (want && want[i])))
      run_output(&ref, i, args->p[i], want ? want[i] : NULL, threads < 1 ? 1 : threads);
  reference_close(&ref, allocator);
  return LAMINA_OK;
}

lamina_status lamina_reference_run(const lamina_problem *problem, const lamina_args *args, lamina_expected *const *want,
                                   int threads, const lamina_allocator *allocator) {
  LAMINA_NOT_NULL(problem, "problem");
  LAMINA_NOT_NULL(args, "args");
  lamina_problem inferred = *problem;
  LAMINA_TRY(lamina_problem_infer(&inferred));
  LAMINA_TRY(lamina_want_layouts(&inferred));
  LAMINA_TRY(lamina_allocator_check(allocator, __func__));
  if (threads < 0 || threads > MOST_THREADS)
    return lamina_error(LAMINA_INVALID, "lamina_reference_run: threads is %d; expected 0 to %d", threads, MOST_THREADS);
  return run(&inferred, args, want, threads, allocator);
}

static lamina_status check_elements(const lamina_problem *problem, int arg, size_t n, const int64_t *element) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  if (arg < 0 || arg >= lamina_op_arg_count(op) || !lamina_is_output(&op->args[arg]) ||
      !lamina_present(&problem->arg[arg]))
    return lamina_error(LAMINA_INVALID, "%s: argument %d is no output that is there", op->name, arg);
  const int64_t count = lamina_desc_count(&problem->arg[arg]);
  for (size_t i = 0; i < n; i++)
    if (element[i] < 0 || element[i] >= count)
      return lamina_error(LAMINA_INVALID, "%s: element[%zu] of %s is %lld; expected 0 to %lld", op->name, i,
                          op->args[arg].name, (long long)element[i], (long long)count - 1);
  return LAMINA_OK;
}

lamina_status lamina_reference_at(const lamina_problem *problem, const lamina_args *args, int arg, size_t n,
                                  const int64_t *element, lamina_expected *want, const lamina_allocator *allocator) {
  LAMINA_NOT_NULL(problem, "problem");
  LAMINA_NOT_NULL(args, "args");
  if (n) LAMINA_NOT_NULL(element, "element");
  if (n) LAMINA_NOT_NULL(want, "want");
  lamina_problem inferred = *problem;
  LAMINA_TRY(lamina_problem_infer(&inferred));
  LAMINA_TRY(lamina_want_layouts(&inferred));
  LAMINA_TRY(lamina_allocator_check(allocator, __func__));
  LAMINA_TRY(check_elements(&inferred, arg, n, element));
  const lamina_op_def *op = lamina_op_at(inferred.op);
  lamina_reference ref;
  LAMINA_TRY(reference_open(&ref, &inferred, args, allocator));
  for (size_t i = 0; i < n; i++) {
    want[i] = (lamina_expected){0};
    op->element(&ref, arg, element[i], &want[i]);
  }
  reference_close(&ref, allocator);
  return LAMINA_OK;
}

/* ---- The engine `ref` ------------------------------------------------------------------------------------------- */

static void ref_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                           lamina_candidate_fn *each, void *context) {
  (void)device, (void)engine;
  double flops, bytes; /* some 2e8 operations and 1e8 elements a second: always slower than an engine made for it */
  lamina_problem_work(problem, &flops, &bytes);
  each(context, "", flops / 2e8 + bytes / 4e8 + 1e-5, "");
}

static lamina_status ref_prepare(lamina_plan *plan) {
  plan->numerics.u_acc = lamina_dtype_roundoff(LAMINA_F64);
  return LAMINA_OK;
}

static lamina_status ref_run(const lamina_plan *plan, const lamina_args *args, void *workspace, lamina_stream *stream) {
  (void)workspace, (void)stream;
  return run(&plan->problem, args, NULL, plan->threads, lamina_device_allocator(plan->device));
}

const lamina_engine lamina_ref_engine = {
    .size = sizeof(lamina_engine),
    .abi = LAMINA_ENGINE_ABI,
    .device = "cpu",
    .name = "ref",
    .op = "*",
    .strides = LAMINA_STRIDES_BLOCKED,
    .candidates = ref_candidates,
    .prepare = ref_prepare,
    .run = ref_run,
};

/* ---- `ref` where the device has memory of its own ---------------------------------------------------------------- */

static void elsewhere_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                                 lamina_candidate_fn *each, void *context) {
  (void)device, (void)engine;
  if (lamina_has_empty_input(problem))
    each(context, "", 1e-3, "");
  else
    each(context, NULL, 0, "here it only writes what comes of empty inputs; the reference runs on the cpu");
}

static lamina_status copy_all(const lamina_plan *plan, const lamina_args *args, const lamina_args *copies, bool back,
                              lamina_stream *stream) {
  for (int i = 0; plan->op->args[i].name; i++) {
    const size_t bytes = (size_t)lamina_desc_bytes(&plan->problem.arg[i]);
    if (!copies->p[i] || (back ? !lamina_is_output(&plan->op->args[i]) : !lamina_is_input(&plan->op->args[i])))
      continue;
    LAMINA_TRY(
        lamina_copy(plan->device, back ? args->p[i] : copies->p[i], back ? copies->p[i] : args->p[i], bytes, stream));
  }
  return LAMINA_OK;
}

/* On copies in host memory, which are small: something in the problem is empty. */
static lamina_status elsewhere_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                   lamina_stream *stream) {
  const lamina_allocator *allocator = lamina_device_allocator(plan->device);
  lamina_args copies = {{NULL}};
  lamina_status status = LAMINA_OK;
  (void)workspace;
  for (int i = 0; plan->op->args[i].name && !status; i++) {
    const int64_t bytes = plan->problem.arg[i].dtype ? lamina_desc_bytes(&plan->problem.arg[i]) : 0;
    if (bytes > 0 && !(copies.p[i] = lamina_alloc(allocator, (size_t)bytes))) status = LAMINA_OUT_OF_MEMORY;
  }
  if (!status) status = copy_all(plan, args, &copies, false, stream);
  if (!status) status = run(&plan->problem, &copies, NULL, plan->threads, allocator);
  if (!status) status = copy_all(plan, args, &copies, true, stream);
  for (int i = 0; plan->op->args[i].name; i++) lamina_free(allocator, copies.p[i]);
  return status;
}

const lamina_engine lamina_ref_elsewhere_engine = {
    .size = sizeof(lamina_engine),
    .abi = LAMINA_ENGINE_ABI,
    .device = "*",
    .name = "ref",
    .op = "*",
    .strides = LAMINA_STRIDES_DENSE,
    .candidates = elsewhere_candidates,
    .prepare = ref_prepare,
    .run = elsewhere_run,
};
