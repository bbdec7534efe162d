/* What NVIDIA's own library makes of a GPU, for comparison: cuBLAS on 4096 x 4096 matrices in f32 (TF32 off) and bf16, and
 * a copy in the device's memory.
 *
 *   cuda_library copy                    GB/s, read and written, of 512 MiB
 *   cuda_library gemm [libcublas.so.N]   TFLOP/s; the library is opened at run time, by that path or wherever it lies
 *
 * A line "@ NAME VALUE UNIT" a figure: the median of 20 runs by CUDA's clock. Exit status 77: there is no cuBLAS. */
#include <cuda_runtime.h>
#include <dlfcn.h>
#include <library_types.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 4096, RUNS = 20 };

static void check(int status, const char *what) {
  if (status == 0) return;
  fprintf(stderr, "%s: error %d, %s\n", what, status, cudaGetErrorString(cudaGetLastError()));
  exit(1);
}

static int by_size(const void *a, const void *b) {
  const float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* The median of RUNS in seconds, after three that are not counted. */
static double seconds_of(int (*run)(void *), void *context) {
  float times[RUNS];
  cudaEvent_t start, end;
  check(cudaEventCreate(&start), "cudaEventCreate");
  check(cudaEventCreate(&end), "cudaEventCreate");
  for (int i = -3; i < RUNS; i++) {
    check(cudaEventRecord(start, NULL), "cudaEventRecord");
    check(run(context), "a run");
    check(cudaEventRecord(end, NULL), "cudaEventRecord");
    check(cudaEventSynchronize(end), "cudaEventSynchronize");
    if (i >= 0) check(cudaEventElapsedTime(&times[i], start, end), "cudaEventElapsedTime");
  }
  qsort(times, RUNS, sizeof *times, by_size);
  return 1e-3 * times[RUNS / 2];
}

static void *device_memory(size_t size) {
  void *memory = NULL;
  check(cudaMalloc(&memory, size), "cudaMalloc");
  return memory;
}

/* Of random bits, since GPUs are faster on numbers that are all alike: 1 … 2 and -2 … -1, in f32 and in bf16. */
static void *random_memory(size_t size) {
  uint32_t *host = malloc(size), random = 1;
  void *memory = device_memory(size);
  if (!host) fprintf(stderr, "out of memory\n"), exit(1);
  for (size_t i = 0; i < size / sizeof *host; i++) {
    random = random * 1664525 + 1013904223;
    host[i] = (random & 0x807f807f) | 0x3f803f80;
  }
  check(cudaMemcpy(memory, host, size, cudaMemcpyHostToDevice), "cudaMemcpy");
  free(host);
  return memory;
}

/* ---- A copy ------------------------------------------------------------------------------------------------------ */

typedef struct copy {
  void *to, *from;
  size_t size;
} copy;

static int run_copy(void *context) {
  const copy *c = context;
  return cudaMemcpyAsync(c->to, c->from, c->size, cudaMemcpyDeviceToDevice, NULL);
}

static int copies(void) {
  const size_t size = (size_t)512 << 20;
  copy c = {device_memory(size), random_memory(size), size};
  printf("@ copy %.0f GB/s\n", 2e-9 * (double)size / seconds_of(run_copy, &c));
  return 0;
}

/* ---- cuBLAS ------------------------------------------------------------------------------------------------------ */

/* Of cublas_v2.h, which a machine with the library alone lacks; its numbers are part of the ABI. */
enum { OP_N = 0, COMPUTE_32F = 68, GEMM_DEFAULT = -1 };
typedef int create_fn(void **handle);
typedef int version_fn(void *handle, int *version);
typedef int gemm_fn(void *handle, int op_a, int op_b, int m, int n, int k, const void *alpha, const void *a,
                    cudaDataType_t type_a, int lda, const void *b, cudaDataType_t type_b, int ldb, const void *beta,
                    void *c, cudaDataType_t type_c, int ldc, int compute, int algorithm);

typedef struct gemm {
  gemm_fn *run;
  void *handle, *a, *b, *c;
  cudaDataType_t type;
} gemm;

static void *open_library(const char *path) {
  static const char *const names[] = {"libcublas.so.13", "libcublas.so.12", "libcublas.so.11", "libcublas.so"};
  if (path) return dlopen(path, RTLD_NOW | RTLD_LOCAL);
  void *library = NULL;
  for (size_t i = 0; i < sizeof names / sizeof *names && !library; i++)
    library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
  return library;
}

static void symbol(void *library, const char *name, void *to) {
  void *found = dlsym(library, name);
  if (!found) fprintf(stderr, "cuBLAS has no %s\n", name), exit(1);
  memcpy(to, &found, sizeof found);
}

static int run_gemm(void *context) {
  const gemm *g = context;
  const float one = 1, zero = 0;
  return g->run(g->handle, OP_N, OP_N, SIDE, SIDE, SIDE, &one, g->a, g->type, SIDE, g->b, g->type, SIDE, &zero, g->c,
                g->type, SIDE, COMPUTE_32F, GEMM_DEFAULT);
}

static int gemms(const char *path) {
  void *library = open_library(path);
  create_fn *create;
  version_fn *get_version;
  int version = 0;
  gemm g;
  if (!library) {
    printf("there is no cuBLAS: %s\n", dlerror());
    return 77;
  }
  symbol(library, "cublasCreate_v2", &create);
  symbol(library, "cublasGetVersion_v2", &get_version);
  symbol(library, "cublasGemmEx", &g.run);
  check(create(&g.handle), "cublasCreate");
  check(get_version(g.handle, &version), "cublasGetVersion");
  printf("cuBLAS %d\n", version);
  const size_t size = sizeof(float) * SIDE * SIDE;
  g.a = random_memory(size), g.b = random_memory(size), g.c = device_memory(size);
  for (int bf16 = 0; bf16 < 2; bf16++) {
    g.type = bf16 ? CUDA_R_16BF : CUDA_R_32F;
    printf("@ cublas_%s %.2f TFLOP/s\n", bf16 ? "bf16" : "f32", 2e-12 * SIDE * SIDE * SIDE / seconds_of(run_gemm, &g));
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "copy") == 0) return copies();
  if ((argc == 2 || argc == 3) && strcmp(argv[1], "gemm") == 0) return gemms(argv[2]);
  fprintf(stderr, "expected: cuda_library copy, or cuda_library gemm [libcublas.so.N]\n");
  return 2;
}
