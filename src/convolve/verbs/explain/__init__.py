"""`convolve explain`: which parts of images a run's network bases its predictions on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from convolve.choices import AttributionMethod, Language, View
from convolve.command import Command
from convolve.options import Flat
from convolve.progress import Listener
from convolve.setup.runtime_options import RuntimeOptions
from convolve.verbs.explain.results import Explanation, format_score, legend

if TYPE_CHECKING:
    from rich.console import RenderableType

_SEVERAL = Parameter(consume_multiple=True, negative=(), show_default=False)
_COLUMNS = {
    "ms/image": "milliseconds",
    "deletion": "deletion",
    "insertion": "insertion",
    "localization": "localization",
    "IoU": "overlap",
    "pointing": "pointing",
    "top randomized": "top_similarity",
    "all randomized": "similarity",
}


@dataclass(frozen=True)
class Checks:
    """What to measure of the methods."""

    boxes: Path | None = None
    """Folder of Pascal VOC XML files with the images' names: measure by their boxes how well heatmaps find the
    object."""
    sanity: bool = False
    """Randomize the network from the head down: a method whose maps stay the same shows the image, not the network."""
    faithfulness: bool = False
    """Measure deletion and insertion: does the score follow as pixels go in the order of their attribution? With the
    time that each method takes."""


@dataclass(frozen=True)
class Explain:
    """Show which parts of images a trained network bases its predictions on, how far to trust that, and what its layers
    hold.

    The arithmetic is fp32 unless another precision is named, so that gradients are exact.
    """

    run: Path
    """Folder of the run."""
    images: Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)] = ()
    """Images and folders of images, `-` for names from standard input; by default some of the run's test split."""
    _: KW_ONLY
    method: Annotated[tuple[AttributionMethod, ...], _SEVERAL] = ()
    """Methods of attribution, shown side by side; by default `cam` where the network allows it, else `grad-cam`, and
    `layer-cam` for detection."""
    classes: Annotated[tuple[str, ...], _SEVERAL] = ()
    """Classes to explain, shown side by side; by default the predicted one, in segmentation that of most pixels."""
    stage: str | None = None
    """Stage whose maps are used, such as `stage3`; by default the last one with a map."""
    show: Annotated[tuple[View, ...], _SEVERAL] = ()
    """Views inside the network; each is an image file in the folder."""
    out: Annotated[Path | None, Parameter(alias="-o")] = None
    """Folder for the heatmaps, `attributions.npz` and `explanations.html`; by default `explanations` in the run's
    folder."""
    language: Language = "en"
    """Language of the page: en or ko."""
    checks: Annotated[Checks, Flat, Parameter(group="How far to trust it")] = field(default_factory=Checks)
    runtime: Annotated[RuntimeOptions, Flat, Parameter(group="Runtime")] = field(default_factory=RuntimeOptions)


def run(options: Explain, listener: Listener) -> Explanation:
    """Explain each image. Raises `RunError`, `OptionError`, and `DataError` when no image is found or can be read."""
    from convolve.verbs.explain.explanation import explain

    return explain(options, listener)


def render(result: Explanation) -> Iterator[RenderableType]:
    """The images, the methods where they were measured, warnings, and the paths of what was written."""
    from rich.text import Text

    yield _images_table(result)
    for image in result.images:
        if image.error:
            yield Text(f"skipped: {image.error}", style="yellow")
    if any(getattr(method, key) is not None for method in result.methods for key in _COLUMNS.values()):
        yield _methods_table(result)
        for sentence in legend(result.methods):
            yield Text(sentence, style="dim")
    for method in result.methods:
        if method.warning:
            yield Text(f"caution, {method.method}: {method.warning}", style="yellow")
        if method.passed is False:
            yield Text(
                f"{method.method} fails the sanity check: its maps stay the same in a randomly initialized network",
                style="yellow",
            )
    for name, files in result.views.items():
        yield Text(f"{name}  {', '.join(path for path in files if path.endswith('.png'))}")
    yield Text(f"heatmaps      {result.out}")
    yield Text(f"attributions  {result.arrays}")
    yield Text(f"page          {result.page}")


def _images_table(result: Explanation) -> RenderableType:
    from rich.table import Column, Table
    from rich.text import Text

    images = [image for image in result.images if not image.error]
    optional = {
        "ground truth": any(image.ground_truth for image in images),
        "confidence": any(image.confidence is not None for image in images),
    }
    headings = [
        name for name in ("image", "ground truth", "prediction", "confidence", "explained") if optional.get(name, True)
    ]
    table = Table(*(Column(name, overflow="fold") for name in headings), box=None, header_style="bold")
    for image in images:
        probable = image.confidence is not None
        cells = {
            "image": image.image,
            "ground truth": image.ground_truth,
            "prediction": image.prediction,
            "confidence": "" if image.confidence is None else f"{image.confidence:.1%}",
            "explained": ", ".join(f"{name} {format_score(score, probable)}" for name, score in image.scores.items()),
        }
        table.add_row(*(Text(cells[name]) for name in headings))
    return table


def _methods_table(result: Explanation) -> RenderableType:
    from rich.table import Table

    columns = {
        name: key
        for name, key in _COLUMNS.items()
        if any(getattr(method, key) is not None for method in result.methods)
    }
    table = Table("method", box=None, header_style="bold")
    for name in columns:
        table.add_column(name, justify="right")
    for method in result.methods:
        table.add_row(method.method, *(method.format(key) or "–" for key in columns.values()))
    return table


COMMAND = Command(Explain, run, render)
