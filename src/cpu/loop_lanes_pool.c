/* Max, min and average pooling on the CPU where neighbours in memory are pooled alike (lanes_pool.h): channels last, or
 * channels or examples in blocks. What was pooled may also be row-major, as before a flatten.
 *
 * forward   a row of y at a time, straight from the windows, in vectors along the lanes (lanes_pool_kernel.c).
 * backward  dx in one go: rows are cleared just before the first window that reaches them, then each dy is added where its
 *           index says, or to its window of an average. An index beyond the cleared rows clears up to there first. bf16 is
 *           added up in f32. Windows that tile the plane write a row at once (lanes_pool_tiles.c).
 *
 * A thread has rows of y to itself, or planes of dx or some of their lanes: all sums have one order. */
#include "core/blocks.h"
#include "cpu/isa.h"
#include "cpu/lanes_pool.h"

/* Where the arguments are in an op's row; -1: it has none such. */
typedef struct places {
  int x, y, indices, gate;
  bool forward, average, min, relu;
} places;

static places places_of(const lamina_op_def *op) {
  const int dx = lamina_op_arg(op, "dx");
  return (places){
      .x = dx >= 0 ? dx : lamina_op_arg(op, "x"),
      .y = lamina_op_arg(op, dx >= 0 ? "dy" : "y"),
      .indices = lamina_op_arg(op, "indices"),
      .gate = dx >= 0 ? lamina_op_arg(op, "y") : -1,
      .forward = dx < 0,
      .average = strncmp(op->name, "avg_pool", 8) == 0,
      .min = strncmp(op->name, "min_pool", 8) == 0,
      .relu = strncmp(op->name, "relu_max_pool", 13) == 0,
  };
}

/* How an argument that was pooled lies: element `place` of lane `lane` is place * step + lane * lane_step from the first
 * one of its plane. */
typedef struct pooled {
  bool plain; /* row-major, where x isn't */
  int64_t lane_step;
} pooled;

/* The plan's state. */
typedef struct lanes_pool {
  lamina_loop_pool sizes; /* its planes have several lanes each */
  int64_t lanes;
  int64_t group, groups; /* backward: lanes that a thread takes at once; how many such there are */
  int64_t inner;         /* planes of a row-major argument from one lane to the next */
  places at;
  pooled y, indices, gate;
  const lamina_pool_kernel *kernel;
  lamina_pool_fill_fn *fill;       /* whole rows of windows are written where their indices let them; NULL: never */
  lamina_pool_scatter_fn *scatter; /* or added at once; NULL: a lane after the other */
  size_t scratch;                  /* bytes that a thread works with */
} lanes_pool;

/* ---- Layouts ---------------------------------------------------------------------------------------------------- */

/* Has it lanes, without gaps? How many, and planes of a row-major tensor between two of them. */
static bool lanes_of(const lamina_desc *desc, int64_t *lanes, int64_t *inner) {
  const int64_t channels = desc->dims[1];
  int64_t step = desc->layout ? lamina_block_elements(desc->layout) : channels;
  *lanes = step;
  *inner = desc->layout >> 4 == 0 && desc->layout ? channels : 1;
  if (desc->layout < 0 || desc->layout > 0xff || desc->layout >> 4 > 1 || step < 2) return false;
  if (!desc->layout && desc->strides[1] != 1) return false;
  for (int d = desc->rank - 1; d >= 0; d--) {
    const int64_t blocks = desc->dims[d] / lamina_block_of(desc->layout, d);
    if (d == 1 && !desc->layout) continue;
    if (blocks > 1 && desc->strides[d] != step) return false;
    step *= blocks;
  }
  return true;
}

/* `like` with the dims and the type of `desc`. */
static lamina_desc laid_like(const lamina_desc *desc, const lamina_desc *like) {
  lamina_desc made = lamina_blocked((lamina_dtype)desc->dtype, desc->rank, desc->dims, like->layout);
  made.align = desc->align;
  if (like->layout) return made;
  int64_t step = made.dims[1]; /* channels last */
  made.strides[1] = 1;
  for (int d = desc->rank - 1; d >= 0; d--)
    if (d != 1) made.strides[d] = step, step *= made.dims[d];
  return made;
}

