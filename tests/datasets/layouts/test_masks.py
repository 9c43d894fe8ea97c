"""Images with masks, as people keep them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convolve.datasets.layouts import open_dataset
from convolve.datasets.layouts.mask_values import VOC
from convolve.datasets.masks import MaskFiles, count_pixels
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError, ImageError
from convolve.values import IGNORE, Dataset, Pixels
from tests.datasets.ground_truths import masks_of

QUARTERS = np.array([[0, 1], [2, 3]], dtype=np.uint8).repeat(4, 0).repeat(6, 1)
"""(8, 12) four classes, none of them where it would be after a rotation or a flip."""


def put(path: Path, mask: Pixels, palette: Sequence[tuple[int, int, int]] = ()) -> None:
    """A mask's file: indexed with that palette, else gray or in color as the array is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(mask)
    if palette:
        image = Image.fromarray(mask, "P")
        image.putpalette([value for color in palette for value in color] + [0] * (768 - 3 * len(palette)))
    image.save(path)


def photograph(path: Path, shape: tuple[int, int] = (8, 12), seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*shape, 3), dtype=np.uint8)).save(path)


def side_by_side(root: Path, mask: Pixels, count: int = 3, masks: str = "masks") -> Path:
    for number in range(count):
        photograph(root / "images" / f"{number}.jpg", seed=number)
        put(root / masks / f"{number}.png", mask)
    return root


def names(dataset: Dataset) -> list[str]:
    return [dataset.images.name(index) for index in range(len(dataset))]


def read(dataset: Dataset, index: int) -> Pixels:
    return masks_of(dataset).read(index)


@pytest.mark.parametrize(
    "folder", ["masks", "labels", "Annotations", "GT", "ground truth", "SegmentationClass", "mask"]
)
def test_folders_side_by_side(folder: str, tmp_path: Path) -> None:
    data = open_dataset(side_by_side(tmp_path, QUARTERS, masks=folder))
    assert (data.layout, list(data.ground_truths)) == ("masks", ["masks"])
    assert names(data) == [f"images/{number}.jpg" for number in range(3)]
    assert np.array_equal(read(data, 1), QUARTERS)
    assert masks_of(data).presence().tolist() == [[1, 1, 1, 1]] * 3
    if folder != "SegmentationClass":  # whose names are Pascal VOC's, where the files are indexed
        assert masks_of(data).classes == ("class 0", "class 1", "class 2", "class 3")


@pytest.mark.parametrize(
    ("image", "mask"),
    [("{}.jpg", "{}_mask.png"), ("{}.jpg", "{}-label.png"), ("img {}.png", "img {}.mask.png"), ("{}.jpg", "{}_L.png")],
)
def test_one_folder_with_a_suffix(image: str, mask: str, tmp_path: Path) -> None:
    for number in (1, 2, 10):
        photograph(tmp_path / image.format(number))
        put(tmp_path / mask.format(number), QUARTERS)
    data = open_dataset(tmp_path)
    assert names(data) == [image.format(number) for number in (1, 2, 10)]
    assert np.array_equal(read(data, 2), QUARTERS)


def test_folders_of_splits_as_camvid_has_them(tmp_path: Path) -> None:
    for split, count in (("train", 3), ("val", 2), ("test", 1)):
        for number in range(count):
            photograph(tmp_path / split / f"{split}{number}.png")
            put(tmp_path / f"{split}annot" / f"{split}{number}.png", QUARTERS)
    data = open_dataset(tmp_path)
    assert {split: len(part) for split, part in data.given_splits.items()} == {"train": 3, "validation": 2, "test": 1}
    assert {names(data)[index] for index in data.given_splits["test"]} == {"test/test0.png"}


