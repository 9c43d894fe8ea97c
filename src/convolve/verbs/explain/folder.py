"""What `convolve explain` leaves in its folder: a sheet for each image, `heat.npz`, and the page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch

from convolve import __version__
from convolve.explainers.heat import scaled
from convolve.explainers.localization import heat_box
from convolve.explainers.methods import METHODS
from convolve.explainers.sanity import BOUND
from convolve.files import atomic_write
from convolve.metrics.boxes import BoxArray
from convolve.reports.explanations import Explanations, Heat, MethodRow, Picture, write_explanations
from convolve.reports.heat import Box, Flags, Tile, heat_sheet
from convolve.reports.overlays import layer_uri, region_uri
from convolve.reports.thumbnails import thumbnail
from convolve.training.run import Run
from convolve.values import Color, Floats, Pixels
from convolve.verbs.explain.results import Explained, Judged, legend

_SIDE = 224
_QUICK = 1  # of the levels of PNG: a quarter larger than the usual one, several times as fast
Region = tuple[Flags, Color]
_UNSAFE = str.maketrans(dict.fromkeys('/\\:*?"<>|\0', "-"))


@dataclass(frozen=True)
class Shown:
    """What is shown of an image: the ``picture`` (h, w, 1 or 3), the (K, H, W) ``maps`` by method, for its classes in
    order, its (N, 4) true boxes ``truths``, and the ``regions`` (K, H, W) that are explained of it, if not all.
    """

    picture: Pixels
    maps: Mapping[str, Floats]
    truths: BoxArray
    regions: Flags | None = None


@final
class Exhibition:
    """Takes the images one after the other; each one's sheet is written at once, the rest at the end.

    ``taken_for`` are the words before an image's label.
    """

    def __init__(self, folder: Path, trained: Run, taken_for: str) -> None:
        self.folder, self._taken_for = folder, taken_for
        self.images: dict[int, Explained] = {}
        self._trained = trained
        self._pictures: list[Picture] = []
        self._heat: list[Floats] = []
        self._seen: list[Flags] = []
        self._names: set[str] = set()

    def leave_out(self, place: int, name: str, error: str) -> None:
        """An image that cannot be read."""
        self.images[place] = Explained(name, error=error)

    def add(self, place: int, one: Explained, shown: Shown) -> None:
        """An image and what is shown of it. Raises `ConvolveError` when its sheet cannot be written."""
        size = self._trained.manifest.preprocessing
        extent = np.array([size.width, size.height] * 2)
        boxes = {name: _shares(heat_box(heat[0]) / extent) for name, heat in shown.maps.items()}
        given = tuple(_shares(box) for box in shown.truths / extent)
        layers = {name: scaled(torch.from_numpy(heat)).numpy() for name, heat in shown.maps.items()}
        regions = self._regions(one.classes, shown.regions)
        rows = _rows(one.classes, layers, boxes, given, regions)
        sheet = self.folder / self._sheet_name(one.image)
        answer = f"{self._taken_for} {one.label or 'nothing'}, {one.confidence:.1%} confident"
        answer += f"; true: {one.truth}" if one.truth else ""
        with atomic_write(sheet) as draft:
            heat_sheet(shown.picture, (Path(one.image).name, answer), rows).save(draft, "PNG", compress_level=_QUICK)
        self.images[place] = replace(one, boxes=boxes, sheet=str(sheet))
        self._heat.append(np.stack(list(shown.maps.values())))
        if shown.regions is not None:
            self._seen.append(shown.regions)
        picture = _page_picture(one, shown.picture, layers, boxes, given)
        marks = tuple(region_uri(*region) if region[0].any() else "" for region in regions)
        self._pictures.append(replace(picture, regions=marks, taken_for=self._taken_for if marks else ""))

    def results(self) -> tuple[Explained, ...]:
        """The images in order, also those that were left out."""
        return tuple(self.images[place] for place in sorted(self.images))

    def write_arrays(self) -> Path:
        """`heat.npz`: `heat` (images, methods, classes, H, W) float32 as the methods gave it, and the names to it;
        `regions` (images, classes, H, W), where pixels are explained.
        """
        place = self.folder / "heat.npz"
        whole = [one for one in self.results() if not one.error]
        arrays: dict[str, npt.NDArray[Any]] = {
            "heat": np.stack(self._heat),
            "images": np.array([one.image for one in whole]),
            "methods": np.array(list(whole[0].boxes)),
            "classes": np.array([list(one.classes) for one in whole]),
            "scores": np.array([list(one.classes.values()) for one in whole], dtype=np.float32),
            "boxes": np.array([list(one.boxes.values()) for one in whole]),
        }
        if self._seen:
            arrays["regions"] = np.stack(self._seen)
        with atomic_write(place) as draft, draft.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        return place

    def write_page(self, methods: Sequence[Judged]) -> Path:
        """`explanations.html`."""
        place = self.folder / "explanations.html"
        manifest, recipe = self._trained.manifest, self._trained.recipe
        count = len(self._pictures)
        page = Explanations(
            title=f"What {recipe.network} looks at",
            subtitle=f"{count} image{'s' if count > 1 else ''}, run {self._trained.folder}",
            shape=(manifest.preprocessing.height, manifest.preprocessing.width),
            pictures=self._pictures,
            methods=[_method_row(method) for method in methods],
            legend=tuple(legend(methods)),
            broken=[one.error for one in self.results() if one.error],
            made=f"convolve {__version__}, {dt.datetime.now().astimezone():%Y-%m-%d %H:%M}",
        )
        write_explanations(place, page)
        return place

    def _regions(self, classes: Mapping[str, float], regions: Flags | None) -> tuple[Region, ...]:
        """The regions (K, H, W) in their classes' colors; none where the image is explained as a whole."""
        if regions is None:
            return ()
        known = dict(zip(self._trained.manifest.classes, self._trained.manifest.colors, strict=True))
        return tuple((region, known[name]) for name, region in zip(classes, regions, strict=True))

    def _sheet_name(self, name: str) -> str:
        """The image's own name as a PNG's, numbered where several images are called so."""
        stem = Path(name).stem.translate(_UNSAFE)
        found, number = stem, 1
        while found.casefold() in self._names:
            number += 1
            found = f"{stem} {number}"
        self._names.add(found.casefold())
        return f"{found}.png"


