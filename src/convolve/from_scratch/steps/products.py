"""A matrix product, each value a row times a column; what affine layers and maxout are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convolve.from_scratch.arrays import Array
from convolve.from_scratch.steps.values import Cell, Step
from convolve.from_scratch.steps.wording import equation, product
from convolve.from_scratch.steps.writing import down, values_below, written


@dataclass(frozen=True)
class Factor:
    """A matrix of a product: the grid that it stands in, and whether it is turned there (Xᵀ, Wᵀ)."""

    name: str
    values: Array
    turned: bool = False

    def cell(self, row: int, column: int) -> Cell:
        """Where a value of the matrix stands in its grid."""
        return (self.name, column, row) if self.turned else (self.name, row, column)


def matrix_product(grid: str, left: Factor, right: Factor, bias: Factor | None = None) -> Iterator[Step]:
    """Each row of the left times each column of the right, into ``grid``; the bias (1, columns) is added."""
    inner = range(left.values.shape[1])
    for row, column in np.ndindex(len(left.values), right.values.shape[1]):
        terms = [product(left.values[row, k], right.values[k, column]) for k in inner]
        values = [term.value for term in terms]
        read = [left.cell(row, k) for k in inner] + [right.cell(k, column) for k in inner]
        if bias is not None:
            values.append(float(bias.values[0, column]))
            read.append(bias.cell(0, column))
        yield written((grid, row, column), sum(values), equation(values, sum(values)), read, [terms])


def column_sums(grid: str, slopes: Factor) -> Iterator[Step]:
    """The sum of each column, into the one row of ``grid``: a bias was added to every example."""
    for column, values in enumerate(slopes.values.T.tolist()):
        read = down(slopes.name, column, len(values))
        text = equation(values, sum(values))
        yield written((grid, 0, column), sum(values), text, read, values_below(values), line=True)
