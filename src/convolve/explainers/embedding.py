"""Images as points in the plane: near to each other where the network's features are alike.

Hotelling 1933 (principal components); van der Maaten, Hinton 2008, "Visualizing data using t-SNE". Both are
scikit-learn's.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from convolve.errors import DataError
from convolve.values import Floats

Projection = Literal["pca", "tsne"]
FEWEST = 4
"""Images below which neighbors mean nothing."""
_PERPLEXITY = 30.0


def embed(features: Floats, projection: Projection, seed: int = 0) -> Floats:
    """(N, features) to (N, 2): along the two directions of most variance, or by t-SNE, which starts there.

    The perplexity is 30, and a third of the other points where there are few. Raises `DataError` for fewer than four
    images or a single feature.
    """
    count, width = features.shape
    if count < FEWEST or width < 2:
        raise DataError(
            f"{count} images of {width} features have no neighborhoods to draw; at least {FEWEST} images of 2 features "
            "are needed."
        )
    if projection == "pca":
        from sklearn.decomposition import PCA

        points = PCA(2, random_state=seed).fit_transform(features)
    else:
        from sklearn.manifold import TSNE

        perplexity = min(_PERPLEXITY, (count - 1) / 3)
        points = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(features)
    return np.asarray(points, dtype=np.float32)
