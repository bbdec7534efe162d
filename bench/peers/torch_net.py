#!/usr/bin/env python3
"""What `lamina bench RECIPE` measures, in PyTorch: the same net, shapes and batch, on numbers in memory.

    torch_net.py NET --training|--inference [--batch N] [--dtype T] [--layout L] [--fused] [--threads N]

NET is alexnet (as recipes/alexnet.yaml: torchvision's, which this needs not installed) or lenet5. Training is forward,
backward and SGD with momentum; in bf16 under autocast. Inference in bf16 is of a net that was turned into bf16. It waits
for lines on standard input: each is the seconds of a turn, at least one step, after which a line of JSON is written, with
the median of the steps' times, the most memory that was resident, and what of that was so before the net was made.

    --batch N          64; lenet5 128
    --dtype T          f32 or bf16
    --layout L         nchw, or nhwc: weights and pictures with the channels last
    --fused            SGD(fused=True)
    --threads N        all that there are

    torch_net.py --gpu [BATCH]     a training step of AlexNet, of 128 pictures: images a second for f32, TF32 and bf16 where
                                   there is a GPU, for f32 on the CPU otherwise, with the versions that it ran on
"""
import argparse
import json
import resource
import statistics
import sys
import time

import torch
from torch import nn


def conv(c, k, size, stride=1, pad=0):
    return [nn.Conv2d(c, k, size, stride, pad), nn.ReLU(inplace=True)]


def alexnet():
    pool = nn.MaxPool2d(3, 2)
    return nn.Sequential(*conv(3, 64, 11, 4, 2), pool, *conv(64, 192, 5, 1, 2), pool, *conv(192, 384, 3, 1, 1),
                         *conv(384, 256, 3, 1, 1), *conv(256, 256, 3, 1, 1), pool, nn.Flatten(), nn.Dropout(),
                         nn.Linear(9216, 4096), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(4096, 4096),
                         nn.ReLU(inplace=True), nn.Linear(4096, 1000))


def lenet5():
    pool = nn.MaxPool2d(2)
    return nn.Sequential(*conv(1, 6, 5, 1, 2), pool, *conv(6, 16, 5), pool, nn.Flatten(), nn.Linear(400, 120),
                         nn.ReLU(inplace=True), nn.Linear(120, 84), nn.ReLU(inplace=True), nn.Linear(84, 10))


# The net, its pictures, classes, batch and weight decay.
NETS = {"alexnet": (alexnet, (3, 224, 224), 1000, 64, 5e-4), "lenet5": (lenet5, (1, 28, 28), 10, 128, 0)}


def training_step(net, x, labels, decay=0.0, fused=False, bf16=False):
    device = x.device.type
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9, weight_decay=decay, fused=fused or None)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            loss = nn.functional.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()

    return step


def inference_step(net, x):
    net.eval()

    def step():
        with torch.inference_mode():
            net(x)

    return step


def make_step(o):
    make, shape, classes, batch, decay = NETS[o.net]
    torch.manual_seed(1)
    net, x = make(), torch.randn(o.batch or batch, *shape)
    bf16 = o.dtype == "bf16"
    if o.layout == "nhwc":
        net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    if o.training:
        return training_step(net, x, torch.arange(len(x)) % classes, decay, o.fused, bf16), len(x)
    return inference_step(net.bfloat16(), x.bfloat16()) if bf16 else inference_step(net, x), len(x)


def resident():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def take_turns(o):
    if o.threads:
        torch.set_num_threads(o.threads)
    base = resident()
    step, images = make_step(o)
    step()
    for line in sys.stdin:
        seconds, times, start = float(line), [], time.perf_counter()
        while not times or time.perf_counter() - start < seconds:
            before = time.perf_counter()
            step()
            times.append(time.perf_counter() - before)
        median = statistics.median(times)
        print(json.dumps({"seconds": median, "samples": len(times), "images": images / median,
                          "memory": resident(), "base": base,
                          "version": torch.__version__, "threads": torch.get_num_threads()}), flush=True)


def images_a_second(device, batch, seconds, bf16=False):
    step = training_step(alexnet().to(device), torch.randn(batch, 3, 224, 224, device=device),
                         torch.randint(0, 1000, (batch,), device=device), bf16=bf16)

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


def all_of_a_gpu(batch):
    torch.backends.cudnn.benchmark = True
    cuda = torch.cuda.is_available()
    print(f"PyTorch {torch.__version__}, " + (f"{torch.cuda.get_device_name()}, cuDNN {torch.backends.cudnn.version()}"
                                              if cuda else f"{torch.get_num_threads()} CPU threads"))
    if not cuda:
        print(f"f32 {images_a_second('cpu', batch, 10):.0f} images/s")
        return
    results = []
    for name, tf32, bf16 in (("f32", False, False), ("tf32", True, False), ("bf16", True, True)):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        results.append(f"{name} {images_a_second('cuda', batch, 3, bf16):.0f} images/s")
    print(", ".join(results))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("net", nargs="?", choices=sorted(NETS))
    parser.add_argument("--gpu", nargs="?", type=int, const=128, metavar="BATCH")
    parser.add_argument("--training", action="store_true")
    parser.add_argument("--inference", action="store_true")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--layout", choices=["nchw", "nhwc"], default="nchw")
    parser.add_argument("--fused", action="store_true")
    parser.add_argument("--threads", type=int)
    o = parser.parse_args()
    if o.gpu:
        all_of_a_gpu(o.gpu)
    elif not o.net or o.training == o.inference:
        parser.error("expected a net and one of --training and --inference, or --gpu")
    else:
        take_turns(o)


if __name__ == "__main__":
    main()
