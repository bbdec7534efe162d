/* The one symbol of liblamina-cuda.so; no part of liblamina-cuda.a, so that a program may link several modules. */
#include "cuda/cuda.h"

LAMINA_API lamina_module_open_fn lamina_module_open;
lamina_status lamina_module_open(const lamina_host *host, lamina_module *module) {
  return lamina_cuda_module_open(host, module);
}
