"""Sizes from coarse to fine, luminance and masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from convolve.style_transfer.images import finish, luminance, match_luminance, resize, sizes, to_pixels

color = pytest.importorskip("skimage.color")


def image(height: int, width: int, seed: int) -> torch.Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def test_each_size_is_twice_the_one_before() -> None:
    assert sizes((300, 400, 3), 400) == [(300, 400)]
    assert sizes((300, 400, 3), 512) == [(192, 256), (384, 512)]
    assert sizes((4000, 1000, 3), 2048) == [(256, 64), (512, 128), (1024, 256), (2048, 512)]
    assert sizes((300, 401, 3), 401, step=32) == [(288, 416)]
    assert sizes((1, 5000, 3), 256) == [(1, 256)]


def test_pixels_come_back() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(to_pixels(resize(pixels, 5, 7)), pixels)
    gray = pixels[:, :, :1]
    np.testing.assert_array_equal(to_pixels(resize(gray, 5, 7)), gray)


def test_kept_colors_are_those_of_yiq() -> None:
    content, stylized = image(6, 8, 0) / 4 + 0.4, image(6, 8, 1) / 4 + 0.4
    made = finish(luminance(stylized), content, None, keep_color=True)
    of_content, of_style, of_made = (
        color.rgb2yiq(each.permute(1, 2, 0).double().numpy()) for each in (content, stylized, made)
    )
    np.testing.assert_allclose(of_made[:, :, 0], of_style[:, :, 0], atol=1e-3)
    np.testing.assert_allclose(of_made[:, :, 1:], of_content[:, :, 1:], atol=1e-3)
    np.testing.assert_array_equal(finish(stylized, content, None, keep_color=True), made)


def test_a_color_beyond_white_or_black_keeps_its_hue_and_the_new_luminance() -> None:
    content, new = image(20, 30, 0), luminance(image(20, 30, 1))
    made = finish(new, content, None, keep_color=True)
    torch.testing.assert_close(luminance(made), new, rtol=0, atol=1e-5)
    of_content, of_made = (color.rgb2yiq(each.permute(1, 2, 0).double().numpy())[:, :, 1:] for each in (content, made))
    assert np.abs(of_made - of_content).max() > 0.1  # some do not fit
    cross = of_content[:, :, 0] * of_made[:, :, 1] - of_content[:, :, 1] * of_made[:, :, 0]
    np.testing.assert_allclose(cross, 0, atol=1e-4)
    assert ((of_content * of_made).sum(2) >= -1e-6).all()
    gray = finish(torch.tensor([[[0.0, 1.0]]]), torch.full((3, 1, 2), 0.5), None, keep_color=True)
    assert gray[0, 0].tolist() == gray[2, 0].tolist() == [0, 1]


def test_luminance_gets_the_contents_mean_and_deviation() -> None:
    content, style = luminance(image(20, 20, 0)) * 0.3 + 0.5, luminance(image(9, 30, 1))
    matched = match_luminance(style, content)
    assert float(matched.mean()) == pytest.approx(float(content.mean()), abs=1e-6)
    assert float(matched.std()) == pytest.approx(float(content.std()), rel=1e-5)
    assert np.corrcoef(matched.flatten().numpy(), style.flatten().numpy())[0, 1] == pytest.approx(1)
    one_tone = match_luminance(torch.full((1, 4, 4), 0.2), content)
    torch.testing.assert_close(one_tone, torch.full((1, 4, 4), float(content.mean())), rtol=0, atol=1e-4)


def test_the_content_stays_where_the_mask_is_black() -> None:
    content, stylized = image(4, 6, 0), image(4, 6, 1)
    mask = np.zeros((4, 6, 1), np.uint8)
    mask[:, 3:] = 255
    made = finish(stylized, content, mask, keep_color=False)
    torch.testing.assert_close(made[:, :, :3], content[:, :, :3], rtol=0, atol=0)
    torch.testing.assert_close(made[:, :, 3:], stylized[:, :, 3:], rtol=0, atol=1e-6)
