/* Sums and maxima over some axes. The merged axes are groups that are kept and reduced by turns; the last one runs fastest:
 *
 *   last reduced   an output is made of rows, which are read `unit` elements at a time. Where a row is all there is and
 *                  it is short, several outputs are read at once
 *   last kept      a row of outputs is made of rows. Short ones lie side by side and are read several at once */
#include "cpu/reduce.h"

#include <math.h>

enum { UNITS = 64 }; /* in a block */

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t pieces(int64_t n, int64_t size) { return (n + size - 1) / size; }

lamina_reduction lamina_reduction_of(int rank, const int64_t *dims, unsigned axes) {
  lamina_reduction r = {.kept = 1, .outer = 1, .near = 1, .width = 1};
  for (int d = 0; d < rank; d++) {
    const bool reduced = axes >> d & 1;
    if (dims[d] == 1) continue;
    if (r.groups > 0 && r.reduced[r.groups - 1] == reduced)
      r.dims[r.groups - 1] *= dims[d];
    else
      r.dims[r.groups] = dims[d], r.reduced[r.groups++] = reduced;
  }
  if (r.groups == 0) r.dims[r.groups] = 1, r.reduced[r.groups++] = true;
  const int last = r.groups - 1;
  r.length = r.dims[last];
  for (int g = last, near = -1; g >= 0; g--) {
    r.strides[g] = g == last ? 1 : r.strides[g + 1] * r.dims[g + 1];
    if (!r.reduced[g])
      r.kept *= g == last ? 1 : r.dims[g];
    else if (near < 0)
      near = g, r.near = r.dims[g];
    else
      r.outer *= r.dims[g];
  }
  if (r.reduced[last]) {
    r.unit = LAMINA_ROW;
    if (r.outer == 1 && r.length <= LAMINA_ROW / 2) r.width = LAMINA_ROW / r.length;
    r.lanes = pieces(r.kept, r.width);
  } else {
    r.width = least(r.length, LAMINA_ROW);
    r.unit = r.width < r.length ? 1 : LAMINA_ROW / r.width;
    r.lanes = r.kept * pieces(r.length, r.width);
  }
  r.units = r.outer * pieces(r.near, r.unit);
  r.blocks = pieces(r.units, UNITS);
  return r;
}

size_t lamina_reduction_workspace(const lamina_reduction *r) {
  return r->blocks == 1 ? 0 : (size_t)(r->lanes * r->blocks * r->width) * sizeof(double);
}

/* Where combination `index` of the groups of one kind begins; of the last one of this kind nothing is counted. */
static int64_t offset_of(const lamina_reduction *r, bool reduced, int64_t index) {
  int64_t offset = 0;
  bool last = true;
  for (int g = r->groups - 1; g >= 0; g--) {
    if (r->reduced[g] != reduced) continue;
    if (!last || (!reduced && r->reduced[r->groups - 1])) {
      offset += index % r->dims[g] * r->strides[g];
      index /= r->dims[g];
    }
    last = false;
  }
  return offset;
}

LAMINA_CLONES static double sum_row(int64_t n, const float *x) { return lamina_loop_sum(n, x, false); }

LAMINA_CLONES static void add_row(int64_t n, const float *x, double *sum) {
  for (int64_t i = 0; i < n; i++) sum[i] += (double)x[i];
}

/* The outputs of a lane: the first one, and how many there are. */
static int64_t outputs_of(const lamina_reduction *r, int64_t lane, int64_t *first) {
  if (r->reduced[r->groups - 1]) {
    *first = lane * r->width;
    return least(r->width, r->kept - *first);
  }
  const int64_t cuts = pieces(r->length, r->width), column = lane % cuts * r->width;
  *first = lane / cuts * r->length + column;
  return least(r->width, r->length - column);
}

/* Adds units first … end - 1 of a lane to `sum`. */
static void sum_units(const lamina_reduction *r, lamina_reduce_fn *read, const void *context, int64_t lane,
                      int64_t first, int64_t end, double *sum) {
  float buffer[LAMINA_ROW];
  int64_t output;
  const bool rows = r->reduced[r->groups - 1];
  const int64_t n = outputs_of(r, lane, &output), cuts = pieces(r->near, r->unit);
  if (rows && r->width > 1) {
    const float *x = read(context, output * r->length, n * r->length, buffer);
    for (int64_t i = 0; i < n; i++) sum[i] += sum_row(r->length, x + i * r->length);
    return;
  }
  const int64_t base =
      rows ? offset_of(r, false, output) : offset_of(r, false, output / r->length) + output % r->length;
  for (int64_t u = first; u < end; u++) {
    const int64_t at = u % cuts * r->unit, count = least(r->unit, r->near - at);
    const int64_t i = base + offset_of(r, true, u / cuts);
    if (rows) {
      sum[0] += sum_row(count, read(context, i + at, count, buffer));
    } else {
      const float *x = read(context, i + at * r->length, count * n, buffer);
      for (int64_t row = 0; row < count; row++) add_row(n, x + row * n, sum);
    }
  }
}

static void store(int64_t n, const double *sum, double divisor, int32_t dtype, void *y, int64_t i) {
  float results[LAMINA_ROW];
  for (int64_t j = 0; j < n; j++) results[j] = (float)(sum[j] / divisor);
  lamina_row_write(dtype, y, i, n, results);
}

