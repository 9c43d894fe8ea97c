"""The Oxford-IIIT pets: images/ with annotations/trainval.txt and test.txt, or list.txt (Parkhi et al. 2012)."""

from __future__ import annotations

from pathlib import Path

from convolve.datasets.layouts.parts import find, from_files, read_lines
from convolve.errors import DataError
from convolve.values import Dataset

EXPECTED = "images/ with annotations/list.txt (Oxford-IIIT pets)"


def recognize(place: Path) -> Dataset | None:
    """The dataset in a folder or in one below it, or None. The class is the breed that begins a file's name, in the
    order of the lists' class numbers. Raises `DataError` for a line that is not `name class species breed`.
    """
    folder = find(place, _is_pets) if place.is_dir() else None
    if folder is None:
        return None
    official = [(folder / "annotations" / f"{name}.txt", split) for name, split in _LISTS]
    lists = [(path, split) for path, split in official if path.is_file()]
    lists = lists or [(folder / "annotations" / "list.txt", None)]
    found = [(name, split, number) for path, split in lists for name, number in _rows(path)]
    breeds = {number: name.rpartition("_")[0].replace("_", " ") for name, _, number in found}
    order = {number: place for place, number in enumerate(sorted(breeds))}
    rows = [(f"images/{name}.jpg", split, order[number]) for name, split, number in found]
    reason = "the Oxford-IIIT pets' " + " and ".join(f"annotations/{path.name}" for path, _ in lists)
    reason += "; --task segment takes its trimaps" if (folder / "annotations" / "trimaps").is_dir() else ""
    return from_files(folder, "pets", reason, rows, [breeds[number] for number in sorted(breeds)])


_LISTS: tuple[tuple[str, str | None], ...] = (("trainval", "train"), ("test", "test"))


def _is_pets(folder: Path) -> bool:
    lists = (folder / "annotations" / f"{name}.txt" for name in ("trainval", "list"))
    return (folder / "images").is_dir() and any(path.is_file() and _looks_right(path) for path in lists)


def _looks_right(path: Path) -> bool:
    lines = [line.split() for line in read_lines(path) if not line.startswith("#")]
    return bool(lines) and len(lines[0]) == 4 and "_" in lines[0][0] and all(word.isdecimal() for word in lines[0][1:])


def _rows(path: Path) -> list[tuple[str, int]]:
    rows = []
    for line in read_lines(path):
        if not line.startswith("#"):
            words = line.split()
            if len(words) != 4 or not words[1].isdecimal():
                raise DataError(f"{path} has a line that is not 'name class species breed': {line!r}; correct it.")
            rows.append((words[0], int(words[1])))
    return rows
