"""MTCNN from its files to faces that are found, drawn and judged; what it is not for is refused."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import convolve
from convolve import cli
from convolve.choices import AttributionMethod
from convolve.datasets.drawn_boxes import draw_boxes
from convolve.errors import DataError, ExplainError, ExportError, OptionError, RunError, WeightsError
from convolve.setup.restore import restore_task
from convolve.setup.runtime_options import RuntimeOptions
from convolve.tasks.faces.cascade import POINTS, find_faces
from convolve.tasks.faces.evaluation import Evaluation
from convolve.tasks.faces.prediction import Face, FacePrediction, draw_faces
from convolve.tasks.faces.task import Faces
from convolve.tasks.registry import find_exported
from convolve.training.run import open_run, write_manifest
from convolve.verbs.convert import Converted
from tests.interop.foreign import SHARED
from tests.interop.mtcnn_files import write_parts
from tests.tasks.localize.small import shapes_folder

WEIGHTS = SHARED / "weights" / "mtcnn"
LEAST = 0.415  # of which random networks find some
UNTRAINED = "The networks of the task faces are converted from their authors' files and cannot be trained here"


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Converted:
    """Random networks in the files of PyTorch."""
    files, _ = write_parts(tmp_path_factory.mktemp("files"), "pytorch")
    return convolve.convert(files, out=tmp_path_factory.mktemp("runs") / "random", progress=False)


@pytest.fixture(scope="module")
def run(converted: Converted) -> Path:
    """They find something, as windows of any score go on to the next network."""
    set_thresholds(converted.run, [0.0, 0.0, LEAST])
    return converted.run


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise in color and in gray, one too small for a face, and one that cannot be read."""
    folder, random = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (90, 120, 3)).astype(np.uint8)).save(folder / "color.png")
    Image.fromarray(random.integers(0, 256, (64, 64)).astype(np.uint8)).save(folder / "gray.png")
    Image.new("RGB", (200, 15)).save(folder / "low.png")
    (folder / "zbroken.png").write_bytes(b"none")
    return folder


def set_thresholds(run: Path, thresholds: Any) -> None:
    opened = open_run(run)
    write_manifest(replace(opened, manifest=replace(opened.manifest, state={"thresholds": thresholds})))


def predict(run: Path, images: Any, **options: Any) -> list[FacePrediction]:
    found = convolve.predict(run, images, threads=1, progress=False, **options)
    assert all(isinstance(each, FacePrediction) for each in found.predictions)
    return [each for each in found.predictions if isinstance(each, FacePrediction)]


def test_three_files_become_a_run(converted: Converted) -> None:
    assert (converted.task, converted.network, converted.parameters) == ("faces", "mtcnn", 6_632 + 100_178 + 389_040)
    assert converted.notes == ("images are read in their own size, not in 480x640",)
    assert open_run(converted.run).manifest.preprocessing.mean == (0.5,) * 3


def test_the_thresholds_are_the_published_ones_until_the_run_has_others(tmp_path: Path) -> None:
    files, _ = write_parts(tmp_path, "caffe")
    run = convolve.convert(files, out=tmp_path / "run", progress=False).run
    assert open_run(run).manifest.state == {"thresholds": [0.6, 0.7, 0.7]}
    for wrong in ([0.6, 0.7], [0.6, 0.7, 1.7], ["a", 0.7, 0.7]):
        set_thresholds(run, wrong)
        with pytest.raises(RunError, match="is damaged"):
            restore_task(open_run(run), RuntimeOptions())


