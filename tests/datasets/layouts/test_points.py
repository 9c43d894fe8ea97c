"""Tables of points, iBUG's `.pts` files and COCO's keypoints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convolve.datasets.layouts import open_dataset, open_with_ground_truth
from convolve.datasets.points import Points
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError
from convolve.values import Dataset
from tests.datasets.layouts.boxed import make_pictures, put_text

SHARED = Path(__file__).parents[4] / "shared" / "data"
WIDE = "image_name,nose_x,nose_y,left_eye_x,left_eye_y,right_eye_x,right_eye_y\n"
ROWS = "a.jpg,10,11,20,5,4,5\nb.jpg,12,13,22,6,6,6\n"
MPII = 'ID,NAME,Scale,r hip_X,r hip_Y,l hip_X,l hip_Y,Activity,Category\n1,a.jpg,1.2,4,5,20,6,"chess, sitting",games\n'


def points_of(dataset: Dataset) -> Points:
    found = dataset.ground_truths["points"]
    assert isinstance(found, Points)
    return found


@pytest.mark.parametrize(
    "text",
    [
        WIDE + ROWS,
        (WIDE + ROWS).replace(",", "\t"),
        (WIDE + ROWS).replace(",", ";"),
        (WIDE + ROWS).replace("_x", " X").replace("_y", " Y"),
        (WIDE + ROWS).replace("image_name", "file"),
        "\ufeff" + (WIDE + ROWS).replace("\n", "\r\n"),
    ],
)
def test_wide_tables(text: str, tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/a.jpg", "images/b.jpg")
    put_text(tmp_path / "points.csv", text)
    data = open_dataset(tmp_path)
    assert (data.layout, set(data.ground_truths), data.sources) == ("point-table", {"points"}, ("points.csv",))
    found = points_of(data)
    assert found.point_set.names == ("nose", "left_eye", "right_eye")
    assert found.points.tolist() == [[[10, 11], [20, 5], [4, 5]], [[12, 13], [22, 6], [6, 6]]]
    assert found.visibility.tolist() == [[2, 2, 2]] * 2
    assert found.sizes.tolist() == [[20, 40]] * 2
    assert points_of(open_dataset(tmp_path / "points.csv")).points.tolist() == found.points.tolist()


def test_what_is_not_labeled_and_hidden(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg", "b.jpg")
    put_text(tmp_path / "p.csv", "image,nose_x,nose_y,nose_v,ear_x,ear_y\na.jpg,1,2,1,-1,-1\nb.jpg,3,4,0,,\n")
    data = open_dataset(tmp_path)
    assert points_of(data).visibility.tolist() == [[1, 0]]
    assert any("left out: 1 object without a labeled point" in note for note in data.notes)


def test_mpii(tmp_path: Path) -> None:
    """The image is the column whose cells are names of files; a column of labels can be asked for instead."""
    make_pictures(tmp_path, "a.jpg", "b.jpg")
    put_text(tmp_path / "mpii.csv", MPII + "2,b.jpg,1.1,-1,-1,8,9,run,sport\n")
    data = open_dataset(tmp_path, ReadingOptions(layout="point-table"))
    assert points_of(data).point_set.names == ("r hip", "l hip")
    assert points_of(data).visibility.tolist() == [[2, 2], [0, 2]]
    assert points_of(data).point_set.partners == (1, 0)


def test_a_table_of_labels_with_points_is_one_of_labels_unless_asked(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    put_text(tmp_path / "t.csv", "path,label,nose_x,nose_y\na.jpg,cat,1,2\nb.jpg,dog,3,4\nc.jpg,dog,3,4\n")
    data = open_dataset(tmp_path)
    assert data.layout == "table"
    assert any("point-table was not taken" in note and "--layout point-table" in note for note in data.notes)
    assert open_dataset(tmp_path, ReadingOptions(layout="point-table")).layout == "point-table"


def test_several_objects_of_an_image_are_cut_out(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg", "b.jpg")
    put_text(tmp_path / "p.csv", "image,tip_x,tip_y,end_x,end_y\na.jpg,4,4,12,12\na.jpg,20,4,36,12\nb.jpg,1,1,9,5\n")
    data = open_dataset(tmp_path)
    assert [data.images.name(index) for index in range(3)] == ["a.jpg#1", "a.jpg#2", "b.jpg#1"]
    found = points_of(data)
    assert found.sizes.tolist() == [list(data.images.size(index)) for index in range(3)]
    assert found.points[0].tolist() == [[2, 2], [10, 10]]  # a quarter of 8 pixels around 4 to 12
    assert found.points[1].tolist() == [[4, 2], [20, 10]]
    assert data.images.size(0) == (12, 12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (WIDE + "a.jpg,1,2,3,4,5\n", "has a line of 6 cells instead of 7"),
        (WIDE + "a.jpg,1,2,3,4,x,6\n", "has a point right_eye of a.jpg that is not two numbers"),
        (WIDE + "a.jpg,1,2,3,4,nan,6\n", "has a point right_eye of a.jpg that is not two numbers"),
        (WIDE + "c.jpg,1,2,3,4,5,6\n", "holds none of the images"),
        (WIDE + "a.jpg,,,,,,\n", "No object in .* has a labeled point"),
        ("image,nose_x,nose_y,split\na.jpg,1,2,other\n", "into a split called 'other'"),
        ("image,nose_x,nose_y,nose_v\na.jpg,1,2,7\n", "point nose of a.jpg"),
    ],
)
def test_damaged_tables_are_named(text: str, message: str, tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg", "b.jpg")
    put_text(tmp_path / "p.csv", text)
    with pytest.raises(DataError, match=message):
        open_dataset(tmp_path)


def test_tables_of_boxes_are_not_of_points(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg", "b.jpg")
    put_text(tmp_path / "t.csv", "image,bbox_x,bbox_y,bbox_w,bbox_h,label\na.jpg,1,2,3,4,cat\nb.jpg,1,2,3,4,dog\n")
    with pytest.raises(DataError, match="has boxes by the columns"):
        open_dataset(tmp_path)


def pts(points: list[tuple[float, float]], count: int | None = None) -> str:
    lines = "\n".join(f"{x} {y}" for x, y in points)
    return f"version: 1\nn_points: {len(points) if count is None else count}\n{{\n{lines}\n}}\n"


def test_pts_files_count_from_one_at_the_center_of_the_first_pixel(tmp_path: Path) -> None:
    make_pictures(tmp_path, "train/a.jpg", "train/b.jpg", "test/c.jpg", "test/d.jpg")
    for name in ("train/a", "train/b", "test/c"):
        put_text(tmp_path / f"{name}.pts", pts([(1.0, 1.0), (10.5, 4.25)]))
    put_text(tmp_path / "test/lost.pts", pts([(1.0, 1.0), (2.0, 2.0)]))
    data = open_dataset(tmp_path)
    assert data.layout == "pts"
    assert points_of(data).points[0].tolist() == [[0.5, 0.5], [10.0, 3.75]]
    assert points_of(data).point_set.names == ("1", "2")
    assert {name: len(part) for name, part in data.given_splits.items()} == {"train": 2, "test": 1}
    assert any("1 file without an image, such as test/lost.pts" in note for note in data.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (pts([(1.0, 1.0)], 2), "it has 1 points and announces 2"),
        ("version: 1\nn_points: 1\n1 2\n", "not between braces"),
        (pts([(1.0, 1.0)]).replace("1.0 1.0", "1.0 1.0 3.0"), "cannot be read as points"),
        (pts([(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]), "has 3 points, and other files have 1"),
    ],
)
def test_damaged_pts_files_are_named(text: str, message: str, tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    put_text(tmp_path / "a.pts", text)
    put_text(tmp_path / "b.pts", pts([(1.0, 1.0)]))
    put_text(tmp_path / "c.pts", pts([(1.0, 1.0)]))
    with pytest.raises(DataError, match=message):
        open_dataset(tmp_path)


def keypoints(**more: Any) -> dict[str, Any]:
    """Two persons in one image, a crowd, and one without points in another."""
    category = {"id": 1, "name": "person", "keypoints": ["nose", "left_eye", "right_eye"], "skeleton": [[1, 2], [1, 3]]}
    person = {"image_id": 1, "category_id": 1, "iscrowd": 0}
    return {
        "images": [{"id": number, "file_name": f"{number}.jpg", "height": 20, "width": 40} for number in (1, 2)],
        "categories": [category],
        "annotations": [
            person | {"id": 1, "keypoints": [8, 9, 2, 10, 7, 2, 0, 0, 0], "bbox": [4, 4, 8, 8], "area": 50},
            person | {"id": 2, "keypoints": [24, 9, 2, 26, 7, 1, 22, 7, 2], "bbox": [20, 4, 8, 12], "area": 60},
            person | {"id": 3, "keypoints": [0] * 9, "bbox": [0, 0, 40, 20], "area": 800, "iscrowd": 1},
            person | {"id": 4, "image_id": 2, "keypoints": [0] * 9, "bbox": [0, 0, 9, 9], "area": 81},
        ],
    } | more


def test_coco_keypoints(tmp_path: Path) -> None:
    make_pictures(tmp_path, "1.jpg", "2.jpg")
    put_text(tmp_path / "person_keypoints_train2017.json", json.dumps(keypoints()))
    plain = open_dataset(tmp_path)
    assert plain.layout == "coco"
    assert any("coco-keypoints was not taken" in note for note in plain.notes)
    data = open_dataset(tmp_path, ReadingOptions(layout="coco-keypoints"))
    found = points_of(data)
    assert [data.images.name(index) for index in range(len(data))] == ["1.jpg#1", "1.jpg#2"]
    assert found.point_set.edges == ((0, 1), (0, 2))
    assert found.visibility.tolist() == [[2, 2, 0], [2, 1, 2]]
    assert found.points[0, :2].tolist() == [[6, 7], [8, 5]]  # the crop begins a quarter of 8 before 4
    assert found.points[1].tolist() == [[6, 8], [8, 6], [4, 6]]
    assert found.areas.tolist() == [50, 60]
    assert found.boxes[0].tolist() == [2, 2, 10, 10]
    assert [note for note in data.notes if note.startswith("left out")] == [
        "left out: 1 crowd", "left out: 1 object without a labeled point",
    ]  # fmt: skip
    assert (
        points_of(
            open_dataset(tmp_path / "person_keypoints_train2017.json", ReadingOptions(layout="coco-keypoints"))
        ).points.tolist()
        == found.points.tolist()
    )


def test_points_that_give_way_to_boxes_are_read_where_they_are_needed(tmp_path: Path) -> None:
    make_pictures(tmp_path, "1.jpg", "2.jpg")
    put_text(tmp_path / "person_keypoints_train2017.json", json.dumps(keypoints()))
    assert open_with_ground_truth(tmp_path, "boxes").layout == "coco"
    assert open_with_ground_truth(tmp_path, "labels").layout == "coco"
    assert open_with_ground_truth(tmp_path, "points").layout == "coco-keypoints"
    (tmp_path / "person_keypoints_train2017.json").write_text(json.dumps(keypoints(annotations=[])))
    with pytest.raises(DataError):
        open_with_ground_truth(tmp_path, "points")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": [1, 2, 2]}, "3 numbers for 3 points"),
        ({"keypoints": [1, 2, 5] * 3}, "damaged points"),
        ({"bbox": [1, 2]}, "damaged points"),
    ],
)
def test_damaged_keypoints_are_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    make_pictures(tmp_path, "1.jpg", "2.jpg")
    content = keypoints()
    content["annotations"][0] |= change
    put_text(tmp_path / "person_keypoints.json", json.dumps(content))
    with pytest.raises(DataError, match=message):
        open_dataset(tmp_path, ReadingOptions(layout="coco-keypoints"))


def test_points_turn_with_an_image_whose_stored_size_the_file_gives(tmp_path: Path) -> None:
    """Orientation 6: what is stored at the left ends at the top."""
    make_pictures(tmp_path, "1.jpg", "2.jpg", orientation=6)
    content = keypoints()
    content["annotations"] = content["annotations"][:1]
    put_text(tmp_path / "person_keypoints.json", json.dumps(content))
    data = open_dataset(tmp_path, ReadingOptions(layout="coco-keypoints"))
    whole = points_of(data).points[0, :2] + data.images.boxes[0, :2]  # type: ignore[attr-defined]
    assert whole.tolist() == [[20 - 9, 8], [20 - 7, 10]]


@pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data")
def test_real_files() -> None:
    faces = points_of(open_dataset(SHARED / "face_landmarks"))
    assert faces.points.shape == (69, 68, 2)
    assert not np.isnan(faces.lengths).any()
    persons = open_dataset(SHARED / "coco_mini", ReadingOptions(layout="coco-keypoints"))
    assert {name: len(part) for name, part in persons.given_splits.items()} == {"train": 86, "validation": 68}
    assert points_of(persons).point_set.names[0] == "nose"
