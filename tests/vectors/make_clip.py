#!/usr/bin/env python3
"""Test vectors of clipping, as make.py makes those of the ops that nets began with: clip.txt."""

import torch

from vectors import case, randn, save, start, write


def clip(name, largest, *shapes):
    """Gradients of several parameters: their norm together, and each of them clipped."""
    start(name)
    before = [randn(*shape) for shape in shapes]
    parameters = [torch.zeros_like(g) for g in before]
    for p, g in zip(parameters, before):
        p.grad = g.detach().clone()
    x = save("x", torch.cat([g.flatten() for g in before]))
    norm = torch.nn.utils.clip_grad_norm_(parameters, largest)
    y = torch.cat([p.grad.flatten() for p in parameters])
    case("norm2/forward", [f"x={x}"], y=save("norm", norm.reshape(1)))
    case("clip_norm/forward", [f"x={x}", f"norm={name}/norm.npy", f"max={largest}"], y=save("by_norm", y))
    for p, g in zip(parameters, before):
        p.grad = g.detach().clone()
    torch.nn.utils.clip_grad_value_(parameters, largest)
    y = torch.cat([p.grad.flatten() for p in parameters])
    case("clip_value/forward", [f"x={x}", f"max={largest}"], y=save("by_value", y))


clip("clip", 0.5, (3, 4), (4,))
clip("clip_large", 100, (5,), (2, 2))
write("clip")
