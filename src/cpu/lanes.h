/* Engines for tensors with the batch in the lanes: 16 examples of one channel and place lie side by side, LAMINA_BLOCK(0, 4),
 *
 *   [N/16][C][D][H][W][16]                      of a fully connected layer: [N/16][C][16]
 *
 * so that nets with few channels and small planes fill vectors of any width, and no border costs anything: what is read
 * and written for a vector is the same place of 16 examples. Weights, biases and their gradients are plain.
 *
 * Convolution and fully connected layers are one here, as in loop_conv.h; a tensor of theirs that is plain (the net's
 * input, scores) is taken or left 16 examples at a time, transposed in the cache, and its batch may be any. */
#ifndef LAMINA_CPU_LANES_H
#define LAMINA_CPU_LANES_H

#include "cpu/lanes_kernel.h"
#include "cpu/loop_conv.h"

/* The layout of a desc. */
enum { LAMINA_LANES_LAYOUT = LAMINA_BLOCK(0, 4) };

/* A tensor [N, C, places]: with the batch in the lanes or plain, for a group of channels with a border of zeros. */
typedef struct lamina_lanes_side {
  int64_t N, C, size[3]; /* C: of all groups */
  int64_t lo[3], hi[3];  /* the border */
  int64_t area, padded;  /* places without it and with it */
  bool lanes;            /* as it lies in memory */
} lamina_lanes_side;

lamina_lanes_side lamina_lanes_side_of(const lamina_desc *desc, int64_t N, int64_t C, const int64_t *size);
/* May it be read and written where it lies? */
bool lamina_lanes_in_place(const lamina_lanes_side *side);
/* Floats of a block of 16 examples with `channels` channels and the border. */
int64_t lamina_lanes_block(const lamina_lanes_side *side, int64_t channels);
/* Channels c … c + channels - 1 of block n: their place in memory, or a copy in `room`. */
const float *lamina_lanes_read(const lamina_lanes_side *side, const lamina_lanes_kernel *kernel, const float *x,
                               int64_t n, int64_t c, int64_t channels, float *room);
/* Where to leave a block that has no border, and then, if that was `room`, to where it belongs. */
float *lamina_lanes_for(const lamina_lanes_side *side, float *y, int64_t n, int64_t c, float *room);
void lamina_lanes_write(const lamina_lanes_side *side, const lamina_lanes_kernel *kernel, float *y, int64_t n,
                        int64_t c, int64_t channels, const float *room);

/* The problem as an engine runs it: of arguments `data` (-1 ends) those whose layout was left open get the batch in the
 * lanes where that is a multiple of 16 (an output in its input's memory: that one's layout), all others become plain. */
void lamina_lanes_settle(lamina_problem *problem, const int *data);
/* For candidates, of a settled problem: refuses all but f32, what is neither plain nor, of `data`, with the batch in the
 * lanes, and gaps. */
bool lamina_lanes_takes(const lamina_problem *problem, const int *data, lamina_candidate_fn *each, void *context);
/* FLOP/s of a thread with the machine's kernel number `index`, each of which has vectors half as wide as the one before. */
double lamina_lanes_rate(const lamina_device *device, int index);
/* Seconds of a thread for so many bytes of its caches: in the time of 8 operations it reads or writes one. (As measured on
 * Xeons with AVX-512: 20 GB/s where the peak is 160 GFLOP/s.) */
double lamina_lanes_cached(const lamina_device *device, double bytes);
/* The same for elements that are turned, each read and written, which takes 2.5 times as long. */
double lamina_lanes_turned(const lamina_device *device, double elements);
/* Seconds for bringing the side into lanes or out of them; 0 where it stays where it is. */
double lamina_lanes_moving(const lamina_device *device, const lamina_lanes_side *side);

#define LAMINA_LANES_ENGINE(op_)                                                                                       \
  .size = sizeof(lamina_engine), .abi = LAMINA_ENGINE_ABI, .device = "cpu", .name = "lanes", .op = (op_),              \
  .strides = LAMINA_STRIDES_BLOCKED

#endif