/* Gives each argument that was left open the layout of x, or x that of what was pooled. */
static void settle(lamina_problem *problem, const places *at) {
  const int all[] = {at->x, at->y, at->indices, at->gate};
  int like = -1;
  for (int i = 0; i < 4 && like < 0; i++)
    if (all[i] >= 0 && problem->arg[all[i]].dtype && problem->arg[all[i]].layout != LAMINA_LAYOUT_ANY) like = all[i];
  for (int i = 0; i < 4 && like >= 0; i++)
    if (all[i] >= 0 && problem->arg[all[i]].dtype && problem->arg[all[i]].layout == LAMINA_LAYOUT_ANY)
      problem->arg[all[i]] = laid_like(&problem->arg[all[i]], &problem->arg[like]);
}

/* Is what was pooled as x is, or row-major? */
static bool read_pooled(const lamina_problem *problem, int arg, const lanes_pool *s, pooled *p) {
  int64_t lanes, inner, plane = 1;
  *p = (pooled){.lane_step = 1};
  if (arg < 0 || !problem->arg[arg].dtype) return true;
  const lamina_desc *x = &problem->arg[s->at.x], *desc = &problem->arg[arg];
  if (desc->layout == x->layout && lanes_of(desc, &lanes, &inner)) return lanes == s->lanes;
  for (int d = 2; d < desc->rank; d++) plane *= desc->dims[d];
  *p = (pooled){true, plane * s->inner};
  return lamina_desc_is_dense(desc);
}

/* Fills in what the layouts say; else gives the reason. */
static const char *read_layouts(const lamina_problem *problem, lanes_pool *s) {
  if (!lanes_of(&problem->arg[s->at.x], &s->lanes, &s->inner))
    return "it takes channels last, or channels or examples in blocks, without gaps";
  if (!read_pooled(problem, s->at.y, s, &s->y) || !read_pooled(problem, s->at.indices, s, &s->indices) ||
      !read_pooled(problem, s->at.gate, s, &s->gate))
    return "what was pooled must lie as the pool's input does, or be row-major";
  return NULL;
}

/* ---- Candidates ------------------------------------------------------------------------------------------------- */

static void take_candidate(void *context, const char *variant, double seconds, const char *reason) {
  (void)seconds;
  *(const char **)context = variant ? NULL : reason;
}

static void candidates(lamina_device *device, const lamina_problem *problem, const lamina_engine *engine,
                       lamina_candidate_fn *each, void *context) {
  lanes_pool s = {.at = places_of(lamina_op_at(problem->op))};
  lamina_problem settled = *problem;
  const char *reason = NULL;
  double flops, bytes;
  lamina_loop_candidates(device, problem, engine, take_candidate, &reason); /* the types that loops take */
  settle(&settled, &s.at);
  if (!reason) reason = read_layouts(&settled, &s);
  if (reason) {
    each(context, NULL, 0, reason);
    return;
  }
  const double count = (double)lamina_desc_count(&problem->arg[s.at.y]);
  const double elements = lamina_loop_pool_elements(problem, s.at.y);
  lamina_problem_work(problem, &flops, &bytes);
  /* what lies row-major goes through a row of scratch, or is gathered */
  const double turned = count * (s.y.plain + s.indices.plain + s.gate.plain);
  const double moving =
      lamina_loop_moving(device, bytes) + 1e-6 + lamina_cpu_computing(device, turned, s.at.forward ? 0.005 : 0.002);
  const lamina_pool_kernel *kernel;
  if (s.at.average && !s.at.forward) {
    each(context, "", moving + lamina_cpu_computing(device, elements, 0.02), "");
    return;
  }
  for (int i = 0; (kernel = lamina_pool_kernel_at(i)); i++) {
    const double added = lamina_cpu_computing(device, count, s.lanes % 16 || i ? 0.002 : 0.005);
    const double pooled = lamina_cpu_computing(device, elements, kernel->share);
    if (s.at.forward ? kernel->width <= s.lanes : !i || s.lanes % 16 == 0)
      each(context, kernel->name, moving + (s.at.forward ? pooled : added * (1 << i)), "");
  }
}

/* ---- Preparing -------------------------------------------------------------------------------------------------- */

enum { LEAST_GROUP = 16 };

