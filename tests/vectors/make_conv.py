#!/usr/bin/env python3
"""Test vectors of convolution's relatives, as make.py makes those of convolution: conv.txt."""

import torch
import torch.nn.functional as F

from vectors import axes, case, path, randn, save, shape, start, write


def pads(pad):
    return axes("pad", [f"{before}:{after}" for before, after in pad], "0:0")


def padded(x, pad):
    return F.pad(x, [side for axis in reversed(pad) for side in axis])  # it starts at the last axis


def flipped(name, x, w, stride, dilation, pad, groups):
    """True convolution: PyTorch's with the filter turned."""
    start(name)
    rank = len(x) - 2
    x, w, b = randn(*x), randn(*w), randn(w[0])
    run = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    y = run(padded(x, pad), w.flip(list(range(2, 2 + rank))), b, stride, 0, dilation, groups)
    dy = torch.randn_like(y)
    y.backward(dy)
    attrs = ["flip=1", f"groups={groups}"] + axes("stride", stride, 1) + axes("dilation", dilation, 1) + pads(pad)
    words = [f"x={save('x', x)}", f"w={save('w', w)}", f"b={save('b', b)}"]
    case("conv/forward", words + attrs, y=save("y", y))
    words = [f"dy={save('dy', dy)}", f"w={path('w')}", f"dx={shape(x)}:f64"]
    case("conv/backward_data", words + attrs, dx=save("dx", x.grad))
    words = [f"x={path('x')}", f"dy={path('dy')}", f"dw={shape(w)}:f64"]
    case("conv/backward_weights", words + attrs, dw=save("dw", w.grad))


def transposed(name, x, w, bias, stride, dilation, pad, output_pad, groups):
    """PyTorch pads both sides alike."""
    start(name)
    rank = len(x) - 2
    x, w, b = randn(*x), randn(*w), randn(w[1] * groups) if bias else None
    run = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[rank - 1]
    y = run(x, w, b, stride, pad, output_pad, groups, dilation)
    dy = torch.randn_like(y)
    y.backward(dy)
    attrs = [f"groups={groups}"] + axes("stride", stride, 1) + axes("dilation", dilation, 1)
    attrs += axes("pad", pad, 0) + axes("output_pad", output_pad, 0)
    words = [f"x={save('x', x)}", f"w={save('w', w)}"] + ([f"b={save('b', b)}"] if bias else [])
    case("conv_transpose/forward", words + attrs, y=save("y", y))
    case("conv_transpose/backward_data", [f"dy={save('dy', dy)}", f"w={path('w')}"] + attrs, dx=save("dx", x.grad))
    words = [f"x={path('x')}", f"dy={path('dy')}", f"dw={shape(w)}:f64"]
    case("conv_transpose/backward_weights", words + attrs, dw=save("dw", w.grad))
    if bias:
        case("conv_transpose/backward_bias", [f"dy={path('dy')}"], db=save("db", b.grad))


transposed("conv_transpose1d", (2, 3, 5), (3, 4, 3), True, [2], [1], [1], [1], 1)
transposed("conv_transpose2d", (2, 4, 3, 4), (4, 3, 3, 2), True, [2, 3], [1, 2], [1, 0], [1, 2], 2)
transposed("conv_transpose2d_same", (1, 2, 4, 5), (2, 3, 3, 3), False, [1, 1], [1, 1], [1, 1], [0, 0], 1)
transposed("conv_transpose3d", (1, 2, 2, 3, 2), (2, 2, 2, 3, 2), True, [1, 2, 2], [2, 1, 1], [0, 1, 1], [1, 0, 1], 1)
flipped("conv1d_flip", (2, 3, 9), (4, 3, 4), [2], [1], [(1, 2)], 1)
flipped("conv2d_flip", (2, 4, 6, 7), (6, 2, 3, 2), [1, 2], [2, 1], [(2, 1), (0, 1)], 2)
flipped("conv3d_flip", (1, 2, 4, 5, 3), (2, 2, 2, 3, 2), [1, 2, 1], [1, 1, 1], [(0, 1), (1, 1), (0, 0)], 1)
write("conv")
