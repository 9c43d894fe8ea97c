"""What a task is: one class in each folder here, and all that the rest of convolve asks of it.

To add a task, write a class with these attributes and methods and register it (`convolve.register_task`); nothing else
changes. `tests/tasks/mean_color.py` is a complete one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy.typing as npt
import torch
from torch import Tensor

from convolve.datasets.batches import Batches, Examples, Groups
from convolve.datasets.cache import PixelSource
from convolve.errors import ExportError, OptionError
from convolve.models import Card, Network
from convolve.progress import Listener
from convolve.runtime import Runtime
from convolve.tasks.info import TaskInfo
from convolve.training.defaults import Choice, Facts
from convolve.values import Batch, Dataset, Floats, GroundTruth, Images, Indices, Preprocessing, Splits

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.explainers.explanation_targets import ExplanationTargets
    from convolve.interop.exportable import Exportable
    from convolve.reports.report import Headline, Section
    from convolve.training.step import Phases


class Evaluator(Protocol):
    """Gathers predictions batch by batch."""

    def add(self, predictions: Any, batch: Batch) -> None:
        """Count what the task's `predict` gave for a batch."""
        ...

    def metrics(self) -> dict[str, float]:
        """The metrics of all batches so far, by name."""
        ...


@dataclass(frozen=True)
class EvaluationData:
    """Images to evaluate on: the ``indices`` of a ``split`` of a dataset, as ``batches`` of the network's input too."""

    split: str
    dataset: Dataset
    indices: Indices
    batches: Batches
    preprocessing: Preprocessing
    runtime: Runtime


class Evaluation(Protocol):
    """How good a network is on a split: its number of ``images`` and its ``metrics`` by name."""

    @property
    def split(self) -> str:
        """The split's name."""
        ...

    @property
    def images(self) -> int:
        """How many images were evaluated."""
        ...

    @property
    def metrics(self) -> Mapping[str, float]:
        """Metrics by name; nan where one is undefined."""
        ...

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and lists, with `split`, `images` and `metrics`; an undefined metric is null."""
        ...

    def to_console(self) -> Iterator[RenderableType]:
        """Lines and tables for the command line."""
        ...


class Prediction(Protocol):
    """What a network predicts for one image; ``error`` says why the image could not be read; ``overlay`` is the path of
    an image with the prediction drawn in, where the task has written one.
    """

    @property
    def image(self) -> str:
        """The image's name."""
        ...

    @property
    def error(self) -> str:
        """A sentence, or nothing."""
        ...

    @property
    def overlay(self) -> str:
        """A path, or nothing."""
        ...

    def cells(self) -> Mapping[str, str]:
        """A row of the table for people, by heading; the same headings for every image of a run."""
        ...

    def entries(self) -> Sequence[Mapping[str, str]]:
        """Rows of a CSV table, one or more, by column, `image` and `error` among them; the same columns for all."""
        ...

    def as_json(self) -> dict[str, Any]:
        """Plain numbers, lists and text."""
        ...


class Predictor(Protocol):
    """How a task predicts images of any size, ``batch_size`` of them at once."""

    @property
    def batch_size(self) -> int:
        """How many images are read and predicted together."""
        ...

    def read(self, images: Images, index: int) -> Any:
        """What `predict` takes of an image; called by several threads. Raises `ImageError`."""
        ...

    def predict(self, names: Sequence[str], inputs: Sequence[Any]) -> Iterator[Prediction]:
        """The prediction for each image that was read, in order."""
        ...

    def unreadable(self, name: str, error: str) -> Prediction:
        """The entry of an image that could not be read."""
        ...

    def total(self, predictions: Sequence[Any]) -> Mapping[str, str]:
        """A last row of the table for people, for all images together, by heading; empty for none."""
        ...

    def finish(self, predictions: Sequence[Any]) -> Path | None:
        """Write what belongs to all images together, once all are predicted; its path, or None for nothing."""
        ...


@dataclass(frozen=True)
class AnswerDifference:
    """How far an exported network's answer for an image is from the run's: of so many ``answers`` (an image has one, or
    one for each pixel or object) how many are others, how far apart two probabilities are at most, and, of boxes, how
    far two edges are, in pixels. ``view_pixels`` are the pixels of the image as a network sees it that takes any size.
    """

    answers: int
    changed: int
    largest: float
    shift: float | None = None
    view_pixels: int = 0


