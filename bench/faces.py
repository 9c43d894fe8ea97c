"""MTCNN on photographs of one face each, whose 68 points are known, next to facenet-pytorch's.

``python -m bench.faces PHOTOGRAPHS WEIGHTS OUT [--facenet FOLDER]`` converts the files of WEIGHTS, and finds the faces
of PHOTOGRAPHS (images and `face_landmarks.csv`). A true face is the box around its points. The five points are compared
with the mean of each eye's six points, the tip of the nose and the corners of the mouth: the mean distance as a
fraction of that between the eyes, over the faces that are found. With ``--facenet`` the other program, installed into
FOLDER by `pip install --no-deps --target FOLDER facenet-pytorch`, finds the same images' faces: the seconds of an image
are medians of both over the photographs, alternating, and what differs most is given in pixels.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

import convolve
from convolve.setup.restore import restore_task
from convolve.setup.runtime_options import RuntimeOptions
from convolve.tasks.faces.cascade import FoundFaces
from convolve.tasks.faces.predictor import find_in_pixels
from convolve.tasks.faces.task import Faces
from convolve.training.run import open_run
from convolve.values import Pixels

POINTS = 68
Truth = dict[str, npt.NDArray[np.float64]]


def read_points(photographs: Path) -> Truth:
    """(68, 2) the points of each image by its name; of several faces the last."""
    with (photographs / "face_landmarks.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    axes = [[f"part_{number}_{axis}" for axis in "xy"] for number in range(POINTS)]
    return {row["image_name"]: np.array([[float(row[name]) for name in pair] for pair in axes]) for row in rows}


def write_boxes(photographs: Path, truth: Truth, data: Path) -> None:
    """A dataset of the images with the boxes around their points, as COCO has it."""
    data.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number, (name, points) in enumerate(truth.items(), 1):
        (data / name).write_bytes((photographs / name).read_bytes())
        with Image.open(photographs / name) as opened:
            images.append({"id": number, "file_name": name, "width": opened.width, "height": opened.height})
        (left, top), (width, height) = points.min(0).tolist(), np.ptp(points, axis=0).tolist()
        box = {"bbox": [left, top, width, height], "area": width * height, "iscrowd": 0}
        annotations.append({"id": number, "image_id": number, "category_id": 1, **box})
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "face"}]}
    (data / "annotations.json").write_text(json.dumps(document))


def point_error(found: FoundFaces, points: npt.NDArray[np.float64]) -> float | None:
    """The mean distance of the five points of the face whose nose is nearest, by that between the eyes; None where no
    face is that near.
    """
    eyes = points[36:42].mean(0), points[42:48].mean(0)
    five, between = np.stack([*eyes, points[30], points[48], points[54]]), float(np.linalg.norm(eyes[1] - eyes[0]))
    errors = np.linalg.norm(found.points.numpy() - five, axis=2).mean(1) / between
    return float(errors.min()) if len(errors) and errors.min() < 1 else None


def facenet(folder: str) -> Any:
    """The other program's cascade, with the same thresholds."""
    sys.path.insert(0, folder)
    from facenet_pytorch import MTCNN  # type: ignore[import-not-found, unused-ignore]

    return MTCNN(keep_all=True, select_largest=False)


def difference(found: FoundFaces, boxes: Any, points: Any) -> float:
    """The largest difference in pixels of boxes and points; infinite where there are not as many faces."""
    count = 0 if boxes is None else len(boxes)
    if count != len(found.boxes):
        return float("inf")
    if not count:
        return 0.0
    nearest = np.abs(found.boxes.numpy()[:, None] - boxes).max(-1).argmin(1)
    apart = found.boxes.numpy() - boxes[nearest], found.points.numpy() - points[nearest]
    return max(float(np.abs(each).max()) for each in apart)


def main() -> None:
    """Convert, evaluate and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("photographs", "weights", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--facenet")
    options = parser.parse_args()
    torch.set_num_threads(1)
    run, truth = options.out / "run", read_points(options.photographs)
    if not run.exists():
        convolve.convert([options.weights / f"{name}net.pt" for name in "pro"], out=run, progress=False)
    write_boxes(options.photographs, truth, options.out / "data")
    evaluation = convolve.evaluate(run, options.out / "data", threads=1, progress=False).evaluation
    print({name: round(value, 4) for name, value in evaluation.as_json()["metrics"].items()})

    task, runtime = restore_task(open_run(run), RuntimeOptions("cpu", "fp32", 1))
    assert isinstance(task, Faces)
    other = facenet(options.facenet) if options.facenet else None
    errors, ours, theirs, apart = [], [], [], []
    for name, points in truth.items():
        pixels: Pixels = np.array(Image.open(options.photographs / name).convert("RGB"))
        start = time.perf_counter()
        found = find_in_pixels(task, pixels, runtime)
        ours.append(time.perf_counter() - start)
        errors.append(point_error(found, points))
        if other:
            start = time.perf_counter()
            boxes, _, five = other.detect(pixels, landmarks=True)
            theirs.append(time.perf_counter() - start)
            apart.append(difference(found, boxes, five))
    near = [error for error in errors if error is not None]
    print(f"points: {statistics.mean(near):.4f} of the distance between the eyes, {len(near)} faces")
    print(f"seconds an image: {statistics.median(ours):.3f}")
    if other:
        print(f"facenet-pytorch: {statistics.median(theirs):.3f}; largest difference {max(apart):.5f} pixels")


if __name__ == "__main__":
    main()
