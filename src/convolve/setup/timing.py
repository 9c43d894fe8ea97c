"""How fast a network answers on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from convolve.runtime import Runtime

BATCH = 16
_ROUNDS = 5
_ENOUGH = 2.0


def seconds(
    predict: Callable[[Tensor], Tensor], runtime: Runtime, shape: tuple[int, int, int], count: int = BATCH
) -> float:
    """Seconds of one answer to ``count`` images of ``shape`` (height, width, channels): the median of five rounds.

    Slow networks have fewer: none begins when two seconds have gone. One round before them is not counted.
    """
    import numpy as np
    import torch

    def round_trip() -> float:
        images = runtime.images(np.zeros((count, *shape), dtype=np.float32))
        began = time.perf_counter()
        with torch.inference_mode(), runtime.arithmetic():
            predict(images).sum().item()
        return time.perf_counter() - began

    round_trip()
    found = [round_trip()]
    while len(found) < _ROUNDS and sum(found) < _ENOUGH:
        found.append(round_trip())
    return statistics.median(found)
