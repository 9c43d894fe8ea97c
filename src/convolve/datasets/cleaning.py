"""A dataset without what the doctor found wrong, written as a table: images that can be read, without copies and leaks,
each with a split. Nothing else is written.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from unicodedata import normalize

import numpy as np
import numpy.typing as npt

from convolve.datasets.doctor import Findings
from convolve.datasets.images import ImageFiles
from convolve.datasets.labels import Labels
from convolve.datasets.layouts import table_cells, tables
from convolve.datasets.splits import MANY, USUAL_FRACTIONS, SplitPlan, split
from convolve.errors import DataError
from convolve.files import atomic_write, check_replaceable, link_target
from convolve.values import Dataset, Flags, GroundTruth, Indices, Splits

RULES: Final = (
    "of exact copies with one label one stays: the one in the test split, else in validation, else in train",
    "exact copies with different labels all go, for one label is wrong",
    "near duplicates in several splits stay in the first of test, validation and train that has one",
    "near duplicates are never drawn into different splits",
)
"""What stays and what goes, a clause each."""
Words = npt.NDArray[np.object_]
_PREFERRED = ("test", "validation", "train")
_SPLITS = tuple(reversed(_PREFERRED))


@dataclass(frozen=True)
class Cleaned:
    """A table that was written: the number of ``images`` in each split, and of those ``left_out`` by the reason.

    ``origin`` says where the splits come from; ``lost_classes`` are those of which no image stays.
    """

    table: Path
    images: Mapping[str, int]
    left_out: Mapping[str, int]
    origin: str
    lost_classes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The fields under their names, and the `rules`."""
        return {**asdict(self), "table": str(self.table), "rules": list(RULES)}


def check_table(path: Path, dataset: Dataset, ground_truth: GroundTruth) -> None:
    """Raise `DataError` where no table of a dataset can be written there, or another file would be lost."""
    if path.suffix.casefold() != ".csv":
        raise DataError(f"{path} must be called .csv, as tables are; rename it.")
    if not isinstance(ground_truth, Labels):
        raise DataError(
            f"A table holds one label or several for each image, but {dataset.root} was read with masks; --fix cannot "
            "write them."
        )
    if not isinstance(dataset.images, ImageFiles):
        raise DataError(
            f"The images of {dataset.root} do not lie in a file each, so that a table cannot name them; --fix needs a "
            "folder of image files."
        )
    check_replaceable(path, table_cells.is_cleaned, "table that --fix wrote")


def clean(path: Path, dataset: Dataset, ground_truth: GroundTruth, findings: Findings) -> Cleaned:
    """Write the images that stay by the `RULES`, with the splits that the dataset gives, or else new ones with seed 0.

    ``findings`` are the doctor's for these images and labels. Raises `DataError` as `check_table` and `splits.split`
    do, also where a table would be read with another path, label or split; `ConvolveError` where none can be written.
    """
    check_table(path, dataset, ground_truth)
    kept, near, left_out = _choose(dataset, ground_truth, findings)
    presence = ground_truth.presence()
    if not len(kept):
        raise DataError(f"No image of {dataset.root} would be left; there is nothing to write.")
    followers = [row for group in near for row in group[1:].tolist()]
    trained = [part for name, part in dataset.given_splits.items() if name != "test"]  # as training counts them
    images = sum(map(len, trained)) or len(findings.usable)
    plan = SplitPlan(*USUAL_FRACTIONS[images >= MANY], None, seed=0)
    drawn = split(dataset, ground_truth, plan, np.setdiff1d(kept, followers))
    splits = _with_followers(len(dataset), drawn, near)
    lost = presence[findings.usable].any(0) & ~presence[kept].any(0)
    _write(path, dataset, ground_truth, splits)
    return Cleaned(
        table=path,
        images={name: int(np.sum(splits[kept] == name)) for name in _SPLITS},
        left_out={reason: count for reason, count in left_out.items() if count},
        origin=drawn.origin,
        lost_classes=tuple(np.array(ground_truth.classes, dtype=object)[lost].tolist()),
    )


