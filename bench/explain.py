"""Heatmaps of ResNet-50 and VGG-16 at 224x224: ours against pytorch-grad-cam, each side in a process of its own.

    python -m bench.explain [--rounds 3] [--networks resnet50 vgg16] [--images 64] [--size 224] [--precision fp32|bf16]
                            [--without-score-cam]

Grad-CAM and CAM take all images, Score-CAM one, with a forward pass per channel of the last stage. Sides take turns and
never run at once; ratios are per round, and the median counts. Peak memory is the most that a process ever held.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from statistics import median

import torch
import torchvision
from torch import Tensor

from bench import steps
from convolve.explainers import ClassScore, attributions
from convolve.models import create
from convolve.runtime import choose
from convolve.summary import summarize

Job = Callable[[], None]
Asked = argparse.Namespace
_PEER_LAYERS = {"resnet50": "layer4", "vgg16": "features"}
_AVERAGED = ("resnet50",)


def _images(count: int, size: int) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def _theirs(method: str, network: str, asked: Asked) -> Job:
    """pytorch-grad-cam on torchvision's network, as its manual shows it: one call for all images."""
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    torch.manual_seed(0)
    peer = getattr(torchvision.models, network)().eval()
    kind = {"grad-cam": pytorch_grad_cam.GradCAM, "score-cam": pytorch_grad_cam.ScoreCAM}[method]
    run = kind(peer, [getattr(peer, _PEER_LAYERS[network])[-1]])
    images = _images(_count(method, asked), asked.size)
    targets = [ClassifierOutputTarget(0) for _ in images]
    return lambda: run(images, targets)


def _ours(method: str, network: str, asked: Asked) -> Job:
    """Our network on the runtime that is chosen."""
    made = create(network, size=(asked.size, asked.size))
    runtime = choose(precision=asked.precision, macs=summarize(made, (3, asked.size, asked.size)).macs)
    runtime.prepare(made)
    batch = _images(_count(method, asked), asked.size).permute(0, 2, 3, 1).contiguous().numpy()
    target = ClassScore(torch.zeros(len(batch), dtype=torch.long))

    def once() -> None:
        with runtime.arithmetic():
            attributions(made, method, runtime.images(batch), target)

    return once


def _count(method: str, asked: Asked) -> int:
    return 1 if method == "score-cam" else asked.images


def _serve(side: str, method: str, network: str, asked: Asked, pipe: Connection) -> None:
    """Time the job whenever asked, until told to end; then tell the peak in bytes."""
    job = (_ours if side == "ours" else _theirs)(method, network, asked)
    if method != "score-cam":
        job()
    pipe.send(0.0)
    while pipe.recv():
        began = time.perf_counter()
        job()
        pipe.send(time.perf_counter() - began)
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def _measured(sides: list[tuple[str, str]], network: str, asked: Asked) -> tuple[dict[str, list[float]], list[int]]:
    """Seconds of each side, round by round, and each side's peak in bytes."""
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    processes = []
    for side, method in sides:
        pipes[f"{side} {method}"], other = context.Pipe()
        processes.append(context.Process(target=_serve, args=(side, method, network, asked, other), daemon=True))
        processes[-1].start()
        pipes[f"{side} {method}"].recv()
    seconds: dict[str, list[float]] = {name: [] for name in pipes}
    for _ in range(asked.rounds):
        for name, pipe in pipes.items():
            pipe.send("round")
            seconds[name].append(pipe.recv())
    peaks = []
    for pipe in pipes.values():
        pipe.send("")
        peaks.append(pipe.recv())
    for process in processes:
        process.join()
    return seconds, peaks


def _report(sides: list[tuple[str, str]], network: str, asked: Asked, wanted: dict[tuple[str, str], str]) -> None:
    seconds, peaks = _measured(sides, network, asked)
    for (name, found), peak in zip(seconds.items(), peaks, strict=True):
        print(f"{network:8} {name:16} {_spread(found)} s, at most {peak / 2**30:.2f} GiB")
    for (slow, fast), wish in wanted.items():
        ratios = [before / after for before, after in zip(seconds[slow], seconds[fast], strict=True)]
        print(f"{network:8} {slow} / {fast}: {_spread(ratios)} {wish}")


def _spread(values: list[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", choices=tuple(_PEER_LAYERS), default=list(_PEER_LAYERS))
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--precision", choices=("fp32", "bf16"))
    parser.add_argument("--without-score-cam", action="store_true")
    asked = parser.parse_args()
    os.environ["TQDM_DISABLE"] = "1"
    print(steps.machine())
    print("; ".join(choose(precision=asked.precision).reasons))
    for network in asked.networks:
        sides = [("theirs", "grad-cam"), ("ours", "grad-cam")]
        wanted = {("theirs grad-cam", "ours grad-cam"): "(wanted: 3.0)"}
        if network in _AVERAGED:
            sides.append(("ours", "cam"))
            wanted[("ours grad-cam", "ours cam")] = "(both are one forward pass)"
            wanted[("theirs grad-cam", "ours cam")] = "(wanted: 1.5)"
        _report(sides, network, asked, wanted)
        if not asked.without_score_cam:
            pair = [("theirs", "score-cam"), ("ours", "score-cam")]
            _report(pair, network, asked, {("theirs score-cam", "ours score-cam"): "(wanted: 3.0)"})


if __name__ == "__main__":
    main()
