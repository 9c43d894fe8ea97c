"""Torchvision's operators on boxes."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

Suppress = Callable[[Tensor, Tensor, float], Tensor]


@cache
def load_nms() -> Suppress:
    """The operator: (K, 4) boxes, (K,) scores and an overlap to the rows that are left, best first.

    It is taken from torchvision's library where that is found: importing the package takes longer than all the rest of
    a prediction.
    """
    spec = importlib.util.find_spec("torchvision")
    folders = (spec.submodule_search_locations if spec else None) or ()
    for path in (path for folder in folders for path in Path(folder).glob("_C*.so")):
        with contextlib.suppress(OSError, AttributeError):
            torch.ops.load_library(path)  # type: ignore[no-untyped-call]
            return cast(Suppress, torch.ops.torchvision.nms)
    return cast(Suppress, load_operators().nms)


@cache
def load_operators() -> Any:
    """Their namespace, `roi_pool` and `roi_align` among them, with gradients: the package registers these when it is
    imported, and without that nothing before a pooling would learn.
    """
    import torchvision.ops  # noqa: F401

    return torch.ops.torchvision