def _choose(
    dataset: Dataset, ground_truth: GroundTruth, findings: Findings
) -> tuple[Indices, list[Indices], dict[str, int]]:
    """The images that stay, the groups of near duplicates among them, and how many go for each reason."""
    presence: Flags = ground_truth.presence()
    rank = np.full(len(dataset), len(_PREFERRED))
    for name, part in sorted(dataset.given_splits.items(), key=lambda given: -_PREFERRED.index(given[0])):
        rank[part] = _PREFERRED.index(name)
    stays = np.zeros(len(dataset), dtype=bool)
    stays[findings.usable] = True
    left_out = {"unreadable": int(np.sum(~stays))}
    if dataset.given_splits:
        left_out["in none of the dataset's splits"] = int(np.sum(stays & (rank == len(_PREFERRED))))
        stays &= rank < len(_PREFERRED)
    same = different = near_leaks = 0
    for group in findings.exact_rows:
        members = group[stays[group]]
        stays[members] = False
        if (presence[group] != presence[group[0]]).any():
            different += len(members)
        elif len(members):
            stays[members[rank[members].argmin()]] = True
            same += len(members) - 1
    near: list[Indices] = []
    for group in findings.near_rows:
        members = group[stays[group]]
        best = rank[members].min(initial=len(_PREFERRED))
        stays[members[rank[members] > best]] = False
        near_leaks += int(np.sum(rank[members] > best))
        near.append(members[rank[members] == best])
    left_out |= {
        "exact copies of another": same,
        "exact copies with different labels": different,
        "near duplicates of one in a preferred split": near_leaks,
    }
    return np.flatnonzero(stays).astype(np.int64), [group for group in near if len(group) > 1], left_out


def _with_followers(count: int, drawn: Splits, near: Sequence[Indices]) -> Words:
    """(N,) the split of each image or an empty text; all of a group of ``near`` duplicates are in that of the first."""
    parts = {"train": drawn.train, "validation": drawn.validation, "test": drawn.test}
    splits: Words = np.full(count, "", dtype=object)
    for name, part in parts.items():
        splits[part] = name
    for group in near:
        splits[group] = splits[group[0]]
    return splits


def _write(path: Path, dataset: Dataset, ground_truth: GroundTruth, splits: Words) -> None:
    """Write the table, and replace what is there only once it has been read back as it was meant."""
    folder, several = os.path.abspath(path.parent), ground_truth.presence()  # noqa: PTH100 - links stay as they are
    multi_label = isinstance(ground_truth, Labels) and ground_truth.multi_label
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([table_cells.CLEANED, *(ground_truth.classes if multi_label else ["label"]), "split"])
    expected: list[tuple[str, str, tuple[str, ...]]] = []
    for index in np.flatnonzero(splits != "").tolist():
        file = os.path.abspath(Path(dataset.root, dataset.images.name(index)))  # noqa: PTH100
        below = file.startswith(f"{folder}{os.sep}")
        labels = [ground_truth.classes[number] for number in np.flatnonzero(several[index])]
        cells = several[index].astype(int).tolist() if multi_label else labels
        writer.writerow([os.path.relpath(file, folder) if below else file, *cells, splits[index]])
        expected.append((file, splits[index], tuple(sorted(normalize("NFC", label) for label in labels))))
    with atomic_write(link_target(path)) as draft:
        draft.write_text(text.getvalue(), encoding="utf-8", errors="backslashreplace")
        _read_back(draft, path, expected)


def _read_back(draft: Path, path: Path, expected: Sequence[tuple[str, str, tuple[str, ...]]]) -> None:
    """Raise `DataError` where the table is not read as it was meant."""
    try:
        dataset = tables.open_file(draft)
    except DataError as error:
        reason = str(error).replace(str(draft), "it").replace(draft.name, "it")
        raise DataError(f"{path} was not written, for {reason}") from error
    labels, words = dataset.ground_truths["labels"], np.full(len(dataset), "", dtype=object)
    for name, part in dataset.given_splits.items():
        words[part] = name
    found = {
        os.path.abspath(Path(dataset.root, dataset.images.name(index))): (  # noqa: PTH100
            words[index],
            tuple(sorted(labels.classes[number] for number in np.flatnonzero(flags))),
        )
        for index, flags in enumerate(labels.presence())
    }
    for file, word, names in expected:
        if found.get(file) != (word, names):
            read = " + ".join(found[file][1]) or "none" if file in found else "nothing"
            raise DataError(
                f"{path} was not written: a table cannot hold {file} with the label {' + '.join(names) or 'none'}, as "
                f"which it would read {read}; rename the file or the class."
            )
