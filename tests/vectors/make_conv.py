#!/usr/bin/env python3
"""Test vectors of convolution's relatives, as make.py makes those of convolution: conv.txt."""

import numpy as np
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
def local(name, x, k, kernel, stride, dilation, pad, groups):
    """Windows by strides of the padded input, and one product for each position."""
    start(name)
    rank = len(x) - 2
    x = randn(*x)
    windows = padded(x, pad)
    for axis, (size, step, gap) in enumerate(zip(kernel, stride, dilation)):
        windows = windows.unfold(2 + axis, gap * (size - 1) + 1, step)[..., ::gap]
    out = windows.shape[2 : 2 + rank]
    w, b = randn(*out, k, x.shape[1] // groups, *kernel), randn(k, *out)
    places, taps = "ijl"[:rank], "rst"[:rank]
    ws, xs = w.unflatten(rank, (groups, k // groups)), windows.unflatten(1, (groups, x.shape[1] // groups))
    y = torch.einsum(f"ngc{places}{taps},{places}gkc{taps}->ngk{places}", xs, ws).flatten(1, 2) + b
    dy = torch.randn_like(y)
    y.backward(dy)
    attrs = [f"groups={groups}"] + axes("stride", stride, 1) + axes("dilation", dilation, 1) + pads(pad)
    case("local_conv/forward", [f"x={save('x', x)}", f"w={save('w', w)}", f"b={save('b', b)}"] + attrs, y=save("y", y))
    words = [f"dy={save('dy', dy)}", f"w={path('w')}", f"dx={shape(x)}:f64"]
    case("local_conv/backward_data", words + attrs, dx=save("dx", x.grad))
    words = [f"x={path('x')}", f"dy={path('dy')}", f"dw={shape(w)}:f64"]
    case("local_conv/backward_weights", words + attrs, dw=save("dw", w.grad))
    case("local_conv/backward_bias", [f"dy={path('dy')}"], db=save("db", b.grad))


local("local_conv1d", (2, 3, 7), 4, (3,), [2], [1], [(1, 0)], 1)
local("local_conv2d", (2, 4, 4, 5), 6, (2, 3), [1, 2], [2, 1], [(0, 1), (1, 1)], 2)
local("local_conv3d", (1, 2, 3, 4, 3), 2, (2, 2, 1), [1, 2, 1], [1, 1, 1], [(0, 0), (1, 0), (0, 0)], 1)
def matrix(name, w, size, stride, dilation, pad, groups):
    """Column by column: what the convolution makes of each unit picture. Of ones it makes the places that are stored."""
    start(name)
    rank = len(w) - 2
    w, channels = randn(*w), w[1] * groups
    units = torch.eye(channels * int(np.prod(size)), dtype=torch.float64).reshape(-1, channels, *size)
    run = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    columns = [run(padded(units, pad), f, None, stride, 0, dilation, groups).flatten(1).T for f in (w, torch.ones_like(w))]
    dense, stored = columns[0].detach().numpy(), columns[1].numpy() != 0
    rows = np.concatenate([[0], np.cumsum(stored.sum(1))])
    attrs = ["size=" + ",".join(map(str, size)), f"groups={groups}"]
    attrs += axes("stride", stride, 1) + axes("dilation", dilation, 1) + pads(pad)
    case("conv/matrix", [f"w={save('w', w)}"] + attrs, values=save("values", dense[stored]),
         columns=save("columns", np.nonzero(stored)[1]), rows=save("rows", rows))


matrix("conv_matrix1d", (2, 3, 3), [6], [2], [1], [(1, 2)], 1)
matrix("conv_matrix2d", (4, 1, 2, 3), [4, 5], [1, 2], [2, 1], [(1, 0), (2, 1)], 2)
matrix("conv_matrix3d", (1, 2, 2, 1, 2), [2, 3, 3], [1, 1, 1], [1, 1, 1], [(0, 0), (0, 1), (1, 0)], 1)
flipped("conv1d_flip", (2, 3, 9), (4, 3, 4), [2], [1], [(1, 2)], 1)
flipped("conv2d_flip", (2, 4, 6, 7), (6, 2, 3, 2), [1, 2], [2, 1], [(2, 1), (0, 1)], 2)
flipped("conv3d_flip", (1, 2, 4, 5, 3), (2, 2, 2, 3, 2), [1, 2, 1], [1, 1, 1], [(0, 1), (1, 1), (0, 0)], 1)
write("conv")