/* Can 16 lanes be scattered at once, with offsets of 32 bits? */
static bool scatters(const lanes_pool *s, bool bf16) {
  const int64_t most = INT32_MAX / 16;
  const bool plain = s->y.plain || (s->at.gate >= 0 && s->gate.plain);
  return s->lanes % 16 == 0 && s->sizes.x_plane <= most / s->lanes && s->y.lane_step <= most &&
         s->indices.lane_step <= most && s->gate.lane_step <= most && !(bf16 && plain);
}

static void plan_scratch(lamina_plan *plan, lanes_pool *s) {
  const size_t element = lamina_loop_is_bf16(plan, s->at.x) ? 2 : 4;
  const int64_t wanted = 2 * (int64_t)plan->threads, row = s->sizes.y[2] * s->lanes;
  const int isa = lamina_isa_index(plan->variant);
  s->group = s->lanes, s->groups = 1;
  if (s->at.forward) {
    if (s->y.plain) s->scratch += lamina_align_up((size_t)row * element, 64);
    if (s->indices.plain) s->scratch += lamina_align_up((size_t)row * 4, 64);
  } else {
    if ((s->sizes.planes < wanted || element == 2) && s->lanes > LEAST_GROUP) s->group = LEAST_GROUP;
    s->groups = (s->lanes + s->group - 1) / s->group;
    if (!s->at.average && s->lanes % 16 == 0 && !s->y.plain && !s->indices.plain && !s->gate.plain &&
        lamina_pool_tiles(&s->sizes))
      s->fill = lamina_pool_fill_at(isa);
    if (!s->at.average && !isa && scatters(s, element == 2)) s->scatter = lamina_pool_scatter_kernel();
    if (element == 2) s->scratch = lamina_align_up((size_t)(s->sizes.x_plane * s->group) * 4, 64);
  }
  plan->workspace = s->scratch * (size_t)plan->threads;
}

static lamina_status prepare(lamina_plan *plan) {
  lanes_pool *s = lamina_host_alloc(plan->device, sizeof *s);
  if (!s) return LAMINA_OUT_OF_MEMORY;
  *s = (lanes_pool){.at = places_of(plan->op), .kernel = lamina_pool_kernel_at(lamina_isa_index(plan->variant))};
  plan->state = s;
  settle(&plan->problem, &s->at);
  const char *reason = read_layouts(&plan->problem, s);
  if (reason) return lamina_error(LAMINA_UNSUPPORTED, "%s", reason);
  lamina_loop_pool_sizes(&s->sizes, &plan->problem, s->at.x, s->at.y);
  s->sizes.planes /= s->lanes;
  plan_scratch(plan, s);
  return LAMINA_OK;
}

static void release(lamina_plan *plan) { lamina_host_free(plan->device, plan->state, sizeof(lanes_pool)); }

/* Elements before plane `plane` of what was pooled. */
static int64_t plane_of(const lanes_pool *s, const pooled *p, int64_t plane) {
  const int64_t first = plane / s->inner * s->lanes * s->inner + plane % s->inner; /* the row-major plane of lane 0 */
  return p->plain ? first * s->sizes.y_plane : plane * s->sizes.y_plane * s->lanes;
}

/* ---- Forward ---------------------------------------------------------------------------------------------------- */

/* A row [width][lanes] becomes one row of each lane. */
#define SPREAD_ROW(type)                                                                                               \
  static void spread_##type(int64_t width, int64_t lanes, const type *restrict from, int64_t step,                     \
                            type *restrict to) {                                                                       \
    for (int64_t l = 0; l < lanes; l++)                                                                                \
      for (int64_t w = 0; w < width; w++) to[l * step + w] = from[w * lanes + l];                                      \
  }
SPREAD_ROW(uint16_t)
SPREAD_ROW(uint32_t)

