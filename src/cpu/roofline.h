/* What the machine does at best, and estimates as shares of it. */
#ifndef LAMINA_CPU_ROOFLINE_H
#define LAMINA_CPU_ROOFLINE_H

#include "core/device.h"

/* From what the CPU says of itself: the same each time. */
void lamina_cpu_reckon(int threads, lamina_roofline *roofline);
/* Measured; the module's `measure`. */
lamina_status lamina_cpu_measure(void *state, lamina_roofline *roofline);

/* Seconds that so many operations take at a share of the peak, on all threads. */
static inline double lamina_cpu_computing(const lamina_device *device, double flops, double share) {
  return flops / (share * device->roofline.flops);
}
/* Seconds that reading and writing so many bytes takes. */
static inline double lamina_cpu_moving(const lamina_device *device, double bytes) {
  return bytes / device->roofline.copy;
}
/* Seconds that reading so many takes, in loops that keep the memory busy. */
static inline double lamina_cpu_reading(const lamina_device *device, double bytes) {
  return bytes / device->roofline.read;
}
/* As moving, in our loops, which don't keep all of the memory's lanes full. */
static inline double lamina_loop_moving(const lamina_device *device, double bytes) {
  return lamina_cpu_moving(device, bytes) / 0.6;
}

#endif
