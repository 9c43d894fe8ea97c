"""The views of what a network makes of given images: feature maps, receptive fields, contributions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from convolve.explainers.contributions import contributions
from convolve.explainers.feature_maps import chosen_stage, feature_maps
from convolve.explainers.receptive_fields import seen
from convolve.reports.contributions_figure import ScoreSum, contributions_figure
from convolve.reports.fields_figure import Field, fields_figure
from convolve.reports.ramps import shown_maps
from convolve.reports.sheets import Block, Scale, sheet
from convolve.values import Floats
from convolve.verbs.explain.views.asked import Inside, for_image, need_images, written

_MAPS_OF_ONE, _MAPS_OF_EACH = 64, 16
_ROWS = 6


def maps(inside: Inside) -> tuple[Path, ...]:
    """`feature-maps-….png` for each image: the maps of the stage asked for, or some of every stage."""
    need_images(inside, "feature-maps")
    only = None if inside.stage is None else chosen_stage(inside.network, inside.stage)
    found = {
        name: values for name, values in feature_maps(inside.network, inside.inputs).items() if only in (None, name)
    }
    most = _MAPS_OF_ONE if only else _MAPS_OF_EACH
    files: list[Path] = []
    for place, name in enumerate(inside.names):
        own = {stage: values[place] for stage, values in found.items()}
        blocks = [Block("", inside.pixels[place : place + 1], 1, 192)]
        blocks += [_maps_block(stage, values, most) for stage, values in own.items()]
        left_out = any(len(values) > most for values in own.values())
        note = "Of more channels than there is room for, those that vary most over the image." if left_out else ""
        picture = sheet(f"{inside.network.card.name}: {Path(name).name}", blocks, note)
        files += written(inside.out / for_image("feature-maps", place, name), picture, own)
    return tuple(files)


def fields(inside: Inside) -> tuple[Path, ...]:
    """`receptive-field.png`: what the middle unit of every stage, or the one asked for, sees of the first image."""
    need_images(inside, "receptive-field")
    network = inside.network
    stages = list(network.stages) if inside.stage is None else [chosen_stage(network, inside.stage)]
    found = [seen(network, inside.inputs, stage) for stage in stages]
    drawn = [Field(one.stage, one.theoretical, one.effective, one.slopes) for one in found]
    figure = fields_figure(
        inside.pixels[0], drawn, f"{network.card.name}: what the middle unit of {inside.stage or 'each stage'} sees"
    )
    names = ("theoretical", "effective", "slopes")
    arrays = {f"{one.stage}_{name}": getattr(one, name) for one in found for name in names}
    return written(inside.out / "receptive-field", figure, arrays)


def sums(inside: Inside) -> tuple[Path, ...]:
    """`contributions-….png`: the classes' scores as sums, six to a picture."""
    need_images(inside, "contributions")
    places, classes = _questions(inside)
    found = contributions(inside.network, inside.inputs[places], torch.tensor(classes, device=inside.inputs.device))
    labels = [inside.task.classes[place] for place in classes]
    pictures = inside.pixels[places]
    rows = [
        ScoreSum(picture, label, values, float(bias), float(score))
        for picture, label, values, bias, score in zip(
            pictures, labels, found.values, found.bias, found.scores, strict=True
        )
    ]
    files: list[Path] = []
    for number, start in enumerate(range(0, len(rows), _ROWS), 1):
        part = slice(start, start + _ROWS)
        figure = contributions_figure(rows[part], f"{inside.network.card.name}: scores as sums of contributions")
        arrays = {name: getattr(found, name)[part] for name in ("values", "bias", "scores")}
        arrays |= {"images": np.array(places[part]), "classes": np.array(classes[part])}
        files += written(inside.out / f"contributions-{number}", figure, arrays)
    return tuple(files)


def _maps_block(stage: str, values: Floats, most: int) -> Block:
    """The channels (C, h, w) that vary most, in their own order, on one scale."""
    kept = np.sort(np.argsort(-values.std((1, 2)), kind="stable")[:most])
    tiles, low, high = shown_maps(values[kept])
    count, height, width = values.shape
    some = f"{len(kept)} of {count}" if len(kept) < count else f"{count}"
    heading = f"{stage}: {some} channels, {height}x{width}"
    return Block(heading, tiles, 8, 128, captions=[str(place) for place in kept.tolist()], scale=Scale(low, high))


def _questions(inside: Inside) -> tuple[list[int], list[int]]:
    """Images and classes in pairs: every class that is explained."""
    places = np.indices(inside.said.classes.shape)[0]
    return places.ravel().tolist(), inside.said.classes.ravel().tolist()
