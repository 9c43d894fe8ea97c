"""`timm/NAME` and `torchvision/NAME`: every network of these libraries that can be cut into stages.

Their layers and initial weights are the libraries' own, and they compute the same; heads that help in training only are
left out. Their cards say what the library says of them.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Protocol

import torch
from torch import nn

from convolve.errors import NetworkError
from convolve.models.cutting import Cuts, cut, find_cuts
from convolve.models.network import Card, Network, Variant

LIBRARIES = ("timm", "torchvision")
_PROBE_CLASSES = 1009  # a number of classes that is the width of no layer
_REFERENCE = re.compile(r"`\"?([^`<\"]+?)\"?\s*<(https?://[^>\s]+)>`")
_ARXIV = re.compile(r"arxiv\.org/\w+/(\d\d)\d\d\.\d+")


@dataclass(frozen=True)
class Paper:
    """A paper's title, address and year."""

    title: str
    address: str
    year: int


@dataclass(frozen=True)
class About:
    """What a library says of one of its networks.

    ``input`` is (channels, height, width) and ``classes`` the number of scores with the library's own weights;
    ``top1_error`` and ``top5_error`` are per cent on ILSVRC-2012 validation, and ``evaluation`` says of which weights.
    """

    paper: Paper
    library: str
    input: tuple[int, int, int]
    classes: int
    top1_error: float | None = None
    top5_error: float | None = None
    evaluation: str = ""


def paper_of(description: str | None) -> Paper | None:
    """The first paper that a docstring names as `` `Title <https://arxiv.org/…>` ``; its number gives the year."""
    for title, address in _REFERENCE.findall(description or ""):
        found = _ARXIV.search(address)
        if found:
            return Paper(" ".join(title.split()), address, 2000 + int(found[1]))
    return None


class Library(Protocol):
    """What a library must offer; `timm_networks` and `torchvision_networks` do."""

    def names(self) -> list[str]:
        """Every network for classification."""
        ...

    def about(self, name: str) -> About:
        """What the library says of a network. Raises `KeyError` for an unknown name."""
        ...

    def build(self, name: str, classes: int, channels: int) -> nn.Module:
        """The network, randomly initialized."""
        ...


def library_of(name: str) -> str | None:
    """`timm` or `torchvision` for a name such as `timm/resnet26d`; None for a network of our own."""
    library, slash, _ = name.partition("/")
    return library if slash and library in LIBRARIES else None


def library(name: str) -> Library:
    """`timm` or `torchvision`. Raises `NetworkError` when it is not installed."""
    if name == "torchvision":
        from convolve.models import torchvision_networks

        return torchvision_networks
    try:
        from convolve.models import timm_networks
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise
        raise NetworkError("timm is not installed; run `pip install 'convolve[timm]'`.") from error
    return timm_networks


@cache
def variant(name: str) -> Variant:
    """Find a library's network and how it is cut; no weights are initialized for that.

    Raises `NetworkError` for an unknown name, a library that is not installed, and a network that cannot be cut.
    """
    library_name, _, inner = name.partition("/")
    source = library(library_name)
    about = _about(source, library_name, inner)
    build = partial(source.build, inner)
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        try:
            skeleton = build(_PROBE_CLASSES, about.input[0])
            cuts = find_cuts(skeleton, about.input, _PROBE_CLASSES)
        except NetworkError as error:
            raise NetworkError(f"{name} cannot be cut into stages: {error}; choose another network.") from error
    stages, head = cut(skeleton, cuts)
    used = nn.ModuleList([*(stage.layers for stage in stages.values()), head])
    return Variant(_card(name, about, used, cuts.minimum), partial(_build, build, cuts))


def own_names(network: Network) -> dict[str, str]:
    """Every parameter and buffer of a library's network: the name in the library, then the name here."""
    return {key.split(".", 2 if key.startswith("stages.") else 1)[-1]: key for key in network.state_dict()}


def _about(source: Library, library_name: str, inner: str) -> About:
    try:
        return source.about(inner)
    except KeyError as error:
        near = difflib.get_close_matches(inner, source.names(), n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(f'{library_name}/{known}' for known in near)}?" if near else ""
        raise NetworkError(f"{library_name} has no network named '{inner}'.{hint}") from error


_Builder = Callable[[int, int], nn.Module]


def _build(build: _Builder, cuts: Cuts, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size
    stages, head = cut(build(classes, channels), cuts)
    return Network(card, stages, head)


def _card(name: str, about: About, skeleton: nn.Module, minimum: int) -> Card:
    shapes = (
        [about.classes if side == _PROBE_CLASSES else side for side in value.shape] for value in skeleton.parameters()
    )
    return Card(
        name=name,
        title=about.paper.title,
        authors=f"not stated by {about.library.partition(' ')[0]}",
        year=about.paper.year,
        venue=about.library,
        address=about.paper.address,
        input=about.input,
        classes=about.classes,
        minimum=minimum,
        parameters=sum(math.prod(shape) for shape in shapes),
        top1_error=about.top1_error,
        top5_error=about.top5_error,
        evaluation=about.evaluation,
    )
