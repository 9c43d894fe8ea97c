"""The benchmarks: what can be checked of them without measuring."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from bench import average_precision, rounds, steps
from convolve.metrics.coco_metrics import coco_metrics


@pytest.mark.parametrize("kind", ["missing", "empty", "without classes", "without images"])
def test_the_data_path_needs_class_folders_and_says_so_in_a_sentence(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    if kind != "missing":
        folder.mkdir()
    if kind == "without classes":
        Image.new("RGB", (8, 8)).save(folder / "0.png")
    if kind == "without images":
        (folder / "cat").mkdir()
        (folder / "cat" / "notes.txt").write_text("nothing")
    done = subprocess.run(
        [sys.executable, "-m", "bench.data_path", folder], capture_output=True, text=True, check=False
    )
    sentence = f"{folder} has no photos in class folders; give one folder of photos per class.\n"
    assert (done.returncode, done.stderr) == (2, sentence)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_tuned_peer_learns_as_the_stock_one_does(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    networks: dict[str, torch.nn.Module] = {}
    scores: dict[str, torch.dtype] = {}

    def build(name: str) -> torch.nn.Module:
        layers = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        networks[name] = layers.append(torch.nn.Linear(8, steps.CLASSES))
        networks[name].register_forward_hook(lambda _, inputs, output: scores.update({name: output.dtype}))
        return networks[name]

    monkeypatch.setattr(steps, "_stock_network", build)
    monkeypatch.setattr(steps, "LEARNING_RATE", 1.0)
    monkeypatch.setattr(steps, "keep_large_blocks", lambda _: True)  # would hold for the other tests of the process
    for step in (steps.stock("stock", 4, 16), steps.tuned("tuned", 4, precision, 16)):
        step()
        step()
    assert next(networks["tuned"].parameters()).is_contiguous(memory_format=torch.channels_last)
    tolerance = 1e-5 if precision == "fp32" else 1e-2
    for stock, tuned in zip(networks["stock"].parameters(), networks["tuned"].parameters(), strict=True):
        torch.testing.assert_close(tuned, stock, rtol=0, atol=tolerance)
    assert scores == {"stock": torch.float32, "tuned": torch.bfloat16 if precision == "bf16" else torch.float32}


def test_ratios_are_taken_round_by_round() -> None:
    assert rounds.ratios({"stock": [1.0, 2.0], "tuned": [4.0, 4.0], "ours": [3.0, 8.0]}, "stock") == [3.0, 4.0]


def test_the_set_of_detections_is_measured_as_by_its_peer() -> None:
    objects, detections = average_precision.make_set(images=20, count=600, seed=1)
    assert (len(objects), len(detections)) == (144, 600)
    metrics = coco_metrics(objects, detections, average_precision.CLASSES)
    stats = average_precision.evaluate(average_precision.evaluator(objects, detections, 20))
    average_precision.check(metrics, stats)
    with pytest.raises(AssertionError):
        average_precision.check(metrics, [value + 1e-9 for value in stats])
