"""Numbers, products and sums as text: short, and with brackets around what is negative."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from convolve.from_scratch.steps.values import Cell, Term

_SMALL = 0.001
_LARGE = 1e9


def number(value: float) -> str:
    """Whole numbers as they are, others with four decimals at most, and tiny or huge ones in powers of ten."""
    if value and not _SMALL <= abs(value) < _LARGE:
        return f"{value:.3g}"
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def factor(value: float) -> str:
    """A number as it stands in a product."""
    text = number(value)
    return f"({text})" if text.startswith("-") else text


def product(*factors: float) -> Term:
    """``3·(-1)``, and what it comes to."""
    value = 1.0
    for each in factors:
        value *= float(each)
    return Term("·".join([number(factors[0]), *map(factor, factors[1:])]), value)


def added(values: Iterable[float]) -> str:
    """``308 - 498 + 164``; nothing at all is 0."""
    words = [number(value) for value in values] or ["0"]
    return words[0] + "".join(f" - {word[1:]}" if word.startswith("-") else f" + {word}" for word in words[1:])


def equation(values: Iterable[float], total: float) -> str:
    """``1 + 2 = 3``; one value alone is only said once."""
    left, right = added(values), number(total)
    return right if left == right else f"{left} = {right}"


def averaged(values: Sequence[float]) -> str:
    """``(1 + 2 + 6) / 3 = 3``."""
    total = f"({added(values)})" if len(values) > 1 else added(values)
    return f"{total} / {len(values)} = {number(sum(values) / len(values))}"


def called(cell: Cell, line: bool = False) -> str:
    """``y[1,2]``, counted from 1; ``y[2]`` on a ``line``."""
    grid, row, column = cell
    return f"{grid}[{column + 1}]" if line else f"{grid}[{row + 1},{column + 1}]"


def numbered(name: str, place: int, count: int) -> str:
    """``x`` when there is one, else ``x1``, ``x2``, …"""
    return name if count == 1 else f"{name}{place + 1}"
