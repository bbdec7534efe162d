/* All of Lamina's public interface. */
#ifndef LAMINA_LAMINA_H
#define LAMINA_LAMINA_H

#include "lamina/activation.h"
#include "lamina/arithmetic.h"
#include "lamina/cast.h"
#include "lamina/concat.h"
#include "lamina/conv.h"
#include "lamina/copy.h"
#include "lamina/data.h"
#include "lamina/device.h"
#include "lamina/dropout.h"
#include "lamina/engine.h"
#include "lamina/fc.h"
#include "lamina/fill.h"
#include "lamina/io.h"
#include "lamina/layers.h"
#include "lamina/loss.h"
#include "lamina/metric.h"
#include "lamina/module.h"
#include "lamina/net.h"
#include "lamina/op.h"
#include "lamina/optimizer.h"
#include "lamina/pool.h"
#include "lamina/slice.h"
#include "lamina/softmax.h"
#include "lamina/status.h"
#include "lamina/tensor.h"
#include "lamina/train.h"
#include "lamina/transpose.h"
#include "lamina/verify.h"

#endif
