"""`convolve explain`: what a run's network looks at in images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from convolve.options import flat
from convolve.progress import Listener
from convolve.verbs.running import Running
from convolve.verbs.verb import Verb
from convolve.words import Heat, View

if TYPE_CHECKING:
    from rich.console import RenderableType

_SEVERAL = Parameter(consume_multiple=True, negative=(), show_default=False)


@dataclass(frozen=True)
class Checks:
    """What to measure of the methods."""

    boxes: Path | None = None
    """Folder of Pascal VOC XML files named as the images: score by them how well heat finds the object."""
    sanity: bool = False
    """Re-initialise the network from the head down: a method whose maps survive that shows no more than the picture."""
    faithfulness: bool = False
    """Delete and insert pixels by their heat: does the score follow? With what each method costs."""


@dataclass(frozen=True)
class Explain:
    """Show what a trained network looks at: heat over images, how far to believe it, and what its layers hold.

    The arithmetic is fp32 unless another precision is asked for, so that slopes are exact.
    """

    run: Path
    """Folder of the run."""
    images: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = ()
    """Images and folders of images, `-` for names from standard input; by default a few of the run's test split."""
    _: KW_ONLY
    method: Annotated[tuple[Heat, ...], _SEVERAL] = ()
    """How to explain, several side by side; by default `cam` where the network can give it, else `grad-cam`."""
    classes: Annotated[tuple[str, ...], _SEVERAL] = ()
    """The classes to explain, several side by side; by default the one that the network predicts."""
    stage: str | None = None
    """The stage whose map is read, such as `stage3`; by default the one that the method is made for."""
    show: Annotated[tuple[View, ...], _SEVERAL] = ()
    """Look inside the network too: each view is a picture in the folder."""
    out: Path | None = None
    """Folder for the pictures, `heat.npz` and `explanations.html`; by default `explanations` in the run's folder."""
    checks: Annotated[Checks, flat("How far to believe it")] = field(default_factory=Checks)
    running: Annotated[Running, flat("Runtime")] = field(default_factory=Running)


@dataclass(frozen=True)
class Explained:
    """One image: what the network says of it, and the classes that were explained with their scores.

    ``truth`` is empty where it is not known; ``boxes`` maps each method to left, top, right, bottom round the first
    class's heat, as shares of what the network sees. ``error`` says why an image could not be read.
    """

    image: str
    truth: str = ""
    label: str = ""
    confidence: float = 0.0
    classes: Mapping[str, float] = field(default_factory=dict)
    boxes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    sheet: str = ""
    error: str = ""


@dataclass(frozen=True)
class Judged:
    """What was measured of a method; None where it was not asked for, or there was nothing to measure by.

    ``known`` is what the literature says against the method. ``milliseconds`` are those of one image. ``deletion`` and
    ``insertion`` are areas under curves; ``localization``, ``overlap`` and ``pointing`` are shares of the ``boxed``
    images; ``survival`` is how alike the maps stay as the network is re-initialised down to each part: ``top`` once the
    head and the last stage are fresh, ``similarity`` once all is; ``sane`` says whether that lies below the bound.
    """

    method: str
    title: str
    paper: str
    known: str = ""
    milliseconds: float | None = None
    deletion: float | None = None
    insertion: float | None = None
    boxed: int = 0
    localization: float | None = None
    overlap: float | None = None
    pointing: float | None = None
    survival: Mapping[str, float] = field(default_factory=dict)
    top: float | None = None
    similarity: float | None = None
    sane: bool | None = None


@dataclass(frozen=True)
class Explanation:
    """The images in order, the methods as judged, and where everything stands."""

    images: tuple[Explained, ...]
    methods: tuple[Judged, ...]
    views: Mapping[str, tuple[str, ...]]
    out: Path
    page: Path
    arrays: Path

    def as_json(self) -> dict[str, Any]:
        """`images`, `methods` and `views`, and the paths `out`, `page` and `arrays`."""
        paths = {name: str(getattr(self, name)) for name in ("out", "page", "arrays")}
        found = {name: [asdict(one) for one in getattr(self, name)] for name in ("images", "methods")}
        return {**paths, **found, "views": dict(self.views)}


