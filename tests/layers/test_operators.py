"""Torchvision's operators are found with and without its package."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torchvision

from convolve.layers.operators import load_nms


def test_the_operator_is_taken_without_the_rest_of_torchvision() -> None:
    script = (
        "import sys, torch\n"
        "from convolve.layers.operators import load_nms\n"
        "nms = load_nms()\n"
        "boxes = torch.tensor([[0, 0, 4, 4], [0, 0, 4, 5], [8, 8, 9, 9.0]]).double()\n"
        "scores = torch.tensor([0.5, 0.9, 0.1]).double()\n"
        "print(nms(boxes, scores, 0.5).tolist(), 'torchvision' in sys.modules)\n"
        "import torchvision\n"
        "print(torchvision.ops.nms(boxes, scores, 0.5).tolist())\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines() == ["[1, 2] False", "[1, 2]"]


def test_without_the_library_torchvision_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops, "load_library", _fail)
    load_nms.cache_clear()
    boxes, scores = torch.tensor([[0, 0, 4, 4], [0, 0, 4, 5.0]]), torch.tensor([0.5, 0.9])
    assert load_nms()(boxes, scores, 0.5).tolist() == torchvision.ops.nms(boxes, scores, 0.5).tolist() == [1]
    load_nms.cache_clear()


def _fail(path: object) -> None:
    raise OSError(path)
