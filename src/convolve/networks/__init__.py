"""Every network of the lectures, one file per paper; `create` looks a name up and calls its builder."""

from __future__ import annotations

import difflib

from convolve.errors import NetworkError
from convolve.networks import keras_listings, resnet, vgg
from convolve.networks.network import Card, Network, Stage, Variant

__all__ = ["Card", "Network", "Stage", "Variant", "card", "create", "names"]

_VARIANTS: dict[str, Variant] = {
    variant.card.name: variant for paper in (keras_listings, vgg, resnet) for variant in paper.VARIANTS
}


def names() -> list[str]:
    """Every network's name, oldest paper first."""
    return sorted(_VARIANTS, key=lambda name: (_VARIANTS[name].card.year, name))


def card(name: str) -> Card:
    """What is known of a network, without building it. Raises `NetworkError` for an unknown name."""
    return _variant(name).card


def create(
    name: str, classes: int | None = None, channels: int | None = None, size: tuple[int, int] | None = None
) -> Network:
    """Build a network by name.

    ``classes``, ``channels`` and ``size`` (height, width in pixels) are the published ones unless given. Raises
    `NetworkError` for an unknown name or an image too small for the network.
    """
    variant = _variant(name)
    published = variant.card.input
    size = size or published[1:]
    if min(size) < variant.card.minimum:
        raise NetworkError(
            f"{name} cannot take images of {size[0]}x{size[1]}: its smallest side is {variant.card.minimum} pixels."
        )
    return variant.build(variant.card, classes or variant.card.classes, channels or published[0], size)


def _variant(name: str) -> Variant:
    if name not in _VARIANTS:
        near = difflib.get_close_matches(name, _VARIANTS, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise NetworkError(f"There is no network named '{name}'.{hint} Known: {', '.join(names())}.")
    return _VARIANTS[name]
