/* Places of the pools' arguments, and what their references are made of. */
#ifndef LAMINA_OPS_POOL_H
#define LAMINA_OPS_POOL_H

#include "core/problem.h"
#include "lamina/pool.h"

enum { LAMINA_MAX_POOL_FORWARD_X, LAMINA_MAX_POOL_FORWARD_Y, LAMINA_MAX_POOL_FORWARD_INDICES };
enum { LAMINA_MAX_POOL_BACKWARD_DY, LAMINA_MAX_POOL_BACKWARD_INDICES, LAMINA_MAX_POOL_BACKWARD_DX };
enum { LAMINA_AVG_POOL_FORWARD_X, LAMINA_AVG_POOL_FORWARD_Y };
enum { LAMINA_AVG_POOL_BACKWARD_DY, LAMINA_AVG_POOL_BACKWARD_DX };

/* How many elements window `o` of an axis counts in an average; `size` is the input's. */
int64_t lamina_pool_count(const lamina_pool *pool, int axis, int64_t size, int64_t o);

void lamina_max_pool_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
int64_t lamina_max_pool_backward_scratch(const lamina_problem *p);
lamina_status lamina_max_pool_backward_prepare(const lamina_reference *ref);
void lamina_max_pool_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_avg_pool_forward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);
void lamina_avg_pool_backward_element(const lamina_reference *ref, int arg, int64_t index, lamina_expected *e);

#endif
