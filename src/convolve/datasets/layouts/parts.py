"""What the layouts share: the usual names of splits, finding a folder by its names, building a dataset."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

import numpy as np

from convolve.datasets.images import ImageArray, ImageFiles, JoinedImages
from convolve.datasets.inventory import Inventory, natural
from convolve.datasets.labels import Labels
from convolve.errors import UNPRINTABLE, DataError
from convolve.untrusted.files import read_text
from convolve.values import Dataset, GroundTruth, Images, Indices, Pixels

_WORDS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training", "학습", "훈련"),
    "validation": ("val", "valid", "validation", "validate", "dev", "development", "검증"),
    "test": ("test", "testing", "eval", "evaluation", "t10k", "테스트", "시험", "평가"),
}
SPLITS = tuple(_WORDS)
_NEUTRAL = frozenset(
    ("data", "dataset", "images", "imgs", "set", "split", "folder", "용", "데이터", "데이터셋", "이미지", "세트", "셋")
)
_ANY = re.compile("|".join(word for usual in _WORDS.values() for word in usual))
_GLUED = re.compile(f"({_ANY.pattern})(?:{'|'.join(sorted(_NEUTRAL))}|image|img)+")
"""A split's usual word to which words that add nothing are written (`traindata`)."""
_UNNAMABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udc7f\udd00-\udfff]")
"""What no class is called. The bytes of a folder's name that are not UTF-8, such as Korean on an old disk, may be."""
_DEPTH = 2  # folders around a dataset, at most


class NoGroundTruthError(DataError):
    """A file that does not say what is true of the images next to it: predictions, or of other images."""


def split_word(name: str, alone: bool = True) -> str | None:
    """`train`, `validation` or `test`, when ``name`` is a usual word for it, English or Korean, perhaps with a number
    (`val2017`) or with a word that adds nothing (`training_set`, `TrainingSet`, `traindata`); with others around it
    (`seg_train`) unless it has to be ``alone``.
    """
    if not _ANY.search(normalize("NFC", name).casefold()):  # most names
        return None
    telling = [word for word in words_of(name) if not word.isdecimal() and word not in _NEUTRAL]
    if alone and len(telling) != 1:
        return None
    return next((split for split, usual in _WORDS.items() if set(usual).intersection(telling)), None)


def split_of(name: str) -> str | None:
    """The split of which a table's name, or else that of a folder around it, says that it is one of its images."""
    folder, _, file = name.rpartition("/")
    for part in (file.rpartition(".")[0], *reversed(folder.split("/"))):
        words = {word for each in re.split(r"[-_. ]", part) if (word := split_word(each))}
        if words:
            return words.pop() if len(words) == 1 else None
    return None


def words_of(name: str) -> list[str]:
    """The words in a name, in lower case, between signs and at capitals (`TestSet`), without a number at the end of one
    (`val2017`) and without what is written to a split's word (`testdata`).
    """
    words = re.split(r"[-_ .()]+|(?<=[a-z])(?=[A-Z])|(?<=[^\W\d_])[0-9]+$", normalize("NFC", name))
    folded = [word.casefold() for word in words if word]
    return [match[1] if (match := _GLUED.fullmatch(word)) else word for word in folded]


def find_folder(inventory: Inventory, test: Callable[[frozenset[str]], bool]) -> str | None:
    """The folder whose names pass the test: the root, which is ``""``, or one in it, or one in that; the nearest.

    Raises `DataError` when two are equally near.
    """
    names: dict[str, set[str]] = defaultdict(set)
    for path in (*inventory.files, *inventory.images, *inventory.folders):
        folder, _, name = path.rpartition("/")
        if folder.count("/") < _DEPTH:
            names[folder].add(name)
    found = [folder for folder, inside in names.items() if test(frozenset(inside))]
    depth = min((f"{folder}/".count("/") * bool(folder) for folder in found), default=0)
    nearest = sorted(folder for folder in found if f"{folder}/".count("/") * bool(folder) == depth)
    if len(nearest) > 1:
        paths = ", ".join(str(inventory.root / folder) for folder in nearest)
        raise DataError(f"{inventory.root} holds {len(nearest)} datasets; give the one that you want: {paths}.")
    return nearest[0] if nearest else None


