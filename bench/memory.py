"""Peak memory of training ResNet-50 at 224x224, batch 16: ours against stock PyTorch, each in a process of its own.

    python -m bench.memory

Prints the machine's line, each side's peak resident memory over five steps, and the ratio.
"""

from __future__ import annotations

import resource
import subprocess
import sys

from bench import steps

_NETWORK, _BATCH, _STEPS = "resnet50", 16, 5


def _measured(side: str) -> None:
    """Train for a few steps and print the peak in bytes."""
    step = steps.stock(_NETWORK, _BATCH) if side == "stock" else steps.ours(_NETWORK, _BATCH)
    for _ in range(_STEPS):
        step()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def main() -> None:
    print(steps.machine())
    peaks: dict[str, int] = {}
    for side in ("stock", "ours"):
        command = [sys.executable, "-m", "bench.memory", side]
        peaks[side] = int(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1])
        print(f"{side:6} {peaks[side] / 2**30:.2f} GiB")
    print(f"ratio  {peaks['ours'] / peaks['stock']:.2f} (wanted: at most 1.00)")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _measured(sys.argv[1])
    else:
        main()