static void forward_row(const lanes_pool *s, const lamina_args *args, int64_t i, void *scratch, bool bf16) {
  const lamina_loop_pool *z = &s->sizes;
  const int64_t rows = z->y[0] * z->y[1], plane = i / rows, row = i % rows, width = z->y[2];
  int32_t *indices = s->at.indices >= 0 ? args->p[s->at.indices] : NULL;
  lamina_loop_room room = {scratch, 0};
  char *y =
      lamina_loop_to(args->p[s->at.y], plane_of(s, &s->y, plane) + row * width * (s->y.plain ? 1 : s->lanes), bf16);
  if (indices) indices += plane_of(s, &s->indices, plane) + row * width * (s->indices.plain ? 1 : s->lanes);
  const lamina_pool_row r = {
      .pool = z,
      .lanes = s->lanes,
      .d = row / z->y[1],
      .h = row % z->y[1],
      .x = lamina_loop_at(args->p[s->at.x], plane * z->x_plane * s->lanes, bf16),
      .y = s->y.plain ? lamina_loop_part(&room, width * s->lanes, bf16 ? 2 : 4) : y,
      .indices = indices && s->indices.plain ? lamina_loop_part(&room, width * s->lanes, 4) : indices,
      .min = s->at.min,
      .relu = s->at.relu,
  };
  (s->at.average ? s->kernel->average : s->kernel->extreme)[bf16](&r);
  if (s->y.plain && bf16) spread_uint16_t(width, s->lanes, r.y, s->y.lane_step, (void *)y);
  if (s->y.plain && !bf16) spread_uint32_t(width, s->lanes, r.y, s->y.lane_step, (void *)y);
  if (indices && s->indices.plain)
    spread_uint32_t(width, s->lanes, (void *)r.indices, s->indices.lane_step, (void *)indices);
}

static lamina_status run_forward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                 lamina_stream *stream) {
  const lanes_pool *s = plan->state;
  const bool bf16 = lamina_loop_is_bf16(plan, s->at.x);
  const int64_t rows = s->sizes.planes * s->sizes.y[0] * s->sizes.y[1];
  (void)stream;
#pragma omp parallel for schedule(static) if (s->sizes.planes * s->sizes.x_plane * s->lanes >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < rows; i++)
    forward_row(s, args, i, workspace ? (char *)workspace + (size_t)lamina_loop_thread() * s->scratch : NULL, bf16);
  return LAMINA_OK;
}

/* ---- Backward --------------------------------------------------------------------------------------------------- */

/* Some lanes of a plane of dx. */
typedef struct task {
  const void *dy, *gate; /* of the first lane */
  const int32_t *indices;
  float *sum;          /* dx, or scratch */
  int64_t step, lanes; /* from one place of `sum` to the next; how many lanes */
  int64_t cleared;     /* places so far */
} task;

LAMINA_INLINE void clear_to(task *t, int64_t place) {
  if (place <= t->cleared) return;
  if (t->step == t->lanes)
    memset(t->sum + t->cleared * t->step, 0, (size_t)((place - t->cleared) * t->step) * sizeof *t->sum);
  else
    for (int64_t p = t->cleared; p < place; p++) memset(t->sum + p * t->step, 0, (size_t)t->lanes * sizeof *t->sum);
  t->cleared = place;
}

/* Adds the dy of window `o`, each lane's where its index says. */
LAMINA_INLINE void add_at_indices(const lanes_pool *s, task *t, int64_t o, int64_t lanes, bool bf16, bool gated) {
  const int64_t dy = o * (s->y.plain ? 1 : s->lanes), at = o * (s->indices.plain ? 1 : s->lanes),
                gate = o * (s->gate.plain ? 1 : s->lanes), plane = s->sizes.x_plane;
  for (int64_t l = 0; l < lanes; l++) {
    const uint32_t to = (uint32_t)t->indices[at + l * s->indices.lane_step];
    const float v = lamina_loop_get(t->dy, dy + l * s->y.lane_step, bf16);
    const bool open = !gated || lamina_loop_get(t->gate, gate + l * s->gate.lane_step, bf16) > 0;
    if (to >= plane) continue;
    if (to >= t->cleared) clear_to(t, to + 1);
    t->sum[to * t->step + l] += open ? v : 0;
  }
}

