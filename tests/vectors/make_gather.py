#!/usr/bin/env python3
"""Test vectors of picking by index, as make.py makes those of the ops that nets began with: gather.txt."""

import torch
import torch.nn.functional as F

from vectors import case, randn, save, shape, start, write


def gather(name, dims, axis, indices):
    start(name)
    x = randn(*dims)
    y = torch.index_select(x, axis, indices)
    dy = torch.randn_like(y)
    y.backward(dy)
    words = [f"indices={save('indices', indices)}", f"axis={axis}"]
    case("gather/forward", [f"x={save('x', x)}"] + words, y=save("y", y))
    case("gather/backward", words + [f"dy={save('dy', dy)}", f"dx={shape(x)}:f64"], dx=save("dx", x.grad))


def embedding(name, words, width, indices, padding=None):
    start(name)
    w = randn(words, width)
    y = F.embedding(indices, w, padding)
    dy = torch.randn_like(y)
    y.backward(dy)
    attrs = [f"indices={save('indices', indices)}"] + ([f"padding={padding}"] if padding is not None else [])
    case("embedding/forward", attrs + [f"w={save('w', w)}"], y=save("y", y))
    case("embedding/backward", attrs + [f"dy={save('dy', dy)}", f"dw={shape(w)}:f64"], dw=save("dw", w.grad))


gather("gather0", (4, 3), 0, torch.tensor([3, 1, 1]))
gather("gather1", (2, 4, 3), 1, torch.tensor([0, 3, 3, 0, 2]))
gather("gather_last", (2, 3, 4), -1, torch.tensor([2, 2]))
embedding("embedding", 5, 3, torch.tensor([[4, 0, 4], [1, 4, 2]]))
embedding("embedding_padding", 4, 2, torch.tensor([0, 3, 0, 1]), 0)
start("one_hot")
labels = torch.randint(4, (3, 2))
case("one_hot/forward", [f"labels={save('labels', labels)}", "classes=4", "y=3x4x2:f64"],
     y=save("y", F.one_hot(labels, 4).permute(0, 2, 1).double()))
write("gather")
