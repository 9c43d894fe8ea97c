"""Cascading randomization: what it does to a network, and what every method's maps do then."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr  # type: ignore[import-untyped]

from convolve.explainers.methods import METHODS, attributions
from convolve.explainers.sanity import BOUND, SanityCheck, randomized_copies, sanity_check, similarity
from convolve.explainers.score_targets import ClassScore
from convolve.models import Network
from convolve.values import Floats
from tests.explainers.trained import digits, initialized, trained

WITH_WARNING = {"guided-backpropagation", "deconvnet"}


def maps(method: str, network: Network) -> Floats:
    images, classes = digits()
    return np.asarray(attributions(network, method, images[:8], ClassScore(classes[:8])).numpy())


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if not method.warning])
def test_the_maps_are_gone_with_the_weights(method: str) -> None:
    found = sanity_check(trained(), initialized(1), partial(maps, method))
    assert found.parts == ("head", "stage3", "stage2", "stage1")
    assert found.top == found.similarities[1]
    assert found.similarities[-1] < BOUND
    assert found.passed


def test_methods_that_are_known_to_fail_have_a_warning() -> None:
    assert {name for name, method in METHODS.items() if method.warning} >= WITH_WARNING
    image = sanity_check(trained(), initialized(1), lambda network: np.abs(digits()[0][:8, 0].numpy()))
    assert image.similarities == pytest.approx((1.0,) * 4)
    assert not image.passed
    assert not SanityCheck(("head",), (BOUND,)).passed
    assert SanityCheck(("head",), (BOUND,)).top is None


def test_the_copy_is_randomized_from_the_head_down() -> None:
    network, other, random = trained(), initialized(1), torch.get_rng_state()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first = {name: value.clone() for name, value in other.state_dict().items()}
    changed = []
    for name, randomized in randomized_copies(network, other):
        changed.append(name)
        for key, value in randomized.state_dict().items():
            part = key.removeprefix("stages.").partition(".")[0]
            assert torch.equal(value, (first if part in changed else before)[key])
    assert changed == ["head", "stage3", "stage2", "stage1"]
    assert not torch.equal(before["stages.stage1.1.running_mean"], first["stages.stage1.1.running_mean"])
    for values, of in ((before, network), (first, other)):
        assert all(torch.equal(value, values[key]) for key, value in of.state_dict().items())
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
