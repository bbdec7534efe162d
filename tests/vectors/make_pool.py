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


def lp(name, x, kernel, stride, p, positive=False):
    """PyTorch doesn't take magnitudes, so p is even or x positive. It knows no padding."""
    start(name)
    rank, x = len(x) - 2, randn(*x)
    if positive:
        x = x.detach().abs().requires_grad_()
    y = (F.lp_pool1d, F.lp_pool2d, F.lp_pool3d)[rank - 1](x, float(p), kernel if rank > 1 else kernel[0], stride)
    dy = torch.randn_like(y)
    y.backward(dy)
    attrs = axes("kernel", kernel, 0) + axes("stride", stride, 0) + [f"p={p}"]
    xf, yf = save("x", x), save("y", y)
    case("lp_pool/forward", [f"x={xf}"] + attrs, y=yf)
    case("lp_pool/backward", [f"x={xf}", f"y={yf}", f"dy={save('dy', dy)}"] + attrs, dx=save("dx", x.grad))


def mixed(name, x, kernel, stride, pad, share, ceil_mode=False, count_pad=False):
    """The blend of PyTorch's max and average pooling."""
    start(name)
    rank, x = len(x) - 2, randn(*x)
    largest = (F.max_pool1d, F.max_pool2d)[rank - 1]
    average = (F.avg_pool1d, F.avg_pool2d)[rank - 1]
    most, indices = largest(x, kernel, stride, pad, 1, ceil_mode, return_indices=True)
    y = share * most + (1 - share) * average(x, kernel, stride, pad, ceil_mode, count_pad)
    dy = torch.randn_like(y)
    y.backward(dy)
    attrs = window(kernel, stride, pad, [1], ceil_mode) + [f"max_share={share}"]
    attrs += ["count_pad=1"] if count_pad else []
    saved = save("indices", indices.to(torch.int32))
    case("mixed_pool/forward", [f"x={save('x', x)}"] + attrs, y=save("y", y), indices=saved)
    words = [f"dy={save('dy', dy)}", f"dx={shape(x)}:f64", f"indices={saved}"]
    case("mixed_pool/backward", words + attrs, dx=save("dx", x.grad))


def expectation(name, x, kernel, stride, pad):
    """Stochastic pooling's average: the average of squares over the average, both of what is positive, if anything."""
    start(name)
    x = randn(*x)
    w = torch.relu(x)
    y = F.avg_pool2d(w * w, kernel, stride, pad) / F.avg_pool2d(w, kernel, stride, pad)
    y = torch.where(torch.isnan(y), F.max_pool2d(x, kernel, stride, pad), y)
    case("stochastic_pool/inference", [f"x={save('x', x)}"] + window(kernel, stride, pad, [1], False), y=save("y", y))


def unpool(name, x, kernel, output):
    """Of indices that come once: PyTorch leaves open what happens to others."""
    start(name)
    rank = len(x) - 2
    pool, back = ((F.max_pool1d, F.max_unpool1d), (F.max_pool2d, F.max_unpool2d))[rank - 1]
    _, indices = pool(torch.randn(*x, dtype=torch.float64), kernel, return_indices=True)
    x = randn(*indices.shape)
    y = back(x, indices, kernel, output_size=output)
    dy = torch.randn_like(y)
    y.backward(dy)
    saved = save("indices", indices.to(torch.int32))
    case("max_unpool/forward", [f"x={save('x', x)}", f"indices={saved}", f"y={shape(y)}:f64"], y=save("y", y))
    case("max_unpool/backward", [f"dy={save('dy', dy)}", f"indices={saved}"], dx=save("dx", x.grad))


def spectral(name, x, size):
    start(name)
    rank, x = len(x) - 2, randn(*x)
    along = list(range(2, 2 + rank))
    kept = torch.fft.fftshift(torch.fft.fftn(x, dim=along, norm="ortho"), along)
    for axis, m in zip(along, size):
        kept = kept.narrow(axis, x.shape[axis] // 2 - m // 2, m)
    y = torch.fft.ifftn(torch.fft.ifftshift(kept, along), dim=along, norm="ortho").real
    dy = torch.randn_like(y)
    y.backward(dy)
    attrs = axes("size", size, 0)
    case("spectral_pool/forward", [f"x={save('x', x)}"] + attrs, y=save("y", y))
    case("spectral_pool/backward", [f"dy={save('dy', dy)}", f"dx={shape(x)}:f64"] + attrs, dx=save("dx", x.grad))


extreme("max_pool1d_dilated", "max_pool", (2, 2, 15), [4], [2], [2], [3])
extreme("max_pool2d_dilated", "max_pool", (1, 2, 9, 8), [3, 2], [1, 2], [1, 1], [2, 3], True)
extreme("min_pool1d", "min_pool", (2, 3, 9), [3], [2], [1], [1])
extreme("min_pool2d", "min_pool", (2, 2, 7, 6), [3, 2], [2, 2], [1, 0], [1, 1], True)
extreme("min_pool3d_dilated", "min_pool", (1, 2, 6, 5, 6), [2, 3, 2], [1, 2, 2], [1, 1, 1], [3, 1, 2])
lp("lp_pool1d", (2, 3, 9), [3], [2], 2)
lp("lp_pool2d", (2, 2, 7, 6), [3, 2], [2, 1], 2)
lp("lp_pool2d_cubes", (1, 2, 5, 6), [2, 2], [2, 2], 3, positive=True)
lp("lp_pool2d_half", (1, 2, 5, 6), [2, 3], [1, 2], 1.5, positive=True)
lp("lp_pool3d", (1, 2, 4, 5, 6), [2, 3, 2], [1, 2, 2], 4)
mixed("mixed_pool1d", (2, 3, 9), [3], [2], [1], 0.3)
mixed("mixed_pool2d", (2, 2, 7, 6), [3, 2], [2, 2], [1, 1], 0.85, ceil_mode=True)
mixed("mixed_pool2d_pad", (1, 2, 7, 6), [3, 2], [2, 1], [1, 0], 0.5, count_pad=True)
expectation("stochastic_pool2d", (2, 2, 7, 6), [3, 2], [2, 2], [1, 1])
spectral("spectral_pool1d", (2, 3, 9), [4])
spectral("spectral_pool2d_even", (2, 2, 8, 7), [4, 2])
spectral("spectral_pool2d_odd", (1, 2, 7, 8), [5, 3])
spectral("spectral_pool2d_same", (1, 1, 6, 5), [6, 4])
spectral("spectral_pool3d", (1, 2, 6, 5, 8), [4, 2, 6])
unpool("max_unpool1d", (2, 3, 9), [2], (9,))
unpool("max_unpool2d", (2, 2, 7, 6), [3, 2], (7, 6))
write("pool")
