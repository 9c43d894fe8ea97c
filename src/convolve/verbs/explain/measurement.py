"""What is measured of each method while images are explained: time, faithfulness, localization, sanity."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, final

import numpy as np
from torch import Tensor

from convolve.explainers.faithfulness import areas, faithfulness_curves
from convolve.explainers.localization import ImageLocalization, localize, summarize_localization
from convolve.explainers.methods import METHODS, attributions
from convolve.explainers.sanity import SanityCheck, sanity_check
from convolve.metrics.boxes import BoxArray
from convolve.models import Network
from convolve.progress import Listener, Progress
from convolve.runtime import Runtime
from convolve.tasks.task import Task
from convolve.training.run import Run
from convolve.values import Floats
from convolve.verbs.explain import Explain
from convolve.verbs.explain.images import ImageBatch
from convolve.verbs.explain.results import MethodResult

_COMPARED = 8  # images by which the sanity check compares maps


@dataclass(frozen=True)
class Context:
    """The options, the names of the methods and the class indices that they come to for this run (no index stands for
    the prediction), the run, its task, and where the arithmetic runs.
    """

    options: Explain
    methods: tuple[str, ...]
    classes: tuple[int, ...]
    run: Run
    task: Task
    runtime: Runtime


@dataclass
class _Measurements:
    """Those of one method over the batches so far."""

    seconds: float = 0.0
    maps: int = 0
    deletion: list[Floats] = field(default_factory=list)
    insertion: list[Floats] = field(default_factory=list)
    localizations: list[ImageLocalization] = field(default_factory=list)
    sanity: SanityCheck | None = None


@final
class MethodMeter:
    """Computes the maps of each batch of images by each method, and measures the methods.

    ``initialize`` builds the run's network with randomly initialized weights, for the sanity check.
    """

    def __init__(self, context: Context, initialize: Callable[[], Network], listener: Listener) -> None:
        self._context, self._initialize, self._listener = context, initialize, listener
        self._checks = context.options.checks
        self._measurements = {name: _Measurements() for name in context.methods}

    def maps(self, batch: ImageBatch) -> dict[str, Floats]:
        """Each method's (N, K, H, W) maps for the (N, K) scores of a batch, 0 where there is nothing to explain; the
        time is measured.
        """
        maps, network = {}, self._context.task.network
        shape = batch.targets.scores.shape
        for name, measurements in self._measurements.items():
            if self._checks.faithfulness and not measurements.maps:
                self._maps(network, name, batch.take(np.arange(1)))  # what happens only once
            start = time.perf_counter()
            columns = [self._maps(network, name, batch, column) for column in range(shape[1])]
            measurements.seconds += time.perf_counter() - start
            measurements.maps += shape[0] * shape[1]
            maps[name] = np.stack(columns, axis=1)
        return maps

    def measure(self, batch: ImageBatch, maps: Mapping[str, Floats], boxes: Sequence[BoxArray]) -> None:
        """Measure what the options ask for, by the first score of each image; ``boxes`` are ground truth.

        Images in which there is nothing to explain count only for whether the boxes are found.
        """
        present = np.flatnonzero(batch.targets.present[:, 0])
        some = batch.take(present)
        for number, (name, measurements) in enumerate(self._measurements.items(), 1):
            first = maps[name][:, 0]
            if self._checks.faithfulness and len(present):
                target = some.targets.targets[0]
                curves = faithfulness_curves(
                    lambda images, target=target: target(self._probabilities(images)),  # type: ignore[misc]
                    some.inputs,
                    first[present],
                )
                measurements.deletion.append(areas(curves.deletion))
                measurements.insertion.append(areas(curves.insertion))
            if self._checks.sanity and measurements.sanity is None and len(present):
                few = some.take(np.arange(min(_COMPARED, len(present))))
                regions = None if few.targets.regions is None else few.targets.regions[:, 0]
                network, own_maps = self._context.task.network, partial(self._maps, name=name, batch=few)
                measurements.sanity = sanity_check(network, self._initialize(), own_maps, regions)
            measurements.localizations += [
                localize(one, own) for one, own in zip(first, boxes, strict=True) if len(own)
            ]
            if self._checks.faithfulness or self._checks.sanity:
                self._listener(Progress("measure", number, len(self._measurements), name))

    def results(self) -> tuple[MethodResult, ...]:
        """What was measured, method by method."""
        return tuple(self._result(name, measurements) for name, measurements in self._measurements.items())

    def _result(self, name: str, measurements: _Measurements) -> MethodResult:
        method, sanity = METHODS[name], measurements.sanity
        found = summarize_localization(measurements.localizations) if measurements.localizations else None
        timed = self._checks.faithfulness
        return MethodResult(
            method=name,
            title=method.title,
            paper=method.paper,
            warning=method.warning,
            milliseconds=1000 * measurements.seconds / measurements.maps if timed else None,
            deletion=float(np.concatenate(measurements.deletion).mean()) if measurements.deletion else None,
            insertion=float(np.concatenate(measurements.insertion).mean()) if measurements.insertion else None,
            boxed_images=found.images if found else 0,
            localization=found.accuracy if found else None,
            overlap=found.mean_overlap if found else None,
            pointing=found.pointing if found else None,
            similarities=dict(zip(sanity.parts, sanity.similarities, strict=True)) if sanity else {},
            top_similarity=sanity.top if sanity else None,
            similarity=sanity.similarities[-1] if sanity else None,
            passed=sanity.passed if sanity else None,
        )

    def _maps(self, network: Network, name: str, batch: ImageBatch, column: int = 0) -> Floats:
        """(N, H, W) a method's maps of one of the scores of each image."""
        layered = any(METHODS[other].layered for other in self._context.methods)
        # Next to methods that read the stage of the options, those that go down to the pixels have none.
        stage = None if layered and not METHODS[name].layered else self._context.options.stage
        with self._context.runtime.arithmetic():
            maps = attributions(network, name, batch.inputs, batch.targets.targets[column], stage)
        present = batch.targets.present[:, column, None, None]
        return np.where(present, maps.float().cpu().numpy(), np.float32(0))

    def _probabilities(self, images: Tensor) -> Any:
        with self._context.runtime.arithmetic():
            return self._context.task.probabilities(images)
