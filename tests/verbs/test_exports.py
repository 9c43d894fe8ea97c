"""An export is taken wherever a run is: the same options, tables and files, and one sentence where it cannot serve."""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import convolve
from convolve.commands import COMMANDS
from convolve.datasets.layouts import open_dataset
from convolve.errors import ConvolveError, DataError, ExportError, OptionError, RunError
from convolve.exports.card import CARD, read_card, write_card
from convolve.progress import Message
from convolve.tasks.classify.evaluation import Evaluation as ClassEvaluation
from convolve.tasks.classify.prediction import UNSURE, ClassPrediction
from convolve.tasks.detect.evaluation import Evaluation as BoxEvaluation
from convolve.tasks.detect.prediction import BoxPrediction
from convolve.tasks.segment.evaluation import Evaluation as MaskEvaluation
from convolve.tasks.segment.prediction import MaskPrediction
from convolve.verbs.compare import render as render_comparison
from tests.verbs.synthetic import save

pytestmark = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")
if importlib.util.find_spec("openvino"):
    from tests.exports.small_exports import COLORS, classifier, detector, plain, probabilities, segmentation

RED, GREEN, BLUE = (220, 30, 20), (10, 200, 40), (0, 20, 180)


def predict(run: Path, *images: object, **options: Any) -> Any:
    return convolve.predict(run, [str(image) for image in images], progress=False, threads=1, **options)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Ten images of three sizes, and one that is none."""
    for number, color in enumerate([RED, GREEN, BLUE] * 3 + [RED]):
        save(tmp_path / "photos" / f"{number}.png", plain(color, 12 + number % 3, 20))
    (tmp_path / "photos" / "4b.png").write_bytes(b"\x89PNG\r\n\x1a\nno image")
    return tmp_path / "photos"


def test_a_class_with_its_probabilities_as_the_options_ask(tmp_path: Path) -> None:
    folder = classifier(tmp_path / "export")
    save(tmp_path / "one.png", plain(RED))
    (one,) = predict(folder, tmp_path / "one.png", top=2).predictions
    assert isinstance(one, ClassPrediction)
    expected = probabilities(RED)
    assert one.label == "red"
    assert one.confidence == pytest.approx(expected[0], abs=1e-5)
    assert [name for name, _ in one.classes] == ["red", "green"]
    (unsure,) = predict(folder, tmp_path / "one.png", threshold=0.9999).predictions
    assert unsure.label == UNSURE


def test_several_labels(tmp_path: Path) -> None:
    folder = classifier(tmp_path / "export", multi_label=True)
    save(tmp_path / "one.png", plain((255, 255, 0)))
    (one,) = predict(folder, tmp_path / "one.png", threshold=0.9).predictions
    assert one.label == "red;green"


def test_many_images_in_order_with_those_that_cannot_be_read(photos: Path, tmp_path: Path) -> None:
    found = predict(classifier(tmp_path / "export"), photos, csv=tmp_path / "table.csv")
    names = [f"{number}.png" for number in (0, 1, 2, 3, 4)] + ["4b.png"] + [f"{number}.png" for number in range(5, 10)]
    assert [Path(one.image).name for one in found.predictions] == names
    labels = [one.label for one in found.predictions]
    assert labels == ["red", "green", "blue", "red", "green", "", "blue", "red", "green", "blue", "red"]
    assert "4b.png" in found.predictions[5].error
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    assert [row["label"] for row in rows] == labels


def test_broken_images_at_the_end_and_alone(photos: Path, tmp_path: Path) -> None:
    folder, broken = classifier(tmp_path / "export"), photos / "4b.png"
    found = predict(folder, photos / "0.png", broken, broken).predictions
    assert [bool(one.error) for one in found] == [False, True, True]
    with pytest.raises(DataError, match="None of the images can be read; the first"):
        predict(folder, broken)


def test_an_image_that_the_run_cuts_into_tiles_is_left_to_it(tmp_path: Path) -> None:
    folder = segmentation(tmp_path / "export")
    card = read_card(folder)
    tiles = dataclasses.replace(card.input, fit="tiles")
    Image.fromarray(plain(GREEN, 1000, 300)).save(tmp_path / "large.png")
    save(tmp_path / "small.png", plain(GREEN))
    for compared, too_large in ((0, True), (300_000, False)):
        write_card(folder, dataclasses.replace(card, input=tiles, parity={"view_pixels": compared}))
        small, large = predict(folder, tmp_path / "small.png", tmp_path / "large.png").predictions
        assert not small.error
        assert ("large.png has 300x1000 pixels, which the run cuts into tiles" in large.error) == too_large
    write_card(folder, dataclasses.replace(card, input=dataclasses.replace(card.input, fit="crop")))
    assert not predict(folder, tmp_path / "large.png").predictions[0].error  # as the network sees it, it is small


def test_gray_and_large_images_are_given_as_the_network_takes_them(tmp_path: Path) -> None:
    folder = classifier(tmp_path / "export")
    Image.new("L", (9, 7), 90).save(tmp_path / "gray.png")
    Image.fromarray(plain(BLUE, 900, 1200)).save(tmp_path / "large.jpg", quality=95)
    gray, large = predict(folder, tmp_path / "gray.png", tmp_path / "large.jpg").predictions
    assert gray.confidence == pytest.approx(1 / 3, abs=1e-5)
    assert large.label == "blue"


def test_masks_with_their_files(tmp_path: Path) -> None:
    pixels = plain(GREEN, 10, 20)
    pixels[:, :5] = (101, 0, 0)
    save(tmp_path / "one.png", pixels)
    folder = segmentation(tmp_path / "export")
    found = predict(folder, tmp_path / "one.png", out=tmp_path / "out")
    (one,) = found.predictions
    assert isinstance(one, MaskPrediction)
    assert {name: region.pixels for name, region in one.classes.items()} == {"green": 150, "red": 50}
    with Image.open(one.mask) as image:
        mask = np.array(image)
    assert (mask[:, :5] == 0).all()
    assert (mask[:, 5:] == 1).all()
    assert found.annotations is not None
    assert len(json.loads(found.annotations.read_text())["annotations"]) == 2
    (sure,) = predict(folder, tmp_path / "one.png", threshold=0.5).predictions
    assert {name: region.pixels for name, region in sure.classes.items()} == {"green": 150}


def test_a_threshold_needs_confidence(tmp_path: Path) -> None:
    save(tmp_path / "one.png", plain(GREEN))
    folder = segmentation(tmp_path / "export", confident=False)
    assert predict(folder, tmp_path / "one.png").predictions[0].classes["green"].fraction == 1
    with pytest.raises(OptionError, match="gives no confidence of its pixels; omit --threshold"):
        predict(folder, tmp_path / "one.png", threshold=0.5)


def test_boxes_in_the_pixels_of_the_image_itself(tmp_path: Path) -> None:
    """A JPEG is decoded at an eighth of its size for the network, and its boxes are those of the file."""
    Image.fromarray(plain((204, 102, 0), 400, 800)).save(tmp_path / "one.jpg", quality=100)
    folder = detector(tmp_path / "export", threshold=0.5)
    (one,) = predict(folder, tmp_path / "one.jpg").predictions
    assert isinstance(one, BoxPrediction)
    assert one.size == (400, 800)
    assert [(each.name, each.box) for each in one.detections] == [("left", (0, 0, 400, 400))]
    assert one.detections[0].score == pytest.approx(0.8, abs=0.01)
    both = predict(folder, tmp_path / "one.jpg", threshold=0.1, count=True)
    assert both.predictions[0].counts == {"left": 1, "right": 1}
    assert both.total["all"] == "2"
    (first,) = predict(folder, tmp_path / "one.jpg", threshold=0.1, top=1).predictions
    assert [each.name for each in first.detections] == ["left"]


def test_boxes_with_their_files(tmp_path: Path) -> None:
    save(tmp_path / "one.png", plain((204, 102, 0), 40, 80))
    found = predict(detector(tmp_path / "export"), tmp_path / "one.png", out=tmp_path / "out")
    with Image.open(found.predictions[0].overlay) as drawn:
        assert drawn.size[0] >= 80
    assert (tmp_path / "out" / "one.txt").read_text().startswith("0 0.250000 0.500000 0.500000 1.000000")
    assert json.loads((tmp_path / "out" / "results.json").read_text())[0]["bbox"] == [0, 0, 40, 40]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"nms": "soft"}, "finds objects by per-class suppression above an overlap of 0.45; omit --nms, or predict"),
        ({"nms_iou": 0.6}, "omit --nms-iou, or predict with the run"),
        ({"tile": 64}, "sees an image as a whole; omit --tile"),
        ({"device": "cuda"}, "runs on the processor; omit --device cuda"),
        ({"fast_convolutions": True}, "omit --fast-convolutions"),
        ({"task_options": {"mixup": 1}}, "mixup"),
    ],
)
def test_what_is_fixed_in_the_graph_is_said(options: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    save(tmp_path / "one.png", plain(RED))
    with pytest.raises(OptionError, match=sentence):
        predict(detector(tmp_path / "export"), tmp_path / "one.png", **options)
    same = predict(detector(tmp_path / "again"), tmp_path / "one.png", nms="per-class", nms_iou=0.45)
    assert same.predictions[0].detections


def labeled(root: Path) -> Path:
    """Forty images in folders: four of each ten are not of their folder's color."""
    random = np.random.default_rng(2)
    for index, name in enumerate(COLORS):
        for number in range(12):
            color = random.integers(0, 200, 3)
            color[index if number % 3 else (index + 1) % 3] = 255
            save(root / name / f"{number}.png", plain(color.tolist(), 8 + number % 2, 9))
    return root


