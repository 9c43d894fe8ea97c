"""What is printed of an export."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from convolve.exports.card import ExportCard


def card_lines(card: ExportCard) -> Iterator[str]:
    """Parity, speed and metrics, a line each."""
    if card.parity:
        yield _parity_line(card.parity)
    for speed in card.speed.get("batches", ()):
        yield (
            f"speed   {speed['torch']:.2f} ms in PyTorch ({card.speed['torch_precision']}), {speed['export']:.2f} ms "
            f"exported ({card.precision}): {speed['ratio']:.1f} times as fast, {speed['batch']} at once"
        )
    if card.quantization:
        yield f"int8    {card.quantization['reason']}"
    for split, measured in card.metrics.items():
        name, value = next(iter(measured["metrics"].items()))
        interval = measured["intervals"].get(name)
        between = f" [{interval[0]:.4f}, {interval[1]:.4f}]" if interval else ""
        yield f"{name}  {value:.4f}{between} on {measured['images']} {split} images, with the export"
    for note in card.notes:
        yield f"note    {note}"


def _parity_line(parity: Mapping[str, Any]) -> str:
    shift = f", boxes {parity['largest_shift']:.2f} pixels" if parity["largest_shift"] is not None else ""
    return (
        f"parity  {parity['changed']:,} of {parity['answers']:,} answers differ from the run's on {parity['images']} "
        f"images; probabilities by {parity['largest_difference']:.4f} at most{shift}"
    )
