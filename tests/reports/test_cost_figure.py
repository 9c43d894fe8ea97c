"""Accuracy against cost: every name is written, none on another; areas are the parameters."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from PIL import Image

from convolve.models import Card, card, names
from convolve.reports.cost_figure import CostGroup, CostPoint, cost_figure
from convolve.reports.drawing import as_png, as_svg


def _point(network: Card) -> CostPoint:
    assert network.top1_error
    assert network.macs
    assert network.parameters
    return CostPoint(network.name, 1 - network.top1_error / 100, network.macs, network.macs / 1e11, network.parameters)


PUBLISHED = CostGroup("ILSVRC-2012, published", [_point(card(name)) for name in names() if card(name).top1_error])
DIGITS = CostGroup("digits, test", [CostPoint("a", 1.0, 3e5, 0.01, 6e4), CostPoint("b", 1.0, 3e5, 0.01, 6e4)])


def _texts(axes: Axes) -> list[Annotation]:
    return [text for text in axes.texts if isinstance(text, Annotation)]


def _words(figure: Figure) -> set[str]:
    root = ET.fromstring(as_svg(figure, "test"))  # noqa: S314 - made here
    return {str(element.text) for element in root.iter("{http://www.w3.org/2000/svg}text")}


def test_every_published_network_is_named_and_no_name_lies_on_another() -> None:
    figure = cost_figure([PUBLISHED])
    figure.draw_without_rendering()
    for axes in figure.axes:
        texts = _texts(axes)
        assert {text.get_text() for text in texts} == {point.name for point in PUBLISHED.points}
        boxes = [Text.get_window_extent(text) for text in texts]
        overlaps = [(a, b) for place, a in enumerate(boxes) for b in boxes[:place] if a.shrunk(0.98, 0.98).overlaps(b)]
        assert not overlaps
        assert all(axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 for box in boxes)


def test_what_was_measured_on_other_data_stands_in_panels_of_its_own() -> None:
    figure = cost_figure([PUBLISHED, DIGITS])
    assert [len(_texts(axes)) for axes in figure.axes] == [len(PUBLISHED.points)] * 2 + [2, 2]
    assert {"ILSVRC-2012, published", "digits, test", "accuracy", "10\N{NO-BREAK SPACE}ms"} <= _words(figure)


def test_areas_are_parameters() -> None:
    points = [CostPoint("a", 0.7, 1e9, 1, 100e6), CostPoint("b", 0.8, 2e9, 2, 25e6), CostPoint("c", 0.6, 1e9, 1, 10)]
    figure = cost_figure([CostGroup("photos, test", points)])
    for axes in figure.axes:
        bubbles = next(dots for dots in axes.collections if len(np.asarray(dots.get_offsets())) == 3)
        areas = np.asarray(bubbles.get_sizes())  # type: ignore[attr-defined]
        assert areas[0] / areas[1] == pytest.approx(4)
        assert areas[2] > 9  # what has few can still be seen
    assert {"100\N{NO-BREAK SPACE}M parameters", "time per image", "multiply-adds of one image"} <= _words(figure)


def test_nothing_is_clipped() -> None:
    pixels = np.asarray(Image.open(io.BytesIO(as_png(cost_figure([PUBLISHED, DIGITS]), 60))).convert("L"))
    assert min(edge.min() for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1])) == 255


def test_the_axis_of_a_metric_ends_at_100_per_cent() -> None:
    group = CostGroup("x, test", [CostPoint("a", 1.0, 3e5, 0.01, 6e4), CostPoint("b", 0.9, 3e6, 0.02, 6e4)])
    for axes in cost_figure([group]).axes:
        assert axes.get_ylim()[1] == 1.0