def run(options: Explain, listener: Listener) -> Explanation:
    """Explain every image. Raises `RunError`, `OptionError`, and `DataError` when no image is found or can be read."""
    from convolve.verbs.explaining import explained

    return explained(options, listener)


def shown(result: Explanation) -> Iterator[RenderableType]:
    """The images, the methods where they were measured, what to beware of, and where everything stands."""
    from rich.text import Text

    yield _images_table(result)
    for one in result.images:
        if one.error:
            yield Text(f"left out: {one.error}", style="yellow")
    if any(method.similarity is not None or method.milliseconds or method.boxed for method in result.methods):
        yield _methods_table(result)
        for sentence in legend(result.methods):
            yield Text(sentence, style="dim")
    for method in result.methods:
        if method.known:
            yield Text(f"beware of {method.method}: {method.known}", style="yellow")
        if method.sane is False:
            yield Text(
                f"{method.method} fails the sanity check here: its maps survive a network that has learnt nothing",
                style="yellow",
            )
    for name, files in result.views.items():
        yield Text(f"{name}  {', '.join(place for place in files if place.endswith('.png'))}")
    yield Text(f"pictures  {result.out}")
    yield Text(f"arrays    {result.arrays}")
    yield Text(f"page      {result.page}")


def legend(methods: Sequence[Judged]) -> Iterator[str]:
    """A sentence for each kind of figure that was measured."""
    from convolve.explain.localization import OVERLAP
    from convolve.explain.sanity import BOUND

    if any(one.deletion is not None for one in methods):
        yield "deletion, insertion: mean score as the hottest pixels go first (low is good), come first (high is good)"
    boxed = max(one.boxed for one in methods)
    if boxed:
        yield f"found: share of the {boxed} images with boxes whose heat's box meets a true one by IoU {OVERLAP}"
        yield "pointing: share of them where the hottest pixel lies in a true box"
    if any(one.similarity is not None for one in methods):
        yield "fresh top: rank correlation with the maps once the head and the last stage are re-initialised"
        yield f"fresh: the same once the whole network is (Adebayo et al. 2018); {BOUND} or more fails"


def _images_table(result: Explanation) -> RenderableType:
    from rich.table import Column, Table
    from rich.text import Text

    known = any(one.truth for one in result.images)
    headings = ["image", *(["true"] if known else []), "label", "confidence", "explained"]
    table = Table(*(Column(name, overflow="fold") for name in headings), box=None, header_style="bold")
    for one in result.images:
        if not one.error:
            scores = ", ".join(f"{name} {score:.1%}" for name, score in one.classes.items())
            cells = (one.image, *([one.truth] if known else []), one.label, f"{one.confidence:.1%}", scores)
            table.add_row(*map(Text, cells))
    return table


def _methods_table(result: Explanation) -> RenderableType:
    from rich.table import Table

    columns = {
        "ms/image": "milliseconds",
        "deletion": "deletion",
        "insertion": "insertion",
        "found": "localization",
        "IoU": "overlap",
        "pointing": "pointing",
        "fresh top": "top",
        "fresh": "similarity",
    }
    columns = {
        name: key for name, key in columns.items() if any(getattr(one, key) is not None for one in result.methods)
    }
    table = Table("method", box=None, header_style="bold")
    for name in columns:
        table.add_column(name, justify="right")
    for one in result.methods:
        table.add_row(one.method, *(_figure(key, getattr(one, key)) for key in columns.values()))
    return table


def _figure(key: str, value: float | None) -> str:
    if value is None:
        return "–"
    if key == "milliseconds":
        return f"{value:.1f}"
    return f"{value:.1%}" if key in ("localization", "pointing") else f"{value:.3f}"


VERB = Verb(Explain, run, shown)
