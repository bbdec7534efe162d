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


def pointwise(name, family, reduction, loss, words=(), weighted=False, targets="normal"):
    """`loss` of x, target and the reduction "none"; the rest is weighting and adding up."""
    start(name)
    x = randn(3, 5)
    t = {"normal": torch.randn_like(x), "probabilities": torch.rand_like(x), "signs": torch.randn_like(x).sign()}[targets]
    w = torch.rand_like(x) if weighted else None
    y = loss(x, t.detach()) * (w if weighted else 1)
    y = {"none": y, "sum": y.sum().reshape(1), "mean": y.mean().reshape(1)}[reduction]
    dy = torch.randn_like(y)
    y.backward(dy)
    words = [f"x={save('x', x)}", f"target={save('target', t)}", f"reduction={reduction}"] + list(words)
    words += [f"weights={save('weights', w)}"] if weighted else []
    case(f"{family}/forward", words, y=save("y", y))
    case(f"{family}/backward", words + [f"dy={save('dy', dy)}"], dx=save("dx", x.grad))


for reduction in "mean", "sum", "none":
    classes(f"loss_weighted_{reduction}", (6, 4), reduction, weighted=True, ignore=2, smoothing=0.3)
    classes(f"loss_soft_{reduction}", (5, 4), reduction, "soft", weighted=True, smoothing=0.2)
classes("loss_ignore", (2, 3, 3, 2), "mean", ignore=1)
classes("loss_smooth", (4, 5), "mean", smoothing=0.1)
classes("loss_soft", (2, 3, 3, 2), "mean", "soft")

each = dict(reduction="none")
pointwise("mse", "mse", "mean", lambda x, t: F.mse_loss(x, t, **each))
pointwise("mse_weighted", "mse", "none", lambda x, t: F.mse_loss(x, t, **each), weighted=True)
pointwise("l1", "l1", "sum", lambda x, t: F.l1_loss(x, t, **each))
pointwise("huber", "huber", "mean", lambda x, t: F.huber_loss(x, t, delta=0.7, **each), ["delta=0.7"])
pointwise("smooth_l1", "huber", "none", lambda x, t: 0.5 * F.smooth_l1_loss(x, t, beta=0.5, **each), ["delta=0.5"])
pointwise("bce", "binary_cross_entropy", "mean",
          lambda x, t: F.binary_cross_entropy_with_logits(x, t, **each), targets="probabilities")
pointwise("bce_weighted", "binary_cross_entropy", "sum",
          lambda x, t: F.binary_cross_entropy_with_logits(x, t, pos_weight=torch.tensor(2.5), **each),
          ["positive=2.5"], weighted=True, targets="probabilities")
pointwise("hinge_signs", "binary_hinge", "none", lambda x, t: F.relu(0.5 - t * x) ** 2, ["margin=0.5", "power=2"],
          targets="signs")
write("loss")