class TaskExport(Protocol):
    """A task's network to be exported, and how its export is held against the run. ``class_metric`` is what of each
    class must not fall when the export's numbers become smaller, by its name in `Evaluation.as_json`.
    """

    part: Exportable
    class_metric: str

    def predict(self, images: Images, index: int) -> Any:
        """The run's answer for an image, as the run predicts it. Raises `ImageError`."""
        ...

    def answer(self, found: Mapping[str, npt.NDArray[Any]]) -> Any:
        """The export's answer from what leaves its graph for a batch of one image."""
        ...

    def compare(self, run: Any, export: Any) -> AnswerDifference:
        """Hold one answer against another."""
        ...

    def evaluate(self, data: EvaluationData, answers: Iterable[tuple[int, Any]]) -> Evaluation:
        """Every metric of a split, from the export's answers for images of the dataset, by index."""
        ...


class TaskFindings(Protocol):
    """What a task has to say of a dataset, beyond the doctor's findings."""

    def as_json(self) -> dict[str, Any]:
        """Plain numbers, lists and text, under names of the task's own."""
        ...

    def to_console(self) -> Iterator[RenderableType]:
        """Lines and tables for the command line."""
        ...

    def sections(self) -> tuple[Section, ...]:
        """Sections of the page."""
        ...