def test_faces_are_found_written_and_drawn(run: Path, photographs: Path, tmp_path: Path) -> None:
    color, gray, low, broken = predict(run, photographs, out=tmp_path / "out", csv=tmp_path / "found.csv")
    assert (color.size, gray.size, low.size) == ((90, 120), (64, 64), (15, 200))
    assert len(color.faces) > 1
    assert gray.faces
    assert low.faces == broken.faces == ()
    assert broken.error
    task, _ = restore_task(open_run(run), RuntimeOptions(threads=1))
    assert isinstance(task, Faces)
    image = torch.from_numpy(np.array(Image.open(photographs / "color.png"))).permute(2, 0, 1).float()
    with torch.inference_mode():
        expected = find_faces(task.network, image, task.rule)
    assert [face.box for face in color.faces] == [tuple(box) for box in expected.boxes.tolist()]
    assert [face.points for face in color.faces] == [tuple(map(tuple, each)) for each in expected.points.tolist()]

    with (tmp_path / "found.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(color.faces) + len(gray.faces) + 2
    first = color.faces[0]
    assert rows[0]["confidence"] == f"{first.score:.6f}"
    assert [rows[0][name] for name in ("left", "bottom")] == [f"{first.box[0]:.2f}", f"{first.box[3]:.2f}"]
    assert rows[0]["nose y"] == f"{first.points[2][1]:.2f}"
    assert (rows[-2]["confidence"], rows[-2]["error"]) == ("", "")
    assert rows[-1]["error"] == broken.error

    document = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert [each["file_name"] for each in document["images"]] == ["color.png", "gray.png", "low.png"]
    assert document["categories"][0]["keypoints"] == list(POINTS)
    annotation, (left, top, right, bottom) = document["annotations"][0], first.box
    assert annotation["bbox"] == pytest.approx([left, top, right - left, bottom - top])
    assert annotation["keypoints"][6:9] == pytest.approx([*first.points[2], 2])
    assert color.as_json()["faces"][0]["points"]["nose"] == list(first.points[2])
    assert {Path(each.overlay).name for each in (color, gray, low)} == {
        f"{name}_overlay.jpg" for name in ("color", "gray", "low")
    }


def test_points_are_drawn_at_the_middle_of_their_pixels_and_on_top() -> None:
    pixels = np.full((600, 600, 3), 90, np.uint8)
    points = ((200.0, 200.0), (300.0, 200.0), (250.0, 260.0), (210.0, 310.0), (290.0, 310.0))
    face = Face(0.99, (100.0, 100.0, 400.0, 420.0), points)
    drawn = draw_faces(pixels, (face,))
    changed = (drawn != draw_faces(pixels, (replace(face, points=()),))).any(2)
    rows, columns = changed[180:221, 180:221].nonzero()
    assert (rows.mean() + 180, columns.mean() + 180) == pytest.approx((200.5, 200.5), abs=0.6)
    assert tuple(drawn[200, 200]) == (255, 221, 51)
    assert (drawn[:180, :100] == draw_boxes(pixels, [])[:180, :100]).all()
    assert (drawn[250, 100:104] != 90).any()  # the left edge of the box


def test_the_threshold_and_the_smallest_face_are_options(run: Path, photographs: Path) -> None:
    image = photographs / "color.png"
    (every,), (few,), (large,) = (
        predict(run, image),
        predict(run, image, threshold=0.42),
        predict(run, image, min_face=60),
    )
    assert every.faces != few.faces
    assert few.faces == tuple(face for face in every.faces if face.score > 0.42)
    sides = [max(face.box[2] - face.box[0], face.box[3] - face.box[1]) for face in every.faces]
    assert min(sides) < 30
    assert all(max(face.box[2] - face.box[0], face.box[3] - face.box[1]) > 30 for face in large.faces)
    with pytest.raises(OptionError, match=r"^min_face cannot be 11; it must be a whole number from 12 to 4096"):
        predict(run, image, min_face=11)


def test_what_was_found_is_data_to_evaluate_on(run: Path, photographs: Path, tmp_path: Path) -> None:
    """Judged against itself a network is perfect, and half as good where half of its faces are called none."""
    for name in ("color.png", "gray.png", "low.png"):
        shutil.copy(photographs / name, tmp_path / name)
    predict(run, tmp_path, out=tmp_path / "out")
    document = json.loads((tmp_path / "out" / "predictions.json").read_text())
    shutil.rmtree(tmp_path / "out")
    del document["info"]  # which says that it is no ground truth
    (tmp_path / "annotations.json").write_text(json.dumps(document))
    found = convolve.evaluate(run, tmp_path, report=tmp_path / "page.html", threads=1, progress=False)
    assert isinstance(found.evaluation, Evaluation)
    assert (found.evaluation.split, found.evaluation.images) == ("all", 3)
    assert found.evaluation.metrics["precision"] == found.evaluation.metrics["recall"] == 1.0
    assert found.evaluation.metrics["ap50"] == pytest.approx(1.0)
    page = found.report.read_text(encoding="utf-8")
    assert 'id="classes"' in page
    assert 'id="worst"' not in page

    document["annotations"] = document["annotations"][::2]
    (tmp_path / "annotations.json").write_text(json.dumps(document))
    half = convolve.evaluate(run, tmp_path, report=tmp_path / "half.html", threads=1, progress=False)
    assert half.evaluation.metrics["recall"] == 1.0
    assert half.evaluation.metrics["precision"] == pytest.approx(
        len(document["annotations"]) / found.evaluation.as_json()["found"]
    )
    assert 'id="worst"' in half.report.read_text(encoding="utf-8")


def test_images_that_cannot_be_read_are_left_out(run: Path, tmp_path: Path) -> None:
    data = shapes_folder(tmp_path / "data", 3)
    for path in (data / "Annotations").iterdir():
        path.write_text(path.read_text().replace(">disc<", ">face<").replace(">square<", ">face<"))
    (data / "JPEGImages" / "001.png").write_bytes(b"none")
    found = convolve.evaluate(run, data, report=tmp_path / "page.html", threads=1, progress=False)
    assert isinstance(found.evaluation, Evaluation)
    assert found.evaluation.indices.tolist() == [0, 2]
    for path in (data / "JPEGImages").iterdir():
        path.write_bytes(b"none")
    with pytest.raises(DataError):
        convolve.evaluate(run, data, report=tmp_path / "page.html", threads=1, progress=False)


def test_a_training_is_refused(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = shapes_folder(tmp_path / "data", 8)
    for task, network in (("faces", None), (None, "mtcnn"), ("faces", "yolo_compact")):
        with pytest.raises(OptionError, match=f"^{UNTRAINED}; for a detector of your own choose --task detect"):
            convolve.train(data, task=task, network=network, out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr("sys.argv", ["convolve", "train", str(data), "--task", "faces"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(UNTRAINED)


def test_what_it_is_not_for_is_refused(run: Path, photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ExportError, match=r"^mtcnn looks at as many windows as an image needs.*; use the run itself\.$"
    ):
        convolve.export(run, out=tmp_path / "export", progress=False)
    assert not (tmp_path / "export").exists()
    with pytest.raises(OptionError, match=r"^The task 'faces' has no exports; use the run itself\.$"):
        find_exported("faces")
    methods: tuple[tuple[AttributionMethod, ...], ...] = ((), ("grad-cam",))
    for method in methods:
        with pytest.raises(ExplainError, match=r"^mtcnn scores windows and not the image"):
            convolve.explain(run, photographs / "color.png", out=tmp_path / "why", method=method, progress=False)
    with pytest.raises(DataError, match="does not know the class 'disc'"):
        convolve.evaluate(run, shapes_folder(tmp_path / "data", 4), progress=False)
    with pytest.raises(OptionError, match="--tile is an option of detect, not of faces"):
        convolve.predict(run, photographs / "color.png", tile=64, progress=False)


def test_options_of_a_conversion_that_say_what_is_known_are_refused(tmp_path: Path) -> None:
    files, _ = write_parts(tmp_path, "pytorch")
    (tmp_path / "names.txt").write_text("person\n")
    options: dict[str, Any]
    for options in ({"mean": "0"}, {"bgr": True}, {"classes": tmp_path / "names.txt"}, {"network": "yolo_v2"}):
        with pytest.raises(
            OptionError, match=r"^The files are taken for MTCNN's, whose input and classes are known; omit"
        ):
            convolve.convert(files, out=tmp_path / "run", progress=False, **options)
    for given in (files[:1], files[:2]):
        with pytest.raises(WeightsError, match=r"-Net of MTCNN is not in .*; give the files of P-Net, R-Net and O-Net"):
            convolve.convert(given, out=tmp_path / "run", network="mtcnn", progress=False)
    with pytest.raises(OptionError, match="gives scores for faces, which detect does not read"):
        convolve.convert(files, out=tmp_path / "run", task="detect", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(not WEIGHTS.exists(), reason="no shared weights here")
def test_a_face_of_a_photograph_is_found_with_its_points(tmp_path: Path) -> None:
    files = [WEIGHTS / f"det{number}.{kind}" for number in (1, 2, 3) for kind in ("prototxt", "caffemodel")]
    run = convolve.convert(files, out=tmp_path / "run", progress=False).run
    photographs = SHARED / "data" / "photos"
    astronaut, person = predict(run, [photographs / "astronaut.png", photographs / "person.jpg"])
    (face,) = astronaut.faces
    assert face.box == pytest.approx((181.05, 62.16, 267.75, 172.05), abs=0.01)
    assert face.score > 0.9999
    left, right, nose, *mouth = face.points
    assert left[0] < nose[0] < right[0]
    assert left[1] < nose[1] < min(y for _, y in mouth)
    assert person.faces == ()  # seen from behind
