"""The images that a network of another program takes: their size, the order of their colors, their normalization."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from torch import Tensor

from convolve.choices import Fit
from convolve.errors import OptionError, WeightsError
from convolve.models.definition import IMAGE, LayerDefinition, NetworkDefinition
from convolve.models.graph_file import layer_shapes
from convolve.values import Preprocessing

CAFFE: Final = "Caffe"
_IMAGENET_BGR: Final = (104.0, 117.0, 123.0)
MATLAB_LUMINANCE: Final = (-16 / 219, 255 / 219)
"""Mean and deviation by which gray levels from 0 to 1 become Y of MATLAB's `rgb2ycbcr`, over 255."""
_IMAGENET_CLASSES = 1000
_HIGHEST = 255.0
_CHANNELWISE: Final = ("pad", "cut", "power", "identity", "dropout", "upsample", "activation", "pool")
_PER_CHANNEL: Final = ("scale", "batch_norm")


@dataclass(frozen=True)
class InputOptions:
    """What a person says of the images: ``size`` (channels, height, width), ``fit``, ``mean`` and ``scale`` in the
    order of the network's channels, for pixels from 0 to 255: (pixel - mean) * scale. ``bgr``: blue comes first.
    """

    size: tuple[int, int, int] | None = None
    fit: Fit | None = None
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    bgr: bool | None = None

    def is_bgr(self, source: str, channels: int) -> bool:
        """Whether blue comes first: as said, or as Caffe's networks have it."""
        if self.bgr and channels != 3:
            raise OptionError(f"--bgr is for images of 3 channels, and the network takes {channels}; leave it out.")
        return channels == 3 and (source.startswith(CAFFE) if self.bgr is None else self.bgr)


def find_preprocessing(
    source: str, shape: tuple[int, int, int], classes: int, given: Preprocessing | None, options: InputOptions
) -> tuple[Preprocessing, list[str]]:
    """As the options say, as the file says (``given``), or as is usual for a ``source``; and sentences on what had to
    be assumed. Raises `OptionError`.
    """
    channels, height, width = shape
    bgr = options.is_bgr(source, channels)
    notes = []
    if bgr and options.bgr is None:
        notes.append("blue is taken to come first, as Caffe's own tools give images")
    mean, std = _given_numbers(options, channels, bgr=bgr) or ((0.0,) * channels, (1.0,) * channels)
    if not options.mean and not options.scale:
        if given is not None and given.channels == channels:
            mean, std = given.mean, given.std
        elif source.startswith(CAFFE):
            known = bgr and classes == _IMAGENET_CLASSES
            mean = tuple(value / _HIGHEST for value in _IMAGENET_BGR[::-1]) if known else mean
            std = (1 / _HIGHEST,) * channels
            what = "ImageNet's mean (blue 104, green 117, red 123)" if known else "no mean"
            notes.append(f"{what} is subtracted from pixels from 0 to 255, as the file names none")
        else:
            notes.append("pixels are taken from 0 to 1, without a mean, as the file does not say how")
    fit = options.fit or "crop"
    return Preprocessing(height, width, channels, fit, mean, std), notes


def _given_numbers(
    options: InputOptions, channels: int, *, bgr: bool
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    if not options.mean and not options.scale:
        return None
    numbers = []
    for name, values, default in (("mean", options.mean, 0.0), ("scale", options.scale, 1.0)):
        own = values or (default,)
        if len(own) not in (1, channels):
            raise OptionError(
                f"--{name} has {len(own)} values, and the network takes {channels} channels; give as many."
            )
        own = own * channels if len(own) == 1 else own
        numbers.append(own[::-1] if bgr else own)
    mean, scale = numbers
    if any(value <= 0 for value in scale):
        raise OptionError("--scale must be above 0; it multiplies pixels from 0 to 255.")
    return tuple(value / _HIGHEST for value in mean), tuple(1 / (_HIGHEST * value) for value in scale)


def as_rgb(definition: NetworkDefinition, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors for images whose red comes first, of a network that takes blue first. Raises `WeightsError`."""
    changed, swapped = dict(tensors), {IMAGE}
    for layer in definition.layers:
        if not swapped.intersection(layer.inputs):
            continue
        own = [name for name in tensors if name.rpartition(".")[0] == layer.name]
        weight = f"{layer.name}.weight"
        if layer.kind == "convolution" and layer.whole("groups") == 1 and weight in tensors:
            changed[weight] = tensors[weight].flip(1)
        elif layer.kind == "linear" and weight in tensors:
            channels = definition.input[0]
            rows = tensors[weight].reshape(len(tensors[weight]), channels, -1).flip(1)
            changed[weight] = rows.reshape(tensors[weight].shape)
        elif layer.kind in _PER_CHANNEL or (layer.kind in _CHANNELWISE and not own):
            changed |= {name: tensors[name].flip(0) for name in own}
            swapped.add(layer.name)
        elif layer.kind != "crop" and tensors:
            raise WeightsError(
                f"Blue and red cannot be exchanged before the layer {layer.name!r} ({layer.kind}); use --no-bgr, and "
                "give images whose blue comes first."
            )
    return changed


def flip_first(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors for images whose red comes first, where nothing is known but that the first convolution takes them
    with blue first.
    """
    first = next((name for name, value in tensors.items() if value.ndim == 4 and value.shape[1] == 3), None)
    return {name: value.flip(1) if name == first else value for name, value in tensors.items()}


_PAIRS: Final = ("kernel", "stride", "dilation", "output_padding")


def swap_kernel_axes(
    definition: NetworkDefinition, tensors: Mapping[str, Tensor]
) -> tuple[NetworkDefinition, dict[str, Tensor]]:
    """The network with rows and columns exchanged, as it must be where it was trained on images so by MATLAB."""
    channels, height, width = definition.input
    changed = replace(definition, input=(channels, width, height), layers=tuple(map(_swap_layer, definition.layers)))
    shapes = dict(zip((layer.name for layer in definition.layers), layer_shapes(definition), strict=True))
    shapes[IMAGE] = definition.input
    found = dict(tensors)
    for layer in definition.layers:
        name = f"{layer.name}.weight"
        if name not in tensors:
            continue
        if tensors[name].ndim == 4:
            found[name] = tensors[name].transpose(2, 3).contiguous()
        elif layer.kind == "linear" and len(shapes[layer.inputs[0]]) == 3:
            rows = tensors[name].reshape(-1, *shapes[layer.inputs[0]]).transpose(2, 3)
            found[name] = rows.reshape(tensors[name].shape)
    return changed, found


def _swap_layer(layer: LayerDefinition) -> LayerDefinition:
    options = dict(layer.options)
    for name in _PAIRS:
        if name in options:
            options[name] = layer.wholes(name)[::-1]
    if "padding" in options:
        left, right, top, bottom = layer.wholes("padding")
        options["padding"] = (top, bottom, left, right)
    return replace(layer, options=options)
