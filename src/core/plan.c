/* Plans: from a problem to an engine that is ready to run.
 *
 *   problem ─ infer ─ cache? ─ candidates of every engine ─ sort by estimate ─ tuned? ─ prepare the first that can ─ plan
 *
 * An engine that wants other strides than the problem has gets a packed problem: the box around its plan then holds
 * copy plans that pack inputs into the workspace before a run and unpack outputs after it. Layouts that the problem left
 * open are the engine's to choose.
 *   workspace: [ the engine's own | packed x | packed y | … | the largest copy's own ] */
#include "core/plan.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/blocks.h"
#include "core/tuning.h"

typedef struct pack {
  int arg;
  size_t offset; /* of the packed tensor in the workspace */
  lamina_plan *in, *out;
} pack;

typedef struct plan_key {
  lamina_problem problem;
  char engine[64];
  uint64_t workspace_limit;
} plan_key;

typedef struct plan_box {
  lamina_plan plan; /* first: a lamina_plan * is a plan_box * */
  plan_key key;
  lamina_problem problem; /* as the user sees it: key.problem, with the layouts that were chosen */
  bool empty;             /* no output has elements: nothing runs */
  pack packs[LAMINA_MAX_ARGS];
  int pack_count;
  size_t copy_offset, workspace;
  char *explain;
  double seconds; /* what the engine estimated */
  int references; /* the cache's and each user's; guarded by the cache's lock */
  uint64_t used;  /* when, for eviction */
} plan_box;

static plan_box *box_of(const lamina_plan *plan) { return (plan_box *)(uintptr_t)plan; }

/* ---- The cache -------------------------------------------------------------------------------------------------- */

struct lamina_plan_cache {
  const lamina_allocator *allocator;
  pthread_mutex_t lock;
  uint64_t clock;
  lamina_cache_info info;
  int room;
  plan_box *box[]; /* info.plans of them */
};

struct lamina_plan_cache *lamina_plan_cache_open(const lamina_allocator *allocator, int room) {
  struct lamina_plan_cache *cache = lamina_alloc_zero(allocator, sizeof *cache + (size_t)room * sizeof(plan_box *));
  if (!cache) return NULL;
  cache->allocator = allocator;
  cache->room = room;
  pthread_mutex_init(&cache->lock, NULL);
  return cache;
}

static void box_close(plan_box *box) {
  const lamina_allocator *allocator = &box->plan.device->allocator;
  if (box->plan.engine && box->plan.engine->release) box->plan.engine->release(&box->plan);
  for (int i = 0; i < box->pack_count; i++) lamina_plan_close(box->packs[i].in), lamina_plan_close(box->packs[i].out);
  lamina_free(allocator, box->explain);
  lamina_free(allocator, box);
}

/* Gives back one reference; the last one closes the box, outside the lock since that may close other plans. */
static void box_drop(struct lamina_plan_cache *cache, plan_box *box) {
  pthread_mutex_lock(&cache->lock);
  const bool last = --box->references == 0;
  pthread_mutex_unlock(&cache->lock);
  if (last) box_close(box);
}

void lamina_plan_cache_close(struct lamina_plan_cache *cache) {
  if (!cache) return;
  while (cache->info.plans > 0) box_drop(cache, cache->box[--cache->info.plans]);
  pthread_mutex_destroy(&cache->lock);
  lamina_free(cache->allocator, cache);
}

void lamina_plan_close(lamina_plan *plan) {
  if (plan) box_drop(plan->device->plans, box_of(plan));
}

/* Under the lock. */
static plan_box *find(struct lamina_plan_cache *cache, const plan_key *key) {
  for (int i = 0; i < cache->info.plans; i++)
    if (memcmp(&cache->box[i]->key, key, sizeof *key) == 0) return cache->box[i];
  return NULL;
}

static plan_box *take(struct lamina_plan_cache *cache, const plan_key *key) {
  pthread_mutex_lock(&cache->lock);
  plan_box *box = find(cache, key);
  if (box) {
    box->references++;
    box->used = ++cache->clock;
    cache->info.hits++;
  } else {
    cache->info.misses++;
  }
  pthread_mutex_unlock(&cache->lock);
  return box;
}

/* Puts a new box into the cache in the place of the longest unused one where it is full. When another thread was
 * faster with the same key, its box is the one to use. */
static plan_box *keep(struct lamina_plan_cache *cache, plan_box *box) {
  plan_box *out = NULL;
  pthread_mutex_lock(&cache->lock);
  plan_box *there = find(cache, &box->key);
  if (there) {
    out = box;
    box = there;
    box->references++;
  } else {
    int slot = cache->info.plans;
    if (slot == cache->room) {
      slot = 0;
      for (int i = 1; i < cache->room; i++)
        if (cache->box[i]->used < cache->box[slot]->used) slot = i;
      out = cache->box[slot];
      cache->info.evictions++;
    } else {
      cache->info.plans++;
    }
    cache->box[slot] = box;
    box->references++;
  }
  box->used = ++cache->clock;
  pthread_mutex_unlock(&cache->lock);
  if (out) box_drop(cache, out);
  return box;
}

