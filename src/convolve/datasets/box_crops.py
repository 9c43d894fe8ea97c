"""What is cut out of images around the boxes of a file, such as the faces or the persons that a detector has found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt

from convolve.datasets.crops import CroppedImages
from convolve.datasets.image_sources import ImageSource
from convolve.errors import DataError, ImageError, OptionError
from convolve.untrusted.documents import parse_json
from convolve.untrusted.fields import as_list, as_number, as_size, as_text
from convolve.untrusted.files import read_file
from convolve.values import Images, Indices

MARGIN: Final = 0.25
"""Fraction of a box's width and height that is added on every side, as where a network learns points of persons."""
_Boxes = npt.NDArray[np.float64]


@final
@dataclass(frozen=True)
class BoxFile:
    """The boxes (M, 4; left, top, right, bottom) of one class by the names of the images in a file of COCO's form, and
    the images' sizes (height, width).
    """

    path: Path
    boxes: Mapping[str, _Boxes]
    sizes: Mapping[str, tuple[int, int]]

    def of_image(self, name: str, size: tuple[int, int]) -> _Boxes:
        """Those of an image, found by the end of its path. Raises `DataError` where the file does not have the image,
        or has another size for it.
        """
        parts = PurePath(name).parts
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        known = next((end for end in ends if end in self.sizes), None)
        if known is None:
            raise DataError(f"{name} is not in {self.path}; give the boxes of the same images.")
        if self.sizes[known] != size:
            (height, width), (own_height, own_width) = self.sizes[known], size
            raise DataError(
                f"{name} has {own_width}x{own_height} pixels, and {width}x{height} in {self.path}; give the boxes of "
                "this image."
            )
        return self.boxes[known]


def read_boxes(path: Path, name: str | None) -> BoxFile:
    """The boxes of the class ``name``, or of the only one that has any. Raises `DataError` for a file that has no boxes
    in COCO's form, `OptionError` where the class is to be chosen.
    """
    try:
        document = parse_json(read_file(path))
        names = {str(one["id"]): as_text(one["name"]) for one in as_list(document["categories"])}
        images = {str(one["id"]): one for one in as_list(document["images"])}
        files = {key: as_text(one["file_name"]) for key, one in images.items()}
        sizes = {files[key]: as_size(one["height"], one["width"]) for key, one in images.items()}
        found: dict[str, dict[str, list[list[float]]]] = defaultdict(lambda: defaultdict(list))
        for one in as_list(document["annotations"]):
            if not one.get("iscrowd"):
                found[names[str(one["category_id"])]][files[str(one["image_id"])]].append(_edges(one))
    except OSError as error:
        raise DataError(f"{path} cannot be opened ({error.strerror or error}); give a file of boxes.") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} has no boxes in COCO's form ({error}); give the predictions.json of a detector."
        ) from error
    if name is None and len(found) == 1:
        name = next(iter(found))
    if name not in found:
        what = f"no box of the class '{name}'" if name else "boxes of several classes" if found else "no box"
        remedy = f"choose --box-class from {', '.join(sorted(found))}." if found else "give another file."
        raise OptionError(f"{path} has {what}; {remedy}")
    boxes = {file: np.array(found[name].get(file, []), dtype=np.float64).reshape(-1, 4) for file in sizes}
    return BoxFile(path, boxes, sizes)


def _edges(annotation: Mapping[str, Any]) -> list[float]:
    """Raises `ValueError`."""
    left, top, width, height = map(as_number, as_list(annotation["bbox"]))
    return [left, top, left + width, top + height]


@final
@dataclass(frozen=True)
class CropSource:
    """Around each box in the images of another source, in their order, what is cut out with a ``margin``; it is called
    `photo.jpg#1`, `photo.jpg#2` and so on.
    """

    source: ImageSource
    boxes: BoxFile
    margin: float = MARGIN

    @property
    def expected(self) -> int:
        """As many as the file has, which may be for more images."""
        return sum(map(len, self.boxes.boxes.values()))

    @property
    def is_stream(self) -> bool:
        """As the other source."""
        return self.source.is_stream

    @property
    def is_camera(self) -> bool:
        """As the other source."""
        return self.source.is_camera

    def parts(self, most: int) -> Iterator[CroppedImages]:
        """All of them, ``most`` at a time. Raises `DataError` for an image that the file does not have."""
        for images in self.source.parts(most):
            crops = self._crop(images)
            for start in range(0, len(crops), most):
                yield crops.take(np.arange(start, min(start + most, len(crops))))

    def join_drawn(self, drawn: Sequence[str]) -> None:
        """Nothing: frames without a box would be missing."""
        del drawn

    def _crop(self, images: Images) -> CroppedImages:
        sources: list[int] = []
        numbers: list[int] = []
        edges: list[Indices] = []
        for index in range(len(images)):
            try:
                size = images.size(index)
            except ImageError as error:
                raise DataError(f"{error} With --boxes, all images must be readable.") from error
            own = crop_boxes(self.boxes.of_image(images.name(index), size), size, self.margin)
            numbers += range(1, len(own) + 1)
            sources += [index] * len(own)
            edges.append(own)
        return CroppedImages(
            images,
            np.array(sources, dtype=np.int64),
            np.concatenate([np.empty((0, 4), dtype=np.int64), *edges]),
            np.array(numbers, dtype=np.int64),
        )


def crop_boxes(boxes: _Boxes, size: tuple[int, int], margin: float) -> Indices:
    """(K, 4) those of M boxes that have a pixel in an image of a ``size`` (height, width), with a margin, in whole
    pixels of the image.
    """
    extent = np.array(size[::-1], dtype=np.float64)
    inside = np.clip(boxes, 0, np.tile(extent, 2))
    boxes = boxes[(inside[:, 2:] - inside[:, :2] >= 1).all(1)]
    sides = boxes[:, 2:] - boxes[:, :2]
    low, high = np.clip(boxes[:, :2] - margin * sides, 0, extent), np.clip(boxes[:, 2:] + margin * sides, 0, extent)
    return np.concatenate([np.floor(low), np.ceil(high)], axis=1).astype(np.int64)
