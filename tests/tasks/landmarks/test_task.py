"""The task: what it accepts and chooses, its losses, and that it learns; each part by itself."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

import convolve
from convolve import models
from convolve.datasets.layouts import open_dataset
from convolve.datasets.points import Points
from convolve.datasets.reading import ReadingOptions
from convolve.errors import DataError, NetworkError, OptionError
from convolve.models import Network
from convolve.models.network import Card
from convolve.targets import PointTensors
from convolve.tasks.landmarks.options import LandmarkOptions
from convolve.tasks.landmarks.task import Landmarks, point_loss
from convolve.training.defaults import Facts
from convolve.training.run import open_run
from convolve.values import Dataset, Preprocessing, Splits
from convolve.verbs.train import Trained
from tests.tasks.landmarks.small import NAMES, table_folder

FACTS = Facts(100, 3, 64, photographs=False)
SQUARE = Preprocessing(32, 32, 3, "letterbox", (0.5,) * 3, (0.25,) * 3)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return open_dataset(table_folder(tmp_path_factory.mktemp("figures") / "data", 16))


def points_of(dataset: Dataset) -> Points:
    return cast(Points, dataset.ground_truths["points"])


def chosen(known: dict[str, object], card: Card, data: Dataset) -> dict[str, object]:
    return {name: value for name, value, _ in Landmarks.defaults(known, FACTS, card, points_of(data))}


def task_of(data: Dataset, network: Network, options: LandmarkOptions | None = None) -> Landmarks:
    every = np.arange(len(data))
    splits = Splits(every[:12], every[12:14], every[14:], "by hand")
    return Landmarks.build(network, points_of(data), options or LandmarkOptions(), splits, SQUARE)


def test_wing_is_equation_5() -> None:
    """w ln(1 + |x| / e) below w = 10, with e = 2; |x| - C above, and the two meet."""
    differences = torch.tensor([0.0, -1.0, 9.999, 10.001, -30.0])
    shift = 10 - 10 * np.log(6)
    expected = [0, 10 * np.log(1.5), 10 * np.log(1 + 9.999 / 2), 10.001 - shift, 30 - shift]
    assert point_loss(differences, "wing").tolist() == pytest.approx(expected, rel=1e-5)
    assert expected[2] == pytest.approx(expected[3], abs=0.01)


def test_the_other_losses_are_torchs() -> None:
    differences = torch.randn(50) * 5
    zeros = torch.zeros(50)
    assert torch.equal(point_loss(differences, "l1").mean(), F.l1_loss(differences, zeros))
    assert torch.equal(point_loss(differences, "smooth-l1").mean(), F.smooth_l1_loss(differences, zeros))


def test_defaults_follow_the_network_and_the_names(data: Dataset) -> None:
    heat, plain = models.card("stacked_hourglass"), models.card("resnet18")
    assert chosen({}, heat, data)["loss"] == "heatmap"
    assert chosen({}, plain, data)["loss"] == "wing"
    assert chosen({}, plain, data)["flip"] is True
    with pytest.raises(OptionError, match="resnet18 gives two numbers for each point and no heatmap"):
        chosen({"loss": "heatmap"}, plain, data)
    nameless = replace(points_of(data).point_set, partners=(0, 1, 2))
    other = replace(data, ground_truths={"points": replace(points_of(data), point_set=nameless)})
    assert chosen({}, plain, other)["flip"] is False
    with pytest.raises(OptionError, match="no names of these points say which; give them with --pairs"):
        chosen({"flip": True}, plain, other)


def test_a_mosaic_of_four_objects_is_refused(data: Dataset) -> None:
    with pytest.raises(OptionError, match="shows four objects, and these are the points of one; leave out --mosaic"):
        convolve.train(data.root, network="lenet5_keras", mosaic=0.5, progress=False)


def test_pairs_can_be_given(data: Dataset) -> None:
    accepted = Landmarks.accept(data, LandmarkOptions(pairs="head=left_foot"))
    assert points_of(accepted).point_set.partners == (1, 0, 2)
    assert points_of(Landmarks.accept(data, LandmarkOptions(pairs="names"))).point_set.partners == (0, 2, 1)
    with pytest.raises(DataError, match="--pairs has 'head', which is no pair"):
        Landmarks.accept(data, LandmarkOptions(pairs="head"))
    with pytest.raises(DataError, match="no point called tail"):
        Landmarks.accept(data, LandmarkOptions(pairs="head=tail"))


def test_a_network_of_zeros_predicts_the_mean_position(data: Dataset) -> None:
    network = models.create("lenet5_keras", 6, 3, (32, 32))
    for value in network.parameters():
        torch.nn.init.zeros_(value)
    task = task_of(data, network)
    with torch.no_grad():
        found = task.predict(torch.zeros(2, 3, 32, 32))
    learned = points_of(data).points[:12] * 0.5 + [0, 4]  # 64x48 letterboxed into 32x32
    assert found[0, :, :2].numpy() == pytest.approx(learned.mean(0), abs=1e-4)
    assert task.spread == pytest.approx(float(np.sqrt((((learned - learned.mean(0)) / 32) ** 2).mean())), rel=1e-5)


def test_regression_begins_at_the_mean_position(data: Dataset) -> None:
    task = task_of(data, models.create("deeppose_resnet20_cifar", 6, 3, (32, 32)))
    task.network.eval()
    with torch.no_grad():
        found = task.predict(torch.randn(2, 3, 32, 32))
    assert found[..., :2].numpy() == pytest.approx(np.stack([task.mean * 32] * 2), abs=1e-4)
    assert not task.has_heatmaps


@pytest.mark.parametrize("loss", ["wing", "l1", "smooth-l1"])
def test_a_perfect_answer_has_no_loss_and_unlabeled_points_do_not_count(data: Dataset, loss: str) -> None:
    network = models.create("lenet5_keras", 6, 3, (32, 32))
    task = task_of(data, network, LandmarkOptions(loss=loss))  # type: ignore[arg-type]
    images = torch.randn(2, 3, 32, 32)
    network.eval()
    with torch.no_grad():
        found = task.predict(images)[..., :2].clone()
        labeled = torch.tensor([[True, True, False], [True, False, False]])
        found[0, 2] += 100
        assert float(task.loss(images, PointTensors(found, labeled), None)["loss"]) == pytest.approx(0, abs=1e-4)
        found[0, 1, 0] += 1
        one = float(task.loss(images, PointTensors(found, labeled), None)["loss"])
    expected = float(point_loss(torch.tensor(8.0), task.loss_kind)) / 2 / 2 / 2  # x and y, 2 points, 2 images
    assert one == pytest.approx(expected, rel=1e-4)


def test_a_map_of_zeros_has_a_loss_of_one(data: Dataset) -> None:
    """Whatever the size of the map: sums over cells are those of the Gaussian."""
    for name in ("simple_baseline_resnet20_cifar", "unet_same"):
        network = models.create(name, 3, 3, (64, 64))
        for value in network.head.parameters():
            torch.nn.init.zeros_(value)
        task = task_of(data, network, LandmarkOptions(loss="heatmap", sigma=0.06))
        targets = PointTensors(torch.full((1, 3, 2), 32.0), torch.ones(1, 3, dtype=torch.bool))
        with torch.no_grad():
            found = task.loss(torch.randn(1, 3, 64, 64), targets, None)["loss"]
        assert float(found) == pytest.approx(1.0, rel=0.01)


def test_every_stack_is_learned_and_the_last_one_answers(data: Dataset) -> None:
    network = models.create("stacked_hourglass_2", 3, 3, (64, 64)).eval()
    task = task_of(data, network, LandmarkOptions(loss="heatmap"))
    images = torch.randn(1, 3, 64, 64)
    targets = PointTensors(torch.full((1, 3, 2), 32.0), torch.ones(1, 3, dtype=torch.bool))
    with torch.no_grad():
        first, last = task.outputs_for(images)
        each = [float(task._loss((output,), targets, (64, 64))) for output in (first, last)]
        assert float(task.loss(images, targets, None)["loss"]) == pytest.approx(sum(each) / 2, rel=1e-5)
        assert torch.equal(task.predict(images), task.positions(last, (64, 64)))


def test_data_with_other_points_is_refused(data: Dataset, tmp_path: Path) -> None:
    task = task_of(data, models.create("lenet5_keras", 6, 3, (32, 32)))
    other = table_folder(tmp_path / "data", 2)
    table = other / "points.csv"
    table.write_text(table.read_text().replace("head", "tail"))
    with pytest.raises(DataError, match="has a point 'tail'; the run knows head, left_foot, right_foot"):
        task.conform(open_dataset(other))


@pytest.mark.parametrize(
    "change", [{"loss": "other"}, {"mean": [[0.5, 0.5]]}, {"spread": 0}, {"partners": [1, 1, 2]}, {"sigma": "x"}]
)
def test_a_damaged_state_is_refused(data: Dataset, change: dict[str, object]) -> None:
    network = models.create("lenet5_keras", 6, 3, (32, 32))
    state = task_of(data, network).state()
    assert Landmarks.restore(network, json.loads(json.dumps(state))).state() == state
    with pytest.raises((ValueError, DataError)):
        Landmarks.restore(network, state | change)


@pytest.fixture(scope="module", params=["resnet20_cifar", "simple_baseline_resnet20_cifar"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    root = tmp_path_factory.mktemp("run")
    found = convolve.train(
        str(table_folder(root / "data", 60)),
        network=request.param,
        size=32,
        epochs=14,
        batch=8,
        threads=1,
        progress=False,
        out=root / "run",
    )
    assert isinstance(found, Trained)
    return found


def test_it_learns(trained: Trained) -> None:
    """The mean position of the training images has a mean PCK of about 70 %."""
    assert trained.task == "landmarks"
    metrics = trained.evaluation.metrics
    assert metrics["mean_pck"] > 0.78
    assert metrics["nme"] < 0.22
    assert "OKS" not in (trained.run / "report.html").read_text()
    assert "Worst images" in (trained.run / "report.html").read_text()
    assert "the side of a square" in (trained.run / "report.html").read_text()


def test_a_classifier_is_trained_with_dense_layers_that_see_positions(trained: Trained) -> None:
    assert open_run(trained.run).recipe.network in ("deeppose_resnet20_cifar", "simple_baseline_resnet20_cifar")


def test_predictions_are_in_the_images_own_pixels(trained: Trained, tmp_path: Path) -> None:
    """Twice as large an image has its points at twice the distance."""
    source = Path(trained.run).parent / "data" / "003.png"
    with Image.open(source) as image:
        image.resize((128, 96), Image.Resampling.NEAREST).save(tmp_path / "large.png")
    found = convolve.predict(
        trained.run, [str(source), str(tmp_path / "large.png")], task_options={"out": tmp_path / "drawn"},
        csv=tmp_path / "points.csv", progress=False,
    )  # fmt: skip
    small, large = (
        np.array([(point["x"], point["y"]) for point in one["points"]]) for one in found.as_json()["predictions"]
    )
    assert large / 2 == pytest.approx(small, abs=2.5)
    with (tmp_path / "points.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["point"] for row in rows] == [*NAMES, *NAMES]
    assert float(rows[0]["x"]) == pytest.approx(small[0, 0], abs=0.01)
    heatmaps = "simple_baseline" in (open_run(trained.run).recipe.network or "")
    assert [row["confidence"] != "" for row in rows] == [heatmaps] * 6
    with Image.open(tmp_path / "drawn" / "large_overlay.jpg") as drawn:
        assert drawn.size == (128, 96)


def test_predicted_points_are_read_as_cocos(trained: Trained, tmp_path: Path) -> None:
    """With the option that says so; next to other annotations they are no ground truth."""
    source = Path(trained.run).parent / "data" / "003.png"
    (tmp_path / "003.png").write_bytes(source.read_bytes())
    found = convolve.predict(
        trained.run, [str(tmp_path / "003.png")], task_options={"out": tmp_path}, progress=False
    ).as_json()
    (one,) = found["predictions"]
    written = tmp_path / "predictions.json"
    document = json.loads(written.read_text())
    (annotation,) = document["annotations"]
    assert document["categories"][0]["keypoints"] == list(NAMES)
    assert annotation["keypoints"] == [value for each in one["points"] for value in (each["x"], each["y"], 2)]
    left, top, width, height = annotation["bbox"]
    xs, ys = [each["x"] for each in one["points"]], [each["y"] for each in one["points"]]
    assert (left, top, left + width, top + height) == pytest.approx((min(xs), min(ys), max(xs), max(ys)))
    heatmaps = one["points"][0]["confidence"] is not None
    assert annotation["score"] == pytest.approx(
        np.mean([each["confidence"] for each in one["points"]]) if heatmaps else 1.0
    )
    again = open_dataset(written, ReadingOptions(layout="coco-keypoints"))
    corner = again.images.boxes[0, :2]  # type: ignore[attr-defined]
    expected = np.array([(each["x"], each["y"]) for each in one["points"]])
    assert points_of(again).points[0] + corner == pytest.approx(expected, abs=1e-6)
    with pytest.raises(DataError):
        open_dataset(tmp_path, ReadingOptions(layout="coco-keypoints"))


def test_points_below_the_threshold_are_not_written(trained: Trained, tmp_path: Path) -> None:
    """Regression does not say how sure it is, and has none of them."""
    names = [str(Path(trained.run).parent / "data" / "003.png")]
    (plain,) = convolve.predict(trained.run, names, progress=False).as_json()["predictions"]
    sure = [each["confidence"] for each in plain["points"]]
    threshold = 1.0 if None in sure else sorted(sure)[1]
    convolve.predict(trained.run, names, task_options={"out": tmp_path, "threshold": threshold}, progress=False)
    (found,) = json.loads((tmp_path / "predictions.json").read_text())["annotations"]
    shown = [each is None or each >= threshold for each in sure]
    assert found["keypoints"][2::3] == [2 if flag else 0 for flag in shown]
    assert found["num_keypoints"] == sum(shown) == (3 if None in sure else 2)
    assert [value for value, flag in zip(found["keypoints"][::3], shown, strict=True) if not flag] == [0] * (
        3 - sum(shown)
    )
    xs = [each["x"] for each, flag in zip(plain["points"], shown, strict=True) if flag]
    assert found["bbox"][::2] == pytest.approx([min(xs), max(xs) - min(xs)])
    if None not in sure:
        convolve.predict(trained.run, names, task_options={"out": tmp_path, "threshold": 1.0}, progress=False)
        nothing = json.loads((tmp_path / "predictions.json").read_text())
        assert (len(nothing["images"]), nothing["annotations"]) == (1, [])


def test_several_objects_of_an_image_are_found_in_its_own_pixels(trained: Trained, tmp_path: Path) -> None:
    """Each as in an image of its own; all are drawn into one."""
    names = [Path(trained.run).parent / "data" / f"00{number}.png" for number in (3, 4)]
    alone = convolve.predict(trained.run, list(map(str, names)), progress=False).as_json()["predictions"]
    two = np.concatenate([np.asarray(Image.open(name)) for name in names], axis=1)
    Image.fromarray(two).save(tmp_path / "two.png")
    boxes = {
        "images": [{"id": 1, "file_name": "two.png", "height": 48, "width": 128}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [left, 0, 64, 48]} for left in (0, 64)],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    found = convolve.predict(
        trained.run, [str(tmp_path / "two.png")], boxes=tmp_path / "boxes.json", box_margin=0, progress=False,
        task_options={"out": tmp_path / "out"},
    ).as_json()["predictions"]  # fmt: skip
    assert [Path(one["image"]).name for one in found] == ["two.png#1", "two.png#2"]
    for one, other, left in zip(found, alone, (0, 64), strict=True):
        assert one["size"] == [48, 128]
        points = np.array([(each["x"] - left, each["y"]) for each in one["points"]])
        assert points == pytest.approx(np.array([(each["x"], each["y"]) for each in other["points"]]), abs=1e-3)
    assert {one["overlay"] for one in found} == {str(tmp_path / "out" / "two_overlay.jpg")}
    document = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert [one["file_name"] for one in document["images"]] == ["two.png"]
    assert [one["image_id"] for one in document["annotations"]] == [1, 1]
    with Image.open(tmp_path / "out" / "two_overlay.jpg") as drawn:
        changed = np.abs(np.asarray(drawn).astype(int) - two).max(2) > 60
    assert changed[:, :64].sum() >= 4
    assert changed[:, 64:].sum() >= 4
    with pytest.raises(OptionError, match="add --boxes"):
        convolve.predict(trained.run, [str(names[0])], box_margin=0, progress=False)


def test_a_file_of_another_program_is_not_written_over(trained: Trained, tmp_path: Path) -> None:
    source = Path(trained.run).parent / "data" / "003.png"
    (tmp_path / "predictions.json").write_text("[]")
    with pytest.raises(DataError, match=r"predictions\.json"):
        convolve.predict(trained.run, [str(source)], task_options={"out": tmp_path}, progress=False)


def test_a_run_can_be_evaluated_again(trained: Trained) -> None:
    found = convolve.evaluate(trained.run, progress=False)
    assert found.evaluation.as_json() == trained.evaluation.as_json()


def test_a_point_can_be_explained(trained: Trained, tmp_path: Path) -> None:
    source = Path(trained.run).parent / "data" / "003.png"
    found = convolve.explain(
        trained.run, [str(source)], classes=["left_foot"], out=tmp_path / "explained", progress=False
    )
    assert "left_foot" in json.dumps(found.as_json())
    assert list((tmp_path / "explained").glob("*.png"))
    with pytest.raises(DataError, match=r"'tail'; it knows head, left_foot, right_foot\."):
        convolve.explain(trained.run, [str(source)], classes=["tail"], progress=False)


@pytest.mark.parametrize("to", ["openvino", "onnx"])
def test_an_export_finds_the_same_points(trained: Trained, to: Literal["openvino", "onnx"], tmp_path: Path) -> None:
    """In images of the run's size and of others; the code in its README runs."""
    if to == "onnx":
        pytest.importorskip("onnxruntime")
    data = Path(trained.run).parent / "data"
    with Image.open(data / "003.png") as image:
        image.resize((150, 90)).save(tmp_path / "large.png")
    export = tmp_path / "export"
    written = convolve.export(trained.run, out=export, to=to, progress=False)
    assert written.card.parity["changed"] == 0
    names = [str(data / "003.png"), str(tmp_path / "large.png")]
    expected, found = (
        convolve.predict(each, names, progress=False).as_json()["predictions"] for each in (trained.run, export)
    )
    for one, other in zip(expected, found, strict=True):
        points = [np.array([(point["x"], point["y"]) for point in each["points"]]) for each in (one, other)]
        assert points[1] == pytest.approx(points[0], abs=0.02 * max(one["size"]))
        assert [each["name"] for each in other["points"]] == list(NAMES)
        assert [each["confidence"] is None for each in other["points"]] == [
            each["confidence"] is None for each in one["points"]
        ]
    again = convolve.evaluate(export, str(data), progress=False)
    assert again.evaluation.metrics["nme"] == pytest.approx(
        convolve.evaluate(trained.run, split="all", progress=False).evaluation.metrics["nme"], abs=0.02
    )
    code = (export / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    done = subprocess.run(
        [sys.executable, "-c", code, names[0]], cwd=export, capture_output=True, text=True, check=True
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(NAMES)
    assert float(done.stdout.split()[1]) == pytest.approx(found[0]["points"][0]["x"], abs=0.1)


def test_a_network_for_boxes_is_refused(data: Dataset) -> None:
    with pytest.raises(NetworkError, match="gives scores for boxes, but the task landmarks needs them for points"):
        convolve.train(data.root, network="yolo_v2", progress=False)
