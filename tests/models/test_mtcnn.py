"""MTCNN's networks: the counts of the authors' files, and the cascade of the three."""

from __future__ import annotations

import pytest
import torch

from convolve.errors import NetworkError
from convolve.models import card, create, names


@pytest.mark.parametrize(
    ("name", "parameters", "numbers"),
    [("mtcnn_pnet", 6_632, 6), ("mtcnn_rnet", 100_178, 6), ("mtcnn_onet", 389_040, 16)],
)
def test_parameters_are_those_of_the_authors_files(name: str, parameters: int, numbers: int) -> None:
    network = create(name).eval()
    assert sum(value.numel() for value in network.parameters()) == card(name).parameters == parameters
    assert network(torch.zeros(2, *card(name).input)).shape == (2, numbers)


def test_the_cascade_has_all_three_and_scores_every_window() -> None:
    network = create("mtcnn").eval()
    assert sum(value.numel() for value in network.parameters()) == card("mtcnn").parameters == 6_632 + 100_178 + 389_040
    images = torch.randn(1, 3, 30, 44, generator=torch.Generator().manual_seed(0))
    numbers = network(images)
    assert numbers.shape == (1, 6, 10, 17)
    torch.testing.assert_close(numbers[:, :, 3:4, 5:6], network(images[:, :, 6:18, 10:22]))
    assert "mtcnn" not in names()  # whose networks each give scores for an image


@pytest.mark.parametrize(("classes", "channels"), [(2, 3), (1, 1)])
def test_the_cascade_finds_faces_alone(classes: int, channels: int) -> None:
    with pytest.raises(NetworkError, match=r"^mtcnn finds faces alone, in images of 3 channels"):
        create("mtcnn", classes, channels)
