"""What all restoration has in common, whatever it is that an image lacks: `Card.restores` says which kind a network is.

Each kind is a class. Training and runs come in here, and go on in the class of their network's kind.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from convolve.datasets.batches import Examples
from convolve.datasets.cache import PixelSource
from convolve.datasets.own_images import OwnImages
from convolve.datasets.tiles import image_tiles
from convolve.errors import OptionError
from convolve.models import Card, Network
from convolve.tasks.restore.options import INFO, UNUSED, RestoreConvertOptions, RestoreOptions
from convolve.tasks.task import Task
from convolve.training.defaults import Choice, Facts
from convolve.values import Dataset, GroundTruth, Preprocessing, Splits

if TYPE_CHECKING:
    from convolve.choices import Fit

_OTHERS = ("rotate", "scale", "translate", "noise", "brightness", "contrast", "saturation", "hue", "pca")


class Restoration(Task):
    """A task whose images are its own targets. ``mean`` and ``std`` of each channel are those by which images are
    normalized. Of a kind, ``used`` are the names of its options, and ``image_fits`` how images may be fitted.
    """

    info = INFO
    classes = ()
    used: ClassVar[tuple[str, ...]]
    image_fits: ClassVar[tuple[Fit, ...]]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    @abstractmethod
    def kind_defaults(cls, known: Mapping[str, object], facts: Facts, card: Card) -> Iterator[Choice]:
        """As `Task.defaults`, for the options of this kind."""

    @classmethod
    @abstractmethod
    def kind_outputs(cls, card: Card) -> int:
        """As `Task.outputs`."""

    @classmethod
    @abstractmethod
    def from_options(
        cls, network: Network, ground_truth: Any, options: RestoreOptions, splits: Splits, preprocessing: Preprocessing
    ) -> Self:
        """As `Task.build`."""

    @classmethod
    @abstractmethod
    def from_state(cls, network: Network, state: Mapping[str, Any]) -> Self:
        """As `Task.restore`."""

    @classmethod
    def from_trained(cls, network: Network, preprocessing: Preprocessing, options: RestoreConvertOptions) -> Self:
        """As `Task.of_trained`. Raises `OptionError` for a kind that is only trained here."""
        del preprocessing, options
        raise OptionError(
            f"{network.card.name} is trained here and not converted; see `convolve train --task restore`."
        )

    @classmethod
    def accept(cls, dataset: Dataset, options: RestoreOptions) -> Dataset:
        """The dataset. Raises `DataError` where it was not read as images alone."""
        del options
        return dataset.for_ground_truth("images")

    @classmethod
    def defaults(
        cls, known: Mapping[str, object], facts: Facts, card: Card, ground_truth: GroundTruth
    ) -> Iterator[Choice]:
        """Those of the network's kind; images are flipped and no more. Raises `OptionError` for what the network does
        not have.
        """
        del ground_truth
        kind = find_kind(card)
        for name, unused in UNUSED.items():
            if name not in kind.used and known.get(name, unused) != unused:
                flag = f"--{name.replace('_', '-')}"
                raise OptionError(f"{card.name} does not use {flag}; leave it out, or choose another network.")
        if known.get("multi_scale"):
            raise OptionError(f"{card.name} learns from images at their own scale; leave out --multi-scale.")
        fit = known.get("fit")
        if fit is not None and fit not in kind.image_fits:
            fits = " or ".join(kind.image_fits)
            raise OptionError(f"--fit {fit} is not available for the task restore with {card.name}; use {fits}.")
        yield from kind.kind_defaults(known, facts, card)
        yield "flip", True, "a flipped image is as likely"
        yield from ((name, 0.0, "the images are the targets, and must stay sharp") for name in _OTHERS)
        yield from ((name, unused, "not for this network") for name, unused in UNUSED.items())

    @classmethod
    def suitable_networks(cls, options: RestoreOptions, channels: int) -> tuple[str, ...]:
        """Those of the kind whose own option is given, or else for detail. Raises `OptionError` where nothing says what
        is to be restored.
        """
        from convolve.tasks.restore.task import Restore

        if options.hole_fraction is not None:
            return ("partial_conv_unet",)
        return ("colorization_zhang",) if options.rebalance is not None else Restore.networks_for(options, channels)

    @classmethod
    def outputs(cls, ground_truth: OwnImages, card: Card) -> int:
        """Channels of an image, or what colors are made from."""
        del ground_truth
        return find_kind(card).kind_outputs(card)

    @classmethod
    def examples(
        cls,
        dataset: Dataset,
        source: PixelSource,
        preprocessing: Preprocessing,
        options: RestoreOptions,
        cache_bytes: int,
    ) -> Examples:
        """Overlapping parts of each image, or whole images."""
        del options, cache_bytes
        if preprocessing.fit != "tiles":
            return Examples(source, dataset.ground_truths["images"])
        pixels, first = image_tiles(source, preprocessing)
        return Examples(pixels, OwnImages(len(pixels)), first)

    @classmethod
    def build(
        cls,
        network: Network,
        ground_truth: OwnImages,
        options: RestoreOptions,
        splits: Splits,
        preprocessing: Preprocessing,
    ) -> Restoration:
        """The task of the network's kind."""
        return find_kind(network.card).from_options(network, ground_truth, options, splits, preprocessing)

    @classmethod
    def of_trained(
        cls,
        network: Network,
        classes: tuple[str, ...],
        *,
        multi_label: bool,
        size: Preprocessing,
        options: RestoreConvertOptions,
    ) -> Restoration:
        """The task of the network's kind. Raises `OptionError`."""
        del classes, multi_label
        return find_kind(network.card).from_trained(network, size, options)

    @classmethod
    def restore(cls, network: Network, state: Mapping[str, Any]) -> Restoration:
        """The task of a run, of the network's kind."""
        return find_kind(network.card).from_state(network, state)

    @property
    def changes_images(self) -> bool:
        """The loss makes them worse."""
        return True

    def conform(self, dataset: Dataset) -> Dataset:
        """Any images."""
        return dataset


def find_kind(card: Card) -> type[Restoration]:
    """The class of a network's kind, imported only now."""
    from convolve.tasks.restore.colorization.task import Colorize
    from convolve.tasks.restore.inpainting.task import Inpaint
    from convolve.tasks.restore.task import Restore

    kinds: dict[str, type[Restoration]] = {"detail": Restore, "holes": Inpaint, "colors": Colorize}
    return kinds[card.restores]


def parse_normalization(network: Network, state: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of a run's state. Raises `ValueError`, `KeyError` or `TypeError`."""
    mean, std = (tuple(map(float, state[name])) for name in ("mean", "std"))
    if not len(mean) == len(std) == network.card.input[0] or not all(map(math.isfinite, (*mean, *std))) or 0 in std:
        raise ValueError("its mean and deviation are none of its network's")
    return mean, std
