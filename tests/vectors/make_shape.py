#!/usr/bin/env python3
"""Vectors of the ops that move and join elements: make.py says what it is all about."""

import torch

from vectors import case, path, randn, save, shape, start, write


def numbers(name, values):
    return f"{name}=" + ",".join(map(str, values))


def concat(name, rank, axis, sizes):
    start(name)
    parts = [randn(*[size if d == axis else d + 2 for d in range(rank)]) for size in sizes]
    y = torch.cat(parts, axis)
    dy = torch.randn_like(y)
    y.backward(dy)
    words = [f"x{k}={save(f'x{k}', part)}" for k, part in enumerate(parts)]
    yf, dyf = save("y", y), save("dy", dy)
    gradients = {f"dx{k}": save(f"dx{k}", part.grad) for k, part in enumerate(parts)}
    case("concat/forward", words + [f"axis={axis}"], y=yf)
    case("concat/backward", [f"dy={dyf}", f"axis={axis}", numbers("sizes", sizes)], **gradients)
    outputs = {f"y{k}": path(f"dx{k}") for k in range(len(parts))}
    case("split/forward", [f"x={dyf}", f"axis={axis}", numbers("sizes", sizes)], **outputs)
    words = [f"dy{k}={path(f'x{k}')}" for k in range(len(parts))]
    case("split/backward", words + [f"axis={axis}", numbers("sizes", sizes)], dx=yf)


def backwards(name, run, x, family, words):
    """Forward and backward of an op of one x."""
    start(name)
    x = randn(*x)
    y = run(x)
    dy = torch.randn_like(y)
    y.backward(dy)
    case(f"{family}/forward", [f"x={save('x', x)}", *words], y=save("y", y))
    case(f"{family}/backward", [f"dy={save('dy', dy)}", f"dx={shape(x)}:f64", *words], dx=save("dx", x.grad))


def slices():
    backwards("slice", lambda x: x[1:, :, 2:-1, ::3], (3, 2, 6, 7), "slice", ["start=1,0,2", "stop=0,0,-1", "step=0,0,0,3"])
    backwards("slice_flip", lambda x: x.flip(1)[:, ::2], (3, 7), "slice", ["step=1,-2"])


def transposes():
    backwards("transpose", lambda x: x.permute(2, 0, 3, 1), (2, 3, 4, 5), "transpose", ["perm=2,0,3,1"])
    backwards("transpose_last", lambda x: x.mT, (3, 5, 4), "transpose", ["perm=0,-1,-2"])


concat("concat", 3, 1, [3, 1, 4])
concat("concat_first", 2, 0, [2, 5])
slices()
transposes()
write("shape")
