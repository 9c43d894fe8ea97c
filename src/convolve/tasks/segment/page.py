"""The page of a segmentation: figures, every class, and the worst images beside their truth."""

from __future__ import annotations

from pathlib import Path

from convolve.errors import ConvolveError
from convolve.tasks.segment.evaluation import Evaluation
from convolve.training.run import Run
from convolve.values import Dataset


def report(place: Path, run: Run, dataset: Dataset, evaluation: Evaluation) -> None:
    """Write a page about one evaluation of a run. Raises `ConvolveError` when that fails."""
    raise ConvolveError("not yet")
