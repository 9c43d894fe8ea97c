"""What the verbs need of a task. Each task is a package of this folder whose `KIND` gathers it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from convolve.datasets.batches import Batches, Examples
from convolve.datasets.cache import PixelSource
from convolve.models import Network
from convolve.reports.report import Headline, Section
from convolve.runtime import Runtime
from convolve.training.recipe import Recipe
from convolve.training.run import Manifest
from convolve.training.step import Learnable
from convolve.values import (
    Batch,
    Dataset,
    Floats,
    Images,
    Indices,
    Labels,
    Pixels,
    Preprocessing,
    Scored,
    Splits,
)

if TYPE_CHECKING:
    from rich.console import RenderableType


class Task(Learnable, Protocol):
    """A network with a target. ``criterion`` names the figure of `figures` that selects; higher is better."""

    network: Network
    classes: tuple[str, ...]

    def over(self, network: Network) -> Self:
        """The same task with another network."""
        ...

    def figures(self, parts: Iterable[Scored]) -> dict[str, float]:
        """Figures of merit of a whole split, by name, from its batches as `training.scoring.answers` gives them."""
        ...


class Answer(Protocol):
    """What a network says of one image; ``error`` says why the image could not be read."""

    @property
    def image(self) -> str:
        """The image's name."""
        ...

    @property
    def error(self) -> str:
        """A sentence, or nothing."""
        ...

    def cells(self) -> Mapping[str, str]:
        """What people want to see, by heading; the same headings for every image of a run."""
        ...

    def entries(self) -> Mapping[str, str]:
        """A line of a table for programs, by column, `image` and `error` among them; the same columns throughout."""
        ...

    def as_json(self) -> dict[str, Any]:
        """Plain numbers, lists and text."""
        ...


@dataclass(frozen=True)
class Wanted:
    """What a person wants of predictions: how many classes of each image, from which confidence on, and in which
    folder what the task draws.
    """

    top: int = 3
    threshold: float | None = None
    out: Path | None = None


class Answering(Protocol):
    """How a task answers for images, ``together`` so many of them at once."""

    @property
    def together(self) -> int:
        """How many images are read and answered together."""
        ...

    def read(self, images: Images, index: int) -> Any:
        """What `answers` takes of an image; called by several threads. Raises `ImageError`."""
        ...

    def answers(self, names: Sequence[str], found: Sequence[Any]) -> Iterator[Answer]:
        """The answer for each image that was read, in order."""
        ...

    def unread(self, name: str, error: str) -> Answer:
        """The answer for an image that could not be read."""
        ...

    def written(self, answers: Sequence[Any]) -> Path | None:
        """Write what there is of all images together, once all are answered; where, or None for nothing."""
        ...


@dataclass(frozen=True)
class Said:
    """What a network says of N images, and what of it is explained: K classes of each.

    ``labels`` are what it takes them for, with ``confidences`` (N,) between 0 and 1; ``classes`` (N, K) the places of
    the classes to explain and ``scores`` (N, K) between 0 and 1. ``regions`` (N, K, H, W) are the pixels whose score is
    explained, in the network's frame, None where an image has one score for each class.
    """

    labels: tuple[str, ...]
    confidences: Floats
    classes: Indices
    scores: Floats
    regions: npt.NDArray[np.bool_] | None = None

    @property
    def there(self) -> npt.NDArray[np.bool_]:
        """(N, K) whether there is anything to explain: a region without pixels has no score."""
        if self.regions is None:
            return np.ones(self.classes.shape, dtype=bool)
        return np.asarray(self.regions.any((2, 3)))

    def take(self, rows: Indices) -> Said:
        """Of some of the images."""
        return Said(
            labels=tuple(self.labels[row] for row in rows.tolist()),
            confidences=self.confidences[rows],
            classes=self.classes[rows],
            scores=self.scores[rows],
            regions=None if self.regions is None else self.regions[rows],
        )


class Explaining(Protocol):
    """What of a task's answers is explained; ``taken_for`` are the words before a label."""

    @property
    def taken_for(self) -> str:
        """Such as `taken for`."""
        ...

    def said(self, inputs: Tensor, sizes: Indices, asked: Sequence[int]) -> Said:
        """Of images (N, C, H, W), whose pictures have the ``sizes`` (N, 2) height and width: the classes at the places
        ``asked``, or the one that the network takes each image for.
        """
        ...

    def shares(self, inputs: Tensor) -> Tensor:
        """(N, C, H, W) to the probability of every class: (N, classes) of images, (N, classes, H, W) of pixels."""
        ...

    def truths(self, labels: Labels) -> tuple[str, ...]:
        """Of every image what it may truly be taken for, as text; empty where a label is no such thing."""
        ...


class Evaluation(Protocol):
    """How good a network is on a split: its number of ``images`` and its ``figures`` by name."""

    @property
    def split(self) -> str:
        """The split's name."""
        ...

    @property
    def images(self) -> int:
        """How many images were measured."""
        ...

    @property
    def figures(self) -> Mapping[str, float]:
        """Figures of merit; nan where one does not exist."""
        ...

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and lists, with `split`, `images` and `figures`; a figure that does not exist is null."""
        ...


T = TypeVar("T", bound=Task)
E = TypeVar("E", bound=Evaluation)


@dataclass(frozen=True)
class Kind(Generic[T, E]):
    """All that a verb may ask of a task.

    ``accept`` gives a dataset as the recipe wants it learned, and refuses what has nothing to learn (`DataError`);
    ``relabel`` lets it count in the classes of a run (`DataError`); ``examples`` is what batches show of the images,
    and has the bytes that `open_cache` may take; ``sampling`` the weights (N,) by which a balanced sampler draws, or
    None. ``build`` makes the task that learns, ``restore`` the one that predicts. ``conclude`` is what a run keeps of
    its validation split beside its weights; ``measured`` answers a split's images, or their batches, for ``evaluate``,
    which measures it, given that. ``report`` gives headlines and sections and ``shown`` the lines for people. ``marked``
    draws a batch's truth into its pictures (N, H, W, C), ``named`` says it in words for each of them, and ``answering`` is how
    images that no one knows are answered (`OptionError` for what the task cannot give). ``explaining`` is what of the
    answers is explained.
    """

    accept: Callable[[Dataset, Recipe], Dataset]
    relabel: Callable[[Dataset, Manifest], Dataset]
    examples: Callable[[Dataset, PixelSource, Preprocessing, int], Examples]
    sampling: Callable[[Recipe, Dataset, Indices], Floats | None]
    build: Callable[[Network, Recipe, Dataset, Splits], T]
    restore: Callable[[Network, Manifest], T]
    conclude: Callable[[T, Iterable[Scored]], dict[str, Any]]
    measured: Callable[[T, Dataset, Indices, Batches, Preprocessing, Runtime], Iterator[Scored]]
    evaluate: Callable[[T, str, Iterable[Scored], Mapping[str, Any]], E]
    report: Callable[[T, E, Dataset, Runtime, Preprocessing], tuple[tuple[Headline, ...], tuple[Section, ...]]]
    shown: Callable[[E], Iterator[RenderableType]]
    marked: Callable[[Pixels, Batch, Dataset], Pixels]
    named: Callable[[Batch, Dataset], Sequence[str]]
    answering: Callable[[T, Manifest, Runtime, Wanted], Answering]
    explaining: Callable[[T, Preprocessing], Explaining]


def find(name: str) -> Kind[Any, Any]:
    """The task of that name, its package imported only now."""
    kind: Kind[Any, Any] = importlib.import_module(f"convolve.tasks.{name}").KIND
    return kind
