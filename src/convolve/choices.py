"""The words that options take and values hold."""

from typing import Final, Literal

NETWORK_FILES: Final = (".cfg", ".json", ".toml")
"""How the name of a file ends that describes a network: Darknet's, a run's own, and one that a person writes."""
BACKGROUNDS: Final = ("background", "__background__", "dummy")
"""What lists of classes call a first one that stands for none of them."""
EXPORT_CARD: Final = "card.json"
"""The file by which the folder of an export is known."""
TaskUse = Literal["train", "predict", "data", "convert"]
"""The commands that take options of tasks."""
Language = Literal["en", "ko"]
"""Of pages: English, Korean."""
Fit = Literal["crop", "letterbox", "stretch", "tiles"]
Precision = Literal["fp32", "bf16"]
AttributionMethod = Literal[
    "cam",
    "grad-cam",
    "grad-cam++",
    "layer-cam",
    "score-cam",
    "eigen-cam",
    "saliency",
    "guided-backpropagation",
    "integrated-gradients",
    "smooth-grad",
    "occlusion",
    "deconvnet",
]
Baseline = Literal["knn", "linear-svm", "rbf-svm"]
Proposals = Literal["fast", "quality", "windows"]
StyleStart = Literal["content", "noise"]
View = Literal[
    "filters",
    "feature-maps",
    "patches",
    "receptive-field",
    "statistics",
    "contributions",
    "embedding",
    "class-images",
]

AUTO: Final = "auto"
IMAGENET: Final = "imagenet"
COCO: Final = "coco"
NO_WEIGHTS: Final = "none"
"""What ``--weights`` takes besides paths: official ImageNet weights where they make sense, those in any case, official
weights for COCO, none."""
