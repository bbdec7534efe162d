/* oneDNN engines: the part that is the same for every op. The picture is in onednn_base.h. */
#include "cpu/onednn_base.h"

#include <stdio.h>
#include <stdlib.h>

#include "cpu/loop.h"
#include "cpu/onednn_layout.h"

/* ---- oneDNN's words --------------------------------------------------------------------------------------------- */

static const struct {
  dnnl_status_t theirs;
  lamina_status ours;
  const char *meaning;
} statuses[] = {
    {dnnl_out_of_memory, LAMINA_OUT_OF_MEMORY, "out of memory"},
    {dnnl_invalid_arguments, LAMINA_INTERNAL, "arguments that it does not take"},
    {dnnl_unimplemented, LAMINA_UNSUPPORTED, "it has no such implementation"},
    {dnnl_iterator_ends, LAMINA_UNSUPPORTED, "it has no further implementation"},
    {dnnl_runtime_error, LAMINA_DEVICE, "it failed while it ran"},
    {dnnl_not_required, LAMINA_INTERNAL, "a query for something that is not there"},
};

lamina_status lamina_onednn_status(dnnl_status_t status, const char *op, const char *what) {
  if (status == dnnl_success) return LAMINA_OK;
  for (size_t i = 0; i < LAMINA_COUNT_OF(statuses); i++)
    if (statuses[i].theirs == status)
      return lamina_error(statuses[i].ours, "%s: oneDNN, %s: %s", op, what, statuses[i].meaning);
  return lamina_error(LAMINA_INTERNAL, "%s: oneDNN, %s: the unknown status %d", op, what, (int)status);
}

static dnnl_data_type_t type_of(int32_t dtype) {
  return dtype == LAMINA_F32 ? dnnl_f32 : dtype == LAMINA_BF16 ? dnnl_bf16 : dnnl_data_type_undef;
}

static bool machine_has(dnnl_cpu_isa_t isa) { return ((unsigned)dnnl_get_effective_cpu_isa() & isa) == isa; }

/* ---- What is never offered -------------------------------------------------------------------------------------- */

/* NULL, or why oneDNN can't take the problem whatever the layout. */
static const char *refusal(const lamina_onednn_recipe *recipe, const lamina_problem *problem, char *text, size_t size) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  bool bf16 = false;
  for (int i = 0; op->args[i].name; i++) {
    const lamina_desc *desc = &problem->arg[i];
    if (desc->dtype == LAMINA_NONE) continue;
    if (type_of(desc->dtype) == dnnl_data_type_undef) {
      snprintf(text, size, "%s is %s, which oneDNN 2.6 does not compute with on a CPU", op->args[i].name,
               lamina_dtype_name((lamina_dtype)desc->dtype));
      return text;
    }
    bf16 |= desc->dtype == LAMINA_BF16;
    if (lamina_desc_count(desc) > INT32_MAX) {
      snprintf(text, size, "%s has more than 2^31 - 1 elements, and oneDNN's kernels count in 32 bits",
               op->args[i].name);
      return text;
    }
    for (int d = 0; d < desc->rank; d++)
      if (desc->strides[d] < 0) {
        snprintf(text, size, "oneDNN takes no negative strides, as %s has", op->args[i].name);
        return text;
      }
  }
  for (int i = 0; op->args[i].name; i++)
    if (problem->arg[i].layout > 0 && recipe->flipped && recipe->flipped(problem, i))
      return "it flips only filters that are not in blocks";
  if (bf16 && !machine_has(dnnl_cpu_isa_avx512_core)) return "oneDNN's bf16 needs AVX-512 (avx512_core)";
  return recipe->refuse ? recipe->refuse(problem) : NULL;
}

/* ---- One attempt ------------------------------------------------------------------------------------------------ */

