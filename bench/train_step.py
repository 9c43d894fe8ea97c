"""One training step of ResNet-18 at 224x224, batch 32, from memory: ours against the stock PyTorch loop.

    python -m bench.train_step [--rounds 5] [--precision fp32|bf16]

Each side lives in a process of its own; they step in turn, never at once. Ratios are per round, and the median counts.
The rate of a 4096x4096 product is measured in the same run.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import torch

from bench import steps
from bench.rounds import Contest, spread, trained
from convolve.models import card
from convolve.runtime import choose

_NETWORK, _BATCH, _SIDE = "resnet18", 32, 4096
_CONTEST = Contest(_NETWORK, _NETWORK, _BATCH, steps_per_round=3)


def _product(dtype: torch.dtype) -> float:
    """Floating-point operations per second of a large matrix product, the best of three."""
    left, right = torch.randn(_SIDE, _SIDE).to(dtype), torch.randn(_SIDE, _SIDE).to(dtype)
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        _ = left @ right
        best = min(best, time.perf_counter() - began)
    return 2 * _SIDE**3 / best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=("fp32", "bf16"))
    asked = parser.parse_args()
    print(steps.machine())
    macs = card(_NETWORK).macs or 0
    runtime = choose(precision=asked.precision, macs=macs)
    print("; ".join(runtime.reasons))
    rates = trained(_CONTEST, asked.rounds, asked.precision)
    ratios = [ours / stock for ours, stock in zip(rates["ours"], rates["stock"], strict=True)]
    for side, found in rates.items():
        print(f"{side:6} {spread(found)} images/s")
    print(f"ratio  {spread(ratios, 2)} (wanted: 3.0 on a processor that is faster in bfloat16)")
    reached = 3 * 2 * macs * median(rates["ours"])
    for dtype in (torch.float32, torch.bfloat16):
        rate = _product(dtype)
        name = str(dtype).removeprefix("torch.")
        print(f"{_SIDE}^3 product in {name}: {rate / 1e9:.0f} GFLOP/s; the step reaches {reached / rate:.0%} of it")


if __name__ == "__main__":
    main()
