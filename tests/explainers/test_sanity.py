"""Cascading randomization: what it does to a network, and what every method's maps do then."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr  # type: ignore[import-untyped]

from convolve.explainers.heat import heat_maps
from convolve.explainers.methods import METHODS
from convolve.explainers.sanity import BOUND, Survival, cascade, similarity, survival
from convolve.models import Network
from convolve.values import Floats
from tests.explainers.trained import digits, fresh, trained

KNOWN = {"guided-backpropagation", "deconvnet"}


def maps(method: str, network: Network) -> Floats:
    images, classes = digits()
    return np.asarray(heat_maps(network, method, images[:8], classes[:8]).numpy())


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if not method.sanity])
def test_the_maps_are_gone_with_the_weights(method: str) -> None:
    found = survival(trained(), fresh(1), partial(maps, method))
    assert found.parts == ("head", "stage3", "stage2", "stage1")
    assert found.top == found.similarity[1]
    assert found.similarity[-1] < BOUND
    assert found.passed


def test_methods_that_are_known_to_fail_are_labeled() -> None:
    assert {name for name, method in METHODS.items() if method.sanity} >= KNOWN
    picture = survival(trained(), fresh(1), lambda network: np.abs(digits()[0][:8, 0].numpy()))
    assert picture.similarity == pytest.approx((1.0,) * 4)
    assert not picture.passed
    assert not Survival(("head",), (BOUND,)).passed
    assert Survival(("head",), (BOUND,)).top is None


def test_the_copy_becomes_the_fresh_network_from_the_head_down() -> None:
    network, other, random = trained(), fresh(1), torch.get_rng_state()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first = {name: value.clone() for name, value in other.state_dict().items()}
    changed = []
    for name, bereft in cascade(network, other):
        changed.append(name)
        for key, value in bereft.state_dict().items():
            part = key.removeprefix("stages.").partition(".")[0]
            assert torch.equal(value, (first if part in changed else before)[key])
    assert changed == ["head", "stage3", "stage2", "stage1"]
    assert not torch.equal(before["stages.stage1.1.running_mean"], first["stages.stage1.1.running_mean"])
    for kept, of in ((before, network), (first, other)):
        assert all(torch.equal(value, kept[key]) for key, value in of.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


def test_similarity_is_that_of_scipy() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 6, 5, 7)).astype(np.float32)
    second[0] = -2 * first[0]
    second[1] = np.round(second[1])
    expected = [spearmanr(np.abs(a).ravel(), np.abs(b).ravel()).statistic for a, b in zip(first, second, strict=True)]
    assert expected[0] == pytest.approx(1)
    assert similarity(first, second) == pytest.approx(np.mean(expected))
    assert similarity(first[:1], np.ones((1, 5, 7), np.float32)) == 0
