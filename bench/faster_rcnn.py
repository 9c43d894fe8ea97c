"""Faster R-CNN with a pyramid on ResNet-50, one image of 600x800: ours against torchvision's.

    python -m bench.faster_rcnn [--rounds 5] [--precision fp32|bf16] [--threads 2] [--processor]

Both have the same layers, freeze all normalization, the stem and the second stage of the backbone, and see the same
image with the same eight boxes. A training step is the loss and its gradients; inference ends in at most 100 boxes.
The sides take turns, each in a process of its own, whose peak resident memory is given too. --processor counts seconds
of the processor in place of those of the clock, for a machine that others use too; give it with --threads 1, since
threads that wait count.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from statistics import median

import torch
from torch import Tensor, nn

from bench import steps
from bench.rounds import spread
from convolve.models import create, freeze, freeze_normalization
from convolve.runtime import choose
from convolve.targets import BoxTensors
from convolve.tasks.detect.suppression import SuppressionRule
from convolve.tasks.detect.task import Detect
from convolve.training.learner import Learner
from convolve.training.recipe import Optimization, Recipe

SIZE, CLASSES, GOAL = (600, 800), 80, 2.5
_WARM_UP = 2
_MACS = 10**11


def example() -> tuple[Tensor, Tensor, Tensor]:
    """An image (1, 3, 600, 800), eight boxes in it, and their classes."""
    random = torch.Generator().manual_seed(0)
    corners = torch.rand(8, 2, generator=random) * torch.tensor([500.0, 350])
    boxes = torch.cat((corners, corners + 40 + 200 * torch.rand(8, 2, generator=random)), 1)
    return torch.rand(1, 3, *SIZE, generator=random), boxes, torch.randint(0, CLASSES, (8,), generator=random)


def theirs(*, training: bool, precision: str | None, threads: int) -> Callable[[], object]:
    """A call of torchvision's network."""
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
    from torchvision.ops import FrozenBatchNorm2d

    del precision
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    backbone = resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, norm_layer=FrozenBatchNorm2d, trainable_layers=3
    )
    network = FasterRCNN(backbone, CLASSES + 1, min_size=min(SIZE), max_size=max(SIZE)).train(training)
    images, boxes, classes = example()
    targets = [{"boxes": boxes, "labels": classes + 1}]

    def learn() -> None:
        network.zero_grad()
        torch.autograd.backward(torch.stack(list(network([images[0]], targets).values())).sum())

    return learn if training else partial(_infer, network, [images[0]])


def ours(*, training: bool, precision: str | None, threads: int) -> Callable[[], object]:
    """A call of ours, as the task makes it."""
    network = create("faster_rcnn_resnet50_fpn", CLASSES)
    freeze(network, "stage2")
    freeze_normalization(network)
    runtime = choose("cpu", precision, threads, _MACS)
    runtime.prepare(network, learning=training)
    if training:
        Learner(network, Recipe(optimization=Optimization("sgd", learning_rate=0.01, weight_decay=0.0))).train()
    else:
        network.eval()
    task = Detect(network, tuple(map(str, range(CLASSES))), SuppressionRule(iou=0.5, threshold=0.05))
    pixels, boxes, classes = example()
    images = runtime.images(pixels.permute(0, 2, 3, 1).contiguous().numpy())
    targets = BoxTensors(boxes, classes, torch.zeros(len(boxes), dtype=torch.int64))

    def learn() -> None:
        network.zero_grad()
        with runtime.arithmetic():
            loss = task.loss(images, targets, torch.Generator().manual_seed(0))["loss"]
        torch.autograd.backward(loss)

    def infer() -> object:
        with torch.inference_mode(), runtime.arithmetic():
            return task.predict(images)

    return learn if training else infer


def _infer(network: nn.Module, images: list[Tensor]) -> object:
    with torch.inference_mode():
        return network(images)


def _serve(side: Callable[[], Callable[[], object]], pipe: Connection, *, processor: bool) -> None:
    """Seconds of a call for each message on the pipe, until an empty one; then the peak memory in bytes."""
    call, clock = side(), time.process_time if processor else time.perf_counter
    for _ in range(_WARM_UP):
        call()
    pipe.send(0.0)
    while pipe.recv():
        began = clock()
        call()
        pipe.send(clock() - began)
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0)


def compare(arguments: argparse.Namespace, *, training: bool) -> None:
    """Print the seconds of a call, their ratio and the memory of both sides."""
    context = multiprocessing.get_context("spawn")
    pipes = []
    for side in (ours, theirs):
        pipe, other = context.Pipe()
        call = partial(side, training=training, precision=arguments.precision, threads=arguments.threads)
        serve = partial(_serve, call, other, processor=arguments.processor)
        context.Process(target=serve, daemon=True).start()
        pipes.append(pipe)
        pipe.recv()
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(arguments.rounds):
        for found, pipe in zip(seconds, pipes, strict=True):
            pipe.send("round")
            found.append(pipe.recv())
    for pipe in pipes:
        pipe.send("")
    memory = [pipe.recv() / 2**30 for pipe in pipes]
    ratios = [other / own for own, other in zip(*seconds, strict=True)]
    print(
        f"{'training step' if training else 'inference'}: {median(seconds[0]):.2f} against {median(seconds[1]):.2f} s, "
        f"{spread(ratios, 2)} x (goal in bf16: {GOAL}); memory {memory[0]:.2f} against {memory[1]:.2f} GiB",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=("fp32", "bf16"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--processor", action="store_true")
    arguments = parser.parse_args()
    print(steps.machine())
    for training in (True, False):
        compare(arguments, training=training)


if __name__ == "__main__":
    main()
