"""CVAT's annotations of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from convolve.datasets.layouts import open_dataset
from convolve.datasets.layouts.cvat import RowRle
from convolve.errors import DataError, ImageError
from tests.datasets.ground_truths import labels_of, masks_of
from tests.datasets.layouts.annotated import make_images, paint, pixels

META = """<version>1.1</version><meta><task><id>4</id><mode>annotation</mode><labels>
<label><name>wall</name></label><label><name>disc</name></label><label><name>1</name><parent>s1</parent></label>
</labels></task></meta>"""
SQUARE = '<polygon label="disc" points="2.0,1.0;8.0,1.0;8.0,5.0;2.0,5.0" occluded="0" z_order="{}"></polygon>'


def write(root: Path, *images: str, name: str = "annotations.xml") -> Path:
    text = f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>{META}{"".join(images)}</annotations>'
    (root / name).write_text(text, encoding="utf-8")
    return root


def image(name: str, *objects: str, more: str = "") -> str:
    return f'<image id="0" name="{name}" width="10" height="6"{more}>{"".join(objects)}</image>'


def test_the_mask_of_cvats_documentation_is_a_disc() -> None:
    """https://docs.cvat.ai/docs/other/xml_format has this example, without a picture of it."""
    text = "3, 5, 7, 7, 5, 9, 3, 11, 2, 11, 2, 12, 1, 12, 1, 26, 1, 12, 1, 12, 2, 11, 3, 9, 5, 7, 7, 5, 3"
    counts = tuple(map(int, text.split(",")))
    mask = paint(RowRle(counts, (707, 888), (15, 13)), (1200, 1600))
    assert int(mask.sum()) == sum(counts[1::2])
    found = mask[888:903, 707:720]
    assert found.sum() == mask.sum()
    assert all((np.diff(row.astype(int)) != 0).sum() <= 2 for row in found)  # each row is one run


def test_polygons_boxes_ellipses_and_masks(tmp_path: Path) -> None:
    make_images(tmp_path, *(f"images/{name}.png" for name in "abcd"))
    mask = '<mask label="wall" rle="1, 1, 1, 3" left="8" top="4" width="2" height="3" z_order="0"></mask>'
    ellipse = '<ellipse label="disc" cx="5" cy="3" rx="2" ry="1" rotation="90" z_order="0"></ellipse>'
    box = '<box label="wall" xtl="0" ytl="0" xbr="10" ybr="6" z_order="{}"></box>'
    write(
        tmp_path,
        image("a.png", SQUARE.format(0), box.format(-1)),
        image("b.png", SQUARE.format(0), box.format(1)),
        image("c.png", mask, '<points label="wall" points="1,1;2,2"></points>'),
        image("d.png", ellipse),
    )
    data = open_dataset(tmp_path)
    assert (data.layout, masks_of(data).classes) == ("cvat", ("background", "wall", "disc"))
    assert pixels(data) == {
        "images/a.png": [0, 36, 24],
        "images/b.png": [0, 60, 0],  # a higher z_order lies on top
        "images/c.png": [58, 2, 0],  # its last row lies outside
        "images/d.png": [52, 0, 8],
    }
    assert np.flatnonzero(masks_of(data).read(3).any(0)).tolist() == [4, 5]
    assert masks_of(data).read(2)[4:, 8:].tolist() == [[0, 1], [0, 1]]
    assert data.notes == (
        "painted as rectangles: 2 objects with only a box, such as in images/a.png, images/b.png",
        "not painted: 1 object with only points, such as in images/c.png",
    )


def test_a_box_turned_by_a_right_angle(tmp_path: Path) -> None:
    make_images(tmp_path, "a.png")
    turned = '<box label="wall" xtl="3" ytl="2" xbr="7" ybr="4" rotation="90.0"></box>'
    write(tmp_path, image("a.png", turned, SQUARE.format(-1)))
    mask = masks_of(open_dataset(tmp_path)).read(0)
    assert np.flatnonzero((mask == 1).any(0)).tolist() == [4, 5]
    assert np.flatnonzero((mask == 1).any(1)).tolist() == [1, 2, 3, 4]


def test_tags_alone_are_labels(tmp_path: Path) -> None:
    make_images(tmp_path, "a.png", "b.png", "c.png")
    tag = '<tag label="{}" source="manual"></tag>'
    one = [image("a.png", tag.format("wall")), image("b.png", tag.format("disc"))]
    data = open_dataset(write(tmp_path, *one))
    assert labels_of(data).classes == ("wall", "disc")
    assert labels_of(data).values.tolist() == [0, 1]
    data = open_dataset(write(tmp_path, *one, image("c.png", tag.format("wall"), tag.format("disc"))))
    assert labels_of(data).values.tolist() == [[1, 0], [0, 1], [1, 1]]
    data = open_dataset(write(tmp_path, *one, image("c.png", SQUARE.format(0), tag.format("good"))))
    assert masks_of(data).classes == ("background", "disc")
    assert "not read: tags of 3 images, such as a.png, b.png, c.png" in data.notes


