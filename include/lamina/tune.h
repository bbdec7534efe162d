/* Tuning: what the machine does at best, measured; and which engine is the fastest for a problem, measured and proven.
 *
 * Engines say what a problem will take them: shares of the roofline below. Without more, a plan takes the least of these
 * estimates, so the choice is the same each time. */
#ifndef LAMINA_TUNE_H
#define LAMINA_TUNE_H

#include "lamina/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What a device does at best, all its threads together: what the estimates of its engines are shares of. */
typedef struct lamina_roofline {
  double flops; /**< f32 operations a second; a multiply-add is two */
  double
      flops_half; /**< operations a second of bf16 products that are added in f32; 0: it has no instructions for them */
  double read;    /**< bytes a second, from memory */
  double copy;    /**< bytes a second, read and written, from memory to memory */
  double region;  /**< seconds that it takes to start all threads and to wait for them */
  bool measured;  /**< else reckoned from what the device says of itself */
  char cpu[64];   /**< the CPU's name; "" where it tells none */
} lamina_roofline;

/** Fills *roofline with what the device's estimates rest on; all zero where nothing is known (devices but the CPU, which
 *  have lamina_device_limits). */
LAMINA_API void lamina_device_roofline(const lamina_device *device, lamina_roofline *roofline);
/** Measures it, on all threads of the device for some 150 ms, with some memory of the device's allocator, and lets the
 *  estimates rest on what came out; also fills *roofline, where that isn't NULL. Only before the device's first plan, and by
 *  one thread: INVALID else. UNSUPPORTED for devices that can't; OUT_OF_MEMORY.
 *  (Not at every opening, since a measurement differs from run to run, and the engines chosen with it.) */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_roofline_measure(lamina_device *device, lamina_roofline *roofline);

#ifdef __cplusplus
}
#endif
#endif
