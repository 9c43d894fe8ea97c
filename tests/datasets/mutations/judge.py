"""Whether a dataset is read as it is: the same truth, or a sentence that names the obstacle."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from unicodedata import normalize

import numpy as np

from convolve.datasets.inventory import IMAGE_SUFFIXES
from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError, ImageError
from convolve.values import IGNORE, Dataset
from tests.datasets.ground_truths import boxes_by_row, labels_of, masks_of
from tests.datasets.mutations.case import Case
from tests.datasets.mutations.pixels import identify, suffix_of
from tests.datasets.mutations.sample import Sample

READ, REFUSED = "read", "refused"
"""The two right outcomes."""
_EXCEPTION = re.compile(r"\b[A-Z]\w*(?:Error|Exception|Warning|Interrupt)\b|Traceback|\[Errno|<class '")
_SENTENCE_END = re.compile(r"[.!?](?=\s+[A-Z(/'\"]|\s*$)")
_GENERAL = re.compile(r"none of the known layouts.*?Found there:.*?(?:\.(?=\s)|\.?$)", re.DOTALL)
"""What the refusal of any unknown folder says, which names no obstacle."""
_LEAVES_OUT = re.compile(
    r"left out|leaves out|leaving|missing|absent|without|unread|not (?:read|counted|used|named|listed|there|in )|"
    r"no list|no label|no mask|unlabeled|ignor|skip|cannot|damaged|\bloose\b|\bbeside\b|unused|belong|twice|instead|"
    r"names? no",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Outcome:
    """``kind`` is `READ`, `REFUSED` or a word for the failure."""

    kind: str
    detail: str = ""

    @property
    def right(self) -> bool:
        """Whether the promise was kept."""
        return self.kind in (READ, REFUSED)


def judge(case: Case, root: Path) -> Outcome:
    """Open what was written below ``root`` and compare it with the case."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of decoders, about damaged files
        return _judge(case, root)


def _judge(case: Case, root: Path) -> Outcome:
    try:
        dataset = open_dataset(root / case.opened if case.opened else root)
    except DataError as error:
        names = case.names_of_annotations() if case.blames_annotations else set()
        return _judge_refusal(str(error).replace(str(root), ""), case.culprits | names)
    except Exception as error:  # noqa: BLE001 - every other one is a failure
        return Outcome("crash", f"{type(error).__name__}: {error}")
    try:
        return next(_faults(case, dataset, root), Outcome(READ, dataset.reason))
    except (AssertionError, ImageError, DataError):
        raise
    except Exception as error:  # noqa: BLE001
        return Outcome("crash", f"{type(error).__name__}: {error} when read ({dataset.reason})")


def is_told(dataset: Dataset, name: str, count: int = 0) -> bool:
    """Whether the dataset says of a file that it is left out: by its path, name or stem, by its folder, or, together
    with all ``count`` that are left out alike, by their number.
    """
    path = PurePosixPath(normalize("NFC", name))
    folders = [str(parent) for parent in path.parents if str(parent) != "."] + list(path.parts[:-1])
    for text in notes(dataset):
        for clause in re.split(r"; |\. |\n", normalize("NFC", text)):
            if _mentions(clause, (str(path), path.name)):
                return True
            if _LEAVES_OUT.search(clause):
                number = count and re.search(rf"(?<![\w.]){count}(?![\w.])", clause.replace(",", ""))
                if number or _mentions(clause, (path.stem, *folders)):
                    return True
    return False


def notes(dataset: Dataset) -> Iterator[str]:
    """Every text that a dataset has about itself."""
    yield dataset.reason
    yield from dataset.notes


def _mentions(text: str, words: Collection[str]) -> bool:
    text = text.casefold()
    return any(
        re.search(rf"(?<!\w){re.escape(normalize('NFC', word).casefold())}(?!\w)", text) for word in words if word
    )


