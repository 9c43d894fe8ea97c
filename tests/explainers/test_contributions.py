from __future__ import annotations

import numpy as np
import pytest
import torch

from convolve.errors import NetworkError
from convolve.explainers.contributions import contributions
from tests.explainers.small import images, network

CHOSEN = torch.tensor([0, 5, 3])


@pytest.mark.parametrize("name", ["resnet20_cifar", "googlenet", "densenet121", "linear", "lenet5_keras", "vgg11"])
def test_contributions_and_bias_sum_to_the_score(name: str) -> None:
    of = network(name)
    given = images(of, 3)
    found = contributions(of, given, CHOSEN)
    with torch.no_grad():
        scores = of(given).gather(1, CHOSEN[:, None])[:, 0].numpy()
    sums = found.values.reshape(3, -1).astype(np.float64).sum(1) + found.bias
    assert np.allclose(found.scores, scores, atol=1e-5)
    assert np.allclose(sums, scores, rtol=1e-4, atol=1e-4 * np.abs(scores).max())


def test_positions_of_a_pooled_head_are_weights_times_maps() -> None:
    of = network("resnet20_cifar")
    given = images(of, 3)
    found = contributions(of, given, CHOSEN)
    with torch.no_grad():
        maps = of.features(given)["stage3"]
    dense = of.head.get_submodule("fc")
    assert isinstance(dense, torch.nn.Linear)
    by_hand = dense.weight[CHOSEN][:, :, None, None] * maps / maps[0, 0].numel()
    assert np.allclose(found.values, by_hand.detach().numpy(), atol=1e-6)
    assert np.allclose(found.bias, dense.bias[CHOSEN].detach().numpy(), atol=1e-6)


def test_features_of_a_deep_head_are_weights_times_what_the_last_layer_takes_in() -> None:
    of = network("lenet5_keras")
    given = images(of, 3)
    found = contributions(of, given, CHOSEN)
    dense = of.head.get_submodule("dense5")
    assert isinstance(dense, torch.nn.Linear)
    with torch.no_grad():
        features = of.head[:-1](of.features(given)["stage2"])  # type: ignore[index]
        assert np.allclose(found.values, (features * dense.weight[CHOSEN]).numpy(), atol=1e-6)


@pytest.mark.parametrize("name", ["lenet5", "nin_cifar"])
def test_a_head_that_does_not_end_in_a_dense_layer_is_refused(name: str) -> None:
    of = network(name)
    with pytest.raises(NetworkError, match="not in a dense layer"):
        contributions(of, images(of, 3), CHOSEN)
