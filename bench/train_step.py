"""One training step of ResNet-18 at 224x224, batch 32, from memory: ours against stock and against tuned PyTorch.

    python -m bench.train_step [--rounds 5] [--precision fp32|bf16]

Each side has a process of its own; they take turns. Ratios are per round, and the median counts. The rate of a product
of 4096x4096 matrices is measured in the same run.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import torch

from bench import steps
from bench.rounds import Contest, ratios, spread, training_rates
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
    arguments = parser.parse_args()
    print(steps.machine())
    macs = card(_NETWORK).macs or 0
    runtime = choose(precision=arguments.precision, macs=macs)
    print("; ".join(runtime.reasons))
    rates = training_rates(_CONTEST, arguments.rounds, arguments.precision)
    for side, found in rates.items():
        print(f"{side:6} {spread(found)} images/s")
    print(f"{spread(ratios(rates, 'stock'), 2)} x stock (goal on a processor that is faster in bfloat16: 3.0)")
    print(f"{spread(ratios(rates, 'tuned'), 2)} x tuned")
    reached = 3 * 2 * macs * median(rates["ours"])
    for dtype in (torch.float32, torch.bfloat16):
        rate = _product(dtype)
        name = str(dtype).removeprefix("torch.")
        print(f"{_SIDE}^3 product in {name}: {rate / 1e9:.0f} GFLOP/s; the step reaches {reached / rate:.0%} of it")


if __name__ == "__main__":
    main()
