"""Points as heatmaps and back."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convolve.tasks.landmarks.heatmaps import find_means, find_peaks, gaussian_maps

SIZE = (64, 96)
SHAPE = (16, 24)


@given(st.floats(6, 90), st.floats(6, 58), st.floats(4, 12))
def test_a_gaussian_is_found_where_it_is(x: float, y: float, sigma: float) -> None:
    """To a fraction of a cell, wherever the cell's edges are."""
    maps = gaussian_maps(torch.tensor([[[x, y]]], dtype=torch.float64), SHAPE, SIZE, sigma)
    assert find_peaks(maps, SIZE)[0, 0, :2].tolist() == pytest.approx([x, y], abs=1e-6)


def test_values_by_hand() -> None:
    """At one standard deviation exp(-1/2); cells of 4 pixels have their centers at 2, 6 …"""
    maps = gaussian_maps(torch.tensor([[[6.0, 2.0]]]), SHAPE, SIZE, 4.0)
    assert maps.shape == (1, 1, *SHAPE)
    assert float(maps[0, 0, 0, 1]) == 1
    assert float(maps[0, 0, 0, 2]) == pytest.approx(math.exp(-0.5))
    assert float(maps[0, 0, 1, 2]) == pytest.approx(math.exp(-1))


def test_peaks_at_the_edge_stay_in_their_cell() -> None:
    maps = torch.zeros(1, 2, *SHAPE)
    maps[0, 0, 0, 0] = maps[0, 1, -1, -1] = 0.5
    found = find_peaks(maps, SIZE)[0]
    assert found.tolist() == [[2, 2, 0.5], [94, 62, 0.5]]


def test_maps_of_one_cell_and_without_a_peak() -> None:
    assert find_peaks(torch.ones(1, 1, 1, 1), (8, 8))[0, 0].tolist() == [4, 4, 1]
    assert find_peaks(torch.full((1, 1, *SHAPE), -3.0), SIZE).isfinite().all()


def test_means_are_between_cells_and_have_gradients() -> None:
    maps = torch.full((1, 1, *SHAPE), -1e4)
    maps[0, 0, 3, 5] = maps[0, 0, 3, 6] = 7.0
    maps.requires_grad_()
    found = find_means(maps, SIZE)
    assert found[0, 0].tolist() == pytest.approx([24, 14, 0.5])
    torch.autograd.backward(found[..., 0].sum())
    assert maps.grad is not None
    assert float(maps.grad[0, 0, 3, 6]) > 0 > float(maps.grad[0, 0, 3, 5])
