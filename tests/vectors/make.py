#!/usr/bin/env python3
"""Makes the test vectors of this folder with PyTorch in f64, so that our references are held against somebody else's.

    python3 -m venv /tmp/torch && /tmp/torch/bin/pip install torch numpy && /tmp/torch/bin/python tests/vectors/make.py

Each make*.py writes a folder of .npy files a group, and one list (this one cases.txt). A line of a list is one run in
the grammar of `lamina op`, then "->" and the outputs that must come out; files are named from this folder. The tests
read both and need no Python. Made with torch 2.15.0 and numpy 2.4.6; other versions give the same to the last bits.
"""

import numpy as np
import torch
import torch.nn.functional as F

from vectors import axes, case, path, randn, save, shape, start, write


def conv(name, x, w, bias, stride, dilation, pad, groups):
    start(name)
    rank = len(x) - 2
    x, w, b = randn(*x), randn(*w), randn(w[0]) if bias else None
    flat = [side for axis in reversed(pad) for side in axis]  # F.pad starts at the last axis
    y = (F.conv1d, F.conv2d, F.conv3d)[rank - 1](F.pad(x, flat), w, b, stride, 0, dilation, groups)
    dy = torch.randn_like(y)
    y.backward(dy)
    attrs = axes("stride", stride, 1) + axes("dilation", dilation, 1)
    attrs += axes("pad", [f"{before}:{after}" for before, after in pad], "0:0")
    attrs += [f"groups={groups}"] if groups > 1 else []
    files = {n: save(n, t) for n, t in (("x", x), ("w", w), ("y", y), ("dy", dy), ("dx", x.grad), ("dw", w.grad))}
    words = [f"x={files['x']}", f"w={files['w']}"] + ([f"b={save('b', b)}"] if bias else [])
    case("conv/forward", words + attrs, y=files["y"])
    case("conv/backward_data", [f"dy={files['dy']}", f"w={files['w']}", f"dx={shape(x)}:f64"] + attrs, dx=files["dx"])
    case("conv/backward_weights", [f"x={files['x']}", f"dy={files['dy']}", f"dw={shape(w)}:f64"] + attrs, dw=files["dw"])
    if bias:
        case("conv/backward_bias", [f"dy={files['dy']}"], db=save("db", b.grad))


def pool(name, x, kernel, stride, pad, ceil_mode=False, count_pad=None):
    """count_pad None: max pooling, with indices."""
    start(name)
    rank, x = len(x) - 2, randn(*x)
    attrs = axes("kernel", kernel, 0) + axes("stride", stride, 0) + axes("pad", pad, 0)
    attrs += ["ceil_mode=1"] if ceil_mode else []
    if count_pad is None:
        run = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[rank - 1]
        y, indices = run(x, kernel, stride, pad, 1, ceil_mode, return_indices=True)
    else:
        run = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[rank - 1]
        y = run(x, kernel, stride, pad, ceil_mode, count_pad)
        attrs += ["count_pad=1"] if count_pad else []
    dy = torch.randn_like(y)
    y.backward(dy)
    words, op = [f"dy={save('dy', dy)}", f"dx={shape(x)}:f64"], "avg_pool"
    outputs = {"y": save("y", y)}
    if count_pad is None:
        op = "max_pool"
        outputs["indices"] = save("indices", indices.to(torch.int32))
        words.append(f"indices={outputs['indices']}")
    case(f"{op}/forward", [f"x={save('x', x)}"] + attrs, **outputs)
    case(f"{op}/backward", words + attrs, dx=save("dx", x.grad))


def global_pool(name, x):
    start(name)
    x = randn(*x)
    y = F.adaptive_avg_pool2d(x, 1)
    dy = torch.randn_like(y)
    y.backward(dy)
    case("avg_pool/forward", [f"x={save('x', x)}", "global=1"], y=save("y", y))
    case("avg_pool/backward", [f"dy={save('dy', dy)}", f"dx={shape(x)}:f64", "global=1"], dx=save("dx", x.grad))


def fc(name, n, k, o):
    start(name)
    x, w, b = randn(n, k), randn(o, k), randn(o)
    y = F.linear(x, w, b)
    dy = torch.randn_like(y)
    y.backward(dy)
    xf, wf, dyf = save("x", x), save("w", w), save("dy", dy)
    case("fc/forward", [f"x={xf}", f"w={wf}", f"b={save('b', b)}"], y=save("y", y))
    case("fc/backward_data", [f"dy={dyf}", f"w={wf}"], dx=save("dx", x.grad))
    case("fc/backward_weights", [f"x={xf}", f"dy={dyf}"], dw=save("dw", w.grad))
    case("fc/backward_bias", [f"dy={dyf}"], db=save("db", b.grad))


