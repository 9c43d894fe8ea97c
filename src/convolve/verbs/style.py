"""`convolve style`: the content of one image in the style of another."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from convolve.choices import StyleStart
from convolve.command import Command
from convolve.errors import OptionError
from convolve.options import Flat, PathLike
from convolve.progress import Listener, Message, Progress
from convolve.setup.runtime_options import RuntimeOptions

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.style_transfer.transfer import State
    from convolve.values import Pixels

_SEVERAL = Parameter(consume_multiple=True, negative=(), show_default=False)
_SUFFIXES = (".png", ".jpg", ".jpeg")
_LONGER = 512
_SECONDS_BETWEEN_FILES = 5.0
_QUALITY = 95
_RANGES = {
    "size": (32, 8192),
    "steps": (1, 100_000),
    "style_weight": (0, 1e9),
    "tv_weight": (0, 1e9),
    "seed": (0, 2**63 - 1),
}


@dataclass(frozen=True)
class Optimization:
    """How the image is optimized."""

    steps: int = 200
    """Iterations of L-BFGS at the coarsest size; each doubling of the size has half as many."""
    style_weight: float = 1000.0
    """Weight of the style's loss, where the content's is 1."""
    tv_weight: float = 1.0
    """Weight of the differences of neighboring pixels; more is smoother."""
    content_layers: Annotated[tuple[str, ...], _SEVERAL] = ()
    """Layers whose maps stay as those of the content, such as `stage4.relu4_2`; by default the second activation of the
    last stage but one, as in the paper."""
    style_layers: Annotated[tuple[str, ...], _SEVERAL] = ()
    """Layers whose Gram matrices become those of the style; by default the first activation of each stage, as in the
    paper."""
    start: StyleStart = "content"
    """Whether the image begins as the content or as noise."""
    seed: int = 0
    """Draws the noise."""


@dataclass(frozen=True)
class Style:
    """Give a photograph the style of another image, such as a painting.

    The file is written anew every few seconds, so that the image can be watched as it becomes.
    """

    content: Path
    """Image whose content stays."""
    style: Annotated[str, PathLike()]
    """Image whose style it gets; of a network of fixed styles its number from 0, or 3,12 for a mixture."""
    _: KW_ONLY
    out: Annotated[Path | None, Parameter(alias="-o")] = None
    """File to write (.png or .jpg); by default `NAME_stylized.png` in the current folder, after the content."""
    network: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())] = ("vgg19",)
    """Network whose maps are compared: any with official ImageNet weights, or the folder of a run. Or files (.onnx,
    .tflite, .pb) that do it in one pass: one network of fixed styles, or the two for the style of any image."""
    size: int | None = None
    """Longer side of the image in pixels; by default the content's, and 512 at most."""
    keep_color: bool = False
    """Take on the style in luminance only, and keep the content's colors."""
    mask: Path | None = None
    """Image of the content's shape: the style goes where it is white, and the content stays where it is black."""
    optimization: Annotated[Optimization, Flat, Parameter(group="Optimization")] = field(default_factory=Optimization)
    runtime: Annotated[RuntimeOptions, Flat, Parameter(group="Runtime")] = field(default_factory=RuntimeOptions)


