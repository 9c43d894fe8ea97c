"""Regions follow the pixels as boxes do, and are computed once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from convolve.datasets.boxes import Boxes
from convolve.datasets.input_boxes import input_matrices
from convolve.datasets.proposals import sliding_windows
from convolve.datasets.proposed_boxes import ProposalRule, ProposedBoxes, pad_regions
from convolve.datasets.selective_search import selective_search
from convolve.errors import DataError
from convolve.progress import Progress
from convolve.targets import BoxTargets
from convolve.values import Placement, Preprocessing
from tests.tasks.detect.small import dataset

WINDOWS = ProposalRule("windows", 50)
INPUT = Preprocessing(64, 64, 3, "letterbox", (0.5,) * 3, (0.25,) * 3)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVOLVE_CACHE", str(tmp_path / "cache"))


def proposed(folder: Path, rule: ProposalRule = WINDOWS) -> ProposedBoxes:
    data = dataset(folder, 6)
    return ProposedBoxes(cast(Boxes, data.ground_truths["boxes"]), data.images, rule)


def test_regions_that_are_the_objects_own_boxes_stay_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a flip and a shift that cuts some off."""
    source = proposed(tmp_path)
    own = source.boxes

    def objects(self: ProposalRule, images: Any) -> Any:
        del self
        index = int(Path(images.name(0)).stem)
        yield own.boxes[own.first[index] : own.first[index + 1]]

    monkeypatch.setattr(ProposalRule, "propose", objects)
    indices = np.array([3, 0, 5, 1])
    matrices = np.broadcast_to(np.array([[-0.8, 0, 70.0], [0, 0.8, -9]]), (4, 2, 3))
    found = source.targets(indices, Placement(matrices, own.sizes[indices], INPUT))
    assert found.regions is not None
    for row in range(4):
        regions = found.regions[row]
        regions = regions[(regions[:, 2:] > regions[:, :2]).all(1)]
        np.testing.assert_array_equal(regions, found.boxes[found.image == row])
    assert 0 < len(found.boxes) < len(own.rows(indices)[0])


def test_regions_of_a_smaller_copy_of_the_image_are_scaled(tmp_path: Path) -> None:
    source = proposed(tmp_path)
    sizes = np.array([[32, 40]])
    matrices = np.array([[[1.0, 0, 0], [0, 1, 0]]])
    found = source.targets(np.array([0]), Placement(matrices, sizes, INPUT)).regions
    assert found is not None
    np.testing.assert_allclose(found[0], sliding_windows((64, 80))[:50] / 2, atol=1e-4)


def test_of_a_mosaic_each_image_has_its_regions_in_its_part(tmp_path: Path) -> None:
    source = proposed(tmp_path)
    parts = np.array([[0, 0, 32, 32], [32, 0, 64, 32], [0, 32, 32, 64], [32, 32, 64, 64]])
    matrices = np.array([[[0.4, 0, left], [0, 0.5, top]] for left, top, _, _ in parts.tolist()])
    indices = np.arange(4)
    found = source.targets(indices, Placement(matrices, source.boxes.sizes[indices], INPUT, parts))
    assert found.regions is not None
    assert found.regions.shape == (1, 200, 4)
    for part, own in zip(parts, np.split(found.regions[0], 4), strict=True):
        assert (own[:, :2] >= part[:2]).all()
        assert (own[:, 2:] <= part[2:]).all()


def test_selective_search_is_that_of_the_stored_image_and_computed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = proposed(tmp_path, ProposalRule("fast", 20))
    events: list[Any] = []
    monkeypatch.setattr("convolve.progress._QUICK", -1.0)
    source.precompute(np.array([1, 4]), events.append)
    assert [(one.done, one.total) for one in events if isinstance(one, Progress)][-1] == (2, 2)
    expected = selective_search(source.images.read(4))[:20]

    def fail(*_: Any) -> None:
        raise AssertionError("it is computed again")

    monkeypatch.setattr("convolve.datasets.proposals.search_reduced", fail)
    np.testing.assert_array_equal(source.propose(4), expected)
    with pytest.raises(AssertionError, match="again"):
        source.propose(0)


def test_an_image_that_cannot_be_read_has_no_regions(tmp_path: Path) -> None:
    source = proposed(tmp_path, ProposalRule("fast", 20))
    (tmp_path / "JPEGImages" / "002.png").write_bytes(b"nothing")
    assert source.propose(2).shape == (0, 4)


def test_regions_in_memory_are_those_of_the_file(tmp_path: Path) -> None:
    for rule in (ProposalRule("fast", 30), ProposalRule("windows", 9)):
        source = proposed(tmp_path, rule)
        np.testing.assert_array_equal(rule.search(source.images.read(3)), source.propose(3))


def test_targets_without_an_image_have_no_regions() -> None:
    assert pad_regions([]).shape == (0, 0, 4)
    padded = pad_regions([np.ones((2, 4), np.float32), np.zeros((0, 4), np.float32)])
    assert padded.tolist() == [[[1] * 4, [1] * 4], [[0] * 4, [0] * 4]]


@pytest.mark.parametrize(("name", "value"), [("kind", "random"), ("most", 0), ("most", 2.5)])
def test_a_damaged_rule_is_refused(name: str, value: object) -> None:
    state = {"kind": "quality", "most": 12} | {name: value}
    with pytest.raises(ValueError, match="proposals"):
        ProposalRule.restore(state)
    assert ProposalRule.restore({"kind": "quality", "most": 12}) == ProposalRule("quality", 12)


def test_regions_must_be_of_the_images(tmp_path: Path) -> None:
    source = proposed(tmp_path)
    indices = np.array([0, 1])
    placement = Placement(input_matrices(source.boxes.sizes[indices], INPUT), source.boxes.sizes[indices], INPUT)
    found: BoxTargets = source.targets(indices, placement)
    with pytest.raises(DataError, match="Regions must be of 2 images"):
        replace(found, regions=np.zeros((3, 5, 4), np.float32))
    assert found.to("cpu").regions is not None
