"""Networks of other programs that give an image a style in one pass; OpenVINO runs them.

Of fixed styles: Dumoulin, Shlens, Kudlur 2017, "A learned representation for artistic style" (ICLR), in which each
style has a scale and a shift of its own in every normalization, and mixtures of these are mixtures of styles. Of any
style: Ghiasi, Lee, Kudlur, Dumoulin, Shlens 2017, "Exploring the structure of a real-time, arbitrary neural artistic
stylization network" (BMVC), where a second network predicts them from the style image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from PIL import Image, ImageOps

from convolve.choices import Precision
from convolve.errors import ExportError, OptionError
from convolve.untrusted.networks import openvino_core, read_network, reason_of
from convolve.values import Floats, Pixels

SUFFIXES: Final = (".onnx", ".tflite", ".pb")
"""How the names of files of such networks end."""
SIDE_STEP: Final = 4
"""Of the sides of their images, which they halve twice."""
_RANK: Final = 4
_COLORS: Final = 3


@dataclass(frozen=True)
class _ImageInput:
    """An input that takes an image: its name, whether channels come last, and its height and width, 0 where open."""

    name: str
    last: bool
    height: int
    width: int

    def shape(self, height: int, width: int) -> list[int]:
        return [1, height, width, _COLORS] if self.last else [1, _COLORS, height, width]

    def array(self, pixels: Pixels) -> Floats:
        values = pixels[None].astype(np.float32) / 255
        return np.ascontiguousarray(values if self.last else values.transpose(0, 3, 1, 2))


@final
class StyleGraphs:
    """One network of fixed styles, or two for any style; pixels go in and come out as numbers from 0 to 1."""

    def __init__(self, files: Sequence[Path], precision: Precision | None = None, threads: int | None = None) -> None:
        """The arithmetic is fp32 unless another ``precision`` is named. Raises `ExportError` for files that are no such
        networks.
        """
        self._settings = {"INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision or "fp32"]}
        if threads:
            self._settings["INFERENCE_NUM_THREADS"] = str(threads)
        networks = {file: _read(file) for file in files}
        both = [file for file in files if len(networks[file].inputs) == 2]
        others = [file for file in files if file not in both]
        if len(both) != 1 or len(files) > 2:
            raise ExportError(
                f"{' and '.join(map(str, files))} give no image a style: give one network that takes an image and the "
                "weights of its styles, or the two that predict a style and apply it."
            )
        self._file, self._network = both[0], networks[both[0]]
        self._image, self._vector = _inputs(self._file, self._network)
        self._length = int(np.prod(self._network.input(self._vector).get_shape()))
        self._predictor = networks[others[0]] if others else None
        if self._predictor is not None:
            self._style = _image_input(others[0], self._predictor)
            numbers = self._predictor.outputs[0].get_partial_shape()
            if numbers.is_dynamic or int(np.prod(numbers.to_shape())) != self._length:
                raise ExportError(
                    f"{others[0]} gives {numbers} numbers, and {self._file} takes {self._length} of a style."
                )

    @property
    def styles(self) -> int:
        """How many fixed styles there are; 0 where the style is an image's."""
        return 0 if self._predictor is not None else self._length

    def mixture(self, numbers: Sequence[int]) -> Floats:
        """What stands for equal parts of fixed styles, by their numbers from 0. Raises `OptionError`."""
        for number in numbers:
            if not 0 <= number < self.styles:
                raise OptionError(f"{self._file} has no style {number}; it has 0 to {self.styles - 1}.")
        vector = np.zeros(self._length, np.float32)
        vector[list(numbers)] = 1 / len(set(numbers))
        return vector

    def style_of(self, pixels: Pixels) -> Floats:
        """What stands for the style of an image (H, W, 3), of which the middle is seen in the network's shape."""
        size = self._style.width or pixels.shape[1], self._style.height or pixels.shape[0]
        fitted = np.asarray(ImageOps.fit(Image.fromarray(pixels), size, Image.Resampling.LANCZOS))
        return self._infer(self._predictor, {self._style.name: self._style.array(fitted)})

    def __call__(self, pixels: Pixels, style: Floats) -> Pixels:
        """An image (H, W, 3), whose sides are multiples of `SIDE_STEP`, in a style. Raises `ExportError`."""
        height, width, _ = pixels.shape
        shape = self._network.input(self._vector).get_shape()
        try:
            self._network.reshape({self._image.name: self._image.shape(height, width), self._vector: list(shape)})
        except RuntimeError as error:
            raise ExportError(f"{self._file} takes no image of {width}x{height} ({reason_of(error)}).") from error
        inputs = {self._image.name: self._image.array(pixels), self._vector: style.reshape(tuple(shape))}
        found = self._infer(self._network, inputs)[0]
        made = found if self._image.last else found.transpose(1, 2, 0)
        if made.shape != pixels.shape:
            raise ExportError(f"{self._file} gives {made.shape} numbers for an image of {width}x{height}.")
        return np.asarray((made.clip(0, 1) * 255).round(), np.uint8)

    def _infer(self, network: Any, inputs: dict[str, Floats]) -> Floats:
        try:
            found = openvino_core().compile_model(network, "CPU", self._settings)(inputs)
        except RuntimeError as error:
            raise ExportError(
                f"{self._file} cannot be run on these images ({reason_of(error)}); choose another --size."
            ) from error
        return np.asarray(next(iter(found.values())), np.float32)


def _read(file: Path) -> Any:
    if not file.is_file():
        raise ExportError(f"{file} does not exist; give the file of a network.")
    try:
        return read_network(file)
    except ValueError as error:
        raise ExportError(f"{file} cannot be read ({error}); save it anew in the program that wrote it.") from error


def _inputs(file: Path, network: Any) -> tuple[_ImageInput, str]:
    """The image, and the name of the other input."""
    image = _image_input(file, network)
    (vector,) = (each for each in network.inputs if each.get_any_name() != image.name)
    if vector.get_partial_shape().is_dynamic:
        raise ExportError(f"{file} does not say how many numbers stand for a style ({vector.get_any_name()}).")
    return image, vector.get_any_name()


def _image_input(file: Path, network: Any) -> _ImageInput:
    """The input that takes an image. Raises `ExportError` where there is none."""
    for each in network.inputs:
        shape = each.get_partial_shape()
        sides = [side.get_length() if side.is_static else 0 for side in shape]
        if len(sides) == _RANK and _COLORS in (sides[1], sides[3]):
            last = sides[3] == _COLORS
            height, width = sides[1:3] if last else sides[2:4]
            return _ImageInput(each.get_any_name(), last, height, width)
    raise ExportError(f"{file} takes no color image; give a network that does.")