void lamina_reduce_sum(const lamina_reduction *r, lamina_reduce_fn *read, const void *context, double divisor,
                       void *workspace, int32_t dtype, void *y) {
  double *partial = workspace;
  const int64_t tasks = r->lanes * r->blocks, elements = r->dims[0] * r->strides[0];
#pragma omp parallel for schedule(static) if (tasks > 1 && elements >= LAMINA_LOOP_PARALLEL)
  for (int64_t t = 0; t < tasks; t++) {
    double sum[LAMINA_ROW];
    const int64_t lane = t / r->blocks, first = t % r->blocks * UNITS;
    int64_t output;
    const int64_t n = outputs_of(r, lane, &output);
    memset(sum, 0, (size_t)n * sizeof *sum);
    sum_units(r, read, context, lane, first, least(first + UNITS, r->units), sum);
    if (r->blocks == 1)
      store(n, sum, divisor, dtype, y, output);
    else
      memcpy(partial + t * r->width, sum, (size_t)n * sizeof *sum);
  }
  if (r->blocks == 1) return;
#pragma omp parallel for schedule(static) if (r->lanes > 1 && elements >= LAMINA_LOOP_PARALLEL)
  for (int64_t lane = 0; lane < r->lanes; lane++) {
    double sum[LAMINA_ROW];
    int64_t output;
    const int64_t n = outputs_of(r, lane, &output);
    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int64_t b = 0; b < r->blocks; b++)
      for (int64_t i = 0; i < n; i++) sum[i] += partial[(lane * r->blocks + b) * r->width + i];
    store(n, sum, divisor, dtype, y, output);
  }
}

/* ---- Maxima ----------------------------------------------------------------------------------------------------- */

/* The largest of n elements, NaN if there is one. */
LAMINA_CLONES static float max_row(int64_t n, const float *x) {
  float lane[16], most = x[0];
  int nan[16] = {0}, any = 0;
  int64_t i = 0;
  for (int j = 0; j < 16; j++) lane[j] = x[0];
  for (; i + 16 <= n; i += 16)
    for (int j = 0; j < 16; j++) {
      lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
      nan[j] |= x[i + j] != x[i + j];
    }
  for (int j = 0; i < n; i++, j++) {
    lane[j] = x[i] > lane[j] ? x[i] : lane[j];
    nan[j] |= x[i] != x[i];
  }
  for (int j = 0; j < 16; j++) {
    most = lane[j] > most ? lane[j] : most;
    any |= nan[j];
  }
  return any ? NAN : most;
}

/* Is `v` larger than `best`, a NaN being the largest and only the first one counting? */
LAMINA_INLINE bool larger(float v, float best) { return !(v <= best) && best == best; }

/* The best of a row that is not all that there is: `at` is the index of its first element. */
static void take_row(int64_t n, const float *x, int64_t at, float *best, int32_t *index) {
  const float most = max_row(n, x);
  if (*index >= 0 && !larger(most, *best)) return;
  int64_t i = 0;
  while (x[i] != most && x[i] == x[i]) i++; /* a NaN is `most` then */
  *best = x[i], *index = (int32_t)(at + i);
}

LAMINA_CLONES static void take_columns(int64_t n, const float *x, int32_t at, float *best, int32_t *index) {
  for (int64_t i = 0; i < n; i++) {
    const bool take = index[i] < 0 || larger(x[i], best[i]);
    best[i] = take ? x[i] : best[i];
    index[i] = take ? at : index[i];
  }
}

void lamina_reduce_max(const lamina_reduction *r, int32_t x_type, const void *x, int32_t y_type, void *y,
                       int32_t *indices) {
  const int64_t elements = r->dims[0] * r->strides[0], cuts = pieces(r->near, r->unit);
  const bool rows = r->reduced[r->groups - 1];
#pragma omp parallel for schedule(static) if (r->lanes > 1 && elements >= LAMINA_LOOP_PARALLEL)
  for (int64_t lane = 0; lane < r->lanes; lane++) {
    float buffer[LAMINA_ROW], best[LAMINA_ROW];
    int32_t index[LAMINA_ROW];
    int64_t output;
    const int64_t n = outputs_of(r, lane, &output);
    memset(index, -1, (size_t)n * sizeof *index);
    const int64_t base = !rows          ? offset_of(r, false, output / r->length) + output % r->length
                         : r->width > 1 ? output * r->length
                                        : offset_of(r, false, output);
    for (int64_t u = 0; u < r->units; u++) {
      const int64_t at = u % cuts * r->unit, count = least(r->unit, r->near - at), q = u / cuts;
      const int64_t i = base + offset_of(r, true, q), first = q * r->near + at;
      if (rows) {
        const float *row = lamina_row_read(x_type, x, i + at, n * count, buffer);
        for (int64_t j = 0; j < n; j++) take_row(count, row + j * count, first, &best[j], &index[j]);
      } else {
        const float *row = lamina_row_read(x_type, x, i + at * r->length, count * n, buffer);
        for (int64_t j = 0; j < count; j++) take_columns(n, row + j * n, (int32_t)(first + j), best, index);
      }
    }
    lamina_row_write(y_type, y, output, n, best);
    if (indices) memcpy(indices + output, index, (size_t)n * sizeof *index);
  }
}

/* ---- The other way round ---------------------------------------------------------------------------------------- */

int64_t lamina_reduction_row(const lamina_reduction *r, int64_t row) {
  const int last = r->groups - 1;
  int64_t offset = 0, stride = r->reduced[last] ? 1 : r->length;
  for (int g = last - 1; g >= 0; g--) {
    if (!r->reduced[g]) offset += row % r->dims[g] * stride, stride *= r->dims[g];
    row /= r->dims[g];
  }
  return offset;
}
