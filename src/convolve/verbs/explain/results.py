"""What `convolve explain` returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ImageExplanation:
    """One image: what the network predicts, and the ``scores`` that were explained by the name of what each is of.

    ``ground_truth`` is empty where it is unknown, and ``confidence`` None where the task has none; then scores are the
    network's outputs instead of probabilities. ``boxes`` maps each method to left, top, right, bottom around the first
    score's attribution, as fractions of the network's input. ``figure`` is the path of the image's heatmaps, and
    ``error`` says why an image could not be read.
    """

    image: str
    ground_truth: str = ""
    prediction: str = ""
    confidence: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    boxes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    figure: str = ""
    error: str = ""


@dataclass(frozen=True)
class MethodResult:
    """What was measured of a method; None where it was not asked for, or there was nothing to measure by.

    ``warning`` is what the literature says against the method. ``milliseconds`` are those of one image. ``deletion``
    and ``insertion`` are areas under curves; ``localization``, ``overlap`` and ``pointing`` are means over the
    ``boxed_images``; ``similarities`` says how similar the maps are to those of a network that is randomized down to
    each part: ``top_similarity`` once the head and the last stage are random, ``similarity`` once all is; ``passed``
    says whether that lies below the bound of the sanity check.
    """

    method: str
    title: str
    paper: str
    warning: str = ""
    milliseconds: float | None = None
    deletion: float | None = None
    insertion: float | None = None
    boxed_images: int = 0
    localization: float | None = None
    overlap: float | None = None
    pointing: float | None = None
    similarities: Mapping[str, float] = field(default_factory=dict)
    top_similarity: float | None = None
    similarity: float | None = None
    passed: bool | None = None

    def format(self, key: str) -> str:
        """A measurement as people read it; empty for None."""
        value = getattr(self, key)
        if value is None:
            return ""
        if key == "milliseconds":
            return f"{value:.1f}"
        return f"{value:.1%}" if key in ("localization", "pointing") else f"{value:.3f}"


@dataclass(frozen=True)
class Explanation:
    """The images in order, the methods as measured, and the paths of what was written."""

    images: tuple[ImageExplanation, ...]
    methods: tuple[MethodResult, ...]
    views: Mapping[str, tuple[str, ...]]
    out: Path
    page: Path
    arrays: Path

    def as_json(self) -> dict[str, Any]:
        """`images`, `methods` and `views`, and the paths `out`, `page` and `arrays`."""
        paths = {name: str(getattr(self, name)) for name in ("out", "page", "arrays")}
        results = {name: [asdict(one) for one in getattr(self, name)] for name in ("images", "methods")}
        return {**paths, **results, "views": dict(self.views)}

    def _repr_html_(self) -> str:
        from convolve.reports.notebook import png_files_html

        views = [Path(path) for files in self.views.values() for path in files if path.endswith(".png")]
        return png_files_html([*(Path(image.figure) for image in self.images if image.figure), *views])


def format_score(score: float, probability: bool) -> str:
    """A probability as a percentage, any other output as a number."""
    return f"{score:.1%}" if probability else f"{score:.3g}"


def legend(methods: Sequence[MethodResult]) -> Iterator[str]:
    """A sentence for each kind of measurement."""
    from convolve.explainers.localization import OVERLAP
    from convolve.explainers.sanity import BOUND

    if any(method.deletion is not None for method in methods):
        yield (
            "deletion, insertion: mean score as the pixels of the largest attribution are removed first (low is good), "
            "inserted first (high is good)"
        )
    images = max(method.boxed_images for method in methods)
    if images:
        yield f"localization: fraction of {images} images whose heatmap's box has an IoU of {OVERLAP} with ground truth"
        yield "IoU: the mean of that overlap"
        yield "pointing: fraction of them where the largest attribution lies in a ground truth box"
    if any(method.similarity is not None for method in methods):
        yield "top randomized: rank correlation with the maps once the head and the last stage are randomly initialized"
        yield f"all randomized: the same once the whole network is (Adebayo et al. 2018); {BOUND} or more fails"
