"""Several networks side by side: stages, shapes, counts, depth, receptive fields and published errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from convolve.verbs.networks.layer_table import Layers, format_length, format_memory
from convolve.verbs.networks.published import SINGLE_MODEL, SINGLE_MODEL_SOURCE

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.layers.geometry import ReceptiveField
    from convolve.tracing import LayerRow

_STAGES = "stages."


@dataclass(frozen=True)
class NetworkComparison:
    """The layer tables of several networks, in the order in which they were named."""

    networks: tuple[Layers, ...]

    def as_json(self) -> dict[str, Any]:
        """`networks`: for each its counts, the `stages` with shape and receptive field, and both published errors."""
        return {"networks": [_as_json(layers) for layers in self.networks]}

    def _repr_html_(self) -> str:
        from convolve.console import to_html

        return to_html(render(self))


def render(result: NetworkComparison) -> Iterator[RenderableType]:
    """A column for each network."""
    from rich.table import Table

    networks = result.networks
    table = Table("", box=None, header_style="bold")
    for layers in networks:
        table.add_column(layers.card.name, justify="right", overflow="fold")
    for heading, cell in _rows(networks):
        cells = [cell(layers) for layers in networks]
        if any(cells):
            table.add_row(heading, *cells)
    yield table
    for layers in networks:
        if layers.card.evaluation:
            yield f"{layers.card.name}: {layers.card.evaluation}"
    if any(layers.card.name in SINGLE_MODEL for layers in networks):
        yield f"single model: {SINGLE_MODEL_SOURCE}"
    for layers in networks:
        if layers.card.note:
            yield f"{layers.card.name}: {layers.card.note}"


def _rows(networks: Sequence[Layers]) -> list[tuple[str, Callable[[Layers], str]]]:
    """The heading of each row, and what is in it for a network."""
    stages = list(dict.fromkeys(name for layers in networks for name in _last_rows(layers)))
    rows: list[tuple[str, Callable[[Layers], str]]] = [
        ("paper", lambda layers: layers.card.authors.split(",")[0] + (" et al." if "," in layers.card.authors else "")),
        ("year", lambda layers: str(layers.card.year or "")),
        ("input", lambda layers: _shape(layers.input)),
    ]
    rows += [(stage, lambda layers, stage=stage: _stage(layers, stage)) for stage in stages]  # type: ignore[misc]
    return [
        *rows,
        ("output", lambda layers: _shape(layers.summary.layers[-1].output)),
        ("parameters", lambda layers: f"{layers.summary.parameters:,}"),
        ("of dense layers", lambda layers: f"{_dense_parameters(layers) / max(1, layers.summary.parameters):.0%}"),
        ("auxiliary heads", lambda layers: f"{count:,}" if (count := _auxiliary_parameters(layers)) else ""),
        ("multiply-adds", lambda layers: f"{layers.summary.macs:,}"),
        ("weights", lambda layers: format_memory(layers.summary.weight_bytes)),
        ("activations", lambda layers: format_memory(layers.summary.activation_bytes)),
        ("depth", lambda layers: str(layers.summary.depth)),
        ("receptive field", lambda layers: _field(layers, 0)),
        ("jump", lambda layers: _field(layers, 1)),
        ("top-1 error", lambda layers: _percent(layers.card.top1_error)),
        ("top-5 error", lambda layers: _percent(layers.card.top5_error)),
        ("single model, top-1", lambda layers: _percent(_single_model(layers)[0])),
        ("single model, top-5", lambda layers: _percent(_single_model(layers)[1])),
    ]


def _as_json(layers: Layers) -> dict[str, Any]:
    card, summary = layers.card, layers.summary
    top1, top5 = _single_model(layers)
    return {
        "name": card.name,
        "title": card.title,
        "authors": card.authors,
        "year": card.year,
        "input": list(layers.input),
        "stages": [
            {"name": name, "output": list(row.output), "receptive_field": _numbers(row.receptive_field)}
            for name, row in _last_rows(layers).items()
        ],
        "output": list(summary.layers[-1].output),
        "parameters": summary.parameters,
        "dense_parameters": _dense_parameters(layers),
        "auxiliary_parameters": _auxiliary_parameters(layers),
        "macs": summary.macs,
        "weight_bytes": summary.weight_bytes,
        "activation_bytes": summary.activation_bytes,
        "depth": summary.depth,
        "top1_error": card.top1_error,
        "top5_error": card.top5_error,
        "evaluation": card.evaluation,
        "single_model_top1_error": top1,
        "single_model_top5_error": top5,
        "note": card.note,
    }


def _last_rows(layers: Layers) -> dict[str, LayerRow]:
    """The row in which each stage ends, by the stage's name."""
    found: dict[str, LayerRow] = {}
    for row in layers.summary.layers:
        if row.name.startswith(_STAGES):
            found[row.name.removeprefix(_STAGES).partition(".")[0]] = row
    return found


def _stage(layers: Layers, name: str) -> str:
    row = _last_rows(layers).get(name)
    return _shape(row.output) if row else ""


def _field(layers: Layers, position: int) -> str:
    """A number of the receptive field of the last stage's units."""
    rows = list(_last_rows(layers).values())
    return format_length(rows[-1].receptive_field[position]) if rows else ""


def _dense_parameters(layers: Layers) -> int:
    return sum(row.parameters for row in layers.summary.layers if row.type == "Linear")


def _auxiliary_parameters(layers: Layers) -> int:
    return sum(row.parameters for row in layers.summary.auxiliary)


def _single_model(layers: Layers) -> tuple[float | None, float | None]:
    return SINGLE_MODEL.get(layers.card.name, (None, None))


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _percent(error: float | None) -> str:
    return "" if error is None else f"{error:g} %"


def _numbers(field: ReceptiveField) -> dict[str, float]:
    return {name: float(length) if isinstance(length, Fraction) else length for name, length in field._asdict().items()}
