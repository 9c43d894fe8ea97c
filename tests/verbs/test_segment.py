"""Segmentation from the command to the files that it writes: the commands know nothing of it."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco
from pycocotools.coco import COCO

import convolve
from convolve import models
from convolve.datasets.masks import colorize
from convolve.errors import DataError, NetworkError, OptionError, RunError
from convolve.setup.restore import open_evaluation_data, restore_task
from convolve.setup.runtime_options import RuntimeOptions
from convolve.setup.starting_weights import find_starting_weights
from convolve.tasks.segment.evaluation import Evaluation
from convolve.tasks.segment.prediction import MaskPrediction
from convolve.training.checkpoints import RunFiles
from convolve.training.run import open_run
from convolve.values import IGNORE
from tests.tasks.segment.small import PALETTE, QUICK, blobs, folder
from tests.test_cli import Command
from tests.verbs.synthetic import folders, train

FILES = ("weights.safetensors", "metrics.jsonl", "recipe.toml", "splits.json", "contact_sheet.png")
CLASSES = ("ground", "bright disc", "어두운 것")


def contents(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("blobs"))


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out: Path = tmp_path_factory.mktemp("runs") / "blobs"
    train(data, **QUICK | {"epochs": 20, "batch": 4, "learning_rate": 0.005}, out=out)
    return out


def test_it_learns_and_reports(run: Path) -> None:
    manifest = open_run(run).manifest
    assert manifest.task == "segment"
    assert manifest.state == {"classes": list(CLASSES), "colors": [list(color) for color in PALETTE]}
    metrics = manifest.results["test"]["metrics"]
    assert metrics["mean_iou"] > 0.6
    assert set(manifest.results["test"]["classes"]) == set(CLASSES)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Mean IoU" in page
    assert "어두운 것" in page
    assert "#f03c28" in page  # the legend has the dataset's own colors
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for name in ("train_loss", "loss"):
        assert lines[-1][name] < lines[0][name] / 2
    assert {"mean_iou", "pixel_accuracy", "mean_accuracy", "weighted_iou"} <= lines[0].keys()


def test_the_report_shows_both_losses(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    training = page[page.index('id="training"') :]
    losses = training[training.index("<svg") : training.index("</svg>")]
    assert {"training", "validation"} <= set(re.findall(r"<text[^>]*>([^<]*)</text>", losses))


def test_the_validation_loss_is_that_of_the_best_weights(run: Path, data: Path) -> None:
    """As the task itself measures it on the validation images."""
    opened = open_run(run)
    task, runtime = restore_task(opened, RuntimeOptions(threads=1))
    batches = open_evaluation_data(opened, task, runtime, None, "validation").batches
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    best = lines[opened.manifest.results["epoch"] - 1]
    evaluator, losses, images = task.evaluator(), 0.0, 0
    with torch.inference_mode():
        for batch in batches.epoch(0):
            inputs, targets = runtime.images(batch.images), batch.targets.to("cpu")
            losses += float(task.loss(inputs, targets, None)["loss"]) * len(inputs)
            evaluator.add(task.predict(inputs), batch)
            images += len(inputs)
    assert best["loss"] == pytest.approx(losses / images, rel=1e-5)
    assert best["mean_iou"] == evaluator.metrics()["mean_iou"]


def test_the_sheet_shows_masks_over_images(run: Path) -> None:
    sheet = np.asarray(Image.open(run / "contact_sheet.png").convert("RGB")).astype(int)
    red, green, blue = sheet[..., 0], sheet[..., 1], sheet[..., 2]
    assert np.mean((red > green + 60) & (red > 180)) > 0.01  # images are gray: color comes from masks alone
    assert np.mean(blue > red + 60) > 0.01


def test_a_recipe_repeats_and_a_stopped_run_continues_to_the_same_bits(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = QUICK | {"epochs": 2, "loss": "focal", "flip": True, "rotate": 20.0}
    first = train(data, **options, out=tmp_path / "first").run
    again = train(recipe=first / "recipe.toml", out=tmp_path / "again", threads=1, precision="fp32").run
    assert contents(again) == contents(first)
    plain = RunFiles.close_epoch

    def stop(files: RunFiles, *values: Any) -> None:
        plain(files, *values)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFiles, "close_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            train(data, **options, out=tmp_path / "stopped")
    train(resume=tmp_path / "stopped")
    assert contents(tmp_path / "stopped") == contents(first)


def test_a_changed_mask_is_changed_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    data = folder(tmp_path / "data", 12)
    with monkeypatch.context() as patch:
        patch.setattr(RunFiles, "close_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            train(data, **QUICK, out=tmp_path / "run")
    mask = Image.open(data / "masks" / "3.png")
    pixels = np.asarray(mask).copy()
    pixels[0, 0] = 1 if pixels[0, 0] != 1 else 0
    changed = Image.fromarray(pixels, "P")
    changed.putpalette(mask.getpalette() or [])
    changed.save(data / "masks" / "3.png")
    with pytest.raises(RunError, match="has changed since"):
        train(resume=tmp_path / "run")


def evaluate(run: Path, data: Path | None, folder: Path) -> Evaluation:
    found = convolve.evaluate(
        run, str(data) if data else None, threads=1, report=folder / "page.html", progress=False
    ).evaluation
    assert isinstance(found, Evaluation)
    return found


def test_evaluated_again_it_is_the_same(run: Path, tmp_path: Path) -> None:
    found = evaluate(run, None, tmp_path)
    assert found.as_json() == open_run(run).manifest.results["test"]
    assert found.matrix.sum() == 40 * 40 * found.images  # at the masks' own size


def test_other_data_of_another_size_with_some_of_the_classes(run: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(8)
    for name in ("images", "masks"):
        (tmp_path / "new" / name).mkdir(parents=True)
    for number in range(3):
        image, mask = blobs(random, (60, 100))
        image[mask == 1] = 110
        Image.fromarray(image).save(tmp_path / "new" / "images" / f"{number}.png")
        Image.fromarray(np.where(mask == 2, 1, np.where(mask == 1, IGNORE, 0)).astype(np.uint8)).save(
            tmp_path / "new" / "masks" / f"{number}.png"
        )
    (tmp_path / "new" / "classes.txt").write_text("ground\n어두운 것\n", encoding="utf-8")
    found = evaluate(run, tmp_path / "new", tmp_path)
    assert (found.split, found.images) == ("all", 3)
    assert found.matrix.sum(1)[1] == 0
    assert found.matrix.sum() < 3 * 60 * 100  # what is ignored does not count
    assert found.iou[2] > 0.4
    (tmp_path / "new" / "classes.txt").write_text("ground\nzebra\n", encoding="utf-8")
    with pytest.raises(DataError, match="does not know the class 'zebra'"):
        evaluate(run, tmp_path / "new", tmp_path)


def test_runs_are_compared(run: Path) -> None:
    (row, _) = convolve.compare([run, run], threads=1, progress=False).runs
    assert row.metric == "mean IoU"
    assert row.value == open_run(run).manifest.results["test"]["metrics"]["mean_iou"]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
def test_predictions_are_masks_at_the_images_own_size(run: Path, tmp_path: Path) -> None:
    image, target = blobs(np.random.default_rng(77), (90, 130))
    (tmp_path / "a" / "deep").mkdir(parents=True)
    Image.fromarray(image).save(tmp_path / "a" / "one.png")
    Image.fromarray(image[:50]).save(tmp_path / "a" / "deep" / "one.jpg", quality=95)
    (tmp_path / "a" / "bad.png").write_text("not an image")
    options: dict[str, Any] = {"threads": 1, "progress": False, "out": tmp_path / "out", "csv": tmp_path / "table.csv"}
    found = {one.image: one for one in convolve.predict(run, [str(tmp_path / "a")], **options).predictions}
    assert "bad.png" in found[str(tmp_path / "a" / "bad.png")].error
    whole, part = found[str(tmp_path / "a" / "one.png")], found[str(tmp_path / "a" / "deep" / "one.jpg")]
    assert isinstance(whole, MaskPrediction)
    assert isinstance(part, MaskPrediction)
    assert (whole.size, part.size) == ((90, 130), (50, 130))
    assert len({whole.mask, part.mask, whole.overlay, part.overlay}) == 4
    mask = Image.open(whole.mask)
    assert (mask.mode, mask.size) == ("P", (130, 90))
    assert (mask.getpalette() or [])[:9] == [value for color in PALETTE for value in color]
    indices = np.asarray(mask)
    assert np.mean(indices == target) > 0.8
    overlay = np.asarray(Image.open(whole.overlay)).astype(int)
    expected = (image.astype(int) + colorize(PALETTE, indices)) / 2
    assert np.abs(overlay - expected).mean() < 6  # it is a JPEG
    for name, region in whole.as_json()["classes"].items():
        theirs = coco.encode(np.asfortranarray(indices == CLASSES.index(name)))
        assert region["rle"] == {"size": theirs["size"], "counts": theirs["counts"].decode()}
        assert region["pixels"] == coco.area(region["rle"]) == round(region["fraction"] * indices.size)
        drawn = coco.merge(coco.frPyObjects(region["polygons"], *whole.size))
        assert np.array_equal(coco.decode(drawn) > 0, indices == CLASSES.index(name))
    assert {entry["file_name"] for entry in COCO(tmp_path / "out" / "predictions.json").dataset["images"]} == {
        "one.png",
        "deep/one.jpg",
    }
    rows = {row["image"]: row for row in csv.DictReader((tmp_path / "table.csv").read_text("utf-8").splitlines())}
    row = rows[str(tmp_path / "a" / "one.png")]
    assert sum(float(row[name]) for name in CLASSES) == pytest.approx(1, abs=1e-5)


def test_pixels_below_a_threshold_are_ignored(run: Path, data: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"threads": 1, "threshold": 0.8, "out": tmp_path, "progress": False}
    (found,) = convolve.predict(run, data / "images" / "0.png", **options).predictions
    assert isinstance(found, MaskPrediction)
    ignored = np.asarray(Image.open(found.mask)) == IGNORE
    assert 0 < ignored.mean() < 1
    fractions = [region.fraction for region in found.classes.values()]
    assert sum(fractions) == pytest.approx(1 - ignored.mean())
    assert fractions == sorted(fractions, reverse=True)


@pytest.mark.parametrize(("name", "value"), [("top", 0), ("threshold", 1.5)])
def test_numbers_out_of_range_are_refused(name: str, value: float, run: Path, data: Path) -> None:
    options: dict[str, Any] = {name: value, "progress": False}
    with pytest.raises(OptionError, match=rf"^{name} cannot be {value}; it must be a"):
        convolve.predict(run, data / "images" / "0.png", **options)


def test_the_command_shows_the_largest_classes(
    run: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = Command(monkeypatch, capsys)
    found = command("predict", run, data / "images" / "0.png", "--top", 1)
    assert found.code == 0
    assert "ground" in found.out
    assert "40x40" in found.out
    plain = json.loads(command("predict", run, data / "images" / "0.png", "--json").out)
    assert plain["predictions"][0]["classes"]["ground"]["rle"]["size"] == [40, 40]


def test_the_doctor_counts_pixels_by_class_and_names_what_is_skipped(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(data, tmp_path / "data"))
    (copy / "masks" / "5.png").unlink()
    broken = copy / "masks" / "6.png"
    broken.write_bytes(broken.read_bytes()[:60])
    found = Command(monkeypatch, capsys)("data", copy, "--sheet", tmp_path / "sheet.png")
    assert "left out: 1 without a mask, such as images/5.png" in " ".join(found.out.split())
    assert "masks/6.png cannot be read as a mask" in " ".join(found.out.split())
    examined = convolve.data(str(copy), progress=False)
    masks = [np.asarray(Image.open(copy / "masks" / f"{n}.png")) for n in range(24) if n not in (5, 6)]
    counts = np.bincount(np.concatenate([mask.ravel() for mask in masks]), minlength=3)
    assert examined.findings.totals["pixels"] == tuple(counts.tolist())
    assert f"{counts[1] / counts.sum():.2%}" in found.out
    assert len(examined.findings.usable) == 22
    assert (tmp_path / "sheet.png").is_file()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (
            {"network": "resnet18"},
            NetworkError,
            "resnet18 gives scores for the whole image, .* needs them for pixels; use --network fcn8s_resnet18",
        ),
        ({"mixup": 0.2}, OptionError, "^--mixup is an option of classify, not of segment; omit it"),
        ({"label_smoothing": 0.1}, OptionError, "^--label-smoothing is an option of classify"),
        ({"balance": "sampler"}, OptionError, "^balance cannot be 'sampler'; it must be none or weights"),
        ({"ignore": "sky"}, DataError, "has no class 'sky' to ignore; it has ground, bright disc"),
        (
            {"task": "classify", "network": "fcn8s_resnet18"},
            NetworkError,
            "gives scores for pixels, but the task classify needs them for the whole image; use --network resnet18",
        ),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    options: dict[str, Any], error: type[Exception], words: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        train(data, **QUICK | options, out=tmp_path / "run")
    assert not (tmp_path / "run" / "report.html").exists()


def test_folders_of_classes_have_no_masks(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"a": 6, "b": 6})
    with pytest.raises(DataError, match=r"has no masks, only labels \(a folder for each of 2 classes\)"):
        train(data, **QUICK, task="segment", out=tmp_path / "run")
    with pytest.raises(
        NetworkError,
        match="gives scores for pixels, but the task classify needs them for the whole image; use --network resnet20",
    ):
        train(data, **QUICK, out=tmp_path / "run")


def test_a_classifier_has_nothing_to_draw(digits_run: Path, tmp_path: Path) -> None:
    with pytest.raises(
        OptionError,
        match=r"^--out is an option of localize, faces, detect, segment, .* and stereo, not of classify",
    ):
        convolve.predict(digits_run, digits_run / "contact_sheet.png", out=tmp_path, progress=False)


def test_a_class_may_be_ignored(data: Path, tmp_path: Path) -> None:
    trained = train(data, **QUICK, ignore="ground", balance="weights", out=tmp_path / "run")
    assert isinstance(trained.evaluation, Evaluation)
    assert trained.evaluation.names == CLASSES[1:]
    assert open_run(trained.run).manifest.state["colors"] == [list(color) for color in PALETTE[1:]]
    counted = trained.evaluation.matrix.sum()
    assert 0 < counted < 40 * 40 * trained.evaluation.images
    assert evaluate(trained.run, None, tmp_path).as_json() == trained.evaluation.as_json()


def test_the_papers_recipe_learns_by_stages(data: Path, tmp_path: Path) -> None:
    recipe = Path(__file__).parents[2] / "recipes" / "fcn_heavy.toml"
    options = QUICK | {"recipe": recipe, "network": "fcn4s_resnet20_cifar", "learning_rate": 4e-6, "batch": 1}
    coarse = train(data, **options, out=tmp_path / "4s").run
    resolved = open_run(coarse).recipe
    assert (resolved.batch, resolved.optimization.momentum, resolved.optimization.bias_rate) == (1, 0.99, 2.0)
    assert (resolved.task_options["loss"], resolved.optimization.schedule) == ("cross-entropy-sum", "constant")
    (line,) = [json.loads(line) for line in (coarse / "metrics.jsonl").read_text().splitlines()]
    assert 100 < line["train_loss"] < 32 * 32 * math.log(3)  # a sum, below that of a guess
    for name, start, new in (("fcn2s", "4s", "stage2"), ("fcn1s", "2s", "stage1")):
        source = find_starting_weights(str(tmp_path / start), f"{name}_resnet20_cifar")
        network = models.create(f"{name}_resnet20_cifar", 3, 3, (32, 32))
        source.load(network)
        found = network.state_dict()
        loaded = {key for key, value in source.state.items() if torch.equal(value, found[key])}
        changed = found.keys() - loaded
        scores = {key for key in changed if not key.startswith("head.enlarge.")}
        assert scores == {f"head.scores.{new}.weight", f"head.scores.{new}.bias"}
        if name == "fcn2s":
            more = options | {"network": "fcn2s_resnet20_cifar", "weights": str(coarse), "learning_rate": 4e-7}
            train(data, **more, out=tmp_path / "2s")