/* Adds the dy of a window, over its count, to all of it. */
LAMINA_INLINE void add_to_window(const lanes_pool *s, const task *t, const int64_t o[3], const int64_t first[3],
                                 const int64_t end[3], int64_t lanes, bool bf16) {
  const lamina_loop_pool *z = &s->sizes;
  const int64_t at = ((o[0] * z->y[1] + o[1]) * z->y[2] + o[2]) * (s->y.plain ? 1 : s->lanes);
  const float count =
      (float)(lamina_loop_count(z, 0, o[0]) * lamina_loop_count(z, 1, o[1]) * lamina_loop_count(z, 2, o[2]));
  for (int64_t l0 = 0; l0 < lanes; l0 += LEAST_GROUP) {
    const int64_t n = lanes - l0 < LEAST_GROUP ? lanes - l0 : LEAST_GROUP;
    float share[LEAST_GROUP];
    for (int64_t l = 0; l < n; l++) share[l] = lamina_loop_get(t->dy, at + (l0 + l) * s->y.lane_step, bf16) / count;
    for (int64_t d = first[0]; d < end[0]; d++)
      for (int64_t h = first[1]; h < end[1]; h++)
        for (int64_t w = first[2]; w < end[2]; w++) {
          float *to = t->sum + ((d * z->x[1] + h) * z->x[2] + w) * t->step + l0;
          for (int64_t l = 0; l < n; l++) to[l] += share[l];
        }
  }
}

/* The row of windows from window `o` on. */
static lamina_pool_scatter row_of(const lanes_pool *s, const task *t, int64_t o, bool bf16) {
  return (lamina_pool_scatter){
      .dy_place = s->y.plain ? 1 : s->lanes,
      .gate_place = s->gate.plain ? 1 : s->lanes,
      .indices_place = s->indices.plain ? 1 : s->lanes,
      .dy_lane = s->y.lane_step,
      .gate_lane = s->gate.lane_step,
      .indices_lane = s->indices.lane_step,
      .dy = lamina_loop_at(t->dy, o * (s->y.plain ? 1 : s->lanes), bf16),
      .gate = t->gate ? lamina_loop_at(t->gate, o * (s->gate.plain ? 1 : s->lanes), bf16) : NULL,
      .indices = t->indices + o * (s->indices.plain ? 1 : s->lanes),
      .width = s->sizes.y[2],
      .lanes = t->lanes,
      .sum = t->sum,
      .step = t->step,
      .cleared = t->cleared,
      .plane = s->sizes.x_plane,
      .bf16 = bf16,
  };
}

/* Writes what the row of windows from window `o` on covers, if no sum is there yet; `place` is its first element. */
static bool fill_row(const lanes_pool *s, task *t, int64_t o, int64_t place, bool bf16) {
  const lamina_loop_pool *z = &s->sizes;
  if (!s->fill || t->lanes % 16) return false;
  clear_to(t, place);
  const lamina_pool_scatter row = row_of(s, t, o, bf16);
  if (t->cleared > place || !s->fill(&row, z, place)) return false;
  t->cleared = place + z->kernel[1] * z->x[2];
  return true;
}

/* Adds it; false where it must be done a lane after the other. */
static bool scatter_row(const lanes_pool *s, const task *t, int64_t o, bool bf16) {
  const lamina_pool_scatter row = row_of(s, t, o, bf16);
  return s->scatter && s->scatter(&row);
}

LAMINA_INLINE void backward_lanes(const lanes_pool *s, task *t, int64_t lanes, bool bf16, bool average, bool gated) {
  const lamina_loop_pool *z = &s->sizes;
  int64_t o[3], first[3], end[3], at = 0;
  for (o[0] = 0; o[0] < z->y[0]; o[0]++) {
    lamina_loop_window(z, 0, o[0], &first[0], &end[0]);
    for (o[1] = 0; o[1] < z->y[1]; o[1]++) {
      lamina_loop_window(z, 1, o[1], &first[1], &end[1]);
      const bool filled = !average && fill_row(s, t, at, (first[0] * z->x[1] + first[1]) * z->x[2], bf16);
      clear_to(t, ((end[0] - 1) * z->x[1] + end[1]) * z->x[2]);
      if (filled || (!average && scatter_row(s, t, at, bf16))) {
        at += z->y[2];
        continue;
      }
      for (o[2] = 0; o[2] < z->y[2]; o[2]++, at++) {
        if (average) {
          lamina_loop_window(z, 2, o[2], &first[2], &end[2]);
          add_to_window(s, t, o, first, end, lanes, bf16);
        } else {
          add_at_indices(s, t, at, lanes, bf16, gated);
        }
      }
    }
  }
  clear_to(t, z->x_plane);
}