def elementwise(family, run, x, attrs=(), name=None):
    """Forward, and backward from y and dy."""
    start(name or family)
    x = x.clone().requires_grad_()
    y = run(x)
    dy = torch.randn_like(y)
    y.backward(dy)
    yf = save("y", y)
    case(f"{family}/forward", [f"x={save('x', x)}", *attrs], y=yf)
    case(f"{family}/backward", [f"y={yf}", f"dy={save('dy', dy)}", *attrs], dx=save("dx", x.grad))


def arithmetic():
    start("arithmetic")
    a, b = randn(3, 5), randn(3, 5)
    case("add/forward", [f"a={save('a', a)}", f"b={save('b', b)}"], y=save("sum", a + b))
    case("scale/forward", [f"x={path('a')}", "factor=-1.25"], y=save("scaled", a * -1.25))


def casts():
    """Ties, numbers that overflow, subnormal ones; numpy rounds once, as we do."""
    start("cast")
    tricky = [0.0, -0.0, 1 + 2**-11, 1 + 3 * 2**-11, 65504.0, 65519.99, 65520.0, 2**-24, 2**-25, 3 * 2**-26, -(2**-14),
              1 + 2**-8, 1 + 3 * 2**-8, 3.4e38, -1e-40, float("inf"), float("nan")]
    x = np.concatenate([np.array(tricky), np.random.default_rng(5).normal(size=50) * 1000])
    with np.errstate(over="ignore"):
        half, single = x.astype(np.float16), x.astype(np.float32)
    case("cast/forward", [f"x={save('x', x)}", f"y={len(x)}:f16"], y=save("f16", half))
    case("cast/forward", [f"x={path('x')}", f"y={len(x)}:f32"], y=save("f32", single))
    brain = torch.from_numpy(single).to(torch.bfloat16).to(torch.float32)
    case("cast/forward", [f"x={path('f32')}", f"y={len(x)}:bf16"], y=save("bf16", brain))


def cross_entropy(name, x, labels, reduction):
    start(name)
    x = x.clone().requires_grad_()
    y = F.cross_entropy(x, labels, reduction=reduction)
    y = y.reshape(1) if reduction != "none" else y
    dy = torch.randn_like(y)
    y.backward(dy)
    prob, words = save("prob", torch.softmax(x, 1)), [f"labels={save('labels', labels)}", f"reduction={reduction}"]
    case("softmax_cross_entropy/forward", [f"x={save('x', x)}", *words], y=save("y", y), prob=prob)
    case("softmax_cross_entropy/backward", [f"prob={prob}", f"dy={save('dy', dy)}", *words], dx=save("dx", x.grad))


def top_k(name, n, c, k):
    start(name)
    x, labels = randn(n, c), torch.randint(c, (n,))
    hits = (x.topk(k, 1).indices == labels[:, None]).any(1).sum().reshape(1)
    case("top_k/forward", [f"x={save('x', x)}", f"labels={save('labels', labels)}", f"k={k}"], hits=save("hits", hits))


def sgd(name, momentum, nesterov, decay, rates):
    start(name)
    w = randn(7)
    optimizer = torch.optim.SGD([w], lr=1, momentum=momentum, nesterov=nesterov, weight_decay=decay)
    m = torch.zeros_like(w)
    for step, rate in enumerate(rates):
        optimizer.param_groups[0]["lr"] = rate
        w.grad = torch.randn_like(w)
        words = [f"w={save(f'w{step}', w)}", f"g={save(f'g{step}', w.grad)}", f"rate={save(f'rate{step}', [rate])}"]
        words += [f"decay={save('decay', [decay])}"] if decay else []
        words += [f"m={save(f'm{step}', m)}", f"momentum={momentum}"] if momentum else []
        words += ["nesterov=1"] if nesterov else []
        optimizer.step()
        outputs = {"w": save(f"w{step + 1}", w)}
        if momentum:
            m = optimizer.state[w]["momentum_buffer"].clone()
            outputs["m"] = save(f"m{step + 1}", m)
        case("sgd/update", words, **outputs)


def adam(name, decoupled, decay, betas, epsilon, rates):
    start(name)
    w = randn(7)
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    optimizer = kind([w], lr=1, betas=betas, eps=epsilon, weight_decay=decay)
    m, v = torch.zeros_like(w), torch.zeros_like(w)
    for step, rate in enumerate(rates):
        optimizer.param_groups[0]["lr"] = rate
        w.grad = torch.randn_like(w)
        words = [f"w={save(f'w{step}', w)}", f"g={save(f'g{step}', w.grad)}", f"m={save(f'm{step}', m)}",
                 f"v={save(f'v{step}', v)}", f"rate={save(f'rate{step}', [rate])}",
                 f"step={save(f'step{step}', np.array([step + 1]))}", f"decay={save('decay', [decay])}",
                 f"beta1={betas[0]}", f"beta2={betas[1]}", f"epsilon={epsilon}"]
        words += ["decoupled=1"] if decoupled else []
        optimizer.step()
        state = optimizer.state[w]
        m, v = state["exp_avg"].clone(), state["exp_avg_sq"].clone()
        case("adam/update", words, w=save(f"w{step + 1}", w), m=save(f"m{step + 1}", m), v=save(f"v{step + 1}", v))


