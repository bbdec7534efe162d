/* Verifying one case: the oracle once, then every candidate twice, on memory poisoned in two ways. */
#include <math.h>
#include <stdio.h>

#include "core/device.h"
#include "core/verify.h"
#include "kernels/philox.h"

/* What the oracle says of one output: all its elements, or chosen ones. */
typedef struct expectation {
  int64_t count;
  int64_t *element; /* NULL: 0 … count-1 */
  lamina_expected *want;
} expectation;

typedef struct session {
  lamina_device *device;
  const lamina_case *c;
  const lamina_op_def *op;
  lamina_data *data;
  expectation expected[LAMINA_MAX_ARGS]; /* of outputs */
  bool sampled, all_f64;
} session;

const char *lamina_tier_name(lamina_tier tier) {
  return tier == LAMINA_TIER_EXACT ? "exact" : tier == LAMINA_TIER_FULL ? "full" : "sample";
}

/* ---- What is expected ------------------------------------------------------------------------------------------- */

/* Corners first (as many as half of them), then the last elements, where tails are, then any. */
static void choose_elements(const lamina_desc *desc, uint64_t seed, int64_t count, int64_t *element) {
  const int64_t all = lamina_desc_count(desc), corners = (int64_t)1 << desc->rank, tail = count / 4;
  for (int64_t i = 0; i < count; i++) {
    int64_t index = 0;
    if (i < corners && i < count / 2)
      for (int d = 0; d < desc->rank; d++) index = index * desc->dims[d] + (i >> d & 1 ? desc->dims[d] - 1 : 0);
    else if (i >= count - tail)
      index = all - count + i;
    else
      index = (int64_t)((double)philox_unit(philox_word(seed, (uint64_t)i, UINT32_MAX, 0)) * (double)all);
    element[i] = index;
  }
}

/* Makes room for what is expected of each output. */
static lamina_status open_expectations(session *s, int64_t sample) {
  const lamina_allocator *allocator = &s->device->allocator;
  for (int i = 0; s->op->args[i].name; i++) {
    const lamina_desc *desc = &s->c->problem.arg[i];
    expectation *x = &s->expected[i];
    if (!lamina_present(desc) || !lamina_is_output(&s->op->args[i])) continue;
    x->count = lamina_desc_count(desc);
    const bool some = sample > 0 && x->count > sample;
    if (some) x->count = sample;
    x->want = lamina_alloc(allocator, (size_t)x->count * sizeof *x->want);
    if (!x->want) return LAMINA_OUT_OF_MEMORY;
    if (!some) continue;
    s->sampled = true;
    x->element = lamina_alloc(allocator, (size_t)x->count * sizeof *x->element);
    if (!x->element) return LAMINA_OUT_OF_MEMORY;
    choose_elements(desc, s->c->seed, x->count, x->element);
  }
  return LAMINA_OK;
}

static lamina_status ask_oracle(session *s, const lamina_problem *problem, const lamina_args *args) {
  const lamina_allocator *allocator = &s->device->allocator;
  lamina_expected *want[LAMINA_MAX_ARGS] = {NULL};
  bool whole = false;
  for (int i = 0; s->op->args[i].name; i++) {
    const expectation *x = &s->expected[i];
    if (x->element)
      LAMINA_TRY(lamina_reference_at(problem, args, i, (size_t)x->count, x->element, x->want, allocator));
    else
      want[i] = x->want;
    whole |= want[i] != NULL;
  }
  if (!whole) return LAMINA_OK;
  return lamina_reference_run(problem, args, want, lamina_device_threads(s->device), allocator);
}

