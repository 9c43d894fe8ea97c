"""The options that only detection has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from convolve.choices import Proposals
from convolve.errors import OptionError
from convolve.tasks.info import TaskInfo, check_predict_options

Suppression = Literal["per-class", "agnostic", "soft"]
MOST_DETECTIONS = 300
"""How many detections an image can have at most."""
_SMALLEST_TILE, _MOST_ANCHORS, _MOST_REGIONS = 32, 100, 10_000


@dataclass(frozen=True)
class DetectOptions:
    """How a detection network is trained."""

    anchors: Literal["kmeans", "network"] | None = None
    """Sizes of boxes that the network starts from: `kmeans` of the training boxes, or the `network`'s own."""
    min_visible: float | None = None
    """Fraction of a box's area that augmentation must leave visible; other boxes are dropped."""
    nms: Suppression | None = None
    """Non-maximum suppression: `per-class`, class-`agnostic`, or `soft`, which lowers scores instead."""
    nms_iou: float | None = None
    """Overlap (IoU) above which the detection of lower score is suppressed."""
    freeze_norm: bool | None = None
    """Keep all batch normalization as it is in the weights that the training starts from."""
    alternating: bool | None = None
    """Train Faster R-CNN in the paper's four alternating steps, each a quarter of the epochs, not all at once."""
    proposals: Proposals | None = None
    """Where R-CNN, SPP-net and Fast R-CNN look for objects: regions by selective search, `fast` (about 1 s an image,
    once: they are stored) or `quality` (about 3 s), or sliding `windows`."""
    regions: int | None = None
    """Number of proposed regions of each image that are used, the best first; 2000 by default."""


@dataclass(frozen=True)
class DetectPredictOptions:
    """What to say of each image, and what to write."""

    threshold: float | None = None
    """Minimum confidence of a detection; by default the one of the best F1 on the validation split."""
    top: int = MOST_DETECTIONS
    """Number of detections of each image, most confident first; 300 by default."""
    nms: Suppression | None = None
    """Non-maximum suppression: `per-class`, class-`agnostic`, or `soft`, which lowers scores instead."""
    nms_iou: float | None = None
    """Overlap (IoU) above which the detection of lower score is suppressed."""
    tile: int | None = None
    """Cut larger images into overlapping tiles of this many pixels, and merge what is found in them."""
    svd: bool = False
    """Replace the dense layers over regions by products of rank 1024 and 256, as Fast R-CNN may: faster, less exact."""
    count: bool = False
    """Also show a table of how many objects of each class there are in all images."""
    regions: Path | None = None
    """With `--count`: a TOML file of a shelf's regions; objects are counted in each, by the photographs' times."""
    minimum: str | None = None
    """With `--count`: classes and their minimum in the whole image, such as `bottle=3,cup=2`; fewer are marked."""
    figure: Path | None = None
    """With `--count`: draw the numbers over time, a curve for each class and region, to this .svg or .png file."""
    out: Annotated[Path | None, Parameter(alias="-o")] = None
    """Folder for the images with their boxes drawn, `predictions.json` (COCO), `results.json` (COCO's results), and
    text files as YOLO has them."""

    def __post_init__(self) -> None:
        """Raises `OptionError` for a number out of range."""
        check_predict_options(self.top, self.threshold)
        if self.nms_iou is not None and not 0 <= self.nms_iou <= 1:
            raise OptionError(f"nms_iou cannot be {self.nms_iou}; it must be a number from 0 to 1.")
        if self.tile is not None and self.tile < _SMALLEST_TILE:
            raise OptionError(f"tile cannot be {self.tile}; it must be a whole number from {_SMALLEST_TILE}.")
        if self.counts_stock and not self.count:
            raise OptionError("--regions, --minimum and --figure are about numbers of objects; add --count.")

    @property
    def counts_stock(self) -> bool:
        """Whether objects are counted over time."""
        return any(value is not None for value in (self.regions, self.minimum, self.figure))


@dataclass(frozen=True)
class DetectDataOptions:
    """What else to say of a dataset."""

    anchors: int | None = None
    """Find this many anchors for the boxes by k-means, in pixels of the network's input; 9 on the page by default."""

    def __post_init__(self) -> None:
        """Raises `OptionError` for a number out of range."""
        if self.anchors is not None and not 1 <= self.anchors <= _MOST_ANCHORS:
            raise OptionError(f"anchors cannot be {self.anchors}; it must be a whole number from 1 to {_MOST_ANCHORS}.")


INFO = TaskInfo(
    name="detect",
    title="Detection",
    output="boxes",
    ground_truth="boxes",
    options=DetectOptions,
    predict_options=DetectPredictOptions,
    data_options=DetectDataOptions,
    metric_titles={
        "ap50": "AP50",
        "ap": "AP",
        "ap75": "AP75",
        "voc_ap50": "VOC AP50",
        "precision": "precision",
        "recall": "recall",
        "f1": "F1",
    },
    fits=("letterbox", "stretch", "crop"),
    reflect=False,
    ranges={"min_visible": (0.0, 1.0), "nms_iou": (0.0, 1.0), "regions": (1, _MOST_REGIONS)},
    imbalance_remedy="add images of the rare classes, and judge by the AP of each class",
)
