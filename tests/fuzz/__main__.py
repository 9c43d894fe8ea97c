"""Change valid inputs at random and read them: `python -m tests.fuzz --inputs 10000 [--reader coco ...] [--seed 0]`.

Every fault is one line; the first input of each kind of fault is kept in the folder that `--keep` names.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path

from tests.fuzz.all_readers import ALL
from tests.fuzz.campaign import faults, make_inputs

_BATCH = 500  # inputs that one process reads


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """The number of different faults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1000, help="inputs for each reader")
    parser.add_argument("--reader", nargs="*", choices=sorted(ALL), default=sorted(ALL), help="some of them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a folder for the inputs of faults")
    options = parser.parse_args()
    total, kinds = 0, dict[str, int]()
    for name in options.reader:
        started, before = time.monotonic(), len(kinds)
        for batch in range(0, options.inputs, _BATCH):
            count = min(_BATCH, options.inputs - batch)
            for fault in faults(ALL[name], make_inputs(ALL[name], f"{options.seed} {batch}", count)):
                kind = f"{fault.reader} {re.sub(r'[0-9]+', '#', fault.what)}"
                kinds[kind] = kinds.get(kind, 0) + 1
                if kinds[kind] == 1:
                    say(f"  {fault.reader}: {fault.what}")
                    if options.keep:
                        options.keep.mkdir(parents=True, exist_ok=True)
                        (options.keep / f"{fault.reader}-{len(kinds)}.bin").write_bytes(fault.content)
        total += options.inputs
        seconds = time.monotonic() - started
        say(f"{name}: {options.inputs} inputs, {len(kinds) - before} kinds of faults, {seconds:.0f} s")
    say(f"{total} inputs, {len(kinds)} kinds of faults")
    return len(kinds)


if __name__ == "__main__":
    sys.exit(min(main(), 1))