/* The oracle would overwrite what is in and out at once, so it gets copies of that. */
static lamina_status expect(session *s, int64_t sample) {
  const lamina_allocator *allocator = &s->device->allocator;
  lamina_problem problem = s->c->problem;
  lamina_args args = {{NULL}};
  void *copy[LAMINA_MAX_ARGS] = {NULL};
  lamina_status status = open_expectations(s, sample);
  for (int i = 0; s->op->args[i].name && !status; i++) {
    lamina_desc *desc = &problem.arg[i];
    if (!lamina_present(desc) || !lamina_is_input(&s->op->args[i])) continue;
    const void *data = lamina_data_before(s->data, i);
    args.p[i] = (void *)(uintptr_t)data;
    if (s->op->args[i].role != LAMINA_INOUT) continue;
    *desc = lamina_dense((lamina_dtype)desc->dtype, desc->rank, desc->dims);
    args.p[i] = copy[i] = lamina_alloc(allocator, (size_t)lamina_desc_bytes(desc));
    if (copy[i])
      lamina_copy_values(&s->c->problem.arg[i], data, desc, copy[i]);
    else
      status = LAMINA_OUT_OF_MEMORY;
  }
  if (!status) status = ask_oracle(s, &problem, &args);
  for (int i = 0; i < LAMINA_MAX_ARGS; i++) lamina_free(allocator, copy[i]);
  return status;
}

static void forget_expectations(session *s) {
  for (int i = 0; i < LAMINA_MAX_ARGS; i++) {
    lamina_free(&s->device->allocator, s->expected[i].element);
    lamina_free(&s->device->allocator, s->expected[i].want);
  }
}

static void session_close(session *s) {
  forget_expectations(s);
  lamina_data_close(s->data);
}

static bool only_f64(const lamina_problem *problem) {
  for (int i = 0; i < LAMINA_MAX_ARGS; i++)
    if (lamina_dtype_is_floating((lamina_dtype)problem->arg[i].dtype) && problem->arg[i].dtype != LAMINA_F64)
      return false;
  return true;
}

static lamina_status session_open(session *s, lamina_device *device, const lamina_case *c, int64_t sample) {
  *s = (session){.device = device, .c = c, .op = lamina_op_at(c->problem.op), .all_f64 = only_f64(&c->problem)};
  lamina_status status = lamina_data_open(device, c, &s->data);
  if (!status) status = expect(s, sample);
  if (status) session_close(s);
  return status;
}

/* ---- Comparing --------------------------------------------------------------------------------------------------- */

static bool all_bytes(const void *element, size_t size, int byte) {
  const uint8_t *b = element;
  for (size_t i = 0; i < size; i++)
    if (b[i] != byte) return false;
  return true;
}

static void append_index(const lamina_desc *desc, int64_t index, char *text, size_t size) {
  int64_t at[LAMINA_MAX_RANK];
  for (int d = desc->rank - 1; d >= 0; d--) at[d] = index % desc->dims[d], index /= desc->dims[d];
  lamina_append(text, size, "[");
  for (int d = 0; d < desc->rank; d++) lamina_append(text, size, "%s%lld", d ? "," : "", (long long)at[d]);
  lamina_append(text, size, "]");
}

static void say_bad(const session *s, lamina_verdict *v, bool unwritten) {
  const size_t size = sizeof v->reason;
  snprintf(v->reason, size, "%s", s->op->args[v->arg].name);
  append_index(&s->c->problem.arg[v->arg], v->element, v->reason, size);
  if (unwritten) {
    lamina_append(v->reason, size, " was not written");
    return;
  }
  lamina_append(v->reason, size, " is %.9g; expected %.9g", v->got, v->expected.value);
  if (v->tolerance > 0)
    lamina_append(v->reason, size, " to within %.2g", v->tolerance);
  else
    lamina_append(v->reason, size, " exactly");
  if (v->expected.terms > 0) lamina_append(v->reason, size, " (a sum of %lld products)", (long long)v->expected.terms);
}

