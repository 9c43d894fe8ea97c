"""What an operation of `convolve scratch` reads from the options: the numbers it needs, each checked."""

from __future__ import annotations

import numpy as np

from convolve.errors import OptionError
from convolve.from_scratch.arrays import Array, Labels
from convolve.from_scratch.windows import Sliding
from convolve.verbs.scratch import Scratch
from convolve.verbs.scratch.numbers import Numbers, bounded_integer, read_numbers

MOST_TERMS = 20_000
"""The most products of a forward pass, or values of the padded input, that are written out."""
_LARGEST_WHOLE = 2**31


def required(options: Scratch, name: str, what: str) -> str:
    """An option that the operation requires, as it was typed."""
    text: str | None = getattr(options, name)
    if text is None:
        raise OptionError(f"{options.operation} needs {what}; give it with --{name}.")
    return text


def chosen_kind(options: Scratch, kinds: tuple[str, ...], default: str | None = None) -> str:
    """The option ``kind``, one of ``kinds``; default: ``default``, or the first of them."""
    kind = options.kind or default or kinds[0]
    if kind not in kinds:
        raise OptionError(f"{options.operation} has no kind {kind}; choose one of {', '.join(kinds)}.")
    return kind


def sliding_window(options: Scratch) -> Sliding:
    """How the window slides, from stride, padding and dilation."""
    return Sliding(
        bounded_integer("stride", options.stride, 1, 1),
        bounded_integer("padding", options.padding, 0, 0),
        bounded_integer("dilation", options.dilation, 1, 1),
    )


def output_gradient(options: Scratch, shape: tuple[int, ...]) -> Array | None:
    """The gradient dy of the output's rank; None without the backward pass."""
    if not options.backward:
        return None
    if options.delta is None:
        return np.ones(shape)
    dy = read_numbers("delta", options.delta)
    if options.operation == "conv1d":  # a row is a filter
        return single_matrix("delta", dy)[:, None]
    return single_matrix("delta", dy) if len(shape) == 2 else channel_stack("delta", dy)


def bounded_matrix(x: Numbers) -> Numbers:
    """The input as one matrix, small enough to be written out."""
    values = single_matrix("input", x)
    check_size(values.size)
    return values


def channel_stack(name: str, numbers: Numbers) -> Numbers:
    """Numbers (channels, rows, columns). Raises `OptionError` for more axes."""
    if numbers.ndim != 3:
        raise OptionError(f"{name} has {numbers.ndim} axes; it must have three: channels, rows and columns.")
    return numbers


def single_matrix(name: str, numbers: Numbers) -> Numbers:
    """Numbers (rows, columns). Raises `OptionError` for channels."""
    if numbers.ndim != 3 or len(numbers) != 1:
        raise OptionError(f"{name} must be one matrix of rows and columns; remove the | or further axes.")
    matrix: Numbers = numbers[0]
    return matrix


def labeled_rows(name: str, numbers: Numbers, *layouts: str) -> Numbers:
    """A matrix whose rows have one of the ``layouts``, named column by column."""
    rows = single_matrix(name, numbers)
    if rows.shape[1] not in {len(layout.split()) for layout in layouts}:
        raise OptionError(f"{name} has rows of {rows.shape[1]}; each must be {', or '.join(layouts)}.")
    return rows


def whole_numbers(name: str, numbers: Numbers) -> Labels:
    """The numbers as integers. Raises `OptionError` for others."""
    if (numbers % 1 != 0).any() or (np.abs(numbers) > _LARGEST_WHOLE).any():
        raise OptionError(f"{name} must be whole numbers; one is {next(iter(numbers[numbers % 1 != 0]), 'too large')}.")
    return numbers.astype(np.int64)


def fraction(options: Scratch, name: str) -> float:
    """The option ``name``'s value, from 0 to 1; default: 0.5."""
    value: float | None = getattr(options, name)
    value = 0.5 if value is None else value
    if not 0 <= value <= 1:
        raise OptionError(f"{name.replace('_', '-')} is {value:g}; it must be from 0 to 1.")
    return value


def vector(name: str, text: str | None) -> Numbers | None:
    """All numbers of an option in one row; None where it is not given."""
    return None if text is None else read_numbers(name, text).ravel()


def check_size(terms: int) -> None:
    """Raises `OptionError` for more terms than can be written out."""
    if terms > MOST_TERMS:
        raise OptionError(
            f"This would write out {terms:,} terms, and the limit is {MOST_TERMS:,}; take a part of the input."
        )