def test_a_classifier_is_measured_and_its_temperature_taken_out(tmp_path: Path) -> None:
    folder, data = classifier(tmp_path / "export"), labeled(tmp_path / "data")
    found = convolve.evaluate(folder, str(data), progress=False)
    evaluation = found.evaluation
    assert isinstance(evaluation, ClassEvaluation)
    assert (evaluation.split, evaluation.images) == ("all", 36)
    assert evaluation.metrics["accuracy"] == pytest.approx(24 / 36, abs=1e-6)
    assert evaluation.calibration.temperature == 2.0
    images = open_dataset(str(data)).images
    for index, scores in zip(evaluation.predictions.indices.tolist(), evaluation.predictions.scores, strict=True):
        color = images.read(index)[0, 0].tolist()
        assert scores == pytest.approx(probabilities(color, temperature=0.5), abs=1e-4)
    page = found.report.read_text(encoding="utf-8")
    assert found.report == folder / "evaluation.html"
    assert all(text in page for text in ("by_hand as an export", "Worst mistakes", "Confusion matrix", "network.xml"))


def test_masks_are_measured_at_their_own_size(tmp_path: Path) -> None:
    for number in range(4):
        pixels = plain(RED, 16, 24)
        pixels[:, 12:] = GREEN
        mask = np.zeros((16, 24), np.uint8)
        mask[:, 12:] = 1
        if number == 3:  # half of what is green is called blue
            mask[8:, 12:] = 2
        save(tmp_path / "data" / "images" / f"{number}.png", pixels)
        (tmp_path / "data" / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(tmp_path / "data" / "masks" / f"{number}.png")
    (tmp_path / "data" / "classes.txt").write_text("red\ngreen\nblue\n")
    found = convolve.evaluate(segmentation(tmp_path / "export"), str(tmp_path / "data"), progress=False)
    assert isinstance(found.evaluation, MaskEvaluation)
    assert found.evaluation.metrics["pixel_accuracy"] == pytest.approx(1 - 1 / 16)
    assert found.evaluation.iou.tolist() == pytest.approx([1.0, 7 / 8, 0.0])


def test_boxes_are_measured_in_the_images_own_pixels(tmp_path: Path) -> None:
    images, annotations = [], []
    for number in range(6):
        save(tmp_path / "data" / f"{number}.png", plain((200, 60, 0) if number % 2 else (60, 200, 0), 30, 40))
        images.append({"id": number, "file_name": f"{number}.png", "width": 40, "height": 30})
        left = 0 if number % 2 else 20
        annotations.append(
            {"id": number, "image_id": number, "category_id": 1 if number % 2 else 2, "bbox": [left, 0, 20, 30],
             "area": 600, "iscrowd": 0}
        )  # fmt: skip
    categories = [{"id": 1, "name": "left"}, {"id": 2, "name": "right"}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "data" / "annotations.json").write_text(json.dumps(document))
    found = convolve.evaluate(detector(tmp_path / "export"), str(tmp_path / "data"), progress=False)
    assert isinstance(found.evaluation, BoxEvaluation)
    assert found.evaluation.metrics["ap50"] == pytest.approx(1)
    assert found.evaluation.metrics["ap"] == pytest.approx(1)
    assert found.evaluation.threshold == 0.5


def test_an_export_has_no_data_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no data of its own; pass some: convolve evaluate .*export DATA"):
        convolve.evaluate(classifier(tmp_path / "export"), progress=False)


def test_data_that_does_not_fit_an_export(tmp_path: Path) -> None:
    folder = classifier(tmp_path / "export", classes=("red", "green", "violet"))
    with pytest.raises(DataError, match="does not know the class 'blue'"):
        convolve.evaluate(folder, str(labeled(tmp_path / "data")), progress=False)
    with pytest.raises(DataError, match="has no test images; choose --split from all"):
        convolve.evaluate(classifier(tmp_path / "other"), str(tmp_path / "data"), split="test", progress=False)


def test_exports_next_to_runs(digits_run: Path, tmp_path: Path) -> None:
    folder = classifier(tmp_path / "export")
    found = convolve.compare([str(folder), str(digits_run)], threads=1, progress=False)
    own = next(row for row in found.runs if row.run == str(folder))
    assert (own.network, own.data, own.split, own.images, own.metric, own.value) == (
        "by_hand", "colors", "validation", 10, "accuracy", 0.9,
    )  # fmt: skip
    assert (own.parameters, own.macs) == (3, 9)
    assert own.latency > 0
    assert own.speed > 0


def test_how_an_export_is_measured_on_the_runs_test_split(digits_run: Path, tmp_path: Path) -> None:
    folder = classifier(tmp_path / "an export")
    card = read_card(folder)
    write_card(folder, dataclasses.replace(card, source={**card.source, "data": "digits"}))
    found = convolve.compare([str(folder), str(digits_run)], threads=1, progress=False)
    text = " ".join(str(line) for line in render_comparison(found))
    assert f"`convolve evaluate '{folder}' digits --split test` measures it on the test split." in text


def test_what_does_not_exist_may_have_been_an_export(tmp_path: Path) -> None:
    save(tmp_path / "one.png", plain(RED))
    with pytest.raises(RunError, match="is not a run, nor an export: there is no such folder"):
        predict(tmp_path / "nothing", tmp_path / "one.png")


def test_an_export_that_was_never_measured(tmp_path: Path) -> None:
    folder = classifier(tmp_path / "export")
    write_card(folder, dataclasses.replace(read_card(folder), metrics={}))
    found = convolve.compare([str(folder), str(classifier(tmp_path / "other"))], threads=1, progress=False)
    assert [row.value for row in found.runs] == [0.9, None]
    assert "nothing says how good it is; measure with `convolve evaluate`" in found._repr_html_()


@pytest.mark.parametrize("verb", ["explain", "weights", "resume"])
def test_what_only_a_run_can_do(verb: str, tmp_path: Path) -> None:
    folder = classifier(tmp_path / "export")
    calls: dict[str, Any] = {
        "explain": lambda: convolve.explain(folder, progress=False),
        "weights": lambda: convolve.train("digits", weights=str(folder), out=tmp_path / "run", progress=False),
        "resume": lambda: convolve.train(resume=folder, progress=False),
    }
    with pytest.raises(RunError, match="is an export, which can only predict, be evaluated and be compared; give the"):
        calls[verb]()


@pytest.mark.parametrize("damage", ["card", "digest", "state", "task", "torch"])
def test_a_damaged_export_is_one_sentence(damage: str, tmp_path: Path) -> None:
    folder = classifier(tmp_path / "export")
    save(tmp_path / "one.png", plain(RED))
    card = read_card(folder)
    if damage == "card":
        (folder / CARD).write_text((folder / CARD).read_text()[:-30])
    elif damage == "digest":
        (folder / "network.xml").write_text((folder / "network.xml").read_text() + "\n")
    else:
        changes: dict[str, dict[str, Any]] = {
            "state": {"state": {"classes": ["a"]}},
            "task": {"task": "classifi"},
            "torch": {"engine": "torch"},
        }
        write_card(folder, dataclasses.replace(card, **changes[damage]))
    sentences = {
        "card": "card.json is damaged",
        "digest": "does not match its digest",
        "state": r"card.json is damaged \(state: 'multi_label'\); export the run again",
        "task": "There is no task 'classifi'; did you mean classify",
        "torch": "holds weights for PyTorch",
    }
    with pytest.raises(ConvolveError, match=sentences[damage]):
        predict(folder, tmp_path / "one.png")


def test_an_export_stays_one_where_it_is_copied(tmp_path: Path) -> None:
    shutil.copytree(classifier(tmp_path / "export"), tmp_path / "복사 copy")
    save(tmp_path / "one.png", plain(RED))
    assert predict(tmp_path / "복사 copy", tmp_path / "one.png").predictions[0].label == "red"


def test_the_sentence_on_the_command_line(tmp_path: Path) -> None:
    folder = classifier(tmp_path / "export")
    (folder / "network.bin").unlink()
    save(tmp_path / "one.png", plain(RED))
    command = [sys.executable, "-m", "convolve", "predict", str(folder), str(tmp_path / "one.png")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "cannot be read" in ended.stderr


def test_a_missing_openvino(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = classifier(tmp_path / "export")
    save(tmp_path / "one.png", plain(RED))
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ExportError, match=r"openvino is not installed; run `pip install 'convolve\[export\]'`"):
        predict(folder, tmp_path / "one.png")


@pytest.mark.parametrize("own", [True, False])
def test_metrics_of_images_that_were_learned_from_are_named_so(own: bool, tmp_path: Path) -> None:
    folder, data = classifier(tmp_path / "export"), labeled(tmp_path / "data")
    if own:
        write_card(folder, dataclasses.replace(read_card(folder), source={"data": str(data.resolve())}))
    lines: list[str] = []
    command = COMMANDS["evaluate"]
    command.run(
        command.build_options({"run": folder, "data": str(data)}),
        lambda event: lines.append(event.text) if isinstance(event, Message) else None,
    )
    assert any("has learned from some of these images" in line for line in lines) is own
