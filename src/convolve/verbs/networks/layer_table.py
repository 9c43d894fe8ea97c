"""One network's layers, as a table and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convolve.layers.design import Design, flags, given

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from convolve.layers.geometry import Pixels
    from convolve.models import Card
    from convolve.summary import Summary
    from convolve.tracing import LayerRow


@dataclass(frozen=True)
class Layers:
    """One network's layer table; ``input`` is (channels, height, width), ``figure`` the path of its drawing, if any.

    ``design`` is how it differs from the published network, ``knobs`` the names of what can differ.
    """

    card: Card
    input: tuple[int, int, int]
    summary: Summary
    figure: Path | None = None
    design: Design = field(default_factory=Design)
    knobs: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """`name`, `input`, `parameters`, `macs` and the `layers` in forward order; then the other totals, and the
        layers of `auxiliary` heads.
        """
        summary = self.summary
        return {
            "name": self.card.name,
            "input": list(self.input),
            "parameters": summary.parameters,
            "macs": summary.macs,
            "layers": [_row_as_json(row) for row in summary.layers],
            "trainable": summary.trainable,
            "weight_bytes": summary.weight_bytes,
            "activation_bytes": summary.activation_bytes,
            "figure": str(self.figure) if self.figure else None,
            "design": given(self.design),
            "options": list(self.knobs),
            "auxiliary": [_row_as_json(row) for row in summary.auxiliary],
            "statistics": summary.statistics,
            "depth": summary.depth,
            "note": self.card.note,
        }

    def _repr_html_(self) -> str:
        from convolve.console import to_html

        return to_html(render(self))


def render(result: Layers) -> Iterator[RenderableType]:
    """A table with one layer per row, and the totals."""
    summary = result.summary
    yield _table(summary.layers)
    if summary.auxiliary:
        parameters, macs = (sum(getattr(row, name) for row in summary.auxiliary) for name in ("parameters", "macs"))
        yield f"\nauxiliary heads, in training only: {parameters:,} parameters more, {macs:,} multiply-adds"
        yield _table(summary.auxiliary)
        yield ""
    yield (
        f"{summary.parameters:,} parameters ({summary.trainable:,} trainable), {summary.macs:,} multiply-adds; in "
        f"float32 {format_memory(summary.weight_bytes)} of weights and {format_memory(summary.activation_bytes)} of "
        f"activations per image. Depth {summary.depth}: the convolutions and dense layers on the longest way."
    )
    if summary.statistics:
        yield (
            f"Statistics are running means and variances: {summary.statistics:,} of them, which Keras counts as "
            f"parameters that are not trainable ({summary.parameters + summary.statistics:,} in all)."
        )
    yield (
        "The receptive field is a square whose side is so many pixels, padding included; the jump (effective stride) "
        "is the distance between the fields of neighboring units, 0 where all see the same; the offset is where the "
        "first unit's field begins."
    )
    if changed := flags(result.design):
        yield f"Changed by {changed}."
    if result.knobs:
        names = [name.replace("_", "-") for name in result.knobs]
        yield "Options: " + ", ".join(f"--no-{name}" if name == "auxiliary" else f"--{name}" for name in names)
    if any(isinstance(length, Fraction) for row in summary.layers for length in row.receptive_field):
        yield (
            "The units of an enlarged map see different numbers of pixels in turn: the receptive field is the smallest "
            "window that moves by the jump and holds them all."
        )
    if result.card.note:
        yield result.card.note
    if result.figure:
        yield f"figure  {result.figure}"


def _table(rows: Sequence[LayerRow]) -> Table:
    """One layer per row. Columns that would be empty throughout are left out."""
    from rich.table import Table

    grouped = any((row.groups or 1) > 1 for row in rows)
    normalized = any(row.statistics for row in rows)
    table = Table("layer", "type", "kernel", box=None, header_style="bold")
    if grouped:
        table.add_column("groups", justify="right")
    table.add_column("output")
    counted = ["parameters", "statistics"] if normalized else ["parameters"]
    for heading in (*counted, "multiply-adds", "receptive field", "jump", "offset"):
        table.add_column(heading, justify="right")
    for row in rows:
        groups = [str(row.groups or "")] if grouped else []
        counts = [row.parameters, row.statistics] if normalized else [row.parameters]
        table.add_row(
            *(row.name, row.type, _kernel(row), *groups, "x".join(map(str, row.output))),
            *(f"{count:,}" for count in (*counts, row.macs)),
            *_field(row),
        )
    return table


def _field(row: LayerRow) -> list[str]:
    """Size, jump and offset; there is no jump where the output is no map."""
    size, jump, offset = map(format_length, row.receptive_field)
    return [size, jump if len(row.output) == 3 else "", offset]


def _row_as_json(row: LayerRow) -> dict[str, Any]:
    field = {
        name: float(length) if isinstance(length, Fraction) else length
        for name, length in row.receptive_field._asdict().items()
    }
    return dataclasses.asdict(row) | {"receptive_field": field}


def format_length(length: Pixels) -> str:
    """A length in pixels, with two decimals where it is a fraction."""
    return f"{float(length):.2f}".rstrip("0") if isinstance(length, Fraction) else str(length)


def format_memory(size: int) -> str:
    """Bytes in MiB, or KiB where they are few."""
    return f"{size / 2**20:,.1f} MiB" if size >= 2**20 else f"{size / 2**10:,.1f} KiB"


def _kernel(row: LayerRow) -> str:
    """Such as `3x3/2 pad 1`: the window, its stride and the padding, down x across where they differ."""
    if row.kernel is None or row.stride is None or row.padding is None:
        return ""
    stride, padding = ("x".join(map(str, dict.fromkeys(pair))) for pair in (row.stride, row.padding))
    return f"{row.kernel[0]}x{row.kernel[1]}/{stride}" + (f" pad {padding}" if any(row.padding) else "")