void lamina_device_cache(const lamina_device *device, lamina_cache_info *info) {
  if (!info) return;
  *info = (lamina_cache_info){0};
  if (!device) return;
  pthread_mutex_lock(&device->plans->lock);
  *info = device->plans->info;
  pthread_mutex_unlock(&device->plans->lock);
}

/* ---- Packing ---------------------------------------------------------------------------------------------------- */

/* Plans the copy between argument `arg` as the user has it and as the engine wants it. */
static lamina_status plan_copy(plan_box *box, int arg, bool in, lamina_plan **copy) {
  const lamina_desc *outer = &box->problem.arg[arg], *inner = &box->plan.problem.arg[arg];
  const lamina_desc *shapes[2] = {in ? outer : inner, in ? inner : outer};
  lamina_problem problem;
  LAMINA_TRY(lamina_problem_init(&problem, lamina_op_find("copy/forward"), NULL, shapes));
  LAMINA_TRY(lamina_plan_open(box->plan.device, &problem, NULL, copy));
  const size_t needs = lamina_plan_workspace(*copy);
  if (needs > box->workspace - box->copy_offset) box->workspace = box->copy_offset + needs;
  return LAMINA_OK;
}

static lamina_status plan_packs(plan_box *box) {
  const lamina_op_def *op = box->plan.op;
  box->copy_offset = lamina_align_up(box->plan.workspace, 64);
  for (int i = 0; op->args[i].name; i++) {
    const lamina_desc *inner = &box->plan.problem.arg[i], *outer = &box->problem.arg[i];
    if (inner->layout == outer->layout && memcmp(inner->strides, outer->strides, sizeof outer->strides) == 0) continue;
    box->packs[box->pack_count++] = (pack){.arg = i, .offset = box->copy_offset};
    box->copy_offset += lamina_align_up((size_t)lamina_desc_bytes(&box->plan.problem.arg[i]), 64);
  }
  box->workspace = box->copy_offset;
  for (int n = 0; n < box->pack_count; n++) {
    pack *p = &box->packs[n];
    const lamina_arg_def *arg = &op->args[p->arg];
    if (arg->role != LAMINA_OUT && arg->role != LAMINA_SAVED) LAMINA_TRY(plan_copy(box, p->arg, true, &p->in));
    if (arg->role != LAMINA_IN) LAMINA_TRY(plan_copy(box, p->arg, false, &p->out));
  }
  return LAMINA_OK;
}

static lamina_status run_packed(const plan_box *box, const lamina_args *args, char *workspace, lamina_stream *stream) {
  lamina_args inner = *args;
  char *own = workspace + box->copy_offset;
  for (int n = 0; n < box->pack_count; n++) {
    const pack *p = &box->packs[n];
    if (!args->p[p->arg]) continue;
    inner.p[p->arg] = workspace + p->offset;
    if (p->in) LAMINA_TRY(lamina_plan_run(p->in, &(lamina_args){{args->p[p->arg], inner.p[p->arg]}}, own, stream));
  }
  LAMINA_TRY(box->plan.device->module.run(&box->plan, &inner, workspace, stream));
  for (int n = 0; n < box->pack_count; n++) {
    const pack *p = &box->packs[n];
    if (p->out && args->p[p->arg])
      LAMINA_TRY(lamina_plan_run(p->out, &(lamina_args){{inner.p[p->arg], args->p[p->arg]}}, own, stream));
  }
  return LAMINA_OK;
}

/* ---- Opening ---------------------------------------------------------------------------------------------------- */

/* Does the problem promise the alignment that the engine asks for? What is packed lies on 64 bytes anyway. */
static lamina_status check_align(const plan_box *box) {
  const lamina_plan *plan = &box->plan;
  if (plan->align < 0 || plan->align > 64 || plan->align & (plan->align - 1))
    return lamina_error(LAMINA_UNSUPPORTED,
                        "its prepare asks for data aligned to %d bytes; expected a power of two to 64", plan->align);
  for (int i = 0; plan->op->args[i].name; i++) {
    const lamina_desc *desc = &plan->problem.arg[i];
    if (desc->dtype && lamina_desc_count(desc) > 0 && desc->align < plan->align)
      return lamina_error(LAMINA_UNSUPPORTED, "it needs data aligned to %d bytes, but %s promises %d", plan->align,
                          plan->op->args[i].name, desc->align);
  }
  return LAMINA_OK;
}

