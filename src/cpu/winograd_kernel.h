/* The transforms of Winograd's F(2x2, 3x3) with 16 channels in the lanes, on raw pointers:
 *
 *   y [2][2] = A' (sum over channels of (G w G') * (B' x B)) A,  x being 4 x 4 places, w 3 x 3
 *
 *        1  0  0           1  0 -1  0          1  0
 *   G =  1  1  1     B' =  0  1  1  0  / 2     1  1 = A    (the halves of G stand in B', so that small integers
 *        1 -1  1           0 -1  1  0  / 2     1 -1         stay integers in w, and quarters in x)
 *        0  0  1           0  1  0 -1          0 -1
 *
 * The products are direct_kernel.h's. */
#ifndef LAMINA_CPU_WINOGRAD_KERNEL_H
#define LAMINA_CPU_WINOGRAD_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus /* for tests */
extern "C" {
#endif

enum { LAMINA_WINOGRAD_PLACES = 16 }; /* of a transformed tile */

/* x [4 rows, x_row apart][2 * tiles + 2][16] to v [16][tiles][16], v_place apart. */
void lamina_winograd_x(int64_t tiles, const float *x, int64_t x_row, float *v, int64_t v_place);
/* w [channels][3][3][16], turned by half a turn where `turned`, to u [16][channels][16], u_place apart. */
void lamina_winograd_w(int64_t channels, const float *w, bool turned, float *u, int64_t u_place);
/* m [16][tiles][16], m_place apart, with b [16] added to y [2 rows, y_row apart][2 * tiles][16]; held above 0 for a ReLU;
 * NaN stays. */
void lamina_winograd_y(int64_t tiles, const float *m, int64_t m_place, const float *b, bool relu, float *y,
                       int64_t y_row);

#ifdef __cplusplus
}
#endif

#endif
