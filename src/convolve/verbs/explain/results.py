"""What `convolve explain` returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Explained:
    """One image: what the network says of it, and the classes that were explained with their scores.

    ``truth`` is empty where it is not known; ``boxes`` maps each method to left, top, right, bottom round the first
    class's heat, as shares of what the network sees. ``error`` says why an image could not be read.
    """

    image: str
    truth: str = ""
    label: str = ""
    confidence: float = 0.0
    classes: Mapping[str, float] = field(default_factory=dict)
    boxes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    sheet: str = ""
    error: str = ""


@dataclass(frozen=True)
class Judged:
    """What was measured of a method; None where it was not asked for, or there was nothing to measure by.

    ``known`` is what the literature says against the method. ``milliseconds`` are those of one image. ``deletion`` and
    ``insertion`` are areas under curves; ``localization``, ``overlap`` and ``pointing`` are shares of the ``boxed``
    images; ``survival`` is how alike the maps stay as the network is re-initialized down to each part: ``top`` once the
    head and the last stage are fresh, ``similarity`` once all is; ``sane`` says whether that lies below the bound.
    """

    method: str
    title: str
    paper: str
    known: str = ""
    milliseconds: float | None = None
    deletion: float | None = None
    insertion: float | None = None
    boxed: int = 0
    localization: float | None = None
    overlap: float | None = None
    pointing: float | None = None
    survival: Mapping[str, float] = field(default_factory=dict)
    top: float | None = None
    similarity: float | None = None
    sane: bool | None = None


@dataclass(frozen=True)
class Explanation:
    """The images in order, the methods as judged, and where everything stands."""

    images: tuple[Explained, ...]
    methods: tuple[Judged, ...]
    views: Mapping[str, tuple[str, ...]]
    out: Path
    page: Path
    arrays: Path

    def as_json(self) -> dict[str, Any]:
        """`images`, `methods` and `views`, and the paths `out`, `page` and `arrays`."""
        paths = {name: str(getattr(self, name)) for name in ("out", "page", "arrays")}
        found = {name: [asdict(one) for one in getattr(self, name)] for name in ("images", "methods")}
        return {**paths, **found, "views": dict(self.views)}


def legend(methods: Sequence[Judged]) -> Iterator[str]:
    """A sentence for each kind of figure that was measured."""
    from convolve.explainers.localization import OVERLAP
    from convolve.explainers.sanity import BOUND

    if any(one.deletion is not None for one in methods):
        yield "deletion, insertion: mean score as the hottest pixels go first (low is good), come first (high is good)"
    boxed = max(one.boxed for one in methods)
    if boxed:
        yield f"found: share of the {boxed} images with boxes whose heat's box meets a true one by IoU {OVERLAP}"
        yield "pointing: share of them where the hottest pixel lies in a true box"
    if any(one.similarity is not None for one in methods):
        yield "fresh top: rank correlation with the maps once the head and the last stage are re-initialized"
        yield f"fresh: the same once the whole network is (Adebayo et al. 2018); {BOUND} or more fails"
