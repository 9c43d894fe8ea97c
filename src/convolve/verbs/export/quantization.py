"""An export in 8 bits, kept where it is faster here and accurate enough."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convolve.datasets.preprocess import fit_to_input, least_side, normalize
from convolve.errors import ExportError, ImageError
from convolve.exports.card import ExportPrecision
from convolve.interop.exportable import ExportedNetwork
from convolve.interop.openvino import CompiledNetwork, add_steps, quantization_errors, quantize_network, save_graph
from convolve.progress import Listener, Message
from convolve.tasks.task import Evaluation, EvaluationData, Task, TaskExport
from convolve.values import Dataset, Floats, Indices, Preprocessing
from convolve.verbs.export.gates import BATCHES, Speed, evaluate_export, measure_speed, seconds_in_turn

CALIBRATION_IMAGES = 300
"""Training images from which the ranges of values are taken."""
SENSITIVITY_IMAGES = 16
"""How many of them tell which layers are sensitive."""
MOST_CLASS_DROP = 3.0
"""Points by which a class may fall."""
LEAST_GAIN = 1.05
"""How many times as fast 8 bits must be: two measurements of one file differ by less than that."""
FRACTIONS_IN_FLOAT = (0.05, 0.1, 0.25)
"""Fractions of the layers that are left in float, the most sensitive ones, one attempt each."""
_ROUNDING = 1e-9
_ROUNDS = 50


@dataclass(frozen=True, eq=False)
class Baseline:
    """The export in higher precision that 8 bits are held against: its metrics, and the file as it runs."""

    evaluation: Evaluation
    network: ExportedNetwork
    precision: ExportPrecision


@dataclass(frozen=True)
class Quantized:
    """What came of it: the metrics and the speed of the file in 8 bits, if it was kept, and what the card says."""

    evaluation: Evaluation | None
    speeds: list[Speed]
    document: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Attempt:
    """One way to quantize, with what it was measured by: ``drop`` of the headline metric and ``class_drop`` of the
    class that falls most in points, and ``times`` in milliseconds of the baseline and of 8 bits by batch, the fastest
    of some rounds, since whatever else the machine does only makes them longer.
    """

    in_float: tuple[str, ...]
    evaluation: Evaluation
    drop: float
    worst_class: str
    class_drop: float
    times: Mapping[int, tuple[float, float]]

    @property
    def gain(self) -> float:
        """How many times as fast one image is."""
        baseline, own = self.times[1]
        return baseline / own

    @property
    def faster(self) -> bool:
        """Whether it is so much faster that the clock is sure of it."""
        return self.gain >= LEAST_GAIN

    def obstacle(self, max_drop: float) -> str:
        """Why it cannot be kept; nothing if it can."""
        if not math.isfinite(self.drop):
            return "the metric is undefined on these images"
        if self.drop > max_drop + _ROUNDING:
            return f"it may fall by {max_drop:g} at most"
        if self.class_drop > MOST_CLASS_DROP + _ROUNDING:
            return f"a class may fall by {MOST_CLASS_DROP:g} at most"
        return "" if self.faster else f"it must be {LEAST_GAIN:g} times as fast"

    def as_json(self) -> dict[str, Any]:
        """For the card; times by the number of images at once."""
        times = [{"batch": batch, "baseline": one, "int8": other} for batch, (one, other) in self.times.items()]
        drop = self.drop if math.isfinite(self.drop) else None
        return {"drop": drop, "class_drop": self.class_drop, "class": self.worst_class, "gain": self.gain} | {
            "left_in_float": list(self.in_float),
            "milliseconds": times,
        }


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
        began, tried, kept, speeds = time.monotonic(), list[dict[str, Any]](), None, list[Speed]()
        draft = path.with_name(f"int8_{path.name}")
        for graph, in_float in self._graphs(images):
            save_graph(add_steps(graph, self.exported.part, self.data.preprocessing), draft, compressed=False)
            try:
                network = CompiledNetwork(draft, None, self.data.runtime.threads)
            except ExportError as error:
                tried.append({"kept": False, "reason": str(error), "left_in_float": list(in_float)})
                self.listener(Message(f"int8: {error}"))
                continue
            attempt = self._measure(network, in_float, baseline)
            obstacle = attempt.obstacle(self.max_drop)
            reason = f"{self._words(attempt, baseline)}; {f'not kept, {obstacle}' if obstacle else 'kept'}"
            tried.append({"kept": not obstacle, "reason": reason, **attempt.as_json()})
            self.listener(Message(f"int8: {reason}"))
            if not obstacle:
                kept = attempt
                speeds = measure_speed(self.exported, network, self.data.preprocessing, self.data.runtime)
            if not obstacle or not attempt.faster:
                break  # with more layers in float it would be slower still
        for part in (draft, draft.with_suffix(".bin")):
            if kept:
                part.replace(path.with_suffix(part.suffix))
            else:
                part.unlink()
        seconds = time.monotonic() - began
        document = {**tried[-1], "images": len(images), "seconds": seconds, "attempts": tried}
        return Quantized(kept.evaluation if kept else None, speeds, document)

    def _graphs(self, images: list[Floats]) -> Iterator[tuple[Any, tuple[str, ...]]]:
        """The network in 8 bits, then with more and more of the layers left in float whose error is the largest, and
        the names of these.
        """
        quantized = quantize_network(self.network, images)
        yield quantized, ()
        errors = quantization_errors(self.network, quantized, images[:SENSITIVITY_IMAGES])
        for in_float in most_sensitive(errors):
            yield quantize_network(self.network, images, in_float), in_float

    def _measure(self, network: CompiledNetwork, in_float: tuple[str, ...], baseline: Baseline) -> Attempt:
        evaluation = evaluate_export(self.exported, network, self.data, self.listener)
        input_size = self.data.preprocessing
        shape = (input_size.height, input_size.width, input_size.channels)
        random = np.random.default_rng(0)
        times = {}
        for batch in BATCHES:
            pixels = random.integers(0, 256, (batch, *shape), dtype=np.uint8)
            rounds = seconds_in_turn([baseline.network, network], pixels, _ROUNDS)
            times[batch] = 1000 * min(first for first, _ in rounds), 1000 * min(second for _, second in rounds)
        headline = self.task.monitored
        drop = 100 * (baseline.evaluation.metrics[headline] - evaluation.metrics[headline])
        drops = dict(_class_drops(self.exported.class_metric, baseline.evaluation, evaluation))
        worst = max(drops, key=lambda name: drops[name], default="")
        return Attempt(in_float, evaluation, drop, worst, drops.get(worst, 0.0), times)

    def _words(self, attempt: Attempt, baseline: Baseline) -> str:
        """What was measured, as a sentence without its end."""
        headline, count = self.task.monitored, len(attempt.in_float)
        layers = f"{count} most sensitive layer{'s' * (count > 1)} left in float, " if count else ""
        way = f"{'rises' if attempt.drop < 0 else 'falls'} by {abs(attempt.drop):.2f} points"
        change = f"{headline} {way}" if attempt.drop else f"{headline} stays the same"
        one_class = (
            f", that of {attempt.worst_class} falls by {attempt.class_drop:.2f}" if attempt.class_drop > 0 else ""
        )
        first, second = attempt.times[1]
        times = f"one image takes {second:.2f} ms, in {baseline.precision} {first:.2f} ms"
        return f"{layers}{change}{one_class}; {times}, {attempt.gain:.2f} times as fast"


def most_sensitive(errors: Mapping[str, float]) -> Iterator[tuple[str, ...]]:
    """The layers of the largest errors, the largest first: `FRACTIONS_IN_FLOAT` of all, but never all."""
    names = sorted(errors, key=lambda name: -errors[name])
    counts = sorted({math.ceil(fraction * len(names)) for fraction in FRACTIONS_IN_FLOAT})
    yield from (tuple(names[:count]) for count in counts if 0 < count < len(names))


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
    rows = (evaluation.as_json().get("classes", {}) for evaluation in (before, after))
    first, second = rows
    for name, values in first.items():
        pair = values.get(metric), second[name].get(metric)
        if None not in pair and all(math.isfinite(value) for value in pair):
            yield name, 100 * (pair[0] - pair[1])
