"""Detection: training steps, their loss, predictions and batches with boxes, of YOLO v2 on ResNet-18 at 416x416.

    python -m bench.detection [NETWORK] [--rounds 5]

The peer is the same network as people write it down in PyTorch: fp32, the default memory format, SGD with momentum.
Sides have processes of their own and take turns; ratios are per round, and the median counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import cast

import numpy as np
import torch

from bench import steps
from bench.rounds import Side, rates_in_processes, ratios, spread
from convolve.datasets.augmentation import Augmentation
from convolve.datasets.batches import Batches, BatchOptions
from convolve.datasets.boxes import Boxes
from convolve.datasets.cache import open_cache
from convolve.datasets.images import ImageArray
from convolve.datasets.labels import Labels
from convolve.layers.box_head import BoxHead
from convolve.models import Network, create
from convolve.runtime import choose
from convolve.summary import summarize
from convolve.targets import BoxTargets
from convolve.tasks.detect.task import Detect
from convolve.training.learner import Learner
from convolve.training.recipe import Optimization, Recipe
from convolve.training.step import State, Training, step
from convolve.values import Batch, Preprocessing, TargetSource

SIZE, BATCH, CLASSES, OBJECTS = 416, 8, 20, 8
_OPTIMIZATION = Optimization("momentum", steps.LEARNING_RATE, 0.9, 0.0, "constant", 0.0, 0.0)
_IMAGES = 64


def boxes(images: int, seed: int = 0) -> Boxes:
    """Some objects in each of many images of the input's size."""
    random, count = np.random.default_rng(seed), images * OBJECTS
    sides = random.uniform(20, 200, (count, 2))
    low = random.uniform(0, 1, (count, 2)) * (SIZE - sides)
    flags = np.zeros(count, dtype=bool)
    return Boxes(
        boxes=np.concatenate([low, low + sides], axis=1),
        class_indices=random.integers(CLASSES, size=count),
        first=np.arange(images + 1) * OBJECTS,
        sizes=np.full((images, 2), SIZE),
        classes=tuple(map(str, range(CLASSES))),
        areas=sides.prod(1),
        crowd=flags,
        difficult=flags,
        covers=np.ones(images, dtype=bool),
    )


def a_batch() -> Batch:
    """Random images and their boxes."""
    found = boxes(BATCH)
    image = np.repeat(np.arange(BATCH), OBJECTS)
    targets = BoxTargets(found.boxes.astype(np.float32), found.class_indices, image, BATCH, found.crowd)
    images = np.random.default_rng(0).standard_normal((BATCH, SIZE, SIZE, 3), dtype=np.float32)
    return Batch(images, targets, np.arange(BATCH))


def plain_step(name: str) -> Callable[[], object]:
    """The loop of the tutorials."""
    network, batch = _network(name), a_batch()
    optimizer = torch.optim.SGD(network.parameters(), lr=steps.LEARNING_RATE, momentum=0.9)
    images, targets = torch.from_numpy(batch.images).permute(0, 3, 1, 2).contiguous(), batch.targets.to("cpu")

    def once() -> None:
        optimizer.zero_grad()
        loss = cast(BoxHead, network.head).loss(network(images), targets, (SIZE, SIZE))["loss"]
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        loss.item()

    return once


def our_step(name: str) -> Callable[[], object]:
    """The real step of the real loop, on the runtime that is chosen."""
    network, batch = _network(name), a_batch()
    runtime = choose(macs=summarize(network, (3, SIZE, SIZE)).macs)
    runtime.prepare(network, learning=True)
    recipe = Recipe(network=name, epochs=10**6, batch=BATCH, seed=0, optimization=_OPTIMIZATION)
    task = Detect(network, tuple(map(str, range(CLASSES))))
    training = Training(task, steps.OneBatch(batch), lambda _: {}, recipe, runtime)
    learner, state = Learner(network, recipe), State()
    learner.train()

    def once() -> None:
        assert step(training, learner, state, batch)

    return once


