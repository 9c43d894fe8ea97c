"""The views of `convolve explain --show`, on runs as people have them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from convolve.verbs.looking import visible
from convolve.verbs.running import Running, restored
from PIL import Image

from convolve.choices import View
from convolve.datasets.batches import Batches, BatchOptions
from convolve.datasets.cache import open_cache
from convolve.errors import DataError, NetworkError
from convolve.tasks.task import find
from convolve.training.run import open_run
from convolve.values import Batch
from convolve.verbs.evaluate import Evaluate, asked
from convolve.verbs.explain.views import VIEWS, Inside

OF_IMAGES: tuple[View, ...] = ("feature-maps", "receptive-field", "contributions")


def _inside(run: Path, out: Path, count: int = 2) -> Inside:
    trained = open_run(run)
    task, runtime = restored(trained, Running(precision="fp32", threads=1))
    dataset, _, part = asked(Evaluate(run, split="all"), trained)
    preprocessing = trained.manifest.preprocessing
    source = open_cache(dataset.images, preprocessing, None, 1 << 30, 1)
    options = BatchOptions(preprocessing, 32, seed=0, shuffle=True, workers=0)

    def batches() -> Iterator[Batch]:
        return Batches(source, dataset.labels, part[:60], options).epoch(0)

    first = next(batches())
    names = tuple(dataset.images.name(index) for index in first.indices[:count].tolist())
    images = first.images[:count]
    pixels, inputs = visible(images, preprocessing), runtime.images(images)
    sizes = np.tile(images.shape[2:], (count, 1))
    said = find("classify").explaining(task, preprocessing).said(inputs, sizes, ())
    return Inside(task, runtime, preprocessing, names, pixels, inputs, said, None, (), out, batches, batches)


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_writes_a_picture_and_its_numbers(view: View, shapes_run: Path, tmp_path: Path) -> None:
    written = VIEWS[view](_inside(shapes_run, tmp_path))
    assert sorted(written) == sorted(tmp_path.iterdir())
    pictures = [place for place in written if place.suffix == ".png"]
    assert len(pictures) == (2 if view in ("feature-maps", "embedding") else 1)
    for place in pictures:
        pixels = np.asarray(Image.open(place).convert("L"))
        assert pixels.std() > 5
        assert min(pixels[0].min(), pixels[-1].min(), pixels[:, 0].min(), pixels[:, -1].min()) == 255  # nothing clipped
    for place in set(written) - set(pictures):
        with np.load(place) as arrays:  # refuses pickled objects
            assert all(arrays[name].size for name in arrays)


def test_the_views_are_those_of_the_option() -> None:
    assert tuple(VIEWS) == get_args(View)


def test_contributions_add_up_for_every_class_asked(shapes_run: Path, tmp_path: Path) -> None:
    inside = _inside(shapes_run, tmp_path)
    inside = replace(inside, said=replace(inside.said, classes=np.array([[2, 0]] * 2)))
    _, numbers = VIEWS["contributions"](inside)
    with torch.no_grad():
        scores = inside.network(inside.inputs)[:, [2, 0]].flatten().numpy()
    with np.load(numbers) as arrays:
        assert arrays["images"].tolist() == [0, 0, 1, 1]
        assert arrays["classes"].tolist() == [2, 0, 2, 0]
        assert np.allclose(arrays["values"].reshape(4, -1).sum(1) + arrays["bias"], scores, atol=1e-4)


def test_the_stage_that_is_asked_for_is_shown(shapes_run: Path, tmp_path: Path) -> None:
    inside = replace(_inside(shapes_run, tmp_path, 1), stage="stage1")
    _, numbers = VIEWS["feature-maps"](inside)
    with np.load(numbers) as arrays:
        assert list(arrays) == ["stage1"]
    _, numbers = VIEWS["receptive-field"](inside)
    with np.load(numbers) as arrays:
        assert {name.partition("_")[0] for name in arrays} == {"stage1"}
    with pytest.raises(NetworkError, match="no stage7; it has stage1, stage2"):
        VIEWS["patches"](replace(inside, stage="stage7"))


@pytest.mark.parametrize("view", OF_IMAGES)
def test_views_of_images_ask_for_one(view: View, shapes_run: Path, tmp_path: Path) -> None:
    nothing = replace(_inside(shapes_run, tmp_path), names=())
    with pytest.raises(DataError, match=f"--show {view} shows what the network makes of an image; name one"):
        VIEWS[view](nothing)


def test_a_network_is_as_it_was_after_all_views(digits_run: Path, tmp_path: Path) -> None:
    inside = _inside(digits_run, tmp_path)
    with torch.no_grad():
        before = inside.network(inside.inputs)
        for view in VIEWS.values():
            view(inside)
        assert torch.equal(inside.network(inside.inputs), before)
    assert not any(part.training for part in inside.network.modules())
    assert all(value.requires_grad and value.grad is None for value in inside.network.parameters())