@dataclass(frozen=True)
class Stylized:
    """The file ``out`` of ``width`` by ``height`` pixels; the ``network``, and where the image was optimized the layers
    for content and style and the ``loss`` at the end.
    """

    out: Path
    width: int
    height: int
    network: str
    content_layers: tuple[str, ...] = ()
    style_layers: tuple[str, ...] = ()
    loss: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The same fields."""
        return {**vars(self), "out": str(self.out)}

    def _repr_html_(self) -> str:
        from convolve.datasets.images import ImageFiles
        from convolve.reports.thumbnails import thumbnail

        uri = thumbnail(ImageFiles(Path(), (str(self.out),)).read(0), max(self.width, self.height))
        return f'<img src="{uri}" style="max-width: 100%" alt="">'


def run(options: Style, listener: Listener) -> Stylized:
    """Make the image. Raises `ConvolveError`."""
    from convolve.files import check_replaceable
    from convolve.marks import has_mark
    from convolve.style_transfer.graphs import SUFFIXES

    out = options.out or Path(f"{options.content.stem}_stylized.png")
    _check(options, out)
    check_replaceable(out, has_mark, "image that convolve wrote")
    in_one_pass = options.network[0].lower().endswith(SUFFIXES)
    return (_apply_graphs if in_one_pass else _optimize)(options, out, listener)


def _optimize(options: Style, out: Path, listener: Listener) -> Stylized:
    from convolve.explainers.preservation import preserve
    from convolve.runtime import choose
    from convolve.style_transfer.gatys import LossWeights
    from convolve.style_transfer.layers import choose_layers
    from convolve.style_transfer.tiles import TiledMaps
    from convolve.style_transfer.transfer import TransferOptions, transfer
    from convolve.tasks.trained_network import open_trained_network

    if len(options.network) > 1:
        raise OptionError(f"Maps of one network are compared, not of {', '.join(options.network)}; name one.")
    own = options.optimization
    network, preprocessing = open_trained_network(options.network[0], "--network", listener)
    runtime = choose(**vars(replace(options.runtime, precision=options.runtime.precision or "fp32")))
    runtime.prepare(network)
    channels = 3 if options.keep_color else preprocessing.channels
    content, style = _read(options.content, channels), _read(Path(options.style), channels)
    _check_sides(options, network.card.minimum, {options.content: content, Path(options.style): style})
    mask = _read_mask(options.mask, content) if options.mask else None
    layers = choose_layers(network, own.content_layers, own.style_layers)
    listener(Message(f"content by {', '.join(layers.content)}; style by {', '.join(layers.style)}"))
    choices = TransferOptions(
        layers=layers,
        weights=LossWeights(own.style_weight, own.tv_weight),
        longer=_longer(options, content),
        iterations=own.steps,
        step=network.card.multiple,
        keep_color=options.keep_color,
        noise=own.start == "noise",
        seed=own.seed,
    )
    maps = TiledMaps(network, preprocessing, runtime, layers.names)
    with preserve(network):
        state = _follow(transfer(maps, content, style, mask, choices), out, listener)
    height, width, _ = state.pixels.shape
    return Stylized(out, width, height, network.label, layers.content, layers.style, state.loss)


def _apply_graphs(options: Style, out: Path, listener: Listener) -> Stylized:
    from convolve.style_transfer.graphs import SIDE_STEP, StyleGraphs
    from convolve.style_transfer.images import finish, resize, sizes, to_pixels

    if options.optimization != Optimization():
        raise OptionError(f"{options.network[0]} takes one pass; omit --steps and the other options of optimization.")
    if options.runtime.device not in (None, "cpu") or options.runtime.fast_convolutions is not None:
        raise OptionError(f"{options.network[0]} is run on the processor by OpenVINO; omit --device and the like.")
    content = _read(options.content, 3)
    mask = _read_mask(options.mask, content) if options.mask else None
    graphs = StyleGraphs([Path(name) for name in options.network], options.runtime.precision, options.runtime.threads)
    if graphs.styles:
        style = graphs.mixture(_style_numbers(options.style, graphs.styles))
    else:
        style = graphs.style_of(_read(Path(options.style), 3))
    original = resize(content, *sizes(content.shape, _longer(options, content), SIDE_STEP)[-1])
    made = resize(graphs(to_pixels(original), style), *original.shape[1:])
    _write(out, to_pixels(finish(made, original, mask, keep_color=options.keep_color)))
    height, width = original.shape[1:]
    listener(Progress("style", 1, 1, f"{width}x{height}"))
    return Stylized(out, width, height, " and ".join(Path(name).name for name in options.network))


def _style_numbers(text: str, count: int) -> list[int]:
    """Numbers with commas. Raises `OptionError`."""
    if not all(part.isascii() and part.isdecimal() for part in text.split(",")):
        raise OptionError(
            f"The network has {count} styles of its own; give their numbers in place of '{text}': 7 or 3,12."
        )
    return [int(part) for part in text.split(",")]


def _check_sides(options: Style, minimum: int, images: Mapping[Path, Pixels]) -> None:
    """Raises `OptionError` where an image becomes smaller, at the coarsest size, than the network can see."""
    from convolve.style_transfer.images import sizes

    coarsest = max(sizes(images[options.content].shape, _longer(options, images[options.content]))[0])
    for path, pixels in images.items():
        height, width = sizes(pixels.shape, coarsest)[0]
        if min(height, width) < minimum:
            raise OptionError(
                f"{path} has {width}x{height} pixels at the coarsest size, and {options.network[0]} needs {minimum} on "
                "a side; choose a larger --size, or an image that is less narrow."
            )


def _longer(options: Style, content: Pixels) -> int:
    return options.size or min(max(content.shape[:2]), _LONGER)


def _follow(states: Iterator[State], out: Path, listener: Listener) -> State:
    """Report the states, write some of them and the last one, and return that."""
    written = time.monotonic()
    for state in states:
        height, width, _ = state.pixels.shape
        listener(Progress("style", state.done, state.total, f"{width}x{height}, loss {state.loss:.4g}"))
        if time.monotonic() - written > _SECONDS_BETWEEN_FILES and state.done < state.total:
            _write(out, state.pixels)
            written = time.monotonic()
    _write(out, state.pixels)
    return state


def _check(options: Style, out: Path) -> None:
    """Raises `OptionError` for what is out of range."""
    if out.suffix.lower() not in _SUFFIXES:
        raise OptionError(f"{out} is neither .png nor .jpg; name the image so.")
    values = {**vars(options.optimization), "size": options.size}
    for name, (least, most) in _RANGES.items():
        if values[name] is not None and not least <= values[name] <= most:
            raise OptionError(f"{name} cannot be {values[name]}; it must be a number from {least} to {most:,}.")


def _read(path: Path, channels: int) -> Pixels:
    """Raises `ImageError`."""
    from convolve.datasets.images import ImageFiles, to_channels

    return to_channels(ImageFiles(Path(), (str(path),)).read(0), channels)


def _read_mask(path: Path, content: Pixels) -> Pixels:
    """Raises `OptionError` where it has not the content's shape."""
    mask = _read(path, 1)
    (height, width), (down, across) = content.shape[:2], mask.shape[:2]
    if abs(height * across - width * down) > max(height, width, down, across):  # but for rounding
        raise OptionError(
            f"{path} has {across}x{down} pixels, which is not the shape of the content's {width}x{height}."
        )
    return mask


def _write(path: Path, pixels: Pixels) -> None:
    from PIL import Image

    from convolve.files import atomic_write, link_target
    from convolve.marks import save_jpeg, save_png

    image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])
    with atomic_write(link_target(path)) as draft:
        if path.suffix.lower() == ".png":
            save_png(image, draft)
        else:
            save_jpeg(image, draft, _QUALITY)


def render(result: Stylized) -> Iterator[RenderableType]:
    """The network, the loss and the file."""
    yield f"network  {result.network}"
    if result.loss is not None:
        yield f"loss     {result.loss:.4g}"
    yield f"image    {result.out}, {result.width}x{result.height}"


COMMAND = Command(Style, run, render)
