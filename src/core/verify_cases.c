/* Cases for one op, drawn so that pairs of choices come up early: of a handful of random draws the one is taken that
 * shows the largest share of its pairs for the first time. Shapes and attributes come from the row's `sample`, the rest
 * from here. */
#include <stdio.h>

#include "core/draw.h"
#include "core/verify.h"
#include "kernels/philox.h"

enum { MAX_PICKS = 96, PAIRS = 1 << 16, DRAWS = 8, PATIENCE = 2000 };

typedef struct pick {
  uint32_t factor, level; /* hashes of what is chosen, and of the value */
} pick;

struct lamina_draw {
  lamina_dtype dtype;
  uint64_t seed, word; /* word: how many random numbers were taken */
  uint32_t number, attempt;
  pick pick[MAX_PICKS];
  int picks;
};

struct lamina_cases {
  const lamina_allocator *allocator;
  int op;
  lamina_dtype dtype;
  uint64_t seed;
  uint32_t number, empty; /* cases so far, and those with an empty input */
  uint8_t seen[PAIRS / 8];
};

/* ---- Picks ------------------------------------------------------------------------------------------------------ */

static uint32_t mix(uint32_t hash, uint64_t value) {
  for (int i = 0; i < 8; i++) hash = (hash ^ (uint32_t)(value >> 8 * i & 255)) * 16777619u;
  return hash;
}

static uint32_t hash_of(const char *text) {
  uint32_t hash = 2166136261u;
  for (; *text; text++) hash = (hash ^ (uint8_t)*text) * 16777619u;
  return hash;
}

static uint32_t random_word(lamina_draw *draw) {
  return philox_word(draw->seed, draw->word++, draw->number, draw->attempt);
}

int64_t lamina_pick(lamina_draw *draw, const char *name, size_t count, const int64_t *values) {
  const int64_t value = values[random_word(draw) % count];
  uint32_t factor = hash_of(name);
  for (int i = 0; i < draw->picks; i++) /* the next factor of this name */
    if (draw->pick[i].factor == factor) factor = mix(factor, 1);
  if (draw->picks < MAX_PICKS) draw->pick[draw->picks++] = (pick){factor, mix(factor, (uint64_t)value)};
  return value;
}

lamina_desc lamina_draw_shape(const lamina_draw *draw, int rank, const int64_t *dims) {
  return lamina_dense(draw->dtype, rank, dims);
}

/* The share of its pairs of picks that no case had yet; with `mark` they are had from now on. */
static double new_pairs(lamina_cases *cases, const lamina_draw *draw, bool mark) {
  int fresh = 0;
  for (int i = 0; i < draw->picks; i++)
    for (int j = 0; j < i; j++) {
      const uint32_t pair = (draw->pick[i].level ^ draw->pick[j].level * 31u) % PAIRS;
      fresh += !(cases->seen[pair / 8] >> pair % 8 & 1);
      if (mark) cases->seen[pair / 8] |= (uint8_t)(1u << pair % 8);
    }
  return fresh / (1 + draw->picks * (draw->picks - 1) / 2.0);
}

/* ---- Shapes ----------------------------------------------------------------------------------------------------- */

/* Long ones reach the paths that run in parallel. */
void lamina_draw_alike(lamina_problem *p, lamina_draw *draw) {
  const lamina_op_def *op = lamina_op_at(p->op);
  int64_t dims[4];
  const int rank = (int)LAMINA_PICK(draw, "rank", 1, 2, 3, 4);
  const bool is_long = LAMINA_PICK(draw, "long", 0, 0, 0, 0, 0, 1);
  for (int d = 0; d < rank; d++)
    dims[d] = is_long && d == rank - 1 ? 40009 / (1 << (rank - 1)) : LAMINA_PICK(draw, "size", 1, 2, 3, 5, 8, 17);
  for (int d = 0; is_long && d < rank - 1; d++) dims[d] = 2;
  if (LAMINA_PICK(draw, "empty", 0, 0, 0, 0, 0, 0, 0, 1)) dims[0] = 0;
  for (int i = 0; op->args[i].name; i++)
    if (lamina_is_input(&op->args[i]) && op->args[i].type != LAMINA_INTEGER)
      p->arg[i] = lamina_draw_shape(draw, rank, dims);
}

/* The inferred problem of a first pass. `all`: with everything that is optional. */
static bool draw_first(int id, lamina_draw *draw, bool all, lamina_problem *p) {
  const lamina_op_def *op = lamina_op_at(id);
  memset(p, 0, sizeof *p);
  p->op = id;
  if (op->sample)
    op->sample(p, draw);
  else
    lamina_draw_alike(p, draw);
  for (int i = 0; op->args[i].name; i++) {
    if (lamina_is_output(&op->args[i]) && !lamina_present(&p->arg[i])) p->arg[i] = lamina_infer(LAMINA_NONE);
    if (op->args[i].optional && !all && LAMINA_PICK(draw, op->args[i].name, 0, 1, 1) == 0) p->arg[i] = (lamina_desc){0};
  }
  return lamina_problem_infer(p) == LAMINA_OK;
}

