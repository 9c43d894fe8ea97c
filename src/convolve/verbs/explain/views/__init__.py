"""The views into a run's network that `convolve explain --show` writes: pictures, and their numbers beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from convolve.choices import View
from convolve.verbs.explain.views.asked import Inside
from convolve.verbs.explain.views.data import best_images, embedding, filters, patches, statistics
from convolve.verbs.explain.views.images import fields, maps, sums

__all__ = ["VIEWS", "Inside"]

VIEWS: Mapping[View, Callable[[Inside], tuple[Path, ...]]] = MappingProxyType(
    {
        "filters": filters,
        "feature-maps": maps,
        "patches": patches,
        "receptive-field": fields,
        "statistics": statistics,
        "contributions": sums,
        "embedding": embedding,
        "class-images": best_images,
    }
)
"""What writes each view; it returns the files it wrote. Raises `ConvolveError`."""
