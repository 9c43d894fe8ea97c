"""What `convolve explain` writes into its folder: the heatmaps of each image, `attributions.npz`, and the page."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch

from convolve import __version__
from convolve.choices import Language
from convolve.explainers.explanation_targets import ExplanationTargets
from convolve.explainers.localization import attribution_box
from convolve.explainers.methods import METHODS, scale
from convolve.explainers.sanity import BOUND
from convolve.files import atomic_write, check_replaceable
from convolve.marks import has_mark, is_page, save_png
from convolve.metrics.boxes import BoxArray
from convolve.reports.explanations import ExplainedImage, Explanations, MethodRow, write_explanations
from convolve.reports.heatmaps import heatmap_uri, region_uri
from convolve.reports.image_card import Box, ImageTile
from convolve.reports.image_grids import GridTile, heatmap_grid
from convolve.reports.thumbnails import thumbnail
from convolve.training.run import Run, network_label
from convolve.untrusted.files import read_start
from convolve.values import Color, Flags, Floats, Pixels
from convolve.verbs.explain.results import ImageExplanation, MethodResult, format_score, legend

_SIDE = 224
_COMPRESSION = 1  # of PNG: a quarter larger than by default, several times as fast
_REGION_COLOR = (61, 220, 132)
_UNSAFE = str.maketrans(dict.fromkeys('/\\:*?"<>|\0', "-"))
_MEASUREMENTS = {
    "milliseconds": "ms per image",
    "deletion": "Deletion",
    "insertion": "Insertion",
    "localization": "Localization",
    "overlap": "IoU",
    "pointing": "Pointing",
    "top_similarity": "Top randomized",
    "similarity": "All randomized",
}


@dataclass(frozen=True)
class ImageArrays:
    """What is drawn of an image: its ``pixels`` (h, w, 1 or 3), the (K, H, W) ``maps`` by method, of its scores in
    order, its (N, 4) ``ground_truth`` boxes, and the ``regions`` (K, H, W) that are explained, if not all of it.
    """

    pixels: Pixels
    maps: Mapping[str, Floats]
    ground_truth: BoxArray
    regions: Flags | None = None


@final
class OutputFolder:
    """Takes the images one after the other; each one's heatmaps are written at once, arrays and page at the end."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.folder, self._run = folder, run
        self._page, self._arrays = folder / "explanations.html", folder / "attributions.npz"
        self.images: dict[int, ImageExplanation] = {}
        self._page_images: list[ExplainedImage] = []
        self._maps: list[Floats] = []
        self._regions: list[Flags] = []
        self._names: set[str] = set()
        check_replaceable(self._page, is_page, "page that convolve wrote")
        check_replaceable(self._arrays, _is_attributions)

    def leave_out(self, index: int, name: str, error: str) -> None:
        """An image that cannot be read."""
        self.images[index] = ImageExplanation(name, error=error)

    def add(self, index: int, image: ImageExplanation, arrays: ImageArrays, targets: ExplanationTargets) -> None:
        """An image and what is drawn of it; ``targets`` are those of its batch.

        Raises `ConvolveError` when its heatmaps cannot be written.
        """
        size = self._run.manifest.preprocessing
        extent = np.array([size.width, size.height] * 2)
        boxes = {name: _box(attribution_box(maps[0]) / extent) for name, maps in arrays.maps.items()}
        given = tuple(_box(box) for box in arrays.ground_truth / extent)
        scaled = {name: scale(torch.from_numpy(maps)).numpy() for name, maps in arrays.maps.items()}
        regions = _colored_regions(image.scores, arrays.regions, targets.colors)
        path = self.folder / self._file_name(image.image)
        verdict = f"{targets.relation or 'predicted'} {image.prediction or 'nothing'}"
        verdict += "" if image.confidence is None else f", confidence {image.confidence:.1%}"
        verdict += f"; ground truth: {image.ground_truth}" if image.ground_truth else ""
        rows = _tile_rows(image, scaled, boxes, given, regions)
        first = GridTile("network input", ground_truth=given)
        grid_rows = [[first, *row] for row in rows] if len(scaled) > 1 else [[first, *itertools.chain(*rows)]]
        check_replaceable(path, has_mark, "heatmap that convolve wrote")
        with atomic_write(path) as draft:
            grid = heatmap_grid(arrays.pixels, (Path(image.image).name, verdict), grid_rows)
            save_png(grid, draft, _COMPRESSION)
        self.images[index] = replace(image, boxes=boxes, figure=str(path))
        self._maps.append(np.stack(list(arrays.maps.values())))
        if arrays.regions is not None:
            self._regions.append(arrays.regions)
        self._page_images.append(
            ExplainedImage(
                image.image,
                thumbnail(arrays.pixels, _SIDE),
                image.prediction,
                image.confidence,
                image.ground_truth,
                _page_tile(first),
                tuple(tuple(map(_page_tile, row)) for row in rows),
                targets.relation,
            )
        )

    def results(self) -> tuple[ImageExplanation, ...]:
        """The images in order, also those that were left out."""
        return tuple(self.images[index] for index in sorted(self.images))

    def write_arrays(self) -> Path:
        """`attributions.npz`: `attributions` (images, methods, scores, H, W) float32 raw values, and what they are of;
        `regions` (images, scores, H, W), where pixels are explained.
        """
        path = self._arrays
        images = [image for image in self.results() if not image.error]
        arrays: dict[str, npt.NDArray[Any]] = {
            "attributions": np.stack(self._maps),
            "images": np.array([image.image for image in images]),
            "methods": np.array(list(images[0].boxes)),
            "names": np.array([list(image.scores) for image in images]),
            "scores": np.array([list(image.scores.values()) for image in images], dtype=np.float32),
            "boxes": np.array([list(image.boxes.values()) for image in images]),
        }
        if self._regions:
            arrays["regions"] = np.stack(self._regions)
        with atomic_write(path) as draft, draft.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        return path

    def write_page(self, methods: Sequence[MethodResult], language: Language) -> Path:
        """`explanations.html`, in a language."""
        path = self._page
        size, count = self._run.manifest.preprocessing, len(self._page_images)
        page = Explanations(
            title=f"What {network_label(self._run)} bases its predictions on",
            subtitle=f"{count} image{'s' if count > 1 else ''}, run {self._run.folder}",
            shape=(size.height, size.width),
            images=self._page_images,
            methods=[_method_row(method) for method in methods],
            legend=tuple(legend(methods)),
            errors=[image.error for image in self.results() if image.error],
            footer=f"convolve {__version__}, {dt.datetime.now().astimezone():%Y-%m-%d %H:%M}",
        )
        write_explanations(path, page, language)
        return path

    def _file_name(self, name: str) -> str:
        """The image's own name as a PNG's, numbered where several images have the same."""
        stem = Path(name).stem.translate(_UNSAFE)
        unique, number = stem, 1
        while unique.casefold() in self._names:
            number += 1
            unique = f"{stem} {number}"
        self._names.add(unique.casefold())
        return f"{unique}.png"


