/* Coloured pictures of any size and any number of classes: a grating, and before it a shape. A class has its grating's
 * direction, its period, two colours and its shape; an example moves, turns and lights them, and adds noise.
 *
 * Cost: a grating sin(ax + by + c) is separable into sines of rows and columns, noise takes a byte a value; some 3 ns a
 * value, so 224 x 224 x 3 takes half a millisecond. */
#include <math.h>

#include "data/dataset.h"
#include "data/draw.h"

enum { MAX_SIZE = 1024, PICTURES_KIND = 0x50494354 /* "PICT" */ };

typedef struct pictures {
  lamina_allocator allocator;
  int split, size;
  int64_t classes;
} pictures;

typedef enum form { DISC, SQUARE, RING, DIAMOND, FORMS } form;

/* One picture, all lengths in units of its side. */
typedef struct scene {
  float direction, waves, phase; /* of the grating: turns, periods a side, turns */
  float dark[3], light[3];       /* its two colours */
  form form;
  float paint[3]; /* the shape's colour */
  float x, y, radius;
  float noise;
} scene;

/* Fractional part of i * step: for irrational steps the classes 0, 1, 2 … spread evenly, however many they are. */
static float spread(int64_t i, double step) {
  const double t = (double)i * step;
  return (float)(t - floor(t));
}

/* A saturated colour of the hue circle, brightness 0 … 1. */
static void colour(float hue, float brightness, float *rgb) {
  for (int c = 0; c < 3; c++) rgb[c] = brightness * (.5f + .5f * lamina_cos_turns(hue - (float)c / 3));
}

static scene roll_scene(lamina_dice *dice, int64_t class) {
  scene s;
  s.direction = .5f * spread(class, .6180339887498949) + lamina_roll(dice, -.035f, .035f);
  s.waves = 2 + 5 * spread(class, .7548776662466927);
  s.waves *= lamina_roll(dice, .9f, 1.1f);
  s.phase = lamina_roll(dice, 0, 1);
  const float light = lamina_roll(dice, .5f, 1), tint = lamina_roll(dice, -.1f, .1f);
  const float hue = spread(class, .5698402909980532) + tint;
  colour(hue, light, s.light);
  colour(hue + .3f, .5f * light, s.dark);
  colour(spread(class, .8191725133961645) + lamina_roll(dice, -.1f, .1f), lamina_roll(dice, .6f, 1), s.paint);
  s.form = (form)(class % FORMS);
  s.radius = lamina_roll(dice, .15f, .3f);
  s.x = lamina_roll(dice, .25f, .75f);
  s.y = lamina_roll(dice, .25f, .75f);
  s.noise = lamina_roll(dice, .05f, .3f);
  return s;
}

/* How far inside the shape a point lies, (dx, dy) from its centre; negative outside. */
static inline float inside(form form, float r, float dx, float dy) {
  const float ax = fabsf(dx), ay = fabsf(dy), d = sqrtf(dx * dx + dy * dy);
  switch (form) {
  case DISC: return r - d;
  case SQUARE: return .85f * r - (ax > ay ? ax : ay);
  case RING: return .25f * r - fabsf(.75f * r - d);
  default: return .7071f * (1.1f * r - ax - ay);
  }
}

/* cover[j]: how much of pixel j of a row the shape covers. A function a form, so that the loop has no branch. */
#define COVER(name, form)                                                                                              \
  static void cover_##name(const scene *s, int size, float dy, float *cover) {                                         \
    for (int j = 0; j < size; j++) {                                                                                   \
      const float dx = ((float)j + .5f) / (float)size - s->x;                                                          \
      const float part = .5f + (float)size * inside(form, s->radius, dx, dy);                                          \
      const float low = part < 0 ? 0 : part;                                                                           \
      cover[j] = low > 1 ? 1 : low;                                                                                    \
    }                                                                                                                  \
  }
COVER(disc, DISC)
COVER(square, SQUARE)
COVER(ring, RING)
COVER(diamond, DIAMOND)

/* x: [3, size, size] */
static void draw_scene(const scene *s, int size, float *x) {
  static void (*const covers[])(const scene *, int, float, float *) = {cover_disc, cover_square, cover_ring,
                                                                       cover_diamond};
  float sine[MAX_SIZE], cosine[MAX_SIZE], wave[MAX_SIZE], cover[MAX_SIZE];
  const float across = s->waves * lamina_cos_turns(s->direction), down = s->waves * lamina_sin_turns(s->direction);
  for (int j = 0; j < size; j++) {
    const float turns = across * ((float)j + .5f) / (float)size + s->phase;
    sine[j] = lamina_sin_turns(turns);
    cosine[j] = lamina_cos_turns(turns);
  }
  for (int i = 0; i < size; i++) {
    const float y = ((float)i + .5f) / (float)size;
    const float sy = lamina_sin_turns(down * y), cy = lamina_cos_turns(down * y);
    for (int j = 0; j < size; j++) wave[j] = .5f + .5f * (sine[j] * cy + cosine[j] * sy);
    covers[s->form](s, size, y - s->y, cover);
    for (int c = 0; c < 3; c++) {
      float *row = x + ((int64_t)c * size + i) * size;
      for (int j = 0; j < size; j++) {
        const float ground = s->dark[c] + (s->light[c] - s->dark[c]) * wave[j];
        row[j] = ground + (s->paint[c] - ground) * cover[j];
      }
    }
  }
}

static lamina_status pictures_read(void *user, int64_t index, float *x, int32_t *label) {
  const pictures *p = user;
  lamina_dice dice = lamina_dice_of(PICTURES_KIND, p->split, index);
  *label = (int32_t)(index % p->classes);
  const scene s = roll_scene(&dice, *label);
  draw_scene(&s, p->size, x);
  lamina_add_noise(&dice, s.noise, 0, 1, (int64_t)3 * p->size * p->size, x);
  return LAMINA_OK;
}

static void pictures_close(void *user) {
  pictures *p = user;
  const lamina_allocator allocator = p->allocator;
  lamina_free(&allocator, p);
}

static lamina_status pictures_open(const lamina_data_spec *spec, lamina_source *source) {
  pictures *p = lamina_alloc_zero(spec->allocator, sizeof *p);
  if (!p) return LAMINA_OUT_OF_MEMORY;
  p->allocator = spec->allocator ? *spec->allocator : lamina_malloc;
  p->split = spec->split;
  p->classes = spec->value[1];
  p->size = (int)spec->value[2];
  source->info.count = spec->value[0] ? spec->value[0] : spec->split ? 2000 : 10000;
  source->info.channels = 3;
  source->info.height = source->info.width = p->size;
  source->info.classes = p->classes;
  source->read = pictures_read;
  source->close = pictures_close;
  source->user = p;
  return LAMINA_OK;
}

const lamina_data_kind lamina_data_pictures = {
    .about = {"pictures", "pictures:train|test[,classes=N][,size=N][,count=N]",
              "drawn gratings and shapes in colour, 3 x size x size, without files"},
    .splits = true,
    .keys = {{"count", 0, 1, INT32_MAX}, {"classes", 10, 1, 100000}, {"size", 32, 8, MAX_SIZE}},
    .open = pictures_open};