static bool draw_shapes(int id, lamina_draw *draw, lamina_problem *p) {
  const lamina_op_def *op = lamina_op_at(id);
  char name[96];
  lamina_problem first;
  const char *slash = strchr(op->name, '/');
  snprintf(name, sizeof name, "%.*s/forward", slash ? (int)(slash - op->name) : 0, op->name);
  const int forward = lamina_op_find(name);
  if (op->sample || forward < 0 || forward == id) return draw_first(id, draw, false, p);
  return draw_first(forward, draw, true, &first) && lamina_later_pass(&first, id, p) &&
         lamina_problem_infer(p) == LAMINA_OK;
}

/* ---- Types, strides, places --------------------------------------------------------------------------------------- */

enum { DENSE, CHANNELS_LAST, TRANSPOSED, GAPS, BACKWARDS, BROADCAST, CHANNELS, LANES, BOTH, EACH };

/* The widest block, of up to 16, that divides the axis; 0: none does. */
static int32_t widest_block(const lamina_desc *desc, int axis) {
  int log2 = 0;
  while (axis < desc->rank && log2 < 4 && desc->dims[axis] > 0 && desc->dims[axis] % (2 << log2) == 0) log2++;
  return log2 ? LAMINA_BLOCK(axis, log2) : 0;
}

/* Blocks of channels, of the batch (in the lanes) or of both, then with gaps between what lies along the first axis. */
static void set_blocks(lamina_desc *desc, int layout) {
  const int32_t channels = layout == LANES ? 0 : widest_block(desc, 1);
  const int32_t batch = layout == CHANNELS ? 0 : widest_block(desc, 0);
  const int32_t align = desc->align;
  *desc = lamina_blocked((lamina_dtype)desc->dtype, desc->rank, desc->dims,
                         channels && batch ? channels << 8 | batch : channels | batch);
  desc->align = align;
  if (layout == BOTH && desc->rank > 0) desc->strides[0] += lamina_block_elements(desc->layout);
}

static void set_strides(lamina_desc *desc, int layout, lamina_draw *draw) {
  int order[LAMINA_MAX_RANK]; /* axes, fastest first */
  const int rank = desc->rank;
  int64_t step = layout == GAPS ? 2 : 1;
  if (layout == CHANNELS || layout == LANES || layout == BOTH) {
    set_blocks(desc, layout);
    return;
  }
  for (int n = 0; n < rank; n++) order[n] = layout == TRANSPOSED ? n : rank - 1 - n;
  if (layout == CHANNELS_LAST && rank > 2) {
    order[0] = 1;
    for (int n = 1; n < rank - 1; n++) order[n] = rank - n;
  }
  for (int n = 0; n < rank; n++) {
    desc->strides[order[n]] = layout == BACKWARDS ? -step : step;
    step *= desc->dims[order[n]] + (layout == GAPS);
  }
  if (layout == BROADCAST && rank > 0) desc->strides[random_word(draw) % (uint32_t)rank] = 0;
}

static void draw_layouts(lamina_problem *p, lamina_draw *draw) {
  const lamina_op_def *op = lamina_op_at(p->op);
  const int64_t all = LAMINA_PICK(draw, "layout", DENSE, DENSE, DENSE, DENSE, DENSE, CHANNELS_LAST, TRANSPOSED, GAPS,
                                  CHANNELS, LANES, EACH, EACH);
  for (int i = 0; op->args[i].name; i++) {
    if (!lamina_present(&p->arg[i])) continue;
    char name[64];
    int64_t layout = all;
    snprintf(name, sizeof name, "layout of %s", op->args[i].name);
    if (all == EACH && op->args[i].role == LAMINA_IN)
      layout =
          LAMINA_PICK(draw, name, DENSE, CHANNELS_LAST, TRANSPOSED, GAPS, BACKWARDS, BROADCAST, CHANNELS, LANES, BOTH);
    else if (all == EACH)
      layout = LAMINA_PICK(draw, name, DENSE, CHANNELS_LAST, TRANSPOSED, GAPS, CHANNELS, LANES, BOTH);
    set_strides(&p->arg[i], (int)layout, draw);
  }
}

/* Now and then one argument has another floating type than the rest. */
static void draw_mixed_types(lamina_problem *p, lamina_draw *draw) {
  const lamina_op_def *op = lamina_op_at(p->op);
  static const lamina_dtype types[] = {LAMINA_F64, LAMINA_F32, LAMINA_F16, LAMINA_BF16};
  if (LAMINA_PICK(draw, "mixed types", 0, 0, 1) == 0) return;
  const int arg = (int)(random_word(draw) % (uint32_t)lamina_op_arg_count(op));
  if (lamina_dtype_is_floating((lamina_dtype)p->arg[arg].dtype) && op->args[arg].type == LAMINA_FLOATING)
    p->arg[arg].dtype = types[random_word(draw) % LAMINA_COUNT_OF(types)];
}