def _is_attributions(path: Path) -> bool:
    """Whether `OutputFolder.write_arrays` wrote a file: its first array comes first."""
    return b"attributions.npy" in read_start(path, 64)


def _colored_regions(
    names: Mapping[str, float], regions: Flags | None, colors: Mapping[str, Color]
) -> list[tuple[Flags, Color]]:
    """The regions (K, H, W), each in its class's color; none where the image is explained as a whole."""
    if regions is None:
        return []
    return [(region, colors.get(name, _REGION_COLOR)) for name, region in zip(names, regions, strict=True)]


def _box(edges: BoxArray) -> Box:
    left, top, right, bottom = edges.tolist()
    return left, top, right, bottom


def _tile_rows(
    image: ImageExplanation,
    maps: Mapping[str, Floats],
    boxes: Mapping[str, Box],
    ground_truth: tuple[Box, ...],
    regions: Sequence[tuple[Flags, Color]],
) -> list[list[GridTile]]:
    """A row for each score: a tile for its region, if any, and one for each method; the first row has the boxes."""
    rows = []
    for index, (name, score) in enumerate(image.scores.items()):
        label = f"{name} {format_score(score, image.confidence is not None)}"
        row = [
            GridTile(name, "its pixels" if region[0].any() else "no pixels", region=region)
            for region in regions[index : index + 1]
        ]
        for method, own in maps.items():
            found = boxes[method] if index == 0 and any(boxes[method]) else None
            given = ground_truth if index == 0 else ()
            row.append(GridTile(label, method, own[index], METHODS[method].signed, found, given))
        rows.append(row)
    return rows


def _page_tile(tile: GridTile) -> ImageTile:
    """The same tile for the page."""
    return ImageTile(
        alt=f"{tile.note}, {tile.label}" if tile.note else tile.label,
        caption=tile.label,
        note=tile.note,
        heatmap="" if tile.attribution is None else heatmap_uri(tile.attribution, tile.signed),
        region=region_uri(*tile.region) if tile.region and tile.region[0].any() else "",
        ground_truth=tile.ground_truth,
        found=tile.found,
        method="" if tile.attribution is None else tile.note,
    )


def _method_row(method: MethodResult) -> MethodRow:
    warnings = [method.warning] if method.warning else []
    if method.passed is False:
        warnings.append(
            "Fails the sanity check: the maps of a randomly initialized network correlate with these by "
            f"{BOUND} or more."
        )
    measurements = {heading: method.format(key) for key, heading in _MEASUREMENTS.items()}
    return MethodRow(
        method.method,
        method.title,
        method.paper,
        METHODS[method.method].signed,
        tuple(warnings),
        {heading: text for heading, text in measurements.items() if text},
    )
