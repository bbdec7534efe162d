#!/usr/bin/env python3
"""A training step of AlexNet in PyTorch: forward, backward and SGD with momentum, on one repeated batch in memory.

    bench/peers/alexnet_torch.py [BATCH]      128 pictures; prints images a second for f32, TF32 and bf16 where there is a GPU,
                                              for f32 on the CPU otherwise, with the versions that it ran on

The layers are those of recipes/alexnet.yaml: torchvision's AlexNet, which this needs not installed."""
import sys
import time

import torch
from torch import nn


def alexnet(classes=1000):
    def conv(c, k, size, stride=1, pad=0):
        return [nn.Conv2d(c, k, size, stride, pad), nn.ReLU(inplace=True)]

    pool = nn.MaxPool2d(3, 2)
    return nn.Sequential(*conv(3, 64, 11, 4, 2), pool, *conv(64, 192, 5, 1, 2), pool, *conv(192, 384, 3, 1, 1),
                         *conv(384, 256, 3, 1, 1), *conv(256, 256, 3, 1, 1), pool, nn.Flatten(), nn.Dropout(),
                         nn.Linear(9216, 4096), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(4096, 4096),
                         nn.ReLU(inplace=True), nn.Linear(4096, classes))


def images_a_second(device, batch, seconds, autocast=None):
    net = alexnet().to(device)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    x = torch.randn(batch, 3, 224, 224, device=device)
    labels = torch.randint(0, 1000, (batch,), device=device)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16, enabled=autocast is not None):
            loss = nn.functional.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()

    def wait():
        if device == "cuda":
            torch.cuda.synchronize()

    for _ in range(3):
        step()
    wait()
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        step()
        steps += 1
        wait()
    return steps * batch / (time.perf_counter() - start)


def main():
    batch = int(sys.argv[1]) if len(sys.argv) > 1 else 128
    torch.backends.cudnn.benchmark = True
    cuda = torch.cuda.is_available()
    print(f"PyTorch {torch.__version__}, " + (f"{torch.cuda.get_device_name()}, cuDNN {torch.backends.cudnn.version()}"
                                              if cuda else f"{torch.get_num_threads()} CPU threads"))
    if not cuda:
        print(f"f32 {images_a_second('cpu', batch, 10):.0f} images/s")
        return
    results = []
    for name, tf32, autocast in (("f32", False, None), ("tf32", True, None), ("bf16", True, True)):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        results.append(f"{name} {images_a_second('cuda', batch, 3, autocast):.0f} images/s")
    print(", ".join(results))


if __name__ == "__main__":
    main()
