/* The engine of my_conv.c with a fault planted: it forgets the last tap of filters of odd width, as a loop in steps of
 * two does whose tail was never written. A test with 1x1 or 2x2 filters passes; the verifier finds it:
 *
 *   cc -std=c11 -O3 -shared -fPIC $(pkg-config --cflags lamina) faulty_conv.c -o faulty_conv.so
 *   lamina verify conv/forward --plugin ./faulty_conv.so --engine faulty dtype=f32 --cases 60 */
#define MY_NAME       "faulty"
#define MY_TAPS(taps) ((taps) > 1 ? (taps) / 2 * 2 : (taps))
#include "my_conv.c"
