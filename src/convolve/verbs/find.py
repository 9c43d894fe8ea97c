"""`convolve find`: the images of a folder that are most like an image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from convolve.choices import Language
from convolve.command import Command
from convolve.errors import DataError, ImageError, OptionError
from convolve.options import Flat
from convolve.progress import Listener, Message
from convolve.setup.runtime_options import RuntimeOptions

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.reports.report import Report

_MOST = 1000
_SIDE = 160


@dataclass(frozen=True)
class Find:
    """Find the images of a folder that a network finds most like an image.

    The first search makes a vector of each image of the folder and keeps it in the cache; later ones are fast.
    """

    image: Path
    """Image to find others for."""
    _: KW_ONLY
    folder: Annotated[Path, Parameter(alias="--in")]
    """Folder with the images to search, also in folders below it."""
    network: str = "resnet18"
    """Folder of a run that classifies or embeds images, or the name of a classifier with official ImageNet weights."""
    top: int = 10
    """Number of images to find."""
    out: Annotated[Path | None, Parameter(alias="-o")] = None
    """Page to write (.html); by default `NAME_similar.html` in the current folder, after the image."""
    language: Language = "en"
    """Language of the page: en, or ko for Korean."""
    runtime: Annotated[RuntimeOptions, Flat, Parameter(group="Runtime")] = field(default_factory=RuntimeOptions)


@dataclass(frozen=True)
class SimilarImage:
    """A file, and the distance of its vector from the image's: 0 to 2, less for what is more alike."""

    path: str
    distance: float


@dataclass(frozen=True)
class SimilarImages:
    """The images ``found``, nearest first, among so many ``searched``; ``failed`` says by path why others could not be
    read. ``page`` shows them.
    """

    image: str
    network: str
    found: tuple[SimilarImage, ...]
    searched: int
    failed: dict[str, str]
    page: Path

    def as_json(self) -> dict[str, Any]:
        """The same fields."""
        return {**vars(self), "found": [vars(one) for one in self.found], "page": str(self.page)}

    def _repr_html_(self) -> str:
        from convolve.datasets.images import ImageFiles
        from convolve.reports.notebook import images_html

        rows = [{"image": one.path, "distance": f"{one.distance:.3f}"} for one in self.found]
        return images_html(ImageFiles(Path(), tuple(one.path for one in self.found)), rows)


def run(options: Find, listener: Listener) -> SimilarImages:
    """Search, and write the page. Raises `ConvolveError`."""
    import numpy as np

    from convolve.datasets.images import ImageFiles
    from convolve.datasets.inventory import take_inventory
    from convolve.metrics.verification import distances_between
    from convolve.reports.page import write_report
    from convolve.runtime import choose
    from convolve.setup.data_report import check_page
    from convolve.setup.image_index import ImageVectors, index_images
    from convolve.tasks.trained_network import open_trained_network

    if not 1 <= options.top <= _MOST:
        raise OptionError(f"top cannot be {options.top}; it must be a whole number from 1 to {_MOST:,}.")
    page = options.out or Path(f"{options.image.stem}_similar.html")
    check_page(page)
    if not options.folder.is_dir():
        raise DataError(f"{options.folder} is no folder; give --in a folder of images.")
    names = tuple(str(options.folder / name) for name in take_inventory(options.folder).images)
    others = tuple(name for name in names if Path(name).resolve() != options.image.resolve())
    if not others:
        raise DataError(f"There is no other image in {options.folder} than {options.image}; give another folder.")
    network, preprocessing = open_trained_network(options.network, "--network", listener)
    runtime = choose(**vars(options.runtime))
    runtime.prepare(network)
    vectors = ImageVectors(network, preprocessing, runtime)
    query = vectors.read(ImageFiles(Path(), (str(options.image),)), 0)
    if isinstance(query, str):
        raise ImageError(query)
    indexed = index_images(ImageFiles(Path(), others), vectors, listener)
    if not indexed.images.names:
        raise DataError(f"None of the images in {options.folder} can be read; `convolve data` says why.")
    searched = len(indexed.images.names)
    listener(Message(f"{searched:,} images, {searched - indexed.new:,} of them from the cache"))
    distances = distances_between(vectors.embed([query]), indexed.vectors)[0]
    nearest = np.argsort(distances, kind="stable")[: options.top].tolist()
    found = tuple(SimilarImage(indexed.images.names[index], float(distances[index])) for index in nearest)
    label = vectors.network.label
    result = SimilarImages(str(options.image), label, found, searched, indexed.failed, page)
    write_report(page, _report(result), options.language)
    return result


def _report(result: SimilarImages) -> Report:
    """The image, and those found with their distances."""
    import datetime as dt

    from convolve import __version__
    from convolve.datasets.images import ImageFiles, to_channels
    from convolve.reports.report import Headline, Report, Section, thousands
    from convolve.reports.thumbnails import thumbnail

    files = ImageFiles(Path(), (result.image, *(one.path for one in result.found)))
    shown = [thumbnail(to_channels(files.read(index, _SIDE), 3), _SIDE) for index in range(len(files))]
    tiles = [(image, one.path, f"{one.distance:.3f}") for image, one in zip(shown[1:], result.found, strict=True)]
    context = {"query": (shown[0], result.image), "tiles": tiles, "network": result.network}
    return Report(
        title=Path(result.image).name,
        subtitle=f"The most similar images by {result.network}",
        headlines=(Headline("images searched", thousands(result.searched)),),
        sections=(Section("similar", "Similar images", ("convolve.reports", "similar.html.j2"), context),),
        footer=f"convolve {__version__}, {dt.datetime.now().astimezone():%Y-%m-%d %H:%M}",
    )


def render(result: SimilarImages) -> Iterator[RenderableType]:
    """A table of what is found, and how many images could not be read."""
    from rich.table import Table
    from rich.text import Text

    table = Table("", "distance", "image", box=None, header_style="bold")
    for number, one in enumerate(result.found, 1):
        table.add_row(str(number), f"{one.distance:.3f}", Text(one.path))
    yield table
    if result.failed:
        yield Text(f"{len(result.failed):,} images could not be read; the first: {next(iter(result.failed.values()))}")
    yield f"page  {result.page}"


COMMAND = Command(Find, run, render)
