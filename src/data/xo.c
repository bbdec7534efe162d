/* The lecture's X and O: 9 x 9 pixels of -1 and 1, the X on the diagonals of the inner 7 x 7, the O a ring within it;
 * moved, turned, stretched, bolder, and with pixels turned over, as much as `jitter` says. */
#include "data/dataset.h"
#include "data/draw.h"

enum { SIDE = 9, XO_KIND = 0x584F584F /* "XOXO" */ };

/* What tells one example from the lecture's. */
typedef struct shape {
  lamina_point centre;
  float sin, cos, wide, high;
  float radius; /* of the stroke */
  float flip;   /* probability that a pixel is turned over */
} shape;

static shape roll_shape(lamina_dice *dice, float jitter) {
  shape s;
  s.centre.x = 4 + lamina_roll(dice, -1, 1) * jitter;
  s.centre.y = 4 + lamina_roll(dice, -1, 1) * jitter;
  const float turn = lamina_roll(dice, -.06f, .06f) * jitter;
  s.sin = lamina_sin_turns(turn);
  s.cos = lamina_cos_turns(turn);
  s.wide = 3 + lamina_roll(dice, -.9f, .6f) * jitter;
  s.high = 3 + lamina_roll(dice, -.9f, .6f) * jitter;
  s.radius = .5f + lamina_roll(dice, 0, .25f) * jitter;
  s.flip = .04f * jitter;
  return s;
}

/* Point (x, y) of the square -1 … 1. */
static lamina_point place(const shape *s, float x, float y) {
  const float u = x * s->wide, v = y * s->high;
  return (lamina_point){s->centre.x + s->cos * u - s->sin * v, s->centre.y + s->sin * u + s->cos * v};
}

static void draw_x(lamina_canvas *canvas, const shape *s) {
  lamina_draw_line(canvas, place(s, -1, -1), place(s, 1, 1));
  lamina_draw_line(canvas, place(s, 1, -1), place(s, -1, 1));
}

static void draw_o(lamina_canvas *canvas, const shape *s) {
  lamina_point ring[8];
  for (int i = 0; i < 8; i++) {
    const float turn = (float)i / 8;
    ring[i] = place(s, lamina_cos_turns(turn), lamina_sin_turns(turn));
  }
  lamina_draw_curve(canvas, ring, 8, true, 4);
}

/* What a dataset remembers, in the pointer itself: split and jitter. */
static void *pack(int split, int64_t jitter) { return (void *)(intptr_t)(jitter * 2 + split); }

/* x: [1, 9, 9] */
static lamina_status xo_read(void *user, int64_t index, float *x, int32_t *label) {
  const intptr_t packed = (intptr_t)user;
  lamina_dice dice = lamina_dice_of(XO_KIND, (int)(packed % 2), index);
  *label = (int32_t)(index % 2);
  const shape s = roll_shape(&dice, (float)(packed / 2) / 100);
  lamina_canvas canvas = {SIDE, SIDE, 1, x};
  lamina_canvas_clear(&canvas);
  (*label ? draw_o : draw_x)(&canvas, &s);
  for (int i = 0; i < SIDE * SIDE; i++) {
    const bool on = x[i] <= s.radius * s.radius, flip = lamina_roll(&dice, 0, 1) < s.flip;
    x[i] = on != flip ? 1 : -1;
  }
  return LAMINA_OK;
}

static lamina_status xo_open(const lamina_data_spec *spec, lamina_source *source) {
  static const char *const names[] = {"X", "O"};
  source->info.count = spec->value[0] ? spec->value[0] : spec->split ? 500 : 2000;
  source->info.channels = 1;
  source->info.height = source->info.width = SIDE;
  source->info.classes = 2;
  source->info.class_names = names;
  source->info.low = -1;
  source->info.high = 1;
  source->read = xo_read;
  source->user = pack(spec->split, spec->value[1]);
  return LAMINA_OK;
}

const lamina_data_kind lamina_data_xo = {
    .about = {"xo", "xo:train|test[,count=N][,jitter=PERCENT]", "the lecture's X or O, 1 x 9 x 9, without files"},
    .splits = true,
    .keys = {{"count", 0, 1, INT32_MAX}, {"jitter", 100, 0, 200}},
    .open = xo_open};
