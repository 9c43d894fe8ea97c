"""Detection from the command to the files that it writes: the commands know nothing of it."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import convolve
from convolve.datasets.boxes import Boxes
from convolve.datasets.images import ImageFiles
from convolve.errors import DataError, NetworkError, OptionError
from convolve.marks import has_mark
from convolve.metrics.boxes import intersection_over_union
from convolve.models import registry
from convolve.reports.thumbnails import thumbnail
from convolve.setup import choice
from convolve.setup.choice import Candidate
from convolve.setup.restore import open_evaluation_data, restore_task
from convolve.setup.runtime_options import RuntimeOptions
from convolve.tasks.detect.evaluation import Evaluation
from convolve.tasks.detect.prediction import BoxPrediction, Detection
from convolve.tasks.detect.report import network_anchors
from convolve.tasks.detect.task import Detect
from convolve.training.run import open_run
from convolve.verbs.predict import Predictions
from convolve.verbs.train import Folds, Trained, render
from tests.tasks.detect.small import CLASSES, NAME, VARIANT, scene, voc_folder
from tests.test_cli import Command
from tests.verbs.synthetic import folders, train

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools

OPTIONS: dict[str, Any] = {
    "network": NAME,
    "size": 64,
    "epochs": 30,
    "batch": 8,
    "threads": 1,
    "precision": "fp32",
    "progress": False,
    "seed": 1,
}
_SCRIPT = """
import sys, convolve
from convolve.models import registry
from tests.tasks.detect.small import NAME, VARIANT
registry._VARIANTS[NAME] = VARIANT
convolve.train(sys.argv[1], **{options!r}, out=sys.argv[2])
"""


@pytest.fixture(scope="module", autouse=True)
def _small_network() -> Iterator[None]:
    registry._VARIANTS[NAME] = VARIANT
    yield
    registry._VARIANTS.pop(NAME)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return voc_folder(tmp_path_factory.mktemp("shapes"), 90)


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(data, **OPTIONS, out=tmp_path_factory.mktemp("runs") / "shapes")


@pytest.fixture(scope="module")
def run(trained: Trained) -> Path:
    return trained.run


def predict(run: Path, images: Path | list[str], **options: Any) -> list[BoxPrediction]:
    found = convolve.predict(run, images, threads=1, progress=False, **options).predictions
    assert all(isinstance(one, BoxPrediction) for one in found)
    return list(found)  # type: ignore[arg-type]  # checked above


def test_it_learns_and_reports(run: Path) -> None:
    manifest = open_run(run).manifest
    assert manifest.task == "detect"
    assert manifest.state["classes"] == list(CLASSES)
    assert manifest.state["nms"] == "per-class"
    results = manifest.results["test"]
    assert results["metrics"]["ap50"] > 0.6
    assert set(results["classes"]) == set(CLASSES)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for name in ("train_loss", "loss"):
        assert lines[-1][name] < lines[0][name] / 2
    assert {"ap50", "ap", "loss", "objectness", "train_objectness"} <= lines[0].keys()
    page = (run / "report.html").read_text(encoding="utf-8")
    for words in ("Average precision", "Kinds of errors", "Anchors", "네모", "nothing", "localization"):
        assert words in page


def test_the_validation_loss_is_that_of_the_best_weights(run: Path) -> None:
    opened = open_run(run)
    task, runtime = restore_task(opened, RuntimeOptions(threads=1))
    batches = open_evaluation_data(opened, task, runtime, None, "validation").batches
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    best = lines[opened.manifest.results["epoch"] - 1]
    assert best["ap50"] == max(line["ap50"] for line in lines)
    losses, images = 0.0, 0
    with torch.inference_mode():
        for batch in batches.epoch(0):
            inputs = runtime.images(batch.images)
            losses += float(task.loss(inputs, batch.targets.to("cpu"), None)["loss"]) * len(inputs)
            images += len(inputs)
    assert best["loss"] == pytest.approx(losses / images, rel=1e-5)


def test_the_threshold_is_the_best_one_of_the_validation_split(run: Path) -> None:
    """No other confidence has a better F1 there, and `predict` uses it."""
    opened = open_run(run)
    task, runtime = restore_task(opened, RuntimeOptions(threads=1))
    assert isinstance(task, Detect)
    found = task.evaluate(open_evaluation_data(opened, task, runtime, None, "validation"))
    others = []
    for threshold in np.linspace(0.01, 0.99, 50).tolist():
        task.threshold = threshold
        data = open_evaluation_data(opened, task, runtime, None, "validation")
        others.append(task.evaluate(data).metrics["f1"])
    assert found.metrics["f1"] == pytest.approx(max(others), abs=0.02)
    assert found.metrics["f1"] >= max(others)


def test_objects_that_a_crop_leaves_out_are_counted(tmp_path: Path) -> None:
    data = voc_folder(tmp_path / "data", 24, (64, 160))
    run = train(data, **OPTIONS | {"epochs": 1, "fit": "crop", "out": tmp_path / "run"}).run
    opened = open_run(run)
    task, runtime = restore_task(opened, RuntimeOptions(threads=1))
    part = open_evaluation_data(opened, task, runtime, None, "test")
    boxes = part.dataset.ground_truths["boxes"]
    assert isinstance(boxes, Boxes)
    rows, _ = boxes.rows(part.indices)
    left, _, right, _ = boxes.boxes[rows].T
    inside = np.clip(np.minimum(right, 112) - np.maximum(left, 48), 0, None)  # the middle 64 of 160 columns
    expected = int((inside < 0.25 * (right - left)).sum())
    assert 0 < expected < len(rows)
    assert opened.manifest.results["test"]["unseen"] == expected
    sentence = f"{expected} of {len(rows)} objects lie outside of what --fit crop leaves"
    assert sentence in (run / "report.html").read_text(encoding="utf-8")
    assert any(sentence in str(line) for line in task.evaluate(part).to_console())


def test_evaluated_again_it_is_the_same(run: Path, tmp_path: Path) -> None:
    found = convolve.evaluate(run, threads=1, report=tmp_path / "page.html", progress=False).evaluation
    assert found.as_json() == open_run(run).manifest.results["test"]


def test_cocos_own_program_finds_the_same_average_precision(run: Path, data: Path, tmp_path: Path) -> None:
    """By the files that `predict` writes."""
    opened = open_run(run)
    task, runtime = restore_task(opened, RuntimeOptions(threads=1))
    part = open_evaluation_data(opened, task, runtime, None, "test")
    boxes = part.dataset.ground_truths["boxes"]
    assert isinstance(boxes, Boxes)
    names = [part.dataset.images.name(index) for index in part.indices.tolist()]
    predict(run, [str(data / name) for name in names], out=tmp_path, threshold=0.005, top=100)
    predicted = json.loads((tmp_path / "predictions.json").read_text(encoding="utf-8"))
    assert [image["file_name"] for image in predicted["images"]] == [Path(name).name for name in names]
    rows, image = boxes.rows(part.indices)
    objects = [
        {
            "id": number,
            "image_id": int(image[number - 1]) + 1,
            "category_id": int(boxes.class_indices[row]) + 1,
            "bbox": [*boxes.boxes[row, :2].tolist(), *(boxes.boxes[row, 2:] - boxes.boxes[row, :2]).tolist()],
            "area": float(boxes.areas[row]),
            "iscrowd": 0,
        }
        for number, row in enumerate(rows.tolist(), 1)
    ]
    (tmp_path / "truth.json").write_text(json.dumps(predicted | {"annotations": objects}))
    with redirect_stdout(StringIO()):
        truth = COCO(str(tmp_path / "truth.json"))
        theirs = COCOeval(truth, truth.loadRes(str(tmp_path / "results.json")), "bbox")
        theirs.evaluate()
        theirs.accumulate()
        theirs.summarize()
    metrics = open_run(run).manifest.results["test"]["metrics"]
    ours = [metrics[name] for name in ("ap", "ap50", "ap75", "ap_small", "ar_1", "ar_10", "ar_100")]
    assert ours == pytest.approx(theirs.stats[[0, 1, 2, 3, 6, 7, 8]].tolist(), abs=1e-6)


def test_what_is_predicted_is_written(run: Path, data: Path, tmp_path: Path) -> None:
    image, _ = scene(np.random.default_rng(2), (90, 130))
    (tmp_path / "a" / "deep").mkdir(parents=True)
    Image.fromarray(image).save(tmp_path / "a" / "one.png")
    Image.fromarray(image).save(tmp_path / "a" / "deep" / "one.png")
    (tmp_path / "a" / "bad.png").write_text("not an image")
    found = predict(run, [str(tmp_path / "a")], threshold=0.05, out=tmp_path / "out", csv=tmp_path / "table.csv")
    assert [bool(one.error) for one in found] == [Path(one.image).name == "bad.png" for one in found]
    one, other = (one for one in found if not one.error)
    assert one.detections == other.detections
    assert {one.overlay, other.overlay} == {str(tmp_path / "out" / f"one{end}_overlay.jpg") for end in ("", "-2")}
    assert has_mark(one.overlay)
    page = Predictions((one,))._repr_html_()
    with_boxes = ImageFiles(Path(), (one.overlay,)).read(0, at_least=96)
    assert thumbnail(with_boxes, 96) in page
    assert thumbnail(image, 96) not in page
    assert one.size == (90, 130)
    lines = (tmp_path / "out" / "one.txt").read_text().splitlines()
    assert len(lines) == len(one.detections) > 0
    for line, each in zip(lines, one.detections, strict=True):
        kind, x, y, width, height, score = map(float, line.split())
        left, top, right, bottom = each.box
        assert CLASSES[int(kind)] == each.name
        expected = [(left + right) / 260, (top + bottom) / 180, (right - left) / 130, (bottom - top) / 90, each.score]
        assert [x, y, width, height, score] == pytest.approx(expected, abs=1e-6)
    rows = list(csv.DictReader((tmp_path / "table.csv").read_text("utf-8").splitlines()))
    assert len(rows) == 2 * len(one.detections) + 1
    assert [row["class"] for row in rows if row["image"] == one.image] == [each.name for each in one.detections]
    document = json.loads((tmp_path / "out" / "predictions.json").read_text("utf-8"))
    assert [each["score"] for each in document["annotations"][: len(lines)]] == pytest.approx(
        [each.score for each in one.detections], abs=1e-6
    )
    again = predict(run, [str(tmp_path / "a" / "one.png")], threshold=0.05, out=tmp_path / "out")
    for each, before in zip(again[0].detections, one.detections, strict=True):  # its own files are replaced
        assert each.name == before.name
        assert each.box == pytest.approx(before.box, abs=1e-3)
    (tmp_path / "out" / "one_overlay.jpg").unlink()
    with pytest.raises(DataError, match=r"one.txt exists, and is no prediction that convolve wrote"):
        predict(run, [str(tmp_path / "a" / "one.png")], out=tmp_path / "out")


def test_predictions_are_no_ground_truth_unless_they_are_asked_for(run: Path, data: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for number in range(6):
        (images / f"{number}.png").write_bytes((data / "JPEGImages" / f"{number:03}.png").read_bytes())
    predict(run, [str(images)], out=images, threshold=0.05)
    with pytest.raises(DataError, match="predict"):
        convolve.data(str(images), progress=False)
    examined = convolve.data(str(images / "predictions.json"), progress=False)
    assert sum(examined.findings.totals["objects"]) > 0


def best_overlaps(found: BoxPrediction, objects: list[list[float]]) -> list[float]:
    """For each object the best overlap with a detection of its class."""
    result = []
    for *box, kind in objects:
        own = np.array([each.box for each in found.detections if each.name == CLASSES[int(kind)]]).reshape(-1, 4)
        result.append(float(intersection_over_union(np.array([box]), own).max(initial=0.0)))
    return result


def test_tiles_find_small_objects_of_a_large_image_once(run: Path, tmp_path: Path) -> None:
    """Sixteen scenes side by side: as a whole they are too small for the network."""
    random = np.random.default_rng(5)
    image, objects = np.zeros((256, 320, 3), np.uint8), []
    for row, column in np.ndindex(4, 4):
        part, found = scene(random)
        image[64 * row : 64 * row + 64, 80 * column : 80 * column + 80] = part
        objects += [
            [left + 80 * column, top + 64 * row, right + 80 * column, bottom + 64 * row, kind]
            for left, top, right, bottom, kind in found
        ]
    Image.fromarray(image).save(tmp_path / "large.png")
    (whole,) = predict(run, tmp_path / "large.png", threshold=0.2)
    (tiled,) = predict(run, tmp_path / "large.png", threshold=0.2, tile=80)
    in_whole, in_tiles = (np.array(best_overlaps(one, objects)) for one in (whole, tiled))
    assert (in_tiles > 0.5).mean() > 0.7 > 0.3 > (in_whole > 0.5).mean()
    assert len(tiled.detections) < 2 * len(objects)
    for first in tiled.detections:
        same = np.array([other.box for other in tiled.detections if other.name == first.name and other != first])
        if len(same):
            assert intersection_over_union(np.array([first.box]), same).max() <= 0.45


def test_objects_are_counted(
    run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [data / "JPEGImages" / f"{number:03}.png" for number in range(4)]
    found = predict(run, list(map(str, images)))
    totals = {name: sum(one.counts[name] for one in found) for name in CLASSES}
    command = Command(monkeypatch, capsys)
    shown = command("predict", run, *images, "--count", "--csv", tmp_path / "counts.csv")
    assert shown.code == 0
    last = shown.out.strip().splitlines()[-1].split()
    assert last == ["all", "images", *map(str, totals.values()), str(sum(totals.values()))]
    rows = list(csv.DictReader((tmp_path / "counts.csv").read_text("utf-8").splitlines()))
    assert [row["disc"] for row in rows] == [str(one.counts["disc"]) for one in found]
    plain = command("predict", run, images[0])
    assert "most confident" in plain.out


def test_counts_of_many_classes_are_in_one_column() -> None:
    """A column for each of 80 classes leaves no room for any in a terminal."""
    names = tuple(f"class {number}" for number in range(80))
    found = tuple(Detection(name, 0.9, (0, 0, 1, 1)) for name in ("class 7", "class 7", "class 50"))
    cells = BoxPrediction("a.png", (10, 20), found, names=names, counted=True).cells()
    assert cells == {"image": "a.png", "size": "20x10", "objects": "2 class 7, 1 class 50", "all": "3"}
    few = BoxPrediction("a.png", (10, 20), found, names=("class 7", "class 50"), counted=True).cells()
    assert few == {"image": "a.png", "size": "20x10", "class 7": "2", "class 50": "1", "all": "3"}


def test_nms_and_the_number_of_detections_are_chosen_when_predicting(run: Path, data: Path) -> None:
    images = str(data / "JPEGImages")
    plain, loose, soft = (
        sum(len(one.detections) for one in predict(run, [images], threshold=0.05, **options))
        for options in ({}, {"nms_iou": 0.9}, {"nms": "soft"})
    )
    assert plain < loose
    assert soft != plain
    assert max(len(one.detections) for one in predict(run, [images], threshold=0.01, top=2)) == 2


def test_killed_it_resumes_to_the_same_bits(trained: Trained, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", _SCRIPT.format(options=OPTIONS), str(data), str(run)])
    deadline = time.monotonic() + 240
    while not (run / "metrics.jsonl").exists() or len((run / "metrics.jsonl").read_text().splitlines()) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not json.loads((run / "manifest.json").read_text())["results"]
    train(resume=run)
    for name in ("weights.safetensors", "metrics.jsonl", "splits.json"):
        assert (run / name).read_bytes() == (trained.run / name).read_bytes()


def test_detections_are_explained_and_held_against_the_datas_own_boxes(run: Path, tmp_path: Path) -> None:
    found = convolve.explain(run, method=["occlusion", "saliency"], threads=1, out=tmp_path, progress=False)
    assert found.methods[0].boxed_images > 5
    assert (found.methods[0].pointing or 0) > 0.5
    with np.load(found.arrays) as arrays:
        regions, maps = arrays["regions"], arrays["attributions"]
    assert regions.any((1, 2, 3)).sum() > 5
    for number, one in enumerate(image for image in found.images if not image.error):
        if one.prediction == "no object":
            assert not regions[number].any()
            assert not maps[number].any()
        else:
            assert one.prediction in CLASSES
            assert np.abs(maps[number]).max() > 0
    chosen = convolve.explain(run, method="occlusion", classes=["네모"], threads=1, out=tmp_path / "b", progress=False)
    assert {name for image in chosen.images for name in image.scores} <= {"네모", "no object"}


def test_the_default_method_is_that_of_the_task(run: Path, tmp_path: Path) -> None:
    found = convolve.explain(run, threads=1, out=tmp_path, progress=False)
    assert [each.method for each in found.methods] == ["layer-cam"]


def test_runs_are_compared(run: Path, tmp_path: Path) -> None:
    found = convolve.compare([run, run], threads=1, figure=tmp_path / "figure.svg", progress=False)
    assert found.runs[0].metric == "AP50"
    assert found.runs[0].value == open_run(run).manifest.results["test"]["metrics"]["ap50"]
    assert "AP50" in (tmp_path / "figure.svg").read_text(encoding="utf-8")


def test_weights_of_a_detector_keep_their_anchors(run: Path, data: Path, tmp_path: Path) -> None:
    short = OPTIONS | {"epochs": 1}
    own = train(data, **short, weights=str(run), learning_rate=1e-6, out=tmp_path / "own").run
    fitted = train(data, **short | {"seed": 9}, weights=str(run), anchors="kmeans", out=tmp_path / "fitted").run
    default = train(data, **short, anchors="network", out=tmp_path / "default").run
    tables = []
    for each in (run, own, fitted, default):
        task, _ = restore_task(open_run(each), RuntimeOptions(threads=1))
        assert isinstance(task, Detect)
        found = network_anchors(task)
        assert found is not None
        tables.append(found.tolist())
    assert tables[0] == tables[1]
    assert tables[0] != tables[2]
    assert tables[3] == [[12, 12], [24, 24]]
    assert 'anchors = "network"' in (own / "recipe.toml").read_text()
    assert 'anchors = "kmeans"' in (fitted / "recipe.toml").read_text()
    assert open_run(own).manifest.results["test"]["metrics"]["ap50"] > 0.5


def test_frozen_stages_averages_early_stopping_and_folds(data: Path, run: Path, tmp_path: Path) -> None:
    options = OPTIONS | {"epochs": 2, "weights": str(run), "freeze": "stage2", "ema_decay": 0.9, "patience": 1}
    folds = convolve.train(str(data), **options, folds=2, out=tmp_path / "folds")
    assert isinstance(folds, Folds)
    assert len(folds.runs) == 2
    assert 0 < folds.metrics()["ap50"]["mean"] <= 1
    assert folds.as_json()["metrics"]["ap_large"] == {"mean": None, "std": None}  # there are only small objects
    assert "ap_large" not in "".join(map(str, render(folds)))
    before, _ = restore_task(open_run(run), RuntimeOptions(threads=1))
    frozen = train(data, **options, out=tmp_path / "frozen").run
    after, _ = restore_task(open_run(frozen), RuntimeOptions(threads=1))
    for name, tensor in before.network.state_dict().items():
        if name.startswith(("stages.stage1", "stages.stage2")):
            assert torch.equal(tensor, after.network.state_dict()[name])
    assert not torch.equal(
        before.network.state_dict()["head.layer.weight"], after.network.state_dict()["head.layer.weight"]
    )


def test_a_network_is_chosen_where_none_is_named(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(choice.CANDIDATES, "boxes", (Candidate(NAME, 64, large=False),))
    options = {name: value for name, value in OPTIONS.items() if name not in ("network", "size", "epochs")}
    found = train(data, **options, minutes=0.4, out=tmp_path / "run")
    assert found.task == "detect"
    assert open_run(found.run).recipe.network == NAME


def test_there_are_detectors_to_choose_from() -> None:
    for candidate in choice.CANDIDATES["boxes"]:
        assert registry.card(candidate.network).output == "boxes"
        assert candidate.size is None or candidate.size % registry.card(candidate.network).multiple == 0


def test_other_data_of_some_of_the_classes(run: Path, tmp_path: Path) -> None:
    voc_folder(tmp_path / "new", 12, (100, 90), seed=9)
    found = convolve.evaluate(run, str(tmp_path / "new"), threads=1, report=tmp_path / "a.html", progress=False)
    assert isinstance(found.evaluation, Evaluation)
    assert found.evaluation.images == 12
    for path in (tmp_path / "new" / "Annotations").glob("*.xml"):
        path.write_text(path.read_text("utf-8").replace("네모", "zebra"), encoding="utf-8")
    with pytest.raises(DataError, match="does not know the class 'zebra'"):
        convolve.evaluate(run, str(tmp_path / "new"), threads=1, report=tmp_path / "b.html", progress=False)


def test_an_image_with_several_classes_or_none_is_one_image(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = Command(monkeypatch, capsys)("data", data, "--report", tmp_path / "data.html")
    assert shown.code == 0
    total = next(line.split() for line in shown.out.splitlines() if line.split()[:1] == ["all"])
    assert total[:2] == ["all", "90"]
    page = (tmp_path / "data.html").read_text("utf-8")
    assert '<tfoot><tr><th scope="row">All</th><td>90</td>' in page


@pytest.mark.parametrize("classes", ["data.yaml", "classes.txt"])
def test_a_run_on_yolos_text_files_reads_them_again(classes: str, tmp_path: Path) -> None:
    """The list of classes is no file that --annotations may name."""
    for folder in ("images", "labels"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(12):
        image, objects = scene(random)
        Image.fromarray(image).save(tmp_path / "data" / "images" / f"{number}.png")
        lines = [
            f"{kind:.0f} {(left + right) / 160} {(top + bottom) / 128} {(right - left) / 80} {(bottom - top) / 64}"
            for left, top, right, bottom, kind in objects
        ]
        (tmp_path / "data" / "labels" / f"{number}.txt").write_text("\n".join(lines), encoding="utf-8")
    names = f"names: [{', '.join(CLASSES)}]" if classes == "data.yaml" else "\n".join(CLASSES)
    (tmp_path / "data" / classes).write_text(names, encoding="utf-8")
    run = train(tmp_path / "data", **OPTIONS | {"epochs": 1}, out=tmp_path / "run").run
    assert open_run(run).recipe.reading.annotations is None
    found = convolve.evaluate(run, threads=1, split="all", report=tmp_path / "a.html", progress=False)
    assert isinstance(found.evaluation, Evaluation)
    assert found.evaluation.images == 12


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"network": "resnet18", "task": "detect"}, NetworkError, "gives scores for the whole image, .* for boxes"),
        ({"nms": "hard"}, OptionError, "^nms cannot be 'hard'; it must be per-class, agnostic or soft"),
        ({"nms_iou": 1.5}, OptionError, "^nms_iou cannot be 1.5; it must be a number from 0 to 1"),
        ({"mixup": 0.2}, OptionError, "^--mixup is an option of classify, not of detect; omit it"),
        ({"fit": "tiles"}, OptionError, "^--fit tiles is not available for the task detect; use letterbox, stretch or"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    options: dict[str, Any], error: type[Exception], words: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        train(data, **OPTIONS | options, out=tmp_path / "run")


@pytest.mark.parametrize(("name", "value"), [("top", 0), ("threshold", 1.5), ("nms_iou", -0.1), ("tile", 8)])
def test_numbers_out_of_range_are_refused(name: str, value: float, run: Path, data: Path) -> None:
    options: dict[str, Any] = {name: value, "progress": False}
    with pytest.raises(OptionError, match=rf"^{name} cannot be {value}; it must be a"):
        convolve.predict(run, data / "JPEGImages" / "000.png", **options)


def test_folders_of_classes_have_no_boxes(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"a": 6, "b": 6})
    with pytest.raises(DataError, match=r"has no boxes, only labels \(a folder for each of 2 classes\)"):
        train(data, **OPTIONS, task="detect", out=tmp_path / "run")


def test_data_without_any_box_is_refused(tmp_path: Path) -> None:
    voc_folder(tmp_path / "data", 8)
    for path in (tmp_path / "data" / "Annotations").glob("*.xml"):
        text = path.read_text("utf-8")
        path.write_text(
            text[: text.find("<object>")] + "</annotation>" if "<object>" in text else text, encoding="utf-8"
        )
    with pytest.raises(DataError, match=r"box|object"):
        train(tmp_path / "data", **OPTIONS, out=tmp_path / "run")