def _judge_refusal(text: str, culprits: Collection[str]) -> Outcome:
    if found := _EXCEPTION.search(text):
        return Outcome("poor words", f"{found.group()!r} in: {text}")
    if len(_SENTENCE_END.findall(text)) > 2:
        return Outcome("poor words", f"more than two sentences: {text}")
    own = text if "known layouts" in culprits else _GENERAL.sub("", text)
    if not _mentions(normalize("NFC", own), culprits) and not any(
        word in own for word in culprits if not word.isalnum()
    ):
        what = "names none of " + ", ".join(sorted(culprits)) if culprits else "nothing hinders reading"
        return Outcome("refused wrongly", f"{what}: {text}")
    return Outcome(REFUSED, text)


@dataclass
class _Reading:
    """The images of a dataset by number; ``rows`` has all rows of each, ``not_found`` the names of images that exist
    under others, ``unknown`` the names of all others.
    """

    rows: dict[int, list[int]] = field(default_factory=dict)
    not_found: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def _read(case: Case, dataset: Dataset, root: Path) -> _Reading:
    by_path = {os.path.realpath(root / sample.path): sample.number for sample in case.samples if sample.path}
    listed = {os.path.realpath(root / sample.listed): sample.number for sample in case.samples if sample.listed}
    found = _Reading()
    for row in range(len(dataset)):
        name = dataset.images.name(row)
        try:
            number = identify(dataset.images.read(row))
        except ImageError:
            path = os.path.realpath(Path(dataset.root, name))
            number = by_path.get(path, listed.get(path, -1))
            if number >= 0 and path not in by_path:
                found.not_found.append(name)
        if number < 0:
            found.unknown.append(name)
        else:
            found.rows.setdefault(number, []).append(row)
    return found


def _faults(case: Case, dataset: Dataset, root: Path) -> Iterator[Outcome]:
    reading = _read(case, dataset, root)
    files = {"|".join((*case.names_of_annotations(), "left out"))} if case.tells_annotations else set()
    told = case.told | files | (set() if case.opened else case.told_of_folder)
    if not _has_remarks(dataset, told):
        yield Outcome("not told", f"none of {', '.join(sorted(told))} ({dataset.reason})")
    for kind in ("labels", "masks", "boxes"):
        if kind in case.kinds and kind not in dataset.ground_truths and kind not in case.optional_kinds:
            yield Outcome(f"no {kind}", f"only {', '.join(dataset.ground_truths)} ({dataset.reason})")
        if kind in dataset.ground_truths and kind not in case.kinds and kind != "boxes":  # which outlines have too
            yield Outcome(f"invented {kind}", dataset.reason)
    yield from _foreign(case, dataset, reading)
    yield from _lost(case, dataset, reading)
    if "labels" in case.kinds:
        yield from _wrong_labels(case, dataset, reading)
    if "masks" in case.kinds and "masks" in dataset.ground_truths:
        yield from _wrong_masks(case, dataset, reading)
    if "boxes" in case.kinds:
        yield from _wrong_boxes(case, dataset, reading)
    yield from _wrong_splits(case, dataset, reading)


def _foreign(case: Case, dataset: Dataset, reading: _Reading) -> Iterator[Outcome]:
    """What is in the dataset and should not be."""
    samples = {sample.number: sample for sample in case.samples}
    for number in sorted(reading.rows.keys() - {sample.number for sample in case.annotated()}):
        known = [dataset.ground_truths[kind] for kind in case.kinds if kind in dataset.ground_truths]
        if any(each.covers[reading.rows[number]].any() for each in known):
            name = samples[number].path if number in samples else dataset.images.name(reading.rows[number][0])
            yield Outcome("unlabeled image labeled", f"{name} ({dataset.reason})")
    missing = [name for name in reading.unknown if not is_told(dataset, name, len(reading.unknown))]
    if missing:
        yield Outcome("unreadable image from nowhere", f"{', '.join(missing[:3])} ({dataset.reason})")
    lost = [name for name in reading.not_found if not is_told(dataset, name, len(reading.not_found))]
    if lost:  # the doctor names them, at least
        yield Outcome("image not found", f"{', '.join(lost[:3])} ({dataset.reason})")
    for rows in reading.rows.values():
        names = sorted({dataset.images.name(row) for row in rows})  # the doctor names a file that is listed twice
        if len(names) > 1 and not is_told(dataset, names[0]):
            yield Outcome("image twice", f"{', '.join(names)} ({dataset.reason})")


