"""What can be said of a task without importing torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from convolve.choices import Fit, Precision
from convolve.errors import OptionError


@dataclass(frozen=True)
class NoOptions:
    """The options of a task that has none of its own."""


@dataclass(frozen=True)
class TaskInfo:
    """``name`` on the command line and in files; ``title`` heads its options; ``output`` is the `Card.output` of the
    networks that it trains, ``other_outputs`` those of others that it can train too; ``ground_truth`` the key of
    `Dataset.ground_truths` that it learns from; ``fits`` the ways in which images may be fitted. Training images
    ``reflect`` beyond their edges unless its targets end there.

    Where a classifier is named for it, the `models.counterpart` with the output ``classifiers_as`` is trained, if it is
    given.

    ``scored`` says in words what its networks tell apart.

    ``options``, ``predict_options``, ``data_options`` and ``convert_options`` are frozen dataclasses of its own options
    in training, in prediction, in `convolve data` and in `convolve convert`: a docstring under each field, and in
    training None for what is chosen automatically; ``ranges`` are the least and the largest value of those that are
    numbers. ``metric_titles`` are the names of its metrics for people, the headline first; its ``unit`` is `%` where it
    is a fraction. ``imbalance_remedy`` says, as the end of a sentence, what to do where one class has many more images
    than another. ``compared`` names the numbers by which an export is held against its run. ``untrained`` is a sentence
    on why its networks are converted and never trained, or nothing. ``layout`` is the one by which its data is read
    unless a person names another; by default it is recognized. With ``learned_outputs`` the training split decides how
    many outputs there are, as that of a vocabulary does. ``trained_in`` is the number format of its trainings unless a
    person names another; by default the machine's fastest.
    """

    name: str
    title: str
    output: str
    ground_truth: str
    options: type
    predict_options: type
    metric_titles: Mapping[str, str]
    fits: tuple[Fit, ...] = ("crop", "letterbox", "stretch")
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    data_options: type = NoOptions
    convert_options: type = NoOptions
    reflect: bool = True
    classifiers_as: str = ""
    scored: str = "classes"
    other_outputs: tuple[str, ...] = ()
    imbalance_remedy: str = "add images of the rare classes"
    untrained: str = ""
    layout: str | None = None
    unit: str = "%"
    compared: str = "probabilities"
    learned_outputs: bool = False
    trained_in: Precision | None = None


@runtime_checkable
class Remarking(Protocol):
    """A predictor, of a run or of an export, that has something to say of all images together."""

    def remarks(self, predictions: Sequence[Any]) -> Iterable[str]:
        """Sentences for people, shown after the table."""
        ...


def class_columns(classes: Sequence[str], others: Sequence[str]) -> dict[str, str]:
    """The headings of columns that have classes' names, by class; where one is that of an ``others`` column, it says
    that it is a class.
    """
    return {name: f"{name} (class)" if name in others else name for name in classes}


def finite_or_none(value: float) -> float | None:
    """None for nan and infinities, which JSON does not have."""
    return value if math.isfinite(value) else None


def check_predict_options(top: int, threshold: float | None) -> None:
    """The ranges of two options that several tasks have in prediction. Raises `OptionError`."""
    if top < 1:
        raise OptionError(f"top cannot be {top}; it must be a whole number from 1.")
    if threshold is not None and not 0 <= threshold <= 1:
        raise OptionError(f"threshold cannot be {threshold}; it must be a number from 0 to 1.")
