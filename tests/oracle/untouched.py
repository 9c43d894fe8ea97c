"""A library's network, as the library builds it, against the same one cut into stages."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from convolve.models import create
from convolve.models.foreign import own_names

_IMAGES = torch.randn(4, 3, 48, 64, generator=torch.Generator().manual_seed(5))


def check_cut_network(name: str, build: Callable[[], nn.Module]) -> None:
    """The same seed gives the same weights; the same seed, images and mode the same scores, gradients, statistics."""
    network = create(name, 7, size=(48, 64), seed=3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        twin = build()
    names = own_names(network)
    _check_states(network, twin, names)
    for training in (False, True):
        found, wanted = (seeded(each.train(training), 8) for each in (network, twin))
        assert float(wanted.detach().std()) > 0
        assert torch.equal(found, wanted)
        torch.autograd.backward([scores.square().sum() for scores in (found, wanted)])
        theirs = dict(twin.named_parameters())
        for key, parameter in names.items():
            if key in theirs:
                gradient = network.get_parameter(parameter).grad
                assert gradient is not None
                assert torch.equal(gradient, theirs[key].grad)  # type: ignore[arg-type]
    _check_states(network, twin, names)


def seeded(network: nn.Module, seed: int) -> Tensor:
    """The scores of some images, what is random in the network drawn from ``seed``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        scores: Tensor = network(_IMAGES)
    return scores


def _check_states(network: nn.Module, twin: nn.Module, names: dict[str, str]) -> None:
    own, theirs = network.state_dict(), twin.state_dict()
    assert set(names) == set(theirs)
    assert all(torch.equal(own[names[key]], value) for key, value in theirs.items())
