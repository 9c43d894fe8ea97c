"""R-CNN, SPP-net, Fast R-CNN and Faster R-CNN on the same classifier, data and machine: seconds an image, and AP50.

    python -m bench.evolution DATA OUT [--classifier squeezenet] [--weights none] [--size 320] [--window 64]
        [--epochs 5] [--regions 500] [--seeds 1] [--families rcnn fast_rcnn] [--times-only] [--windows N] [--images 5]

Each is trained by `convolve train` with the same weights to begin with, input size, steps, learning rate, clipping and
suppression, and its other defaults (anchors by k-means); the runs are OUT/NAME-SEED, first all of seed 0, and one that
is there is not made again. R-CNN sees windows of `--window` pixels. With `squeezenet`, Fast and Faster R-CNN read
regions alike: 7x7 cells of the last map, and two dense layers of 1024.

Times are seconds of one core, medians over some test images, one at a time, of: the proposals (selective search without
its cache, or the network's own), the features (R-CNN: of every window; else of the image), and the heads with the
suppression of overlapping boxes. With `--times-only` nothing is trained, and weights are random: so may the papers' own
networks be timed (`--window 0`: windows of the published size). `--windows N` measures N of R-CNN's windows, and
multiplies.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

import convolve
from convolve import models
from convolve.datasets.layouts import open_dataset
from convolve.datasets.preprocess import normalize
from convolve.datasets.proposed_boxes import ProposalRule, pad_regions
from convolve.layers.faster_rcnn import TwoStageHead
from convolve.layers.region_head import RegionHead
from convolve.layers.region_readers import WarpedWindow
from convolve.runtime import Runtime, choose
from convolve.setup.restore import restore_task
from convolve.setup.runtime_options import RuntimeOptions
from convolve.tasks.detect.suppression import detect
from convolve.tasks.detect.task import Detect
from convolve.tasks.detect.views import View, cut_views, regions_in_views
from convolve.training.evaluation import evaluation_mode
from convolve.training.recipe import Recipe
from convolve.training.run import open_run
from convolve.values import Dataset, Images, Preprocessing

FAMILIES = ("rcnn", "spp_net", "fast_rcnn", "faster_rcnn")
SLIDES = {
    "rcnn": "; slides: 50 s, 1x, 66.0 % mAP",
    "fast_rcnn": "; slides: 2 s, 25x, 66.9 % mAP",
    "faster_rcnn": "; slides: 0.2 s, 250x, 66.9 % mAP",
}
LEARNING_RATE, CLIP_NORM, NMS_IOU = 2e-4, 1.0, 0.3
PARTS = ("proposals", "features", "heads")


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of one core that something takes, which other programs hardly change, and what it gives."""
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def time_parts(
    task: Detect, images: Images, index: int, preprocessing: Preprocessing, runtime: Runtime, windows: int | None
) -> list[float]:
    """Seconds of proposals, features and heads for an image that is in memory."""
    pixels = images.read(index)
    size = (pixels.shape[0], pixels.shape[1])
    (view,) = cut_views(pixels, size, None, None, preprocessing)
    inputs = runtime.images(normalize(view.pixels[None], preprocessing))
    with evaluation_mode(task.network), torch.inference_mode(), runtime.arithmetic():
        if isinstance(task.network.head, TwoStageHead):
            return _two_stages(task, inputs)
        return _proposed(task, inputs, pixels, view, preprocessing, windows)


def _two_stages(task: Detect, inputs: torch.Tensor) -> list[float]:
    head, size = cast(TwoStageHead, task.network.head), (inputs.shape[2], inputs.shape[3])
    features, _ = seconds(lambda: task.network.features(inputs))
    whole, outputs = seconds(lambda: task.network(inputs))
    proposals, _ = seconds(lambda: head.propose(outputs, size, head.options.testing))
    decoding, _ = seconds(lambda: detect(head.decode(outputs, size), task.rule))
    return [max(whole - features, 0.0) + proposals, features, max(decoding - proposals, 0.0)]


