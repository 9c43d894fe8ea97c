"""What an exported network for restoration makes of images, and how good that is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, final

from convolve.datasets.images import to_channels
from convolve.errors import ImageError, OptionError
from convolve.exports.card import ExportCard
from convolve.exports.images import FoundInImage, ReadImage
from convolve.tasks.exported_task import ExportedTask
from convolve.tasks.restore.degradation import Degradation, convert_degradation, parse_degradation, to_pixels
from convolve.tasks.restore.evaluation import Evaluation, RestoredImage, measure_images, read_sharp
from convolve.tasks.restore.options import INFO, RestoreConvertOptions, RestorePredictOptions
from convolve.tasks.restore.prediction import RestoredFile, RestoredFiles, check_no_mask
from convolve.tasks.restore.tiles import TILE, Tile, add_colors, cut, join
from convolve.values import Dataset, Floats, Images, Pixels

if TYPE_CHECKING:
    from convolve.reports.report import Headline, Section

OUTPUT = "restored"
LUMINANCE_NOTE = (
    "The network restores gray levels; `convolve predict`, and the code of README.md, enlarge the colors by bicubic "
    "interpolation."
)
_LEAST_SIDE = 2  # of an image in a graph that enlarges it


def usage_of(channels: int, degradation: Degradation) -> tuple[str, ...]:
    """The lines of Python that write the restored image, of which the network restores so many ``channels``."""
    levels = 'restored = found["restored"][0].round().clip(0, 255).astype(np.uint8)'
    if channels > 1:
        return levels, 'Image.fromarray(restored).save("restored.png")'
    if degradation.noise_sigma:
        return levels, 'Image.fromarray(restored[..., 0]).save("restored.png")'
    return (
        levels,
        'colors = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("RGB").convert("YCbCr")',
        "_, blue, red = colors.resize(restored.shape[1::-1], Image.Resampling.BICUBIC).split()",
        'colors = Image.merge("YCbCr", [Image.fromarray(restored[..., 0]), blue, red])',
        'colors.convert("RGB").save("restored.png")',
    )


@final
@dataclass(frozen=True)
class Tiling:
    """How images go through a network of so many ``channels`` that undoes a ``degradation``: in tiles, each read with a
    ``margin`` of pixels.
    """

    degradation: Degradation
    channels: int
    margin: int

    def cut(self, image: Pixels) -> ReadImage:
        """(H, W, 1 or 3) as the network is given it."""
        size = (image.shape[0], image.shape[1])
        areas = tuple(tile.read for tile in self._tiles(size))
        return ReadImage(to_channels(image, self.channels), size, image, areas=areas)

    def join(self, image: ReadImage, restored: Iterable[Floats]) -> Pixels:
        """The restored image, from what the network made of its areas."""
        whole = image.pixels if image.whole is None else image.whole
        levels = join(self._tiles(image.size), restored, self.degradation.upscale)
        if self.channels > 1 or whole.shape[2] == 1:
            return to_pixels(levels)
        return add_colors(whole, levels, self.degradation.upscale)

    def _tiles(self, size: tuple[int, int]) -> tuple[Tile, ...]:
        return cut(size, TILE // self.degradation.upscale, self.margin)


@final
@dataclass(frozen=True)
class ExportedRestoration(ExportedTask):
    """A network whose graph gives the restored gray levels, or colors; ``tiling`` says how images go through it."""

    tiling: Tiling

    info = INFO
    monitored = "psnr_y"

    @classmethod
    def restore(cls, card: ExportCard) -> ExportedRestoration:
        """From the degradation and the margin."""
        margin = card.state["margin"]
        if type(margin) is not int or margin < 0:
            raise ValueError("its margin is no number of pixels")
        return cls(card, Tiling(parse_degradation(card.state["degradation"]), card.input.channels, margin))

    @classmethod
    def complete(cls, card: ExportCard, options: RestoreConvertOptions) -> ExportCard:
        """With the degradation that the network was trained to undo."""
        own = card.state["upscale"]
        degradation = convert_degradation(card.network, own, options)
        if degradation.upscale != own:
            raise OptionError(f"{card.title} takes images that are enlarged already; omit --upscale.")
        state = {name: value for name, value in card.state.items() if name != "upscale"}
        note = () if card.input.channels > 1 or degradation.noise_sigma else (LUMINANCE_NOTE,)
        state |= {"degradation": asdict(degradation), "mean": list(card.input.mean), "std": list(card.input.std)}
        return replace(card, state=state, notes=(*card.notes, *note))

    @property
    def usage(self) -> tuple[str, ...]:
        """The lines of Python that write the restored image."""
        return usage_of(self.tiling.channels, self.degradation)

    @property
    def degradation(self) -> Degradation:
        """What is undone."""
        return self.tiling.degradation

    @property
    def is_gray(self) -> bool:
        """Whether images are made gray, as by the run."""
        return self.tiling.channels == 1 and self.degradation.noise_sigma > 0

    def predictor(self, options: RestorePredictOptions, outputs: Collection[str]) -> ExportedImagePredictor:
        """How images of any size are restored. Raises `OptionError` without a folder to write to."""
        del outputs
        return ExportedImagePredictor(self, options)

    def read(self, images: Images, index: int) -> ReadImage:
        """An image of a dataset, degraded. Raises `ImageError`, and `DataError` where it is too small to measure."""
        return self.tiling.cut(self.degradation.degrade(read_sharp(images, index, self)))

    def conform(self, dataset: Dataset) -> Dataset:
        """Any images."""
        return dataset

    def evaluate(self, split: str, dataset: Dataset, found: Iterable[FoundInImage]) -> Evaluation:
        """Every metric of whole images, and of the same ones without the network."""

        def restored() -> Iterator[RestoredImage]:
            for one in found:
                with suppress(ImageError):
                    target = read_sharp(dataset.images, one.index, self)
                    degraded = one.image.pixels if one.image.whole is None else one.image.whole
                    yield RestoredImage(one.index, target, degraded, self.put_together(one))

        return measure_images(split, dataset.images, restored(), self.degradation)

    def put_together(self, found: FoundInImage) -> Pixels:
        """The restored image."""
        return self.tiling.join(found.image, [outputs[OUTPUT] for outputs in found.areas])

    def report(self, evaluation: Evaluation, dataset: Dataset) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """The metrics next to those of interpolation."""
        from convolve.tasks.restore.report import headlines, quality_section

        del dataset
        return headlines(evaluation), (quality_section(evaluation),)


@final
class ExportedImagePredictor(RestoredFiles):
    """Restores image after image, and writes the files."""

    def __init__(self, task: ExportedRestoration, options: RestorePredictOptions) -> None:
        super().__init__(options)
        check_no_mask(options.mask, task.card.title)
        self._task = task

    def read(self, images: Images, index: int) -> ReadImage:
        """(H, W, 1 or 3) at full size. Raises `ImageError`, also for an image of one pixel's width or height."""
        image = images.read(index)
        if min(image.shape[:2]) < _LEAST_SIDE:
            raise ImageError(f"{images.name(index)} is only one pixel wide or high, and cannot be restored.")
        return self._task.tiling.cut(to_channels(image, 1) if self._task.is_gray else image)

    def predict(self, name: str, found: FoundInImage) -> RestoredFile:
        """The restored image."""
        whole = found.image.pixels if found.image.whole is None else found.image.whole
        return self.write(name, whole, self._task.put_together(found))


EXPORTED = ExportedRestoration
