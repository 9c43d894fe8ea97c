"""Figures: what they show, legible in any script, and no state left behind."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from convolve.fonts import plot_label
from convolve.metrics.calibration import reliability
from convolve.reports.colors import CELL, RIGHT, WRONG, mix
from convolve.reports.drawing import as_png, as_svg
from convolve.reports.figures import confusion_figure, panels, reliability_figure, training_curves
from convolve.reports.report import Epoch, Training
from tests.reports.sample import epochs, guesses


def words(figure: Figure) -> list[str]:
    root = ET.fromstring(as_svg(figure, "test"))  # noqa: S314 - made here
    return [str(element.text) for element in root.iter("{http://www.w3.org/2000/svg}text")]


def nothing_is_clipped(figure: Figure) -> bool:
    """Whether every text lies inside the picture: its outermost pixels are white."""
    pixels = np.asarray(Image.open(io.BytesIO(as_png(figure, 80))).convert("L"))
    return bool(min(edge.min() for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])) == 255)


def test_curves_show_what_there_is() -> None:
    training = Training(epochs(), "accuracy", 3)
    assert panels(training) == ("loss", "metric", "learning rate")
    shown = words(training_curves(training, panels(training)))
    assert {"loss", "accuracy", "learning rate", "training", "validation"} <= set(shown)
    bare = Training((Epoch(1, 2.0), Epoch(2, float("nan"))), "accuracy")
    assert panels(bare) == ("loss",)
    assert nothing_is_clipped(training_curves(bare, panels(bare)))


def test_confusion_writes_counts_up_to_twenty_classes() -> None:
    matrix = np.diag(np.arange(101, 121)) + 3 * np.eye(20, k=1, dtype=np.int64)
    shown = words(confusion_figure(matrix, [f"c{place}" for place in range(20)]))
    assert shown.count("3") == 19
    assert {"101", "120", "c0", "c19", "true", "predicted"} <= set(shown)
    many = confusion_figure(np.eye(100, dtype=np.int64) * 7, [f"a long name {place}" for place in range(100)])
    assert "7" not in words(many)
    assert nothing_is_clipped(many)


def test_confusion_colors_right_blue_and_wrong_orange() -> None:
    figure = confusion_figure(np.array([[4, 0], [3, 0]]), ["a", "b"])
    colors = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_allclose(colors[0, 0], to_rgb(RIGHT), atol=1e-6)
    np.testing.assert_allclose(colors[1, 0], to_rgb(WRONG), atol=1e-6)
    np.testing.assert_allclose(colors[0, 1], to_rgb(CELL), atol=1e-6)


def test_colors_between_two_grow_evenly_darker() -> None:
    ramp = mix("#ffffff", "#000000", np.linspace(0, 1, 11))
    linear = np.where(ramp <= 0.04045, ramp / 12.92, ((ramp + 0.055) / 1.055) ** 2.4)
    np.testing.assert_allclose(np.cbrt(linear[:, 0]), np.linspace(1, 0, 11), atol=1e-5)


@pytest.mark.parametrize("name", ["$x^2", "\\frac{", "고양이", "emoji 🙂", "two\nlines\t\x00", "", "\udcff", "&<>\"'"])
def test_any_class_name_is_drawn_without_a_warning(name: str) -> None:
    figure = confusion_figure(np.eye(2, dtype=np.int64), [name, "other"])
    assert plot_label(name) in words(figure) or not name
    assert as_png(figure)[:4] == b"\x89PNG"


def test_reliability_shows_both_temperatures() -> None:
    _, truth, scores = guesses()
    bins = reliability(scores.max(1), scores.argmax(1) == truth)
    shown = words(reliability_figure(bins, bins))
    assert {"accuracy", "gap to confidence", "with temperature", "confidence", "images", "100 %"} <= set(shown)
    assert nothing_is_clipped(reliability_figure(bins))


def test_drawing_from_threads_leaves_no_state() -> None:
    before = dict(mpl.rcParams)
    figures = [lambda: as_svg(confusion_figure(np.eye(3, dtype=np.int64), "abc"), "x") for _ in range(8)]
    with ThreadPoolExecutor(4) as threads:
        pictures = set(threads.map(lambda draw: draw(), figures))
    assert len(pictures) == 1
    assert dict(mpl.rcParams) == before


def test_an_svg_follows_the_page_and_stands_alone() -> None:
    svg = as_svg(training_curves(Training(epochs(), "accuracy"), ["loss"]), "loss")
    assert "var(--ink, #1b1f26)" in svg
    assert 'id="loss-' in svg
    assert "<metadata" not in svg
    assert 'width="' not in svg.partition(">")[0]