/* Compares one output; the first bad element goes into the verdict. */
static void compare(const session *s, int arg, const lamina_plan *plan, int poison, lamina_verdict *v) {
  const expectation *x = &s->expected[arg];
  const lamina_tensor *tensor = lamina_data_tensor(s->data, arg);
  const lamina_dtype dtype = (lamina_dtype)tensor->desc.dtype;
  const bool exact = s->c->exact && !plan->numerics.inexact_integers;
  lamina_walk walk = lamina_walk_from(&tensor->desc, 0);
  for (int64_t i = 0; i < x->count; i++, lamina_walk_on(&walk)) {
    const int64_t index = x->element ? x->element[i] : i;
    const int64_t offset = x->element ? lamina_desc_offset(&tensor->desc, index) : walk.offset;
    const double got = lamina_load(dtype, tensor->data, offset);
    const double tolerance = exact ? 0 : lamina_tolerance(&x->want[i], dtype, &plan->numerics, s->all_f64);
    double share;
    const bool good = lamina_agrees(&x->want[i], got, dtype, tolerance, &share);
    if (share > v->worst) v->worst = share;
    if (good || v->status) continue;
    const size_t size = lamina_dtype_size(dtype);
    v->status = LAMINA_MISMATCH;
    v->arg = arg, v->element = index;
    v->got = got, v->tolerance = tolerance, v->expected = x->want[i];
    say_bad(s, v, all_bytes((const char *)tensor->data + offset * (int64_t)size, size, poison));
  }
  v->elements += x->count;
}

/* Of an output that is only sampled: does the poison show anywhere? In floats it is a NaN that no arithmetic makes, in
 * integers a number that hardly comes up; in bytes it could be anything. */
static void find_unwritten(const session *s, int arg, int poison, lamina_verdict *v) {
  const lamina_tensor *tensor = lamina_data_tensor(s->data, arg);
  const size_t size = lamina_dtype_size((lamina_dtype)tensor->desc.dtype);
  const bool floating = lamina_dtype_is_floating((lamina_dtype)tensor->desc.dtype);
  if (v->status || size == 1 || lamina_is_input(&s->op->args[arg]) || floating != (poison == LAMINA_POISON_NAN)) return;
  const int64_t count = lamina_desc_count(&tensor->desc);
  lamina_walk walk = lamina_walk_from(&tensor->desc, 0);
  for (int64_t i = 0; i < count; i++, lamina_walk_on(&walk)) {
    const int64_t at = walk.offset * (int64_t)size;
    if (!all_bytes((const char *)tensor->data + at, size, poison)) continue;
    v->status = LAMINA_MISMATCH;
    v->arg = arg, v->element = i;
    say_bad(s, v, true);
    return;
  }
}

/* FNV-1a over the elements of all outputs: do two runs give the same bits? */
static uint64_t fingerprint(const session *s) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (int arg = 0; s->op->args[arg].name; arg++) {
    const lamina_tensor *tensor = lamina_data_tensor(s->data, arg);
    if (!tensor || !lamina_is_output(&s->op->args[arg])) continue;
    const int64_t count = lamina_desc_count(&tensor->desc);
    const size_t size = lamina_dtype_size((lamina_dtype)tensor->desc.dtype);
    lamina_walk walk = lamina_walk_from(&tensor->desc, 0);
    for (int64_t i = 0; i < count; i++, lamina_walk_on(&walk)) {
      const uint8_t *b = (const uint8_t *)tensor->data + walk.offset * (int64_t)size;
      for (size_t n = 0; n < size; n++) hash = (hash ^ b[n]) * 0x100000001b3u;
    }
  }
  return hash;
}

static void judge(session *s, const lamina_plan *plan, int poison, lamina_verdict *v) {
  char what[128];
  for (int arg = 0; s->op->args[arg].name; arg++) {
    if (!s->expected[arg].want) continue;
    compare(s, arg, plan, poison, v);
    if (s->expected[arg].element) find_unwritten(s, arg, poison, v);
  }
  if (!lamina_data_intact(s->data, what, sizeof what) && !v->status) {
    v->status = LAMINA_MISMATCH;
    snprintf(v->reason, sizeof v->reason, "%s", what);
  }
}

/* ---- Running ----------------------------------------------------------------------------------------------------- */

enum { ZONE = 256 };

