#!/usr/bin/env python3
"""Test vectors of the batched matrix product, as make.py makes those of the ops that nets began with: matmul.txt."""

import torch

from vectors import case, path, randn, save, shape, start, write


def matmul(name, a, b, transpose_a=False, transpose_b=False):
    start(name)
    a, b = randn(*a), randn(*b)
    y = torch.matmul(a.mT if transpose_a else a, b.mT if transpose_b else b)
    dy = torch.randn_like(y)
    y.backward(dy)
    attrs = [f"transpose_a={int(transpose_a)}", f"transpose_b={int(transpose_b)}"]
    case("matmul/forward", [f"a={save('a', a)}", f"b={save('b', b)}"] + attrs, y=save("y", y))
    case("matmul/backward_a", [f"dy={save('dy', dy)}", f"b={path('b')}", f"da={shape(a)}:f64"] + attrs,
         da=save("da", a.grad))
    case("matmul/backward_b", [f"a={path('a')}", f"dy={path('dy')}", f"db={shape(b)}:f64"] + attrs,
         db=save("db", b.grad))


matmul("matmul", (3, 4), (4, 2))
matmul("matmul_both", (2, 4, 3), (2, 5, 4), True, True)
matmul("matmul_one_left", (3, 4), (2, 2, 3, 5), True)
matmul("matmul_one_right", (2, 3, 4), (5, 4), False, True)
matmul("matmul_crossed", (2, 1, 3, 4), (3, 4, 2))
write("matmul")
