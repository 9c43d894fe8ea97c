"""Damage a finished cache, file by file, and see what comes of it: the same answers, or a cache that is built again.

    python -m tests.datasets.cache_damage [--flips 5000] [--seed 0] [--only flip]

Every round changes some bits, cuts a file, fills a part with zeros, lets it grow, removes it, or puts something else in
its place, and opens the cache as a training does. It counts the rounds that gave other pixels or measurements than the
images have, and those that raised anything.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from convolve.datasets.cache import read_images
from convolve.datasets.images import ImageFiles
from convolve.values import Images, Preprocessing
from tests.datasets.synthetic import files, preprocessing

GOAL = preprocessing(16, 16)
COUNT = 12
FILES = ("pixels.bin", "index.bin", "digests.bin", "measurements.bin")


def flip(path: Path, random: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    for position in random.integers(0, len(content), random.integers(1, 4)):
        content[position] ^= 1 << int(random.integers(8))
    path.write_bytes(content)


def cut(path: Path, random: np.random.Generator) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: random.integers(0, len(content))])


def empty(path: Path, random: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    start = int(random.integers(0, len(content)))
    content[start : start + 512] = bytes(len(content[start : start + 512]))
    path.write_bytes(content)


def grow(path: Path, random: np.random.Generator) -> None:
    with path.open("ab") as file:
        file.write(random.bytes(int(random.integers(1, 64))))


def remove(path: Path, random: np.random.Generator) -> None:
    path.unlink()


def replace(path: Path, random: np.random.Generator) -> None:
    path.unlink()
    if random.random() < 0.5 or not hasattr(os, "mkfifo"):
        path.mkdir()
    else:
        os.mkfifo(path)


def swap(path: Path, random: np.random.Generator) -> None:
    """With another file of the same cache."""
    other = path.with_name(str(random.choice(FILES)))
    content = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(content)


HARMS: tuple[Callable[[Path, np.random.Generator], None], ...] = (flip, cut, empty, grow, remove, replace, swap)


def answers(images: Images, folder: Path) -> tuple[bytes, str]:
    """All that a training takes from a cache, and where it came from."""

    def choose(_: object) -> Preprocessing:
        return GOAL

    survey, source = read_images(images, choose, 10**9, 0, folder)
    pixels = b"".join(source.get(index).tobytes() for index in range(len(source)) if index not in source.failed)
    whole = b"" if source.whole is None else source.whole.tobytes()
    known = survey.measurements.tobytes() + b"".join(survey.digests) + repr(sorted(source.failed)).encode()
    return pixels + whole + known, source.description


def damage(root: Path, rounds: int, seed: int, only: str = "") -> Counter[str]:
    """How often each harm ended in which way: `same`, `rebuilt`, `WRONG`, or the name of what was raised."""
    sizes = [(20 + number % 3, 24) for number in range(COUNT)]
    images = files(root / "images", sizes)
    (root / "images" / "3.png").write_bytes(b"no image")
    names = ImageFiles(root / "images", images.names)
    expected, _ = answers(names, root / "good")
    random, ends = np.random.default_rng(seed), Counter[str]()
    harms = [harm for harm in HARMS if only in ("", harm.__name__)]
    for number in range(rounds):
        harm, folder = harms[number % len(harms)], root / "damaged"
        shutil.copytree(root / "good", folder)
        (cache,) = folder.iterdir()
        harm(cache / FILES[int(random.integers(len(FILES)))], random)
        try:
            found, description = answers(names, folder)
            end = "same" if "earlier run" in description else "rebuilt"
            if "damaged" not in description and end == "rebuilt":
                end = "SILENT"
            again, description = answers(names, folder)
            if expected != found or expected != again or "earlier run" not in description:
                end = "WRONG"
        except Exception as error:  # noqa: BLE001 - what is looked for
            end = type(error).__name__
        ends[f"{harm.__name__}: {end}"] += 1
        shutil.rmtree(folder)
    return ends


def main() -> None:
    parser = argparse.ArgumentParser(description="Damage a cache and see what comes of it.")
    parser.add_argument("--flips", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", choices=[harm.__name__ for harm in HARMS])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for end, count in sorted(damage(Path(folder), options.flips, options.seed, options.only).items()):
            sys.stdout.write(f"{end:30}{count:8,}\n")


if __name__ == "__main__":
    main()
