"""Cascading randomisation: what it does to weights, and what every method's maps do then."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr  # type: ignore[import-untyped]

from convolve.explain.heat import heat_maps
from convolve.explain.methods import METHODS
from convolve.explain.sanity import BOUND, Survival, randomised, similarity, survival
from convolve.networks import Network
from convolve.values import Floats
from tests.explain.trained import digits, trained

KNOWN = {"guided-backpropagation", "deconvnet"}


def maps(method: str, network: Network) -> Floats:
    images, classes = digits()
    return np.asarray(heat_maps(network, method, images[:8], classes[:8]).numpy())


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if not method.sanity])
def test_the_maps_are_gone_with_the_weights(method: str) -> None:
    found = survival(trained(), partial(maps, method))
    assert found.parts == ("head", "stage3", "stage2", "stage1")
    assert found.similarity[-1] < BOUND
    assert found.passed


def test_methods_that_are_known_to_fail_are_labelled() -> None:
    assert {name for name, method in METHODS.items() if method.sanity} >= KNOWN
    picture = survival(trained(), lambda network: np.abs(digits()[0][:8, 0].numpy()))
    assert picture.similarity == pytest.approx((1.0,) * 4)
    assert not picture.passed
    assert not Survival(("head",), (BOUND,)).passed


def test_weights_change_from_the_head_down_and_only_in_the_copy() -> None:
    network, random = trained(), torch.get_rng_state()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    changed = []
    for name, bereft in randomised(network):
        changed.append(name)
        for key, value in bereft.state_dict().items():
            part = key.removeprefix("stages.").partition(".")[0]
            if part not in changed or "running" in key or "tracked" in key:
                assert torch.equal(value, before[key])
            else:
                assert torch.equal(value.flatten().sort()[0], before[key].flatten().sort()[0])
                assert value.dim() < 2 or not torch.equal(value, before[key])
    assert changed == ["head", "stage3", "stage2", "stage1"]
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    last = [list(randomised(network, seed))[-1][1].state_dict()["head.2.weight"] for seed in (3, 3, 4)]
    assert torch.equal(last[0], last[1])
    assert not torch.equal(last[0], last[2])


def test_similarity_is_that_of_scipy() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 6, 5, 7)).astype(np.float32)
    second[0] = -2 * first[0]
    second[1] = np.round(second[1])
    expected = [spearmanr(np.abs(a).ravel(), np.abs(b).ravel()).statistic for a, b in zip(first, second, strict=True)]
    assert expected[0] == pytest.approx(1)
    assert similarity(first, second) == pytest.approx(np.mean(expected))
    assert similarity(first[:1], np.ones((1, 5, 7), np.float32)) == 0
