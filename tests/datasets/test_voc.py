"""Pascal VOC's annotation files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convolve.datasets.voc import read_voc
from convolve.errors import DataError

OBJECT = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"


def write(path: Path, *objects: tuple[object, ...]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    inner = "".join(OBJECT.format(*values) for values in objects)
    path.write_text(f"<annotation><size><width>9</width></size>{inner}</annotation>", encoding="utf-8")
    return path


def test_the_first_pixel_is_1_and_boxes_without_area_are_left_out(tmp_path: Path) -> None:
    found = read_voc(write(tmp_path / "a.xml", (" 고양이 ", 1, 1, 1, 1), ("dog", 3, 4.5, 10, 12), ("dog", 5, 5, 4, 9)))
    assert found.names == ("고양이", "dog")
    np.testing.assert_array_equal(found.boxes, [[0, 0, 1, 1], [2, 3.5, 10, 12]])
    assert read_voc(write(tmp_path / "none.xml")).boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<annotation><object></annotation>", "is not an annotation in Pascal VOC's format"),
        ("<annotation><object><name>a</name></object></annotation>", "is not an annotation in Pascal VOC's format"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "declares a document type"),
        ('<!DOCTYPE a SYSTEM "http://example.org/a.dtd"><annotation/>', "declares a document type"),
        ("", "is not an annotation"),
    ],
)
def test_other_files_are_refused(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(DataError, match=sentence) as caught:
        read_voc(tmp_path / "a.xml")
    assert str(tmp_path / "a.xml") in str(caught.value)
    with pytest.raises(DataError, match="cannot be read"):
        read_voc(tmp_path / "b.xml")
