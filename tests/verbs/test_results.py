"""Results show themselves in a notebook: metrics, confusion matrix and images, without a script or anything fetched."""

from __future__ import annotations

import base64
import io
import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import convolve
from convolve.verbs.train import Folds
from tests.tasks.segment.small import QUICK as SEGMENT
from tests.tasks.segment.small import folder
from tests.verbs.synthetic import QUICK, corner_image, folders, save, train


def html_of(result: Any) -> str:
    """What a notebook shows of a result."""
    page: str = result._repr_html_()
    assert not re.search(r"<script|@import|(?:src|href)=\"(?!data:)", page)
    return page


def text_of(page: str) -> str:
    """What people read of it, in one line."""
    page = re.sub(r"<style>.*?</style>", " ", page, flags=re.DOTALL)
    return unescape(" ".join(re.sub(r"<[^>]*>", " ", page).split()))


def rows_of(page: str) -> list[list[str]]:
    """The cells of all table rows."""
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    return [[text_of(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)] for row in rows]


def images_of(page: str) -> list[Image.Image]:
    """The images in it, decoded."""
    encoded = re.findall(r'src="data:image/[a-z]+;base64,([^"]+)"', page)
    return [Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB") for text in encoded]


def test_a_classifiers_evaluation_has_metrics_and_the_matrix(shapes_run: Path, tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"a b": 5, "ünï": 3, "꽃": 4})
    for number in range(2):  # images of the first class, labeled as the last
        save(data / "꽃" / f"wrong {number}.png", corner_image([0], np.random.default_rng(number)))
    found = convolve.evaluate(shapes_run, data, progress=False, threads=1, report=tmp_path / "page.html")
    page, evaluation = html_of(found), found.evaluation
    accuracy = f"Accuracy {100 * evaluation.metrics['accuracy']:.1f} %"
    low, high = (100 * end for end in evaluation.as_json()["intervals"]["accuracy"])
    assert f"{accuracy} 95 % interval {low:.1f} to {high:.1f}, {evaluation.images} images" in text_of(page)
    header, *rows = rows_of(page)
    assert header[1:] == ["a b", "ünï", "꽃"]
    matrix = np.array([[int(cell or 0) for cell in row[1:]] for row in rows])
    assert [row[0] for row in rows] == header[1:]
    assert matrix.tolist() == evaluation.as_json()["confusion"]
    assert (matrix.sum(), matrix[2, 0], matrix[0, 2]) == (14, 2, 0)


def test_a_training_shows_its_evaluation(tmp_path: Path) -> None:
    run = train(folders(tmp_path / "data", {"a": 12, "<b>": 12}), **QUICK, out=tmp_path / "run")
    again = convolve.evaluate(run.run, progress=False, threads=1, report=tmp_path / "page.html")
    assert html_of(run) == html_of(again)
    assert '<th scope="col">&lt;b&gt;</th>' in html_of(run)


def test_folds_show_mean_and_deviation(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"a": 12, "b": 12})
    folds = convolve.train(data, **QUICK, folds=2, out=tmp_path / "run", progress=False)
    assert isinstance(folds, Folds)
    accuracy = folds.metrics()["accuracy"]
    assert f"accuracy {accuracy['mean']:.4f} ± {accuracy['std']:.4f} over 2 folds" in text_of(html_of(folds))


def test_a_segmentations_evaluation_has_its_metrics(tmp_path: Path) -> None:
    run = train(folder(tmp_path / "data"), **SEGMENT, out=tmp_path / "run")
    metrics = run.evaluation.metrics
    assert f"Mean IoU {100 * metrics['mean_iou']:.1f} %" in text_of(html_of(run))
    assert rows_of(html_of(run))[0][1:4] == ["ground", "bright disc", "어두운 것"]


def test_predictions_show_each_image_with_its_label(shapes: Path, shapes_run: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    names = [shapes / "꽃" / "0.png", broken, shapes / "a b" / "1.png"]
    found = convolve.predict(shapes_run, names, progress=False, threads=1)
    page = html_of(found)
    _, *rows = rows_of(page)
    assert [row[1] for row in rows] == [str(name) for name in names]
    assert [row[2] for row in rows] == [one.cells()["label"] for one in found.predictions]
    thumbnails = images_of(page)
    assert len(thumbnails) == 2
    for thumbnail, name in zip(thumbnails, (names[0], names[2]), strict=True):
        original = np.asarray(Image.open(name).resize(thumbnail.size), dtype=float)
        assert np.abs(np.asarray(thumbnail, dtype=float) - original).mean() < 16
    many = convolve.predict(shapes_run, shapes, progress=False, threads=1)
    assert "and 48 more" in text_of(html_of(many))
    assert len(images_of(html_of(many))) == 24


def test_a_comparison_shows_its_table(shapes_run: Path) -> None:
    found = convolve.compare([shapes_run, "lenet5"], progress=False, threads=1)
    text = text_of(html_of(found))
    best = found.runs[0]
    assert f"{best.value:.1%}" in text
    for one in found.runs:
        assert f"{one.parameters:,}" in text
        assert f"{one.macs:,}" in text


def test_examined_data_show_classes_and_warnings(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"a": 12, "꽃": 3})
    (data / "a" / "copy.png").write_bytes((data / "a" / "0.png").read_bytes())
    found = convolve.data(data, progress=False)
    text = text_of(html_of(found))
    assert "a 13 꽃 3 all 16" in text
    assert "exact duplicates: 1 group, 0 across splits" in text
    assert found.findings.warnings
    for warning in found.findings.warnings:
        assert f"! {warning}" in text
