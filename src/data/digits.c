/* Drawn digits: strokes from a table, bent, turned, stretched, thick or thin, faint or strong, on a noisy ground.
 *
 *   glyph (unit square) → bend (a field of 3 x 3 random vectors) → turn, slant, stretch → place → distance → ink →
 * noise */
#include <math.h>

#include "data/dataset.h"
#include "data/draw.h"

enum { SIDE = 28, DIGITS_KIND = 0x44494749 /* "DIGI" */, MAX_POINTS = 13, MAX_STROKES = 4 };

/* A stroke through n points in the unit square, y down; straight: a polyline, else a smooth curve. */
typedef struct stroke {
  int n;
  enum { OPEN, CLOSED, STRAIGHT } form;
  lamina_point point[MAX_POINTS];
} stroke;

typedef struct glyph {
  int digit;
  stroke stroke[MAX_STROKES]; /* n == 0 ends the list */
} glyph;

/* As people write them; one in three or so of the ways. Points that belong together are equal, so they stay together.
 */
static const glyph glyphs[] = {
    {0,
     {{8,
       CLOSED,
       {{.5f, .04f}, {.25f, .14f}, {.15f, .5f}, {.25f, .86f}, {.5f, .96f}, {.75f, .86f}, {.85f, .5f}, {.75f, .14f}}}}},
    {0,
     {{8,
       CLOSED,
       {{.55f, .04f}, {.28f, .2f}, {.2f, .55f}, {.3f, .88f}, {.48f, .96f}, {.7f, .82f}, {.8f, .45f}, {.72f, .14f}}}}},
    {1, {{2, STRAIGHT, {{.5f, .04f}, {.5f, .96f}}}}},
    {1, {{3, STRAIGHT, {{.3f, .26f}, {.54f, .04f}, {.54f, .96f}}}}},
    {1, {{3, STRAIGHT, {{.3f, .26f}, {.52f, .04f}, {.52f, .96f}}}, {2, STRAIGHT, {{.3f, .96f}, {.74f, .96f}}}}},
    {2,
     {{7, OPEN, {{.2f, .28f}, {.3f, .1f}, {.53f, .04f}, {.75f, .14f}, {.77f, .36f}, {.55f, .64f}, {.2f, .94f}}},
      {2, STRAIGHT, {{.2f, .94f}, {.84f, .92f}}}}},
    {2,
     {{11,
       OPEN,
       {{.22f, .2f},
        {.42f, .05f},
        {.7f, .12f},
        {.74f, .36f},
        {.55f, .66f},
        {.34f, .9f},
        {.18f, .9f},
        {.2f, .76f},
        {.38f, .76f},
        {.58f, .92f},
        {.84f, .9f}}}}},
    {3,
     {{5, OPEN, {{.22f, .16f}, {.46f, .04f}, {.73f, .15f}, {.72f, .34f}, {.44f, .47f}}},
      {5, OPEN, {{.44f, .47f}, {.75f, .57f}, {.79f, .79f}, {.53f, .96f}, {.18f, .85f}}}}},
    {3,
     {{3, STRAIGHT, {{.2f, .06f}, {.76f, .06f}, {.46f, .42f}}},
      {5, OPEN, {{.46f, .42f}, {.75f, .53f}, {.79f, .78f}, {.53f, .96f}, {.18f, .87f}}}}},
    {4, {{3, STRAIGHT, {{.3f, .06f}, {.18f, .6f}, {.84f, .58f}}}, {2, STRAIGHT, {{.66f, .3f}, {.62f, .96f}}}}},
    {4, {{4, STRAIGHT, {{.64f, .96f}, {.64f, .04f}, {.14f, .66f}, {.86f, .66f}}}}},
    {5,
     {{3, STRAIGHT, {{.78f, .06f}, {.32f, .06f}, {.27f, .45f}}},
      {6, OPEN, {{.27f, .45f}, {.5f, .38f}, {.75f, .5f}, {.77f, .77f}, {.52f, .96f}, {.19f, .86f}}}}},
    {5,
     {{8,
       OPEN,
       {{.36f, .08f}, {.28f, .3f}, {.3f, .44f}, {.52f, .4f}, {.76f, .54f}, {.74f, .8f}, {.5f, .96f}, {.22f, .86f}}},
      {2, STRAIGHT, {{.36f, .08f}, {.8f, .05f}}}}},
    {6,
     {{9,
       OPEN,
       {{.7f, .06f},
        {.42f, .24f},
        {.25f, .55f},
        {.29f, .84f},
        {.52f, .96f},
        {.75f, .83f},
        {.74f, .61f},
        {.53f, .5f},
        {.28f, .66f}}}}},
    {6,
     {{10,
       OPEN,
       {{.42f, .04f},
        {.3f, .3f},
        {.24f, .6f},
        {.28f, .86f},
        {.5f, .96f},
        {.7f, .88f},
        {.72f, .68f},
        {.55f, .58f},
        {.36f, .66f},
        {.28f, .82f}}}}},
    {7, {{3, STRAIGHT, {{.2f, .06f}, {.82f, .08f}, {.5f, .96f}}}}},
    {7,
     {{2, STRAIGHT, {{.18f, .1f}, {.8f, .06f}}},
      {4, OPEN, {{.8f, .06f}, {.62f, .34f}, {.48f, .64f}, {.42f, .96f}}},
      {2, STRAIGHT, {{.36f, .52f}, {.74f, .48f}}}}},
    {7, {{3, STRAIGHT, {{.2f, .22f}, {.2f, .07f}, {.82f, .07f}}}, {3, OPEN, {{.82f, .07f}, {.58f, .5f}, {.5f, .96f}}}}},
    {8,
     {{12,
       CLOSED,
       {{.5f, .04f},
        {.28f, .13f},
        {.29f, .33f},
        {.5f, .47f},
        {.73f, .62f},
        {.74f, .86f},
        {.5f, .96f},
        {.26f, .86f},
        {.27f, .62f},
        {.5f, .47f},
        {.71f, .33f},
        {.72f, .13f}}}}},
    {8,
     {{6, CLOSED, {{.5f, .04f}, {.3f, .14f}, {.32f, .36f}, {.5f, .45f}, {.68f, .36f}, {.7f, .14f}}},
      {6, CLOSED, {{.5f, .45f}, {.25f, .57f}, {.25f, .84f}, {.5f, .96f}, {.75f, .84f}, {.75f, .57f}}}}},
    {9,
     {{9,
       OPEN,
       {{.74f, .2f},
        {.52f, .04f},
        {.28f, .16f},
        {.27f, .38f},
        {.48f, .5f},
        {.7f, .38f},
        {.74f, .2f},
        {.74f, .56f},
        {.66f, .96f}}}}},
    {9,
     {{8,
       OPEN,
       {{.76f, .26f}, {.56f, .04f}, {.28f, .16f}, {.28f, .4f}, {.5f, .48f}, {.7f, .38f}, {.76f, .26f}, {.76f, .2f}}},
      {4, OPEN, {{.76f, .26f}, {.76f, .6f}, {.6f, .88f}, {.28f, .94f}}}}},
};

