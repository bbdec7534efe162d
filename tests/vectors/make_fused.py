#!/usr/bin/env python3
"""Test vectors of fused ops, as make.py makes those of others: fused.txt."""

import torch
import torch.nn.functional as F

from vectors import axes, case, randn, save, shape, start, write


def fused(name, family, run, x, w, attrs=()):
    """A ReLU after the product, and one before it: PyTorch's own gradient of the two."""
    start(name)
    x, w, b = randn(*x), randn(*w), randn(w[0])
    files = {n: save(n, t) for n, t in (("x", x), ("w", w), ("b", b))}
    words = [f"{n}={files[n]}" for n in ("x", "w", "b")] + list(attrs)
    case(f"{family}_relu/forward", words, y=save("y", torch.relu(run(x, w, b))))
    z = run(torch.relu(x), w, b)
    dy = torch.randn_like(z)
    z.backward(dy)
    words = [f"dy={save('dy', dy)}", f"w={files['w']}", f"x={files['x']}"] + list(attrs)
    case(f"relu_{family}/backward_data", words, dx=save("dx", x.grad))


def pooled(name, pool, x, kernel, stride, pad, ceil=False):
    """A ReLU and a max pool behind it."""
    start(name)
    x = randn(*x)
    y, indices = pool(torch.relu(x), kernel, stride, pad, 1, ceil, return_indices=True)
    dy = torch.randn_like(y)
    y.backward(dy)
    attrs = axes("kernel", kernel, 0) + axes("stride", stride, 0) + axes("pad", pad, 0) + ["ceil_mode=1"] * ceil
    outputs = {"y": save("y", y), "indices": save("indices", indices.to(torch.int32))}
    case("relu_max_pool/forward", [f"x={save('x', x)}"] + attrs, **outputs)
    words = [f"y={outputs['y']}", f"dy={save('dy', dy)}", f"indices={outputs['indices']}", f"dx={shape(x)}:f64"]
    case("relu_max_pool/backward", words + attrs, dx=save("dx", x.grad))


fused("fused_fc", "fc", F.linear, (4, 6), (5, 6))
for name, x, w, stride, dilation, pad, groups in (
    ("fused_conv1d", (2, 3, 8), (4, 3, 3), 2, 1, (1,), 1),
    ("fused_conv2d", (2, 4, 6, 5), (6, 2, 3, 2), (1, 2), (2, 1), (1, 1), 2),
    ("fused_conv3d", (1, 2, 3, 4, 3), (3, 2, 2, 3, 2), 1, 1, (1, 0, 1), 1),
):
    conv = (F.conv1d, F.conv2d, F.conv3d)[len(x) - 3]
    attrs = [f"groups={groups}"] if groups > 1 else []
    for key, value in (("stride", stride), ("dilation", dilation)):
        attrs += axes(key, value if isinstance(value, tuple) else (value,) * len(pad), 1)
    attrs += axes("pad", pad, 0)
    fused(name, "conv", lambda x, w, b, c=conv, s=stride, p=pad, d=dilation, g=groups: c(x, w, b, s, p, d, g), x, w, attrs)
pooled("fused_pool1d", F.max_pool1d, (2, 3, 9), [2], [2], [0])
pooled("fused_pool2d", F.max_pool2d, (2, 2, 7, 6), [2, 2], [2, 1], [1, 0], True)
pooled("fused_pool3d", F.max_pool3d, (1, 2, 4, 5, 6), [1, 2, 2], [1, 2, 2], [0, 1, 1])
write("fused")
