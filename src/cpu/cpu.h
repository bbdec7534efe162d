/* What CPU engines share. */
#ifndef LAMINA_CPU_CPU_H
#define LAMINA_CPU_CPU_H

#include "core/device.h"
#include "core/problem.h"

#endif