def _lost(case: Case, dataset: Dataset, reading: _Reading) -> Iterator[Outcome]:
    """What is neither in the dataset nor left out aloud."""
    groups: dict[str, list[Sample]] = {}
    for sample in case.samples:
        if sample.number in reading.rows or sample.foreign or not (sample.exists or case.lists(sample)):
            continue
        if case.opened and not sample.annotated:
            continue  # who gives a table asks for the images that it names
        what = "missing" if not sample.exists else "damaged" if sample.damaged else "good"
        what = what if sample.annotated else "unlabeled"
        if not any(not sample.path or is_told(dataset, name) for name in (sample.path, sample.name) if name):
            groups.setdefault(what, []).append(sample)
    for what, lost in groups.items():
        names = [sample.path or str(sample.number) for sample in lost]
        alike = [s for s in case.samples if s.number not in reading.rows and s.annotated == lost[0].annotated]
        others = sum(suffix_of(path) in IMAGE_SUFFIXES or not suffix_of(path) for path in case.files)
        every = sum(s.number not in reading.rows and s.exists and not s.foreign for s in case.samples)
        every += len(reading.not_found)  # under the names that they have now
        counts = {*range(len(lost), len(alike) + others + 1), *range(every, every + others + 1)}
        if not any(is_told(dataset, names[0], count) for count in counts):
            yield Outcome(f"{what} image lost", f"{len(lost)}: {', '.join(names[:3])} ({dataset.reason})")


def _wrong_labels(case: Case, dataset: Dataset, reading: _Reading) -> Iterator[Outcome]:
    labels = labels_of(dataset)
    names = [normalize("NFC", name) for name in labels.classes]
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        yield Outcome("class twice", f"{repeated[0]} ({dataset.reason})")
    presence = labels.presence()
    found = {
        n: [frozenset(names[i] for i in np.flatnonzero(presence[row])) for row in rows]
        for n, rows in reading.rows.items()
    }
    known = {sample.number: _composed(sample.classes) for sample in case.annotated()}
    others = [{number: _composed(classes) for number, classes in one.items()} for one in case.alternatives]
    faults = [list(_differing(found, one)) for one in (known, *others)]
    if faults[0] and [] in faults[1:]:
        if not _has_remarks(dataset, case.remarks):
            yield Outcome("contradiction not told", dataset.reason)
    elif faults[0]:
        number, was, right = faults[0][0]
        detail = f"{len(faults[0])} of {len(found)}: {_name(case, number)} is {_text(right)}, read as {_text(was)}"
        yield Outcome("wrong label", f"{detail} ({dataset.reason})")
    allowed = _composed([*case.classes(), *case.optional_classes, *(n for o in others for c in o.values() for n in c)])
    if invented := [name for name in names if name not in allowed]:
        yield Outcome("invented class", f"{', '.join(invented[:4])} ({dataset.reason})")


def _has_remarks(dataset: Dataset, remarks: Collection[str]) -> bool:
    return all(_mentions(" ".join(notes(dataset)), words.split("|")) for words in remarks)


def _composed(names: Collection[str]) -> frozenset[str]:
    return frozenset(normalize("NFC", name) for name in names)


def _differing(
    found: Mapping[int, Sequence[frozenset[str]]], known: Mapping[int, frozenset[str]]
) -> Iterator[tuple[int, frozenset[str], frozenset[str]]]:
    for number, readings in found.items():
        for classes in readings:
            if number in known and classes != known[number]:
                yield number, classes, known[number]


def _text(names: Collection[str]) -> str:
    return " + ".join(sorted(names)) or "nothing"


def _name(case: Case, number: int) -> str:
    return next((s.path or f"image {number}" for s in case.samples if s.number == number), str(number))


