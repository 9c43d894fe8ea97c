"""What a recipe leaves open, chosen from facts about the data and the network, with a reason for each choice.

What a person sets is never changed, and what depends on it follows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Protocol, final

from convolve import models
from convolve.choices import AUTO, NO_WEIGHTS, Fit
from convolve.datasets.splits import MANY, USUAL_FRACTIONS
from convolve.datasets.tiles import starts
from convolve.errors import OptionError
from convolve.models import Card
from convolve.options import build, fields
from convolve.training.recipe import Recipe, check, values
from convolve.values import GroundTruth

LEARNING_RATES: dict[str, float] = {
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
"""Learning rates that suit networks with normalization layers; others use a fraction or a multiple of them."""

_SMALL_SIDE = 64
_SMALLEST_SIDE, _LARGEST_SIDE = 28, 180
"""Sides between which a network that takes any gets the images' own: those of the lectures' tables."""
SMALL_NETWORK = 200_000
_BATCH_NORMALIZATION = 2015

Choice = tuple[str, object, str]
"""An option's name, its value, and the reason."""


TaskDefaults = Callable[[Mapping[str, object], "Facts", Card, GroundTruth], Iterator[Choice]]
"""A task's own choices; see `tasks.task.Task.defaults`."""


class TaskOptionsInfo(Protocol):
    """What is asked of a task's `TaskInfo`."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def fits(self) -> tuple[Fit, ...]:
        """How images may be fitted."""
        ...

    @property
    def options(self) -> type:
        """The dataclass of its own options."""
        ...

    @property
    def ranges(self) -> Mapping[str, tuple[float, float]]:
        """The least and the largest value of those that are numbers."""
        ...


@final
@dataclass(frozen=True)
class Facts:
    """What the choices depend on.

    ``images`` is the number to learn from; ``side`` the median shorter side in pixels, ``longer`` the longer one (0
    for square images); ``photographs`` whether they are large and in color; ``imbalance`` the number of images of the
    most frequent class for each of the rarest one's; ``head`` whether the weights that the training starts from are of
    the network's head too, not of its classifier alone.
    """

    images: int
    channels: int
    side: int
    photographs: bool
    imbalance: float = 1.0
    longer: int = 0
    head: bool = False


def resolve(
    recipe: Recipe, facts: Facts, task: TaskOptionsInfo, task_defaults: TaskDefaults, ground_truth: GroundTruth
) -> tuple[Recipe, dict[str, str]]:
    """The recipe with nothing left open, and the reason for each choice by the option's name.

    Only what may be absent stays None: the network's design, data and how it is read, group_by, subset, weights,
    freeze, precise_bn, and what the task may leave so. Raises `OptionError` for a number out of range and when no
    network is named, `NetworkError` for an unknown one.
    """
    check(recipe, task.ranges)
    if recipe.network is None:
        raise OptionError("Choose a network with --network; `convolve networks` lists them.")
    known = {name: value for name, value in values(recipe).items() if value is not None}
    known |= {name: value for name, value in recipe.task_options.items() if value is not None}
    if known.get("weights") in (AUTO, NO_WEIGHTS):  # nothing is stored where a training starts from random weights
        del known["weights"]
    card = models.card(recipe.network)
    reasons: dict[str, str] = {}
    own = {option.name for option in fields(task.options)}

    choices = (  # generators: each begins when the ones before it have ended, and knows what they chose
        task_defaults(known, facts, card, ground_truth),
        _data(known, facts, card, task),
        _optimization(known, card),
        _augmentation(known, facts, card),
    )
    for name, value, reason in chain.from_iterable(choices):
        if name not in known:
            known[name], reasons[name] = value, reason
    reasons = {name: reasons[name] for name in sorted(reasons, key=own.__contains__)}  # the task's own last
    if known["fit"] not in task.fits:
        fits = " or ".join(filter(None, (", ".join(task.fits[:-1]), task.fits[-1])))
        raise OptionError(f"--fit {known['fit']} is not available for the task {task.name}; use {fits}.")
    general: dict[str, Any] = {name: value for name, value in known.items() if name not in own}
    task_options = {name: value for name, value in known.items() if name in own}
    resolved = replace(build(Recipe, general), task_options=task_options)
    check(resolved, task.ranges)
    return resolved, reasons


def _data(known: dict[str, object], facts: Facts, card: Card, task: TaskOptionsInfo) -> Iterator[Choice]:
    """What is read, how it becomes the network's input, and how much of it there is."""
    yield "task", task.name, "what the annotations and the network are for"
    side = card.input[1]
    if card.any_size:
        side = max(card.minimum, min(max(facts.side, _SMALLEST_SIDE), _LARGEST_SIDE))
        yield "size", side, f"the images' own, between {_SMALLEST_SIDE} and {_LARGEST_SIDE} pixels if the network can"
    elif facts.photographs or side <= _SMALL_SIDE:
        yield "size", max(side, card.minimum), "the network's published input size"
    else:
        yield "size", max(_SMALL_SIDE, card.minimum), f"small images, large enough for {card.name}'s strides"
    large = "tiles" in task.fits and facts.side > 2 * int(str(known["size"]))
    advice = "; --fit tiles would keep these large images at full scale" if large else ""
    fit, reason = ("crop", "keeps the aspect ratio") if facts.photographs else ("stretch", "keeps the whole image")
    yield "fit", fit, reason + advice
    validation, test = USUAL_FRACTIONS[facts.images >= MANY]
    yield "validation", validation, "selects the best epoch"
    yield "test", test, "used once, at the end"
    yield "folds", 1, "a single split"
    images, size = int(str(known.get("subset", facts.images))), int(str(known["size"]))
    usual = 32 if size > _SMALL_SIDE else 128
    usual = usual if card.output in ("image", "box", "coordinates", "embedding") else usual // 4
    if known["fit"] == "tiles":
        images *= len(starts(facts.side, size)) * len(starts(max(facts.longer, facts.side), size))
    batch = max(min(usual, 2 ** int(math.log2(max(images, 16) / 8))), 8)
    yield "batch", batch, "usual for this input size" if batch == usual else "several steps per epoch on few images"
    per_epoch = math.ceil(images / int(str(known.get("batch", batch))))
    if known.get("optimizer") == "gradient-descent":
        yield "epochs", 200, "gradient descent makes one step per epoch"
    elif known.get("weights"):
        yield "epochs", max(5, min(math.ceil(400 / per_epoch), 30)), "about 400 steps, as the weights are pretrained"
    else:
        yield "epochs", max(15, min(math.ceil(2000 / per_epoch), 100)), "about 2,000 steps, within 15 to 100 epochs"


