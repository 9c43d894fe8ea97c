"""Intersection over union against torchvision and its own laws."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision import ops

from convolve.metrics.boxes import BoxArray, box_areas, intersection_over_union

_edges = st.floats(-50, 50, allow_nan=False, width=32)


@st.composite
def _boxes(draw: st.DrawFn) -> BoxArray:
    corners = np.array(draw(st.lists(st.tuples(_edges, _edges, _edges, _edges), min_size=1, max_size=5)), float)
    return np.concatenate([np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])], 1)


@given(_boxes(), _boxes())
def test_it_agrees_with_torchvision_and_is_symmetric(first: BoxArray, second: BoxArray) -> None:
    found = intersection_over_union(first, second)
    whole = (box_areas(first) > 1e-6)[:, None] & (box_areas(second) > 1e-6)
    oracle = ops.box_iou(torch.from_numpy(first), torch.from_numpy(second)).numpy()
    np.testing.assert_allclose(found[whole], oracle[whole], atol=1e-9)
    np.testing.assert_allclose(found.T, intersection_over_union(second, first))
    assert 0 <= found.min() <= found.max() <= 1 + 1e-12
    np.testing.assert_allclose(box_areas(first), ops.box_area(torch.from_numpy(first)).numpy())


def test_a_box_is_itself_and_an_empty_one_nothing() -> None:
    boxes = np.array([[0.0, 0, 2, 3], [1, 1, 1, 5], [4, 4, 3, 3]])
    np.testing.assert_array_equal(intersection_over_union(boxes, boxes), [[1, 0, 0], [0, 0, 0], [0, 0, 0]])
