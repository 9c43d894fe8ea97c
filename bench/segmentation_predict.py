"""Segmentation of one image of 2048x1024 by a network trained at 256x256: ours, in tiles, against PyTorch eager.

    python -m bench.segmentation_predict [NETWORK ...] [--rounds 3]

Eager calls the network once on the whole image, in fp32 and the default memory format, and takes the most likely class
of its scores; ours is what `convolve predict` does with an image that has been read: normalization, tiles,
probabilities, their blending, classes. Each side runs in a process of its own, in turn; the second call is timed.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from bench import plain, steps
from bench.rounds import spread
from convolve.models import create
from convolve.runtime import choose
from convolve.summary import summarize
from convolve.tasks.segment.task import Segment
from convolve.tasks.segment.tiled_prediction import predict_image
from convolve.values import Preprocessing

NETWORKS = ("fcn8s_resnet18", "fcn8s_vgg16", "unet_same")
_PREPROCESSING = Preprocessing(256, 256, 3, "tiles", (0.5,) * 3, (0.25,) * 3)
_SIZE = 1024, 2048


def _eager(name: str) -> None:
    network = plain.NETWORKS[name]() if name in plain.NETWORKS else create(name, plain.CLASSES, 3)
    network.eval()
    images = torch.randn(1, 3, *_SIZE)
    _timed(lambda: network(images).argmax(1))


def _ours(name: str) -> None:
    network = create(name, plain.CLASSES, 3).eval()
    runtime = choose(macs=summarize(network, (3, 256, 256)).macs)
    runtime.prepare(network)
    task = Segment(network, tuple(map(str, range(plain.CLASSES))))
    image = np.random.default_rng(0).integers(0, 255, (*_SIZE, 3), dtype=np.uint8)
    _timed(lambda: predict_image(image, _SIZE, task, runtime, _PREPROCESSING))


def _timed(call: Callable[[], object]) -> None:
    with torch.inference_mode():
        call()
        began = time.perf_counter()
        call()
        print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


def _measured(name: str, side: str) -> tuple[float, float]:
    """Seconds, and peak resident memory in GiB, of a process of its own."""
    command = [sys.executable, "-m", "bench.segmentation_predict", name, "--side", side]
    seconds, peak = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-2:]
    return float(seconds), float(peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(NETWORKS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=("eager", "ours"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side:
        (_eager if asked.side == "eager" else _ours)(asked.networks[0])
        return
    print(steps.machine())
    for name in asked.networks or NETWORKS:
        rounds = [(_measured(name, "eager"), _measured(name, "ours")) for _ in range(asked.rounds)]
        ratios = [eager[0] / ours[0] for eager, ours in rounds]
        for number, side in enumerate(("eager", "ours")):
            seconds, peaks = zip(*(both[number] for both in rounds), strict=True)
            print(f"{name:15} {side:5} {spread(list(seconds), 2)} s, peak {max(peaks):.2f} GiB")
        print(f"{name:15} ratio {spread(ratios, 2)} (wanted: 2, below 1.86 GiB)", flush=True)


if __name__ == "__main__":
    main()
