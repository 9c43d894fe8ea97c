"""Localization from the command to the export: one box for each image, next to its class."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import convolve
from convolve.errors import DataError, NetworkError, OptionError
from convolve.metrics.boxes import intersection_over_union
from convolve.tasks.localize.evaluation import Evaluation
from convolve.tasks.localize.prediction import LocalizationPrediction
from convolve.training.run import open_run
from convolve.verbs.train import Trained
from tests.datasets.layouts.test_pets import put_trimaps
from tests.tasks.localize.small import CLASSES, shapes_folder
from tests.verbs.synthetic import folders

OPTIONS: dict[str, Any] = {
    "task": "localize",
    "network": "resnet20_cifar",
    "size": 64,
    "epochs": 20,
    "batch": 16,
    "learning_rate": 0.003,
    "validation": 0.2,
    "test": 0.2,
    "seed": 0,
    "threads": 1,
    "precision": "fp32",
    "progress": False,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shapes_folder(tmp_path_factory.mktemp("data") / "shapes", 120)


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    found = convolve.train(data, **OPTIONS, out=tmp_path_factory.mktemp("runs") / "shapes")
    assert isinstance(found, Trained)
    return found


def test_a_classifiers_name_is_enough_and_it_learns(trained: Trained) -> None:
    run = open_run(trained.run)
    assert (run.manifest.task, run.recipe.network) == ("localize", "localize_resnet20_cifar")
    assert trained.evaluation.metrics["mean_iou"] > 0.55
    assert trained.evaluation.metrics["accuracy"] > 0.9
    assert trained.evaluation.metrics["localization_accuracy"] > 0.5


def test_the_report_shows_class_and_box(trained: Trained) -> None:
    page = trained.report.read_text(encoding="utf-8")
    for text in ("Localization accuracy", "Mean IoU", 'id="overlap"', 'id="confusion"', 'id="classes"'):
        assert text in page


def test_evaluated_again_it_is_the_same(trained: Trained, tmp_path: Path) -> None:
    again = convolve.evaluate(trained.run, report=tmp_path / "page.html", threads=1, progress=False)
    assert again.evaluation.as_json() == trained.evaluation.as_json()


def test_boxes_are_predicted_in_the_images_own_pixels_and_drawn(trained: Trained, data: Path, tmp_path: Path) -> None:
    evaluation = trained.evaluation
    assert isinstance(evaluation, Evaluation)
    row = int(evaluation.localized.overlaps.argmax())
    number = f"{int(evaluation.localized.indices[row]):03}"
    image = data / "JPEGImages" / f"{number}.png"
    with Image.open(image) as opened:
        opened.resize((5 * opened.width, 5 * opened.height), Image.Resampling.NEAREST).save(tmp_path / "larger.png")
    (tmp_path / "broken.png").write_bytes(b"none")
    found = convolve.predict(
        trained.run,
        [image, tmp_path / "larger.png", tmp_path / "broken.png"],
        out=tmp_path / "out",
        csv=tmp_path / "found.csv",
        top=1,
        threads=1,
        progress=False,
    )
    one, larger, broken = found.predictions
    assert isinstance(one, LocalizationPrediction)
    assert isinstance(larger, LocalizationPrediction)
    assert isinstance(broken, LocalizationPrediction)
    assert one.box is not None
    assert larger.box is not None
    assert np.abs(np.array(one.box) - evaluation.localized.boxes[row]).max() < 0.5
    scaled = intersection_over_union(np.array([larger.box]), 5 * np.array([one.box]))
    assert float(scaled[0, 0]) > 0.9
    assert (broken.box, broken.label) == (None, "")
    assert broken.error
    assert Path(one.overlay).is_file()
    with (tmp_path / "found.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [rows[0][name] for name in ("label", "left", "bottom")] == [
        one.label,
        f"{one.box[0]:.2f}",
        f"{one.box[3]:.2f}",
    ]
    assert rows[2]["left"] == ""
    document = json.loads((tmp_path / "out" / "predictions.json").read_text())
    left, top, right, bottom = one.box
    assert document["annotations"][0]["bbox"] == pytest.approx([left, top, right - left, bottom - top])
    assert document["categories"][document["annotations"][0]["category_id"] - 1]["name"] == one.label


def test_below_the_threshold_it_is_unsure(trained: Trained, data: Path) -> None:
    found = convolve.predict(trained.run, data / "JPEGImages" / "000.png", threshold=1.0, threads=1, progress=False)
    (one,) = found.predictions
    assert isinstance(one, LocalizationPrediction)
    assert one.label == "unsure"
    assert one.box is not None


def test_a_class_is_explained_and_held_against_the_datas_own_boxes(trained: Trained, tmp_path: Path) -> None:
    found = convolve.explain(trained.run, threads=1, out=tmp_path, progress=False)
    assert {image.ground_truth for image in found.images} == set(CLASSES)
    with np.load(found.arrays) as arrays:
        assert arrays["attributions"].shape[-2:] == (64, 64)
    (method,) = found.methods  # the classifier's own head ends in an average over positions
    assert method.method == "cam"
    assert method.localization is not None


def test_frozen_stages_are_computed_once_and_boxes_are_still_learned(
    trained: Trained, data: Path, tmp_path: Path
) -> None:
    plain = {"crop": 1.0, "scale": 0.0, "translate": 0.0, "flip": False, "brightness": 0.0, "contrast": 0.0}
    options = OPTIONS | plain | {"saturation": 0.0, "epochs": 8, "freeze": "stage3", "weights": trained.run}
    found = convolve.train(data, **options, out=tmp_path / "run")
    assert found.evaluation.metrics["mean_iou"] > 0.5  # type: ignore[union-attr]


def test_an_export_answers_as_the_run_does(trained: Trained, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    convolve.export(trained.run, out=tmp_path / "export", threads=1, progress=False)
    again = convolve.evaluate(tmp_path / "export", data, progress=False)
    own = convolve.evaluate(trained.run, split="all", report=tmp_path / "page.html", threads=1, progress=False)
    assert again.evaluation.metrics["mean_iou"] == pytest.approx(own.evaluation.metrics["mean_iou"], abs=0.01)
    images = [data / "JPEGImages" / name for name in ("000.png", "001.png")]
    exported = convolve.predict(tmp_path / "export", images, out=tmp_path / "out", progress=False).predictions
    for one, other in zip(
        convolve.predict(trained.run, images, threads=1, progress=False).predictions, exported, strict=True
    ):
        assert isinstance(one, LocalizationPrediction)
        assert isinstance(other, LocalizationPrediction)
        assert one.label == other.label
        assert np.abs(np.subtract(one.box or (), other.box or ())).max() < 1
        assert Path(other.overlay).is_file()


def test_evaluate_says_of_which_objects_of_other_data_it_speaks(trained: Trained, tmp_path: Path) -> None:
    other = shapes_folder(tmp_path / "several", 6)
    for number in (1, 4):
        path = other / "Annotations" / f"{number:03}.xml"
        box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>4</ymax></bndbox>"
        text = path.read_text()
        path.write_text(text.replace("</annotation>", f"<object><name>disc</name>{box}</object></annotation>"))
    (other / "Annotations" / "005.xml").write_text("<annotation><filename>005.png</filename></annotation>")
    found = convolve.evaluate(trained.run, other, report=tmp_path / "page.html", threads=1, progress=False)
    assert found.evaluation.images == 5
    none, several = found.evaluation.as_json()["notes"]
    assert none == "left out, as they show no object: 1 image, such as JPEGImages/005.png"
    assert several.startswith("of several objects in an image only the largest counts: 2 images, such as ")
    assert several.endswith("JPEGImages/001.png, JPEGImages/004.png")
    assert "only the largest counts" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_weights_of_a_classifier_start_it(tmp_path: Path, data: Path) -> None:
    images = folders(tmp_path / "images", {"ape": 12, "bee": 12})
    plain = {name: value for name, value in OPTIONS.items() if name not in ("task", "epochs", "size")}
    classifier = convolve.train(images, **plain, size=64, epochs=1, out=tmp_path / "classifier")
    found = convolve.train(data, **OPTIONS | {"epochs": 1}, weights=classifier.run, out=tmp_path / "run")  # type: ignore[union-attr]
    reason = open_run(found.run).manifest.reasons["weights"]  # type: ignore[union-attr]
    assert reason.startswith("randomly initialized: head.box.")
    assert "stages" not in reason


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"network": "linear"}, NetworkError, "has no convolutional stage"),
        ({"network": "fcn8s_resnet18"}, NetworkError, "gives scores for pixels, but the task localize needs them for"),
        ({"network": "resnet20_cifar", "gap": True}, NetworkError, "has a head of its own; leave out --gap"),
        ({"mixup": 0.2}, OptionError, "^--mixup is an option of classify, not of localize; omit it"),
        ({"fit": "tiles"}, OptionError, "^--fit tiles is not available for the task localize"),
        ({"multi_scale": 0.5}, OptionError, "cannot take; leave --multi-scale out"),
        ({"mosaic": 0.5, "box_weight": -1.0}, OptionError, "box_weight"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    data: Path, tmp_path: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        convolve.train(data, **OPTIONS | options, out=tmp_path / "run")


def test_images_without_boxes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no boxes"):
        convolve.train(folders(tmp_path / "images", {"ape": 12, "bee": 12}), **OPTIONS, out=tmp_path / "run")


def test_heads_of_pets_are_read_with_their_breeds(tmp_path: Path) -> None:
    root = put_trimaps(tmp_path / "pets")
    (root / "annotations" / "xmls").mkdir()
    for name in ("Bengal_3", "american_bulldog_10"):
        (root / "annotations" / "xmls" / f"{name}.xml").write_text(
            "<annotation><size><width>5</width><height>3</height></size><object><name>cat</name><bndbox><xmin>2</xmin>"
            "<ymin>1</ymin><xmax>4</xmax><ymax>3</ymax></bndbox></object></annotation>"
        )
    found = convolve.data(root, task="localize", progress=False)
    boxes = found.dataset.ground_truths["boxes"]
    assert boxes.classes == ("american bulldog", "Bengal")
    assert [found.dataset.images.name(index) for index in range(len(found.dataset))] == [
        "images/Bengal_3.jpg",
        "images/american_bulldog_10.jpg",
    ]