/* A workspace between two red zones, all of it poisoned. */
typedef struct workspace {
  uint8_t *memory;
  size_t size, whole;
} workspace;

static lamina_status workspace_poison(lamina_device *device, const workspace *w, int poison) {
  uint8_t *host = lamina_alloc(&device->allocator, w->whole);
  if (!host) return LAMINA_OUT_OF_MEMORY;
  memset(host, poison, w->whole);
  const lamina_status status = lamina_copy(device, w->memory, host, w->whole, NULL);
  lamina_free(&device->allocator, host);
  return status;
}

static lamina_status workspace_check(lamina_device *device, const workspace *w, int poison, lamina_verdict *v) {
  uint8_t zone[2][ZONE];
  LAMINA_TRY(lamina_copy(device, zone[0], w->memory, ZONE, NULL));
  LAMINA_TRY(lamina_copy(device, zone[1], w->memory + ZONE + w->size, ZONE, NULL));
  if (v->status || (all_bytes(zone[0], ZONE, poison) && all_bytes(zone[1], ZONE, poison))) return LAMINA_OK;
  v->status = LAMINA_MISMATCH;
  snprintf(v->reason, sizeof v->reason, "memory %s the workspace of %zu bytes was written to",
           all_bytes(zone[0], ZONE, poison) ? "after" : "before", w->size);
  return LAMINA_OK;
}

static void forbid_zones(const session *s, const workspace *w, bool forbid) {
  lamina_data_forbid(s->data, forbid);
  lamina_forbid(w->memory, ZONE, forbid);
  lamina_forbid(w->memory + ZONE + w->size, ZONE, forbid);
}

static lamina_status run_once(session *s, const lamina_plan *plan, const workspace *w, int poison, lamina_verdict *v,
                              uint64_t *bits) {
  LAMINA_TRY(lamina_data_poison(s->data, poison));
  LAMINA_TRY(workspace_poison(s->device, w, poison));
  forbid_zones(s, w, true);
  lamina_status status = lamina_plan_run(plan, lamina_data_args(s->data), w->size ? w->memory + ZONE : NULL, NULL);
  const lamina_status synced = lamina_stream_sync(s->device, NULL);
  forbid_zones(s, w, false);
  if (!status) status = synced;
  if (!status) status = lamina_data_fetch(s->data);
  if (status) return status;
  if (bits) *bits = fingerprint(s);
  judge(s, plan, poison, v);
  return workspace_check(s->device, w, poison, v);
}

static lamina_status workspace_open(lamina_device *device, const lamina_plan *plan, workspace *w) {
  void *memory;
  w->size = lamina_plan_workspace(plan);
  w->whole = w->size + 2 * ZONE;
  LAMINA_TRY(lamina_memory_alloc(device, w->whole, &memory));
  w->memory = memory;
  return LAMINA_OK;
}

static lamina_status run_twice(session *s, const lamina_plan *plan, lamina_verdict *v) {
  const bool deterministic = s->c->problem.flags & LAMINA_DETERMINISTIC;
  uint64_t bits[2] = {0, 0};
  workspace w;
  LAMINA_TRY(workspace_open(s->device, plan, &w));
  lamina_status status = run_once(s, plan, &w, LAMINA_POISON_NAN, v, deterministic ? &bits[0] : NULL);
  v->elements = 0; /* the second run compares the same ones */
  if (!status) status = run_once(s, plan, &w, LAMINA_POISON_FINITE, v, deterministic ? &bits[1] : NULL);
  lamina_memory_free(s->device, w.memory, w.whole);
  if (!status && !v->status && bits[0] != bits[1]) {
    v->status = LAMINA_MISMATCH;
    snprintf(v->reason, sizeof v->reason, "two runs gave different bits, though the plan is deterministic");
  }
  return status;
}

