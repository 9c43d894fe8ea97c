from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from convolve.layers.mirroring import Mirrored


def test_the_border_is_torchs_reflection() -> None:
    images = torch.rand(2, 3, 24, 31, generator=torch.Generator().manual_seed(0))
    found = Mirrored(5, 4, 6)(images)  # 24 + 10 is 6 + 7 * 4; 31 + 10 becomes 6 + 9 * 4
    assert torch.equal(found, F.pad(images, (5, 6, 5, 5), mode="reflect"))


@pytest.mark.parametrize(("side", "length"), [(388, 572), (389, 588), (1, 188), (4, 188), (5, 204)])
def test_sides_are_those_of_u_nets_tiles(side: int, length: int) -> None:
    assert Mirrored(92, 16, 124).length(side) == length


def test_small_images_are_mirrored_to_and_fro() -> None:
    images = torch.tensor([0.0, 1.0, 2.0]).expand(1, 1, 1, 3)
    found = Mirrored(4, 1, 0)(images)
    assert found[0, 0, 0].tolist() == [0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]
    assert found.shape == (1, 1, 9, 11)
