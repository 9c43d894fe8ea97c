"""The options that only captions have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from convolve.errors import OptionError
from convolve.tasks.info import TaskInfo

BEAM, WIDEST = 3, 100


@dataclass(frozen=True)
class CaptionOptions:
    """Which words are learned, and how sentences are found."""

    min_count: int | None = None
    """Fewest times that a word must occur in the training captions to be learned."""
    beam: int | None = None
    """Beam search: how many sentences are continued at every word; 1 takes the likeliest word each time."""


@dataclass(frozen=True)
class CaptionPredictOptions:
    """How sentences are found, and what to write."""

    beam: int | None = None
    """Beam search: how many sentences are continued at every word; 1 takes the likeliest word each time."""
    out: Annotated[Path | None, Parameter(alias="-o")] = None
    """Folder for `results.json` (COCO's results), and for what a network with attention looks at, word by word."""

    def __post_init__(self) -> None:
        """Raises `OptionError` for a number out of range."""
        if self.beam is not None and not 1 <= self.beam <= WIDEST:
            raise OptionError(f"beam cannot be {self.beam}; it must be a whole number from 1 to {WIDEST}.")


INFO = TaskInfo(
    name="caption",
    title="Captions",
    output="text",
    ground_truth="captions",
    options=CaptionOptions,
    predict_options=CaptionPredictOptions,
    metric_titles={
        "bleu4": "BLEU-4",
        "bleu3": "BLEU-3",
        "bleu2": "BLEU-2",
        "bleu1": "BLEU-1",
        "cider": "CIDEr",
        "perplexity": "perplexity",
        "repeated": "repeated from training",
        "unknown": "unknown words",
    },
    fits=("stretch", "crop", "letterbox"),
    ranges={"min_count": (1, 1000), "beam": (1, WIDEST)},
    classifiers_as="text",
    scored="words",
    layout="captions",
    learned_outputs=True,
)