/* Plans exactly the candidate that the verdict names. */
static lamina_status plan_candidate(const session *s, const lamina_verdict *v, lamina_plan **plan) {
  char name[144];
  snprintf(name, sizeof name, "%s%s%s", v->engine, *v->variant ? "/" : "", v->variant);
  LAMINA_TRY(lamina_plan_open(s->device, &s->c->problem, &(lamina_plan_options){.engine = name}, plan));
  const bool other =
      (*plan)->engine && (strcmp((*plan)->engine->name, v->engine) != 0 || strcmp((*plan)->variant, v->variant) != 0);
  if (!other) return LAMINA_OK;
  lamina_plan_close(*plan);
  return lamina_error(LAMINA_UNSUPPORTED, "%s: another variant was planned in its place", name);
}

/* What a verdict says before anything was run: the candidate, and how its case is repeated. */
static void name_verdict(const session *s, const char *engine, const char *variant, lamina_verdict *v) {
  const size_t size = sizeof v->repeat;
  *v = (lamina_verdict){.status = LAMINA_OK, .arg = -1};
  snprintf(v->engine, sizeof v->engine, "%s", engine);
  snprintf(v->variant, sizeof v->variant, "%s", variant);
  snprintf(v->repeat, size, "lamina verify ");
  lamina_case_text(s->c, v->repeat + strlen(v->repeat), size - strlen(v->repeat));
  lamina_append(v->repeat, size, " --engine %s%s%s", v->engine, *v->variant ? "/" : "", v->variant);
  const char *plugin = lamina_engines_plugin(s->device, v->engine, s->op->name);
  if (plugin) lamina_append(v->repeat, size, " --plugin %s", plugin);
  if (strcmp(lamina_device_name(s->device), "cpu") != 0)
    lamina_append(v->repeat, size, " --device %s", lamina_device_name(s->device));
}

static lamina_tier tier_of(const session *s, const lamina_plan *plan) {
  return s->sampled                                        ? LAMINA_TIER_SAMPLE
         : s->c->exact && !plan->numerics.inexact_integers ? LAMINA_TIER_EXACT
                                                           : LAMINA_TIER_FULL;
}

static void verify_candidate(session *s, lamina_verdict *v) {
  lamina_plan *plan;
  lamina_status status = plan_candidate(s, v, &plan);
  if (!status) {
    v->tier = tier_of(s, plan);
    status = run_twice(s, plan, v);
    lamina_plan_close(plan);
  }
  if (!status) return;
  v->status = status;
  snprintf(v->reason, sizeof v->reason, "%s", lamina_last_error());
}

/* ---- All candidates ----------------------------------------------------------------------------------------------- */

static lamina_status list_candidates(lamina_device *device, const lamina_problem *problem, const char *engine,
                                     lamina_candidate **list, int *count) {
  const lamina_plan_options options = {.engine = engine ? engine : ""};
  *list = NULL, *count = 0;
  LAMINA_TRY(lamina_candidates(device, problem, &options, NULL, count));
  *list = lamina_alloc(&device->allocator, (size_t)*count * sizeof **list);
  if (!*list) return LAMINA_OUT_OF_MEMORY;
  const lamina_status status = lamina_candidates(device, problem, &options, *list, count);
  if (status) lamina_free(&device->allocator, *list);
  return status;
}

/* Which verdict the whole call is about: the first of the gravest. */
static int gravity(const lamina_verdict *v) {
  return v->status == LAMINA_MISMATCH ? 3 : v->status == LAMINA_UNSUPPORTED ? 0 : v->status ? 2 : 1;
}

