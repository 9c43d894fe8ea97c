"""How fast a network is on this machine."""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch
from torch import nn

from convolve.runtime import Runtime

BATCH = 16
_ROUNDS = 5
_ENOUGH = 2.0


def forward_seconds(network: nn.Module, runtime: Runtime, shape: tuple[int, int, int], count: int = BATCH) -> float:
    """Seconds of a forward pass of ``count`` images of ``shape`` (height, width, channels): the median of five rounds.

    Slow networks have fewer: no round begins after two seconds. One round before them is not counted.
    """

    def round_trip() -> float:
        images = runtime.images(np.zeros((count, *shape), dtype=np.float32))
        began = time.perf_counter()
        with torch.inference_mode(), runtime.arithmetic():
            network(images)
        if runtime.device.startswith("cuda"):
            torch.cuda.synchronize(runtime.device)
        return time.perf_counter() - began

    round_trip()
    rounds = [round_trip()]
    while len(rounds) < _ROUNDS and sum(rounds) < _ENOUGH:
        rounds.append(round_trip())
    return statistics.median(rounds)
