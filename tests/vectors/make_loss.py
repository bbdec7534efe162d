#!/usr/bin/env python3
"""Test vectors of the losses, as make.py makes those of the ops that nets began with: loss.txt."""

import torch
import torch.nn.functional as F

from vectors import case, randn, save, start, write


def classes(name, dims, reduction, target=None, weighted=False, ignore=None, smoothing=0.0):
    """Cross-entropy of scores; target: "soft" for probabilities, else labels."""
    start(name)
    x, soft = randn(*dims), target == "soft"
    family = "softmax_cross_entropy_target" if soft else "softmax_cross_entropy"
    t = torch.rand(*dims, dtype=torch.float64) if soft else torch.randint(dims[1], (dims[0],) + dims[2:])
    w = torch.rand(dims[1], dtype=torch.float64) + 0.25 if weighted else None
    y = F.cross_entropy(x, t, w, ignore_index=-100 if ignore is None else ignore, reduction=reduction,
                        label_smoothing=smoothing)
    dy = torch.randn_like(y)
    y.backward(dy)
    words = [f"{'target' if soft else 'labels'}={save('target', t)}", f"reduction={reduction}"]
    words += [f"weights={save('weights', w)}"] if weighted else []
    words += [f"ignore={ignore}"] if ignore is not None else []
    words += [f"label_smoothing={smoothing}"] if smoothing else []
    prob = save("prob", torch.softmax(x, 1))
    case(f"{family}/forward", [f"x={save('x', x)}"] + words, y=save("y", y.reshape(-1) if y.dim() == 0 else y), prob=prob)
    case(f"{family}/backward", [f"prob={prob}", f"dy={save('dy', dy.reshape(-1) if dy.dim() == 0 else dy)}"] + words,
         dx=save("dx", x.grad))


for reduction in "mean", "sum", "none":
    classes(f"loss_weighted_{reduction}", (6, 4), reduction, weighted=True, ignore=2, smoothing=0.3)
    classes(f"loss_soft_{reduction}", (5, 4), reduction, "soft", weighted=True, smoothing=0.2)
classes("loss_ignore", (2, 3, 3, 2), "mean", ignore=1)
classes("loss_smooth", (4, 5), "mean", smoothing=0.1)
classes("loss_soft", (2, 3, 3, 2), "mean", "soft")
write("loss")
