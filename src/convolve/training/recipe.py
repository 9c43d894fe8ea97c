"""The recipe: everything that decides a training, in one frozen value that round-trips through TOML.

A field that is None is chosen automatically by `training.defaults.settle`, which says why; what a person sets wins.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import Annotated, Literal

from convolve.datasets.augmentation import Augmentation
from convolve.options import flat
from convolve.words import Fit, PixelLoss, TaskName

OptimizerName = Literal[
    "gradient-descent", "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw"
]
ScheduleName = Literal["constant", "step", "cosine", "one-cycle", "plateau"]
Balance = Literal["none", "weights", "sampler"]


@dataclass(frozen=True)
class Optimization:
    """How the weights move."""

    optimizer: OptimizerName | None = None
    """The update rule, by the lectures' name; `gradient-descent` makes one step from the whole training split."""
    rate: float | None = None
    """Learning rate: the highest one that the schedule reaches."""
    momentum: float | None = None
    """Share of the last step that goes on, for momentum, nesterov and rmsprop (0 to 1)."""
    weight_decay: float | None = None
    """Pull of the weights toward zero; never on biases and normalization."""
    schedule: ScheduleName | None = None
    """How the learning rate changes over the training."""
    warmup: float | None = None
    """Epochs over which the rate rises from zero."""
    clip: float | None = None
    """Longest gradient (2-norm) that is followed in full; 0 follows every one."""
    bias_rate: float | None = None
    """How many times as fast as the weights the biases of convolutions and dense layers learn."""


@dataclass(frozen=True)
class Regularization:
    """What keeps a network from learning its training images by heart."""

    label_smoothing: float | None = None
    """Share of certainty spread over the other classes (0 to 1)."""
    mixup: float | None = None
    """Blend pairs of images and labels, by a share drawn from Beta(mixup, mixup); 0 blends none."""
    average: float | None = None
    """Decay of the exponential moving average of the weights that is evaluated and kept; 0 keeps none."""
    balance: Balance | None = None
    """Against unequal classes: `weights` in the loss, or a `sampler` that draws rare classes oftener."""
    patience: int | None = None
    """Stop after so many epochs without a better validation figure; 0 never stops early."""


@dataclass(frozen=True)
class Splitting:
    """How a dataset that comes without splits is divided."""

    validation: float | None = None
    """Share of the images that selects the best epoch."""
    test: float | None = None
    """Share of the images that is touched once, at the end."""
    group_by: str | None = None
    """Regular expression on the image's name; images whose first group (or match) is equal stay on one side."""
    folds: int | None = None
    """Train so many times, each on another division, and report mean and spread."""


@dataclass(frozen=True)
class Transfer:
    """Where the weights start from, and the head behind them."""

    weights: str | None = None
    """A run's folder, a weight file, or `imagenet`; the head is replaced where the classes differ."""
    freeze: str | None = None
    """Keep this stage and all before it as they are; their batch norms stay in evaluation mode."""
    gap: bool | None = None
    """End in global average pooling and one dense layer (Zhou et al. 2016), so that class activation maps are exact."""


@dataclass(frozen=True)
class Pixels:
    """What a network learns that tells the class of every pixel."""

    loss: PixelLoss | None = None
    """Cross-entropy, its mean over the pixels or their sum, dice (the overlap of regions) or focal (cross-entropy that
    dwells on what is hard)."""
    ignore: str | None = None
    """Class whose pixels are neither learned nor measured."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training."""

    data: str | None = None
    """Folder, file or named set to learn from."""
    _: KW_ONLY
    task: TaskName | None = None
    """What is asked of an image: its class, or with `segment` every pixel's; by default what the data's truth is."""
    network: str | None = None
    """Name of the network; `convolve networks` lists them."""
    epochs: int | None = None
    """How often every training image is seen."""
    batch: int | None = None
    """Images in one step."""
    seed: int | None = None
    """Decides every random draw; the same seed gives the same weights."""
    size: int | None = None
    """Side in pixels of the square that the network sees."""
    save_memory: bool | None = None
    """Let a DenseNet recompute its concatenations on the way back: slower, in far less memory, to the same weights."""
    fit: Fit | None = None
    """How a picture meets that square: crop, letterbox or stretch; with masks also tiles: at its own scale, cut into
    squares that overlap by half."""
    optimization: Annotated[Optimization, flat("Optimization")] = field(default_factory=Optimization)
    regularization: Annotated[Regularization, flat("Regularization")] = field(default_factory=Regularization)
    augmentation: Annotated[Augmentation, flat("Augmentation, in training only")] = field(default_factory=Augmentation)
    splitting: Annotated[Splitting, flat("Splits")] = field(default_factory=Splitting)
    transfer: Annotated[Transfer, flat("Transfer")] = field(default_factory=Transfer)
    pixels: Annotated[Pixels, flat("Segmentation")] = field(default_factory=Pixels)
