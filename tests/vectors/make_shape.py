#!/usr/bin/env python3
"""Vectors of the ops that move, join, repeat and reduce: make.py says what it is all about."""

import torch
import torch.nn.functional as F

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


def pads():
    backwards("pad", lambda x: F.pad(x, (2, 0, 0, 1), value=1.5), (2, 3, 4), "pad", ["before=0,0,2", "after=0,1", "value=1.5"])
    backwards("pad_edge", lambda x: F.pad(x, (2, 1, 0, 3), "replicate"), (1, 2, 3, 4), "pad",
              ["before=0,0,0,2", "after=0,0,3,1", "mode=edge"])
    backwards("pad_reflect", lambda x: F.pad(x, (3, 2, 1, 2), "reflect"), (1, 2, 3, 4), "pad",
              ["before=0,0,1,3", "after=0,0,2,2", "mode=reflect"])


def reductions():
    backwards("sum", lambda x: x.sum((0, 2)), (3, 4, 5), "sum", ["axes=0,-1"])
    backwards("sum_all", lambda x: x.sum(), (3, 4), "sum", [])
    backwards("mean", lambda x: x.mean((1, 3), keepdim=True), (2, 3, 2, 4), "mean", ["axes=1,3", "keep=1"])
    start("max")
    x = randn(3, 4, 5)
    y, indices = x.max(1)
    dy = torch.randn_like(y)
    y.backward(dy)
    i = save("indices", indices.to(torch.int32))
    case("max/forward", [f"x={save('x', x)}", "axes=1"], y=save("y", y), indices=i)
    case("max/backward", [f"dy={save('dy', dy)}", f"indices={i}", f"dx={shape(x)}:f64", "axes=1"], dx=save("dx", x.grad))


def resizes():
    def resize(name, x, size, mode, corners=None):
        words = [numbers("size", size)] + (["mode=linear"] if mode != "nearest" else [])
        words += ["align_corners=1"] if corners else []
        backwards(name, lambda x: F.interpolate(x, size, mode=mode, align_corners=corners), x, "resize", words)

    resize("resize_nearest", (2, 3, 5), (8,), "nearest")
    resize("resize_nearest2", (1, 2, 4, 6), (7, 3), "nearest")
    resize("resize_linear", (2, 3, 5), (7,), "linear", False)
    resize("resize_bilinear", (1, 2, 4, 5), (7, 3), "bilinear", False)
    resize("resize_corners", (1, 2, 4, 5), (6, 9), "bilinear", True)
    resize("resize_trilinear", (1, 1, 2, 3, 4), (3, 5, 2), "trilinear", False)


products("multiply", (3, 5), (3, 5), (3, 5))
products("multiply_channels", (2, 3, 4), (3,), (1, 3, 1))
products("multiply_ones", (2, 3, 2, 4), (2, 1, 1, 4), (2, 1, 1, 4))
concat("concat", 3, 1, [3, 1, 4])
concat("concat_first", 2, 0, [2, 5])
slices()
transposes()
pads()
reductions()
resizes()
write("shape")