class Task(ABC):
    """A network with a target.

    The class has `info`, which describes it; ``classes`` of an instance are empty where the task has none.
    """

    info: ClassVar[TaskInfo]

    network: Network
    classes: tuple[str, ...]
    phases: Phases | None = None  # learns in the task's place, where other parts learn in other epochs

    # Before there is a network: what to learn from, and how.

    @classmethod
    @abstractmethod
    def accept(cls, dataset: Dataset, options: Any) -> Dataset:
        """The dataset as it is learned from. Raises `DataError` where there is nothing to learn."""

    @classmethod
    @abstractmethod
    def defaults(
        cls, known: Mapping[str, object], facts: Facts, card: Card, ground_truth: GroundTruth
    ) -> Iterator[Choice]:
        """A value with its reason for each of the task's own options; ``known`` holds what the recipe sets.

        May also choose options of the recipe itself that nobody has set: its choices go before those for any task.
        Raises `OptionError` for a value out of range.
        """

    @classmethod
    def suitable_networks(cls, options: Any, channels: int) -> tuple[str, ...]:
        """To choose from for images of so many channels, the fastest last; none for `setup.choice.CANDIDATES`."""
        del options, channels
        return ()

    @classmethod
    def examine(cls, dataset: Dataset, preprocessing: Preprocessing, options: Any) -> TaskFindings | None:
        """What is worth knowing of a dataset that is learned from as the ``preprocessing`` makes it, by the task's
        options of `convolve data`; None where there is nothing.
        """
        del dataset, preprocessing, options
        return None

    @property
    @abstractmethod
    def monitored(self) -> str:
        """The metric that selects the best epoch; higher is better."""

    @classmethod
    @abstractmethod
    def outputs(cls, ground_truth: Any, card: Card) -> int:
        """How many scores the network of a ``card`` gives (for an image, or for each of its pixels) to learn a ground
        truth that `accept` has left under `TaskInfo.ground_truth`.
        """

    @classmethod
    def sampler(cls, options: Any, ground_truth: Any, indices: Indices) -> Floats | Groups | None:
        """Weights (N,) or groups by which training images are drawn; None: each once an epoch. Raises `OptionError`."""
        del options, ground_truth, indices
        return None

    @classmethod
    def examples(
        cls, dataset: Dataset, source: PixelSource, preprocessing: Preprocessing, options: Any, cache_bytes: int
    ) -> Examples:
        """What batches are made of: by default every image with its target. Caches may take ``cache_bytes``."""
        del preprocessing, options, cache_bytes
        return Examples(source, dataset.ground_truths[cls.info.ground_truth])

    @classmethod
    @abstractmethod
    def build(
        cls, network: Network, ground_truth: Any, options: Any, splits: Splits, preprocessing: Preprocessing
    ) -> Self:
        """The task that is trained on images as the ``preprocessing`` makes them, by options of which none is None."""

    @classmethod
    @abstractmethod
    def restore(cls, network: Network, state: Mapping[str, Any]) -> Self:
        """The task of a run, whose manifest holds what `state` gave. Raises `ValueError`, `KeyError` or `TypeError` for
        what it cannot have given.
        """

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What `restore` needs, as JSON has it."""

    @classmethod
    def of_trained(
        cls, network: Network, classes: tuple[str, ...], *, multi_label: bool, size: Preprocessing, options: Any
    ) -> Self:
        """The task of a network that was trained by another program, by the task's options of `convolve convert`; with
        ``multi_label`` each class has a probability of its own. Raises `OptionError` where the task does not have that.
        """
        del network, classes, multi_label, size, options
        raise OptionError(f"No network of another program can be converted for the task {cls.info.name}.")

    # Training.

    @property
    def changes_images(self) -> bool:
        """Whether `loss` changes the images that it is given, as mixup does."""
        return False

    @abstractmethod
    def with_network(self, network: Network) -> Self:
        """The same task with another network."""

    @abstractmethod
    def loss(self, images: Tensor, targets: Any, random: torch.Generator | None) -> dict[str, Tensor]:
        """(N, C, H, W) images and their targets to named scalars; `loss`, the mean over the batch, is obligatory.

        ``random`` is the source of random numbers in training, None in evaluation.
        """

    @abstractmethod
    def predict(self, images: Tensor) -> Any:
        """(N, C, H, W) images to predictions as people read them."""

    def loss_and_predictions(self, images: Tensor, targets: Any) -> tuple[dict[str, Tensor], Any]:
        """Both in evaluation mode; worth overriding where one forward pass can serve both."""
        return self.loss(images, targets, None), self.predict(images)

    @abstractmethod
    def evaluator(self) -> Evaluator:
        """What gathers the metrics of the validation split after an epoch."""

    def finish_training(self, training: EvaluationData, listener: Listener) -> None:
        """Learn of the training split, without augmentation, what begins where gradients end; by default nothing."""
        del training, listener

    # Evaluation, prediction and explanation.

    @abstractmethod
    def conform(self, dataset: Dataset) -> Dataset:
        """Another dataset with its classes in this task's order. Raises `DataError` where it does not fit."""

    def calibrate(self, validation: EvaluationData) -> Self:
        """The task with what the validation split says of its confidence; by default unchanged."""
        del validation
        return self

    @abstractmethod
    def evaluate(self, data: EvaluationData) -> Evaluation:
        """Every metric of a split, measured as the network is used."""

    @abstractmethod
    def predictor(self, preprocessing: Preprocessing, runtime: Runtime, options: Any) -> Predictor:
        """How images of any size are predicted, by its own options."""

    def exported(self, preprocessing: Preprocessing, runtime: Runtime) -> TaskExport:
        """The task's network to be exported, and the run that it is held against. Raises `ExportError`."""
        del preprocessing, runtime
        raise ExportError(
            f"A run of the task '{self.info.name}' cannot be exported; add `exported` to the class of the task."
        )

    @abstractmethod
    def report(
        self, evaluation: Any, dataset: Dataset, preprocessing: Preprocessing, runtime: Runtime
    ) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """The headline metrics and the sections of the report on an evaluation."""

    @abstractmethod
    def explanation_targets(
        self, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
    ) -> ExplanationTargets:
        """What is explained of N images (N, C, H, W) whose files have the ``sizes`` (N, 2; height, width).

        ``classes`` are the indices that a person asks for, none for what the network predicts.
        """

    def explanation_method(self, stage: str | None) -> tuple[str, str]:
        """The method of attribution for `explanation_targets` where a person names none, and why: by default `cam`
        where the network allows it, else `grad-cam`. ``stage`` is the one that a person asks for, if any.
        """
        from convolve.explainers.methods import default_method

        method, reason = default_method(self.network, stage)
        return method.name, reason

    @property
    def score_names(self) -> tuple[str, ...]:
        """What a person may ask to have explained, by the indices that `explanation_targets` takes: the classes."""
        return self.classes

    @abstractmethod
    def probabilities(self, inputs: Tensor) -> Any:
        """(N, C, H, W) images to outputs of the network's own shape; explanations make numbers from 0 to 1 of them."""

    def ground_truth_labels(self, ground_truth: Any, indices: Indices) -> tuple[str, ...]:
        """What some images should be predicted as, in words; empty where that cannot be said in a few."""
        del ground_truth
        return ("",) * len(indices)
