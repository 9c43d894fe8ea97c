"""The options that only embedding has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from convolve.errors import OptionError
from convolve.tasks.info import TaskInfo, check_predict_options

EmbeddingLoss = Literal["arcface", "triplet"]


@dataclass(frozen=True)
class EmbedOptions:
    """How images learn to be near to each other."""

    loss: EmbeddingLoss | None = None
    """The loss: `arcface` tells identities apart with an angular margin; `triplet` compares images with images."""
    margin: float | None = None
    """How much nearer the same must be than others: an angle in radians (arcface, 0.5), a squared distance (triplet,
    0.2)."""
    logit_scale: float | None = None
    """By what arcface multiplies cosines before the softmax; smaller for few or noisy identities."""
    images_per_identity: int | None = None
    """How many images of an identity follow one another in a batch; 1 draws images at random."""
    test_identities: float | None = None
    """Fraction of the identities whose images are all held out as the test split, in place of any other, so that it has
    identities that training has never seen; 0 splits by images."""


@dataclass(frozen=True)
class EmbedPredictOptions:
    """What to say of each image."""

    top: int = 3
    """Number of known identities to list for each image, nearest first; 3 by default."""
    threshold: float | None = None
    """Distance from which on an image is `unknown`, 0 to 2; by default the run's own, calibrated on its validation
    split."""

    def __post_init__(self) -> None:
        """Raises `OptionError` for a number out of range."""
        check_predict_options(self.top, None)
        check_threshold(self.threshold)


def check_threshold(threshold: float | None) -> None:
    """Raise `OptionError` for a distance that two vectors of length 1 cannot have."""
    if threshold is not None and not (math.isfinite(threshold) and 0 <= threshold <= 2):
        raise OptionError(f"threshold cannot be {threshold}; distances of embeddings are numbers from 0 to 2.")


INFO = TaskInfo(
    name="embed",
    title="Embedding",
    output="embedding",
    ground_truth="labels",
    options=EmbedOptions,
    predict_options=EmbedPredictOptions,
    metric_titles={
        "map_at_r": "mAP@R",
        "recall_at_1": "recall@1",
        "recall_at_5": "recall@5",
        "roc_auc": "ROC AUC",
        "eer": "EER",
        "tar_at_far_1e-2": "TAR at FAR 1e-2",
        "tar_at_far_1e-3": "TAR at FAR 1e-3",
    },
    ranges={
        "margin": (0.0, 1.5),
        "logit_scale": (1.0, 1000.0),
        "images_per_identity": (1, 64),
        "test_identities": (0.0, 0.9),
    },
    classifiers_as="embedding",
    scored="identities",
    compared="distances",
    imbalance_remedy="add images of the rare ones, or give --images-per-identity 4",
)