def test_images_without_a_tag_are_left_out_where_none_has_several(tmp_path: Path) -> None:
    make_images(tmp_path, "a.png", "b.png", "c.png")
    tag = '<tag label="{}" source="manual"></tag>'
    data = open_dataset(
        write(tmp_path, image("a.png", tag.format("wall")), image("b.png"), image("c.png", tag.format("disc")))
    )
    assert [data.images.name(index) for index in range(len(data))] == ["a.png", "c.png"]
    assert labels_of(data).values.tolist() == [0, 1]
    assert data.notes == ("left out: without a label 1 image, such as b.png",)
    two = image("c.png", tag.format("wall"), tag.format("disc"))
    data = open_dataset(write(tmp_path, image("a.png", tag.format("wall")), image("b.png"), two))
    assert labels_of(data).values.tolist() == [[1, 0], [0, 0], [1, 1]]
    assert data.notes == ("no label: 1 image, such as b.png",)


def test_the_file_alone_finds_its_images(tmp_path: Path) -> None:
    make_images(tmp_path, "images/a.png", "images/b.png")
    (tmp_path / "annotations").mkdir()
    write(tmp_path / "annotations", image("a.png", SQUARE.format(0)), name="one.xml")
    write(tmp_path / "annotations", image("a.png", SQUARE.format(1)), name="two.xml")
    assert pixels(open_dataset(tmp_path / "annotations" / "two.xml")) == {"images/a.png": [36, 0, 24]}
    with pytest.raises(
        DataError, match=r"annotations/one\.xml and annotations/two\.xml in .* annotate images/a\.png diff"
    ):
        open_dataset(tmp_path)
    (tmp_path / "images/a.png").unlink()
    with pytest.raises(DataError, match=r"holds none of the images that annotations/two\.xml names, such as a\.png"):
        open_dataset(tmp_path / "annotations" / "two.xml")


def test_splits_are_cvats_subsets(tmp_path: Path) -> None:
    make_images(tmp_path, "a.png", "b.png")
    subsets = (' subset="Train"', ' subset="Validation"')
    write(
        tmp_path, *(image(f"{name}.png", SQUARE.format(0), more=more) for name, more in zip("ab", subsets, strict=True))
    )
    assert {split: len(part) for split, part in open_dataset(tmp_path).given_splits.items()} == {
        "train": 1,
        "validation": 1,
    }


def test_what_hinders_reading_is_one_sentence(tmp_path: Path) -> None:
    make_images(tmp_path, "a.png")
    short = '<mask label="wall" rle="1, 2" left="8" top="4" width="2" height="3"></mask>'
    data = open_dataset(write(tmp_path, image("a.png", short)))
    with pytest.raises(ImageError, match=r"An object of a\.png cannot be drawn \(its runs of 3 pixels do not fill 3x2"):
        masks_of(data).read(0)
    for content, why in (
        (
            image("a.png", '<polygon label="disc" points="2.0"></polygon>', SQUARE),
            r"xml has an object of a\.png without label",
        ),
        (image("a.png", "<polygon/>"), r"annotations\.xml has an object of a\.png without label, or with odd numbers"),
        ('<track id="0" label="car"></track>', r"annotations\.xml annotates a video; export it as CVAT for images"),
        (
            image("a.png", SQUARE.format(0), SQUARE.format(0).replace("disc", "")),
            r"annotations\.xml has an object of a\.png without a label; give it one, or remove it",
        ),
        (image("z.png"), r"none of the images that annotations\.xml names, such as z\.png"),
        (image("a.png"), r"annotations\.xml in .* has no object in any image"),
        ("<image>", r"annotations\.xml cannot be read as XML"),
    ):
        with pytest.raises(DataError, match=why):
            open_dataset(write(tmp_path, content))
    write(tmp_path, image("a.png", SQUARE.format(0)))
    text = (tmp_path / "annotations.xml").read_text(encoding="utf-8")
    (tmp_path / "annotations.xml").write_text(text, encoding="utf-16")
    with pytest.raises(DataError, match=r"annotations\.xml cannot be read as XML \(encoding specified"):
        open_dataset(tmp_path)
    (tmp_path / "annotations.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><annotations><meta/></annotations>')
    with pytest.raises(DataError, match="declares a document type, which no annotation needs"):
        open_dataset(tmp_path)
