"""torchvision's names for the parameters of Faster R-CNN, and its weights for COCO."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from convolve.errors import WeightsError
from convolve.interop.official_files import OfficialFile, fetch_file, find_file, read_state, torch_cache
from convolve.interop.torchvision import residual_names
from convolve.models import Network
from convolve.progress import Listener, silent
from convolve.values import Preprocessing

TWINS = {"faster_rcnn_resnet50_fpn": "fasterrcnn_resnet50_fpn"}
"""Our networks, and those of torchvision that compute the same."""

_BODY = "backbone.body."
_COCO_IDS, _ABSENT = 91, (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
"""The rows of the classes, the background's first, and those of numbers that COCO does not use."""
_ADDED = 1e-5
"""What our normalization adds to a variance; that of the published weights adds nothing."""


def is_detector(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict has the names of a detector of torchvision."""
    return any(name.startswith(_BODY) for name in state)


def rename(network: Network, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of torchvision's twin under the network's own names; of COCO's 91 rows the 81 that it uses.

    Raises `WeightsError` where the network has no twin, or the names are not the twin's.
    """
    name = network.card.name
    if name not in TWINS:
        raise WeightsError(f"The weights are of a detector of torchvision, which fit {', '.join(TWINS)}, not {name}.")
    modules, found = _modules(network), {}
    for key, value in state.items():
        module, _, leaf = key.rpartition(".")
        if module not in modules:
            raise WeightsError(
                f"The weights hold '{key}', which torchvision's {TWINS[name]} does not have; they belong to another "
                "network."
            )
        found[f"{modules[module]}.{leaf}"] = value
    own = network.state_dict()
    found |= {key: value for key, value in own.items() if key.endswith("anchors_at_cell")}
    return {key: _used_rows(key, value) for key, value in found.items()}


def coco_weights(name: str, listener: Listener = silent) -> tuple[dict[str, Tensor], Preprocessing, str]:
    """The weights of a network's twin for COCO under its names, the preprocessing, and where they are from.

    Raises `WeightsError` where there are none or they cannot be downloaded.
    """
    if name not in TWINS:
        raise WeightsError(f"There are no official COCO weights of {name}; choose {', '.join(TWINS)}, which has some.")
    file = official_file(name)
    try:
        state = dict(read_state(find_file(file) or fetch_file(file, listener)))
    except WeightsError:
        raise
    except Exception as error:  # of a download, or of a damaged file, which can raise anything
        raise WeightsError(
            f"The COCO weights of {name} cannot be downloaded ({error}); put {file.address} into {torch_cache()} by "
            "hand, or train without them."
        ) from error
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    preprocessing = Preprocessing(800, 800, 3, "letterbox", mean, std)
    return with_added_variance(state), preprocessing, f"torchvision/{TWINS[name]}, COCO_V1"


def official_file(name: str) -> OfficialFile:
    """The file of the weights of a network's twin for COCO."""
    address = _version(name).url
    return OfficialFile(address.rpartition("/")[2], address)


def with_added_variance(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights that were trained without anything added to variances, for normalization that adds to them."""
    return {
        name: value - _ADDED if name.startswith(_BODY) and name.endswith("running_var") else value
        for name, value in state.items()
    }


def _version(name: str) -> Any:
    from torchvision import models  # takes a second

    return models.get_model_weights(TWINS[name])["COCO_V1"]


def _modules(network: Network) -> dict[str, str]:
    """Our modules by theirs, under the names of the published files and those of today."""
    modules = {f"{_BODY}{theirs}": ours for ours, theirs in residual_names(network).items()}
    for part, theirs in {"lateral": "inner_blocks", "output": "layer_blocks"}.items():
        for level in range(len(network.head_inputs)):
            ours = f"head.pyramid.{part}.{level}"
            modules |= dict.fromkeys((f"backbone.fpn.{theirs}.{level}.0", f"backbone.fpn.{theirs}.{level}"), ours)
    return modules | {
        "rpn.head.conv": "head.proposals.conv",
        "rpn.head.conv.0.0": "head.proposals.conv",
        "rpn.head.cls_logits": "head.proposals.scores",
        "rpn.head.bbox_pred": "head.proposals.deltas",
        "roi_heads.box_head.fc6": "head.classifier.layers.fc6",
        "roi_heads.box_head.fc7": "head.classifier.layers.fc7",
        "roi_heads.box_predictor.cls_score": "head.classifier.classes",
        "roi_heads.box_predictor.bbox_pred": "head.classifier.boxes",
    }


def _used_rows(name: str, value: Tensor) -> Tensor:
    """Scores and boxes of all classes, without the rows of numbers that COCO does not use."""
    rows = torch.tensor([row for row in range(_COCO_IDS) if row not in _ABSENT])
    if name.startswith("head.classifier.classes.") and len(value) == _COCO_IDS:
        return value[rows]
    if name.startswith("head.classifier.boxes.") and len(value) == 4 * _COCO_IDS:
        return torch.unflatten(value, 0, (_COCO_IDS, 4))[rows].flatten(0, 1)
    return value
