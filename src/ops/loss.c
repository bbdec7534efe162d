/* What all losses share. */
#include "ops/loss.h"

const char *const lamina_reductions[] = {"mean", "sum", "none", NULL};
