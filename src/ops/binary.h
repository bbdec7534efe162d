/* What sums and products share, whose second argument may repeat. */
#ifndef LAMINA_OPS_BINARY_H
#define LAMINA_OPS_BINARY_H

#include "core/draw.h"
#include "core/problem.h"

/* The element of `small` that meets element `index` of `large`. */
int64_t lamina_broadcast_index(const lamina_desc *large, const lamina_desc *small, int64_t index);
/* How many elements of `large` meet one of `small`, and number n of those that meet element `index`. */
int64_t lamina_broadcast_count(const lamina_desc *large, const lamina_desc *small);
int64_t lamina_broadcast_member(const lamina_desc *large, const lamina_desc *small, int64_t index, int64_t n);

/* Draws a and b: alike, one number for each channel, or sizes of 1. */
void lamina_sample_binary(lamina_problem *problem, lamina_draw *draw);

#endif
