"""Official ImageNet weights: which library has them for which network, and their names made ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from convolve.errors import WeightsError
from convolve.interop import timm_maps, torchvision
from convolve.models import Network
from convolve.models.foreign import library, library_of, own_names
from convolve.values import Preprocessing

SOURCES = {
    **{name: f"torchvision/{twin}" for name, twin in torchvision.TWINS.items()},
    **{name: f"timm/{twin}" for name, twin in timm_maps.TWINS.items()},
    **{f"densenet{depth}": f"torchvision/densenet{depth}" for depth in (121, 169, 201, 161)},
    "resnext50": "torchvision/resnext50_32x4d",
    "resnext101_64x4d": "torchvision/resnext101_64x4d",
    "resnext101": "timm/resnext101_32x4d.gluon_in1k",
}
"""Networks of ours that have official weights, and whose these are."""

_NEAR = {
    "plain": "resnet34",
    "resnet": "resnet18",
    "preact": "timm/resnetv2_50",
    "densenet": "densenet121",
    "nin": "torchvision/googlenet",
    "googlenet": "torchvision/googlenet",
    "bn_inception": "torchvision/googlenet",
    "se_inception": "torchvision/googlenet",
    "alexnet": "torchvision/alexnet",
    "caffenet": "torchvision/alexnet",
    "zfnet": "torchvision/alexnet",
    "": "resnet18",
}
"""By how its name begins: what comes next to a network that has none."""


@dataclass(frozen=True)
class Official:
    """A library's weights under its own names, what it does to images before them, and whose they are."""

    state: Mapping[str, Tensor]
    preprocessing: Preprocessing
    source: str


def imagenet_weights(name: str) -> Official:
    """Download a network's official ImageNet weights through the library that has them, once; kept in its cache.

    What is downloaded is reported on the error stream. Raises `WeightsError` when there are none or they cannot be
    fetched, `NetworkError` when the library is not installed.
    """
    if name not in SOURCES and not library_of(name):
        raise WeightsError(f"There are no official ImageNet weights of {name}; {_near(name)} has them.")
    title, _, inner = SOURCES.get(name, name).partition("/")
    if title == "torchvision":
        return Official(*torchvision.downloaded(inner, newest=name not in SOURCES))
    library(title)
    from convolve.interop import timm_weights

    return Official(*timm_weights.downloaded(inner))


def renamed(network: Network, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """A state under the names used here: a twin's or the library's are translated, any other stays as it is.

    Raises `WeightsError` when they are not of the network's twin.
    """
    name = network.card.name
    if all(key in network.state_dict() for key in state):
        return state
    if name in torchvision.TWINS:
        return torchvision.renamed(network, state)
    if name in timm_maps.TWINS:
        return timm_maps.renamed(network, torchvision.modern(state))
    if library_of(name):
        names = own_names(network)
        return {names.get(key, key): value for key, value in torchvision.modern(state).items()}
    return state


def _near(name: str) -> str:
    """The longest name with weights that begins like this one, or goes on after it; else the next of its kind."""
    akin = [known for known in SOURCES if known.startswith(name) or name.startswith(known)]
    return max(akin, key=len, default="") or next(near for start, near in _NEAR.items() if name.startswith(start))
