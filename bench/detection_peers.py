"""Detectors trained from scratch on the same images, in the same minutes: ours beside those of other programs.

    python -m bench.detection_peers FOLDER OUT [--minutes 5] [--seeds 3] [--sides ours torchvision ultralytics]
    python -m bench.detection_peers FOLDER OUT --rates 3

FOLDER holds Pascal VOC's `Annotations`, `ImageSets/Main/{train,val,test}.txt` and `JPEGImages`. The sides are
`yolo_compact`; torchvision's Faster R-CNN on MobileNet-V3, with the recipe of its references but for a warm-up and a
cosine; and Ultralytics' YOLOv8n by its own trainer and defaults, which must be installed. All see images of 320 pixels.
Each is judged on the test images by the same metrics. With --epochs a side makes as many epochs instead, so that a
training on a busy machine gives what one of so many minutes gives on a quiet one.

--rates compares images per second in training, augmentation and data path included: short trainings take turns, and the
first epoch of each does not count.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench.rounds import spread
from convolve.datasets.voc import read_voc
from convolve.metrics.coco_metrics import coco_metrics
from convolve.metrics.detections import Detections, ObjectBoxes

SIZE, BATCH = 320, 16
_FASTER_BATCH, _FASTER_RATE, _WARM_UP_STEPS = 4, 0.02, 100
_LEAST_SCORE, _MOST_BOXES, _NMS = 0.005, 100, 0.6
_SHORT = 4  # epochs of a training that is only timed
Found = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]
"""An image's boxes (n, 4; left, top, right, bottom), scores (n,) and classes (n,)."""


