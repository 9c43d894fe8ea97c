"""Pascal VOC's annotation files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convolve.datasets.voc import read_voc
from convolve.errors import DataError

OBJECT = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"


def written(place: Path, *objects: tuple[object, ...]) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    inner = "".join(OBJECT.format(*values) for values in objects)
    place.write_text(f"<annotation><size><width>9</width></size>{inner}</annotation>", encoding="utf-8")
    return place


def test_the_first_pixel_is_1_and_boxes_without_area_are_left_out(tmp_path: Path) -> None:
    found = read_voc(
        written(tmp_path / "a.xml", (" 고양이 ", 1, 1, 1, 1), ("dog", 3, 4.5, 10, 12), ("dog", 5, 5, 4, 9))
    )
    assert found.names == ("고양이", "dog")
    np.testing.assert_array_equal(found.boxes, [[0, 0, 1, 1], [2, 3.5, 10, 12]])
    assert read_voc(written(tmp_path / "none.xml")).boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<annotation><object></annotation>", "is no annotation in Pascal VOC's form"),
        ("<annotation><object><name>a</name></object></annotation>", "is no annotation in Pascal VOC's form"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "declares entities"),
        ("", "is no annotation"),
    ],
)
def test_what_is_none_is_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(DataError, match=sentence) as caught:
        read_voc(tmp_path / "a.xml")
    assert str(tmp_path / "a.xml") in str(caught.value)
    with pytest.raises(DataError, match="cannot be read"):
        read_voc(tmp_path / "b.xml")
