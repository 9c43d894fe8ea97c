"""The recipe: everything that decides a training, in one frozen value that round-trips through TOML.

A field that is None is chosen automatically by `training.defaults.resolve`, which says why; what a person sets wins.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from cyclopts import Parameter

from convolve.choices import AUTO, COCO, IMAGENET, NETWORK_FILES, NO_WEIGHTS, Fit
from convolve.datasets.augmentation import Augmentation
from convolve.datasets.reading import ReadingOptions
from convolve.errors import OptionError
from convolve.files import write_text
from convolve.layers.design import Design
from convolve.options import Flat, PathLike, TaskOptions, fields, from_sections, merge, to_sections
from convolve.untrusted.documents import parse_toml
from convolve.untrusted.files import read_text

OptimizerName = Literal[
    "gradient-descent", "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw"
]
ScheduleName = Literal["constant", "step", "cosine", "one-cycle", "plateau"]


@dataclass(frozen=True)
class Optimization:
    """How the weights are updated."""

    optimizer: OptimizerName | None = None
    """Update rule."""
    learning_rate: Annotated[float | None, Parameter(alias="--lr")] = None
    """Learning rate: the highest that the schedule reaches."""
    momentum: float | None = None
    """Momentum of `momentum`, `nesterov` and `rmsprop` (0 to 1)."""
    weight_decay: float | None = None
    """Weight decay; biases and normalization layers have none."""
    schedule: ScheduleName | None = None
    """How the learning rate changes over the training."""
    warmup: float | None = None
    """Epochs of learning rate warm-up."""
    clip_norm: float | None = None
    """Maximum gradient norm; 0 disables clipping."""
    bias_rate: float | None = None
    """Factor on the learning rate of biases of convolutions and fully connected layers."""
    precise_bn: bool | None = None
    """Estimate the statistics of batch normalization anew, on training images, before each validation (precise BN, Wu
    and Johnson 2021); by default where an epoch has few steps."""


@dataclass(frozen=True)
class Regularization:
    """What keeps a network from overfitting."""

    ema_decay: float | None = None
    """Decay of an exponential moving average of the weights, which is then evaluated and saved; 0 disables it."""
    patience: int | None = None
    """Stop after this many epochs without improvement on the validation split; 0 disables early stopping."""


@dataclass(frozen=True)
class Splitting:
    """How a dataset without splits of its own is split, and how much of it is learned from."""

    validation: float | None = None
    """Fraction of the images that selects the best epoch."""
    test: float | None = None
    """Fraction of the images that is used once, at the end."""
    group_by: str | None = None
    """Regular expression on image names; images with the same first group (or match) stay in one split."""
    folds: int | None = None
    """Number of cross-validation folds; reports mean and standard deviation."""
    subset: int | None = None
    """Number of training images to learn from, of each class in proportion, drawn by the seed; validation and test
    stay whole."""


@dataclass(frozen=True)
class Transfer:
    """Where the weights start from, and the head after them."""

    weights: Annotated[str | None, PathLike()] = None
    """Initial weights: a run's folder, a weight file, `imagenet` or `coco` (official ones), `none`, or `auto`, the
    default: official ones for color photographs, if the network has any. The head is replaced if the classes differ."""
    freeze: str | None = None
    """Freeze this stage and all before it; their batch normalization stays in evaluation mode."""
    gap: bool | None = None
    """Replace the head by global average pooling and one fully connected layer (Zhou et al. 2016), for class activation
    maps."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training."""

    data: Annotated[str | None, PathLike()] = None
    """Folder, file, or built-in dataset such as digits."""
    _: KW_ONLY
    task: str | None = None
    """What to learn: `classify`, `localize`, `detect`, `segment`, `landmarks`, `embed`, `caption`, `depth`, `restore`,
    `stereo` or `style`; by default what the annotations and the network are for."""
    network: str | None = None
    """Name of the network, which `convolve networks` lists; or its layers, as in `conv 8 3 relu | pool 2 | flatten |
    dense classes`; or a file: a TOML file of layers in blocks, a Darknet `.cfg`, or a run's `network.json`."""
    epochs: int | None = None
    """Passes over the training images."""
    batch: int | None = None
    """Images per step."""
    seed: int | None = None
    """Seed of all random numbers; the same seed gives the same weights."""
    size: int | None = None
    """Height and width of the network's input, in pixels."""
    save_memory: bool | None = None
    """Recompute a DenseNet's concatenations in the backward pass: slower, much less memory, the same weights."""
    fit: Fit | None = None
    """How an image is fitted to the input: crop, letterbox or stretch; for segmentation also tiles, which cuts large
    images into overlapping tiles at full scale; for restoration only tiles. What a crop leaves out is not seen: objects
    there count as missed."""
    design: Annotated[Design, Flat, Parameter(group="Network design")] = field(default_factory=Design)
    reading: Annotated[ReadingOptions, Flat, Parameter(group="Reading the data")] = field(
        default_factory=ReadingOptions
    )
    optimization: Annotated[Optimization, Flat, Parameter(group="Optimization")] = field(default_factory=Optimization)
    regularization: Annotated[Regularization, Flat, Parameter(group="Regularization")] = field(
        default_factory=Regularization
    )
    augmentation: Annotated[Augmentation, Flat, Parameter(group="Augmentation, in training only")] = field(
        default_factory=Augmentation
    )
    splitting: Annotated[Splitting, Flat, Parameter(group="Splits")] = field(default_factory=Splitting)
    transfer: Annotated[Transfer, Flat, Parameter(group="Transfer learning")] = field(default_factory=Transfer)
    task_options: TaskOptions = field(default_factory=dict)
    """Options of the task's own, by name; in a recipe's file a section named as the task."""


