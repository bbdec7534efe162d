#!/usr/bin/env python3
"""Test vectors of pooling's relatives, as make.py makes those of max and average pooling: pool.txt."""

import torch
import torch.nn.functional as F

from vectors import axes, case, randn, save, shape, start, write


def window(kernel, stride, pad, dilation, ceil_mode):
    attrs = axes("kernel", kernel, 0) + axes("stride", stride, 0) + axes("pad", pad, 0) + axes("dilation", dilation, 1)
    return attrs + (["ceil_mode=1"] if ceil_mode else [])


def extreme(name, family, x, kernel, stride, pad, dilation, ceil_mode=False):
    """Min pooling is max pooling of -x."""
    start(name)
    sign, rank, x = -1 if family == "min_pool" else 1, len(x) - 2, randn(*x)
    run = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[rank - 1]
    y, indices = run(sign * x, kernel, stride, pad, dilation, ceil_mode, return_indices=True)
    y = sign * y
    dy = torch.randn_like(y)
    y.backward(dy)
    attrs, saved = window(kernel, stride, pad, dilation, ceil_mode), save("indices", indices.to(torch.int32))
    case(f"{family}/forward", [f"x={save('x', x)}"] + attrs, y=save("y", y), indices=saved)
    words = [f"dy={save('dy', dy)}", f"dx={shape(x)}:f64", f"indices={saved}"]
    case(f"{family}/backward", words + attrs, dx=save("dx", x.grad))


extreme("max_pool1d_dilated", "max_pool", (2, 2, 15), [4], [2], [2], [3])
extreme("max_pool2d_dilated", "max_pool", (1, 2, 9, 8), [3, 2], [1, 2], [1, 1], [2, 3], True)
extreme("min_pool1d", "min_pool", (2, 3, 9), [3], [2], [1], [1])
extreme("min_pool2d", "min_pool", (2, 2, 7, 6), [3, 2], [2, 2], [1, 0], [1, 1], True)
extreme("min_pool3d_dilated", "min_pool", (1, 2, 6, 5, 6), [2, 3, 2], [1, 2, 2], [1, 1, 1], [3, 1, 2])
write("pool")