@dataclass(frozen=True)
class Data:
    """A folder of Pascal VOC, and the names of its classes in order."""

    folder: Path
    classes: tuple[str, ...]

    def stems(self, split: str) -> list[str]:
        """The names of a split's images."""
        return (self.folder / "ImageSets" / "Main" / f"{split}.txt").read_text().split()

    def image(self, stem: str) -> Path:
        """An image's file."""
        return self.folder / "JPEGImages" / f"{stem}.jpg"

    def objects(self, stem: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """The boxes (n, 4) and classes (n,) of an image."""
        found = read_voc(self.folder / "Annotations" / f"{stem}.xml")
        return np.array(found.boxes).reshape(-1, 4), np.array([self.classes.index(name) for name in found.names], int)

    def judge(self, detect: Callable[[Path], Found]) -> tuple[float, float]:
        """AP50 and AP on the test images of what ``detect`` finds in them."""
        found, objects = [], []
        for index, stem in enumerate(self.stems("test")):
            boxes, scores, classes = detect(self.image(stem))
            found.append((boxes, scores, classes, np.full(len(boxes), index)))
            boxes, classes = self.objects(stem)
            objects.append((boxes, classes, np.full(len(boxes), index)))
        every = [np.concatenate(part) for part in zip(*found, strict=True)]
        metrics = coco_metrics(
            ObjectBoxes.of(*(np.concatenate(part) for part in zip(*objects, strict=True))),
            Detections(every[0].astype(float), every[1].astype(float), every[2].astype(int), every[3]),
            len(self.classes),
        )
        return metrics.ap50, metrics.ap


@dataclass(frozen=True)
class Training:
    """How long a side trains (``epochs``, or else ``minutes``), its seed, and a folder of its own for files."""

    minutes: float
    epochs: int | None
    seed: int
    out: Path


@dataclass(frozen=True)
class Outcome:
    """AP50 and AP on the test images, epochs made, all seconds of the training and those of each epoch."""

    ap50: float
    ap: float
    epochs: int
    seconds: float
    per_epoch: tuple[float, ...]


def ours(data: Data, training: Training) -> Outcome:
    """`convolve train FOLDER --network yolo_compact`."""
    import convolve

    began = time.perf_counter()
    limit = {"epochs": training.epochs} if training.epochs else {"minutes": training.minutes}
    convolve.train(
        str(data.folder),
        network="yolo_compact",
        size=SIZE,
        seed=training.seed,
        out=training.out,
        progress=False,
        **limit,
    )
    seconds = time.perf_counter() - began
    lines = (training.out / "timing.jsonl").read_text().splitlines()
    per_epoch = tuple(float(json.loads(line)["seconds"]) for line in lines)
    metrics = convolve.evaluate(training.out, split="test", progress=False).evaluation.metrics
    return Outcome(metrics["ap50"], metrics["ap"], len(per_epoch), seconds, per_epoch)


def torchvision(data: Data, training: Training) -> Outcome:
    """Faster R-CNN with a feature pyramid on MobileNet-V3, batches of 4, SGD, horizontal flips; 128 boxes of an image
    are learned from at once, for 512 would take most of the time.
    """
    from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_fpn

    torch.manual_seed(training.seed)
    random = np.random.default_rng(training.seed)
    network = fasterrcnn_mobilenet_v3_large_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=1 + len(data.classes),
        min_size=SIZE,
        max_size=SIZE * 4 // 3,
        trainable_backbone_layers=6,
        box_batch_size_per_image=128,
    )
    examples = []
    for stem in data.stems("train"):
        boxes, classes = data.objects(stem)
        boxes_of = torch.tensor(boxes, dtype=torch.float32)
        examples.append((_tensor(data.image(stem)), {"boxes": boxes_of, "labels": torch.tensor(classes) + 1}))
    optimizer = torch.optim.SGD(network.parameters(), lr=_FASTER_RATE, momentum=0.9, weight_decay=5e-4)
    network.train()
    began, count, per_epoch, ended = time.perf_counter(), 0, [], False
    steps = len(examples) // _FASTER_BATCH
    while not ended:
        start = time.perf_counter()
        order = random.permutation(len(examples))[: steps * _FASTER_BATCH].reshape(steps, _FASTER_BATCH)
        for indices in order:
            passed = (time.perf_counter() - began) / (60 * training.minutes)
            done = count / (steps * training.epochs) if training.epochs else passed
            if done >= 1:
                ended = True
                break
            rate = _FASTER_RATE * min(1.0, (count + 1) / _WARM_UP_STEPS) * 0.5 * (1 + np.cos(np.pi * done))
            optimizer.param_groups[0]["lr"] = rate
            batch = [_flip(*examples[index]) if random.random() < 0.5 else examples[index] for index in indices]
            loss = sum(network([image for image, _ in batch], [target for _, target in batch]).values())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            count += 1
        else:
            per_epoch.append(time.perf_counter() - start)
    seconds = time.perf_counter() - began
    network.eval()

    def detect(path: Path) -> Found:
        with torch.inference_mode():
            found = network([_tensor(path)])[0]
        return found["boxes"].numpy(), found["scores"].numpy(), found["labels"].numpy() - 1

    return Outcome(*data.judge(detect), len(per_epoch), seconds, tuple(per_epoch))


def ultralytics(data: Data, training: Training) -> Outcome:
    """YOLOv8n with the trainer's own defaults; images are kept in memory."""
    from ultralytics import YOLO

    _write_yolo(data, training.out / "data")
    ends: list[float] = []
    model = YOLO("yolov8n.yaml")
    model.add_callback("on_train_epoch_end", lambda _: ends.append(time.perf_counter()))
    model.add_callback("on_train_epoch_start", lambda _: ends.append(time.perf_counter()))
    limit = {"epochs": training.epochs} if training.epochs else {"time": training.minutes / 60, "epochs": 1000}
    began = time.perf_counter()
    model.train(
        data=str(training.out / "data" / "data.yaml"),
        imgsz=SIZE,
        batch=BATCH,
        device="cpu",
        workers=1,
        cache="ram",
        seed=training.seed,
        val=False,
        plots=False,
        verbose=False,
        project=str(training.out),
        name="run",
        **limit,
    )
    seconds = time.perf_counter() - began
    best = YOLO(training.out / "run" / "weights" / "last.pt")

    def detect(path: Path) -> Found:
        found = best.predict(
            str(path), imgsz=SIZE, conf=_LEAST_SCORE, iou=_NMS, max_det=_MOST_BOXES, verbose=False, device="cpu"
        )[0].boxes
        return found.xyxy.numpy(), found.conf.numpy(), found.cls.numpy().astype(int)

    per_epoch = tuple(end - start for start, end in zip(ends[::2], ends[1::2], strict=False))
    return Outcome(*data.judge(detect), len(per_epoch), seconds, per_epoch)