_FRACTION = (0.0, 1.0)
_RANGES: dict[str, tuple[float, float]] = {
    "epochs": (1, 100_000),
    "batch": (1, 65_536),
    "seed": (0, 2**63 - 1),
    "size": (1, 4_096),
    "learning_rate": (1e-18, 1e3),
    "bias_rate": (0.0, 100.0),
    "momentum": (0.0, 0.9999),
    "weight_decay": (0.0, 10.0),
    "warmup": (0.0, 100_000),
    "clip_norm": (0.0, 1e9),
    "ema_decay": (0.0, 0.999999),
    "patience": (0, 100_000),
    "crop": (0.01, 1.0),
    "rotate": (0.0, 180.0),
    "scale": (0.0, 0.9),
    "translate": _FRACTION,
    "noise": _FRACTION,
    "brightness": _FRACTION,
    "contrast": _FRACTION,
    "saturation": _FRACTION,
    "hue": (0.0, 0.5),
    "pca": (0.0, 10.0),
    "mosaic": _FRACTION,
    "multi_scale": (0.0, 0.9),
    "validation": (0.0, 0.9),
    "test": (0.0, 0.9),
    "folds": (1, 100),
    "subset": (1, 2**31),
}


def check(recipe: Recipe, ranges_of_task: Mapping[str, tuple[float, float]]) -> None:
    """Raise `OptionError` for a number out of its range (both ends included), also of the task's own options, or for
    numbers that do not go together.
    """
    ranges = {**_RANGES, **ranges_of_task}
    for name, value in {**values(recipe), **recipe.task_options}.items():
        low, high = ranges.get(name, (-math.inf, math.inf))
        if isinstance(value, int | float) and not low <= value <= high:
            raise OptionError(f"{name} cannot be {value}; it must be a number from {low:g} to {high:g}.")
    if (recipe.splitting.validation or 0) + (recipe.splitting.test or 0) > 0.95:
        raise OptionError("validation and test together leave too few training images; keep their sum at most 0.95.")
    if recipe.optimization.optimizer == "nesterov" and recipe.optimization.momentum == 0:
        raise OptionError("nesterov needs a momentum above 0; omit --momentum for 0.9, or use --optimizer sgd.")
    if recipe.epochs and (recipe.optimization.warmup or 0) > recipe.epochs:
        raise OptionError(f"warmup cannot exceed the {recipe.epochs} epochs of the training; reduce it.")


