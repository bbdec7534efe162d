/* One op: cross-correlates a 4x5 picture with a 3x3 filter and prints the 2x3 result.
 *
 *   cc conv.c $(pkg-config --cflags --libs lamina) -o conv && ./conv */
#include <stdio.h>

#include <lamina/lamina.h>

int main(void) {
  float picture[] = {4, 1, 0, 2, 5, 1, -1, 6, -2, 4, -3, 4, 1, 3, 2, 0, -3, 0, 5, -1};
  float filter[] = {6, 2, 1, 0, -2, 3, 2, -1, -4}, result[6];
  const lamina_tensor x = lamina_nchw(LAMINA_F32, 1, 1, 4, 5, picture);
  const lamina_tensor w = lamina_nchw(LAMINA_F32, 1, 1, 3, 3, filter);
  const lamina_tensor y = lamina_nchw(LAMINA_F32, 1, 1, 2, 3, result);
  const lamina_conv conv = {0}; /* no padding, stride 1, one group */

  lamina_device *device = NULL;
  lamina_status status = lamina_device_open("cpu", NULL, &device);
  if (!status) status = lamina_conv_forward(device, &conv, &x, &w, NULL, &y, NULL); /* no bias, the device's stream */
  if (!status) status = lamina_stream_sync(device, NULL);                           /* a GPU would still be at it */
  if (status) fprintf(stderr, "%s\n", lamina_last_error());
  for (int i = 0; !status && i < 6; i++) printf("%g%c", (double)result[i], i % 3 == 2 ? '\n' : ' ');
  lamina_device_close(device);
  return status ? 1 : 0;
}
