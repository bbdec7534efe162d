#!/usr/bin/env python3
"""Test vectors of the activations beyond relu, sigmoid and tanh, as make.py makes those: activation.txt."""

import torch
import torch.nn.functional as F

from vectors import case, path, randn, save, start, write


def elementwise(family, run, attrs=(), name=None, takes="y", most=40.0):
    """Forward, and backward from x or y, and dy."""
    start(name or family)
    edges = torch.tensor([0.0, -40.0, most, -800.0, most / 2, 1e-9, -1e-9, 2.5, -2.5, 3.5, -3.5])
    x = torch.cat([2 * torch.randn(20, dtype=torch.float64), edges.double()]).requires_grad_()
    y = run(x)
    dy = torch.randn_like(y)
    y.backward(dy)
    save("x", x)
    save("y", y)
    case(f"{family}/forward", [f"x={path('x')}", *attrs], y=path("y"))
    case(f"{family}/backward", [f"{takes}={path(takes)}", f"dy={save('dy', dy)}", *attrs], dx=save("dx", x.grad))


elementwise("leaky_relu", F.leaky_relu)
elementwise("leaky_relu", lambda x: F.leaky_relu(x, 0.3), ["slope=0.3"], "leaky_relu_steep")
elementwise("elu", F.elu)
elementwise("elu", lambda x: F.elu(x, 1.7), ["alpha=1.7"], "elu_alpha")
elementwise("selu", F.selu)
elementwise("gelu", F.gelu, takes="x")
elementwise("gelu", lambda x: F.gelu(x, approximate="tanh"), ["form=tanh"], "gelu_tanh", "x")
elementwise("silu", F.silu, takes="x")
elementwise("softplus", F.softplus, most=19)  # beyond 20 PyTorch gives x
elementwise("softplus", lambda x: F.softplus(x, 2.5), ["beta=2.5"], "softplus_beta", most=7)
# F.hardsigmoid has its gradient from a 1/6 in f32.
elementwise("hard_sigmoid", lambda x: F.relu6(x + 3) / 6, takes="x")
elementwise("softsign", F.softsign)


def prelu(name, x, slopes):
    start(name)
    x, slope = randn(*x), randn(slopes)
    y = F.prelu(x, slope)
    dy = torch.randn_like(y)
    y.backward(dy)
    words = [f"x={save('x', x)}", f"slope={save('slope', slope)}"]
    case("prelu/forward", words, y=save("y", y))
    case("prelu/backward", words + [f"dy={save('dy', dy)}"], dx=save("dx", x.grad), dslope=save("dslope", slope.grad))


prelu("prelu", (2, 3, 2, 4), 3)
prelu("prelu_shared", (3, 5), 1)
write("activation")
