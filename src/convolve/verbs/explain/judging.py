"""What is measured of each method while images are explained: cost, faithfulness, localization, sanity."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import final

import numpy as np
import torch

from convolve.explainers.faithfulness import areas, curves
from convolve.explainers.heat import heat_maps
from convolve.explainers.localization import Localized, localization, localize
from convolve.explainers.methods import METHODS
from convolve.explainers.question import Question
from convolve.explainers.sanity import Survival, survival
from convolve.metrics.boxes import BoxArray
from convolve.models import Network
from convolve.progress import Listener, Step
from convolve.values import Floats
from convolve.verbs.explain.case import Case
from convolve.verbs.explain.results import Judged
from convolve.verbs.explain.subjects import Looked

_ROBBED = 8  # images by which the sanity check compares maps


@dataclass
class _Gathered:
    """What the batches so far have given for a method."""

    seconds: float = 0.0
    images: int = 0
    deletion: list[Floats] = field(default_factory=list)
    insertion: list[Floats] = field(default_factory=list)
    localized: list[Localized] = field(default_factory=list)
    survival: Survival | None = None


@final
class Judge:
    """Sees every batch of images with its maps, and says in the end what the methods are worth.

    ``fresh`` makes the case's network anew, with first weights, for the sanity check.
    """

    def __init__(self, case: Case, fresh: Callable[[], Network], listener: Listener) -> None:
        self._case, self._fresh, self._listener = case, fresh, listener
        self._gathered = {name: _Gathered() for name in case.chosen.methods}

    def maps(self, looked: Looked) -> dict[str, Floats]:
        """Each method's (N, K, H, W) maps of a batch for its (N, K) classes, 0 where there is nothing to explain; the
        time is kept.
        """
        found, explained, network = {}, looked.said.classes, self._case.task.network
        for name, gathered in self._gathered.items():
            if self._case.options.checks.faithfulness and not gathered.images:
                self._heat(network, name, looked.take(np.arange(1)))  # what happens only once
            began = time.perf_counter()
            each = [self._heat(network, name, looked, column) for column in range(explained.shape[1])]
            gathered.seconds += time.perf_counter() - began
            gathered.images += explained.size
            found[name] = np.stack(each, axis=1)
        return found

    def see(self, looked: Looked, maps: Mapping[str, Floats], truths: Sequence[BoxArray]) -> None:
        """Measure what is asked for of a batch, by the first class of each image; ``truths`` are its true boxes.

        Images in which there is nothing to explain tell nothing of a method but whether it finds the boxes.
        """
        there = np.flatnonzero(looked.said.there[:, 0])
        some = looked.take(there)
        for number, (name, gathered) in enumerate(self._gathered.items(), 1):
            heat = maps[name][:, 0]
            if self._case.options.checks.faithfulness and len(there):
                question = question_of(some)
                found = curves(partial(self._predict, question), some.inputs, heat[there], question.numbers)
                gathered.deletion.append(areas(found.deletion))
                gathered.insertion.append(areas(found.insertion))
            if self._case.options.checks.sanity and gathered.survival is None and len(there):
                gathered.survival = self._survival(name, some.take(np.arange(min(_ROBBED, len(there)))))
            gathered.localized += [localize(one, boxes) for one, boxes in zip(heat, truths, strict=True) if len(boxes)]
            if self._case.options.checks.faithfulness or self._case.options.checks.sanity:
                self._listener(Step("measure", number, len(self._gathered), name))

    def verdicts(self) -> tuple[Judged, ...]:
        """What was found, method by method."""
        return tuple(self._verdict(name, gathered) for name, gathered in self._gathered.items())

    def _verdict(self, name: str, gathered: _Gathered) -> Judged:
        method, places = METHODS[name], localization(gathered.localized) if gathered.localized else None
        measured, survived = self._case.options.checks.faithfulness, gathered.survival
        return Judged(
            method=name,
            title=method.title,
            paper=method.paper,
            known=method.sanity,
            milliseconds=1000 * gathered.seconds / gathered.images if measured else None,
            deletion=float(np.concatenate(gathered.deletion).mean()) if gathered.deletion else None,
            insertion=float(np.concatenate(gathered.insertion).mean()) if gathered.insertion else None,
            boxed=places.images if places else 0,
            localization=places.accuracy if places else None,
            overlap=places.mean_overlap if places else None,
            pointing=places.pointing if places else None,
            survival=dict(zip(survived.parts, survived.similarity, strict=True)) if survived else {},
            top=survived.top if survived else None,
            similarity=survived.similarity[-1] if survived else None,
            sane=survived.passed if survived else None,
        )

    def _survival(self, name: str, looked: Looked) -> Survival:
        maps_of = partial(self._heat, name=name, looked=looked)
        regions = None if looked.said.regions is None else looked.said.regions[:, 0]
        return survival(self._case.task.network, self._fresh(), maps_of, regions)

    def _heat(self, network: Network, name: str, looked: Looked, column: int = 0) -> Floats:
        """(N, H, W) a method's maps of one of the classes of each image."""
        question = question_of(looked, column)
        with self._case.runtime.arithmetic():
            maps = heat_maps(question.of(network), name, looked.inputs, question.numbers, self._stage(name))
        there = looked.said.there[:, column, None, None]
        return np.where(there, maps.float().cpu().numpy(), np.float32(0))

    def _stage(self, name: str) -> str | None:
        """The stage that is asked for; beside methods that read one, those that go down to the pixels have none."""
        others = any(METHODS[other].staged for other in self._case.chosen.methods)
        return None if others and not METHODS[name].staged else self._case.options.stage

    def _predict(self, question: Question, images: torch.Tensor) -> torch.Tensor:
        with self._case.runtime.arithmetic():
            return question.scores(self._case.explaining.shares(images))


def question_of(looked: Looked, column: int = 0) -> Question:
    """One of the classes that are explained of each image."""
    device, said = looked.inputs.device, looked.said
    classes = torch.from_numpy(np.ascontiguousarray(said.classes[:, column])).to(device)
    if said.regions is None:
        return Question(classes)
    return Question(classes, torch.from_numpy(np.ascontiguousarray(said.regions[:, column])).to(device))
