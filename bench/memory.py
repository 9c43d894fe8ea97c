"""Peak memory of training ResNet-50 at 224x224, batch 16: ours against stock PyTorch, each in a process of its own.

    python -m bench.memory [--precision fp32|bf16]

Prints the machine's line, each side's peak resident memory over five steps, and the ratio.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys

from bench import steps

_NETWORK, _BATCH, _STEPS = "resnet50", 16, 5


def _measured(side: str, precision: str | None) -> None:
    """Train for a few steps and print the peak in bytes."""
    step = steps.stock(_NETWORK, _BATCH) if side == "stock" else steps.ours(_NETWORK, _BATCH, precision)
    for _ in range(_STEPS):
        step()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def _peak(side: str, precision: str | None) -> int:
    """Bytes, from a process of its own."""
    command = [sys.executable, "-m", "bench.memory", "--side", side]
    command += ["--precision", precision] if precision else []
    return int(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=("fp32", "bf16"))
    parser.add_argument("--side", choices=("stock", "ours"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side:
        _measured(asked.side, asked.precision)
        return
    print(steps.machine())
    peaks = {side: _peak(side, asked.precision) for side in ("stock", "ours")}
    for side, peak in peaks.items():
        print(f"{side:6} {peak / 2**30:.2f} GiB")
    print(f"ratio  {peaks['ours'] / peaks['stock']:.2f} (wanted: at most 1.00)")


if __name__ == "__main__":
    main()