/* `desc` with its axes in another order. Of a layout that is left open, GIVEN is row-major. */
static dnnl_status_t ordered(dnnl_memory_desc_t *to, const lamina_desc *desc, dnnl_data_type_t type,
                             lamina_onednn_order order) {
  dnnl_dims_t dims = {0}, strides = {0};
  const int rank = desc->rank ? desc->rank : 1;
  int64_t step = 1;
  if (order == LAMINA_ONEDNN_GIVEN && desc->layout != LAMINA_LAYOUT_ANY) return lamina_onednn_given(to, desc, type);
  for (int d = 0; d < rank; d++) dims[d] = desc->rank ? desc->dims[d] : 1;
  if (order == LAMINA_ONEDNN_FREE) return dnnl_memory_desc_init_by_tag(to, rank, dims, type, dnnl_format_tag_any);
  if (order == LAMINA_ONEDNN_LAST && rank > 2) strides[1] = 1, step = dims[1];
  for (int d = rank - 1; d >= 0; d--) {
    if (order == LAMINA_ONEDNN_LAST && rank > 2 && d == 1) continue;
    strides[d] = step;
    step *= dims[d];
  }
  return dnnl_memory_desc_init_by_strides(to, rank, dims, type, strides);
}

static void setup_close(lamina_onednn_setup *s) {
  if (s->primitive) dnnl_primitive_desc_destroy(s->primitive);
  if (s->list) dnnl_primitive_desc_iterator_destroy(s->list);
  if (s->hint) dnnl_primitive_desc_destroy(s->hint);
  if (s->attr) dnnl_primitive_attr_destroy(s->attr);
  if (s->engine) dnnl_engine_destroy(s->engine);
  s->primitive = s->hint = NULL, s->list = NULL, s->attr = NULL, s->engine = NULL;
}

static dnnl_status_t own_scratchpad(dnnl_primitive_attr_t *attr) {
  const dnnl_status_t status = dnnl_primitive_attr_create(attr);
  return status ? status : dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
}

/* Is N C H W the same as N H W C for every tensor? oneDNN tells such descriptors apart by strides that mean nothing, and
 * then again takes one for the other in its cache. */
static bool is_both(const lamina_onednn_recipe *recipe, const lamina_problem *problem) {
  for (int i = 0; recipe->bind[i].slot; i++) {
    const lamina_desc *desc = &problem->arg[i];
    if (recipe->bind[i].kind != LAMINA_ONEDNN_DATA || desc->dtype == LAMINA_NONE || desc->rank < 3) continue;
    if (desc->dims[1] > 1 && lamina_desc_count(desc) != desc->dims[0] * desc->dims[1]) return false;
  }
  return true;
}

/* Of a layout that is left open: what the primitive wants, where our layouts can say it; else row-major, as `given` is. */
static void adopt(lamina_onednn_setup *s, const lamina_onednn_recipe *recipe, int arg) {
  const lamina_problem *problem = s->problem;
  lamina_desc *chosen = &s->chosen[arg], view = *chosen;
  lamina_desc_settle(chosen, NULL);
  if (s->flipped[arg] || (recipe->view && !recipe->unview)) return;
  if (recipe->view) recipe->view(problem, arg, &view);
  if (!lamina_onednn_layout_of(&s->wanted[arg], &view)) return;
  if (recipe->unview && !recipe->unview(problem, arg, &view)) return;
  if (lamina_desc_bytes(&view) != lamina_desc_bytes(chosen)) return;
  chosen->layout = view.layout;
  memcpy(chosen->strides, view.strides, sizeof chosen->strides);
  const dnnl_data_type_t type = s->given[arg].data_type;
  s->given[arg] = s->wanted[arg];
  s->given[arg].data_type = type;
}

/* Takes the implementation where the list stands, and what it wants. */
static dnnl_status_t take(lamina_onednn_setup *s, const lamina_onednn_recipe *recipe) {
  s->primitive = dnnl_primitive_desc_iterator_fetch(s->list);
  if (!s->primitive) return dnnl_out_of_memory;
  dnnl_status_t status = dnnl_primitive_desc_query(s->primitive, dnnl_query_impl_info_str, 0, (void *)&s->impl);
  for (int i = 0; !status && recipe->bind[i].slot; i++) {
    if (!s->asked[i].ndims) continue;
    s->given[i] = s->asked[i];
    s->chosen[i] = s->problem->arg[i];
    s->wanted[i] = *dnnl_primitive_desc_query_md(s->primitive, dnnl_query_exec_arg_md, recipe->bind[i].slot);
    if (s->wanted[i].data_type == dnnl_bf16 && s->given[i].data_type == dnnl_f32)
      status = dnnl_unimplemented; /* loses */
    if (s->chosen[i].layout == LAMINA_LAYOUT_ANY) adopt(s, recipe, i);
  }
  return status;
}