def _optimization(known: dict[str, object], card: Card) -> Iterator[Choice]:
    """How the weights are updated, and when it ends."""
    yield "seed", 0, "any number; makes the training repeatable"
    yield "gap", False, "only on request"
    yield "save_memory", False, "only on request"
    yield "optimizer", "adamw", "trains most networks well at its usual learning rate"
    optimizer = str(known["optimizer"])
    as_classifier = card.proposals or card.output in ("box", "coordinates", "embedding")
    own = models.card(card.classifier) if as_classifier else card  # of the layers that count, whatever their head
    unnormalized = not own.normalized if own.year is None else own.year < _BATCH_NORMALIZATION
    parameters = (card.parameters or SMALL_NETWORK) * float(str(known.get("width", 1))) ** 2
    if known.get("normalization"):
        unnormalized = known["normalization"] in ("none", "lrn")
    if optimizer in ("gradient-descent", "adagrad", "adadelta"):
        yield "schedule", "constant", "the update rule as published"
    else:
        yield "schedule", "one-cycle", "the fewest epochs for the same accuracy"
    factor, why = 1.0, ""
    if known.get("weights"):
        factor, why = 0.3, ", times 0.3 for pretrained weights"
    elif parameters < SMALL_NETWORK:
        factor, why = 5.0, ", times 5 for a small network"
    elif unnormalized:
        factor, why = 0.2, ", times 0.2 without batch normalization"
    yield "learning_rate", LEARNING_RATES[optimizer] * factor, f"usual for {optimizer}{why}"
    yield "bias_rate", 1.0, "as for the weights"
    yield "momentum", 0.0 if optimizer == "rmsprop" else 0.9, "usual"
    decay = {"adamw": 0.05, "momentum": 5e-4, "nesterov": 5e-4, "sgd": 5e-4}.get(optimizer, 0.0)
    yield "weight_decay", decay, f"usual for {optimizer}"
    epochs = int(str(known["epochs"]))
    if known["schedule"] == "one-cycle":
        yield "warmup", 0.3 * epochs, "the first three tenths of the cycle"
    elif known["schedule"] == "cosine":
        yield "warmup", min(2.0, 0.1 * epochs), "a gentle start"
    elif optimizer in ("adam", "adamw"):
        yield "warmup", min(1.0, 0.1 * epochs), "a gentle start"
    else:
        yield "warmup", 0.0, "not needed"
    deep = unnormalized and parameters >= SMALL_NETWORK
    yield "clip_norm", 1.0 if deep else 0.0, "deep and without normalization" if deep else "not needed by this network"
    yield "ema_decay", 0.0, "only on request; the falling learning rate has the same effect"
    fixed = known["schedule"] in ("constant", "plateau")
    patience = max(10, int(str(known["epochs"])) // 5) if fixed else 0
    reason = "the learning rate does not fall by itself" if fixed else "the schedule needs all its epochs"
    yield "patience", patience, reason


def _augmentation(known: dict[str, object], facts: Facts, card: Card) -> Iterator[Choice]:
    chosen: dict[str, object] = dict.fromkeys(
        ("rotate", "scale", "translate", "noise", "brightness", "contrast", "saturation", "hue", "pca"), 0.0
    )
    chosen |= {"crop": 1.0, "flip": False, "vertical_flip": False, "mosaic": 0.0, "multi_scale": 0.0}
    images = int(str(known.get("subset", facts.images)))
    if known.get("freeze"):
        reason = "no augmentation, so that the frozen stages are computed only once"
    elif facts.photographs:
        crops = known["fit"] != "tiles"  # which are there to keep the scale
        how = "flipped, closer and in other light" if crops else "flipped and in other light"
        reason = f"photographs show the same {how}"
        chosen |= {"flip": True, "brightness": 0.2, "contrast": 0.2, "saturation": 0.2}
        chosen |= {"crop": 0.35} if crops else {}
    elif (card.parameters or SMALL_NETWORK) < SMALL_NETWORK and images >= 10_000:
        reason = f"the network is too small to overfit {images:,} images"
    elif facts.channels == 3:
        reason = "small color images show the same shifted and flipped"
        chosen |= {"translate": 0.125, "flip": True, "brightness": 0.1, "contrast": 0.1}
    else:
        reason = "small gray images may be characters, which must not be flipped"
        chosen |= {"rotate": 10.0, "scale": 0.1, "translate": 0.1}
    yield from ((name, value, reason) for name, value in chosen.items())
