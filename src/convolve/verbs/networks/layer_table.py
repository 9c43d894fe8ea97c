"""One network's layers, as a table and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.models import Card
    from convolve.summary import LayerRow, Summary


@dataclass(frozen=True)
class Layers:
    """One network's layer table; ``input`` is (channels, height, width), ``figure`` the path of its drawing, if any."""

    card: Card
    input: tuple[int, int, int]
    summary: Summary
    figure: Path | None = None

    def as_json(self) -> dict[str, Any]:
        """`name`, `input`, `parameters`, `macs` and the `layers` in forward order; then the other totals."""
        summary = self.summary
        layers = [
            dataclasses.asdict(row) | {"receptive_field": row.receptive_field._asdict()} for row in summary.layers
        ]
        return {
            "name": self.card.name,
            "input": list(self.input),
            "parameters": summary.parameters,
            "macs": summary.macs,
            "layers": layers,
            "trainable": summary.trainable,
            "weight_bytes": summary.weight_bytes,
            "activation_bytes": summary.activation_bytes,
            "figure": str(self.figure) if self.figure else None,
        }

    def _repr_html_(self) -> str:
        from convolve.console import to_html

        return to_html(render(self))


def render(result: Layers) -> Iterator[RenderableType]:
    """A table with one layer per row, and the totals."""
    from rich.table import Table

    summary = result.summary
    table = Table("layer", "type", "kernel", "output", box=None, header_style="bold")
    for heading in ("parameters", "multiply-adds", "receptive field", "jump", "offset"):
        table.add_column(heading, justify="right")
    for row in summary.layers:
        output, counts = "x".join(map(str, row.output)), (f"{row.parameters:,}", f"{row.macs:,}")
        table.add_row(row.name, row.type, _kernel(row), output, *counts, *map(str, row.receptive_field))
    yield table
    yield (
        f"{summary.parameters:,} parameters ({summary.trainable:,} trainable), {summary.macs:,} multiply-adds; in "
        f"float32 {_memory(summary.weight_bytes)} of weights and {_memory(summary.activation_bytes)} of activations "
        "per image."
    )
    yield (
        "The receptive field is a square whose side is so many pixels, padding included; the jump (effective stride) "
        "is the distance between the fields of neighboring units; the offset is where the first unit's field begins."
    )
    if result.figure:
        yield f"figure  {result.figure}"


def _memory(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB" if size >= 2**20 else f"{size / 2**10:,.1f} KiB"


def _kernel(row: LayerRow) -> str:
    """Such as `3x3/2 pad 1`: the window, its stride and the padding, down x across where they differ."""
    if row.kernel is None or row.stride is None or row.padding is None:
        return ""
    stride, padding = ("x".join(map(str, dict.fromkeys(pair))) for pair in (row.stride, row.padding))
    return f"{row.kernel[0]}x{row.kernel[1]}/{stride}" + (f" pad {padding}" if any(row.padding) else "")