/* Describes the primitive in one layout, with its inputs as `compute`, by the first of its implementations. Close the setup
 * whatever the status. */
static dnnl_status_t setup_open(lamina_onednn_setup *s, const lamina_onednn_recipe *recipe,
                                const lamina_problem *problem, const lamina_onednn_layout *layout,
                                dnnl_data_type_t compute, const lamina_device *device) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  const lamina_onednn_order data =
      layout->data == LAMINA_ONEDNN_PLAIN && is_both(recipe, problem) ? LAMINA_ONEDNN_LAST : layout->data;
  memset(s, 0, sizeof *s);
  s->problem = problem, s->layout = layout, s->device = device;
  dnnl_status_t status = dnnl_engine_create(&s->engine, dnnl_cpu, 0);
  if (!status) status = own_scratchpad(&s->attr);
  for (int i = 0; !status && recipe->bind[i].slot; i++) {
    lamina_desc desc = problem->arg[i];
    s->chosen[i] = desc;
    if (desc.dtype == LAMINA_NONE) continue;
    if (recipe->view) recipe->view(problem, i, &desc);
    const dnnl_data_type_t type = type_of(desc.dtype);
    const lamina_onednn_kind kind = recipe->bind[i].kind;
    const bool keep = compute == dnnl_bf16 && (lamina_is_output(&op->args[i]) || kind == LAMINA_ONEDNN_BIAS);
    s->flipped[i] = recipe->flipped && recipe->flipped(problem, i);
    status = ordered(&s->given[i], &desc, type, s->flipped[i] ? LAMINA_ONEDNN_PLAIN : LAMINA_ONEDNN_GIVEN);
    if (!status)
      status = ordered(&s->wanted[i], &desc, keep ? type : compute,
                       kind == LAMINA_ONEDNN_DATA     ? data
                       : kind == LAMINA_ONEDNN_FILTER ? layout->filter
                                                      : LAMINA_ONEDNN_PLAIN);
    s->asked[i] = s->given[i];
  }
  if (!status) status = recipe->describe(s);
  if (!status) status = dnnl_primitive_desc_iterator_create(&s->list, &s->ask, s->attr, s->engine, s->hint);
  return status ? status : take(s, recipe);
}

/* The next implementation of the list. */
static dnnl_status_t setup_next(lamina_onednn_setup *s, const lamina_onednn_recipe *recipe) {
  dnnl_primitive_desc_destroy(s->primitive);
  s->primitive = NULL;
  const dnnl_status_t status = dnnl_primitive_desc_iterator_next(s->list);
  return status ? status : take(s, recipe);
}

/* A deconvolution is named "conv:any+" and what it is run by. */
static bool is_reference(const lamina_onednn_setup *s) {
  const char *by = strrchr(s->impl, '+');
  return strncmp(by ? by + 1 : s->impl, "ref", 3) == 0;
}

/* "avx512_core" of "brgconv:avx512_core" */
static const char *instructions(const char *impl) {
  const char *colon = strchr(impl, ':');
  return colon ? colon : "";
}

/* Are all factors bf16, so that bf16 kernels lose nothing? They take and store f32 otherwise, too. */
static bool all_bf16(const lamina_onednn_recipe *recipe, const lamina_problem *problem) {
  const lamina_op_def *op = lamina_op_at(problem->op);
  for (int i = 0; recipe->bind[i].slot; i++)
    if (lamina_is_input(&op->args[i]) && recipe->bind[i].kind != LAMINA_ONEDNN_BIAS &&
        problem->arg[i].dtype == LAMINA_F32)
      return false;
  return true;
}

/* ---- Estimates -------------------------------------------------------------------------------------------------- */

double lamina_onednn_bytes(const dnnl_memory_desc_t *desc) { return (double)dnnl_memory_desc_get_size(desc); }