/* Blocks of 16 lanes have loops of their own. */
#define BACKWARD(name, type, bf16, average, gated)                                                                     \
  LAMINA_CLONES static void name##_##type(const lanes_pool *s, task *t) {                                              \
    if (t->lanes == 16)                                                                                                \
      backward_lanes(s, t, 16, bf16, average, gated);                                                                  \
    else                                                                                                               \
      backward_lanes(s, t, t->lanes, bf16, average, gated);                                                            \
  }
BACKWARD(spread, f32, false, true, false)
BACKWARD(spread, bf16, true, true, false)
BACKWARD(scatter, f32, false, false, false)
BACKWARD(scatter, bf16, true, false, false)
BACKWARD(gated, f32, false, false, true)
BACKWARD(gated, bf16, true, false, true)

static lamina_status run_backward(const lamina_plan *plan, const lamina_args *args, void *workspace,
                                  lamina_stream *stream) {
  static void (*const passes[3][2])(const lanes_pool *, task *) = {
      {spread_f32, spread_bf16}, {scatter_f32, scatter_bf16}, {gated_f32, gated_bf16}};
  const lanes_pool *s = plan->state;
  const places *p = &s->at;
  const bool bf16 = lamina_loop_is_bf16(plan, p->x);
  const int64_t plane_size = s->sizes.x_plane * s->lanes;
  (void)stream;
#pragma omp parallel for schedule(static) if (s->sizes.planes * plane_size >= LAMINA_LOOP_PARALLEL)
  for (int64_t i = 0; i < s->sizes.planes * s->groups; i++) {
    const int64_t plane = i / s->groups, lane = i % s->groups * s->group, left = s->lanes - lane;
    char *dx = lamina_loop_to(args->p[p->x], plane * plane_size + lane, bf16);
    task t = {
        .dy = lamina_loop_at(args->p[p->y], plane_of(s, &s->y, plane) + lane * s->y.lane_step, bf16),
        .sum = bf16 ? (void *)((char *)workspace + (size_t)lamina_loop_thread() * s->scratch) : (void *)dx,
        .lanes = left < s->group ? left : s->group,
    };
    t.step = bf16 ? t.lanes : s->lanes;
    if (p->indices >= 0)
      t.indices = (int32_t *)args->p[p->indices] + plane_of(s, &s->indices, plane) + lane * s->indices.lane_step;
    if (p->gate >= 0)
      t.gate = lamina_loop_at(args->p[p->gate], plane_of(s, &s->gate, plane) + lane * s->gate.lane_step, bf16);
    passes[p->average ? 0 : p->gate >= 0 ? 2 : 1][bf16](s, &t);
    for (int64_t at = 0; bf16 && at < s->sizes.x_plane; at++)
      lamina_bf16_write(t.lanes, t.sum + at * t.lanes, (uint16_t *)(void *)dx + at * s->lanes);
  }
  return LAMINA_OK;
}

/* ---- Rows ------------------------------------------------------------------------------------------------------- */

#define ENGINE(op_, pass)                                                                                              \
  .size = sizeof(lamina_engine), .abi = LAMINA_ENGINE_ABI, .device = "cpu", .name = "lanes", .op = (op_),              \
  .strides = LAMINA_STRIDES_BLOCKED, .candidates = candidates, .prepare = prepare, .run = run_##pass,                  \
  .release = release
const lamina_engine lamina_cpu_loop_lanes_max_pool_forward = {ENGINE("max_pool/forward", forward)};
const lamina_engine lamina_cpu_loop_lanes_min_pool_forward = {ENGINE("min_pool/forward", forward)};
const lamina_engine lamina_cpu_loop_lanes_relu_max_pool_forward = {ENGINE("relu_max_pool/forward", forward)};
const lamina_engine lamina_cpu_loop_lanes_avg_pool_forward = {ENGINE("avg_pool/forward", forward)};
const lamina_engine lamina_cpu_loop_lanes_max_pool_backward = {ENGINE("max_pool/backward", backward)};
const lamina_engine lamina_cpu_loop_lanes_min_pool_backward = {ENGINE("min_pool/backward", backward)};
const lamina_engine lamina_cpu_loop_lanes_relu_max_pool_backward = {ENGINE("relu_max_pool/backward", backward)};
const lamina_engine lamina_cpu_loop_lanes_avg_pool_backward = {ENGINE("avg_pool/backward", backward)};