/* Takes over what was chosen for the layouts that were left open, in its normal form. */
static lamina_status settle(plan_box *box) {
  lamina_plan *plan = &box->plan;
  box->problem = box->key.problem;
  for (int i = 0; plan->op->args[i].name; i++) {
    lamina_desc *inner = &plan->problem.arg[i], *outer = &box->problem.arg[i];
    if (outer->layout != LAMINA_LAYOUT_ANY) continue;
    lamina_desc_settle(inner, NULL);
    if (lamina_desc_bytes(inner) != lamina_desc_bytes(outer))
      return lamina_error(LAMINA_UNSUPPORTED, "the layout that its prepare chose for %s doesn't fit, or leaves gaps",
                          plan->op->args[i].name);
    outer->layout = inner->layout;
    memcpy(outer->strides, inner->strides, sizeof outer->strides);
  }
  LAMINA_TRY(lamina_problem_infer(&box->problem));
  for (int i = 0; plan->op->args[i].name; i++)
    if (box->key.problem.arg[i].layout == LAMINA_LAYOUT_ANY)
      memcpy(plan->problem.arg[i].strides, box->problem.arg[i].strides, sizeof plan->problem.arg[i].strides);
  return LAMINA_OK;
}

/* Makes a candidate ready in `box`; its engine may still refuse. */
static lamina_status prepare(plan_box *box, const lamina_choice *choice, uint64_t limit) {
  lamina_plan *plan = &box->plan;
  plan->engine = choice->engine;
  plan->problem = choice->problem;
  snprintf(plan->variant, sizeof plan->variant, "%s", choice->variant);
  lamina_status status = choice->engine->prepare ? choice->engine->prepare(plan) : LAMINA_OK;
  if (!status) status = settle(box);
  if (!status) status = check_align(box);
  if (!status) status = plan_packs(box);
  if (!status && limit && box->workspace > limit)
    status = lamina_error(LAMINA_UNSUPPORTED, "it needs %zu bytes of workspace, more than the limit of %llu",
                          box->workspace, (unsigned long long)limit);
  if (!status) return LAMINA_OK;
  if (choice->engine->release) choice->engine->release(plan);
  for (int n = 0; n < box->pack_count; n++) lamina_plan_close(box->packs[n].in), lamina_plan_close(box->packs[n].out);
  box->pack_count = 0;
  plan->engine = NULL;
  plan->workspace = box->workspace = 0;
  plan->numerics = (lamina_numerics){0};
  plan->align = 0, plan->note[0] = 0, plan->state = NULL;
  return status;
}

static lamina_status choose(plan_box *box, const plan_key *key) {
  lamina_device *device = box->plan.device;
  lamina_choices choices = {0};
  lamina_status status = lamina_choices_of(device, &key->problem, key->engine, &choices);
  if (!status && !*key->engine) status = lamina_tuning_apply(device, &key->problem, &choices);
  int chosen = -1;
  for (int i = 0; !status && chosen < 0 && i < choices.count; i++) {
    lamina_choice *choice = &choices.list[i];
    if (choice->seconds < 0) break; /* refusals come last */
    const lamina_status refused = prepare(box, choice, key->workspace_limit);
    if (!refused)
      chosen = i;
    else if (refused == LAMINA_OUT_OF_MEMORY)
      status = refused;
    else {
      choice->seconds = -1;
      snprintf(choice->reason, sizeof choice->reason, "%s", lamina_last_error());
    }
  }
  if (!status && chosen < 0) status = lamina_choices_error(&choices, &key->problem, key->engine);
  if (!status) {
    box->seconds = choices.list[chosen].seconds;
    box->explain = lamina_choices_text(device, &choices, chosen, box->plan.note, box->pack_count);
    if (!box->explain) status = LAMINA_OUT_OF_MEMORY;
  }
  lamina_choices_close(device, &choices);
  return status;
}

static lamina_status box_open(lamina_device *device, const plan_key *key, plan_box **out) {
  const lamina_op_def *op = lamina_op_at(key->problem.op);
  plan_box *box = lamina_alloc_zero(&device->allocator, sizeof *box);
  if (!box) return LAMINA_OUT_OF_MEMORY;
  box->plan = (lamina_plan){.device = device, .op = op, .problem = key->problem, .threads = device->threads};
  box->plan.deterministic = key->problem.flags & LAMINA_DETERMINISTIC;
  box->key = *key;
  box->references = 1;
  box->empty = true;
  for (int i = 0; op->args[i].name; i++)
    if (op->args[i].role != LAMINA_IN && lamina_desc_count(&key->problem.arg[i]) > 0 && key->problem.arg[i].dtype)
      box->empty = false;
  lamina_status status = LAMINA_OK;
  if (box->empty) {
    status = settle(box);
    box->explain = lamina_copy_text(&device->allocator, "nothing to do: no output has elements\n");
    if (!status && !box->explain) status = LAMINA_OUT_OF_MEMORY;
  } else {
    status = choose(box, key);
  }
  if (status)
    box_close(box);
  else
    *out = box;
  return status;
}

