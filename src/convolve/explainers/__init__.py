"""What a network's scores depend on, and what its layers hold: attributions over images, and views inside.

`attributions` explains any `nn.Module` and images; the other modules look into networks of `convolve.models`.
"""

from __future__ import annotations

from convolve.explainers.methods import METHODS, Method, attributions, scale
from convolve.explainers.score_targets import ClassScore, RegionScore, ScoreTarget, SpatialMean

__all__ = ["METHODS", "ClassScore", "Method", "RegionScore", "ScoreTarget", "SpatialMean", "attributions", "scale"]