def contents(folder: Path) -> str:
    """The first few names in a folder, for a sentence."""
    visible = (entry for entry in folder.iterdir() if not entry.name.startswith("."))
    entries = sorted((entry.name + "/" * entry.is_dir() for entry in visible), key=natural)
    rest = f" and {len(entries) - 6} more" if len(entries) > 6 else ""
    return (", ".join(entries[:6]) + rest) or "nothing"


def read_lines(path: Path) -> list[str]:
    """The lines of a small UTF-8 text that are not empty. Raises `DataError`."""
    try:
        lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
        if damaged := [line for line in lines if UNPRINTABLE.search(line.replace("\t", " "))]:
            raise DataError(f"{path} has control characters in {damaged[0][:80]!r}; copy or save it again.")
        return lines
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text ({error}); copy or save it again.") from error


@dataclass(frozen=True, eq=False)
class Part:
    """One split in memory: ``images`` (N, H, W, C), ``values`` (N,) class indices, ``label`` its file."""

    split: str
    label: str
    images: Pixels
    values: Indices


def labeled_arrays(root: Path, layout: str, reason: str, parts: Sequence[Part], classes: Sequence[str]) -> Dataset:
    """A dataset of images in memory, one label each. Raises `DataError` when images and labels do not go together, and
    for labels outside of the classes.
    """
    for part in parts:
        if len(part.images) != len(part.values):
            raise DataError(f"{part.label} in {root} holds {len(part.images)} images, but {len(part.values)} labels.")
    values = np.concatenate([part.values for part in parts]).astype(np.int64)
    images = join_arrays([ImageArray(part.images, part.label) for part in parts])
    splits = [part.split for part in parts for _ in part.values]
    try:
        labels = Labels(values, tuple(classes))
    except DataError as error:
        raise DataError(f"{root}: {error}") from None
    return build_dataset(root, layout, reason, images, splits, {"labels": labels})


def join_arrays(arrays: Sequence[ImageArray]) -> Images:
    """All of them, one after another."""
    return arrays[0] if len(arrays) == 1 else JoinedImages(tuple(arrays))


def labeled_files(
    root: Path, layout: str, reason: str, rows: Sequence[tuple[str, str | None, int]], classes: Sequence[str]
) -> Dataset:
    """A dataset of files, one label each, from rows of (path below ``root``, split, class index)."""
    labels = Labels(np.array([row[2] for row in rows], dtype=np.int64), tuple(classes))
    images = ImageFiles(root, tuple(row[0] for row in rows))
    return build_dataset(root, layout, reason, images, [row[1] for row in rows], {"labels": labels})


def build_dataset(
    root: Path,
    layout: str,
    reason: str,
    images: Images,
    splits: Sequence[str | None],
    ground_truths: Mapping[str, GroundTruth],
) -> Dataset:
    """A dataset of N images with the layout's ``splits`` (N,); one split alone is none, and the reason says so. Raises
    `DataError` for a class whose name is empty or cannot be printed.
    """
    for name in (name for each in ground_truths.values() for name in each.classes):
        if not name or _UNNAMABLE.search(name):
            raise DataError(f"{root} has a class called {name!r}, which cannot be printed; rename it.")
    found = {word: np.flatnonzero([split == word for split in splits]) for word in SPLITS}
    given = {word: indices.astype(np.int64) for word, indices in found.items() if len(indices)}
    if len(given) == 1:
        reason, given = f"{reason}; only its {next(iter(given))} part is there", {}
    return Dataset(str(root), layout, reason, images, ground_truths, given)