lamina_status lamina_plan_key_problem(lamina_problem *problem, const lamina_plan_options *options) {
  if (options && options->math != LAMINA_MATH_DEFAULT) problem->math = (int32_t)options->math;
  if (options && options->deterministic) problem->flags |= LAMINA_DETERMINISTIC;
  return lamina_problem_infer(problem);
}

lamina_status lamina_plan_open(lamina_device *device, const lamina_problem *problem, const lamina_plan_options *options,
                               lamina_plan **plan) {
  LAMINA_NOT_NULL(plan, "plan");
  *plan = NULL;
  LAMINA_NOT_NULL(device, "device");
  LAMINA_NOT_NULL(problem, "problem");
  plan_key key;
  memset(&key, 0, sizeof key); /* compared by its bytes */
  key.problem = *problem;
  LAMINA_TRY(lamina_engines_settle(device));
  LAMINA_TRY(lamina_plan_key_problem(&key.problem, options));
  const char *engine = lamina_engine_wanted(device, &key.problem, options);
  if (strlen(engine) >= sizeof key.engine)
    return lamina_error(LAMINA_INVALID, "the engine name \"%s\" is too long", engine);
  memcpy(key.engine, engine, strlen(engine));
  if (options) key.workspace_limit = options->workspace_limit;
  plan_box *box = take(device->plans, &key);
  if (!box) {
    LAMINA_TRY(box_open(device, &key, &box));
    box = keep(device->plans, box);
  }
  *plan = &box->plan;
  return LAMINA_OK;
}

size_t lamina_plan_workspace(const lamina_plan *plan) { return plan ? box_of(plan)->workspace : 0; }
const lamina_problem *lamina_plan_problem(const lamina_plan *plan) { return plan ? &box_of(plan)->problem : NULL; }
const char *lamina_plan_engine(const lamina_plan *plan) { return plan && plan->engine ? plan->engine->name : ""; }
const char *lamina_plan_variant(const lamina_plan *plan) { return plan ? plan->variant : ""; }
double lamina_plan_seconds(const lamina_plan *plan) { return plan ? box_of(plan)->seconds : 0; }
const char *lamina_plan_explain(const lamina_plan *plan) { return plan ? box_of(plan)->explain : ""; }

/* ---- Running ---------------------------------------------------------------------------------------------------- */

static lamina_status check_pointers(const plan_box *box, const lamina_args *args) {
  const lamina_op_def *op = box->plan.op;
  for (int i = 0; op->args[i].name; i++) {
    const lamina_desc *desc = &box->problem.arg[i];
    if (desc->dtype == LAMINA_NONE || lamina_desc_count(desc) == 0) continue;
    const uintptr_t address = (uintptr_t)args->p[i];
    if (!address) return lamina_error(LAMINA_INVALID, "%s: the data of %s is NULL", op->name, op->args[i].name);
    if (address % (uintptr_t)desc->align)
      return lamina_error(LAMINA_INVALID, "%s: %s is not aligned to %d bytes, as its plan was promised", op->name,
                          op->args[i].name, desc->align);
  }
  return LAMINA_OK;
}

lamina_status lamina_plan_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                              lamina_stream *stream) {
  LAMINA_NOT_NULL(plan, "plan");
  LAMINA_NOT_NULL(args, "args");
  const plan_box *box = box_of(plan);
  LAMINA_TRY(lamina_stream_check(plan->device, stream, plan->op->name));
  if (box->empty) return LAMINA_OK;
  LAMINA_TRY(check_pointers(box, args));
  if (!workspace && box->workspace)
    return lamina_error(LAMINA_INVALID, "%s: the plan needs %zu bytes of workspace, but workspace is NULL",
                        plan->op->name, box->workspace);
  if (!stream) stream = &plan->device->stream;
  if (box->pack_count) return run_packed(box, args, workspace, stream);
  return plan->device->module.run(plan, args, workspace, stream);
}

lamina_status lamina_plan_run_typed(const lamina_plan *plan, const char *op, const void *args, size_t size,
                                    void *workspace, lamina_stream *stream) {
  lamina_args all = {{NULL}};
  if (!plan || !args) return lamina_error(LAMINA_INVALID, "%s: %s is NULL", op, plan ? "args" : "plan");
  if (strcmp(plan->op->name, op) != 0)
    return lamina_error(LAMINA_INVALID, "%s: the plan is one of %s", op, plan->op->name);
  memcpy(all.p, args, size);
  return lamina_plan_run(plan, &all, workspace, stream);
}
