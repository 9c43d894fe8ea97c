"""Counting the objects of a shelf's regions over a series of photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.path import Path as Outline
from PIL import Image

from convolve.errors import DataError, OptionError
from convolve.tasks.detect.options import DetectPredictOptions
from convolve.tasks.detect.prediction import BoxPrediction, BoxPredictions, FoundBoxes
from convolve.tasks.detect.shelf import WHOLE, Region, read_regions
from convolve.tasks.detect.stock import in_time
from convolve.tasks.detect.stock_figure import stock_figure

CLASSES = ("can", "상자")
SHELF = """
size = [100, 50]

[regions.top]
box = [0, 0, 100, 25]
minimum = { can = 2 }

[regions."아래"]
polygon = [[0, 25], [100, 25], [100, 50], [0, 50]]
"""


def _predictions(
    folder: Path, photos: dict[str, list[tuple[int, float, float]]], **options: Any
) -> tuple[BoxPredictions, list[BoxPrediction]]:
    """Of photographs of 200x100, each with objects of a class around an x and a y."""
    (folder / "shelf.toml").write_text(SHELF, encoding="utf-8")
    predictor = BoxPredictions(CLASSES, DetectPredictOptions(count=True, regions=folder / "shelf.toml", **options))
    found = []
    for name, objects in photos.items():
        Image.new("RGB", (200, 100)).save(folder / name)
        boxes = np.array([[x - 4, y - 4, x + 4, y + 4] for _, x, y in objects], dtype=np.float64).reshape(-1, 4)
        kinds = np.array([kind for kind, _, _ in objects], dtype=np.int64)
        boxed = FoundBoxes(boxes, np.full(len(objects), 0.9, np.float32), kinds)
        pixels = np.zeros((100, 200, 3), np.uint8) if "out" in options else None
        found.append(predictor.describe(str(folder / name), (100, 200), boxed, pixels))
    return predictor, found


def test_objects_count_where_their_centers_are_and_few_are_marked(tmp_path: Path) -> None:
    photos: dict[str, list[tuple[int, float, float]]] = {
        "2026-11-28 12.png": [(0, 20, 20), (1, 20, 48), (1, 150, 90)],
        "2026-11-28 1100.png": [(0, 20, 20), (0, 90, 49.9), (1, 20, 50.1)],
        "2026-11-28 1300.png": [],
    }
    predictor, found = _predictions(tmp_path, photos, minimum="상자=1")
    cells = dict(found[0].cells())
    assert cells[WHOLE] == "1 can, 2 상자"
    assert (cells["top"], cells["아래"]) == ("1 can, 1 상자", "1 상자")
    assert cells["below minimum"] == "top: 1 can of 2"
    assert (cells["time"], cells["time from"]) == ("2026-11-28 00:00:00", "file name")
    assert found[1].cells()["below minimum"] == ""
    rows = {(row["region"], row["class"]): row for row in found[0].entries()}
    assert len(rows) == 6
    assert {**rows["top", "can"], "image": ""} == {
        "image": "",
        "time": "2026-11-28 00:00:00",
        "time_from": "file name",
        "region": "top",
        "class": "can",
        "count": "1",
        "minimum": "2",
        "below": "yes",
        "error": "",
    }
    assert (rows["아래", "can"]["count"], rows["아래", "can"]["minimum"]) == ("0", "")
    assert predictor.unreadable("x.png", "no").entries()[0].keys() == rows["top", "can"].keys()
    assert found[0].as_json()["regions"]["top"] == {"can": 1, "상자": 1}
    assert predictor.total(found) == {}
    first, second = predictor.remarks(found)
    latest = tmp_path / "2026-11-28 1300.png"
    assert first == (
        f"{WHOLE}: 상자 is below its minimum of 1 in 1 of 3 images; the latest, {latest} (2026-11-28 13:00:00), has 0."
    )
    assert second.startswith("top: can is below its minimum of 2 in 2 of 3 images; ")


def test_the_curve_is_in_the_order_of_time(tmp_path: Path) -> None:
    photos: dict[str, list[tuple[int, float, float]]] = {
        "b 2026-11-28 1200.png": [(0, 20, 20)],
        "a 2026-11-28 1100.png": [(0, 20, 20)] * 3,
    }
    predictor, found = _predictions(tmp_path, photos, figure=tmp_path / "stock.svg", out=tmp_path / "out")
    figure = stock_figure([stock for _, stock in in_time(found)])
    assert [axes.get_title("left") for axes in figure.axes] == [WHOLE, "top", "아래"]
    curve, minimum = figure.axes[1].lines  # the box never occurs and has no minimum
    np.testing.assert_array_equal(curve.get_ydata(), [3, 1])
    np.testing.assert_array_equal(minimum.get_ydata(), [2, 2])
    assert predictor.finish(found) == tmp_path / "out" / "predictions.json"
    assert "아래" in (tmp_path / "stock.svg").read_text(encoding="utf-8")
    with Image.open(found[0].overlay) as drawn:
        edge = np.asarray(drawn.convert("L"))[90:110, 350]  # enlarged twice, where the regions meet
    assert edge.max() > 150


def test_a_polygon_holds_the_points_that_matplotlib_says() -> None:
    random = np.random.default_rng(0)
    star = np.array([[0.5, 0.1], [0.6, 0.4], [0.9, 0.45], [0.65, 0.6], [0.7, 0.9], [0.5, 0.7], [0.2, 0.95], [0.1, 0.3]])
    points = random.random((2000, 2))
    np.testing.assert_array_equal(Region("star", star).contains(points), Outline(star).contains_points(points))
    halves = [
        Region("", np.array(half))
        for half in ([[0, 0], [1, 0], [1, 0.5], [0, 0.5]], [[0, 0.5], [1, 0.5], [1, 1], [0, 1]])
    ]
    shared = np.array([[0.3, 0.5], [0.6, 0.5]])
    np.testing.assert_array_equal(sum(half.contains(shared).astype(int) for half in halves), [1, 1])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no table"),
        ("[regions.top]\nbox = [0, 0, 50, 25]", "pixels need a size"),
        ("[regions.top]\nbox = [0, 0.5, 1, 0.2]", "left, top, right, bottom"),
        ("[regions.top]\nbox = [0, 0, 1, 'x']", "other than numbers"),
        ("[regions.top]\npolygon = [[0, 0], [1, 1]]", "three points"),
        ("[regions.top]\nbox = [0, 0, 1, 1]\npolygon = [[0, 0], [1, 1], [0, 1]]", "either a box or a polygon"),
        ("[regions.top]\nbox = [0, 0, 1, 1]\nminimum = { bottle = 1 }", "no class 'bottle', but can, 상자"),
        ("[regions.top]\nbox = [0, 0, 1, 1]\nminimum = { can = 1.5 }", "not a table such as"),
        ("[regions.top]\nbox = [0, 0, 1, 1]\nleast = 3", "unknown entry 'least'"),
        ("size = [0, 5]\n[regions.top]\nbox = [0, 0, 1, 1]", "width and a height"),
        ('[regions."whole image"]\nbox = [0, 0, 1, 1]', "choose another name"),
        ("[regions", "cannot be read as a file of regions"),
    ],
)
def test_a_file_that_says_something_else_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "shelf.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=reason):
        read_regions(file, None, CLASSES)


@pytest.mark.parametrize("minimum", ["", "bottle=3", "can", "can=-1", "can=x", "can=1,", "can=1;상자=2", "can=1,상자"])
def test_a_minimum_is_a_class_and_a_number(minimum: str) -> None:
    with pytest.raises(OptionError, match="write CLASS=NUMBER with commas between, of the classes can, 상자"):
        read_regions(None, minimum, CLASSES)


def test_minimums_of_several_classes() -> None:
    (whole,) = read_regions(None, "can, large=1,상자=20", (*CLASSES, "can, large"))
    assert (whole.name, whole.minimums) == (WHOLE, {"can, large": 1, "상자": 20})


def test_counting_is_asked_for() -> None:
    with pytest.raises(OptionError, match="add --count"):
        DetectPredictOptions(minimum="can=1")
