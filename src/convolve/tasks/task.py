"""What the verbs need of a task. Each task is a package of this folder whose `KIND` gathers it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from torch import Tensor

from convolve.datasets.batches import Batches, Examples
from convolve.datasets.cache import PixelSource
from convolve.models import Network
from convolve.runtime import Runtime
from convolve.training.recipe import Recipe
from convolve.training.run import Manifest, Run
from convolve.training.step import Learnable
from convolve.values import (
    Batch,
    Dataset,
    Floats,
    Images,
    Indices,
    Pixels,
    Preprocessing,
    Scored,
    Splits,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.explainers.explanation_targets import ExplanationTargets


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


class Explaining(Protocol):
    """What of a task's predictions is explained."""

    def explanation_targets(
        self, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
    ) -> ExplanationTargets:
        """Of network inputs (N, C, H, W), from images whose (height, width) are ``sizes`` (N, 2): the scores of
        ``classes`` (indices), or of what is predicted where there are none.
        """
        ...

    def probabilities(self, images: Tensor) -> Tensor:
        """(N, C, H, W) to what a `ScoreTarget` is computed of, as probabilities where the task has them."""
        ...

    def ground_truth_labels(self, dataset: Dataset, indices: Indices) -> tuple[str, ...]:
        """What should be predicted for each image, in the words of predictions; empty where there are none."""
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
    which measures it, given that. ``report`` writes the page and ``shown`` the lines for people. ``marked`` draws a
    batch's truth into its pictures (N, H, W, C), ``named`` says it in words for each of them, and ``answering`` is how
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
    report: Callable[[Path, Run, Dataset, E, T, Runtime], None]
    shown: Callable[[E], Iterator[RenderableType]]
    marked: Callable[[Pixels, Batch, Dataset], Pixels]
    named: Callable[[Batch, Dataset], Sequence[str]]
    answering: Callable[[T, Manifest, Runtime, Wanted], Answering]
    explaining: Callable[[T, Preprocessing], Explaining]


def find(name: str) -> Kind[Any, Any]:
    """The task of that name, its package imported only now."""
    kind: Kind[Any, Any] = importlib.import_module(f"convolve.tasks.{name}").KIND
    return kind
