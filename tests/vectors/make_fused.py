#!/usr/bin/env python3
"""Test vectors of fused ops, as make.py makes those of others: fused.txt."""

import torch
import torch.nn.functional as F

from vectors import axes, case, randn, save, start, write


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
write("fused")
