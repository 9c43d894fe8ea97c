"""Overlays lie where the network looked."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from convolve.words import Fit
from PIL import Image

from convolve.datasets.preprocess import fit_to_input, frame
from convolve.reports.overlays import laid_over, layer_uri, ramp_uri
from convolve.values import Preprocessing


@pytest.mark.parametrize(
    ("fit", "seen"), [("crop", slice(20, 60)), ("letterbox", slice(0, 80)), ("stretch", slice(0, 80))]
)
def test_what_the_network_sees_lies_over_the_picture_that_it_was_cut_from(fit: Fit, seen: slice) -> None:
    """The fitted picture itself, taken for a map."""
    waves = np.sin(np.arange(80) / 9)[None] * np.cos(np.arange(40) / 11)[:, None]
    picture = (120 + 80 * waves).astype(np.uint8)[..., None]
    preprocessing = Preprocessing(36, 36, 1, fit, (0.5,), (0.5,))
    heat = fit_to_input(picture, preprocessing)[..., 0].astype(np.float32)
    found = laid_over(heat, (36, 36), frame(40, 80, preprocessing), (40, 80), 80)
    assert found.shape == (40, 80)
    np.testing.assert_allclose(found[1:-1, seen][:, 1:-1], picture[1:-1, seen, 0][:, 1:-1], atol=6)
    outside = np.ones(80, bool)
    outside[seen] = False
    assert not found[:, outside].any()


def test_a_coarse_map_is_enlarged_smoothly_and_kept_in_its_bounds() -> None:
    heat = np.array([[0, 1], [0, 1]], np.float32)
    preprocessing = Preprocessing(10, 10, 1, "stretch", (0.5,), (0.5,))
    found = laid_over(heat, (10, 10), frame(30, 60, preprocessing), (30, 60), 40)
    assert found.shape == (20, 40)
    assert (np.diff(found[10]) >= 0).all()
    assert (found[0, 0], found[-1, -1]) == (0, 1)


@pytest.mark.parametrize("signed", [False, True])
def test_a_layer_is_small_and_a_ramp_shows_both_ends(signed: bool) -> None:
    uri = layer_uri(np.linspace(0, 1, 1600, dtype=np.float32).reshape(40, 40), signed, 40)
    assert len(uri) < 2500
    assert Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).size == (40, 40)
    ramp = np.asarray(Image.open(io.BytesIO(base64.b64decode(ramp_uri(signed).partition(",")[2]))))
    assert ramp[0, -1, 3] == 255
    assert ramp[0, 0, 3] == (255 if signed else 0)
