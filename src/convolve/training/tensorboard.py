"""The epochs' figures for TensorBoard, when a person asks for them."""

from __future__ import annotations

from pathlib import Path

from convolve.errors import OptionError
from convolve.training.state import State


class Board:
    """Writes each epoch's figures as scalars into a folder. Raises `OptionError` where TensorBoard is not installed."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise OptionError("TensorBoard is not installed; run `pip install convolve[tensorboard]`.") from error
        self._writer = SummaryWriter(str(folder))

    def __call__(self, state: State) -> None:
        """Write the last epoch's line."""
        figures = state.history[-1]
        for name, value in figures.items():
            if name != "epoch":
                self._writer.add_scalar(name, value, int(figures["epoch"]))
        self._writer.flush()
