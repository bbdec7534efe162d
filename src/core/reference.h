/* The generic engine that runs any op by its reference. */
#ifndef LAMINA_CORE_REFERENCE_H
#define LAMINA_CORE_REFERENCE_H

#include "core/device.h"

extern const lamina_engine lamina_ref_engine;
/* The same for devices with memory of their own: only for empty inputs, of which an identity comes. */
extern const lamina_engine lamina_ref_elsewhere_engine;

#endif
