"""ImageNet's folders of WordNet ids."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError
from convolve.values import Dataset
from tests.datasets.ground_truths import labels_of
from tests.datasets.layouts.test_folders import put

FISH, CRANE, MACHINE = "n01443537", "n02012849", "n03126707"


def found(data: Dataset) -> dict[str, str]:
    labels = labels_of(data)
    return {data.images.name(index): labels.classes[label] for index, label in enumerate(labels.values.tolist())}


def test_tiny_imagenet(tmp_path: Path) -> None:
    put(tmp_path, *(f"train/{one}/images/{one}_0.JPEG" for one in (FISH, CRANE, MACHINE)), "test/images/test_0.JPEG")
    put(tmp_path, f"train/{FISH}/{FISH}_boxes.txt", "val/images/val_0.JPEG", "val/images/val_1.JPEG")
    for path in tmp_path.rglob("*.JPEG"):
        path.touch()
    (tmp_path / "val" / "val_annotations.txt").write_text(
        f"val_0.JPEG\t{CRANE}\t0\t0\t9\t9\nval_1.JPEG\t{FISH}\t0\t0\t9\t9\n"
    )
    (tmp_path / "words.txt").write_text(f"{FISH}\tgoldfish, Carassius auratus\n{CRANE}\tcrane\n{MACHINE}\tcrane\n")
    data = open_dataset(tmp_path)
    assert data.layout == "imagenet"
    assert found(data) == {
        f"train/{FISH}/images/{FISH}_0.JPEG": "goldfish, Carassius auratus",
        f"train/{CRANE}/images/{CRANE}_0.JPEG": f"crane ({CRANE})",
        f"train/{MACHINE}/images/{MACHINE}_0.JPEG": f"crane ({MACHINE})",
        "val/images/val_0.JPEG": f"crane ({CRANE})",
        "val/images/val_1.JPEG": "goldfish, Carassius auratus",
    }
    assert {word: len(part) for word, part in data.given_splits.items()} == {"train": 3, "validation": 2}
    assert data.notes == ("1 of 6 images left out, such as test/images/test_0.JPEG",)


def test_kaggles_ilsvrc(tmp_path: Path) -> None:
    home = "ILSVRC/Data/CLS-LOC"
    put(
        tmp_path,
        *(f"{home}/train/{one}/{one}_1.JPEG" for one in (FISH, CRANE)),
        f"{home}/val/ILSVRC2012_val_00000001.JPEG",
    )
    for path in tmp_path.rglob("*.JPEG"):
        path.touch()
    (tmp_path / "LOC_synset_mapping.txt").write_text(f"{FISH} goldfish, Carassius auratus\n{CRANE} crane\n")
    solution = tmp_path / "LOC_val_solution.csv"
    solution.write_text(f"ImageId,PredictionString\nILSVRC2012_val_00000001,{CRANE} 85 1 499 272 \n")
    assert found(open_dataset(tmp_path))[f"{home}/val/ILSVRC2012_val_00000001.JPEG"] == "crane"
    solution.write_text("ImageId,PredictionString\nILSVRC2012_val_00000001,crane\n")
    with pytest.raises(DataError, match=r"LOC_val_solution\.csv has a line without a WordNet id"):
        open_dataset(tmp_path)


def test_missing_images_and_names_with_spaces_and_dots(tmp_path: Path) -> None:
    put(tmp_path, *(f"train/{one}/1.JPEG" for one in (FISH, CRANE)), "val/v1.2 a", "val/v1.2 b")
    for name in "ab":
        (tmp_path / f"val/v1.2 {name}").write_bytes(b"\xff\xd8\xff")  # begins as JPEG
    (tmp_path / "LOC_val_solution.csv").write_text(
        f"ImageId,PredictionString\nv1.2 a,{CRANE} 8 1 9 2 \nv1.2 b,{FISH} 8 1 9 2 \nv1.2 c,{FISH} 8 1 9 2 \n"
    )
    data = open_dataset(tmp_path)
    assert found(data) | {"val/v1.2 a": CRANE, "val/v1.2 b": FISH} == found(data)
    assert data.notes == ("left out: 1 missing, such as v1.2 c",)


def test_without_a_list_the_validation_images_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, *(f"train/{one}/images/1.JPEG" for one in (FISH, CRANE)), "val/images/val_0.JPEG")
    (tmp_path / "wnids.txt").write_text(f"{FISH}\n{CRANE}\n")
    (tmp_path / "words.txt").write_text(f"{FISH}\tgoldfish\n{CRANE}\tcrane\n")
    data = open_dataset(tmp_path)
    assert set(found(data).values()) == {"goldfish", "crane"}
    assert data.notes == ("1 of 3 images left out, such as val/images/val_0.JPEG",)


def test_names_of_an_index(tmp_path: Path) -> None:
    put(tmp_path, f"val/{FISH}/1.jpg", f"val/{CRANE}/1.jpg")
    (tmp_path / "LOC_synset_mapping.txt").touch()
    (tmp_path / "imagenet_class_index.json").write_text(json.dumps({"0": [FISH, "gold_fish"], "1": [CRANE, "crane"]}))
    assert set(found(open_dataset(tmp_path)).values()) == {"gold fish", "crane"}
