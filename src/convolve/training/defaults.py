"""What a recipe leaves open, chosen from facts about the data and the network, with a reason for each choice.

What a person sets is never changed, and what depends on it follows it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from convolve import models
from convolve.datasets.tiles import starts
from convolve.errors import OptionError
from convolve.models import Card
from convolve.options import build
from convolve.training.ranges import check, values
from convolve.training.recipe import Recipe

RATES: dict[str, float] = {
    "gradient-descent": 0.1,
    "sgd": 0.1,
    "momentum": 0.02,
    "nesterov": 0.02,
    "adagrad": 0.01,
    "rmsprop": 0.001,
    "adadelta": 1.0,
    "adam": 0.001,
    "adamw": 0.001,
}
"""Learning rates from which networks with normalized layers learn well; others take a part of it."""

_SMALL_SIDE = 64
_SMALL_NETWORK = 200_000
_BATCH_NORMALIZATION = 2015

Choice = tuple[str, object, str]


@final
@dataclass(frozen=True)
class Facts:
    """What the choices depend on.

    ``images`` is the number to learn from; ``side`` the median shorter side in pixels, ``longer`` the longer one (0
    for square pictures); ``photographs`` whether they are large and in color; ``imbalance`` the largest class's images
    per image of the smallest; ``multiple`` whether an image may carry several labels; ``pixels`` whether every pixel
    has a class.
    """

    images: int
    channels: int
    side: int
    photographs: bool
    imbalance: float = 1.0
    multiple: bool = False
    pixels: bool = False
    longer: int = 0


def settle(recipe: Recipe, facts: Facts) -> tuple[Recipe, dict[str, str]]:
    """The recipe with nothing left open, and the reason for each choice by the field's name.

    Only what may be absent stays None: data, group_by, weights, freeze, ignore, and the loss of a network for whole
    images. Raises `OptionError` for a number outside its range and when no network is named, `NetworkError` for an
    unknown network.
    """
    check(recipe)
    if recipe.network is None:
        raise OptionError("Name a network with --network; `convolve networks` lists them.")
    known = {name: value for name, value in values(recipe).items() if value is not None}
    card = models.card(recipe.network)
    reasons: dict[str, str] = {}
    for choose in (_input, _amount, _movement, _restraint, _variation, _division):
        for name, value, reason in choose(known, facts, card):
            if name not in known:
                known[name], reasons[name] = value, reason
    settled = build(Recipe, known)
    check(settled)
    return settled, reasons


def _input(known: dict[str, object], facts: Facts, card: Card) -> Iterator[Choice]:
    yield "task", "segment" if facts.pixels else "classify", "what the data's truth is"
    if facts.pixels:
        yield "loss", "cross-entropy", "every pixel counts"
    side = card.input[1]
    if facts.photographs or side <= _SMALL_SIDE:
        yield "size", max(side, card.minimum), "the network's published input"
    else:
        yield "size", max(_SMALL_SIDE, card.minimum), f"small images, large enough for {card.name}'s strides"
    large = facts.pixels and facts.side > 2 * int(str(known["size"]))
    advice = "; take tiles to keep these large pictures' scale, too" if large else ""
    fit, reason = ("crop", "keeps shapes") if facts.photographs else ("stretch", "keeps all of it")
    yield "fit", fit, reason + advice
    yield "seed", 0, "any number does; it repeats the training"
    yield "gap", False, "only when asked"
    yield "save_memory", False, "only when asked"


def _amount(known: dict[str, object], facts: Facts, card: Card) -> Iterator[Choice]:
    del card
    usual = 32 if int(str(known["size"])) > _SMALL_SIDE else 128
    usual = usual // 4 if facts.pixels else usual
    images = facts.images * _examples(known, facts)
    batch = max(min(usual, 2 ** int(math.log2(max(images, 16) / 8))), 8)
    yield "batch", batch, "usual for this image size" if batch == usual else "several steps per epoch on few images"
    per_epoch = math.ceil(images / int(str(known.get("batch", batch))))
    if known.get("optimizer") == "gradient-descent":
        yield "epochs", 200, "gradient descent makes one step per epoch"
    elif known.get("weights"):
        yield "epochs", _between(5, math.ceil(400 / per_epoch), 30), "about 400 steps, as the weights know much already"
    else:
        yield "epochs", _between(15, math.ceil(2000 / per_epoch), 100), "about 2,000 steps, within 15 to 100 epochs"


def _movement(known: dict[str, object], facts: Facts, card: Card) -> Iterator[Choice]:
    del facts
    yield "optimizer", "adamw", "learns well at its usual rate on most networks"
    optimizer = str(known["optimizer"])
    adaptive = optimizer in ("adam", "adamw")
    yield "schedule", *_schedule(optimizer)
    share, why = _share_of_rate(known, card)
    yield "rate", RATES[optimizer] * share, f"usual for {optimizer}{why}"
    yield "bias_rate", 1.0, "as the weights"
    yield "momentum", 0.0 if optimizer == "rmsprop" else 0.9, "usual"
    decay = {"adamw": 0.05, "momentum": 5e-4, "nesterov": 5e-4, "sgd": 5e-4}.get(optimizer, 0.0)
    yield "weight_decay", decay, f"usual for {optimizer}"
    yield "warmup", *_warmup(str(known["schedule"]), int(str(known["epochs"])), adaptive)
    deep = card.year < _BATCH_NORMALIZATION and not _small(card)
    yield "clip", 1.0 if deep else 0.0, "deep and not normalized" if deep else "not needed with this network"


def _schedule(optimizer: str) -> tuple[str, str]:
    if optimizer in ("gradient-descent", "adagrad", "adadelta"):
        return "constant", "the rule of the lectures, as it stands"
    return "one-cycle", "the fewest epochs for the same accuracy"


def _share_of_rate(known: dict[str, object], card: Card) -> tuple[float, str]:
    if known.get("weights"):
        return 0.3, ", a third of it for weights that have learned"
    if _small(card):
        return 5.0, ", five times as much for a small network"
    if card.year < _BATCH_NORMALIZATION:
        return 0.2, ", a fifth of it without batch normalization"
    return 1.0, ""


def _warmup(schedule: str, epochs: int, adaptive: bool) -> tuple[float, str]:
    if schedule == "one-cycle":
        return 0.3 * epochs, "three tenths of the cycle rise"
    if schedule == "cosine":
        return min(2.0, 0.1 * epochs), "a gentle start"
    return (min(1.0, 0.1 * epochs), "a gentle start") if adaptive else (0.0, "not needed")


def _restraint(known: dict[str, object], facts: Facts, card: Card) -> Iterator[Choice]:
    smooth = 0.1 if not facts.multiple and not facts.pixels and not _small(card) else 0.0
    yield "label_smoothing", smooth, "keeps a large network from certainty" if smooth else "not needed here"
    yield "mixup", 0.0, "only when asked"
    yield "average", 0.0, "only when asked; the falling rate does the same"
    unequal = facts.imbalance >= 3
    ratio = f"the largest class has {facts.imbalance:.1f} times the images of the smallest"
    yield "balance", "weights" if unequal else "none", ratio
    fixed = known["schedule"] in ("constant", "plateau")
    patience = max(10, int(str(known["epochs"])) // 5) if fixed else 0
    yield "patience", patience, "the rate does not fall by itself" if fixed else "the schedule needs all its epochs"


def _variation(known: dict[str, object], facts: Facts, card: Card) -> Iterator[Choice]:
    chosen: dict[str, object] = dict.fromkeys(
        ("rotate", "scale", "translate", "noise", "brightness", "contrast", "saturation", "pca"), 0.0
    )
    chosen |= {"crop": 1.0, "flip": False, "vertical_flip": False}
    if known.get("freeze"):
        reason = "nothing varies, so that what the frozen stages give is computed once"
    elif facts.photographs:
        closer = known["fit"] != "tiles"  # which are there to keep the scale
        how = "mirrored, closer and in other light" if closer else "mirrored and in other light"
        reason = f"photographs: what they show stays the same {how}"
        chosen |= {"flip": True, "brightness": 0.2, "contrast": 0.2, "saturation": 0.2}
        chosen |= {"crop": 0.35} if closer else {}
    elif _small(card) and facts.images >= 10_000:
        reason = f"the network is too small to learn {facts.images:,} images by heart"
    elif facts.channels == 3:
        reason = "small color images: shifted and mirrored they show the same"
        chosen |= {"translate": 0.125, "flip": True, "brightness": 0.1, "contrast": 0.1}
    else:
        reason = "small gray images may be signs, which a mirror would change"
        chosen |= {"rotate": 10.0, "scale": 0.1, "translate": 0.1}
    yield from ((name, value, reason) for name, value in chosen.items())


def _division(known: dict[str, object], facts: Facts, card: Card) -> Iterator[Choice]:
    del known, card
    share = 0.1 if facts.images >= 5_000 else 0.15
    yield "validation", share, "enough to choose the best epoch"
    yield "test", share if share < 0.15 else 0.2, "enough for a figure to trust"
    yield "folds", 1, "one division"


def _examples(known: dict[str, object], facts: Facts) -> int:
    """How many examples an image is."""
    if known["fit"] != "tiles":
        return 1
    size = int(str(known["size"]))
    return len(starts(facts.side, size)) * len(starts(max(facts.longer, facts.side), size))


def _small(card: Card) -> bool:
    return card.parameters is not None and card.parameters < _SMALL_NETWORK


def _between(low: int, value: int, high: int) -> int:
    return max(low, min(value, high))