def _shares(edges: BoxArray) -> Box:
    left, top, right, bottom = edges.tolist()
    return left, top, right, bottom


def _rows(
    classes: Mapping[str, float],
    layers: Mapping[str, Floats],
    boxes: Mapping[str, Box],
    truths: tuple[Box, ...],
    regions: Sequence[Region],
) -> list[list[Tile]]:
    """A row for each class, a column for its region, if any, and for each method; or, with one method, one row for all
    classes.
    """
    seen = Tile("what the network sees", truths=truths)
    rows = []
    for number, (name, score) in enumerate(classes.items()):
        own = regions[number : number + 1]
        rows.append(
            [Tile(name, "its pixels" if region[0].any() else "no pixels", region=region) for region in own]
            + [
                Tile(f"{name} {score:.1%}", method, heat[number], METHODS[method].signed, boxes[method], truths)
                if not number
                else Tile(f"{name} {score:.1%}", method, heat[number], METHODS[method].signed)
                for method, heat in layers.items()
            ]
        )
    if len(layers) == 1:
        return [[seen, *(tile for row in rows for tile in row)]]
    return [[seen, *row] for row in rows]


def _page_picture(
    one: Explained, picture: Pixels, layers: Mapping[str, Floats], boxes: Mapping[str, Box], truths: tuple[Box, ...]
) -> Picture:
    maps = tuple(
        Heat(
            method=method,
            class_name=name,
            class_place=number,
            score=score,
            layer=layer_uri(heat[number], METHODS[method].signed),
            signed=METHODS[method].signed,
            box=None if number or not any(boxes[method]) else boxes[method],
        )
        for number, (name, score) in enumerate(one.classes.items())
        for method, heat in layers.items()
    )
    return Picture(one.image, thumbnail(picture, _SIDE), one.label, one.confidence, one.truth, maps, truths)


def _method_row(method: Judged) -> MethodRow:
    figures = {
        "ms per image": ("{:.1f}", method.milliseconds),
        "Deletion": ("{:.3f}", method.deletion),
        "Insertion": ("{:.3f}", method.insertion),
        "Found": ("{:.1%}", method.localization),
        "IoU": ("{:.3f}", method.overlap),
        "Pointing": ("{:.1%}", method.pointing),
        "Fresh top": ("{:.3f}", method.top),
        "Fresh": ("{:.3f}", method.similarity),
    }
    notes = [method.known] if method.known else []
    if method.sane is False:
        notes.append(
            f"Fails the sanity check here: its maps keep a correlation of {BOUND} or more with a fresh network's."
        )
    shown = {name: form.format(value) for name, (form, value) in figures.items() if value is not None}
    return MethodRow(method.method, method.title, method.paper, tuple(notes), shown)
