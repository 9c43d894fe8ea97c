"""How good an embedding is: whether nearest neighbors are of the same identity, and how well distances tell pairs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from torch import Tensor

from convolve.metrics.retrieval import Retrieval, retrieve
from convolve.metrics.verification import Verification, verify
from convolve.tasks.info import finite_or_none
from convolve.values import Batch, Floats, Indices

if TYPE_CHECKING:
    from rich.console import RenderableType

FALSE_ACCEPTANCES = {"tar_at_far_1e-2": 1e-2, "tar_at_far_1e-3": 1e-3}
FAR = 1e-2
"""The FAR on the validation split by which the threshold is chosen."""
MOST_IN_PAIRS = 2000
"""Images whose pairs are all compared; of more, so many drawn at random."""


@dataclass(frozen=True)
class Threshold:
    """From which ``distance`` on two images are of different identities, and the FAR and FRR of so many ``pairs`` of
    different identities and ``same_pairs`` of one that were measured on the validation split; nan where unknown.
    """

    distance: float
    far: float = math.nan
    frr: float = math.nan
    pairs: int = 0
    same_pairs: int = 0

    def as_json(self) -> dict[str, float | int | None]:
        """An unknown rate is null."""
        return {
            "distance": self.distance,
            "far": finite_or_none(self.far),
            "frr": finite_or_none(self.frr),
            "pairs": self.pairs,
            "same_pairs": self.same_pairs,
        }


def parse_threshold(document: Mapping[str, Any]) -> Threshold:
    """From what `Threshold.as_json` gave. Raises `ValueError`, `KeyError` or `TypeError`."""
    distance = float(document["distance"])
    far, frr = (math.nan if document[name] is None else float(document[name]) for name in ("far", "frr"))
    if not 0 <= distance <= 2 or any(type(document[name]) is not int for name in ("pairs", "same_pairs")):
        raise ValueError("its threshold is none")
    return Threshold(distance, far, frr, document["pairs"], document["same_pairs"])


def find_threshold(pairs: Verification) -> Threshold:
    """The greatest distance below which at most 1 % of the pairs of different identities are. There must be some."""
    distance = pairs.threshold_at(FAR)
    far, tar = pairs.rates(distance)
    return Threshold(distance, far, 1 - tar, len(pairs.different), len(pairs.same))


@dataclass(frozen=True, eq=False)
class Evaluation:
    """``metrics`` by name; nan where there are too few pairs. Image i, of ``indices`` (N,) in the dataset, has
    ``embeddings[i]`` (N, D) and the identity ``labels[i]``; ``identities`` are all names, of which ``trained`` says
    which have images in training. ``pairs`` are of ``paired`` images.
    """

    split: str
    metrics: Mapping[str, float]
    identities: tuple[str, ...]
    trained: frozenset[int]
    embeddings: Floats
    labels: Indices
    indices: Indices
    retrieval: Retrieval
    pairs: Verification
    paired: int
    threshold: Threshold

    @property
    def images(self) -> int:
        """How many images were evaluated."""
        return len(self.labels)

    @property
    def unseen(self) -> int:
        """How many of the identities of these images have none in training."""
        return len(set(self.labels.tolist()) - self.trained)

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and lists; an undefined metric is null."""
        far, tar = self.pairs.rates(self.threshold.distance)
        return {
            "split": self.split,
            "images": self.images,
            "identities": len(np.unique(self.labels)),
            "unseen_identities": self.unseen,
            "metrics": {name: finite_or_none(value) for name, value in self.metrics.items()},
            "pairs": {"images": self.paired, "same": len(self.pairs.same), "different": len(self.pairs.different)},
            "threshold": self.threshold.as_json(),
            "at_threshold": {"far": finite_or_none(far), "frr": finite_or_none(1 - tar)},
        }

    def to_console(self) -> Iterator[RenderableType]:
        """The metrics, the pairs, and the errors at the threshold."""
        from convolve.tasks.embed.report import console_output

        yield from console_output(self)


@final
class EmbeddingEvaluator:
    """Gathers embeddings."""

    def __init__(self) -> None:
        self._embeddings: list[Floats] = []
        self._labels: list[Indices] = []
        self._indices: list[Indices] = []

    def add(self, predictions: Tensor, batch: Batch) -> None:
        """(N, D) embeddings of a batch."""
        self._embeddings.append(predictions.float().cpu().numpy())
        self._labels.append(np.asarray(batch.targets.values, np.int64))  # type: ignore[attr-defined]  # they are arrays
        self._indices.append(batch.indices)

    def gathered(self) -> tuple[Floats, Indices, Indices]:
        """(N, D) embeddings, (N,) identities and (N,) indices of all images so far."""
        return np.concatenate(self._embeddings), np.concatenate(self._labels), np.concatenate(self._indices)

    def metrics(self) -> dict[str, float]:
        """Those of the nearest neighbors."""
        embeddings, labels, _ = self.gathered()
        return retrieval_metrics(retrieve(embeddings, labels))


def retrieval_metrics(retrieval: Retrieval) -> dict[str, float]:
    """mAP@R, recall@1 and recall@5."""
    recalls = {f"recall_at_{count}": retrieval.recall(count) for count in (1, 5)}
    return {"map_at_r": retrieval.map_at_r, **recalls}


def evaluate(
    split: str,
    identities: tuple[str, ...],
    trained: frozenset[int],
    gathered: tuple[Floats, Indices, Indices],
    threshold: Threshold,
) -> Evaluation:
    """Every metric of embedded images."""
    embeddings, labels, indices = gathered
    retrieval, pairs = retrieve(embeddings, labels), some_pairs(embeddings, labels)
    metrics = retrieval_metrics(retrieval) | {"roc_auc": pairs.roc_auc(), "eer": pairs.equal_error_rate()}
    metrics |= {name: pairs.tar_at(far) for name, far in FALSE_ACCEPTANCES.items()}
    paired = min(len(labels), MOST_IN_PAIRS)
    return Evaluation(
        split, metrics, identities, trained, embeddings, labels, indices, retrieval, pairs, paired, threshold
    )


def some_pairs(embeddings: Floats, labels: Indices) -> Verification:
    """All pairs of at most `MOST_IN_PAIRS` images, always the same ones."""
    chosen = np.arange(len(labels))
    if len(labels) > MOST_IN_PAIRS:
        chosen = np.sort(np.random.default_rng(0).permutation(len(labels))[:MOST_IN_PAIRS])
    return verify(embeddings[chosen], labels[chosen])
