"""IDX files, gz or not: MNIST, Fashion-MNIST, KMNIST (LeCun's format), and EMNIST, whose images lie on their side.

Cohen et al. 2017, "EMNIST: an extension of MNIST to handwritten letters", for the classes of EMNIST.
"""

from __future__ import annotations

import math
import re
import string
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from convolve.datasets.inventory import Inventory
from convolve.datasets.layouts.parts import Part, contents, find_folder, labeled_arrays, read_lines, split_word
from convolve.errors import DataError
from convolve.untrusted.compression import FREE, GZIP, check_ratio, unpack_gzip
from convolve.untrusted.files import read_file
from convolve.values import Dataset, Pixels

NAME = "idx"
EXPECTED = "train-images-idx3-ubyte[.gz] (MNIST and its kind)"
_IMAGES = re.compile(r"(?P<set>.*?)-?(?P<part>train|t10k|test)-images[-.]idx3-ubyte(\.gz)?")
_FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_FASHION_STARTS = ((9, 0, 0, 3, 0, 2, 7, 2, 5, 5), (9, 2, 1, 1, 6, 1, 4, 6, 5, 7))
_KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_EMNIST: Mapping[str, str] = {
    "emnist-letters": string.ascii_uppercase,
    "emnist-byclass": string.digits + string.ascii_uppercase + string.ascii_lowercase,
    "emnist-bymerge": string.digits + string.ascii_uppercase + "abdefghnqrt",
    "emnist-balanced": string.digits + string.ascii_uppercase + "abdefghnqrt",
}
_HEADER = 4  # bytes before the sizes
_FREE_LABELS = 2**22
"""Labels that any compressed file may hold; no set has as many."""
MARK = re.compile(r"-images[-.]idx3-ubyte(\.gz)?$")


def recognize(inventory: Inventory) -> Dataset | None:
    """The dataset in a folder, in `raw` or another folder below it. Raises `DataError` for several sets in one folder,
    missing labels and damaged files.
    """
    found = find_folder(inventory, lambda names: any(_IMAGES.fullmatch(name) for name in names))
    if found is None:
        return None
    folder = inventory.root / found
    sets = _sets(folder)
    if len(sets) > 1:
        files = ", ".join(str(next(iter(sets[name].values()))) for name in sorted(sets))
        raise DataError(f"{folder} holds {len(sets)} sets; give the images file of one: {files}.")
    return _open(folder, next(iter(sets)))


def open_file(path: Path) -> Dataset | None:
    """The set of an images file; None for another file."""
    match = _IMAGES.fullmatch(path.name)
    return _open(path.parent, match["set"]) if match else None


def _sets(folder: Path) -> dict[str, dict[str, Path]]:
    """Name of set -> split -> images file."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        if not path.name.startswith(".") and (match := _IMAGES.fullmatch(path.name)):
            found.setdefault(match["set"], {}).setdefault(str(split_word(match["part"])), path)
    return found


def _open(folder: Path, name: str) -> Dataset:
    files = _sets(folder)[name]
    parts = [_part(split, files[split], name) for split in ("train", "test") if split in files]
    reason = "IDX files " + ", ".join(path.name for path in files.values())
    classes = _classes(folder, name, parts)
    lowest = int(name == "emnist-letters")
    parts = [Part(part.split, part.label, part.images, part.values - lowest) for part in parts]
    return labeled_arrays(folder, NAME, reason, parts, classes)


def _part(split: str, path: Path, name: str) -> Part:
    images: Pixels = _read(path, dimensions=3)
    if name.startswith("emnist"):
        images = np.ascontiguousarray(images.transpose(0, 2, 1))
    stem = path.name.removesuffix(".gz").replace("-images", "-labels").replace("idx3", "idx1")
    candidates = (path.with_name(stem), path.with_name(f"{stem}.gz"))
    labels = next((file for file in candidates if file.exists()), None)
    if labels is None:
        raise DataError(f"{path} needs its labels next to it, as {stem} or {stem}.gz; found: {contents(path.parent)}.")
    values = _read(labels, dimensions=1).astype(np.int64)
    return Part(split, re.split(r"[-.]idx3", path.name)[0], images[..., None], values)


def _read(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """Two zero bytes, 8 for unsigned bytes, the number of dimensions, the sizes as big-endian 32 bits, the values."""
    length = _HEADER + 4 * dimensions
    try:
        blob = read_file(path / path.name if path.is_dir() else path)  # archives can unpack into such folders
        packed = blob.startswith(GZIP)
        start = unpack_gzip(blob, length) if packed else blob[:length]
        if start[:_HEADER] != bytes([0, 0, 8, dimensions]):
            raise DataError(f"{path} is not an IDX file of unsigned bytes in {dimensions} dimensions; copy it again.")
        shape = [int.from_bytes(start[at : at + 4], "big") for at in range(_HEADER, len(start), 4)]
        announced = length + math.prod(shape)
        if packed:
            check_ratio(announced, len(blob), FREE if dimensions > 1 else _FREE_LABELS)
            blob = unpack_gzip(blob, announced + 1)
        if len(blob) != announced or 0 in shape[1:]:
            raise DataError(f"{path} is cut short or too long: {shape} values are announced; copy it again.")
        return np.frombuffer(blob, dtype=np.uint8, offset=length).reshape(shape)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); copy it again.") from error


def _classes(folder: Path, name: str, parts: list[Part]) -> tuple[str, ...]:
    mapping = folder / f"{name}-mapping.txt"
    where = (folder.parent if folder.name == "raw" else folder).name.casefold()
    starts = [tuple(int(value) for value in part.values[:10]) for part in parts]
    if mapping.is_file():
        return tuple(_character(mapping, line) for line in read_lines(mapping))
    if name in _EMNIST:
        return tuple(_EMNIST[name])
    if "fashion" in where or any(start in _FASHION_STARTS for start in starts):
        return _FASHION
    if "kmnist" in where or "kuzushiji" in where:
        return _KUZUSHIJI
    return tuple(str(value) for value in range(1 + max(int(part.values.max(initial=0)) for part in parts)))


def _character(mapping: Path, line: str) -> str:
    """The character whose number follows that of its class in a line."""
    number = line.split()[1:2]
    if number and re.fullmatch("[0-9]{1,7}", number[0]) and int(number[0]) <= sys.maxunicode:
        return chr(int(number[0]))
    raise DataError(
        f"{mapping} has a line without the numbers of a class and of a character: {line[:80]!r}; correct it."
    )
