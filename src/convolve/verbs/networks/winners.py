"""The winners of ILSVRC, 2010 to 2017."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convolve.verbs.networks.published import HUMAN, WINNERS

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Winners:
    """The winners, oldest first; ``figure`` is the path of their drawing, if any."""

    figure: Path | None = None

    def as_json(self) -> dict[str, Any]:
        """`winners` as dictionaries, the `human` error next to which they are drawn, and the `figure`."""
        figure = str(self.figure) if self.figure else None
        return {"winners": [dataclasses.asdict(winner) for winner in WINNERS], "human": HUMAN, "figure": figure}

    def _repr_html_(self) -> str:
        from convolve.console import to_html

        return to_html(render(self))


def find_winners(figure: Path | None) -> Winners:
    """The winners, drawn to a file if one is named."""
    from convolve.reports.figure_file import check_figure, write_figure

    check_figure(figure)
    if figure:
        from convolve.reports.winners_figure import WinnerBar, winners_figure

        bars = [
            WinnerBar(
                error=winner.top5_error,
                below=f"{winner.year}\n{winner.team}",
                above=f"{winner.top5_error:.2f} %" + (f"\n{winner.depth} layers" if winner.depth else ""),
                is_convolutional=winner.is_convolutional,
            )
            for winner in WINNERS
        ]
        write_figure(figure, winners_figure(bars, HUMAN), "winners")
    return Winners(figure)


def render(result: Winners) -> Iterator[RenderableType]:
    """A table with one year per row."""
    from rich.table import Table

    table = Table("year", "team", "method", "network", box=None, header_style="bold")
    table.add_column("layers", justify="right")
    table.add_column("top-5 error", justify="right")
    table.add_column("note")
    for winner in WINNERS:
        layers, error = str(winner.depth or ""), f"{winner.top5_error:.2f} %"
        table.add_row(str(winner.year), winner.team, winner.method, winner.network, layers, error, winner.note)
    yield table
    yield (
        "ILSVRC, classification: top-5 errors on the test set without other data to learn from, as the organizers "
        f"published them. A person who had practiced had {HUMAN} % (Russakovsky et al. 2015)."
    )
    if result.figure:
        yield f"figure  {result.figure}"
