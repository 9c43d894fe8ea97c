"""Several scores of an image at once: the maps are those of one after the other, and the network stays as it was."""

from __future__ import annotations

import pytest
import torch

from convolve.errors import ExplainError
from convolve.explainers.methods import METHODS, default_method, maps_of_targets
from convolve.explainers.score_targets import ClassScore
from tests.explainers.small import images, network

INDICES, CLASSES = torch.tensor([0, 0, 1, 1, 1]), torch.tensor([0, 3, 3, 1, 5])


@pytest.mark.parametrize(
    ("name", "method", "larger"),
    [("resnet20_cifar", "cam", 1), ("lenet5_keras", "grad-cam", 1), ("vgg11", "grad-cam", 1), ("nin_cifar", "cam", 1)],
)
def test_they_are_those_of_one_class_after_the_other(name: str, method: str, larger: int) -> None:
    made = network(name).train()
    given = images(made, larger=larger)
    before = {key: value.clone() for key, value in made.state_dict().items()}
    assert default_method(made)[0].name == method
    found = maps_of_targets(made, given, INDICES, ClassScore(CLASSES))
    expected = METHODS[method].attribute(made, given[INDICES], ClassScore(CLASSES), None)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert made.training
    assert all(value.requires_grad and value.grad is None for value in made.parameters())
    assert all(torch.equal(value, before[key]) for key, value in made.state_dict().items())


def test_a_class_that_does_not_exist_is_refused() -> None:
    made = network("resnet20_cifar")
    with pytest.raises(ExplainError, match="There is no class 6"):
        maps_of_targets(made, images(made), torch.tensor([0]), ClassScore(torch.tensor([6])))
