"""Labels in the names of files, such as `cat.0.jpg` and `dog.12.jpg` (Kaggle's dogs and cats), or by any expression."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePosixPath
from unicodedata import normalize

from convolve.datasets.inventory import Inventory, natural
from convolve.datasets.layouts.parts import labeled_files, split_word
from convolve.errors import DataError
from convolve.values import Dataset

NAME = "names"
EXPECTED = "files called cat.0.jpg and dog.12.jpg (other names with --label-from)"
MARK = re.compile(r"(?:^|/)([^/.]*[^\W\d_][^/.]*)\.\d+\.[^/.]+$")
_MOST = 0.5  # of the images must be called so


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder, or None where most files are not called `WORD.NUMBER.jpg` with two words or more, each
    of them more than once.

    With `--label-from` the label is the first group of that expression where it is found in a path below the folder (or
    all that it matches), and files in which it is not found are left out. Raises `DataError` for an expression that is
    not one, or that gives fewer than two classes.
    """
    given = inventory.options.label_from
    try:
        pattern = re.compile(given) if given else MARK
    except re.error as error:
        raise DataError(f"--label-from {given!r} is not a regular expression ({error}); correct it.") from error
    found = {image: match for image in inventory.images if (match := pattern.search(normalize("NFC", image)))}
    labels = {image: match[1 if pattern.groups else 0] or "" for image, match in found.items()}
    times = Counter(label for label in labels.values() if label)
    if given and len(times) < 2:
        some = ", ".join(inventory.images[:3])
        raise DataError(
            f"--label-from {given!r} finds {len(times)} classes in {inventory.root}, in names such as {some}."
        )
    if not given and (len(times) < 2 or min(times.values()) < 2 or len(labels) < _MOST * len(inventory.images)):
        return None
    index = {label: number for number, label in enumerate(sorted(times, key=natural))}
    rows = [
        (image, next(filter(None, map(split_word, PurePosixPath(image).parts[:-1])), None), index[label])
        for image, label in labels.items()
        if label
    ]
    return labeled_files(inventory.root, NAME, f"{len(index)} classes in the names of files", rows, list(index))