def _wrong_masks(case: Case, dataset: Dataset, reading: _Reading) -> Iterator[Outcome]:
    """Masks are equal if classes of the same names have the same pixels, or classes one to one where none has one."""
    masks = masks_of(dataset)
    pairs: set[tuple[int, int]] = set()
    known = {sample.number: sample for sample in case.annotated()}
    bare = [n for n in reading.rows if n in known and known[n].masked and not masks.covers[reading.rows[n]].all()]
    for number, rows in reading.rows.items():
        for row in rows if number in known else ():
            if not masks.covers[row]:
                path = known[number].mask_path or known[number].path
                if number in bare and not is_told(dataset, path, len(bare)):
                    yield Outcome("mask lost", f"{known[number].path} ({dataset.reason})")
                continue
            unsized = case.outlined and known[number].damaged
            try:
                mask = masks.read(row)
            except ImageError as error:
                if not known[number].mask_damaged and not unsized:
                    yield Outcome("mask unreadable", str(error))
                continue
            right = case.expected_mask(known[number])
            if mask.shape != right.shape and not unsized:
                yield Outcome("wrong mask", f"{known[number].path}: shape {mask.shape}, not {right.shape}")
                continue
            if unsized or (number in case.uncertain and _has_remarks(dataset, case.remarks)):
                continue
            pairs |= set(zip(right.ravel().tolist(), mask.ravel().tolist(), strict=True))
            if len({r for r, _ in pairs}) < len(pairs):
                detail = f"{_name(case, number)}: (right, read) pixels {sorted(pairs)} of {masks.classes}"
                yield Outcome("wrong mask", f"{detail} ({dataset.reason})")
                return
    yield from _wrong_meanings(case, dataset, pairs)


def _wrong_boxes(case: Case, dataset: Dataset, reading: _Reading) -> Iterator[Outcome]:
    """Boxes are equal if each image has the same ones of the same classes, in any order."""
    boxes = boxes_by_row(dataset)
    known = {sample.number: sample for sample in case.annotated() if not sample.damaged}
    for number, rows in reading.rows.items():
        for row in rows if number in known and known[number].exists else ():
            found = sorted((normalize("NFC", name), *edges) for name, edges in boxes[row])
            right = sorted((normalize("NFC", name), *edges) for name, edges in case.expected_boxes(known[number]))
            alike = [name for name, *_ in found] == [name for name, *_ in right]
            was, wanted = (np.array([each for _, *each in one], np.float64) for one in (found, right))
            if not alike or not np.allclose(was, wanted, atol=0.01):
                yield Outcome("wrong boxes", f"{_name(case, number)} has {right}, read as {found} ({dataset.reason})")
                return


def _wrong_meanings(case: Case, dataset: Dataset, pairs: set[tuple[int, int]]) -> Iterator[Outcome]:
    names = masks_of(dataset).classes
    detail = f"(right, read) values {sorted(pairs)} of {names} ({dataset.reason})"
    if len({read for _, read in pairs}) < len(pairs) or any((a == IGNORE) != (b == IGNORE) for a, b in pairs):
        yield Outcome("wrong mask", detail)
    if len(set(names)) < len(names):
        yield Outcome("class twice", detail)
    known = case.expected_mask_names()
    wrong = [
        (known[right], names[read])
        for right, read in pairs
        if known and IGNORE not in (right, read)
        if normalize("NFC", known[right]) != normalize("NFC", names[read])
    ]
    if wrong:
        yield Outcome("wrong mask name", ", ".join(f"{right} is called {read}" for right, read in wrong) + detail)


def _wrong_splits(case: Case, dataset: Dataset, reading: _Reading) -> Iterator[Outcome]:
    split = {sample.number: sample.split for sample in case.annotated()}
    right: dict[str, set[int]] = {}
    for number in reading.rows:
        if word := split.get(number):
            right.setdefault(word, set()).add(number)
    numbers = {row: number for number, rows in reading.rows.items() for row in rows if number in split}
    given = dataset.given_splits.items()
    found = {word: {numbers[row] for row in part.tolist() if row in numbers} for word, part in given}
    if found != (right if len(right) > 1 else {}):
        sizes = [{word: len(part) for word, part in one.items()} for one in (right, found)]
        yield Outcome("wrong split", f"right {sizes[0]}, read {sizes[1]} ({dataset.reason})")
