"""Small networks in words."""

from __future__ import annotations

from convolve.models.definition import IMAGE, LayerDefinition, NetworkDefinition, Value

SQUARE = {"kernel": (3, 3), "stride": (1, 1), "padding": (1, 1, 1, 1)}


def layer(name: str, kind: str, *inputs: str, **options: Value) -> LayerDefinition:
    """A layer that takes the image unless inputs are named."""
    return LayerDefinition(name, kind, inputs or (IMAGE,), options)


def convolution(
    name: str, source: str, out: int, kernel: int = 3, stride: int = 1, **options: Value
) -> LayerDefinition:
    """A square convolution, padded by half its kernel."""
    half = kernel // 2
    window = {"kernel": (kernel, kernel), "stride": (stride, stride), "padding": (half,) * 4}
    return layer(name, "convolution", source, out=out, **{**window, **options})


def network(
    *layers: LayerDefinition, image: tuple[int, int, int] = (3, 16, 16), outputs: tuple[str, ...] = ()
) -> NetworkDefinition:
    """The network of these layers, whose last one leaves unless others are named."""
    return NetworkDefinition("Caffe", "small", image, layers, outputs or (layers[-1].name,))


def gated(classes: int = 4) -> NetworkDefinition:
    """Two branches, a gate of each channel, and a classifier with a softmax."""
    return network(
        convolution("conv1", IMAGE, 8, stride=2),
        layer("relu1", "activation", "conv1", function="relu"),
        layer("pool1", "pool", "relu1", mode="max", kernel=(3, 3), stride=(2, 2), padding=(0, 0, 0, 0), ceil=True),
        convolution("fire/left", "pool1", 4, 1),
        convolution("fire/right", "pool1", 6),
        layer("join.all", "concat", "fire/left", "fire/right"),
        layer("mean", "global_pool", "join.all", mode="average"),
        convolution("gate", "mean", 10, 1),
        layer("open", "activation", "gate", function="sigmoid"),
        layer("gated", "multiply", "join.all", "open"),
        layer("fc", "linear", "gated", out=classes),
        layer("prob", "softmax", "fc"),
    )
