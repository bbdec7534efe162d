// Kernels that show what each lane gets from kernels/dev.h and from CUDA: launchers on the default stream, for test_lanes.
#ifndef LANES_H
#define LANES_H

#include <cuda_runtime.h>
#include <stdint.h>

int lanes_shuffles(int *to);                                            // [32, 8]
int lanes_shuffled_types(double *to);                                   // [32, 5]
int lanes_votes(int *to);                                               // [32, 4]
int lanes_reductions(int *to);                                          // [32, 7]
int lanes_barrier_votes(int *to);                                       // [128]
int lanes_coordinates(int *to, dim3 grid, dim3 block);                  // [blocks, threads]
int lanes_shared(int *to);                                              // [4]
int lanes_atomics(int *i, unsigned long long *u, float *f, double *d);  // [8], [1], [1], [1]
int lanes_numbers(float *to);                                           // [24]
int lanes_copies(const float *from, float *to);                         // [128] -> [4, 128]
int lanes_matrices(const uint16_t *from, uint32_t *to, int transposed); // [32, 8] -> [32, 6]
int lanes_products(const uint32_t *a, const uint32_t *b, const float *c, float *d,
                   int kind);          // [32, 4], [32, 2], [32, 4] x 2
int lanes_grid(float *to, int blocks); // [blocks, 32]

#endif
