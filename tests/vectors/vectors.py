"""What the makers of test vectors share; make.py says what it is all about."""

import pathlib
import shutil

import numpy as np
import torch

folder = pathlib.Path(__file__).resolve().parent
lines = []
group = ""


def start(name):
    """A group of files with tensors of their own."""
    global group
    group = name
    shutil.rmtree(folder / group, ignore_errors=True)
    torch.manual_seed(len(name) * 7919 + sum(map(ord, name)))


def randn(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def path(name):
    """Of a tensor that was saved in this group."""
    return f"{group}/{name}.npy"


def save(name, tensor):
    (folder / group).mkdir(exist_ok=True)
    array = tensor.detach().numpy() if isinstance(tensor, torch.Tensor) else np.asarray(tensor)
    np.save(folder / path(name), np.asarray(array, order="C"))
    return path(name)


def shape(tensor):
    return "x".join(map(str, tensor.shape))


def case(op, words, **outputs):
    lines.append(" ".join([op] + words + ["->"] + [f"{name}={path}" for name, path in outputs.items()]))


def axes(name, values, preset):
    values = list(values)
    return [] if all(v == preset for v in values) else [f"{name}=" + ",".join(map(str, values))]


def write(topic):
    """All lines so far become TOPIC.txt."""
    (folder / f"{topic}.txt").write_text("\n".join(lines) + "\n")
    files = {word.split("=")[1] for line in lines for word in line.split() if word.endswith(".npy")}
    size = sum((folder / file).stat().st_size for file in files)
    print(f"{topic}: {len(lines)} cases, {size} bytes of arrays")
