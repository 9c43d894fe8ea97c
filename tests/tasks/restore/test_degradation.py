"""Blur, smaller sizes and enlargement against Pillow, OpenCV and SciPy; the published PSNR of bicubic interpolation."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter  # type: ignore[import-untyped]

from convolve.metrics.image_quality import luminance, psnr, shave
from convolve.tasks.restore.degradation import Degradation, enlarge, parse_degradation, to_pixels

SET5 = Path(__file__).parents[4] / "shared" / "data" / "super_resolution" / "Set5"
EDGE = 8  # pixels near which Pillow does not reflect, as MATLAB does


def _image(height: int = 60, width: int = 48) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (height, width, 1), np.uint8)


def _pillow(image: np.ndarray, height: int, width: int) -> np.ndarray:
    plain = Image.fromarray(image[..., 0].astype(np.float32))
    return np.asarray(plain.resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_bicubic_is_pillows_away_from_the_edge(factor: int) -> None:
    image, degradation = _image(96, 72), Degradation(upscale=factor)
    rows, columns = degradation.matrix(96), degradation.matrix(72)
    found = rows @ image[..., 0].astype(np.float32) @ columns.T
    inner = slice(EDGE, -EDGE)
    expected = _pillow(image, 96 // factor, 72 // factor)
    np.testing.assert_allclose(found[inner, inner], expected[inner, inner], atol=1e-2)
    large = enlarge(image, factor)[..., 0]
    np.testing.assert_allclose(large[inner, inner], _pillow(image, 96 * factor, 72 * factor)[inner, inner], atol=1e-2)


def test_the_edge_is_reflected() -> None:
    """As MATLAB does, so that an image continued by its own reflection gives the same pixels."""
    image = _image()
    padded = np.pad(image, ((20, 20), (20, 20), (0, 0)), mode="symmetric")
    whole = Degradation(upscale=2).degrade(padded)
    found = Degradation(upscale=2).degrade(image).astype(int)
    assert np.abs(found - whole[10:-10, 10:-10]).max() <= 1


@pytest.mark.parametrize("factor", [2, 3])
def test_opencv_cubic_and_area(factor: int) -> None:
    image = _image()
    size = (48 // factor, 60 // factor)
    for name, flag in (("opencv-cubic", cv2.INTER_CUBIC), ("area", cv2.INTER_AREA)):
        found = Degradation(upscale=factor, downscaling=name).degrade(image)  # type: ignore[arg-type]
        expected = cv2.resize(image, size, interpolation=flag)
        assert np.abs(found[..., 0].astype(int) - expected).max() <= 1


@pytest.mark.parametrize("sigma", [0.6, 1.6, 3.0])
def test_blur_is_scipys(sigma: float) -> None:
    image = _image()
    expected = gaussian_filter(image[..., 0].astype(np.float64), sigma, mode="reflect", truncate=4.0)
    found = Degradation(blur_sigma=sigma).degrade(image)
    assert np.abs(found[..., 0] - expected).max() < 0.51


def test_noise_is_of_that_deviation_and_always_the_same() -> None:
    image = np.full((200, 200, 1), 128, np.uint8)
    noisy = Degradation(noise_sigma=25).degrade(image)
    assert noisy.astype(float).std() == pytest.approx(25, rel=0.02)
    assert np.array_equal(noisy, Degradation(noise_sigma=25).degrade(image))


def test_crop_and_nearest() -> None:
    image = _image(61, 50)
    assert Degradation(upscale=3).crop(image).shape == (60, 48, 1)
    assert np.array_equal(enlarge(image, 2, "nearest")[::2, 1::2], image)
    assert to_pixels(np.array([-3.0, 1.6, 300.0])).tolist() == [0, 2, 255]


@pytest.mark.parametrize(
    "change",
    [{"upscale": 0}, {"upscale": 2.5}, {"noise_sigma": -1}, {"blur_sigma": float("nan")}, {"downscaling": "x"}],
)
def test_a_damaged_state_is_refused(change: dict[str, object]) -> None:
    good = {"blur_sigma": 1, "upscale": 2, "downscaling": "area", "noise_sigma": 0}
    assert parse_degradation(good) == Degradation(1.0, 2, "area", 0.0)
    with pytest.raises(ValueError, match="degradation"):
        parse_degradation({**good, **change})


@pytest.mark.skipif(not SET5.exists(), reason="no shared data here")
@pytest.mark.parametrize(("factor", "published"), [(2, 33.66), (3, 30.39), (4, 28.42)])
def test_bicubic_interpolation_has_its_published_psnr_on_set5(factor: int, published: float) -> None:
    """Dong et al. 2016, table 3, and every later paper; colors are rounded here before the luminance is taken."""
    degradation, found = Degradation(upscale=factor), []
    for path in SET5.iterdir():
        target = degradation.crop(np.asarray(Image.open(path).convert("RGB")))
        restored = to_pixels(enlarge(degradation.degrade(target), factor))
        found.append(psnr(*(shave(luminance(each), factor) for each in (target, restored))))
    assert len(found) == 5
    assert np.mean(found) == pytest.approx(published, abs=0.06)
