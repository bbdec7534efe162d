#!/usr/bin/env python3
"""Negative log-likelihood and the hinge of many classes; see make.py."""

import torch
import torch.nn.functional as F

from vectors import case, save, shape, start, write


def loss(name, op, x, labels, run, words, weights=None, takes_x=True):
    start(name)
    x = x.clone().requires_grad_(True)
    y = run(x, labels, weights)
    dy = torch.randn_like(y)
    y.backward(dy)
    y, dy = y.reshape(-1), dy.reshape(-1)
    common = [f"labels={save('labels', labels)}"] + ([f"weights={save('weights', weights)}"] if weights is not None else [])
    xs = [f"x={save('x', x)}"]
    case(f"{op}/forward", xs + common + words, y=save("y", y))
    back = (xs if takes_x else [f"dx={shape(x)}:f64"]) + common + [f"dy={save('dy', dy)}"]
    case(f"{op}/backward", back + words, dx=save("dx", x.grad))


def main():
    torch.manual_seed(11)
    x, labels = torch.randn(7, 5, dtype=torch.float64), torch.tensor([0, 4, 2, 2, 1, 3, 4])
    weights = torch.rand(5, dtype=torch.float64) + 0.5
    log = torch.log_softmax(x, 1)
    loss("nll_mean", "nll", log, labels, lambda a, b, w: F.nll_loss(a, b), [], takes_x=False)
    loss("nll_weights", "nll", log, labels, lambda a, b, w: F.nll_loss(a, b, w), [], weights, takes_x=False)
    loss("nll_ignore", "nll", log, labels, lambda a, b, w: F.nll_loss(a, b, w, ignore_index=2), ["ignore=2"], weights,
         takes_x=False)
    loss("hinge_mean", "hinge", x, labels, lambda a, b, w: F.multi_margin_loss(a, b), [])
    loss("hinge_square", "hinge", x, labels,
         lambda a, b, w: F.multi_margin_loss(a, b, p=2, margin=0.5, weight=w, reduction="sum"),
         ["power=2", "margin=0.5", "reduction=sum"], weights)
    write("label_loss")


main()
