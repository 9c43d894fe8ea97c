"""Boxes by regression beside those of class activation maps, on the heads of pets.

``python -m bench.localization PETS OUT [--weights FILE] [--seeds N]`` trains, for each seed, a localization network
and a classifier on the same images, by the same frozen stages of SqueezeNet, and measures on the same test images: the
regressed box; the box of the class activation map of the classifier, and of the localization network's own scores
(Zhou et al. 2016: the largest connected region of what is at least 20 % of the map's maximum); and the mean box of the
training images, which looks at no image. The class is that of the network whose box it is.

With ``--figure FILE`` the first seed's test images are drawn with both boxes.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image

import convolve
from convolve.datasets.boxes import Boxes
from convolve.datasets.drawn_boxes import DrawnBox, draw_boxes
from convolve.datasets.input_boxes import input_matrices, to_image
from convolve.explainers.localization import attribution_box
from convolve.explainers.methods import attributions
from convolve.explainers.score_targets import ClassScore
from convolve.setup.prepare import evaluation_batches
from convolve.setup.restore import open_evaluation_data, restore_task, run_examples
from convolve.setup.runtime_options import RuntimeOptions
from convolve.tasks.localize.evaluation import Evaluation, summarize
from convolve.tasks.task import EvaluationData, Task
from convolve.training.run import open_run, read_splits
from convolve.values import Indices
from convolve.verbs.train import Trained

OPTIONS: Mapping[str, Any] = {
    "network": "squeezenet",
    "freeze": "stage4",
    "size": 227,
    "fit": "stretch",
    "epochs": 60,
    "learning_rate": 0.0003,
    "test": 0.33,
    "threads": 1,
    "precision": "fp32",
    "progress": False,
}
OWN: Mapping[str, Mapping[str, Any]] = {"classify": {"label_smoothing": 0.0}, "localize": {}}
"""Without label smoothing, which a head whose scores pass a rectifier, as those of SqueezeNet do, cannot follow."""
METRICS = ("localization_accuracy", "accuracy", "box_accuracy", "mean_iou")
_REGRESSED, _MAP = (27, 98, 168), (200, 80, 26)
_SHOWN, _WIDTH = 8, 240


def train(pets: str, task: str, folder: Path, weights: str, seed: int) -> Path:
    """The folder of the run, trained unless it is there already."""
    if not (folder / "report.html").is_file():
        found = convolve.train(pets, task=task, weights=weights, seed=seed, out=folder, **OPTIONS, **OWN[task])
        assert isinstance(found, Trained)
    return folder


def map_boxes(task: Task, data: EvaluationData, indices: Indices, names: Sequence[str]) -> Evaluation:
    """The boxes of the class activation maps of a network's most likely classes, for images of the data, whose classes
    have these ``names``.
    """
    sizes = cast(Boxes, data.dataset.ground_truths["boxes"]).sizes
    scores, boxes, seen = [], [], []
    for batch in data.batches.epoch(0):
        images = data.runtime.images(batch.images)
        with torch.inference_mode():
            found = task.predict(images)[:, : len(names)]
        maps = attributions(task.network, "cam", images, ClassScore(found.argmax(1))).numpy()
        own = np.stack([attribution_box(each) for each in maps])
        boxes.append(to_image(own, input_matrices(sizes[batch.indices], data.preprocessing), sizes[batch.indices]))
        scores.append(found.numpy())
        seen.append(batch.indices)
    assert np.array_equal(np.concatenate(seen), indices)
    return summarize(tuple(names), data.split, data.dataset, indices, (np.concatenate(scores), np.concatenate(boxes)))


def mean_box(data: EvaluationData, train_images: Indices, scores: Evaluation) -> Evaluation:
    """The mean of the training images' boxes, as fractions of the image, with the classes that another one found."""
    truth = cast(Boxes, data.dataset.ground_truths["boxes"])
    rows, image = truth.rows(train_images)
    mean = (truth.boxes[rows] / np.tile(truth.sizes[train_images][image][:, ::-1], 2)).mean(0)
    boxes = mean * np.tile(truth.sizes[data.indices][:, ::-1], 2)
    return summarize(scores.names, data.split, data.dataset, data.indices, (scores.localized.scores, boxes))


