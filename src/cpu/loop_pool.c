/* What the pooling loops prepare (sizes and tables, so that runs don't divide), and how their work is cut into tasks. */
#include "cpu/loop_pool.h"

enum { MOST_COLUMNS = 1 << 20 }; /* of a row that gets tables: they are no larger than some MiB, and hold i32 */

static int64_t whole_vectors(int64_t n) { return (n + LAMINA_LOOP_VECTOR - 1) & -LAMINA_LOOP_VECTOR; }

void lamina_loop_pool_sizes(lamina_loop_pool *s, const lamina_problem *p, int x, int y) {
  const lamina_pool *pool = (const void *)p->attr;
  const lamina_desc *dx = &p->arg[x], *dy = &p->arg[y];
  const int axes = dx->rank - 2;
  s->planes = dx->dims[0] * dx->dims[1];
  s->count_pad = pool->count_pad;
  s->x_plane = s->y_plane = 1;
  for (int a = 0; a < 3; a++) s->x[a] = s->y[a] = s->kernel[a] = s->stride[a] = s->dilation[a] = 1;
  for (int a = 0; a < axes; a++) {
    const int to = 3 - axes + a;
    s->x[to] = dx->dims[2 + a], s->y[to] = dy->dims[2 + a];
    s->kernel[to] = pool->kernel[a], s->stride[to] = pool->stride[a], s->dilation[to] = pool->dilation[a];
    s->pad[to] = pool->pad[a][0], s->pad_after[to] = pool->pad[a][1];
  }
  for (int a = 0; a < 3; a++) s->x_plane *= s->x[a], s->y_plane *= s->y[a];
}

/* As many planes as fill some vectors, but leave every thread several tasks. */
static int64_t lanes_of(const lamina_loop_pool *s, int threads) {
  const int64_t fill = 4 * LAMINA_LOOP_VECTOR / s->segment, share = s->planes / (4 * (int64_t)threads);
  const int64_t lanes = fill < share ? fill : share;
  return s->y[2] < LAMINA_LOOP_VECTOR && lanes > 1 ? lanes : 1;
}

static void plan_rows(lamina_loop_pool *s, bool lanes, int threads) {
  const int64_t S = s->stride[2], extent = (s->kernel[2] - 1) * s->dilation[2] + 1;
  const int64_t read = (s->y[2] - 1) * S + extent - s->pad[2];
  s->segment = ((s->y[2] - 1) * S + extent + S - 1) / S;
  s->lanes = lanes ? lanes_of(s, threads) : 1;
  s->width = whole_vectors((s->lanes - 1) * s->segment + s->y[2]);
  s->phases = S < extent ? S : extent;
  s->phase_room = s->width + whole_vectors((extent - 1) / S);
  s->line_copy = read < s->x[2] ? read : s->x[2];
  s->line_room = whole_vectors(s->phase_room * S + s->phases);
  for (s->ring = 1; s->ring <= (s->kernel[1] - 1) * s->dilation[1];) s->ring *= 2;
}

static void fill_tables(lamina_loop_pool *s) {
  const int64_t S = s->stride[2], D = s->dilation[2];
  for (int64_t c = 0; c < s->kernel[2]; c++) s->column[c] = c * D % S * s->phase_room + c * D / S;
  for (int64_t i = 0; i < s->width; i++) {
    const int64_t o = i % s->segment;
    s->first[i] = o * S < s->pad[2] ? (int32_t)((s->pad[2] - o * S + D - 1) / D * D) : 0;
    s->base[i] = o < s->y[2] ? (int32_t)(o * S) : 0;
    s->count[i] = o < s->y[2] ? (float)lamina_loop_count(s, 2, o) : 1;
  }
}

lamina_status lamina_loop_pool_open(lamina_plan *plan, int x, int y, bool lanes) {
  lamina_loop_pool s = {0};
  lamina_loop_pool_sizes(&s, &plan->problem, x, y);
  s.alone = LAMINA_LOOP_PARALLEL;
  s.direct = s.y[2] < 4 || s.kernel[2] > 1024 || s.x[2] > MOST_COLUMNS || s.y[2] > MOST_COLUMNS;
  plan_rows(&s, lanes && !s.direct, plan->threads);
  const size_t head = lamina_align_up(sizeof s, 64), columns = (size_t)s.kernel[2] * sizeof *s.column;
  const size_t each = (size_t)s.width * 4; /* of the tables of windows */
  s.size = s.direct ? sizeof s : head + columns + 3 * each;
  char *memory = lamina_host_alloc(plan->device, s.size);
  if (!memory) return LAMINA_OUT_OF_MEMORY;
  plan->state = memory;
  if (!s.direct) {
    s.column = (void *)(memory + head);
    s.first = (void *)(memory + head + columns);
    s.base = (void *)(memory + head + columns + each);
    s.count = (void *)(memory + head + columns + 2 * each);
    fill_tables(&s);
  }
  memcpy(memory, &s, sizeof s);
  return LAMINA_OK;
}

void lamina_loop_pool_close(lamina_plan *plan) {
  const lamina_loop_pool *s = plan->state;
  if (s) lamina_host_free(plan->device, plan->state, s->size);
}

void lamina_loop_pool_scratch(lamina_plan *plan, size_t size) {
  lamina_loop_pool *s = plan->state;
  s->scratch = size;
  plan->workspace = (size_t)plan->threads * size;
}

/* ---- Tasks ------------------------------------------------------------------------------------------------------ */

lamina_status lamina_loop_pool_run(const lamina_plan *plan, const lamina_loop_pass *pass, lamina_loop_task_fn *run,
                                   void *workspace) {
  const lamina_loop_pool *s = plan->state;
  const bool bf16 = lamina_loop_is_bf16(plan, 0);
  const int64_t slices = pass->backward ? s->x[0] : s->y[0], rows = pass->backward ? s->x[1] : s->y[1];
  const int64_t from_plane = pass->backward ? s->y_plane : s->x_plane;
  const int64_t to_plane = pass->backward ? s->x_plane : s->y_plane;
  const int64_t groups = (s->planes + s->lanes - 1) / s->lanes, want = 4 * (int64_t)plan->threads;
  const int64_t most = groups * slices < want ? (rows * groups * slices + want - 1) / want : rows; /* of a task */
  const int64_t blocks = (rows + most - 1) / most;
#pragma omp parallel for schedule(static) if (s->planes * s->x_plane >= s->alone)
  for (int64_t i = 0; i < groups * slices * blocks; i++) {
    const int64_t slice = i / blocks, plane = slice / slices * s->lanes, h = i % blocks * most;
    const int64_t left = s->planes - plane;
    const lamina_loop_task task = {
        .plane = plane,
        .lanes = left < s->lanes ? left : s->lanes,
        .d = slice % slices,
        .h = h,
        .end = h + most < rows ? h + most : rows,
        .from = lamina_loop_at(pass->from, plane * from_plane, bf16),
        .to = lamina_loop_to(pass->to, plane * to_plane, bf16),
        .indices = pass->indices ? pass->indices + plane * to_plane : NULL,
        .scratch = workspace ? (char *)workspace + (size_t)lamina_loop_thread() * s->scratch : NULL,
        .user = pass->user,
    };
    run(s, &task);
  }
  return LAMINA_OK;
}
