"""The epochs' figures for TensorBoard, when a person asks for them."""

from __future__ import annotations

from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from convolve.training.state import State


class Board:
    """Writes each epoch's figures as scalars into a folder."""

    def __init__(self, folder: Path) -> None:
        self._writer = SummaryWriter(str(folder))

    def __call__(self, state: State) -> None:
        """Write the last epoch's line."""
        figures = state.history[-1]
        for name, value in figures.items():
            if name != "epoch":
                self._writer.add_scalar(name, value, int(figures["epoch"]))
        self._writer.flush()
