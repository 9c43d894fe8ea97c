"""An export as `convolve predict` uses it: its start next to its run's, and images per second next to OpenVINO's own
`benchmark_app`.

    python -m bench.exported EXPORT [--run RUN] [--images FOLDER] [--rounds 3] [--precision bf16]

The start is the wall time of `convolve predict` for one image from the shell. Images per second are those of a folder
of JPEGs, 500x375 unless they are given: read, decoded, brought to the input, inferred and made predictions of, after a
warm-up; `benchmark_app` infers random images of one batch of 16 of the same size and number format over and over, with
nothing to read. Both have the machine to themselves in turn.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from bench import steps
from bench.rounds import spread
from convolve.exports.card import read_card
from convolve.exports.engine import choose_precision
from convolve.setup.exported import open_export, run_export
from convolve.setup.runtime_options import RuntimeOptions
from convolve.verbs.predict import find_images

_COUNT, _WIDTH, _HEIGHT = 256, 500, 375
_SECONDS = 20
_WARM = 32
_PEER = """
import sys
sys.modules["openvino_telemetry"] = None  # it would report its use
from openvino.tools.benchmark.main import main
main()
"""


def write_photographs(folder: Path) -> None:
    """JPEGs of smooth noise, as large as many datasets' photographs."""
    random = np.random.default_rng(0)
    for number in range(_COUNT):
        noise = random.integers(0, 256, (12, 16, 3), np.uint8)
        pixels = cv2.resize(noise, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_CUBIC)
        Image.fromarray(np.asarray(pixels, np.uint8)).save(folder / f"{number:03}.jpg", quality=90)


def start_seconds(folder: Path, image: Path) -> float:
    """Wall time of one prediction from the shell."""
    command = [sys.executable, "-m", "convolve", "predict", str(folder), str(image), "--quiet"]
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def images_per_second(export: Path, folder: Path, options: RuntimeOptions) -> float:
    """Of `convolve predict`, without its start."""
    opened = open_export(export, options, "many")
    images = find_images([str(folder)])
    predictor = opened.task.predictor(opened.task_options("predict", {}), opened.engine.outputs)

    def predict(count: int) -> None:
        for found in run_export(opened, images, range(count), predictor.read):
            predictor.predict(images.name(found.index), found)  # type: ignore[arg-type]  # all can be read

    predict(min(_WARM, len(images)))
    began = time.perf_counter()
    predict(len(images))
    return len(images) / (time.perf_counter() - began)


def peer_images_per_second(export: Path, image: Path, precision: str) -> float:
    """Of `benchmark_app`, for batches of 16 images of that image's size, as the predictor reads it."""
    opened = open_export(export, RuntimeOptions())
    predictor = opened.task.predictor(opened.task_options("predict", {}), opened.engine.outputs)
    shape = predictor.read(find_images([str(image)]), 0).pixels.shape
    words = ["-m", str(export / opened.card.main), "-data_shape", f"[16,{shape[0]},{shape[1]},{shape[2]}]"]
    words += ["-layout", "[NHWC]"]  # or else it counts a batch as one image
    words += ["-t", str(_SECONDS), "-hint", "throughput", "-infer_precision", precision]
    command = [sys.executable, "-c", _PEER, *words]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    found = re.search(r"Throughput:\s+([\d.]+)", printed)
    if found is None:
        raise SystemExit(f"benchmark_app says nothing of its throughput:\n{printed}")
    return float(found[1])


def _print_starts(folders: Sequence[tuple[str, Path]], image: Path, rounds: int) -> None:
    for name, folder in folders:
        found = [start_seconds(folder, image) for _ in range(rounds + 1)][1:]
        print(f"start    {name:<7} {statistics.median(found):.2f} s ({spread(found)})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", type=Path)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", choices=("fp32", "bf16"))
    asked = parser.parse_args()
    precision = choose_precision(read_card(asked.export), asked.precision)
    options = RuntimeOptions(precision=precision)
    print(steps.machine())
    with tempfile.TemporaryDirectory() as made:
        folder = asked.images or Path(made)
        if not asked.images:
            write_photographs(folder)
        image = Path(find_images([str(folder)]).name(0))
        _print_starts([("export", asked.export), *([("run", asked.run)] if asked.run else [])], image, asked.rounds)
        rounds = []
        for _ in range(asked.rounds):
            peer = peer_images_per_second(asked.export, image, {"fp32": "f32", "bf16": "bf16"}[precision])
            rounds.append((images_per_second(asked.export, folder, options), peer))
            print(
                f"images/s {rounds[-1][0]:.1f} of convolve predict, {rounds[-1][1]:.1f} of benchmark_app ({precision})"
            )
        ratios = [ours / peer for ours, peer in rounds]
        print(f"ratio    {statistics.median(ratios):.2f} ({spread(ratios)})")


if __name__ == "__main__":
    main()