def test_splits_inside_of_images_and_masks(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for number in range(2):
            photograph(tmp_path / "images" / split / f"{number}.png")
            put(tmp_path / "masks" / split / f"{number}.png", QUARTERS if split == "val" else 0 * QUARTERS)
    data = open_dataset(tmp_path)
    assert sorted(data.given_splits) == ["train", "validation"]
    for index in range(4):  # the same name stands in both parts
        assert read(data, index).any() == (index in data.given_splits["validation"])


def test_the_tree_of_pascal_voc(tmp_path: Path) -> None:
    palette = [(0, 0, 0), (128, 0, 0), (0, 128, 0), *[(7, 7, 7)] * 252, (224, 224, 192)]
    mask = QUARTERS % 3
    mask[0] = 255  # the outline of objects is void
    for name in ("2007_01", "2007_02", "2007_03", "2007_04"):
        photograph(tmp_path / "JPEGImages" / f"{name}.jpg")
        put(tmp_path / "SegmentationClass" / f"{name}.png", mask, palette)
        put(tmp_path / "SegmentationObject" / f"{name}.png", 0 * mask + 9, palette)
    photograph(tmp_path / "JPEGImages" / "2007_99.jpg")
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_01\n2007_02\n")
    (lists / "val.txt").write_text("2007_03\n")
    (lists / "trainval.txt").write_text("2007_01\n2007_02\n2007_03\n")
    data = open_dataset(tmp_path)
    assert names(data) == [f"JPEGImages/2007_0{number}.jpg" for number in (1, 2, 3)]
    assert {split: part.tolist() for split, part in data.given_splits.items()} == {"train": [0, 1], "validation": [2]}
    assert masks_of(data).classes == VOC
    assert masks_of(data).presence()[0].tolist() == [True] * 3 + [False] * 18
    assert masks_of(data).colors[:3] == ((0, 0, 0), (128, 0, 0), (0, 128, 0))
    assert (read(data, 0)[0] == IGNORE).all()
    assert np.array_equal(read(data, 0)[1:], mask[1:])


def test_black_and_white_are_two_classes(tmp_path: Path) -> None:
    """The classic accident: 255 taken for a class index, or for a void."""
    data = open_dataset(side_by_side(tmp_path, (QUARTERS > 1).astype(np.uint8) * 255))
    assert masks_of(data).classes == ("background", "foreground")
    assert "0 and 255 are two classes" in data.reason
    assert np.array_equal(read(data, 0), QUARTERS > 1)


def test_one_bit_is_two_classes_too(tmp_path: Path) -> None:
    side_by_side(tmp_path, QUARTERS)
    for path in (tmp_path / "masks").iterdir():
        Image.fromarray(QUARTERS > 1).save(path)
    data = open_dataset(tmp_path)
    assert masks_of(data).classes == ("background", "foreground")
    assert np.array_equal(read(data, 0), QUARTERS > 1)


def test_numbers_with_255_have_a_void(tmp_path: Path) -> None:
    mask = QUARTERS.copy()
    mask[3:5] = 255
    data = open_dataset(side_by_side(tmp_path, mask))
    assert masks_of(data).classes == ("class 0", "class 1", "class 2", "class 3")
    assert "255 is ignored" in data.reason
    assert np.array_equal(read(data, 0) == IGNORE, mask == 255)


def test_numbers_with_gaps_keep_their_names(tmp_path: Path) -> None:
    data = open_dataset(side_by_side(tmp_path, np.array([7, 11, 26, 33], np.uint8)[QUARTERS]))
    assert masks_of(data).classes == ("class 7", "class 11", "class 26", "class 33")
    assert np.array_equal(read(data, 0), QUARTERS)


COLORS = np.array([[64, 128, 64], [192, 0, 128], [0, 128, 192], [0, 0, 0]], dtype=np.uint8)


@pytest.mark.parametrize(
    ("file", "line"), [("label_colors.txt", "{0} {1} {2}\t{name}"), ("class_dict.csv", "{name},{0},{1},{2}")]
)
def test_colors_with_a_list_of_classes(file: str, line: str, tmp_path: Path) -> None:
    side_by_side(tmp_path, COLORS[QUARTERS])
    titles = ("Animal", "Archway", "Bicyclist", "Void")
    head = ["name,r,g,b"] if file.endswith("csv") else []
    rows = [line.format(*color, name=title) for color, title in zip(COLORS.tolist(), titles, strict=True)]
    (tmp_path / file).write_text("\n".join(head + rows))
    data = open_dataset(tmp_path)
    assert masks_of(data).classes == titles[:3]
    assert masks_of(data).colors == tuple(map(tuple, COLORS[:3].tolist()))
    assert np.array_equal(read(data, 0), np.where(QUARTERS == 3, IGNORE, QUARTERS))


def test_colors_without_a_list_are_called_as_web_pages_call_them(tmp_path: Path) -> None:
    data = open_dataset(side_by_side(tmp_path, COLORS[QUARTERS]))
    assert set(masks_of(data).classes) == {"#408040", "#c00080", "#0080c0", "#000000"}
    indices = [masks_of(data).classes.index("#{:02x}{:02x}{:02x}".format(*color)) for color in COLORS.tolist()]
    assert np.array_equal(read(data, 0), np.array(indices)[QUARTERS])


def test_a_list_names_class_indices(tmp_path: Path) -> None:
    side_by_side(tmp_path, QUARTERS)
    (tmp_path / "classes.txt").write_text("sky\nroad\nunlabelled\ntree house\nnever seen\n", encoding="utf-8")
    data = open_dataset(tmp_path)
    assert masks_of(data).classes == ("sky", "road", "tree house", "never seen")
    assert np.array_equal(read(data, 0), np.array([0, 1, IGNORE, 2])[QUARTERS])
    (tmp_path / "classes.txt").write_text("sky\nroad\n")
    with pytest.raises(DataError, match=r"holds 3, but classes\.txt lists 2 classes"):
        open_dataset(tmp_path)


def test_colors_that_the_list_lacks_are_named(tmp_path: Path) -> None:
    side_by_side(tmp_path, COLORS[QUARTERS])
    (tmp_path / "label_colors.txt").write_text("64 128 64 Animal\n192 0 128 Archway\n")
    with pytest.raises(DataError, match=r"holds the color \(0, .*, which the list of classes lacks"):
        open_dataset(tmp_path)


def test_masks_saved_as_jpeg_are_refused(tmp_path: Path) -> None:
    for number in range(3):
        photograph(tmp_path / "images" / f"{number}.jpg", (64, 64))
        photograph(tmp_path / "masks" / f"{number}.jpg", (64, 64), seed=number + 9)
    with pytest.raises(
        DataError, match=r"None of the 3 masks can be read.*0\.jpg is a mask saved as JPEG.*export it as PNG"
    ):
        open_dataset(tmp_path)


def test_masks_that_are_ignored_everywhere_are_refused(tmp_path: Path) -> None:
    side_by_side(tmp_path, np.full((8, 12), 255, dtype=np.uint8))
    with pytest.raises(DataError, match=r"hold only ignored values; they show no class\."):
        _ = open_dataset(tmp_path).ground_truths["masks"].classes


def test_images_without_a_mask_are_left_out_and_named(tmp_path: Path) -> None:
    side_by_side(tmp_path, QUARTERS, 6)
    (tmp_path / "masks" / "2.png").unlink()
    put(tmp_path / "masks" / "lonely.png", QUARTERS)
    data = open_dataset(tmp_path)
    assert len(data) == 5
    assert "left out: 1 without a mask, such as images/2.jpg" in data.notes
    assert "images/2.jpg" not in names(data)


def test_pairs_of_different_shapes_are_left_out_and_named(tmp_path: Path) -> None:
    side_by_side(tmp_path, QUARTERS, 4)
    put(tmp_path / "masks" / "3.png", QUARTERS.T.copy())
    put(tmp_path / "masks" / "1.png", QUARTERS[::2, ::2].copy())  # smaller, but of the same shape
    data = open_dataset(tmp_path)
    assert names(data) == ["images/0.jpg", "images/1.jpg", "images/2.jpg"]
    assert "left out: 1 with a mask of another shape, such as images/3.jpg" in data.notes
    assert read(data, 1).shape == (4, 6)
    for number in range(3):
        put(tmp_path / "masks" / f"{number}.png", QUARTERS.T.copy())
    with pytest.raises(DataError, match=r"no mask has its image's shape, such as images/0\.jpg; export them again"):
        open_dataset(tmp_path)


def test_a_broken_mask_leaves_its_image_out(tmp_path: Path) -> None:
    side_by_side(tmp_path, QUARTERS, 4)
    path = tmp_path / "masks" / "2.png"
    path.write_bytes(path.read_bytes()[:40])
    data = open_dataset(tmp_path)
    with pytest.raises(ImageError, match=r"masks/2\.png"):
        read(data, 2)
    for path in (tmp_path / "masks").iterdir():
        path.write_text("not an image")
    with pytest.raises(DataError, match="can be read"):
        open_dataset(tmp_path)


def test_folders_of_classes_stay_what_they_are(tmp_path: Path) -> None:
    for name in ("with_mask", "without_mask", "cat"):
        for number in range(4):
            photograph(tmp_path / name / f"{number}.jpg")
    data = open_dataset(tmp_path)
    assert (data.layout, list(data.ground_truths)) == ("folders", ["labels"])


def test_empty_folders_are_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(DataError):
        open_dataset(tmp_path)


def test_what_lies_beside_pascals_lists_is_named(tmp_path: Path) -> None:
    for number in range(5):
        photograph(tmp_path / "JPEGImages" / f"{number}.jpg", seed=number)
        put(tmp_path / "SegmentationClass" / f"{number}.png", QUARTERS, [(0, 0, 0)] * 21)
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("0\n1\n")
    (lists / "val.txt").write_text("2\n77\n")
    (tmp_path / "SegmentationClass" / "4.png").write_bytes(b"not an image")
    data = open_dataset(tmp_path)
    assert names(data) == [f"JPEGImages/{number}.jpg" for number in range(3)]
    assert "left out: 1 listed but absent, such as 77" in data.notes
    assert "left out: 2 that no list names, such as JPEGImages/3.jpg, JPEGImages/4.jpg" in data.notes
    assert "left out: 1 of these with an unreadable mask, such as SegmentationClass/4.png" in data.notes


@pytest.mark.parametrize("mode", ["gray", "color", "black and white", "named"])
def test_pixels_are_counted_while_masks_are_interpreted(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Masks are decoded once before training, and the counts are those of what is read later."""
    mask = QUARTERS.copy()
    mask[3:5, :5] = 3
    stored = {"color": COLORS[mask], "black and white": np.where(mask > 1, 255, 0).astype(np.uint8)}
    side_by_side(tmp_path, stored.get(mode, mask))
    put(tmp_path / "masks" / "1.png", stored.get(mode, mask)[::-1].copy())
    (tmp_path / "masks" / "2.png").write_bytes(b"not an image")
    if mode == "named":
        (tmp_path / "classes.txt").write_text("sky\nvoid\nroad\ncar\nnever seen\n")
    data = open_dataset(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(MaskFiles, "read", lambda *_: pytest.fail("a mask is read again"))
        counts, failed = masks_of(data).pixel_counts(), masks_of(data).findings.failed
    classes = len(masks_of(data).classes)
    assert counts[:2].tolist() == [count_pixels(read(data, index), classes).tolist() for index in range(2)]
    assert counts[:2].sum() == 2 * np.count_nonzero(read(data, 0) != IGNORE) > 0
    assert not counts[2].any()
    with pytest.raises(ImageError) as caught:
        read(data, 2)
    assert failed == {2: str(caught.value)}


def several(root: Path, *values: int | Pixels) -> Path:
    """Three images whose masks have these values, or colors, in the places of `QUARTERS`."""
    return side_by_side(root, np.array(values, dtype=np.uint8)[QUARTERS])


def fractions(dataset: Dataset) -> dict[str, float]:
    """What fraction of the pixels each class has."""
    counts = masks_of(dataset).pixel_counts().sum(0)
    return dict(zip(masks_of(dataset).classes, (counts / counts.sum()).tolist(), strict=True))


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("ISIC_Task1-2_Training_Input/ISIC_{}.jpg", "ISIC_Task1_Training_GroundTruth/ISIC_{}_segmentation.png"),
        ("x/{}.jpg", "y/{}.png"),
        ("images/{}_training.png", "1st_manual/{}_manual1.png"),
        ("images/image_{}.jpg", "masks/mask_{}.png"),
        ("case{}/image.png", "case{}/mask.png"),
        ("{}.jpg", "{}.png"),
        ("leftImg8bit/train/aachen_{}_leftImg8bit.png", "gtFine/train/aachen_{}_gtFine_labelIds.png"),
    ],
)
def test_folders_pair_by_the_names_in_them(image: str, mask: str, tmp_path: Path) -> None:
    for number in range(21, 27):
        photograph(tmp_path / image.format(number), seed=number)
        put(tmp_path / mask.format(number), QUARTERS if number % 2 else QUARTERS[::-1].copy())
    data = open_dataset(tmp_path)
    assert (data.layout, names(data)) == ("masks", [image.format(number) for number in range(21, 27)])
    for index in range(6):
        assert np.array_equal(read(data, index), QUARTERS[::-1] if index % 2 else QUARTERS)


def test_folders_called_by_no_splits_word_pair_with_the_nearest(tmp_path: Path) -> None:
    for split, mask in (("train", QUARTERS), ("val", QUARTERS[::-1].copy())):
        for number in range(4):
            photograph(tmp_path / f"{split}_x" / f"{number}.jpg", seed=number)
            put(tmp_path / f"{split}_y" / f"{number}.png", mask)
    data = open_dataset(tmp_path)
    assert {split: len(part) for split, part in data.given_splits.items()} == {"train": 4, "validation": 4}
    for index in data.given_splits["validation"]:
        assert np.array_equal(read(data, int(index)), QUARTERS[::-1])


def test_classes_of_numbered_images_are_no_masks(tmp_path: Path) -> None:
    for name in ("cat", "dog", "with_mask"):
        for number in range(4):
            photograph(tmp_path / name / f"{number}.png", seed=number)
    assert open_dataset(tmp_path).layout == "folders"


def test_ground_truth_is_no_class(tmp_path: Path) -> None:
    for number in range(4):
        photograph(tmp_path / "A_Input" / f"{number}.jpg")
        photograph(tmp_path / "A_GroundTruth" / f"{number}.jpg")
    with pytest.raises(DataError, match="is a mask saved as JPEG"):
        open_dataset(tmp_path)


def put_objects(root: Path, values: Sequence[int]) -> Path:
    """As in the Data Science Bowl of 2018: a folder for each image, with a mask for each object."""
    for image in range(3):
        photograph(root / "stage1_train" / f"a{image}" / "images" / f"a{image}.png", seed=image)
        for number in range(2):
            mask = np.where(number == QUARTERS, values[number], 0).astype(np.uint8)
            put(root / "stage1_train" / f"a{image}" / "masks" / f"{number}f.png", mask)
    return root


def test_masks_of_single_objects_are_joined(tmp_path: Path) -> None:
    data = open_dataset(put_objects(tmp_path, (255, 255)))
    assert (len(data), masks_of(data).classes) == (3, ("background", "object"))
    assert np.array_equal(read(data, 1), QUARTERS < 2)
    assert masks_of(data).pixel_counts().tolist() == [[48, 48]] * 3
    assert len({masks_of(data).digest(index) for index in range(3)}) == 1
    assert len(data.annotations) == 6
    put(tmp_path / "stage1_train" / "a1" / "masks" / "1f.png", QUARTERS * 0)
    assert masks_of(data).digest(1) != masks_of(data).digest(0)


def test_masks_of_single_objects_with_other_values_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a0/images/a0\.png in .* has 2 masks, such as .*0f\.png; they are joined"):
        open_dataset(put_objects(tmp_path, (1, 2)))


def test_of_two_images_of_one_name_the_commoner_suffix_is_taken(tmp_path: Path) -> None:
    side_by_side(tmp_path, QUARTERS)
    photograph(tmp_path / "images" / "1.bmp")
    data = open_dataset(tmp_path)
    assert names(data) == [f"images/{number}.jpg" for number in range(3)]
    assert "left out: 1 called as another, such as images/1.bmp (images/1.jpg was taken)" in data.notes


def test_two_kinds_of_masks_are_refused(tmp_path: Path) -> None:
    side_by_side(side_by_side(tmp_path, QUARTERS), QUARTERS, masks="labels")
    with pytest.raises(
        DataError, match=r"two kinds of masks, such as labels/0\.png and masks/0\.png; leave one kind out, or paint"
    ):
        open_dataset(tmp_path)


def test_palettes_that_differ_are_colors(tmp_path: Path) -> None:
    side_by_side(tmp_path, QUARTERS)
    for number, color in enumerate([(255, 0, 0), (0, 255, 0), (255, 0, 0)]):
        put(tmp_path / "masks" / f"{number}.png", (QUARTERS > 2).astype(np.uint8), [(0, 0, 0), color])
    data = open_dataset(tmp_path)
    assert fractions(data) == {"#000000": 0.75, "#00ff00": pytest.approx(1 / 12), "#ff0000": pytest.approx(1 / 6)}
    assert "the files' palettes differ" in data.reason
    assert [read(data, index).max() for index in range(3)] == [2, 1, 2]


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "gif"])
def test_a_color_is_one_class_whatever_its_index(suffix: str, tmp_path: Path) -> None:
    """Of red, which is the second color of two files and the third one of another."""
    red, green = (255, 0, 0), (0, 255, 0)
    for number, palette in enumerate([[(0, 0, 0), red], [(0, 0, 0), green, red], [(0, 0, 0), red]]):
        photograph(tmp_path / "images" / f"{number}.jpg")
        mask = np.where(QUARTERS > 2, palette.index(red), 0).astype(np.uint8)
        put(tmp_path / "masks" / f"{number}.{suffix}", mask, palette)
    data = open_dataset(tmp_path)
    assert len(masks_of(data).classes) == 2
    assert all(np.array_equal(read(data, index), QUARTERS > 2) for index in range(3))


def test_indices_beyond_a_palette_stay_classes(tmp_path: Path) -> None:
    """All of them are black, as is the first one."""
    side_by_side(tmp_path, QUARTERS)
    for number, top in enumerate((1, 5, 5)):
        mask = np.where(QUARTERS > 2, top, 0).astype(np.uint8)
        put(tmp_path / "masks" / f"{number}.png", mask, [(0, 0, 0), (255, 0, 0)])
    data = open_dataset(tmp_path)
    assert masks_of(data).classes == ("class 0", "class 1", "class 5")


@pytest.mark.parametrize("suffix", ["gif", "bmp", "png", "tif"])
@pytest.mark.parametrize(
    ("grays", "names", "expected"),
    [
        ([(0, 1, 2), (0, 2), (1, 2)], "class 0, class 1, class 2", [(0, 1, 2), (0, 2), (1, 2)]),
        ([(0, 1), (0, 255), (0, 1, 255)], "class 0, class 1", [(0, 1), (0, 255), (0, 1, 255)]),
        ([(0, 1, 255)] * 3, "class 0, class 1", [(0, 1, 255)] * 3),
        ([(0, 128, 255), (0, 255), (128, 255)], "class 0, class 128, class 255", [(0, 1, 2), (0, 2), (1, 2)]),
        ([(0, 255)] * 3, "background, foreground", [(0, 1)] * 3),
    ],
)
def test_grays_are_the_same_classes_in_every_format(
    grays: list[tuple[int, ...]], names: str, expected: list[tuple[int, ...]], suffix: str, tmp_path: Path
) -> None:
    """What writes GIF numbers the grays that a file has anew."""
    for number, values in enumerate(grays):
        photograph(tmp_path / "images" / f"{number}.jpg")
        put(tmp_path / "masks" / f"{number}.{suffix}", np.array(values, np.uint8)[QUARTERS % len(values)])
    data = open_dataset(tmp_path)
    assert ", ".join(masks_of(data).classes) == names
    for index, values in enumerate(expected):
        assert np.array_equal(read(data, index), np.array(values)[QUARTERS % len(values)])


@pytest.mark.parametrize("suffix", ["gif", "bmp", "png", "tif"])
@pytest.mark.parametrize("names", ["", "background\nobject\n"])
@pytest.mark.parametrize("other", [(0, 1), (1, 0, 2), (1, 2)])
def test_white_is_no_void_where_no_mask_holds_it_with_classes(
    other: tuple[int, ...], names: str, suffix: str, tmp_path: Path
) -> None:
    """Two exports of the same objects, or void: nothing tells which, except for a list."""
    if 2 in other and names:
        names += "tree\n"
    for number, values in enumerate([(0, 255), other, (0, 255), other]):
        photograph(tmp_path / "images" / f"{number}.jpg")
        put(tmp_path / "masks" / f"{number}.{suffix}", np.array(values, np.uint8)[QUARTERS % len(values)])
    if names:
        (tmp_path / "classes.txt").write_text(names)
    with pytest.raises(DataError, match=r"masks/0.* holds 0 and 255, but .*masks/1.* holds 1 and no 255; use one"):
        open_dataset(tmp_path)
    (tmp_path / "classes.txt").write_text("0 background\n1 object\n2 tree\n255 void\n")
    data = open_dataset(tmp_path)
    assert masks_of(data).classes == ("background", "object", "tree")
    assert np.array_equal(read(data, 0), np.array([0, IGNORE])[QUARTERS % 2])
    assert np.array_equal(read(data, 1), np.array(other)[QUARTERS % len(other)])


@pytest.mark.parametrize("suffix", ["gif", "bmp", "png", "tif"])
def test_palettes_of_grays_that_differ_are_grays(suffix: str, tmp_path: Path) -> None:
    grays = [(0, 1, 255), (0, 1), (0, 255)]
    for number, values in enumerate(grays):
        photograph(tmp_path / "images" / f"{number}.jpg")
        path = tmp_path / "masks" / f"{number}.{suffix}"
        path.parent.mkdir(exist_ok=True)
        image = Image.fromarray((QUARTERS % len(values)).astype(np.uint8), "P")
        image.putpalette([channel for value in values for channel in (value,) * 3])
        image.save(path)
    data = open_dataset(tmp_path)
    assert masks_of(data).classes == ("class 0", "class 1")
    for index, values in enumerate(grays):
        assert np.array_equal(read(data, index), np.array(values)[QUARTERS % len(values)])


def test_grays_of_gif_heed_the_numbers_of_a_list(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("ground\ndisc\nrectangle\n")
    for number in range(2):
        photograph(tmp_path / "images" / f"{number}.jpg")
        put(tmp_path / "masks" / f"{number}.gif", np.where(QUARTERS > 2, 2, 0).astype(np.uint8))
    assert fractions(open_dataset(tmp_path)) == {"ground": 0.75, "disc": 0, "rectangle": 0.25}
    for number in range(2):  # grays that are no numbers of the list only show its indices
        put(tmp_path / "masks" / f"{number}.gif", QUARTERS % 3, [(0, 0, 0), (127, 127, 127), (255, 255, 255)])
    assert fractions(open_dataset(tmp_path)) == {"ground": 0.5, "disc": 0.25, "rectangle": 0.25}


def test_a_palette_of_grays_among_gray_masks_is_a_guess(tmp_path: Path) -> None:
    """The index 1 may be a class, or the gray 2 that it has."""
    side_by_side(tmp_path, (QUARTERS > 2).astype(np.uint8))
    put(tmp_path / "masks" / "1.png", (QUARTERS > 2).astype(np.uint8), [(0, 0, 0), (2, 2, 2)])
    with pytest.raises(DataError, match="indices of a palette and others gray, such as 1; export all alike"):
        open_dataset(tmp_path)


def test_gray_masks_among_indexed_ones(tmp_path: Path) -> None:
    """Gray 255 is white; where the palette has no white, what it means is not known."""
    mask = (QUARTERS > 2).astype(np.uint8)
    side_by_side(tmp_path, mask * 255)
    put(tmp_path / "masks" / "1.png", mask, [(0, 0, 0), (255, 255, 255)])
    assert fractions(open_dataset(tmp_path)) == {"#000000": 0.75, "#ffffff": 0.25}
    put(tmp_path / "masks" / "1.png", mask, [(0, 0, 0), (255, 0, 0)])
    with pytest.raises(DataError, match="indices of a palette and others gray, such as 255"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("values", [(0, 85, 170, 255), (0, 127, 255, 255), (0, 128, 255, 0)])
def test_255_is_a_class_among_evenly_spaced_values(values: tuple[int, ...], tmp_path: Path) -> None:
    data = open_dataset(several(tmp_path, *values))
    assert masks_of(data).classes == tuple(f"class {value}" for value in sorted(set(values)))
    assert not (read(data, 0) == IGNORE).any()


def test_255_among_few_large_values_is_a_guess(tmp_path: Path) -> None:
    several(tmp_path, 0, 100, 200, 255)
    with pytest.raises(DataError, match=r"hold 0, 100, 200 and 255, which may be a class or mean void; list"):
        open_dataset(tmp_path)
    (tmp_path / "classes.txt").write_text("0 sky\n100 road\n200 car\n255 tree\n")
    assert fractions(open_dataset(tmp_path)) == dict.fromkeys(("sky", "road", "car", "tree"), 0.25)


def test_gray_colors_are_gray_levels(tmp_path: Path) -> None:
    side_by_side(tmp_path, QUARTERS)
    put(tmp_path / "masks" / "1.png", QUARTERS[..., None].repeat(3, -1))
    (tmp_path / "classes.txt").write_text("sky\nroad\ncar\ntree\n")
    data = open_dataset(tmp_path)
    assert fractions(data) == dict.fromkeys(("sky", "road", "car", "tree"), 0.25)
    assert np.array_equal(read(data, 1), QUARTERS)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [((0,) * 4, "hold only one value, 0;"), ((1, 1, 1, 255), "hold only one value, 1 beside 255, which is ignored;")],
)
def test_a_single_value_tells_nothing_apart(values: tuple[int, ...], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=sentence):
        open_dataset(several(tmp_path, *values))


def test_what_is_transparent_is_background(tmp_path: Path) -> None:
    """The color below does not matter: the image of a single red object, saved with its shape as transparency."""
    red = np.array([255, 0, 0, 0], np.uint8)
    side_by_side(tmp_path, np.where(QUARTERS[..., None] > 2, red + np.array([0, 0, 0, 255], np.uint8), red))
    data = open_dataset(tmp_path)
    assert fractions(data) == {"background": 0.75, "#ff0000": 0.25}
    put(tmp_path / "masks" / "1.png", np.zeros((8, 12, 3), np.uint8))
    with pytest.raises(DataError, match="transparent in some places and black in others"):
        open_dataset(tmp_path)


def test_soft_transparency_is_refused(tmp_path: Path) -> None:
    several(tmp_path, *(np.array([9, 9, 9, alpha]) for alpha in (0, 100, 200, 255)))
    with pytest.raises(DataError, match="half-transparent edges; save it without smoothing"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("colors", [(0, 255, 255, 0), ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 0, 0))])
def test_smoothed_masks_are_refused(colors: tuple[int | Pixels, ...], tmp_path: Path) -> None:
    several(tmp_path, *colors)
    for path in (tmp_path / "masks").iterdir():
        image = Image.open(path)
        image.resize((24, 16), Image.Resampling.BILINEAR).save(path)
    with pytest.raises(DataError, match=r"are smoothed, such as \d\.png: the (value|color) .* lies between two others"):
        open_dataset(tmp_path)


def test_a_thin_class_between_two_others_is_a_class(tmp_path: Path) -> None:
    mask = np.array([[0] * 5 + [1] + [2] * 6] * 8, np.uint8)
    assert len(fractions(open_dataset(side_by_side(tmp_path, mask)))) == 3


@pytest.mark.parametrize(("order", "top"), [(">", 1), ("<", 300)])
def test_16_bits_are_class_indices(order: str, top: int, tmp_path: Path) -> None:
    side_by_side(tmp_path, QUARTERS)
    for path in list((tmp_path / "masks").iterdir()):
        path.unlink()
        stored = np.where(QUARTERS > 2, top, 0).astype(f"{order}u2")
        mode = "I;16B" if order == ">" else "I;16"
        Image.frombytes(mode, (12, 8), stored.tobytes()).save(path.with_suffix(".tif"))
    assert fractions(open_dataset(tmp_path)) == {"class 0": 0.75, f"class {top}": 0.25}


def test_a_mask_that_lies_on_its_side_is_turned_upright(tmp_path: Path) -> None:
    side_by_side(tmp_path, QUARTERS)
    exif = Image.Exif()
    exif[0x112] = 6
    for path in list((tmp_path / "masks").iterdir()):
        turned = Image.open(path).transpose(Image.Transpose.ROTATE_90)
        path.unlink()
        turned.save(path.with_suffix(".tif" if path.stem == "1" else ".png"), exif=exif)
    data = open_dataset(tmp_path)
    assert len(data) == 3
    for index in range(3):
        assert np.array_equal(read(data, index), QUARTERS)


@pytest.mark.parametrize(
    "form", ["my photo {}", "/data/JPEGImages/my photo {}.jpg", "my photo {}.jpg", "my photo {} 1"]
)
def test_a_line_of_pascals_lists_is_a_name(form: str, tmp_path: Path) -> None:
    for number in range(4):
        photograph(tmp_path / "JPEGImages" / f"my photo {number}.jpg", seed=number)
        put(tmp_path / "SegmentationClass" / f"my photo {number}.png", QUARTERS)
    lists = tmp_path / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("\n".join(form.format(number) for number in range(3)))
    (lists / "val.txt").write_text(form.format(3))
    data = open_dataset(tmp_path)
    assert {split: part.tolist() for split, part in data.given_splits.items()} == {
        "train": [0, 1, 2],
        "validation": [3],
    }
    (lists / "train.txt").write_text("elsewhere\n")
    (lists / "val.txt").unlink()
    with pytest.raises(DataError, match=r"train\.txt names no image that has a mask, such as 'elsewhere'; correct"):
        open_dataset(tmp_path)


def test_lists_name_colors_and_each_split_may_have_one(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        for number in range(3):
            photograph(tmp_path / split / f"{number}.jpg", seed=number)
            put(tmp_path / split / f"{number}_mask.png", QUARTERS)
        (tmp_path / split / "_classes.csv").write_text("Pixel Value, Class\n3, car\n0, sky\n1, road\n2, tree\n")
    data = open_dataset(tmp_path)
    assert fractions(data) == dict.fromkeys(("car", "sky", "road", "tree"), 0.25)
    assert np.array_equal(read(data, 0), np.array([1, 2, 3, 0])[QUARTERS])
    (tmp_path / "valid" / "_classes.csv").write_text("Pixel Value, Class\n3, van\n0, sky\n1, road\n2, tree\n")
    with pytest.raises(DataError, match=r"_classes\.csv and .*_classes\.csv list different classes"):
        open_dataset(tmp_path)


def numbered(root: Path, image: str, mask: str, count: int = 6, masks: int = 6) -> Path:
    """Images, and masks for the first of them, under names with a number each."""
    for number in range(count):
        photograph(root / image.format(number), seed=number)
        if number < masks:
            put(root / mask.format(number), QUARTERS if number % 2 else QUARTERS[::-1].copy())
    return root


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("raw/t{:03}.tif", "gt/man_seg{:03}.tif"),
        ("raw/t{:03}.tif", "SEG/man_seg{:03}.tif"),
        ("01/t{:03}.tif", "01_GT/SEG/man_seg{:03}.tif"),
        ("raw/t{:03}.tif", "TRA/man_track{:03}.tif"),
        ("images/t{:03}.jpg", "labels/man_seg{}.png"),
        ("x/img{}.png", "y/lab{}.png"),
        ("input/a{}x.png", "target/b{}y.png"),
        ("case{}/raw/t.png", "case{}/lab/m.png"),
        ("t{}.png", "man_{}.png"),
        ("raw2/t{}.png", "y/m{}_3.png"),
    ],
)
def test_masks_pair_by_their_numbers(image: str, mask: str, tmp_path: Path) -> None:
    data = open_dataset(numbered(tmp_path, image, mask))
    assert (data.layout, names(data)) == ("masks", [image.format(number) for number in range(6)])
    assert [np.array_equal(read(data, index), QUARTERS) for index in range(6)] == [False, True] * 3
    first = f"{image.format(0)} with {mask.format(0)}"
    assert f"paired by the numbers in their names, such as {first}" in data.notes[0]
    assert "masks of the same numbers" in data.reason


@pytest.mark.parametrize(
    ("image", "mask", "alike"),
    [
        ("raw/r{}.png", "gt/g{}.png", "numbers"),
        ("images/{}.png", "masks/{}.png", "names"),
        ("{}.jpg", "{}_mask.png", "names"),
    ],
)
@pytest.mark.parametrize("form", ["{},{}", '"{}";"{}"', "/data/{}\t/data/{}"])
def test_a_table_that_pairs_otherwise_is_not_passed_over(
    image: str, mask: str, alike: str, form: str, tmp_path: Path
) -> None:
    numbered(tmp_path, image, mask)
    lines = [form.format(image.format(number), mask.format(number)) for number in range(6)]
    (tmp_path / "pairs.csv").write_text("\n".join([form.format("image", "mask"), *lines]))
    assert names(open_dataset(tmp_path)) == [image.format(number) for number in range(6)]
    lines[1] = form.format(image.format(1), mask.format(5))
    (tmp_path / "pairs.csv").write_text("\n".join([form.format("image", "mask"), *lines]))
    said = (
        rf"pairs {image.format(1)} with {mask.format(5)}, but the {alike} of the files pair it with {mask.format(1)};"
    )
    with pytest.raises(DataError, match=rf"pairs\.csv {said} call each mask as its image, or remove the table"):
        open_dataset(tmp_path)


def test_numbers_pair_within_sequences_and_splits(tmp_path: Path) -> None:
    for split in ("train", "val"):
        numbered(tmp_path / split, "raw/t{}.png", "lab/m{}.png", count=4, masks=4)
    data = open_dataset(tmp_path)
    assert {split: len(part) for split, part in data.given_splits.items()} == {"train": 4, "validation": 4}
    assert [name.replace("raw/t", "lab/m") for name in names(data)] == list(data.annotations)


def test_numbers_of_objects_are_masks_and_dark_pictures_are_none(tmp_path: Path) -> None:
    """What differs from the background lies in areas in masks alone, however many values there are."""
    objects = np.kron(np.arange(81).reshape(9, 9), np.ones((6, 6))).astype(np.uint16)
    for number in range(4):
        dark = np.where(objects % 2 > 0, np.random.default_rng(number).integers(0, 4000, objects.shape), 0)
        (tmp_path / "raw").mkdir(exist_ok=True)
        Image.fromarray(dark.astype(np.uint16)).save(tmp_path / "raw" / f"t{number}.tif")
        (tmp_path / "gt").mkdir(exist_ok=True)
        Image.fromarray(objects).save(tmp_path / "gt" / f"man_seg{number}.tif")
    data = open_dataset(tmp_path)
    assert (data.layout, len(data), len(masks_of(data).classes)) == ("masks", 4, 81)


def test_masks_of_few_images_are_no_class(tmp_path: Path) -> None:
    numbered(tmp_path, "01/t{:03}.tif", "01_GT/SEG/man_seg{:03}.tif", count=9, masks=2)
    with pytest.raises(DataError, match=r"as masks \(2 images with .* --layout folders or --layout masks"):
        open_dataset(tmp_path)
    data = open_dataset(tmp_path, ReadingOptions(layout="masks"))
    assert (names(data), len(data.left_out)) == (["01/t000.tif", "01/t001.tif"], 7)
    assert len(open_dataset(tmp_path, ReadingOptions(layout="folders"))) == 11


@pytest.mark.parametrize("count", [6, 5])
@pytest.mark.parametrize("mask", ["lab/{}.png", "gt/{}.png"])
def test_masks_that_no_name_pairs_are_no_class(mask: str, count: int, tmp_path: Path) -> None:
    for number, letter in enumerate("kqxwvz"):
        photograph(tmp_path / "raw" / f"{letter}a.png", seed=number)
        if number < count:
            put(tmp_path / mask.format("bcdfgh"[number]), QUARTERS)
    with pytest.raises(DataError, match=r"two classes, raw and (lab|gt), or as images in raw and masks in (lab|gt)"):
        open_dataset(tmp_path)
    assert open_dataset(tmp_path, ReadingOptions(layout="folders")).layout == "folders"


def test_two_kinds_of_numbered_files_are_refused(tmp_path: Path) -> None:
    numbered(tmp_path, "01/t{:03}.tif", "01_GT/SEG/man_seg{:03}.tif")
    numbered(tmp_path, "01/t{:03}.tif", "01_GT/TRA/man_track{:03}.tif")
    with pytest.raises(DataError, match=r"two kinds of masks, such as 01_GT/SEG/.* and 01_GT/TRA/.*; leave one"):
        open_dataset(tmp_path)


def test_masks_of_two_kinds_of_images_are_refused(tmp_path: Path) -> None:
    numbered(tmp_path, "raw/t{}.png", "lab/m{}.png")
    numbered(tmp_path, "painted/p{}.png", "lab/m{}.png")
    with pytest.raises(DataError, match=r"lab/m0\.png, that may be of (painted/p0|raw/t0)\.png or of .*--layout fol"):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("photos/photo{}.jpg", "logos/logo{}.png"),
        ("xray/x{}.png", "drawing/d{}.png"),
        ("noise/n{}.png", "digit/d{}.png"),
        ("photos/{}.jpg", "logos/{}.png"),  # the same names say no more
        ("train/cat/c{}.jpg", "train/logo/l{}.png"),
        ("images/cat/c{}.jpg", "images/logo/l{}.png"),  # a folder around both does not tell them apart
    ],
)
def test_folders_called_as_anything_are_classes_as_well(image: str, mask: str, tmp_path: Path) -> None:
    numbered(tmp_path, image, mask)
    with pytest.raises(DataError, match=r"a class for each folder, or .*; choose --layout folders or --layout masks"):
        open_dataset(tmp_path)
    assert len(open_dataset(tmp_path, ReadingOptions(layout="folders"))) == 12
    data = open_dataset(tmp_path, ReadingOptions(layout="masks"))
    assert [Path(data.annotations[index]).name for index in range(6)] == [
        Path(mask.format(number)).name for number in range(6)
    ]


@pytest.mark.parametrize(("image", "mask"), [("photo/p{}.jpg", "qr/q{}.png"), ("photo/{}.jpg", "qr/{}.png")])
def test_folders_of_other_sizes_are_classes(image: str, mask: str, tmp_path: Path) -> None:
    for number in range(6):
        photograph(tmp_path / image.format(number), (30, 40), seed=number)
        put(tmp_path / mask.format(number), QUARTERS)
    data = open_dataset(tmp_path)
    assert (data.layout, len(data)) == ("folders", 12)


def test_drawings_next_to_two_classes_are_asked_about(tmp_path: Path) -> None:
    numbered(tmp_path, "cat/cat{}.jpg", "logo/logo{}.png")
    numbered(tmp_path, "dog/dog{}.jpg", "logo/logo{}.png")
    with pytest.raises(DataError, match=r"or choose --layout folders where the folders are classes"):
        open_dataset(tmp_path)
    assert len(open_dataset(tmp_path, ReadingOptions(layout="folders"))) == 18


@pytest.mark.parametrize("drawn", [False, True])
def test_classes_numbered_apart_stay_classes(drawn: bool, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for number in range(4):
            path = tmp_path / name / f"{name}{number}.png"
            if drawn:
                put(path, QUARTERS)
            else:
                photograph(path, seed=number)
    assert open_dataset(tmp_path).layout == "folders"


def test_classes_with_masks_next_to_their_images(tmp_path: Path) -> None:
    for name in ("benign", "malignant"):
        numbered(tmp_path, f"{name}/{name} ({{}}).png", f"{name}/{name} ({{}})_mask.png")
        put(tmp_path / name / f"{name} (0)_mask_1.png", QUARTERS)
    for path in tmp_path.glob("*/*_mask*"):
        put(path, (QUARTERS > 1).astype(np.uint8) * 255)
    data = open_dataset(tmp_path)
    assert (data.layout, len(data)) == ("masks", 12)
    assert (
        "benign/ and malignant/ are not taken for classes; --layout folders reads these, without the masks"
        in data.notes
    )
    data = open_dataset(tmp_path, ReadingOptions(layout="folders"))
    assert (data.layout, len(data)) == ("folders", 12)
    assert not any("mask" in name for name in names(data))
    assert "14 of 26 images left out, such as benign/benign (0)_mask.png" in data.notes[0]


def test_photographs_called_as_masks_stay_images_of_classes(tmp_path: Path) -> None:
    """The left eye, for example."""
    for name in ("cat", "dog"):
        for number in range(4):
            photograph(tmp_path / name / f"{number}.png", (64, 64), seed=number)
            photograph(tmp_path / name / f"{number}_l.png", (64, 64), seed=number + 9)
    assert len(open_dataset(tmp_path, ReadingOptions(layout="folders"))) == 16
