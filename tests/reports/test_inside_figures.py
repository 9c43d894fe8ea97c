"""The figures of `convolve explain --show`: what they say, and that nothing is clipped."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from convolve.explainers.receptive_fields import UnitField
from convolve.reports.contributions_figure import ScoreSum, contributions_figure
from convolve.reports.embedding_figure import images_figure, points_figure
from convolve.reports.fields_figure import fields_figure
from convolve.reports.layers_figure import MOST, LayerBar, layers_figure
from tests.reports.test_figures import nothing_is_clipped, words

RANDOM = np.random.default_rng(0)
CLASSES = ("민들레", "해바라기", "a rather long name of a class", *(f"class {number}" for number in range(20)))


def _image(side: int = 16, channels: int = 3) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return RANDOM.integers(0, 255, (side, side, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_fields_are_drawn_where_they_are(channels: int) -> None:
    box, inner = np.array([-4, 2, 12, 20]), np.array([0, 4, 8, 9])
    fields = [UnitField(f"stage{number}", (1, 2), box, inner, np.full((16, 16), 0.1, np.float32)) for number in (1, 2)]
    figure = fields_figure(_image(48, channels), fields, "resnet 해바라기")
    said = " ".join(words(figure))
    assert "stage2" in said
    assert "field 16×18, effective 8×5" in said
    drawn = [list(patch.get_bbox().extents) for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert drawn == [[-4, 2, 12, 20], [0, 4, 8, 9], [0, 4, 8, 9]]
    assert figure.axes[0].get_xlim()[0] < -4
    assert figure.axes[0].get_ylim()[0] > 20
    assert nothing_is_clipped(figure)


@pytest.mark.parametrize(("zeros", "gradients"), [(0.0, 0.0), (0.4, 1e-3)])
def test_layers_are_thinned_and_all_named(zeros: float, gradients: float) -> None:
    few = [LayerBar(f"stage1.conv{number}", 0.1, 1.0 + number, zeros, gradients, zeros) for number in range(5)]
    figure = layers_figure(few, "lenet")
    assert {"stage1.conv0", "stage1.conv4"} <= set(words(figure))
    assert ("hardly any" in words(figure)) == (zeros == 0)
    assert nothing_is_clipped(figure)
    many = [LayerBar(f"layer{number}", 0.1, 1.0, zeros, gradients, zeros) for number in range(MOST + 1)]
    said = words(layers_figure(many, "deep"))
    assert f"layer{MOST}" in said
    assert f"layer{MOST - 1}" not in said
    assert any("41 of 81 layers" in text for text in said)


@pytest.mark.parametrize("shape", [(30, 3, 4), (30,), (4,)])
def test_contributions_show_the_sum(shape: tuple[int, ...]) -> None:
    values = RANDOM.normal(size=shape).astype(np.float32)
    score = float(values.sum()) - 0.5
    rows = [ScoreSum(_image(), CLASSES[1], values, -0.5, score), ScoreSum(_image(16, 1), "b", -values, 0.5, -score)]
    figure = contributions_figure(rows, "resnet")
    said = words(figure)
    shown = f"{score:.2f}".replace("-", "\N{MINUS SIGN}")
    assert f"해바라기: score {shown}" in said
    assert {"bias", "score"} <= set(said)
    assert any(text.endswith(" others") for text in said) == (len(values) > 10)
    bars = figure.axes[-1].patches
    ends = [bar.get_x() + bar.get_width() for bar in bars if isinstance(bar, Rectangle)]
    assert ends[-2] == pytest.approx(ends[-1], abs=1e-4)  # the last step ends at the score
    assert nothing_is_clipped(figure)


@pytest.mark.parametrize("classes", [2, 23])
def test_embeddings_name_the_classes(classes: int) -> None:
    points = RANDOM.normal(size=(60, 2)).astype(np.float32)
    labels = np.arange(60) % classes
    figure = points_figure([("PCA", points), ("t-SNE", points)], labels, CLASSES)
    assert {"PCA", "t-SNE", "민들레", "해바라기"} <= set(words(figure))
    assert len(figure.legends[0].get_texts()) == classes
    assert nothing_is_clipped(figure)
    shown = images_figure("t-SNE", points, RANDOM.integers(0, 255, (60, 8, 8, 1), dtype=np.uint8), labels, CLASSES)
    assert 5 < len(shown.axes[0].artists) < 60
    assert nothing_is_clipped(shown)
