/* All of Lamina's public interface. */
#ifndef LAMINA_LAMINA_H
#define LAMINA_LAMINA_H

#include "lamina/data.h"
#include "lamina/device.h"
#include "lamina/op.h"
#include "lamina/status.h"
#include "lamina/tensor.h"

#endif
