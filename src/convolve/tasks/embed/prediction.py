"""What an embedding says of images: the known identities nearest to each, or that it is none of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convolve.tasks.embed.options import EmbedPredictOptions
from convolve.values import Floats

UNKNOWN = "unknown"


@dataclass(frozen=True)
class EmbeddingPrediction:
    """One image's ``identity`` (or `unknown`), the distance of the nearest known one, 0 to 2, and the nearest ones with
    theirs. ``error`` says why an image could not be read; it has no identity then.
    """

    image: str
    identity: str = ""
    distance: float = 0.0
    nearest: tuple[tuple[str, float], ...] = ()
    embedding: tuple[float, ...] = ()
    error: str = ""

    @property
    def overlay(self) -> str:
        """Nothing, as no image is drawn."""
        return ""

    def cells(self) -> Mapping[str, str]:
        """For people."""
        near = ", ".join(f"{name} {distance:.3f}" for name, distance in self.nearest)
        return {"image": self.image, "identity": self.identity, "distance": f"{self.distance:.3f}", "nearest": near}

    def entries(self) -> Sequence[Mapping[str, str]]:
        """For programs."""
        distance = f"{self.distance:.6f}" if self.identity else ""
        return [{"image": self.image, "identity": self.identity, "distance": distance, "error": self.error}]

    def as_json(self) -> dict[str, Any]:
        """By the fields' names, the embedding among them."""
        return {
            "image": self.image,
            "identity": self.identity,
            "distance": self.distance,
            "nearest": [list(entry) for entry in self.nearest],
            "embedding": list(self.embedding),
            "error": self.error,
        }


def embedding_prediction(
    name: str, embedding: Floats, distances: Floats, identities: Sequence[str], options: EmbedPredictOptions
) -> EmbeddingPrediction:
    """What the distances (identities,) of an image say, from the options' threshold on `unknown`."""
    order = np.argsort(distances, kind="stable")[: options.top].tolist()
    nearest = tuple((identities[index], float(distances[index])) for index in order)
    label, distance = nearest[0]
    limit = 2.0 if options.threshold is None else options.threshold
    found = label if distance < limit else UNKNOWN
    return EmbeddingPrediction(name, found, distance, nearest, tuple(map(float, embedding)))