def loss_alone(name: str) -> Callable[[], object]:
    """Assignment, loss and the gradient on the network's outputs."""
    network, batch = _network(name), a_batch()
    images, targets = torch.from_numpy(batch.images).permute(0, 3, 1, 2), batch.targets.to("cpu")
    with torch.no_grad():
        outputs = network(images)

    def once() -> None:
        maps = tuple(map_.detach().requires_grad_() for map_ in outputs)
        loss = cast(BoxHead, network.head).loss(maps, targets, (SIZE, SIZE))["loss"]
        loss.backward()  # type: ignore[no-untyped-call]

    return once


def plain_prediction(name: str) -> Callable[[], object]:
    """One image in fp32."""
    task = Detect(_network(name).eval(), tuple(map(str, range(CLASSES))))
    image = torch.randn(1, 3, SIZE, SIZE)

    def once() -> None:
        with torch.inference_mode():
            task.predict(image)

    return once


def our_prediction(name: str) -> Callable[[], object]:
    """One image on the runtime that is chosen."""
    network = _network(name).eval()
    runtime = choose(macs=summarize(network, (3, SIZE, SIZE)).macs)
    runtime.prepare(network)
    task = Detect(network, tuple(map(str, range(CLASSES))))
    image = runtime.images(np.random.default_rng(0).standard_normal((1, SIZE, SIZE, 3), dtype=np.float32))

    def once() -> None:
        with torch.inference_mode(), runtime.arithmetic():
            task.predict(image)

    return once


def epoch_of_batches(kind: str) -> Callable[[], object]:
    """An epoch of augmented batches with `boxes` or `labels`, from pixels in memory."""
    pixels = np.random.default_rng(0).integers(0, 255, (_IMAGES, SIZE, SIZE, 3), dtype=np.uint8)
    preprocessing = Preprocessing(SIZE, SIZE, 3, "letterbox", (0.5,) * 3, (0.25,) * 3)
    source = open_cache(ImageArray(pixels, "array"), preprocessing, None, 0)
    targets: TargetSource = boxes(_IMAGES) if kind == "boxes" else Labels(np.zeros(_IMAGES, np.int64), ("all",))
    augmentation = Augmentation(crop=0.5, flip=True, scale=0.2, brightness=0.3, contrast=0.3, saturation=0.3)
    options = BatchOptions(preprocessing, BATCH, 0, shuffle=True, augmentation=augmentation)
    batches = Batches(source, targets, np.arange(_IMAGES), options)
    return lambda: sum(len(batch.images) for batch in batches.epoch(0))


def _network(name: str) -> Network:
    torch.manual_seed(0)
    return create(name, CLASSES, 3, (SIZE, SIZE))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", nargs="?", default="yolo_v2_resnet18")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    name, rounds = arguments.network, arguments.rounds
    began = time.perf_counter()
    print(steps.machine())

    sides: dict[str, Side] = {"stock": partial(plain_step, name), "ours": partial(our_step, name)}
    rates = rates_in_processes(sides, rounds, BATCH)
    print(f"training step, batch {BATCH}: ours {spread(rates['ours'])}, plain {spread(rates['stock'])} images/s")
    print(f"{spread(ratios(rates, 'stock'), 2)} x plain (goal on a processor that is faster in bfloat16: 2.5)")

    alone = rates_in_processes({"loss": partial(loss_alone, name)}, rounds, BATCH, 20)["loss"]
    print(f"loss and assignment: {median(rates['ours']) / median(alone):.1%} of our step (goal: at most 5 %)")

    sides = {"stock": partial(plain_prediction, name), "ours": partial(our_prediction, name)}
    rates = rates_in_processes(sides, rounds, 1, 5)
    print(f"prediction of one image: ours {spread(rates['ours'])}, plain {spread(rates['stock'])} images/s")
    print(f"{spread(ratios(rates, 'stock'), 2)} x plain (goal on a processor that is faster in bfloat16: 2.0)")

    sides = {"stock": partial(epoch_of_batches, "labels"), "ours": partial(epoch_of_batches, "boxes")}
    rates = rates_in_processes(sides, rounds, _IMAGES, 20)
    print(f"batches: with boxes {spread(rates['ours'])}, with labels {spread(rates['stock'])} images/s")
    print(f"{spread(ratios(rates, 'stock'), 2)} x with labels (goal: 1)")
    print(f"measured in {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
