"""What a cascade of networks finds: faces, and five points of each. It is converted, and never trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn, final

import torch
from torch import Tensor

from convolve.errors import ExplainError, ExportError, OptionError
from convolve.models import Card, Network
from convolve.runtime import Runtime
from convolve.tasks.classes import conform
from convolve.tasks.faces.cascade import CascadeRule, FoundFaces, find_faces
from convolve.tasks.faces.evaluation import Evaluation, evaluate
from convolve.tasks.faces.options import INFO, FacePredictOptions
from convolve.tasks.task import EvaluationData, Task
from convolve.training.defaults import Choice, Facts
from convolve.values import Dataset, GroundTruth, Indices, Preprocessing, Splits

if TYPE_CHECKING:
    from convolve.reports.report import Headline, Section
    from convolve.tasks.faces.predictor import FacePredictor

CLASSES = ("face",)


@final
@dataclass
class Faces(Task):
    """Boxes around faces, and five points of each."""

    network: Network
    classes: tuple[str, ...] = CLASSES
    rule: CascadeRule = field(default_factory=CascadeRule)
    monitored: str = "ap50"

    info = INFO

    @classmethod
    def accept(cls, dataset: Dataset, options: Any) -> Dataset:
        """The dataset as it is."""
        del options
        return dataset

    @classmethod
    def defaults(
        cls, known: Mapping[str, object], facts: Facts, card: Card, ground_truth: GroundTruth
    ) -> Iterator[Choice]:
        """Raises `OptionError`: it is not trained."""
        del known, facts, card, ground_truth
        _refuse()

    @classmethod
    def outputs(cls, ground_truth: Any, card: Card) -> int:
        """One score for each face."""
        del ground_truth, card
        return len(CLASSES)

    @classmethod
    def build(
        cls, network: Network, ground_truth: Any, options: Any, splits: Splits, preprocessing: Preprocessing
    ) -> Faces:
        """Raises `OptionError`: it is not trained."""
        del network, ground_truth, options, splits, preprocessing
        _refuse()

    @classmethod
    def restore(cls, network: Network, state: Mapping[str, Any]) -> Faces:
        """The task of a run."""
        thresholds = tuple(float(value) for value in state["thresholds"])
        if len(thresholds) != 3 or not all(0 <= value <= 1 for value in thresholds):
            raise ValueError("its thresholds are not three numbers from 0 to 1")
        return cls(network, rule=CascadeRule(thresholds=thresholds))

    @classmethod
    def of_trained(
        cls, network: Network, classes: tuple[str, ...], *, multi_label: bool, size: Preprocessing, options: Any
    ) -> Faces:
        """The cascade with the published thresholds."""
        del classes, multi_label, size, options
        return cls(network)

    def state(self) -> dict[str, Any]:
        """The thresholds of the three networks."""
        return {"thresholds": list(self.rule.thresholds)}

    def with_network(self, network: Network) -> Faces:
        """The same task with another network."""
        return replace(self, network=network)

    def loss(self, images: Tensor, targets: Any, random: torch.Generator | None) -> dict[str, Tensor]:
        """Raises `OptionError`: it is not trained."""
        del images, targets, random
        _refuse()

    def predict(self, images: Tensor) -> list[FoundFaces]:
        """(N, 3, H, W) of numbers from 0 to 255 to the faces of each."""
        return [find_faces(self.network, image, self.rule) for image in images]

    def evaluator(self) -> NoReturn:
        """Raises `OptionError`: it is not trained."""
        _refuse()

    def conform(self, dataset: Dataset) -> Dataset:
        """The dataset, whose only class is a face. Raises `DataError` when it has others."""
        return conform(dataset, "boxes", self.classes)

    def evaluate(self, data: EvaluationData) -> Evaluation:
        """Every metric of a split, with each image in its own size."""
        return evaluate(self, data)

    def predictor(self, preprocessing: Preprocessing, runtime: Runtime, options: FacePredictOptions) -> FacePredictor:
        """How faces are found in images of any size."""
        from convolve.tasks.faces.predictor import FacePredictor

        del preprocessing
        return FacePredictor(self, runtime, options)

    def exported(self, preprocessing: Preprocessing, runtime: Runtime) -> NoReturn:
        """Raises `ExportError`: how many windows there are depends on the image."""
        del preprocessing, runtime
        raise ExportError(
            f"{self.network.card.name} looks at as many windows as an image needs, which no format of ours holds; use "
            "the run itself."
        )

    def report(
        self, evaluation: Evaluation, dataset: Dataset, preprocessing: Preprocessing, runtime: Runtime
    ) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """Average precision, precision and recall, and the images of the most mistakes."""
        from convolve.tasks.faces.report import report_sections

        del preprocessing, runtime
        return report_sections(evaluation, dataset)

    def explanation_targets(
        self, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
    ) -> NoReturn:
        """Raises `ExplainError`: windows have scores, and the image has none."""
        del inputs, sizes, classes, preprocessing
        self.explanation_method(None)

    def explanation_method(self, stage: str | None) -> NoReturn:
        """Raises `ExplainError`."""
        del stage
        raise ExplainError(
            f"{self.network.card.name} scores windows and not the image, so that there is nothing to explain; explain "
            "a classifier or a detector."
        )

    def probabilities(self, inputs: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, H', W') the first network's probability of a face in each window of 12x12."""
        scores: Tensor = self.network(inputs)[:, :2].softmax(1)[:, 1]
        return scores


TASK = Faces


def _refuse() -> NoReturn:
    raise OptionError(INFO.untrained)
