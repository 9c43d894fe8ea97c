"""Exports: networks in OpenVINO, with the steps before and after them, against PyTorch's own execution in fp32.

    python -m bench.export [CASE ...] [--rounds 7] [--threads N]

The peer is the network as people run it in PyTorch: `torch.inference_mode()`, fp32, the default memory format, on
images that are normalized already; the export takes images as they are. Both take turns, a round each; ratios are per
round, and the median counts. Memory is the most that a process takes that only opens the export with OpenVINO and
runs it, as Linux counts it (the maximum that other systems report may be that of the process it was started from).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch

from convolve.interop.openvino import CompiledNetwork, add_steps, convert_network, runs_in_bfloat16, save_graph
from convolve.models import create
from convolve.runtime import choose
from convolve.tasks.classify.task import Classify
from convolve.tasks.segment.task import Segment
from convolve.tasks.task import Task
from convolve.values import Pixels, Preprocessing

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Case:
    """A network on images of a size (height, width), a number at once, and the goal: how many times as fast."""

    network: str
    task: str
    classes: int
    size: tuple[int, int]
    batch: int
    goal: float


CASES: Mapping[str, Case] = {
    "resnet50-1": Case("resnet50_v1_5", "classify", 1000, (224, 224), 1, 3.0),
    "resnet50-16": Case("resnet50_v1_5", "classify", 1000, (224, 224), 16, 5.0),
    "fcn8s": Case("fcn8s_resnet18", "segment", 19, (1024, 2048), 1, 2.0),
    "unet": Case("unet", "segment", 19, (1024, 2048), 1, 2.0),
}
_MEMORY_GOAL = 2 << 30
_ROUND_SECONDS = 0.5
_SCRIPT = """
import sys
from pathlib import Path
import numpy as np
import openvino
path, precision, threads, height, width, batch = sys.argv[1:]
hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision}
request = openvino.Core().compile_model(path, "CPU", hints).create_infer_request()
for _ in range(2):
    request.infer([np.zeros((int(batch), int(height), int(width), 3), np.uint8)], share_inputs=True)
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def build_task(case: Case) -> Task:
    """The task with random weights."""
    network = create(case.network, case.classes, 3, case.size, seed=0).eval()
    names = tuple(f"class {number}" for number in range(case.classes))
    if case.task == "segment":
        return Segment(network, names, ((0, 0, 0),) * len(names))
    return Classify(network, names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[[], *CASES], default=[])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    runtime = choose("cpu", "fp32", threads=options.threads)
    torch.set_num_threads(runtime.threads)
    precision = "bf16" if runs_in_bfloat16() else "fp32"
    print(f"{runtime.threads} threads, export in {precision}")
    for name in options.cases or CASES:
        measure(name, CASES[name], options.rounds, runtime.threads)


def measure(name: str, case: Case, rounds: int, threads: int) -> None:
    """Print the medians of a case, their ratio, and the memory of the export's process."""
    preprocessing = Preprocessing(*case.size, 3, "stretch", _MEAN, _STD)
    task = build_task(case)
    part = task.exported(preprocessing, choose("cpu", "fp32", threads=threads)).part
    precision = "bf16" if runs_in_bfloat16() else "fp32"
    images = np.random.default_rng(0).integers(0, 256, (case.batch, *case.size, 3), dtype=np.uint8)
    normalized = torch.randn(case.batch, 3, *case.size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.xml"
        began = time.perf_counter()
        save_graph(add_steps(convert_network(part, preprocessing), part, preprocessing), path, compressed=True)
        converted = time.perf_counter() - began
        network = CompiledNetwork(path, "bf16" if precision == "bf16" else "fp32", threads)
        sides = _alternate(lambda: _forward(part.module, normalized), lambda: network(images), rounds)
        memory = _memory(path, precision, threads, images)
    ratio = median(one / other for one, other in sides)
    eager, export = (1000 * median(column) for column in zip(*sides, strict=True))
    print(
        f"{name:12} eager {eager:8.1f} ms  export {export:8.1f} ms  {ratio:5.2f} times as fast (goal {case.goal:.0f})  "
        f"{memory / 2**30:.2f} GB (goal {_MEMORY_GOAL / 2**30:.0f})  converted in {converted:.1f} s",
        flush=True,
    )


def _alternate(eager: Callable[[], object], export: Callable[[], object], rounds: int) -> list[tuple[float, float]]:
    """Seconds of both, after one round that is not counted."""
    return [(_seconds(eager), _seconds(export)) for _ in range(rounds + 1)][1:]


def _seconds(side: Callable[[], object]) -> float:
    """The median of as many calls as a round has time for, after one that takes the processor from the other side."""
    side()
    times: list[float] = []
    while sum(times) < _ROUND_SECONDS:
        began = time.perf_counter()
        side()
        times.append(time.perf_counter() - began)
    return median(times)


def _forward(module: torch.nn.Module, images: torch.Tensor) -> None:
    with torch.inference_mode():
        module(images)


def _memory(path: Path, precision: str, threads: int, images: Pixels) -> int:
    """Bytes that a process takes at most that runs the export."""
    batch, height, width, _ = images.shape
    kind = {"fp32": "f32", "bf16": "bf16"}[precision]
    words = [str(word) for word in (path, kind, threads, height, width, batch)]
    ran = subprocess.run([sys.executable, "-c", _SCRIPT, *words], check=True, capture_output=True, text=True)
    return 1024 * int(ran.stdout)


if __name__ == "__main__":
    main()
