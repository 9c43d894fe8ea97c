"""The values that a recipe's numbers can take."""

from __future__ import annotations

import math

from convolve.errors import OptionError
from convolve.options import fields
from convolve.training.recipe import Recipe

_SHARE = (0.0, 1.0)
_RANGES: dict[str, tuple[float, float]] = {
    "epochs": (1, 100_000),
    "batch": (1, 65_536),
    "seed": (0, 2**63 - 1),
    "size": (1, 4_096),
    "rate": (1e-18, 1e3),
    "bias_rate": (0.0, 100.0),
    "momentum": (0.0, 0.9999),
    "weight_decay": (0.0, 10.0),
    "warmup": (0.0, 100_000),
    "clip": (0.0, 1e9),
    "label_smoothing": (0.0, 0.9999),
    "mixup": (0.0, 100.0),
    "average": (0.0, 0.999999),
    "patience": (0, 100_000),
    "crop": (0.01, 1.0),
    "rotate": (0.0, 180.0),
    "scale": (0.0, 0.9),
    "translate": _SHARE,
    "noise": _SHARE,
    "brightness": _SHARE,
    "contrast": _SHARE,
    "saturation": _SHARE,
    "pca": (0.0, 10.0),
    "validation": (0.0, 0.9),
    "test": (0.0, 0.9),
    "folds": (1, 100),
}


def check(recipe: Recipe) -> None:
    """Raises `OptionError` for a number outside its range, or for numbers that do not go together."""
    for name, value in values(recipe).items():
        low, high = _RANGES.get(name, (-math.inf, math.inf))
        if isinstance(value, int | float) and not low <= value <= high:
            raise OptionError(f"{name} cannot be {value}; it takes a number from {low:g} to {high:g}.")
    if (recipe.splitting.validation or 0) + (recipe.splitting.test or 0) > 0.95:
        raise OptionError("validation and test together leave too little to learn from; keep them under 0.95.")
    if recipe.optimization.optimizer == "nesterov" and recipe.optimization.momentum == 0:
        raise OptionError("nesterov needs a momentum above 0; leave it out for 0.9, or take --optimizer sgd.")
    if recipe.epochs and (recipe.optimization.warmup or 0) > recipe.epochs:
        raise OptionError(f"warmup cannot be longer than the training's {recipe.epochs} epochs; shorten it.")


def values(recipe: Recipe) -> dict[str, object]:
    """Every field of a recipe by its flat name."""
    found: dict[str, object] = {}
    for option in fields(Recipe):
        value: object = recipe
        for part in option.path:
            value = getattr(value, part)
        found[option.name] = value
    return found