lamina_status lamina_verify(lamina_device *device, const lamina_case *c, const lamina_verify_options *options,
                            lamina_verdict *list, int *count) {
  static const lamina_verify_options all;
  LAMINA_NOT_NULL(device, "device");
  LAMINA_NOT_NULL(c, "c");
  LAMINA_NOT_NULL(count, "count");
  if (options && options->sample < 0)
    return lamina_error(LAMINA_INVALID, "lamina_verify: options.sample is %lld; expected 0 or more",
                        (long long)options->sample);
  const int room = list ? *count : 0;
  lamina_candidate *candidates;
  lamina_verdict about = {.status = LAMINA_UNSUPPORTED};
  lamina_case inferred = *c;
  session s;
  int found;
  if (!options) options = &all;
  *count = 0;
  LAMINA_TRY(lamina_problem_infer(&inferred.problem));
  LAMINA_TRY(list_candidates(device, &inferred.problem, options->engine, &candidates, &found));
  lamina_status status = session_open(&s, device, &inferred, options->sample);
  if (status) {
    lamina_free(&device->allocator, candidates);
    return status;
  }
  for (int i = 0; i < found; i++) {
    if (candidates[i].seconds < 0) continue;
    lamina_verdict v;
    name_verdict(&s, candidates[i].engine, candidates[i].variant, &v);
    verify_candidate(&s, &v);
    if (*count < room) list[*count] = v;
    if (++*count == 1 || gravity(&v) > gravity(&about)) about = v;
  }
  session_close(&s);
  lamina_free(&device->allocator, candidates);
  if (!*count)
    return lamina_error(LAMINA_UNSUPPORTED, "%s: there is no candidate%s%s to verify", s.op->name,
                        options->engine ? " of " : "", options->engine ? options->engine : "");
  if (!about.status) return LAMINA_OK;
  return lamina_error(about.status, "%s by %s%s%s: %s\n  %s", s.op->name, about.engine, *about.variant ? "/" : "",
                      about.variant, about.reason, about.repeat);
}

/* ---- Data that is there -------------------------------------------------------------------------------------------- */

struct lamina_check {
  session s;
};

lamina_status lamina_check_open(lamina_data *data, int64_t sample, lamina_check **out) {
  LAMINA_NOT_NULL(out, "check");
  *out = NULL;
  LAMINA_NOT_NULL(data, "data");
  if (sample < 0)
    return lamina_error(LAMINA_INVALID, "lamina_check_open: sample is %lld; expected 0 or more", (long long)sample);
  lamina_device *device = lamina_data_device(data);
  lamina_check *check = lamina_alloc_zero(&device->allocator, sizeof *check);
  if (!check) return LAMINA_OUT_OF_MEMORY;
  const lamina_case *c = lamina_data_case(data);
  check->s = (session){
      .device = device, .c = c, .op = lamina_op_at(c->problem.op), .data = data, .all_f64 = only_f64(&c->problem)};
  const lamina_status status = expect(&check->s, sample);
  if (status)
    lamina_check_close(check);
  else
    *out = check;
  return status;
}

void lamina_check_close(lamina_check *check) {
  if (!check) return;
  lamina_device *device = check->s.device;
  forget_expectations(&check->s);
  lamina_free(&device->allocator, check);
}

lamina_status lamina_check_run(lamina_check *check, const lamina_plan *plan, lamina_verdict *verdict) {
  LAMINA_NOT_NULL(check, "check");
  LAMINA_NOT_NULL(plan, "plan");
  LAMINA_NOT_NULL(verdict, "verdict");
  session *s = &check->s;
  workspace w;
  if (memcmp(lamina_plan_problem(plan), &s->c->problem, sizeof s->c->problem) != 0)
    return lamina_error(LAMINA_INVALID, "lamina_check_run: the plan is of another problem");
  name_verdict(s, lamina_plan_engine(plan), plan->variant, verdict);
  verdict->tier = tier_of(s, plan);
  lamina_status status = workspace_open(s->device, plan, &w);
  if (!status) {
    status = run_once(s, plan, &w, LAMINA_POISON_NAN, verdict, NULL);
    lamina_memory_free(s->device, w.memory, w.whole);
  }
  if (status) {
    verdict->status = status;
    snprintf(verdict->reason, sizeof verdict->reason, "%s", lamina_last_error());
    return status;
  }
  if (!verdict->status) return LAMINA_OK;
  return lamina_error(verdict->status, "%s by %s%s%s: %s\n  %s", s->op->name, verdict->engine,
                      *verdict->variant ? "/" : "", verdict->variant, verdict->reason, verdict->repeat);
}
