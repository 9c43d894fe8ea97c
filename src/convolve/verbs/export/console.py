"""What is printed of an export."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from convolve.exports.card import ExportCard
from convolve.tasks.registry import find_exported


def card_lines(card: ExportCard) -> Iterator[str]:
    """Parity, speed and metrics, a line each."""
    if card.parity:
        yield _parity_line(card.task, card.parity)
    for speed in card.speed.get("batches", ()):
        yield (
            f"speed   {speed['torch']:.2f} ms in PyTorch ({card.speed['torch_precision']}), {speed['export']:.2f} ms "
            f"exported ({card.precision}): {speed['ratio']:.1f} times as fast, {speed['batch']} at once"
        )
    if card.quantization:
        yield _quantization_line(card.quantization)
    for split, measured in card.metrics.items():
        yield _metric_line(card.task, split, measured)
    for note in card.notes:
        yield f"note    {note}"


def _metric_line(task: str, split: str, measured: Mapping[str, Any]) -> str:
    """The headline metric, by its name for people, with its interval where there is one."""
    name, value = next(iter(measured["metrics"].items()))
    info = find_exported(task).info
    title = info.metric_titles.get(name, name)
    interval = measured["intervals"].get(name)
    between = f" (95 % interval {interval[0]:.1%} to {interval[1]:.1%})" if interval else ""
    images = f"{measured['images']:,} {split} image{'s' * (measured['images'] != 1)}"
    found = "undefined" if value is None else f"{value:.1%}" if info.unit == "%" else f"{value:.2f} {info.unit}"
    return f"{title}  {found}{between} on {images}, with the export"


def _parity_line(task: str, parity: Mapping[str, Any]) -> str:
    shift = f", boxes {parity['largest_shift']:.2f} pixels" if parity["largest_shift"] is not None else ""
    return (
        f"parity  {parity['changed']:,} of {parity['answers']:,} answers differ from the run's on {parity['images']} "
        f"image{'s' * (parity['images'] != 1)}; {find_exported(task).info.compared} by "
        f"{parity['largest_difference']:.4f} at most{shift}"
    )


def _quantization_line(found: Mapping[str, Any]) -> str:
    count = len(found["attempts"])
    return f"int8    {found['reason']} ({count} attempt{'s' * (count > 1)}, {found['seconds']:.0f} s)"
