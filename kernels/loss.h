/* What the launchers of losses share. */
#ifndef KERNEL_LOSS_H
#define KERNEL_LOSS_H

#include "launch.h"

/* What becomes of the examples' losses: one number, or each for itself. */
typedef enum kernel_reduction { KERNEL_MEAN, KERNEL_SUM, KERNEL_NONE } kernel_reduction;

/* Blocks that leave their share of a sum behind, and the bytes of workspace that they do it in. */
enum { KERNEL_LOSS_BLOCKS = 2048, KERNEL_LOSS_WORKSPACE = 16 * KERNEL_LOSS_BLOCKS };

#endif
