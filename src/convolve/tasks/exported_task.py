"""What an export of a task can do: one class `EXPORTED` in exported.py of each task's folder, without torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from convolve.datasets.images import to_channels
from convolve.datasets.preprocess import least_side
from convolve.exports.card import ExportCard
from convolve.exports.images import FoundInImage, ReadImage
from convolve.tasks.info import TaskInfo
from convolve.values import Dataset, Images

if TYPE_CHECKING:
    from convolve.reports.report import Headline, Section
    from convolve.tasks.task import Evaluation, Prediction


class ExportedPredictor(Protocol):
    """How the images that an export is given become predictions, as `Predictor` does it for a run."""

    def read(self, images: Images, index: int) -> ReadImage:
        """An image; called by several threads. Raises `ImageError`."""
        ...

    def predict(self, name: str, found: FoundInImage) -> Prediction:
        """The prediction for an image, from what left the network."""
        ...

    def unreadable(self, name: str, error: str) -> Prediction:
        """The entry of an image that could not be read."""
        ...

    def total(self, predictions: Sequence[Any]) -> Mapping[str, str]:
        """See `Predictor.total`."""
        ...

    def finish(self, predictions: Sequence[Any]) -> Path | None:
        """See `Predictor.finish`."""
        ...


@dataclass(frozen=True)
class ExportedTask(ABC):
    """A task whose network is in an export: the export's card says what it has learned."""

    card: ExportCard

    info: ClassVar[TaskInfo]

    @classmethod
    @abstractmethod
    def restore(cls, card: ExportCard) -> Self:
        """The task of an export. Raises `ValueError`, `KeyError` or `TypeError` for a card that cannot be its own."""

    @classmethod
    def complete(cls, card: ExportCard, options: Any) -> ExportCard:
        """The card of another program's network with what the task's options of `convolve convert` say. Raises
        `OptionError` where they do not fit the network.
        """
        del options
        return card

    @property
    @abstractmethod
    def monitored(self) -> str:
        """The metric that the run was selected by; higher is better."""

    @property
    @abstractmethod
    def usage(self) -> tuple[str, ...]:
        """The lines of Python that print the answer for one image; see `Exportable.usage`."""

    @abstractmethod
    def predictor(self, options: Any, outputs: Collection[str]) -> ExportedPredictor:
        """How images of any size are predicted, by its own options, from ``outputs`` of these names. Raises
        `OptionError` for an option that the export cannot follow.
        """

    def read(self, images: Images, index: int) -> ReadImage:
        """An image to evaluate, decoded as small as the network's input allows. Raises `ImageError`."""
        return read_small(images, index, self.card)

    @abstractmethod
    def conform(self, dataset: Dataset) -> Dataset:
        """See `Task.conform`."""

    @abstractmethod
    def evaluate(self, split: str, dataset: Dataset, found: Iterable[FoundInImage]) -> Evaluation:
        """Every metric of a split of a dataset, from what left the network for its readable images."""

    @abstractmethod
    def report(self, evaluation: Any, dataset: Dataset) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """The headline metrics and the sections of the report that need no network."""


def read_small(images: Images, index: int, card: ExportCard) -> ReadImage:
    """An image for an export's network, decoded as small as its input allows. Raises `ImageError`."""
    encoded = images.open(index)
    pixels = encoded.decode(least_side(card.input))
    return ReadImage(to_channels(pixels, card.input.channels), encoded.header.size)
