"""An export in 8 bits, kept where it is faster here and accurate enough."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convolve.datasets.preprocess import fit_to_input, least_side, normalize
from convolve.errors import ExportError, ImageError
from convolve.interop.openvino import CompiledNetwork, add_steps, quantize_network, save_graph
from convolve.progress import Listener, Message
from convolve.tasks.task import Evaluation, EvaluationData, Task, TaskExport
from convolve.values import Dataset, Floats, Indices, Preprocessing
from convolve.verbs.export.gates import Speed, evaluate_export, measure_speed

CALIBRATION_IMAGES = 300
"""Training images from which the ranges of values are taken."""
MOST_CLASS_DROP = 3.0
"""Points by which a class may fall."""
_ENDS = (0, 1, 3)
"""How many layers at either end are left in higher precision, one attempt after the other: the first and the last ones
are the most sensitive, as they see the pixels and give the answers.
"""


@dataclass(frozen=True)
class Baseline:
    """The export in higher precision that 8 bits are held against."""

    evaluation: Evaluation
    speeds: list[Speed]


@dataclass(frozen=True)
class Quantized:
    """What came of it: the metrics and the speed of the file in 8 bits, if it was kept, and what the card says."""

    evaluation: Evaluation | None
    speeds: list[Speed]
    document: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Quantizer:
    """What all attempts have in common: what is exported, the float network, images to measure on, and the limit."""

    task: Task
    exported: TaskExport
    network: Any
    data: EvaluationData
    max_drop: float
    listener: Listener

    def try_all(self, path: Path, images: list[Floats], baseline: Baseline) -> Quantized:
        """The first attempt that is accurate enough and faster; its file is written over ``path``, or none is."""
        tried: list[dict[str, Any]] = []
        for ends in _ENDS:
            quantized, left = quantize_network(self.network, images, ends)
            draft = path.with_name(f"int8_{path.name}")
            files = (draft, draft.with_suffix(".bin"))
            save_graph(add_steps(quantized, self.exported.part, self.data.preprocessing), draft, compressed=False)
            evaluation: Evaluation | None = None
            speeds: list[Speed] = []
            found: dict[str, Any]
            try:
                network = CompiledNetwork(draft, None, self.data.runtime.threads)
                measured = evaluate_export(self.exported, network, self.data, self.listener)
            except ExportError as error:
                found = {"kept": False, "drop": 0.0, "class_drop": 0.0, "reason": str(error)}
            else:
                evaluation = measured
                speeds = measure_speed(self.exported, network, self.data.preprocessing, self.data.runtime)
                found = self._measured(measured, speeds, baseline)
            found |= {"left_in_float": list(left), "images": len(images)}
            tried.append(found)
            self.listener(Message(f"int8: {found['reason']}"))
            if found["kept"]:
                for part in files:
                    part.replace(path.with_suffix(part.suffix))
                return Quantized(evaluation, speeds, {**found, "attempts": tried})
            for part in files:
                part.unlink()
            if speeds and found["drop"] <= self.max_drop and found["class_drop"] <= MOST_CLASS_DROP:
                break  # it is slower, and would be slower still with fewer layers in 8 bits
        return Quantized(None, [], {**tried[-1], "attempts": tried})

    def _measured(self, evaluation: Evaluation, speeds: list[Speed], baseline: Baseline) -> dict[str, Any]:
        headline = self.task.monitored
        drop = 100 * (baseline.evaluation.metrics[headline] - evaluation.metrics[headline])
        drops = dict(_class_drops(self.exported.class_metric, baseline.evaluation, evaluation))
        worst = max(drops, key=lambda name: drops[name]) if drops else ""
        gain = baseline.speeds[0].export / speeds[0].export
        words = f"{headline} falls by {drop:.2f} points, {worst or 'no class'} by {drops.get(worst, 0.0):.2f}, "
        words += f"and it is {gain:.2f} times as fast"
        kept = drop <= self.max_drop and drops.get(worst, 0.0) <= MOST_CLASS_DROP and gain > 1
        return {
            "kept": kept,
            "drop": drop,
            "class_drop": drops.get(worst, 0.0),
            "gain": gain,
            "reason": f"{words}: {'kept' if kept else 'not kept'}",
        }


def calibration_images(
    task: type[Task], dataset: Dataset, indices: Indices, preprocessing: Preprocessing
) -> list[Floats]:
    """Normalized images (1, C, H, W) of a training split, of each class as many, as far as there are."""
    ground_truth = dataset.ground_truths[task.info.ground_truth]
    view = replace(preprocessing, fit="crop") if preprocessing.fit == "tiles" else preprocessing
    chosen: list[Floats] = []
    for index in _stratified(ground_truth.presence()[indices]):
        try:
            pixels = dataset.images.read(int(indices[index]), least_side(preprocessing))
        except ImageError:
            continue
        chosen.append(np.ascontiguousarray(normalize(fit_to_input(pixels, view)[None], view).transpose(0, 3, 1, 2)))
        if len(chosen) == CALIBRATION_IMAGES:
            break
    return chosen


def _stratified(presence: Any) -> Iterator[int]:
    """Rows of (N, C) flags, of one class after the other in turn, then those that no class was left for."""
    order = np.random.default_rng(0).permutation(len(presence))
    waiting = [[int(row) for row in order if presence[row, column]] for column in range(presence.shape[1])]
    seen: set[int] = set()
    while any(waiting):
        for rows in waiting:
            while rows:
                row = rows.pop()
                if row not in seen:
                    seen.add(row)
                    yield row
                    break
    yield from (int(row) for row in order if int(row) not in seen)


def _class_drops(metric: str, before: Evaluation, after: Evaluation) -> Iterator[tuple[str, float]]:
    """Points by which each class falls, by its name."""
    rows = (evaluation.as_json()["classes"] for evaluation in (before, after))
    first, second = rows
    for name, values in first.items():
        pair = values.get(metric), second[name].get(metric)
        if None not in pair and all(math.isfinite(value) for value in pair):
            yield name, 100 * (pair[0] - pair[1])
