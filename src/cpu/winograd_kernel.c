#include "cpu/winograd_kernel.h"

#include "cpu/loop.h"

#define UNROLL _Pragma("GCC unroll 4")

/* (Clones are static: the library would export others.) */

/* Channels, as many registers as the machine needs for them. */
typedef float lanes __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t masks __attribute__((vector_size(64)));

LAMINA_CLONES static void transform_x(int64_t tiles, const float *x, int64_t x_row, float *v, int64_t v_place) {
  for (int64_t t = 0; t < tiles; t++, x += 32, v += 16) {
    lanes d[4][4];
    UNROLL for (int j = 0; j < 4; j++) {
      const lanes a = *(const lanes *)(x + j * 16), b = *(const lanes *)(x + x_row + j * 16);
      const lanes c = *(const lanes *)(x + 2 * x_row + j * 16), e = *(const lanes *)(x + 3 * x_row + j * 16);
      d[0][j] = a - c, d[1][j] = (b + c) * 0.5F, d[2][j] = (c - b) * 0.5F, d[3][j] = b - e;
    }
    UNROLL for (int i = 0; i < 4; i++) {
      float *const to = v + 4 * i * v_place;
      *(lanes *)to = d[i][0] - d[i][2];
      *(lanes *)(to + v_place) = (d[i][1] + d[i][2]) * 0.5F;
      *(lanes *)(to + 2 * v_place) = (d[i][2] - d[i][1]) * 0.5F;
      *(lanes *)(to + 3 * v_place) = d[i][1] - d[i][3];
    }
  }
}

LAMINA_CLONES static void transform_w(int64_t channels, const float *w, bool turned, float *u, int64_t u_place) {
  const int64_t first = turned ? 8 * 16 : 0, step = turned ? -16 : 16;
  for (int64_t c = 0; c < channels; c++, w += 9 * 16, u += 16) {
    const float *const from = w + first;
    lanes g[4][3];
    UNROLL for (int j = 0; j < 3; j++) {
      const lanes middle = *(const lanes *)(from + (3 + j) * step);
      g[0][j] = *(const lanes *)(from + j * step), g[3][j] = *(const lanes *)(from + (6 + j) * step);
      const lanes outer = g[0][j] + g[3][j];
      g[1][j] = outer + middle, g[2][j] = outer - middle;
    }
    UNROLL for (int i = 0; i < 4; i++) {
      float *const to = u + 4 * i * u_place;
      const lanes outer = g[i][0] + g[i][2];
      *(lanes *)to = g[i][0];
      *(lanes *)(to + u_place) = outer + g[i][1];
      *(lanes *)(to + 2 * u_place) = outer - g[i][1];
      *(lanes *)(to + 3 * u_place) = g[i][2];
    }
  }
}

LAMINA_CLONES static void transform_y(int64_t tiles, const float *m, int64_t m_place, const float *b, bool relu,
                                      float *y, int64_t y_row) {
  const lanes bias = *(const lanes *)b, zero = {0};
  for (int64_t t = 0; t < tiles; t++, m += 16, y += 32) {
    lanes s[2][4];
    UNROLL for (int j = 0; j < 4; j++) {
      const float *const from = m + j * m_place;
      const lanes p = *(const lanes *)(from + 4 * m_place), q = *(const lanes *)(from + 8 * m_place);
      s[0][j] = *(const lanes *)from + (p + q), s[1][j] = (p - q) - *(const lanes *)(from + 12 * m_place);
    }
    UNROLL for (int i = 0; i < 2; i++) {
      lanes one = s[i][0] + (s[i][1] + s[i][2]) + bias, two = (s[i][1] - s[i][2]) - s[i][3] + bias;
      if (relu) {
        one = (lanes)(~(one <= zero) & (masks)one);
        two = (lanes)(~(two <= zero) & (masks)two);
      }
      *(lanes *)(y + i * y_row) = one;
      *(lanes *)(y + i * y_row + 16) = two;
    }
  }
}

void lamina_winograd_x(int64_t tiles, const float *x, int64_t x_row, float *v, int64_t v_place) {
  transform_x(tiles, x, x_row, v, v_place);
}
void lamina_winograd_w(int64_t channels, const float *w, bool turned, float *u, int64_t u_place) {
  transform_w(channels, w, turned, u, u_place);
}
void lamina_winograd_y(int64_t tiles, const float *m, int64_t m_place, const float *b, bool relu, float *y,
                       int64_t y_row) {
  transform_y(tiles, m, m_place, b, relu, y, y_row);
}
