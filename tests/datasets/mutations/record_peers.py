"""``python -m tests.datasets.mutations.record_peers``: store what supervision and Keras read of the generated trees.

Both are too heavy to be installed for a few tests (supervision brings a library of video, Keras needs h5py and grain).
Install them next to what convolve needs, and run this with ``KERAS_BACKEND=torch``; it writes `peers.json`.
"""

from __future__ import annotations

import importlib
import json
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

from tests.datasets.mutations.case import Case, write
from tests.datasets.mutations.layouts import SPLIT_WORDS
from tests.datasets.mutations.runner import LAYOUTS

RECORD = Path(__file__).with_name("peers.json")
COUNT = 2
"""Of the images of a class."""


def coco_cases() -> Iterator[tuple[str, str, Case]]:
    """Each layout of COCO with each form of outlines."""
    for layout in ("coco", "single coco"):
        for shapes in ("polygon", "rle"):
            case = LAYOUTS[layout](COUNT)
            for style in case.coco:
                style.shapes = shapes
            yield layout, shapes, case


def folders_of_classes() -> Iterator[tuple[str, str, Case]]:
    """Each layout of folders, with the folder below the root that holds those of classes."""
    yield "folders", ".", LAYOUTS["folders"](COUNT)
    for word in SPLIT_WORDS.values():
        yield "split folders", word, LAYOUTS["split folders"](COUNT)


def image_folder(case: Case, split: str | None) -> str:
    """Where the images of a split are."""
    return next(str(PurePosixPath(one.path).parent) for one in case.samples if split in (None, one.split))


def _read_by_supervision(case: Case, root: Path) -> dict[str, Any]:
    """The class and the mask of each object, by image; outlines cover what is on their edges too, so that only masks of
    run lengths are stored.
    """
    supervision: Any = importlib.import_module("supervision")
    found = {}
    for style in case.coco:
        folder = image_folder(case, style.split)
        data = supervision.DetectionDataset.from_coco(str(root / folder), str(root / style.path), force_masks=True)
        for path, objects in data.annotations.items():
            masks = [["".join("01"[int(pixel)] for pixel in row) for row in mask] for mask in objects.mask]
            names = [data.classes[index] for index in objects.class_id]
            kept = masks if style.shapes == "rle" else [None] * len(masks)
            found[Path(path).relative_to(root).as_posix()] = list(zip(names, kept, strict=True))
    return found


def _read_by_keras(folder: Path) -> dict[str, str]:
    """The class of each image."""
    utils: Any = importlib.import_module("keras").utils
    data = utils.image_dataset_from_directory(
        str(folder), format="grain", shuffle=False, batch_size=1, image_size=(8, 8), verbose=False
    )
    labels = [int(label) for _, batch in data for label in batch]
    names = [data.class_names[label] for label in labels]
    return {Path(path).relative_to(folder).as_posix(): name for path, name in zip(data.file_paths, names, strict=True)}


def main() -> None:
    """Write the record."""
    record: dict[str, Any] = {
        "supervision": {"source": f"supervision {version('supervision')}: DetectionDataset.from_coco", "cases": {}},
        "keras": {"source": f"keras {version('keras')}: utils.image_dataset_from_directory", "cases": {}},
    }
    with tempfile.TemporaryDirectory() as name:
        for layout, shapes, case in coco_cases():
            write(case, Path(name, layout, shapes))
            record["supervision"]["cases"][f"{layout}, {shapes}"] = _read_by_supervision(
                case, Path(name, layout, shapes)
            )
        for layout, folder, case in folders_of_classes():
            write(case, Path(name, layout))
            record["keras"]["cases"][f"{layout}, {folder}"] = _read_by_keras(Path(name, layout, folder))
    RECORD.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
