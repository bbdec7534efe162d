/* Plans inside the core: the cache's life, and the macros that make a family's typed calls. */
#ifndef LAMINA_CORE_PLAN_H
#define LAMINA_CORE_PLAN_H

#include "core/device.h"

struct lamina_plan_cache *lamina_plan_cache_open(const lamina_allocator *allocator, int room);
void lamina_plan_cache_close(struct lamina_plan_cache *cache);

/* What the engine estimated; 0 where nothing runs. */
double lamina_plan_seconds(const lamina_plan *plan);

/* Runs a plan of `op` with the pointers of its typed args struct. */
lamina_status lamina_plan_run_typed(const lamina_plan *plan, const char *op, const void *args, size_t size,
                                    void *workspace, lamina_stream *stream);

/* A family's args struct is exactly its pointers in row order. */
#define LAMINA_CHECK_ARGS(name, row_args)                                                                              \
  _Static_assert(sizeof(lamina_##name##_args) == (LAMINA_COUNT_OF(row_args) - 1) * sizeof(void *),                     \
                 "lamina_" #name "_args and its row disagree")

#define LAMINA_UNPACK(...) __VA_ARGS__

/* The typed calls of one pass: lamina_NAME (simple), lamina_NAME_plan and lamina_NAME_run. `descriptor` is the
 * parameter that holds the attributes (or NULL), `tensors` the parameters in row order, then the parameters. */
#define LAMINA_DEFINE_CALLS(name, op, descriptor, tensors, ...)                                                        \
  lamina_status lamina_##name(lamina_device *device, __VA_ARGS__, lamina_stream *stream) {                             \
    return lamina_op_run(device, op, descriptor, (const lamina_tensor *[]){LAMINA_UNPACK tensors}, stream);            \
  }                                                                                                                    \
  lamina_status lamina_##name##_plan(lamina_device *device, __VA_ARGS__, const lamina_plan_options *options,           \
                                     lamina_plan **plan) {                                                             \
    return lamina_op_plan(device, op, descriptor, (const lamina_tensor *[]){LAMINA_UNPACK tensors}, options, plan);    \
  }                                                                                                                    \
  lamina_status lamina_##name##_run(const lamina_plan *plan, const lamina_##name##_args *args, void *workspace,        \
                                    lamina_stream *stream) {                                                           \
    return lamina_plan_run_typed(plan, op, args, sizeof *args, workspace, stream);                                     \
  }

#endif