def values(recipe: Recipe) -> dict[str, object]:
    """Every field of a recipe by its flat name, except the task's own options."""
    found: dict[str, object] = {}
    for option in fields(Recipe):
        value: object = recipe
        for part in option.path:
            value = getattr(value, part)
        found[option.name] = value
    return found


def read_recipe(path: Path) -> Recipe:
    """Read a recipe. Raises `OptionError` when the file is missing, is not TOML, or has an unknown entry."""
    try:
        sections = parse_toml(read_text(path))
    except OSError as error:
        raise OptionError(f"{path} cannot be read ({error.strerror}); give the TOML file of a recipe.") from error
    except ValueError as error:
        raise OptionError(f"{path} is not a valid TOML file ({error}); correct it.") from error
    task = str(sections.get("task"))
    own = sections.pop(task, {})
    if not isinstance(own, dict):
        raise OptionError(f"{path}: {task} must be a section [{task}] with the task's own options.")
    groups = {option.path[0] for option in fields(Recipe)}
    for name, section in sections.items():
        if isinstance(section, dict) and name not in groups:
            raise OptionError(f'{path} has an unknown section [{name}]; correct it, or set task = "{name}".')
    return replace(from_sections(Recipe, sections, str(path)), task_options=dict(own))


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Write a recipe; what is None is omitted. Raises `ConvolveError` when the disk is full."""
    write_text(path, tomli_w.dumps(recipe_document(recipe)))


def recipe_document(recipe: Recipe) -> dict[str, Any]:
    """What a recipe's file holds; what is None is omitted."""
    own = {name: value for name, value in recipe.task_options.items() if value is not None}
    return to_sections(recipe) | ({str(recipe.task): own} if own else {})


def override(recipe: Recipe, changes: Recipe) -> Recipe:
    """A recipe with all that ``changes`` sets.

    The warm-up is chosen anew when the number of epochs changes, a task's own options when the task changes, and the
    files of annotations when the data does.
    """
    if changes.data not in (None, recipe.data):
        recipe = replace(recipe, reading=replace(recipe.reading, annotations=None))
    if changes.task not in (None, recipe.task):
        recipe = replace(recipe, task_options={})
    if changes.epochs not in (None, recipe.epochs):
        recipe = replace(recipe, optimization=replace(recipe.optimization, warmup=None))
    return merge(recipe, changes)


def as_stored(recipe: Recipe) -> Recipe:
    """A recipe that was read from a file: it starts from random weights where it names none."""
    return merge(Recipe(transfer=Transfer(weights=NO_WEIGHTS)), recipe)


def starting_like(recipe: Recipe, stored: Recipe) -> Recipe:
    """A recipe that starts from what a stored one started from, unless it names its weights itself."""
    if recipe.transfer.weights not in (None, AUTO):
        return recipe
    return replace(recipe, transfer=replace(recipe.transfer, weights=stored.transfer.weights or NO_WEIGHTS))


def with_lasting_paths(recipe: Recipe, task_options: type | None = None) -> Recipe:
    """The recipe with absolute paths, which hold wherever it is read again; ``task_options`` are its task's."""
    own = [option.name for option in fields(task_options) if option.path_like] if task_options else []
    file = recipe.network if recipe.network and recipe.network.endswith(NETWORK_FILES) else None
    named = {"data": recipe.data, "weights": recipe.transfer.weights, "network": file}
    named |= {name: str(recipe.task_options[name]) for name in own if recipe.task_options.get(name)}
    lasting = {
        key: str(path.resolve()) if name and (path := Path(os.path.expanduser(name))).exists() else name  # noqa: PTH111
        for key, name in named.items()
    }
    data, weights, network = (lasting.pop(key) for key in ("data", "weights", "network"))
    official = recipe.transfer.weights in (COCO, IMAGENET)
    transfer = recipe.transfer if official else replace(recipe.transfer, weights=weights)
    changed = {**recipe.task_options, **lasting}
    return replace(recipe, data=data, network=network or recipe.network, transfer=transfer, task_options=changed)
