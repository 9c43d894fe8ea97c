"""The Oxford-IIIT pets' trimaps, masks beside the lists of breeds: pet and background (Parkhi et al. 2012)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from convolve.datasets.layouts import pets
from convolve.datasets.layouts.mask_values import colors_apart
from convolve.datasets.layouts.parts import from_labels
from convolve.datasets.masks import MaskFiles, class_flags
from convolve.values import Dataset, Labels

EXPECTED = "images/ with annotations/trimaps/ and annotations/list.txt (Oxford-IIIT pets)"
NAMES = ("background", "pet")
_STORED, _BORDER = (2, 1), 3
_NAMED = 3


def recognize(place: Path) -> Dataset | None:
    """The dataset in a folder or in one below it, or None where there is no `annotations/trimaps`.

    The images and splits are those of the lists. A trimap's border, 3, is neither pet nor background and is ignored.
    Images without a trimap are left out and named in the reason. Raises `DataError` as `pets.recognize` does.
    """
    breeds = pets.recognize(place)
    if breeds is None:
        return None
    root = Path(breeds.root)
    splits = {index: word for word, part in breeds.given.items() for index in part.tolist()}
    rows: list[tuple[str, str | None]] = []
    alone: list[str] = []
    for index in range(len(breeds)):
        name = breeds.images.name(index)
        if (root / _trimap(name)).is_file():
            rows.append((name, splits.get(index)))
        else:
            alone.append(name)
    if not rows:
        return None
    masks = MaskFiles(root, tuple(_trimap(name) for name, _ in rows), _STORED, colors_apart(len(NAMES)), (_BORDER,))
    reason = "the Oxford-IIIT pets' annotations/trimaps; 1 is pet, 2 background, 3, the border, is ignored"
    if alone:
        reason += f"; {len(alone)} images without a trimap are left out, such as {', '.join(alone[:_NAMED])}"
    found = from_labels(root, "trimaps", reason, rows, Labels(class_flags(masks), NAMES))
    return replace(found, masks=masks)


def _trimap(image: str) -> str:
    return f"annotations/trimaps/{Path(image).stem}.png"
