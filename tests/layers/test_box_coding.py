"""Deltas against those of the authors' program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from convolve.layers.box_coding import LARGEST_SCALE, BoxCoder, clip_boxes

STORED = np.load(Path(__file__).parent / "faster_rcnn" / "faster_rcnn_224x320.npz")
PUBLISHED = BoxCoder(extra=1.0)


def stored(name: str) -> Tensor:
    return torch.from_numpy(STORED[name])


def test_encoding() -> None:
    deltas = PUBLISHED.encode(stored("encode_boxes"), stored("encode_targets_boxes"))
    assert torch.allclose(deltas.double(), stored("encode_result"), atol=1e-5)


def test_decoding() -> None:
    boxes, deltas = stored("encode_boxes"), stored("decode_deltas").view(40, -1, 4)
    decoded = PUBLISHED.decode(boxes[:, None], deltas)
    torch.testing.assert_close(decoded.flatten(1), stored("decode_result"), rtol=1e-5, atol=1e-5)
    clipped = clip_boxes(decoded, (224, 320), extra=1.0)
    torch.testing.assert_close(clipped.flatten(1), stored("decode_clipped"), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("deviations", [(1.0, 1.0, 1.0, 1.0), (0.1, 0.1, 0.2, 0.2)])
@given(st.integers(0, 10_000))
def test_decoding_undoes_encoding(deviations: tuple[float, float, float, float], seed: int) -> None:
    corners, sides = torch.rand(2, 20, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    boxes, targets = torch.cat((100 * corners, 100 * corners + 1 + 50 * sides), -1).unbind(1)
    coder = BoxCoder(0.0, deviations)
    assert torch.allclose(coder.decode(boxes, coder.encode(boxes, targets)), targets)
    pixels = BoxCoder(1.0, deviations)
    edges = targets + torch.tensor([0.0, 0, 1, 1])
    assert torch.allclose(pixels.decode(boxes, pixels.encode(boxes, targets)), edges)


def test_deviations_divide_the_deltas() -> None:
    boxes, targets = stored("encode_boxes"), stored("encode_targets_boxes")
    scaled = BoxCoder(1.0, (0.1, 0.1, 0.2, 0.2)).encode(boxes, targets)
    assert torch.allclose(scaled * torch.tensor([0.1, 0.1, 0.2, 0.2]), PUBLISHED.encode(boxes, targets), atol=1e-6)


def test_a_logarithm_is_bounded_where_asked() -> None:
    box, delta = torch.tensor([0.0, 0, 16, 16]), torch.tensor([0.0, 0, 9, 9])
    assert torch.allclose(BoxCoder(largest=LARGEST_SCALE).decode(box, delta), torch.tensor([-492.0, -492, 508, 508]))
    assert float(BoxCoder().decode(box, delta)[2]) > 60_000
