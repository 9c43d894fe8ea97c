"""Pascal VOC's annotation files."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convolve.datasets.voc import read_voc
from convolve.errors import DataError
from tests.damage import check_reading, damage_bytes, refuse

OBJECT = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
ANNOTATION = f"<annotation>{OBJECT.format('cat', 1, 2, 9, 8)}</annotation>".encode()


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


@pytest.mark.parametrize(
    "content",
    [
        '<?xml version="1.0" encoding="utf-116"?>'.encode("utf-16"),
        '<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>'.encode("utf-16"),
        b'<?xml version="1.0" encoding="klingon"?><annotation/>',
        ANNOTATION.replace(b"<xmax>9", b"<xmax>1e999"),
        ANNOTATION.replace(b"<xmax>9", b"<xmax>nan"),
        ANNOTATION.replace(b"<xmax>9", b"<xmax>" + b"9" * 5000),
    ],
)
def test_what_once_was_no_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes(content)
    assert "is not an annotation in Pascal VOC's format" in refuse(lambda: read_voc(tmp_path / "a.xml"), DataError)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_annotations_are_read_or_refused(seed: int, tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes(damage_bytes(Random(seed), ANNOTATION))
    check_reading(lambda: read_voc(tmp_path / "a.xml"), DataError)