/* Shares of what the widest multiply-adds reach, as measured on cores with AVX-512 and, the second ones, with AVX2. */
double lamina_onednn_rate(const lamina_onednn_setup *s) {
  const bool wide = machine_has(dnnl_cpu_isa_avx512_core);
  const lamina_roofline *peak = &s->device->roofline;
  const double share = strstr(s->impl, "gemm")     ? (wide ? 0.56 : 0.48)
                       : strstr(s->impl, "avx512") ? 0.62
                       : strstr(s->impl, "avx2")   ? (wide ? 0.25 : 0.43)
                                                   : (wide ? 0.06 : 0.11);
  const bool bf16 = s->wanted[0].data_type == dnnl_bf16, dots = machine_has(dnnl_cpu_isa_avx512_core_bf16);
  return share * (bf16 && dots && peak->flops_half > 0 ? peak->flops_half : peak->flops) * (bf16 && !dots ? 0.3 : 1);
}

double lamina_onednn_moving(const lamina_onednn_setup *s, double bytes) { return lamina_cpu_moving(s->device, bytes); }

static double seconds_of(const lamina_onednn_setup *s, const lamina_onednn_recipe *recipe) {
  double seconds = 5e-6 + recipe->seconds(s);
  for (int i = 0; recipe->bind[i].slot; i++)
    if (s->flipped[i]) seconds += 1e-6 + lamina_onednn_moving(s, 2 * lamina_onednn_bytes(&s->given[i]));
  for (int i = 0; recipe->bind[i].slot; i++)
    if (s->given[i].ndims && !lamina_onednn_same_bytes(&s->given[i], &s->wanted[i]))
      seconds += 2e-6 + lamina_onednn_moving(s, lamina_onednn_bytes(&s->given[i]) + lamina_onednn_bytes(&s->wanted[i]));
  return seconds;
}

/* ---- Candidates ------------------------------------------------------------------------------------------------- */

static const dnnl_data_type_t computes[] = {dnnl_bf16, dnnl_f32};

/* The variant's part before the implementation: "blocked", "blocked_f32". */
static void layout_name(char *to, size_t size, const lamina_onednn_layout *layout, dnnl_data_type_t compute,
                        bool bf16) {
  snprintf(to, size, "%s%s", layout->name, bf16 && compute == dnnl_f32 ? "_f32" : "");
}

typedef struct listing {
  const lamina_onednn_recipe *recipe;
  const lamina_problem *problem;
  lamina_candidate_fn *each;
  void *context;
  int count;
  bool bf16;      /* all factors are */
  bool reference; /* oneDNN had nothing but a reference for some layout */
} listing;

/* Offers the setup; false when the layout's list need not be followed further. */
static bool offer(listing *list, const lamina_onednn_setup *s, dnnl_data_type_t compute, int choice, char *first,
                  size_t size) {
  char layout[32], variant[64];
  if (is_reference(s)) {
    list->reference = true;
    return false;
  }
  if (*first && strcmp(instructions(s->impl), instructions(first)) != 0) return false;
  if (!*first) snprintf(first, size, "%s", s->impl);
  layout_name(layout, sizeof layout, s->layout, compute, list->bf16);
  snprintf(variant, sizeof variant, "%s/%s", layout, s->impl);
  list->each(list->context, variant, seconds_of(s, list->recipe) * (1 + 0.01 * choice), ""); /* oneDNN's order */
  list->count++;
  return true;
}

static void offer_layout(listing *list, const lamina_onednn_layout *layout, dnnl_data_type_t compute,
                         const lamina_device *device) {
  char first[64] = "";
  lamina_onednn_setup s;
  dnnl_status_t status = setup_open(&s, list->recipe, list->problem, layout, compute, device);
  for (int choice = 0; !status && offer(list, &s, compute, choice, first, sizeof first); choice++)
    status = setup_next(&s, list->recipe);
  setup_close(&s);
}

void lamina_onednn_candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                              lamina_candidate_fn *each, void *context) {
  listing list = {.recipe = engine->user, .problem = problem, .each = each, .context = context};
  char text[160];
  const char *no = refusal(list.recipe, problem, text, sizeof text);
  if (no) {
    each(context, NULL, 0, no);
    return;
  }
  list.bf16 = all_bf16(list.recipe, problem);
  const int before = lamina_cpu_width(device->threads); /* oneDNN decides for the width that it finds */
  for (size_t c = 0; c < LAMINA_COUNT_OF(computes); c++) {
    if (computes[c] == dnnl_bf16 && !list.bf16) continue;
    for (const lamina_onednn_layout *layout = list.recipe->layouts; layout->name; layout++)
      offer_layout(&list, layout, computes[c], device);
  }
  lamina_cpu_width(before);
  if (!list.count)
    each(context, NULL, 0,
         list.reference ? "oneDNN has only its own reference for it" : "oneDNN has no implementation for it");
}

