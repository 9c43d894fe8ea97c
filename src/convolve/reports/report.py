"""Everything that a report shows, as one frozen value; `page.write_report` sets it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from convolve.errors import DataError
from convolve.metrics.calibration import RejectThreshold, Reliability
from convolve.metrics.confusion import ClassMetrics, Fractions
from convolve.values import Indices


@dataclass(frozen=True)
class Headline:
    """A figure worth the top of the page, ready to print: `Test accuracy`, `98.1 %`, `on 450 images`."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Row:
    """A line of a list: a name, its value, and why it is so where it was chosen automatically."""

    name: str
    value: str
    reason: str = ""


@dataclass(frozen=True)
class Section:
    """A list under a title."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Epoch:
    """What one epoch measured; ``criterion`` is the validation figure that selects, ``rate`` the learning rate."""

    number: int
    loss: float
    validation_loss: float | None = None
    criterion: float | None = None
    rate: float | None = None


@dataclass(frozen=True)
class Training:
    """The epochs in order, the name of the figure that selects, and the number of the epoch that was kept."""

    epochs: tuple[Epoch, ...]
    criterion: str
    best: int | None = None


@dataclass(frozen=True)
class Classes:
    """Class names and the figures of each.

    ``matrix`` (C, C), rows truths, where every image has one class; None where it may carry several labels.
    ``average_precision`` and ``roc_auc`` (C,), one class against the rest, nan where there is none; ``iou`` (C,) where
    pixels are told apart. ``counted`` says what was: images or pixels.
    """

    names: tuple[str, ...]
    figures: ClassMetrics
    matrix: Indices | None = None
    average_precision: Fractions | None = None
    roc_auc: Fractions | None = None
    iou: Fractions | None = None
    counted: str = "images"

    def __post_init__(self) -> None:
        count = len(self.names)
        if len(self.figures.f1) != count or (self.matrix is not None and self.matrix.shape != (count, count)):
            raise DataError(f"The report's figures do not fit its {count} class names.")


@dataclass(frozen=True)
class Calibration:
    """Reliability as the network comes and, where a temperature was fitted, after it; ``reject`` keeps ``wanted``
    accuracy and is None where no threshold reaches it.
    """

    before: Reliability
    after: Reliability | None = None
    temperature: float | None = None
    wanted: float | None = None
    reject: RejectThreshold | None = None


@dataclass(frozen=True)
class Overlay:
    """Where a network sees a class in an image: the class's place, and a transparent picture (a data URI) of the same
    proportions to lie over it.
    """

    place: int
    layer: str


@dataclass(frozen=True)
class HeatKey:
    """How a page's overlays were made: the method's name and paper, and whether they are ``signed``."""

    method: str
    paper: str
    signed: bool


@dataclass(frozen=True)
class Example:
    """An image (a data URI from `thumbnails.thumbnail`) with the classes it has and those it was taken for."""

    name: str
    image: str
    truth: tuple[int, ...]
    predicted: tuple[int, ...]
    confidence: float
    heat: tuple[Overlay, ...] = ()

    @property
    def size(self) -> int:
        """Bytes that its pictures take on the page."""
        return len(self.image) + sum(len(one.layer) for one in self.heat)


@dataclass(frozen=True)
class Comparison:
    """An image beside its truth, its answer and where they differ, in one picture (a data URI)."""

    name: str
    image: str
    note: str


@dataclass(frozen=True)
class Report:
    """A trained network, measured.

    ``examples`` open from the confusion matrix, ``mistakes`` or ``comparisons`` stand on the page, worst first;
    ``heat`` says what lies over them, if anything does; ``legend`` pairs the names of the classes with their colors
    (`#rrggbb`). ``data``, ``recipe`` and
    ``machine`` are lists; ``warnings`` what the doctor found. ``made`` is the line at the foot: program and date.
    """

    title: str
    subtitle: str
    headlines: tuple[Headline, ...]
    classes: Classes
    training: Training | None = None
    calibration: Calibration | None = None
    examples: tuple[Example, ...] = ()
    mistakes: tuple[Example, ...] = ()
    heat: HeatKey | None = None
    comparisons: tuple[Comparison, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    recipe: tuple[Section, ...] = ()
    data: tuple[Section, ...] = ()
    machine: tuple[Section, ...] = ()
    warnings: tuple[str, ...] = ()
    made: str = ""


def sections(
    document: Mapping[str, object], title: str, reasons: Mapping[str, str] | None = None
) -> tuple[Section, ...]:
    """A document as `options.to_sections` makes it, as lists: its own entries under ``title``, then one per table.

    ``reasons`` are looked up by `table.entry`, else by `entry`.
    """
    tables = {title: {name: value for name, value in document.items() if not isinstance(value, Mapping)}}
    tables |= {name: dict(value) for name, value in document.items() if isinstance(value, Mapping)}
    why = reasons or {}
    return tuple(
        Section(
            _words(table),
            tuple(
                Row(_words(name), shown(value), why.get(f"{table}.{name}", why.get(name, "")))
                for name, value in entries.items()
            ),
        )
        for table, entries in tables.items()
        if entries
    )


def shown(value: object) -> str:
    """A value as people write it: yes and no, six digits at most, lists with commas."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(shown(item) for item in value)
    return str(value)


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