def compare(localizer: Path, classifier: Path) -> dict[str, Evaluation]:
    """All kinds of boxes on the test images of the localization network's run."""
    options = RuntimeOptions("cpu", "fp32", 1)
    run, other = open_run(localizer), open_run(classifier)
    (task, runtime), (plain, other_runtime) = restore_task(run, options), restore_task(other, options)
    data = open_evaluation_data(run, task, runtime, None, "test")
    regressed = cast(Evaluation, task.evaluate(data))
    size = other.manifest.preprocessing
    batches = evaluation_batches(run_examples(other, data.dataset), data.indices, size)
    seen = EvaluationData("test", data.dataset, data.indices, batches, size, other_runtime)
    learned = {data.dataset.images.name(index) for index in read_splits(run, data.dataset).train.tolist()}
    own = open_evaluation_data(other, plain, other_runtime, None, "train")
    assert learned == {own.dataset.images.name(index) for index in own.indices.tolist()}
    assert task.classes == plain.classes
    return {
        "regressed": regressed,
        "CAM of a classifier": map_boxes(plain, seen, data.indices, plain.classes),
        "CAM of the same network": map_boxes(task, data, data.indices, task.classes),
        "mean box": mean_box(data, read_splits(run, data.dataset).train, regressed),
    }


def draw(found: Mapping[str, Evaluation], data: str, file: Path) -> None:
    """Test images with the true box (dashed), the regressed one (blue) and the map's (orange)."""
    dataset = convolve_dataset(data)
    regressed, of_map = found["regressed"].localized, found["CAM of a classifier"].localized
    tiles = []
    for row in np.linspace(0, len(regressed.indices) - 1, _SHOWN).astype(int).tolist():
        image = dataset.images.read(int(regressed.indices[row]))
        drawn = [
            DrawnBox(tuple(regressed.boxes[row].tolist()), f"regressed {regressed.overlaps[row]:.2f}", _REGRESSED),
            DrawnBox(tuple(of_map.boxes[row].tolist()), f"CAM {of_map.overlaps[row]:.2f}", _MAP),
            DrawnBox(tuple(regressed.objects[row].tolist()), "", (20, 20, 20), dashed=True),
        ]
        picture = Image.fromarray(draw_boxes(image, drawn))
        picture.thumbnail((_WIDTH, _WIDTH))
        tile = Image.new("RGB", (_WIDTH, _WIDTH), "white")
        tile.paste(picture, ((_WIDTH - picture.width) // 2, (_WIDTH - picture.height) // 2))
        tiles.append(np.asarray(tile))
    half = len(tiles) // 2
    grid = np.concatenate([np.concatenate(tiles[:half], 1), np.concatenate(tiles[half:], 1)])
    Image.fromarray(grid).save(file)


def convolve_dataset(data: str) -> Any:
    """The data as localization learns from it."""
    from convolve.datasets.layouts import open_dataset
    from convolve.tasks.localize.objects import with_one_object

    return with_one_object(open_dataset(data))


def main() -> None:
    """Train, compare, print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("pets")
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    table: dict[str, list[Evaluation]] = {}
    for seed in range(options.seeds):
        localizer, classifier = (
            train(options.pets, task, options.out / f"{task}-{seed}", options.weights, seed)
            for task in ("localize", "classify")
        )
        found = compare(localizer, classifier)
        for name, evaluation in found.items():
            table.setdefault(name, []).append(evaluation)
            values = "  ".join(f"{metric} {evaluation.metrics[metric]:.3f}" for metric in METRICS)
            print(f"seed {seed}  {name:24}  {values}  ({evaluation.images} images)", flush=True)
        if seed == 0 and options.figure:
            draw(found, options.pets, options.figure)
    for name, rows in table.items():
        cells = []
        for metric in METRICS:
            column = [100 * each.metrics[metric] for each in rows]
            spread = statistics.stdev(column) if len(column) > 1 else 0.0
            cells.append(f"{statistics.mean(column):.1f} ± {spread:.1f} %")
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