/* ---- Preparing -------------------------------------------------------------------------------------------------- */

typedef struct call {
  dnnl_primitive_t primitive;
  dnnl_memory_desc_t scratch; /* ndims 0: none */
  bool clear;                 /* the scratchpad must be 0 */
} call;

typedef struct tensor {
  int arg, slot;
  bool output;
  dnnl_memory_desc_t given, wanted;
  call reorder; /* primitive NULL: the tensor is used as it comes */
  size_t offset;
  bool flipped;
  size_t flipped_offset; /* of the dense copy */
} tensor;

typedef struct state {
  dnnl_engine_t engine;
  call main;
  tensor tensor[LAMINA_ONEDNN_ARGS];
  int count;
} state;

static dnnl_status_t call_open(call *c, const_dnnl_primitive_desc_t desc, size_t *scratch) {
  const dnnl_status_t status = dnnl_primitive_create(&c->primitive, desc);
  const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
  if (md && md->ndims) {
    c->scratch = *md;
    if (dnnl_memory_desc_get_size(md) > *scratch) *scratch = dnnl_memory_desc_get_size(md);
  }
  return status;
}

static dnnl_status_t reorder_open(tensor *t, const state *st, size_t *scratch) {
  dnnl_primitive_desc_t desc = NULL;
  dnnl_primitive_attr_t attr = NULL;
  const dnnl_memory_desc_t *from = t->output ? &t->wanted : &t->given, *to = t->output ? &t->given : &t->wanted;
  dnnl_status_t status = own_scratchpad(&attr);
  if (!status) status = dnnl_reorder_primitive_desc_create(&desc, from, st->engine, to, st->engine, attr);
  if (!status) status = call_open(&t->reorder, desc, scratch);
  if (desc) dnnl_primitive_desc_destroy(desc);
  if (attr) dnnl_primitive_attr_destroy(attr);
  return status;
}

/* Looks through the layout's implementations for the one of that name. */
static lamina_status find_choice(lamina_onednn_setup *s, const lamina_plan *plan, const lamina_onednn_layout *layout,
                                 dnnl_data_type_t compute, const char *impl) {
  const lamina_onednn_recipe *recipe = plan->engine->user;
  dnnl_status_t status = setup_open(s, recipe, &plan->problem, layout, compute, plan->device);
  while (!status && strcmp(impl, s->impl) != 0) status = setup_next(s, recipe);
  return lamina_onednn_status(status, plan->op->name, "describing the primitive");
}

/* Finds the setup that a variant was made from. */
static lamina_status setup_find(lamina_onednn_setup *s, const lamina_plan *plan) {
  const lamina_onednn_recipe *recipe = plan->engine->user;
  const bool bf16 = all_bf16(recipe, &plan->problem);
  for (size_t c = 0; c < LAMINA_COUNT_OF(computes); c++)
    for (const lamina_onednn_layout *layout = recipe->layouts; layout->name; layout++) {
      char name[32];
      layout_name(name, sizeof name, layout, computes[c], bf16);
      if ((computes[c] == dnnl_bf16 && !bf16) || !lamina_part_of(name, plan->variant)) continue;
      return find_choice(s, plan, layout, computes[c], plan->variant + strlen(name) + 1);
    }
  return lamina_error(LAMINA_INTERNAL, "%s: oneDNN has no layout for the variant \"%s\"", plan->op->name,
                      plan->variant);
}

/* "w flipped; x and w reordered" */
static void write_names(lamina_plan *plan, const char *const *names, int count, const char *what) {
  if (!count) return;
  lamina_append(plan->note, sizeof plan->note, "%s", *plan->note ? "; " : "");
  for (int n = 0; n < count; n++)
    lamina_append(plan->note, sizeof plan->note, "%s%s", n == 0 ? "" : n == count - 1 ? " and " : ", ", names[n]);
  lamina_append(plan->note, sizeof plan->note, " %s", what);
}

