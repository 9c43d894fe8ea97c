"""Depth from training to files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from numpy.testing import assert_allclose
from PIL import Image

import convolve
from convolve import models
from convolve.datasets.preprocess import fit_to_input
from convolve.errors import ConvolveError, DataError, OptionError
from convolve.marks import has_mark
from convolve.tasks.depth.evaluation import CONSTANT, SCALED, Evaluation, measure_depths
from convolve.tasks.depth.explanation import explanation_targets
from convolve.tasks.depth.options import DepthPredictOptions
from convolve.tasks.depth.prediction import DepthPrediction, DepthPredictions, as_stored, at_image_size
from convolve.tasks.depth.task import Depth, scale_invariant_loss
from convolve.training.checkpoints import RunFiles
from convolve.values import Preprocessing
from tests.tasks.depth.small import depth_folder, scene

OPTIONS: dict[str, Any] = {
    "task": "depth", "network": "fcn1s_resnet20_cifar", "size": 32, "epochs": 3, "batch": 4, "threads": 1,
    "progress": False,
}  # fmt: skip


def _stored(path: Path) -> npt.NDArray[np.float64]:
    """The numbers in a depth map's file."""
    with Image.open(path) as image:
        return np.asarray(image).astype(np.float64)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("depth")
    convolve.train(str(depth_folder(root / "data", 16)), **OPTIONS, out=root / "run")
    return root / "run"


def test_scale_invariant_loss_is_that_of_all_pairs() -> None:
    """Eigen et al. 2014, equation 3: with lambda 1 it compares the differences of all pairs of pixels."""
    random = np.random.default_rng(0)
    depths, targets = random.uniform(1, 9, (2, 3, 4, 5))
    targets[:, 0] = 0  # unknown
    targets[2] = 0
    found = scale_invariant_loss(torch.from_numpy(depths).log(), torch.from_numpy(targets), 1.0)
    expected = []
    for depth, target in zip(depths[:2, 1:].reshape(2, -1), targets[:2, 1:].reshape(2, -1), strict=True):
        own, true = (np.log(each)[:, None] - np.log(each) for each in (depth, target))
        expected.append(((own - true) ** 2).sum() / (2 * depth.size**2))
    assert float(found) == pytest.approx(np.mean(expected))


def test_lambda_says_how_much_of_a_wrong_scale_is_forgiven() -> None:
    targets = torch.full((2, 3, 3), 2.0)
    logarithms = (3 * targets).log()
    for si_lambda in (0.0, 0.5, 0.85, 1.0):
        expected = (1 - si_lambda) * np.log(3) ** 2
        found = scale_invariant_loss(logarithms, targets, si_lambda)
        assert float(found) == pytest.approx(expected, abs=1e-6)


def test_a_run_stores_the_unit_and_the_median(run: Path) -> None:
    recipe, manifest = (run / "recipe.toml").read_text(), json.loads((run / "manifest.json").read_text())
    assert 'layout = "depth"' in recipe
    assert "si_lambda = 0.5" in recipe
    assert manifest["runtime"]["precision"] == "fp32"
    assert manifest["state"]["per_meter"] == 1000
    medians = [np.median(scene(number)[1][1:]) / 1000 for number in range(16)]
    assert min(medians) <= manifest["state"]["center"] <= max(medians)
    assert {SCALED, CONSTANT} == manifest["results"]["test"]["baselines"].keys()
    page = (run / "report.html").read_text()
    assert page.count("the predicted depth") == 2 * len(manifest["results"]["test"]["each"])


def test_evaluation_of_another_folder(run: Path, tmp_path: Path) -> None:
    other = depth_folder(tmp_path / "other", 2)
    found = convolve.evaluate(run, str(other), threads=1, progress=False).evaluation
    assert isinstance(found, Evaluation)
    assert found.images == 2


def test_metrics_are_of_known_pixels_and_mean_over_images() -> None:
    target = np.array([[0, 1, 2], [4, 0, 8]], np.float32)
    depth = np.array([[9, 1, 3], [4, 9, 4]], np.float32)
    found = measure_depths("test", 2.0, str, [(0, target, depth), (1, target, 2 * target + (target == 0))])
    first, second = (one.metrics["network"] for one in found.each)
    assert first["delta1"] == 0.5
    assert first["abs_rel"] == pytest.approx((0 + 0.5 + 0 + 0.5) / 4)
    assert first["rmse"] == pytest.approx(np.sqrt((1 + 16) / 4))
    assert second["abs_rel"] == 1
    assert found.each[1].metrics[SCALED]["abs_rel"] == 0
    assert found.metrics["abs_rel"] == pytest.approx((0.25 + 1) / 2)
    assert found.baselines[CONSTANT]["abs_rel"] == pytest.approx((1 + 0 + 0.5 + 0.75) / 4)
    assert [(each.start, each.pixels) for each in found.ranges] == [(1, 2), (2, 2), (4, 2), (8, 2)]
    assert found.ranges[-1].error == pytest.approx((4 + 8) / 2)
    with pytest.raises(DataError, match="None of the images to evaluate has a pixel of known depth"):
        measure_depths("test", 2.0, str, [(0, 0 * target, depth)])


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
def test_depths_return_to_where_their_pixels_were(fit: Any) -> None:
    """A map that is the image's own brightness comes back as that brightness."""
    preprocessing = Preprocessing(40, 40, 1, fit, (0.5,), (0.25,))
    ramp = np.add.outer(np.arange(60), 2 * np.arange(90)).astype(np.uint8)
    depth = fit_to_input(ramp[..., None], preprocessing)[..., 0].astype(np.float32)
    back = at_image_size(depth, ramp.shape, preprocessing)
    assert back.shape == ramp.shape
    assert_allclose(back[3:-3, 3:-3], ramp[3:-3, 3:-3], atol=2.5)


