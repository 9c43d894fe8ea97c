"""How a network may differ from its paper: the options, which need nothing of torch; `models.design` applies them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

ActivationName = Literal["none", "relu", "leaky-relu", "prelu", "elu", "gelu", "silu", "sigmoid", "tanh", "scaled-tanh"]
InitializerName = Literal["he", "xavier", "lecun", "orthogonal", "normal", "zeros"]
NormalizationName = Literal["none", "batch", "layer", "group", "lrn"]
PoolingName = Literal["max", "average", "min"]

_OF_THE_WEIGHTS = ("normalization", "width", "connections")
_OF_THE_FUNCTION = ("activation", "pooling", "pool_window", "pool_stride")


@dataclass(frozen=True)
class Design:
    """How a network differs from its paper; what is None stays as published."""

    activation: ActivationName | None = None
    """Activation function in place of the network's own ones."""
    initializer: InitializerName | None = None
    """Initial weights of convolutions and dense layers, with biases of 0: `he`, `xavier`, `lecun`, `orthogonal`,
    `normal` with deviation 0.01, or `zeros`."""
    dropout: float | None = None
    """Probability of dropout (0 to 0.95), where the network has it, else before the last dense layer."""
    normalization: NormalizationName | None = None
    """Normalization in place of the network's own one, else after each convolution."""
    pooling: PoolingName | None = None
    """Pooling in place of the network's own one, except global pooling."""
    pool_window: int | None = None
    """Side of the windows of poolings that shrink the map."""
    pool_stride: int | None = None
    """Stride of poolings that shrink the map."""
    width: float | None = None
    """Factor on all numbers of channels and units, except those of images, classes and boxes."""
    auxiliary: bool | None = None
    """Whether the network has its auxiliary heads."""
    connections: Literal["table", "full"] | None = None
    """Connections of LeNet-5's C3: those of the paper's `table` I, or `full`."""


def given(design: Design) -> dict[str, object]:
    """What a design changes: the values that are not None, by the fields' names."""
    return {name: value for name, value in dataclasses.asdict(design).items() if value is not None}


def flags(design: Design, names: tuple[str, ...] = ()) -> str:
    """What a design changes, of these names or of all, as options are written: `--width 0.5 --no-auxiliary`."""
    words = []
    for name, value in given(design).items():
        flag = name.replace("_", "-")
        if not names or name in names:
            text = f"{value:g}" if isinstance(value, float) else str(value)
            words.append(f"--{'' if value else 'no-'}{flag}" if isinstance(value, bool) else f"--{flag} {text}")
    return " ".join(words)


def inherited(design: Design) -> Design:
    """The part of a design without which weights that were trained with it would mean something else."""
    return dataclasses.replace(design, initializer=None, dropout=None, auxiliary=None)


def fits_published(design: Design) -> bool:
    """Whether the published network's weights mean in this one what they mean in that one."""
    return design.initializer is None and inherited(design) == Design()


def differences(design: Design, trained: Design) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of what a design changes otherwise than that which weights were ``trained`` with: first what such
    weights cannot be loaded into, then what they can, though they were trained with another function.
    """
    changed = [name for name, value in given(design).items() if getattr(trained, name) != value]
    learned = "activation" if "prelu" in (design.activation, trained.activation) else ""  # which has weights of its own
    shapes = tuple(name for name in changed if name in (*_OF_THE_WEIGHTS, learned))
    return shapes, tuple(name for name in changed if name in _OF_THE_FUNCTION and name not in shapes)