static void write_note(lamina_plan *plan, const state *st) {
  const char *flipped[LAMINA_ONEDNN_ARGS], *reordered[LAMINA_ONEDNN_ARGS];
  int flips = 0, reorders = 0;
  for (int n = 0; n < st->count; n++) {
    const char *name = plan->op->args[st->tensor[n].arg].name;
    if (st->tensor[n].flipped) flipped[flips++] = name;
    if (st->tensor[n].reorder.primitive) reordered[reorders++] = name;
  }
  write_names(plan, flipped, flips, "flipped");
  write_names(plan, reordered, reorders, "reordered");
}

static dnnl_status_t build(lamina_plan *plan, lamina_onednn_setup *s, state *st) {
  const lamina_onednn_recipe *recipe = plan->engine->user;
  size_t scratch = 0, copies = 0;
  st->engine = s->engine;
  s->engine = NULL;
  st->main.clear = s->clear_scratchpad;
  dnnl_status_t status = call_open(&st->main, s->primitive, &scratch);
  for (int i = 0; !status && recipe->bind[i].slot; i++) {
    if (!s->given[i].ndims) continue;
    tensor *t = &st->tensor[st->count++];
    *t = (tensor){.arg = i,
                  .slot = recipe->bind[i].slot,
                  .output = lamina_is_output(&plan->op->args[i]),
                  .given = s->given[i],
                  .wanted = s->wanted[i],
                  .flipped = s->flipped[i]};
    if (t->flipped) {
      t->flipped_offset = copies;
      copies += lamina_align_up(dnnl_memory_desc_get_size(&t->given), 64);
    }
    if (lamina_onednn_same_bytes(&t->given, &t->wanted)) continue;
    status = reorder_open(t, st, &scratch);
    t->offset = copies;
    copies += lamina_align_up(dnnl_memory_desc_get_size(&t->wanted), 64);
  }
  scratch = lamina_align_up(scratch, 64);
  for (int n = 0; n < st->count; n++) st->tensor[n].offset += scratch, st->tensor[n].flipped_offset += scratch;
  plan->workspace = scratch + copies;
  return status;
}

lamina_status lamina_onednn_prepare(lamina_plan *plan) {
  lamina_onednn_setup s = {0};
  state *st = lamina_host_alloc(plan->device, sizeof *st);
  if (!st) return LAMINA_OUT_OF_MEMORY;
  memset(st, 0, sizeof *st);
  plan->state = st;
  const int before = lamina_cpu_width(plan->threads);
  lamina_status status = setup_find(&s, plan);
  if (!status) status = lamina_onednn_status(build(plan, &s, st), plan->op->name, "creating the primitives");
  const lamina_onednn_recipe *recipe = plan->engine->user;
  if (!status && recipe->numerics) recipe->numerics(&s, &plan->numerics);
  for (int n = 0; !status && n < st->count; n++) plan->problem.arg[st->tensor[n].arg] = s.chosen[st->tensor[n].arg];
  lamina_cpu_width(before);
  setup_close(&s);
  if (!status) write_note(plan, st);
  return status;
}

void lamina_onednn_release(lamina_plan *plan) {
  state *st = plan->state;
  if (!st) return;
  for (int n = 0; n < st->count; n++)
    if (st->tensor[n].reorder.primitive) dnnl_primitive_destroy(st->tensor[n].reorder.primitive);
  if (st->main.primitive) dnnl_primitive_destroy(st->main.primitive);
  if (st->engine) dnnl_engine_destroy(st->engine);
  lamina_host_free(plan->device, st, sizeof *st);
  plan->state = NULL;
}

/* ---- Running ---------------------------------------------------------------------------------------------------- */

/* What one run holds: handles are mutable, so each run makes its own. */
typedef struct running {
  const state *st;
  char *workspace;
  dnnl_stream_t stream;
  dnnl_memory_t given[LAMINA_ONEDNN_ARGS], copy[LAMINA_ONEDNN_ARGS]; /* copy: NULL where none is needed */
} running;

static dnnl_status_t execute(const running *r, const call *c, int count, dnnl_exec_arg_t *args) {
  dnnl_memory_t scratch = NULL;
  dnnl_status_t status = dnnl_success;
  if (c->scratch.ndims) {
    if (c->clear) memset(r->workspace, 0, dnnl_memory_desc_get_size(&c->scratch));
    status = dnnl_memory_create(&scratch, &c->scratch, r->st->engine, r->workspace);
    args[count++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, scratch};
  }
  if (!status) status = dnnl_primitive_execute(c->primitive, r->stream, count, args);
  if (scratch) dnnl_memory_destroy(scratch);
  return status;
}

