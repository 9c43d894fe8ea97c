"""Stereo pairs from training to files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from PIL import Image
from scipy.ndimage import map_coordinates  # type: ignore[import-untyped]
from skimage.metrics import structural_similarity as skimage_ssim

import convolve
from convolve import models
from convolve.errors import ExplainError, ExportError, OptionError
from convolve.tasks.stereo.evaluation import CONSTANT, UNMOVED, Evaluation, measure
from convolve.tasks.stereo.loss import photometric_error, reconstruct, smoothness, stereo_loss, structural_similarity
from convolve.tasks.stereo.predictor import StereoPrediction, steps_per_pixel
from convolve.tasks.stereo.task import Stereo
from tests.tasks.stereo.small import pair, stereo_folder

OPTIONS: dict[str, Any] = {
    "task": "stereo", "network": "fcn1s_resnet20_cifar", "size": 32, "epochs": 2, "batch": 4, "threads": 1,
    "progress": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stereo")
    convolve.train(str(stereo_folder(root / "data", 16)), **OPTIONS, out=root / "run")
    return root / "run"


def test_reconstruction_is_linear_interpolation_further_left() -> None:
    random = np.random.default_rng(0)
    source, disparities = random.uniform(size=(2, 3, 6, 10)), random.uniform(-0.3, 0.3, (2, 6, 10))
    found = reconstruct(torch.from_numpy(source), torch.from_numpy(disparities))
    rows, columns = np.mgrid[:6, :10]
    for image, shift, made in zip(source, disparities, found.numpy(), strict=True):
        for channel, result in zip(image, made, strict=True):
            expected = map_coordinates(channel, [rows, columns - 10 * shift], order=1, mode="nearest")
            assert_allclose(result, expected, atol=1e-6)


def test_structural_similarity_is_that_of_scikit_image() -> None:
    first, second = np.random.default_rng(0).uniform(size=(2, 9, 12))
    found = structural_similarity(*(torch.from_numpy(each)[None, None] for each in (first, second)))
    _, expected = skimage_ssim(  # type: ignore[no-untyped-call]
        first, second, win_size=3, data_range=1.0, use_sample_covariance=False, full=True
    )
    assert_allclose(found[0, 0].numpy(), expected[1:-1, 1:-1], atol=1e-12)


def test_photometric_error_is_a_mean_of_both_differences() -> None:
    first, second = torch.rand(2, 1, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    similarity = structural_similarity(first, second)
    expected = 0.85 * ((1 - similarity) / 2).mean() + 0.15 * (first - second).abs().mean()
    assert float(photometric_error(first, second)) == pytest.approx(float(expected))
    assert float(photometric_error(first, first)) == pytest.approx(0, abs=1e-6)


def test_smoothness_counts_less_at_edges_of_the_image() -> None:
    disparities = torch.tensor([[[0.0, 0.0, 0.1, 0.1]] * 3])
    flat, edge = torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 4)
    edge[..., 2:] = 0.5
    assert float(smoothness(disparities, flat)) == pytest.approx(0.1 / 3)
    assert float(smoothness(disparities, edge)) == pytest.approx(0.1 / 3 * np.exp(-0.5))


def test_both_views_of_true_disparities_agree() -> None:
    """A plane everywhere 4 pixels nearer: no part of the loss is left but at the edges."""
    random = torch.Generator().manual_seed(0)
    wide = torch.nn.functional.avg_pool2d(torch.rand(1, 3, 34, 82, generator=random), 3, 1)
    left, right = wide[..., 8:72], wide[..., 12:76]
    losses = {}
    for shift in (-4, 0, 3, 4, 5):
        losses[shift] = stereo_loss(left, right, torch.full((1, 2, 32, 64), shift / 64))
        assert float(losses[shift]["consistency"]) == pytest.approx(0, abs=1e-6)
    assert min(losses, key=lambda shift: float(losses[shift]["loss"])) == 4
    assert float(losses[4]["loss"]) < 0.3 * float(losses[0]["loss"])
    unequal = torch.stack([torch.full((1, 32, 64), each) for each in (0.0625, 0.03)], dim=1)
    assert float(stereo_loss(left, right, unequal)["consistency"]) == pytest.approx(4 * 2 * 0.0325, rel=1e-4)


def test_gradients_lead_to_the_true_disparities() -> None:
    left, right, truth = pair(3)
    own, other = (torch.from_numpy(each).permute(2, 0, 1)[None].float() / 255 for each in (left, right))
    scores = torch.full((1, 2, *truth.shape), -1.7, requires_grad=True)
    optimizer = torch.optim.Adam([scores], 0.05)
    for _ in range(120):
        optimizer.zero_grad()
        stereo_loss(own, other, 0.3 * scores.sigmoid())["loss"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    found = (0.3 * scores.sigmoid()).detach()[0, 0].numpy()
    assert measure(left[None], right[None], found, truth)["mae"] < 0.6
    assert np.median(found[truth == 5]) * 48 == pytest.approx(5, abs=0.5)
    assert np.median(found[truth == 2]) * 48 == pytest.approx(2, abs=0.5)


def test_errors_of_disparities_are_pixels_of_the_image() -> None:
    image = np.zeros((1, 4, 8, 3), np.uint8)
    truth = np.array([[10, 14, 0], [8, 10, 10]], np.float32)  # 0 is unknown
    found = measure(image, image, np.full((4, 8), 10 / 3, np.float32), truth)
    assert found["mae"] == pytest.approx((4 + 2) / 5)
    assert found["bad3"] == pytest.approx(1 / 5)
    assert np.isnan(measure(image, image, np.zeros((4, 8), np.float32), None)["mae"])


def test_a_run_and_its_report(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    assert 'layout = "stereo"' in (run / "recipe.toml").read_text()
    assert manifest["results"]["test"]["baselines"].keys() == {CONSTANT, UNMOVED}
    assert (run / "report.html").read_text().count('title="the left image made from the right one"') >= 2


def test_evaluation_of_pairs_with_and_without_disparities(run: Path, tmp_path: Path) -> None:
    data = stereo_folder(tmp_path / "other", 2)
    found = convolve.evaluate(run, str(data), threads=1, progress=False).evaluation
    assert isinstance(found, Evaluation)
    known, unknown = found.each
    assert CONSTANT in known.metrics
    assert CONSTANT not in unknown.metrics
    assert np.isnan(unknown.metrics["network"]["mae"])
    assert found.metrics["mae"] == known.metrics["network"]["mae"]
    assert found.constant == pytest.approx(2 / 48)
    document = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert document["each"][1]["network"]["mae"] is None
    for path in (data / "disp").iterdir():
        path.unlink()
    without = convolve.evaluate(run, str(data), threads=1, progress=False).evaluation
    assert isinstance(without, Evaluation)
    assert without.baselines.keys() == {UNMOVED}
    assert without.metrics["photometric"] == pytest.approx(found.metrics["photometric"])


def test_files_of_predictions(run: Path, tmp_path: Path) -> None:
    left = run.parent / "data" / "left"
    images = (str(left / "0.png"), str(left / "1.png"))
    found, _ = convolve.predict(run, images, out=tmp_path, threads=1, progress=False).predictions
    assert isinstance(found, StereoPrediction)
    with Image.open(tmp_path / "0_disparity.png") as image:
        stored = np.asarray(image) / 256
    assert stored.shape == (32, 48)
    assert_allclose([stored.min(), stored.max()], [found.smallest, found.largest], atol=0.002)
    with Image.open(tmp_path / "1_overlay.jpg") as overlay:
        assert overlay.size == (48, 32)


@pytest.mark.parametrize(("width", "steps"), [(741, 256), (853, 256), (854, 128), (5000, 32)])
def test_the_largest_disparity_fits_into_16_bits(width: int, steps: float) -> None:
    assert steps_per_pixel(width) == steps
    assert 0.3 * width * steps < 2**16


def test_what_a_person_cannot_ask(run: Path, tmp_path: Path) -> None:
    data = str(run.parent / "data")
    with pytest.raises(OptionError, match="--flip would change the left image of a pair and not the right one"):
        convolve.train(data, **OPTIONS, flip=True)
    with pytest.raises(OptionError, match="fit letterbox is not available for the task stereo"):
        convolve.train(data, **OPTIONS, fit="letterbox")
    with pytest.raises(ExportError, match="cannot be exported"):
        convolve.export(run, out=tmp_path / "export", threads=1, progress=False)
    with pytest.raises(ExplainError, match="Disparities are not explained"):
        convolve.explain(run, (str(run.parent / "data" / "left" / "0.png"),), out=tmp_path, threads=1, progress=False)


def test_states_that_are_none() -> None:
    network = models.create("fcn1s_resnet20_cifar", 2, size=(32, 32))
    for state in ({}, {"mean": [0.5], "std": [1]}, {"mean": [0.5] * 3, "std": [0, 1, 1]}, {"mean": 1, "std": 1}):
        with pytest.raises((KeyError, ValueError, TypeError)):
            Stereo.restore(network, state)
