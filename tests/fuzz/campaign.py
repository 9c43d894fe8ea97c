"""Inputs for a fuzzer, and the faults that they lead to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from tests.fuzz.guard import Fault, run
from tests.fuzz.mutate import mutate
from tests.fuzz.reader import Reader

CORPUS = Path(__file__).parent / "corpus"
"""Inputs that once led to a fault; a file's name begins with that of its reader."""


def make_inputs(reader: Reader, seed: str, count: int) -> list[bytes]:
    """Changed copies of a reader's valid inputs, the same for the same ``seed``."""
    random = Random(f"{reader.name} {seed}")
    seeds = reader.seeds()
    return [mutate(random.choice(seeds), random.choice(seeds), random) for _ in range(count)]


def faults(reader: Reader, inputs: Sequence[bytes]) -> Iterator[Fault]:
    """What happened that must not happen, as it is found. The valid inputs are read first, in this process, so that
    what is imported and cached once is charged to none of them.
    """
    import tempfile

    for seed in reader.seeds():
        with tempfile.TemporaryDirectory() as folder:
            reader.read(seed, Path(folder))
    return run(reader, inputs)
