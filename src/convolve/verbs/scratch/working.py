"""From the options of `convolve scratch` to a walk through the sums, or to filtered pictures."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np

from convolve.errors import OptionError
from convolve.from_scratch.photographs import Version, versions
from convolve.from_scratch.steps.values import Walk
from convolve.values import Pixels
from convolve.verbs.scratch.matrices import read_numbers
from convolve.verbs.scratch.operations import OPERATIONS
from convolve.verbs.scratch.options import Scratch

_LONGEST_SIDE = 480
_ALWAYS = frozenset({"operation", "example", "input", "page"})


def worked(options: Scratch) -> Walk:
    """The walk, its page written if one is asked for. Raises `OptionError` in one sentence for what does not fit."""
    _check(options)
    if options.delta is not None and options.backward is None:
        raise OptionError("delta is where the way back starts; add --backward.")
    try:
        walk = OPERATIONS[str(options.operation)].walk(options, read_numbers("input", str(options.input)))
    except ValueError as error:
        raise OptionError(str(error)) from None
    if options.page:
        from convolve.reports.sums import write_walk

        write_walk(options.page, walk)
    return walk


def filtered(options: Scratch) -> tuple[Version, ...]:
    """The photograph and its versions, their page written if one is asked for. Raises `OptionError`, `ImageError`."""
    from convolve.datasets.decode import decode

    if options.input is None:
        raise OptionError("Filters need a photograph; name one with --input.")
    _check(options)
    try:
        picture = _small(decode(Path(options.input).read_bytes(), options.input))
    except OSError as error:
        raise OptionError(f"{options.input} cannot be read ({error.strerror or error}); check the name.") from None
    try:
        found = versions(picture)
    except ValueError as error:
        raise OptionError(str(error)) from None
    if options.page:
        from convolve.reports.sums import write_versions

        write_versions(options.page, Path(options.input).name, found)
    return found


def _small(picture: Pixels) -> Pixels:
    """The photograph at a size at which filters of 3x3 can be seen."""
    from PIL import Image

    image = Image.fromarray(picture.squeeze())
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.LANCZOS)
    small: Pixels = np.asarray(image, np.uint8).reshape(image.height, image.width, -1)
    return small


def _check(options: Scratch) -> None:
    """Every option that is said must be one that the operation takes."""
    operation = options.operation
    if operation is None:
        raise OptionError(f"Say what to work out of the input: {', '.join([*OPERATIONS, 'filters'])}.")
    takes = _ALWAYS if operation == "filters" else _ALWAYS | OPERATIONS[operation].takes
    for spec in fields(options):
        if getattr(options, spec.name) is not None and spec.name not in takes:
            raise OptionError(f"{operation} has no {spec.name}; leave --{spec.name} out.")
