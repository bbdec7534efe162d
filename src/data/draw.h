/* What the drawn datasets share: numbers for one example, and strokes on a small grey canvas.
 *
 * Nothing here calls libm beyond the correctly rounded sqrt, so that a drawn example has the same bits everywhere. */
#ifndef LAMINA_DATA_DRAW_H
#define LAMINA_DATA_DRAW_H

#include "core/base.h"
#include "kernels/philox.h"

/* Random numbers of one example, one after the other: Philox(key "LaminaDr"; counter = block, example, kind, split). */
typedef struct lamina_dice {
  philox_words counter, words;
  int used;
} lamina_dice;

static inline lamina_dice lamina_dice_of(uint32_t kind, int split, int64_t example) {
  return (lamina_dice){.counter = {{0, (uint32_t)example, kind, (uint32_t)split}}, .used = 4};
}

static inline philox_words lamina_roll_block(lamina_dice *dice) {
  const philox_words words = philox4x32(dice->counter, 0x4C616D69u, 0x6E614472u);
  dice->counter.v[0]++;
  return words;
}

static inline uint32_t lamina_roll_word(lamina_dice *dice) {
  if (dice->used == 4) {
    dice->words = lamina_roll_block(dice);
    dice->used = 0;
  }
  return dice->words.v[dice->used++];
}

/* A number in [from, to), and one of 0 … n - 1. */
static inline float lamina_roll(lamina_dice *dice, float from, float to) {
  return from + (to - from) * philox_unit(lamina_roll_word(dice));
}
static inline int lamina_pick(lamina_dice *dice, int n) {
  return (int)((uint64_t)lamina_roll_word(dice) * (uint32_t)n >> 32);
}

/* x[i] += amplitude * u, u even in [-1, 1], then cut to low … high. A byte of the dice for each value. */
void lamina_add_noise(lamina_dice *dice, float amplitude, float low, float high, int64_t n, float *x);

/* sin(2 pi t) and cos(2 pi t), to 1e-6. */
float lamina_sin_turns(float t);
float lamina_cos_turns(float t);

typedef struct lamina_point {
  float x, y;
} lamina_point;

/* Squared distances from pixel centres to what has been drawn, cut at reach². */
typedef struct lamina_canvas {
  int height, width;
  float reach;
  float *near; /* [height, width] */
} lamina_canvas;

void lamina_canvas_clear(lamina_canvas *canvas);
void lamina_draw_line(lamina_canvas *canvas, lamina_point a, lamina_point b);
/* A smooth curve through n points (Catmull and Rom's spline), `pieces` lines from one to the next. */
void lamina_draw_curve(lamina_canvas *canvas, const lamina_point *point, int n, bool closed, int pieces);

#endif