/* How one example differs from its glyph. */
typedef struct hand {
  lamina_point bend[3][3]; /* Bernstein coefficients of a displacement over the unit square */
  float xx, xy, yx, yy;    /* unit square to pixels, about its centre */
  lamina_point centre;
} hand;

static hand roll_hand(lamina_dice *dice) {
  hand h;
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++)
      h.bend[i][j] = (lamina_point){lamina_roll(dice, -.16f, .16f), lamina_roll(dice, -.16f, .16f)};
  const float turn = lamina_roll(dice, -.05f, .05f), slant = lamina_roll(dice, -.35f, .25f);
  const float height = lamina_roll(dice, 13, 22), width = height * lamina_roll(dice, .6f, 1);
  const float s = lamina_sin_turns(turn), c = lamina_cos_turns(turn);
  /* turn * [width, -slant * height; 0, height]: a slant to the right moves the top right */
  h.xx = c * width, h.xy = -c * slant * height - s * height;
  h.yx = s * width, h.yy = -s * slant * height + c * height;
  h.centre = (lamina_point){lamina_roll(dice, 10.5f, 16.5f), lamina_roll(dice, 10.5f, 16.5f)};
  return h;
}

static lamina_point place(const hand *h, lamina_point p) {
  const float u[3] = {(1 - p.x) * (1 - p.x), 2 * p.x * (1 - p.x), p.x * p.x};
  const float v[3] = {(1 - p.y) * (1 - p.y), 2 * p.y * (1 - p.y), p.y * p.y};
  float x = p.x - .5f, y = p.y - .5f;
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++) x += v[i] * u[j] * h->bend[i][j].x, y += v[i] * u[j] * h->bend[i][j].y;
  return (lamina_point){h->centre.x + h->xx * x + h->xy * y, h->centre.y + h->yx * x + h->yy * y};
}