def _proposed(
    task: Detect,
    inputs: torch.Tensor,
    pixels: np.ndarray[Any, np.dtype[np.uint8]],
    view: View,
    preprocessing: Preprocessing,
    windows: int | None,
) -> list[float]:
    head, rule, size = cast(RegionHead, task.network.head), task.proposals, (inputs.shape[2], inputs.shape[3])
    assert rule is not None
    proposals, boxes = seconds(lambda: rule.search(pixels))
    regions = torch.from_numpy(pad_regions(regions_in_views(boxes, [view], preprocessing)))
    if not isinstance(head.reader, WarpedWindow):
        features, outputs = seconds(lambda: task.network(inputs))
        heads, _ = seconds(lambda: detect(head.decode((*outputs, regions), size), task.rule))
        return [proposals, features, heads]
    (map_,) = task.network(inputs)
    every = regions[0]
    some = every if windows is None else every[:windows]
    features, found = seconds(lambda: head.features(map_, some, torch.zeros(len(some), dtype=torch.int64)))
    svms = head.svms
    assert svms is not None
    repeated = found.features[torch.arange(len(every)) % len(some)]
    heads, _ = seconds(
        lambda: detect(as_candidates(svms.move(repeated, every)[None], svms(repeated).sigmoid()[None]), task.rule)
    )
    return [proposals, features * len(every) / len(some), heads]


def as_candidates(boxes: torch.Tensor, scores: torch.Tensor) -> Any:
    """Boxes and scores as the suppression takes them."""
    from convolve.layers.box_head import Candidates

    return Candidates(boxes, scores)


def train(name: str, given: argparse.Namespace, seed: int) -> Path:
    """A run, unless there is one already."""
    out = cast(Path, given.out) / f"{name}-{seed}"
    if not (out / "report.html").exists():
        proposed = {} if name.startswith("faster") else {"regions": given.regions}
        convolve.train(
            given.data,
            network=name,
            epochs=given.epochs,
            size=given.size,
            batch=2,
            learning_rate=LEARNING_RATE,
            clip_norm=CLIP_NORM,
            nms_iou=NMS_IOU,
            weights=given.weights,
            threads=1,
            seed=seed,
            out=out,
            progress=False,
            **proposed,
        )
    return out


def untrained(name: str, given: argparse.Namespace) -> tuple[Detect, Preprocessing, Runtime]:
    """A task with random weights."""
    network = models.create(name, 20, 3, (given.size, given.size)).eval()
    preprocessing = Preprocessing(given.size, given.size, 3, "letterbox", (0.5,) * 3, (0.25,) * 3)
    runtime = choose("cpu", macs=10**9, threads=1)
    runtime.prepare(network)
    rule = ProposalRule("fast", given.regions) if network.card.proposals else None
    return Detect(network, tuple(map(str, range(20))), proposals=rule), preprocessing, runtime


def measure(family: str, given: argparse.Namespace, dataset: Dataset) -> tuple[list[float], list[float]]:
    """Seconds of the parts, and the AP50 on the test split of each run."""
    name, scores = network_name(family, given), []
    if given.times_only:
        task, preprocessing, runtime = untrained(name, given)
    else:
        runs = [open_run(train(name, given, seed)) for seed in range(given.seeds)]
        scores = [run.manifest.results["test"]["metrics"]["ap50"] for run in runs]
        restored, runtime = restore_task(runs[0], RuntimeOptions(threads=1))
        task, preprocessing = cast(Detect, restored), runs[0].manifest.preprocessing
    test = dataset.given_splits.get("test", np.arange(len(dataset)))[: given.images + 1].tolist()
    rows = [time_parts(task, dataset.images, index, preprocessing, runtime, given.windows) for index in test][1:]
    return [statistics.median(column) for column in zip(*rows, strict=True)], scores


def network_name(family: str, given: argparse.Namespace) -> str:
    """Of R-CNN with the size of its windows."""
    return f"{family}{given.window if family == 'rcnn' and given.window else ''}_{given.classifier}"


def options() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("out", type=Path)
    parser.add_argument("--classifier", default="squeezenet")
    parser.add_argument("--weights", default="none")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=FAMILIES)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--regions", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--images", type=int, default=5)
    parser.add_argument("--windows", type=int)
    parser.add_argument("--times-only", action="store_true")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Train each, measure, and print the table."""
    given = options().parse_args(arguments)
    dataset = open_dataset(given.data, Recipe().reading)
    if not given.times_only:
        for seed in range(given.seeds):
            for family in given.families:
                train(network_name(family, given), given, seed)
    first = 0.0
    for family in given.families:
        parts, scores = measure(family, given, dataset)
        whole = sum(parts)
        first = first or whole
        split = ", ".join(f"{part} {value:.3f}" for part, value in zip(PARTS, parts, strict=True))
        ap = f"; AP50 {statistics.mean(scores):.3f} ({', '.join(f'{score:.3f}' for score in scores)})" if scores else ""
        print(
            f"{network_name(family, given)}: {whole:.2f} s an image ({split}), {first / whole:.1f}x"
            f"{SLIDES.get(family, '')}{ap}",
            flush=True,
        )


if __name__ == "__main__":
    main()
