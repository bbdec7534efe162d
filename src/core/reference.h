/* The generic engine that runs any op by its reference. */
#ifndef LAMINA_CORE_REFERENCE_H
#define LAMINA_CORE_REFERENCE_H

#include "core/device.h"

extern const lamina_engine lamina_ref_engine;

#endif
