"""Layouts: datasets are recognized by looking. One file per layout, each with `recognize(place) -> Dataset | None`."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from convolve.datasets.layouts import cifar, coco, folders, idx, masks, matlab, named, pets, stacks, tables, trimaps
from convolve.datasets.layouts.parts import seen, subfolders
from convolve.errors import DataError
from convolve.values import Dataset

LAYOUTS = (idx, cifar, matlab, pets, tables, coco, stacks, masks, folders)
"""In the order in which they are tried: what is told by fixed names first, folders that could mean anything last."""
_MASKED = (trimaps, coco, stacks, masks)
"""Those of masks, which go first where pixels are to be told apart."""


def open_dataset(where: str | Path, task: str | None = None) -> Dataset:
    """Open a folder, a table, an IDX file or a named set (`named.NAMES`); a folder of that name goes first.

    Where a dataset has labels and masks, the ``task`` says which are its truth; labels if nothing is said.
    `Dataset.reason` says by what the layout was recognized. Splits that the layout assigns are under `train`,
    `validation` and `test` in `Dataset.given`. Raises `DataError` naming what was expected and what is there.
    """
    place = Path(where).expanduser()
    if not place.exists():
        if str(where) == "digits":
            return named.digits()
        if str(where) not in named.NAMES:
            raise DataError(_unknown(str(where)))
        place = named.locate(str(where))
    dataset = _recognize(place, (*_MASKED, *LAYOUTS) if task == "segment" else LAYOUTS)
    if dataset is None:
        raise DataError(_unrecognized(place))
    if not len(dataset):
        raise DataError(f"{place} names no image; add some.")
    return dataset


def _recognize(place: Path, layouts: Sequence[ModuleType]) -> Dataset | None:
    """The first layout that fits; else the same for the only folder inside, as archives are often unpacked."""
    for layout in layouts:
        dataset: Dataset | None = layout.recognize(place)
        if dataset is not None:
            return dataset
    inside = subfolders(place) if place.is_dir() else []
    return _recognize(inside[0], layouts) if len(inside) == 1 else None


def _unknown(where: str) -> str:
    near = get_close_matches(where, named.NAMES, n=1)
    hint = f"did you mean {near[0]}?" if near else f"give a folder, a table, or one of {', '.join(named.NAMES)}."
    return f"There is no '{where}' here, nor a named set called so; {hint}"


def _unrecognized(place: Path) -> str:
    if place.is_file():
        return f"{place} is neither a table (.csv, .tsv, .txt) nor an IDX images file; unpack an archive first."
    expected = "; ".join(layout.EXPECTED for layout in reversed(LAYOUTS))
    return f"{place} is no dataset that is recognized: expected was one of {expected}; seen: {seen(place)}."
