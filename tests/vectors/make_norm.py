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


def of_one(name, family, x, w, run, mean, attrs, affine=True):
    """layer_norm and group_norm: `mean` is the shape of what each row is brought to."""
    start(name)
    x = (2 * randn(*x) - 3).detach().requires_grad_()
    w, b = (randn(*w), randn(*w)) if affine else (None, None)
    y = run(x, w, b)
    dy = torch.randn_like(y)
    y.backward(dy)
    rows = x.reshape(*mean, -1)
    words = [f"x={save('x', x)}"] + ([f"w={save('w', w)}"] if affine else [])
    bias = [f"b={save('b', b)}"] if affine else []
    saved = {"mean": save("mean", rows.mean(-1)),
             "deviation": save("deviation", (rows.var(-1, unbiased=False) + 1e-5).rsqrt())}
    case(f"{family}/forward", words + bias + attrs, y=save("y", y), **saved)
    words += [f"{key}={file}" for key, file in saved.items()] + [f"dy={save('dy', dy)}"]
    gradients = {"dw": save("dw", w.grad), "db": save("db", b.grad)} if affine else {}
    case(f"{family}/backward", words + attrs, dx=save("dx", x.grad), **gradients)


def layer_norm(name, x, axis, affine=True):
    inner = x[axis:]
    of_one(name, "layer_norm", x, inner, lambda x, w, b: F.layer_norm(x, inner, w, b), x[:axis], [f"axis={axis}"],
           affine)


def group_norm(name, x, groups, affine=True):
    of_one(name, "group_norm", x, x[1:2], lambda x, w, b: F.group_norm(x, groups, w, b), (x[0], groups),
           [f"groups={groups}"], affine)


def lrn(name, x, size, alpha, beta, k):
    """Of odd sizes: PyTorch's even ones lie one element off ours."""
    start(name)
    x = (2 * randn(*x)).detach().requires_grad_()
    y = F.local_response_norm(x, size, alpha, beta, k)
    dy = torch.randn_like(y)
    y.backward(dy)
    attrs = [f"size={size}", f"alpha={alpha}", f"beta={beta}", f"k={k}"]
    case("lrn/forward", [f"x={save('x', x)}"] + attrs, y=save("y", y))
    case("lrn/backward", [f"x={path('x')}", f"dy={save('dy', dy)}"] + attrs, dx=save("dx", x.grad))


def lrn_within(name, x, size, alpha, beta, k):
    """Caffe's WITHIN_CHANNEL, from an average pool of the squares that counts its padding."""
    start(name)
    x = (2 * randn(*x)).detach().requires_grad_()
    mean = F.avg_pool2d(x * x, size, 1, (size - 1) // 2)
    y = x * (k + alpha * mean) ** -beta
    dy = torch.randn_like(y)
    y.backward(dy)
    attrs = [f"size={size}", f"alpha={alpha}", f"beta={beta}", f"k={k}", "within=1"]
    case("lrn/forward", [f"x={save('x', x)}"] + attrs, y=save("y", y))
    case("lrn/backward", [f"x={path('x')}", f"dy={save('dy', dy)}"] + attrs, dx=save("dx", x.grad))


batch_norm("batch_norm", (4, 3, 5, 2), True)
batch_norm("batch_norm_plain", (7, 4), False, 0.3, 1e-3)
batch_norm("batch_norm3d", (2, 2, 3, 2, 2), True, 1.0)
layer_norm("layer_norm", (3, 4, 5), 2)
layer_norm("layer_norm2", (2, 3, 4), 1)
layer_norm("layer_norm_plain", (3, 7), 1, False)
group_norm("group_norm", (2, 6, 3, 2), 3)
group_norm("group_norm_flat", (3, 8), 2)
group_norm("instance_norm", (2, 3, 5), 3, False)
lrn("lrn", (2, 7, 3, 2), 5, 0.7, 0.75, 2.0)
lrn("lrn_flat", (3, 6, 1), 3, 1.5, 1.25, 1.0)
lrn_within("lrn_within", (1, 2, 5, 4), 3, 2.0, 0.5, 1.0)
write("norm")
