"""How a run's network embeds images of any size, and compares them with the identities that it knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np
import torch

from convolve.datasets.preprocess import fit_to_input, least_side, normalize
from convolve.runtime import Runtime
from convolve.tasks.embed.options import EmbedPredictOptions
from convolve.tasks.embed.prediction import EmbeddingPrediction, embedding_prediction
from convolve.values import Floats, Images, Pixels, Preprocessing

if TYPE_CHECKING:
    from convolve.tasks.embed.task import Embed


@final
@dataclass(frozen=True)
class EmbeddingPredictor:
    """Predicts images a batch at a time."""

    task: Embed
    runtime: Runtime
    preprocessing: Preprocessing
    options: EmbedPredictOptions
    batch_size: int = 32

    def read(self, images: Images, index: int) -> Pixels:
        """(height, width, C) as the network takes it. Raises `ImageError`."""
        return fit_to_input(images.read(index, least_side(self.preprocessing)), self.preprocessing)

    def embed(self, inputs: Sequence[Pixels]) -> tuple[Floats, Floats]:
        """(N, D) embeddings of what was read, and (N, identities) distances."""
        with torch.inference_mode(), self.runtime.arithmetic():
            images = self.runtime.images(normalize(np.stack(inputs), self.preprocessing))
            embeddings = self.task.predict(images)
            distances = self.task.distances(embeddings)
        return embeddings.cpu().numpy(), distances.cpu().numpy()

    def predict(self, names: Sequence[str], inputs: Sequence[Pixels]) -> Iterator[EmbeddingPrediction]:
        """In order."""
        if not inputs:
            return
        own = self.options
        options = own if own.threshold is not None else replace(own, threshold=self.task.threshold.distance)
        for name, embedding, distances in zip(names, *self.embed(inputs), strict=True):
            yield embedding_prediction(name, embedding, distances, self.task.classes, options)

    def unreadable(self, name: str, error: str) -> EmbeddingPrediction:
        """Without an identity."""
        return EmbeddingPrediction(name, error=error)

    def total(self, predictions: Sequence[EmbeddingPrediction]) -> Mapping[str, str]:
        """No row."""
        del predictions
        return {}

    def finish(self, predictions: Sequence[EmbeddingPrediction]) -> None:
        """Nothing."""
        del predictions
