// Launchers for test_emulated.
#ifndef SIMPLE_H
#define SIMPLE_H

#include <cuda_runtime.h>
#include <stdint.h>

struct View {
  float *p;
  int n; // padding behind it
};
struct LongView {
  float *p;
  int64_t n;
};
int fill_value(float *y, float v, int n, cudaStream_t s);
int add_one(float *y, int n, cudaStream_t s);
int copy_view(View from, View to, cudaStream_t s);
int copy_long_view(LongView from, LongView to, cudaStream_t s);
int write_past(float *y, int at, cudaStream_t s);
int reverse_shared(float *y, size_t smem, cudaStream_t s);
int bad_grid(float *y, cudaStream_t s);
int divergent(float *y, cudaStream_t s);
int rotate_blocks(float *y, int blocks, cudaStream_t s);
int half_a_warp(cudaStream_t s);
int nothing(cudaStream_t s);
const void *scale_kernel_address();
cudaError_t launch_scale(float *y, float v, int n, size_t smem, cudaStream_t s);

#endif