SIDES: dict[str, Callable[[Data, Training], Outcome]] = {
    "ours": ours,
    "torchvision": torchvision,
    "ultralytics": ultralytics,
}


def _tensor(path: Path) -> torch.Tensor:
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float() / 255


def _flip(image: torch.Tensor, target: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    left, top, right, bottom = target["boxes"].unbind(1)
    width = image.shape[2]
    boxes = torch.stack([width - right, top, width - left, bottom], dim=1)
    return image.flip(2), {**target, "boxes": boxes}


def _write_yolo(data: Data, folder: Path) -> None:
    """The training and validation images with boxes as Ultralytics reads them."""
    for split in ("train", "val"):
        images, labels = folder / "images" / split, folder / "labels" / split
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for stem in data.stems(split):
            shutil.copyfile(data.image(stem), images / f"{stem}.jpg")
            boxes, classes = data.objects(stem)
            with Image.open(data.image(stem)) as image:
                fractions = boxes / np.tile(image.size, 2)
            centers, sides = (fractions[:, :2] + fractions[:, 2:]) / 2, fractions[:, 2:] - fractions[:, :2]
            rows = np.column_stack([classes, centers, sides]).tolist()
            lines = [f"{int(index)} {' '.join(map(str, numbers))}" for index, *numbers in rows]
            (labels / f"{stem}.txt").write_text("\n".join(lines))
    names = json.dumps(list(data.classes))
    (folder / "data.yaml").write_text(f"path: {folder}\ntrain: images/train\nval: images/val\nnames: {names}\n")


def _in_process(side: str, data: Data, training: Training) -> Outcome:
    """A training in a process of its own, since the allocator's settings hold for a whole process."""
    training.out.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(SIDES[side], (data, training))


def _compare(
    data: Data, out: Path, sides: Sequence[str], training: Callable[[int, Path], Training], seeds: int
) -> None:
    outcomes: dict[str, list[Outcome]] = {side: [] for side in sides}
    for seed in range(seeds):
        for side in sides:
            outcome = _in_process(side, data, training(seed, out / f"{side}-{seed}"))
            outcomes[side].append(outcome)
            print(
                f"{side} seed {seed}: AP50 {outcome.ap50:.1%}, AP {outcome.ap:.1%}, {outcome.epochs} epochs, "
                f"{outcome.seconds:.0f} s, {median(outcome.per_epoch):.2f} s an epoch",
                flush=True,
            )
    for side, found in outcomes.items():
        ap50, ap = [each.ap50 for each in found], [each.ap for each in found]
        deviations = [f" ± {stdev(values):.1%}" if len(values) > 1 else "" for values in (ap50, ap)]
        print(f"{side}: AP50 {mean(ap50):.1%}{deviations[0]}, AP {mean(ap):.1%}{deviations[1]}")


def _rates(data: Data, out: Path, rounds: int) -> None:
    images = len(data.stems("train"))
    rates: dict[str, list[float]] = {"ours": [], "ultralytics": []}
    for number in range(rounds):
        for side, values in rates.items():
            outcome = _in_process(side, data, Training(0, _SHORT, 0, out / f"rates-{side}-{number}"))
            values.append(images / median(outcome.per_epoch[1:]))
            print(f"{side}: {values[-1]:.1f} images/s", flush=True)
    ratios = [own / other for own, other in zip(rates["ours"], rates["ultralytics"], strict=True)]
    print(f"images/s in training, ours against ultralytics: {spread(ratios, 2)}x")


def main() -> None:
    """Train every side, or compare their speed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sides", nargs="+", choices=tuple(SIDES), default=list(SIDES))
    parser.add_argument("--rates", type=int, help="rounds of short trainings, of which only the speed counts")
    given = parser.parse_args()
    folder = given.folder.resolve()
    annotated = (read_voc(path) for path in sorted((folder / "Annotations").glob("*.xml")))
    data = Data(folder, tuple(sorted({name for each in annotated for name in each.names})))
    if given.rates:
        _rates(data, given.out.resolve(), given.rates)
        return
    training = partial(Training, given.minutes, given.epochs)
    _compare(data, given.out.resolve(), given.sides, training, given.seeds)


if __name__ == "__main__":
    main()