static dnnl_status_t open_tensors(running *r, const lamina_args *args) {
  dnnl_status_t status = dnnl_stream_create(&r->stream, r->st->engine, dnnl_stream_default_flags);
  for (int n = 0; !status && n < r->st->count; n++) {
    const tensor *t = &r->st->tensor[n];
    status = dnnl_memory_create(&r->given[n], &t->given, r->st->engine,
                                t->flipped ? r->workspace + t->flipped_offset : args->p[t->arg]);
    if (!status && t->reorder.primitive)
      status = dnnl_memory_create(&r->copy[n], &t->wanted, r->st->engine, r->workspace + t->offset);
  }
  return status;
}

static dnnl_status_t reorder(const running *r, int n) {
  const tensor *t = &r->st->tensor[n];
  dnnl_exec_arg_t args[3] = {{DNNL_ARG_FROM, t->output ? r->copy[n] : r->given[n]},
                             {DNNL_ARG_TO, t->output ? r->given[n] : r->copy[n]}};
  return r->copy[n] ? execute(r, &t->reorder, 2, args) : dnnl_success;
}

/* Copies a filter [K, C, spatial…], as the problem has it, to a dense one that is flipped, or back. */
static void flip(const lamina_desc *desc, char *given, char *dense, bool back) {
  const size_t size = lamina_dtype_size((lamina_dtype)desc->dtype);
  const int64_t filters = desc->dims[0] * desc->dims[1], taps = lamina_desc_count(desc) / filters;
#pragma omp parallel for schedule(static) if (filters * taps >= LAMINA_LOOP_PARALLEL)
  for (int64_t f = 0; f < filters; f++) {
    const int64_t first = f / desc->dims[1] * desc->strides[0] + f % desc->dims[1] * desc->strides[1];
    for (int64_t tap = 0; tap < taps; tap++) {
      int64_t offset = first, rest = tap;
      for (int d = desc->rank - 1; d >= 2; d--) {
        offset += (desc->dims[d] - 1 - rest % desc->dims[d]) * desc->strides[d];
        rest /= desc->dims[d];
      }
      char *a = given + offset * (int64_t)size, *b = dense + (f * taps + tap) * (int64_t)size;
      memcpy(back ? a : b, back ? b : a, size);
    }
  }
}

static dnnl_status_t run_all(running *r, const lamina_plan *plan, const lamina_args *args) {
  const state *st = r->st;
  dnnl_exec_arg_t all[LAMINA_ONEDNN_ARGS + 1];
  dnnl_status_t status = open_tensors(r, args);
  for (int n = 0; !status && n < st->count; n++) {
    const tensor *t = &st->tensor[n];
    all[n] = (dnnl_exec_arg_t){t->slot, r->copy[n] ? r->copy[n] : r->given[n]};
    if (t->output) continue;
    if (t->flipped) flip(&plan->problem.arg[t->arg], args->p[t->arg], r->workspace + t->flipped_offset, false);
    status = reorder(r, n);
  }
  if (!status) status = execute(r, &st->main, st->count, all);
  for (int n = 0; !status && n < st->count; n++)
    if (st->tensor[n].output) status = reorder(r, n);
  if (!status) status = dnnl_stream_wait(r->stream);
  for (int n = 0; !status && n < st->count; n++) {
    const tensor *t = &st->tensor[n];
    if (t->output && t->flipped)
      flip(&plan->problem.arg[t->arg], args->p[t->arg], r->workspace + t->flipped_offset, true);
  }
  return status;
}

lamina_status lamina_onednn_run(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                lamina_stream *stream) {
  (void)stream;
  running r = {.st = plan->state, .workspace = workspace};
  const dnnl_status_t status = run_all(&r, plan, args);
  for (int n = 0; n < r.st->count; n++) {
    if (r.given[n]) dnnl_memory_destroy(r.given[n]);
    if (r.copy[n]) dnnl_memory_destroy(r.copy[n]);
  }
  if (r.stream) dnnl_stream_destroy(r.stream);
  return lamina_onednn_status(status, plan->op->name, "running the primitives");
}
