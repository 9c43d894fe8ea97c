"""The cascade against facenet-pytorch's (`make_facenet.py`), and its parts against what they mean."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from convolve.interop.mtcnn import read_cascade
from convolve.models import create
from convolve.tasks.faces.cascade import CascadeRule, FoundFaces, find_faces, pyramid, suppress_parts

SHARED = Path(__file__).resolve().parents[4] / "shared"
WEIGHTS = SHARED / "weights" / "mtcnn"
FOUND = json.loads(Path(__file__).with_name("facenet.json").read_text())
TOLERANCE = 1e-3


needs_weights = pytest.mark.skipif(not WEIGHTS.exists(), reason="no shared weights here")


def _find(name: str) -> FoundFaces:
    """With the published weights, in a shared photograph."""
    network, _ = read_cascade([WEIGHTS / f"{part}net.pt" for part in "pro"])
    data = SHARED / "data"
    path = next(path for path in (data / "photos" / name, data / "coco_mini" / "val2017" / name) if path.exists())
    image = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1).float()
    with torch.inference_mode():
        return find_faces(network.eval(), image, CascadeRule())


@needs_weights
@pytest.mark.parametrize("name", [name for name in FOUND if FOUND[name]["boxes"]])
def test_faces_and_points_are_those_of_facenet_pytorch(name: str) -> None:
    found, expected = _find(name), FOUND[name]
    boxes = np.array(expected["boxes"])
    nearest = np.abs(found.boxes.numpy()[:, None] - boxes).max(-1).argmin(1)  # many scores are nearly 1
    assert sorted(nearest) == [*range(len(boxes))]
    for kind in ("boxes", "points", "scores"):
        assert np.abs(getattr(found, kind).numpy() - np.array(expected[kind])[nearest]).max() < TOLERANCE


@needs_weights
def test_a_person_seen_from_behind_has_no_face_for_either_program() -> None:
    assert FOUND["person.jpg"]["boxes"] == []
    assert len(_find("person.jpg").boxes) == 0


def test_sizes_of_images_shrink_until_a_face_would_fill_them() -> None:
    scales = pyramid((60, 90), smallest=20)
    assert scales[0] == 0.6
    assert len(scales) == 4
    assert 12 <= min(60, 90) * scales[-1] < 12 / 0.709
    assert pyramid((19, 400), smallest=20) == []


def test_a_part_of_a_better_face_is_suppressed_although_the_union_is_large() -> None:
    boxes = torch.tensor([[10.0, 10, 19, 19], [0, 0, 39, 39], [36, 36, 60, 60]])
    assert suppress_parts(boxes, torch.tensor([0.8, 0.9, 0.95]), 0.7).tolist() == [2, 1]
    assert suppress_parts(boxes[[0, 1, 1]], torch.tensor([0.8, 0.9, 0.9]), 0.7).tolist() == [2]
    assert suppress_parts(boxes[:0], torch.zeros(0), 0.7).tolist() == []


def test_an_image_smaller_than_a_face_has_none() -> None:
    network = create("mtcnn").eval()
    with torch.inference_mode():
        found = find_faces(network, torch.zeros(3, 15, 300), CascadeRule())
    assert [tuple(each.shape) for each in found] == [(0, 4), (0,), (0, 5, 2)]


def test_windows_beyond_the_image_do_not_disturb_those_inside() -> None:
    """With all windows taken, some lie wholly outside."""
    network = create("mtcnn").eval()
    image = torch.randint(0, 256, (3, 40, 50), generator=torch.Generator().manual_seed(0)).float()
    with torch.inference_mode():
        found = find_faces(network, image, CascadeRule(thresholds=(0.0, 0.0, 0.0)))
    assert len(found.boxes) > 0
    assert found.boxes.isfinite().all()