static void draw_aliases(lamina_problem *p, lamina_draw *draw) {
  const lamina_op_def *op = lamina_op_at(p->op);
  for (int i = 0; op->args[i].name; i++) {
    const int with = op->args[i].alias ? lamina_op_arg(op, op->args[i].alias) : -1;
    if (with < 0 || !lamina_present(&p->arg[i]) || !lamina_present(&p->arg[with])) continue;
    char name[64];
    snprintf(name, sizeof name, "%s on %s", op->args[i].name, op->args[i].alias);
    if (LAMINA_PICK(draw, name, 0, 1) == 0) continue;
    p->arg[i] = p->arg[with];
    p->aliased |= 1u << i;
  }
}

/* Where the data lie past a 64-byte boundary, which is also what the problem promises. */
static void draw_offsets(lamina_case *c, lamina_draw *draw) {
  const lamina_op_def *op = lamina_op_at(c->problem.op);
  const int64_t all = LAMINA_PICK(draw, "offset", 0, 0, 1, 3, 4);
  for (int i = 0; op->args[i].name; i++) {
    lamina_desc *desc = &c->problem.arg[i];
    if (!lamina_present(desc)) continue;
    c->offset[i] = all;
    desc->align = lamina_alignment(desc, all);
  }
}

static bool is_empty(const lamina_problem *p) {
  const lamina_op_def *op = lamina_op_at(p->op);
  for (int i = 0; op->args[i].name; i++)
    if (lamina_present(&p->arg[i]) && lamina_desc_count(&p->arg[i]) == 0) return true;
  return false;
}

static bool small_enough(const lamina_problem *p) {
  double flops, bytes;
  int64_t elements = 0;
  lamina_problem_work(p, &flops, &bytes);
  for (int i = 0; i < LAMINA_MAX_ARGS; i++)
    if (lamina_present(&p->arg[i])) elements += lamina_desc_count(&p->arg[i]);
  return flops <= 2e6 && elements <= 250000;
}

static bool draw_case(const lamina_cases *cases, lamina_draw *draw, lamina_case *c) {
  lamina_problem *p = &c->problem;
  *c = (lamina_case){.seed = random_word(draw) % 10000u};
  draw->dtype = cases->dtype;
  if (!cases->dtype)
    draw->dtype = (lamina_dtype)LAMINA_PICK(draw, "type", LAMINA_F32, LAMINA_BF16, LAMINA_F16, LAMINA_F64);
  if (!draw_shapes(cases->op, draw, p)) return false;
  if (!cases->dtype) draw_mixed_types(p, draw);
  draw_layouts(p, draw);
  draw_aliases(p, draw);
  draw_offsets(c, draw);
  if (LAMINA_PICK(draw, "deterministic", 0, 0, 1)) p->flags |= LAMINA_DETERMINISTIC;
  return lamina_problem_infer(p) == LAMINA_OK && small_enough(p);
}

/* ---- The sequence ------------------------------------------------------------------------------------------------ */

lamina_status lamina_cases_open(int op, lamina_dtype dtype, uint64_t seed, const lamina_allocator *allocator,
                                lamina_cases **out) {
  LAMINA_NOT_NULL(out, "cases");
  *out = NULL;
  LAMINA_TRY(lamina_allocator_check(allocator, __func__));
  if (!lamina_op_at(op)) return lamina_error(LAMINA_INVALID, "there is no op number %d", op);
  if (dtype && !lamina_dtype_is_floating(dtype))
    return lamina_error(LAMINA_INVALID, "cases are drawn for floating types, not for %s", lamina_dtype_name(dtype));
  lamina_cases *cases = lamina_alloc_zero(allocator, sizeof *cases);
  if (!cases) return LAMINA_OUT_OF_MEMORY;
  cases->allocator = allocator;
  cases->op = op, cases->dtype = dtype, cases->seed = seed;
  *out = cases;
  return LAMINA_OK;
}

void lamina_cases_close(lamina_cases *cases) {
  if (cases) lamina_free(cases->allocator, cases);
}

lamina_status lamina_cases_next(lamina_cases *cases, lamina_case *c) {
  LAMINA_NOT_NULL(cases, "cases");
  LAMINA_NOT_NULL(c, "c");
  double best = -1;
  int draws = 0;
  lamina_draw chosen = {0};
  for (uint32_t attempt = 0; attempt < PATIENCE && draws < DRAWS; attempt++) {
    lamina_draw draw = {.seed = cases->seed, .number = cases->number, .attempt = attempt};
    lamina_case drawn;
    if (!draw_case(cases, &draw, &drawn)) continue;
    if (is_empty(&drawn.problem) && cases->empty * 10 > cases->number) continue; /* one in ten is enough */
    const double fresh = new_pairs(cases, &draw, false);
    draws++;
    if (fresh <= best) continue;
    best = fresh;
    chosen = draw;
    *c = drawn;
  }
  cases->number++;
  if (best < 0)
    return lamina_error(LAMINA_INTERNAL, "%s: none of %d drawn cases fits the op; the last one's error: %s",
                        lamina_op_at(cases->op)->name, (int)PATIENCE, lamina_last_error());
  cases->empty += is_empty(&c->problem);
  (void)new_pairs(cases, &chosen, true);
  return LAMINA_OK;
}