def test_files_of_predictions(run: Path, tmp_path: Path) -> None:
    images = run.parent / "data" / "images"
    found, _ = convolve.predict(
        run, (str(images / "0.png"), str(images / "1.png")), out=tmp_path, threads=1, progress=False
    ).predictions
    assert isinstance(found, DepthPrediction)
    stored = _stored(tmp_path / "0_depth.png") / found.per_meter
    assert stored.shape == (24, 32)
    assert has_mark(tmp_path / "0_depth.png")
    document = found.as_json()
    assert_allclose([stored.min(), np.median(stored), stored.max()],
                    [document[name] for name in ("nearest", "median", "farthest")], atol=0.002)  # fmt: skip
    with Image.open(tmp_path / "1_overlay.jpg") as overlay:
        assert overlay.size == (32, 24)


def test_what_is_too_far_for_16_bits_is_the_largest_number() -> None:
    assert as_stored(np.array([[0.0001, 1, 300]], np.float32), 256).tolist() == [[1, 256, 65535]]
    row = DepthPredictions(256, DepthPredictOptions()).unreadable("a.png", "It is broken.").entries()[0]
    assert (row["median"], row["error"]) == ("", "It is broken.")


def test_a_stopped_training_resumes_to_the_same_weights(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFiles, "close_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            convolve.train(str(run.parent / "data"), **OPTIONS, out=tmp_path / "run")
    convolve.train(resume=tmp_path / "run", progress=False)
    name = "weights.safetensors"
    assert (tmp_path / "run" / name).read_bytes() == (run / name).read_bytes()


def test_an_export_finds_the_same_depths(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    made = convolve.export(run, out=tmp_path / "export", threads=1, progress=False)
    assert made.card.parity["changed"] <= 0.02 * made.card.parity["answers"]
    image = str(run.parent / "data" / "images" / "3.png")
    for each in (run, tmp_path / "export"):
        convolve.predict(each, (image,), out=tmp_path / f"of_{each.name}", threads=1, progress=False)
    own, theirs = (_stored(tmp_path / name / "3_depth.png") for name in ("of_run", "of_export"))
    assert (abs(theirs / own - 1) > 0.02).mean() <= 0.02
    data = str(run.parent / "data")
    mine = convolve.evaluate(run, data, split="all", threads=1, progress=False).evaluation.metrics
    found = convolve.evaluate(tmp_path / "export", data, threads=1, progress=False).evaluation.metrics
    assert found["abs_rel"] == pytest.approx(mine["abs_rel"], rel=0.02)


def test_what_is_explained_is_a_window_of_the_map() -> None:
    network = models.create("fcn1s_resnet20_cifar", 1, size=(32, 32)).eval()
    preprocessing = Preprocessing(32, 32, 3, "letterbox", (0.5,) * 3, (0.25,) * 3)
    task = Depth(network, 2.0, 1000.0)
    inputs = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    sizes = np.array([[16, 32], [32, 32]])
    found = explanation_targets(task, inputs, sizes, (0, 1, 2), preprocessing)
    assert found.names[0] == ("center", "nearest", "farthest")
    assert found.regions is not None
    assert not found.regions[0, :, :8].any()  # of the padding nothing is explained
    depths = task.predict(inputs).detach().numpy()
    assert found.regions[1, 1].ravel()[depths[1].argmin()]
    assert found.regions[1, 2].ravel()[depths[1].argmax()]
    scores = task.probabilities(inputs)
    with torch.inference_mode():
        expected = scores[1, 0][torch.from_numpy(found.regions[1, 2])].mean()
        assert float(found.targets[2](scores)[1]) == pytest.approx(float(expected), rel=1e-5)


def test_what_a_person_cannot_ask(run: Path) -> None:
    data = str(run.parent / "data")
    with pytest.raises(OptionError, match="fit crop is not available for the task depth; use stretch or letterbox"):
        convolve.train(data, **OPTIONS, fit="crop")
    with pytest.raises(OptionError, match=r"si_lambda cannot be 2"):
        convolve.train(data, **OPTIONS, si_lambda=2.0)
    with pytest.raises(ConvolveError, match="--depth-scale cannot be -1; it must be a number above 0"):
        convolve.data(data, task="depth", depth_scale=-1.0, progress=False)


def test_states_that_are_none() -> None:
    network = models.create("fcn1s_resnet20_cifar", 1, size=(32, 32))
    states: tuple[dict[str, Any], ...] = (
        {},
        {"center": 0, "per_meter": 1},
        {"center": 1, "per_meter": float("nan")},
        {"center": []},
    )
    for state in states:
        with pytest.raises((KeyError, ValueError, TypeError)):
            Depth.restore(network, state)
