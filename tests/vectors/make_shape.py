#!/usr/bin/env python3
"""Vectors of the ops that move, join, repeat and reduce: make.py says what it is all about."""

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


def products(name, a, b, repeated):
    """`repeated`: b with the axes of a."""
    start(name)
    a, b = randn(*a), randn(*b)
    dy = torch.randn_like(a)
    y = a * b.reshape(repeated)
    y.backward(dy)
    af, bf, dyf = save("a", a), save("b", b), save("dy", dy)
    case("multiply/forward", [f"a={af}", f"b={bf}"], y=save("y", y))
    case("multiply/backward", [f"a={af}", f"b={bf}", f"dy={dyf}"], da=save("da", a.grad), db=save("db", b.grad))
    case("add/forward", [f"a={af}", f"b={bf}"], y=save("sum", a + b.reshape(repeated)))
    b.grad = None
    (a + b.reshape(repeated)).backward(dy)
    case("add/backward", [f"dy={dyf}", f"db={shape(b)}:f64"], da=dyf, db=save("dsum", b.grad))


products("multiply", (3, 5), (3, 5), (3, 5))
products("multiply_channels", (2, 3, 4), (3,), (1, 3, 1))
products("multiply_ones", (2, 3, 2, 4), (2, 1, 1, 4), (2, 1, 1, 4))
concat("concat", 3, 1, [3, 1, 4])
concat("concat_first", 2, 0, [2, 5])
slices()
transposes()
write("shape")