static void draw_stroke(lamina_canvas *canvas, const hand *h, const stroke *s) {
  lamina_point point[MAX_POINTS];
  for (int i = 0; i < s->n; i++) point[i] = place(h, s->point[i]);
  if (s->form != STRAIGHT)
    lamina_draw_curve(canvas, point, s->n, s->form == CLOSED, 4);
  else
    for (int i = 0; i + 1 < s->n; i++) lamina_draw_line(canvas, point[i], point[i + 1]);
}

static const glyph *pick_glyph(lamina_dice *dice, int digit) {
  const glyph *of_digit[8];
  int n = 0;
  for (size_t i = 0; i < LAMINA_COUNT_OF(glyphs); i++)
    if (glyphs[i].digit == digit) of_digit[n++] = &glyphs[i];
  return of_digit[lamina_pick(dice, n)];
}

/* x: [1, 28, 28] */
static lamina_status digits_read(void *user, int64_t index, float *x, int32_t *label) {
  lamina_dice dice = lamina_dice_of(DIGITS_KIND, (int)(intptr_t)user, index);
  *label = (int32_t)(index % 10);
  const glyph *g = pick_glyph(&dice, *label);
  const hand h = roll_hand(&dice);
  const float radius = lamina_roll(&dice, .5f, 1.6f), soft = lamina_roll(&dice, .4f, .9f);
  const float ground = lamina_roll(&dice, 0, .15f), ink = lamina_roll(&dice, .5f, 1),
              noise = lamina_roll(&dice, 0, .35f);

  lamina_canvas canvas = {SIDE, SIDE, radius + soft, x};
  lamina_canvas_clear(&canvas);
  for (int i = 0; i < MAX_STROKES && g->stroke[i].n; i++) draw_stroke(&canvas, &h, &g->stroke[i]);
  if (lamina_pick(&dice, 3) == 0) { /* a slip of the pen */
    const lamina_point a = {lamina_roll(&dice, 0, 27), lamina_roll(&dice, 0, 27)};
    lamina_draw_line(&canvas, a, (lamina_point){a.x + lamina_roll(&dice, -6, 6), a.y + lamina_roll(&dice, -6, 6)});
  }
  for (int i = 0; i < SIDE * SIDE; i++) {
    const float covered = (radius + soft - sqrtf(x[i])) / (2 * soft); /* at least 0: near is cut at reach */
    x[i] = ground + (ink - ground) * (covered > 1 ? 1 : covered);
  }
  lamina_add_noise(&dice, noise, 0, 1, SIDE * SIDE, x);
  return LAMINA_OK;
}

static lamina_status digits_open(const lamina_data_spec *spec, lamina_source *source) {
  source->info.count = spec->value[0] ? spec->value[0] : spec->split ? 4000 : 20000;
  source->info.channels = 1;
  source->info.height = source->info.width = SIDE;
  source->info.classes = 10;
  source->read = digits_read;
  source->user = (void *)(intptr_t)spec->split; /* all there is to remember */
  return LAMINA_OK;
}

const lamina_data_kind lamina_data_digits = {
    .about = {"digits", "digits:train|test[,count=N]", "drawn digits, 1 x 28 x 28, without files"},
    .splits = true,
    .keys = {{"count", 0, 1, INT32_MAX}},
    .open = digits_open};
