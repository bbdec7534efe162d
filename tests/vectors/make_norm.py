#!/usr/bin/env python3
"""Test vectors of the normalisations, as make.py makes those of other ops: norm.txt."""

import torch
import torch.nn.functional as F

from vectors import case, path, randn, save, start, write


def batch_norm(name, x, affine, momentum=None, epsilon=None):
    start(name)
    x = (3 * randn(*x) + 5).detach().requires_grad_()
    c = x.shape[1]
    w, b = (randn(c), randn(c)) if affine else (None, None)
    mean, variance = randn(c).detach(), torch.rand(c, dtype=torch.float64) + 0.5
    now_mean, now_variance = mean.clone(), variance.clone()
    attrs = ([f"momentum={momentum}"] if momentum is not None else []) + ([f"epsilon={epsilon}"] if epsilon else [])
    epsilon = epsilon or 1e-5
    y = F.batch_norm(x, now_mean, now_variance, w, b, True, 0.1 if momentum is None else momentum, epsilon)
    axes = [0] + list(range(2, x.dim()))
    dy = torch.randn_like(y)
    y.backward(dy)
    words = [f"x={save('x', x)}"] + ([f"w={save('w', w)}", f"b={save('b', b)}"] if affine else [])
    running = [f"running_mean={save('running_mean', mean)}", f"running_variance={save('running_variance', variance)}"]
    deviation = (x.var(axes, unbiased=False) + epsilon).rsqrt()
    case("batch_norm/forward", words + running + attrs, y=save("y", y), mean=save("mean", x.mean(axes)),
         deviation=save("deviation", deviation), new_running_mean=save("new_running_mean", now_mean),
         new_running_variance=save("new_running_variance", now_variance))
    inference = F.batch_norm(x, mean, variance, w, b, False, 0, epsilon)
    case("batch_norm/inference", words + running + attrs, y=save("inference", inference))
    saved = [f"mean={path('mean')}", f"deviation={path('deviation')}", f"dy={save('dy', dy)}"]
    gradients = {"dw": save("dw", w.grad), "db": save("db", b.grad)} if affine else {}
    case("batch_norm/backward", words[:2 if affine else 1] + saved + attrs, dx=save("dx", x.grad), **gradients)


batch_norm("batch_norm", (4, 3, 5, 2), True)
batch_norm("batch_norm_plain", (7, 4), False, 0.3, 1e-3)
batch_norm("batch_norm3d", (2, 2, 3, 2, 2), True, 1.0)
write("norm")
