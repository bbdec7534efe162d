/* Tuning: what the machine does at best, measured; and which engine is the fastest for a problem, measured and proven.
 *
 * Engines say what a problem will take them: shares of the roofline below. Without more, a plan takes the least of these
 * estimates, so the choice is the same each time.
 *
 * A device that is opened with `tune` (lamina_device_options) times the candidates of each problem when it is first
 * planned, on tensors of its own, some 0.3 s a problem. A candidate must agree with the oracle before it may win: on small
 * integers that leave no room for rounding, where the op has such, and on normal numbers; every element, or chosen ones of
 * large problems. One that doesn't is told to the log and left out from then on. The records go to the file `tune_cache`,
 * and a device that is opened with that file plans by them:
 *
 *   plan options' or LAMINA_ENGINE's engine -> the tuned one -> the least estimate
 *
 * The file is text, a line a record. A record counts for the very problem, the device with its CPU, threads and libraries,
 * and the builds of all engines; any other, and one that was damaged, is none. Several processes may write to one file: it
 * is replaced as a whole, with what others have added. Tuning runs in the device's own stream. Problems whose layouts are
 * left open (LAMINA_LAYOUT_ANY) go by estimates. A plan explains a tuned choice: "tuned: 1.23 ms ±2%, exact+full". */
#ifndef LAMINA_TUNE_H
#define LAMINA_TUNE_H

#include "lamina/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What a device does at best, all its threads together: what the estimates of its engines are shares of. */
typedef struct lamina_roofline {
  double flops;      /**< f32 operations a second; a multiply-add is two */
  double flops_half; /**< operations a second of bf16 pairs added in f32; 0: it has no instructions for it */
  double read;       /**< bytes a second, from memory */
  double copy;       /**< bytes a second, read and written, from memory to memory */
  double region;     /**< seconds that it takes to start all threads and to wait for them */
  bool measured;     /**< else reckoned from what the device says of itself */
  char cpu[64];      /**< the CPU's name; "" where it tells none */
} lamina_roofline;

/** Fills *roofline with what the device's estimates rest on; all zero where nothing is known (devices but the CPU, which
 *  have lamina_device_limits). */
LAMINA_API void lamina_device_roofline(const lamina_device *device, lamina_roofline *roofline);
/** Measures it, on all threads of the device for some 150 ms, with some memory of the device's allocator, and lets the
 *  estimates rest on what came out; also fills *roofline, where that isn't NULL. Only before the device's first plan, and by
 *  one thread: INVALID else. UNSUPPORTED for devices that can't; OUT_OF_MEMORY.
 *  (Not at every opening, since a measurement differs from run to run, and the engines chosen with it.) */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_roofline_measure(lamina_device *device, lamina_roofline *roofline);

/** Writes all that the device's choices rest on (its measured roofline, the records of its problems, those included that
 *  nets give to one thread) to a file that options.tune_cache takes: who opens a device with it plans as this one did,
 *  whatever is found out meanwhile. A device without a cache gives an empty one. INVALID for NULL; IO; OUT_OF_MEMORY. */
LAMINA_API LAMINA_NODISCARD lamina_status lamina_tune_save(lamina_device *device, const char *path);

#ifdef __cplusplus
}
#endif
#endif
