"""Each layout is read as it is, and the judge notices whatever is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convolve.datasets.images import EncodedFile
from convolve.datasets.labels import Labels
from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError
from convolve.values import Dataset, Indices
from tests.datasets.ground_truths import labels_of, masks_of
from tests.datasets.mutations import judge as judge_module
from tests.datasets.mutations.case import Case, write
from tests.datasets.mutations.judge import READ, REFUSED, is_told, judge
from tests.datasets.mutations.pixels import MASKED, NUMBERS, class_mask, encoded, gray, identify, pixels
from tests.datasets.mutations.runner import LAYOUTS


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_is_read(layout: str, count: int, tmp_path: Path) -> None:
    case = LAYOUTS[layout](count)
    write(case, tmp_path)
    outcome = judge(case, tmp_path)
    assert outcome.kind == READ, outcome.detail


def test_numbers_can_be_read_from_pixels() -> None:
    for number in range(NUMBERS):
        assert identify(pixels(number)) == number
        assert identify(gray(number, 28, 28)[..., None]) == number
        for suffix in (".jpg", ".png", ".tif", ".bmp", ".webp"):
            assert identify(EncodedFile(encoded(number, suffix), "image").decode()) == number
        turned = EncodedFile(encoded(number, ".jpg", turned=True), "image").decode()
        assert (identify(turned), turned.shape) == (number, pixels(number).shape)
    masks = {(class_mask(number, 2).tobytes(), class_mask(number, 2).shape) for number in range(MASKED)}
    assert len(masks) == MASKED


def _tampered(monkeypatch: pytest.MonkeyPatch, case: Case, root: Path, change: object) -> str:
    """What the judge says when a dataset is given to it in another form."""
    write(case, root)
    dataset = open_dataset(root)
    assert callable(change)
    monkeypatch.setattr(judge_module, "open_dataset", lambda _: change(dataset))
    return judge(case, root).kind


def _rows(count: int) -> Indices:
    return np.arange(count, dtype=np.int64)


def _with_labels(dataset: Dataset, labels: Labels) -> Dataset:
    return replace(dataset, ground_truths={**dataset.ground_truths, "labels": labels})


def _rolled(dataset: Dataset) -> Dataset:
    return _with_labels(dataset, labels_of(dataset).take(np.roll(_rows(len(dataset)), 1)))


def _renamed(dataset: Dataset) -> Dataset:
    labels = labels_of(dataset)
    return _with_labels(dataset, Labels(labels.values, ("Cat", *labels.classes[1:])))


def _with_a_class_more(dataset: Dataset) -> Dataset:
    labels = labels_of(dataset)
    return _with_labels(dataset, Labels(labels.values, (*labels.classes, "@eaDir")))


def _without_first(dataset: Dataset) -> Dataset:
    return dataset.take(_rows(len(dataset))[1:])


def _without_first_said(dataset: Dataset) -> Dataset:
    name = dataset.images.name(0)
    return replace(_without_first(dataset), reason=f"folders; left out: 1 unreadable, such as {name}")


def _unsplit(dataset: Dataset) -> Dataset:
    return replace(dataset, given_splits={})


def _swapped_splits(dataset: Dataset) -> Dataset:
    given = dataset.given_splits
    return replace(dataset, given_splits={**given, "train": given["test"], "test": given["train"]})


def _rolled_masks(dataset: Dataset) -> Dataset:
    masks = masks_of(dataset).take(np.roll(_rows(len(dataset)), 4))
    return replace(dataset, ground_truths={**dataset.ground_truths, "masks": masks})


def _only(kind: str) -> object:
    return lambda dataset: replace(dataset, ground_truths={kind: dataset.ground_truths[kind]})


@pytest.mark.parametrize(
    ("layout", "change", "kind"),
    [
        ("folders", _rolled, "wrong label"),
        ("folders", _renamed, "wrong label"),
        ("folders", _with_a_class_more, "invented class"),
        ("folders", _without_first, "good image lost"),
        ("folders", _without_first_said, READ),
        ("split folders", _unsplit, "wrong split"),
        ("split folders", _swapped_splits, "wrong split"),
        ("multi-label table", _rolled, "wrong label"),
        ("coco", _rolled_masks, "wrong mask"),
        ("coco", _only("masks"), "no labels"),
        ("coco", _only("labels"), "no masks"),
        ("mask folders", _rolled_masks, "wrong mask"),
        ("voc", _rolled_masks, "wrong mask"),
        ("idx", _rolled, "wrong label"),
        ("labelme", _rolled_masks, "wrong mask"),
        ("cvat", _only("masks"), "no labels"),
        ("via table", _without_first, "good image lost"),
        ("supervisely", _rolled_masks, "wrong mask"),
        ("split via", _unsplit, "wrong split"),
        ("label studio", _only("labels"), "no masks"),
        ("label studio table", _rolled, "wrong label"),
        ("cvat tags", _with_a_class_more, "invented class"),
        ("json lines", _unsplit, "wrong split"),
        ("names", _renamed, "wrong label"),
        ("class index", _rolled, "wrong label"),
        ("tiny imagenet", _without_first, "good image lost"),
        ("cifar", _without_first, "good image lost"),
        ("stacks", lambda dataset: dataset.take(np.array([1, 0], dtype=np.int64)), READ),
    ],
)
def test_the_judge_notices(
    layout: str, change: object, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _tampered(monkeypatch, LAYOUTS[layout](2), tmp_path, change) == kind


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("labels.csv cannot be read as UTF-8; save it again.", REFUSED),
        ("The folder cannot be read; save it again.", "refused wrongly"),
        (
            "X has none of the known layouts, which are: labels.csv (a table). Found there: labels.csv.",
            "refused wrongly",
        ),
        (
            "X has none of the known layouts, which are: a. Found there: b. The table labels.csv has no label.",
            "poor words",
        ),
        ("X has none of the known layouts, which are: a. Found there: b; the table labels.csv.", "refused wrongly"),
        ("labels.csv is damaged: KeyError 'label'.", "poor words"),
        ("labels.csv: [Errno 21] Is a directory.", "poor words"),
        ("labels.csv is bad. It is. Truly.", "poor words"),
    ],
)
def test_a_refusal_names_the_obstacle(
    sentence: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> Dataset:
        raise DataError(sentence)

    case = LAYOUTS["table"](1)
    case.culprits = {"labels.csv"}
    monkeypatch.setattr(judge_module, "open_dataset", refuse)
    assert judge(case, tmp_path).kind == kind


def test_other_exceptions_are_crashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> Dataset:
        raise IndexError("list index out of range")

    monkeypatch.setattr(judge_module, "open_dataset", fail)
    assert judge(LAYOUTS["table"](1), tmp_path).kind == "crash"


def test_what_is_told(tmp_path: Path) -> None:
    write(LAYOUTS["folders"](1), tmp_path)
    dataset = open_dataset(tmp_path)
    assert not is_told(dataset, "loose.jpg", 3)  # though there are 3 classes
    for reason, told in (
        ("folders; left out: 5 without a label, such as loose.jpg", True),
        ("folders; left out: 3 without a label, such as a.jpg, b.jpg", True),
        ("folders; left out: 13 without a label, such as a.jpg, b.jpg", False),
        ("folders; left out: 5 without a label, such as tight_loose.jpg", False),
    ):
        assert is_told(replace(dataset, reason=reason), "loose.jpg", 3) == told
    assert is_told(replace(dataset, reason="folders; extra/ is left out"), "extra/1.jpg")


def test_what_must_be_told(tmp_path: Path) -> None:
    case = LAYOUTS["cvat"](1)
    write(case, tmp_path)
    for told, kind in (({"annotations.xml|points"}, READ), ({"points|boxes"}, "not told")):
        case.told = told
        assert judge(case, tmp_path).kind == kind
    case.told, case.tells_annotations = set(), True
    assert judge(case, tmp_path).kind == READ
    case.outlines[0].path = "other.xml"
    assert judge(case, tmp_path).kind == "not told"
