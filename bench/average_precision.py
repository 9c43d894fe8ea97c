"""Average precision on sets of the size of COCO val2017: ours against pycocotools, by turns in one process.

    python -m bench.average_precision [--rounds 3] [--images 5000] [--detections 500000] [--seed 0]

80 classes, the most frequent 80 times as frequent as the rarest; 36,000 objects at 5,000 images, 1 of 100 of them a
crowd. About half of the detections are moved objects, the rest lie elsewhere. pycocotools evaluates, accumulates and
summarizes; reading its lists is not timed. All twelve metrics must agree to 1e-12. The peak of ours is what its arrays
take beyond the objects and detections, as tracemalloc counts it in a run that is not timed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import astuple

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from bench import steps
from bench.rounds import spread
from convolve.metrics.coco_metrics import CocoMetrics, coco_metrics
from convolve.metrics.detections import Detections, ObjectBoxes

CLASSES = 80
OBJECTS_PER_IMAGE = 7.2


def make_set(images: int, count: int, seed: int) -> tuple[ObjectBoxes, Detections]:
    """Objects and detections with edges in quarters of a pixel, which neither format rounds."""
    random = np.random.default_rng(seed)
    total = round(images * OBJECTS_PER_IMAGE)
    frequencies = 1 / np.arange(1, CLASSES + 1)
    classes = random.choice(CLASSES, total, p=frequencies / frequencies.sum())
    sizes = np.exp(random.normal(4, 1, (total, 2))).clip(4, 400)
    corners = random.uniform(0, 640 - sizes)
    boxes = np.round(np.hstack([corners, corners + sizes]) * 4) / 4
    image = np.sort(random.integers(0, images, total))
    objects = ObjectBoxes.of(boxes, classes, image, crowd=random.random(total) < 0.01)
    sources = random.integers(0, total, count)
    moved = boxes[sources] + random.normal(0, 0.12, (count, 4)) * np.tile(sizes[sources], 2)
    lost = random.random(count) < 0.5
    moved[lost] += random.uniform(-300, 300, (int(lost.sum()), 1))
    moved = (
        np.round(np.hstack([np.minimum(moved[:, :2], moved[:, 2:]), np.maximum(moved[:, :2], moved[:, 2:])]) * 4) / 4
    )
    scores = np.round(random.beta(1, 3, count) + np.where(lost, 0.0, 0.3), 4)
    return objects, Detections(moved, scores, classes[sources], image[sources])


def evaluator(objects: ObjectBoxes, detections: Detections, images: int) -> COCOeval:
    """What pycocotools evaluates."""
    with contextlib.redirect_stdout(io.StringIO()):
        dataset = COCO()
        dataset.dataset = {
            "images": [{"id": index} for index in range(images)],
            "categories": [{"id": index} for index in range(CLASSES)],
            "annotations": [
                {"id": row + 1, "image_id": image, "category_id": kind, "bbox": box, "area": area, "iscrowd": crowd}
                for row, (box, kind, image, area, crowd) in enumerate(
                    zip(
                        _corner_and_size(objects.boxes),
                        objects.classes.tolist(),
                        objects.images.tolist(),
                        objects.areas.tolist(),
                        objects.crowd.astype(int).tolist(),
                        strict=True,
                    )
                )
            ],
        }
        dataset.createIndex()
        columns = (
            _corner_and_size(detections.boxes),
            detections.classes.tolist(),
            detections.images.tolist(),
            detections.scores.tolist(),
        )
        results = [
            {"image_id": image, "category_id": kind, "bbox": box, "score": score}
            for box, kind, image, score in zip(*columns, strict=True)
        ]
        return COCOeval(dataset, dataset.loadRes(results), "bbox")


def _corner_and_size(boxes: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> list[list[float]]:
    return np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).tolist()  # type: ignore[no-any-return]


def evaluate(peer: COCOeval) -> list[float]:
    """The twelve numbers of pycocotools."""
    with contextlib.redirect_stdout(io.StringIO()):
        peer.evaluate()
        peer.accumulate()
        peer.summarize()
    return [float(value) for value in peer.stats]


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def check(metrics: CocoMetrics, theirs: list[float]) -> None:
    ours = np.array(astuple(metrics)[: len(theirs)], dtype=np.float64)
    np.testing.assert_allclose(np.where(np.isnan(ours), -1, ours), theirs, rtol=0, atol=1e-12)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--detections", type=int, default=500_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print(steps.machine())
    objects, detections = make_set(asked.images, asked.detections, asked.seed)
    print(f"{asked.images:,} images, {CLASSES} classes, {len(objects):,} objects, {len(detections):,} detections")
    peer = evaluator(objects, detections, asked.images)
    tracemalloc.start()
    metrics = coco_metrics(objects, detections, CLASSES)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    theirs, ours = [], []
    for _ in range(asked.rounds):
        theirs.append(_seconds(lambda: evaluate(peer)))
        ours.append(_seconds(lambda: coco_metrics(objects, detections, CLASSES)))
    check(metrics, [float(value) for value in peer.stats])
    print(f"all twelve agree to 1e-12; AP {metrics.ap:.3f}, AP50 {metrics.ap50:.3f}")
    print(f"pycocotools {spread(theirs)} s")
    print(f"ours        {spread(ours, 2)} s, at most {peak / 2**20:.0f} MiB")
    ratios = [before / after for before, after in zip(theirs, ours, strict=True)]
    print(f"{spread(ratios)} times as fast (wanted: 10)")


if __name__ == "__main__":
    main()