def main():
    conv("conv1d", (2, 3, 11), (4, 3, 3), True, [2], [2], [(1, 2)], 1)
    conv("conv2d", (2, 3, 6, 7), (4, 3, 3, 2), True, [1, 1], [1, 1], [(1, 1), (0, 1)], 1)
    conv("conv2d_stride", (2, 4, 7, 8), (6, 2, 3, 3), False, [2, 3], [1, 2], [(2, 1), (1, 3)], 2)
    conv("conv2d_depthwise", (1, 3, 5, 5), (6, 1, 3, 3), True, [1, 1], [1, 1], [(1, 1), (1, 1)], 3)
    conv("conv2d_1x1", (3, 5, 3, 2), (2, 5, 1, 1), True, [1, 1], [1, 1], [(0, 0), (0, 0)], 1)
    conv("conv3d", (1, 2, 4, 5, 6), (3, 2, 2, 3, 2), True, [1, 2, 1], [1, 1, 2], [(0, 1), (1, 1), (2, 0)], 1)
    pool("max_pool1d", (2, 3, 9), [3], [2], [1])
    pool("max_pool2d", (2, 2, 7, 6), [3, 2], [2, 2], [1, 0])
    pool("max_pool2d_ceil", (1, 3, 7, 8), [3, 3], [2, 3], [1, 1], True)
    pool("max_pool3d", (1, 2, 4, 5, 6), [2, 3, 2], [1, 2, 2], [0, 1, 1])
    pool("avg_pool1d", (2, 3, 8), [3], [2], [1], False, False)
    pool("avg_pool2d", (2, 2, 7, 6), [3, 2], [2, 2], [1, 1], False, True)
    pool("avg_pool2d_ceil", (1, 3, 7, 8), [3, 3], [2, 3], [1, 1], True, False)
    pool("avg_pool2d_ceil_pad", (1, 3, 7, 8), [3, 3], [2, 3], [1, 1], True, True)
    pool("avg_pool3d", (1, 2, 4, 5, 6), [2, 3, 2], [1, 2, 2], [0, 1, 1], False, True)
    global_pool("global_pool", (2, 3, 4, 5))
    fc("fc", 5, 7, 3)
    start("inputs")
    x = torch.cat([torch.randn(9, dtype=torch.float64), torch.tensor([0.0, -40.0, 40.0, -800.0, 800.0, 1e-9])])
    elementwise("relu", torch.relu, x)
    elementwise("sigmoid", torch.sigmoid, x)
    elementwise("tanh", torch.tanh, x)
    start("inputs of softmax")
    x = torch.randn(3, 4, 5, dtype=torch.float64)
    x[0, :, 0] += 1000
    for axis in (0, 1, 2):
        elementwise("softmax", lambda t: torch.softmax(t, axis), x, [f"axis={axis}"], f"softmax{axis}")
        elementwise("log_softmax", lambda t: torch.log_softmax(t, axis), x, [f"axis={axis}"], f"log_softmax{axis}")
    arithmetic()
    casts()
    start("inputs of the loss")
    x, labels = torch.randn(6, 5, dtype=torch.float64) * 3, torch.tensor([0, 4, 2, 2, 1, 3])
    x[2, 1], x[3, 2] = 700, -900
    cross_entropy("loss_mean", x, labels, "mean")
    cross_entropy("loss_sum", x, labels, "sum")
    cross_entropy("loss_none", x, labels, "none")
    start("inputs of the spatial loss")
    cross_entropy("loss_spatial", torch.randn(2, 3, 2, 3, dtype=torch.float64), torch.randint(3, (2, 2, 3)), "mean")
    top_k("top1", 20, 7, 1)
    top_k("top3", 20, 7, 3)
    sgd("sgd", 0, False, 0, [0.1])
    sgd("sgd_momentum", 0.9, False, 0.01, [0.1, 0.1, 0.05])
    sgd("sgd_nesterov", 0.75, True, 0.001, [0.1, 0.05, 0.05])
    adam("adam", False, 0.01, (0.9, 0.999), 1e-8, [1e-3, 1e-3, 5e-4])
    adam("adamw", True, 0.1, (0.8, 0.99), 1e-6, [1e-2, 1e-2, 5e-3])
    write("cases")


main()
