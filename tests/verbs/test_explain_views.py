"""The views of `convolve explain --show`, on runs as people have them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image

from convolve.choices import View
from convolve.datasets.batches import Batches, BatchOptions
from convolve.datasets.cache import open_cache
from convolve.datasets.labels import Labels
from convolve.errors import DataError, NetworkError
from convolve.setup.contact_sheet import denormalize
from convolve.setup.restore import restore_task, select_split
from convolve.setup.runtime_options import RuntimeOptions
from convolve.training.run import open_run
from convolve.values import Batch
from convolve.verbs.explain.view_context import ViewContext
from convolve.verbs.explain.views import VIEWS

OF_IMAGES: tuple[View, ...] = ("feature-maps", "receptive-field", "contributions")


def _context(run: Path, out: Path, count: int = 2) -> ViewContext:
    trained = open_run(run)
    task, runtime = restore_task(trained, RuntimeOptions(precision="fp32", threads=1))
    dataset, _, part = select_split(trained, task, None, "all")
    labels, preprocessing = dataset.ground_truths["labels"], trained.manifest.preprocessing
    assert isinstance(labels, Labels)
    source = open_cache(dataset.images, preprocessing, None, 1 << 30)
    options = BatchOptions(preprocessing, 32, seed=0, shuffle=True, workers=0)

    def batches() -> Iterator[Batch]:
        return Batches(source, labels, part[:60], options).epoch(0)

    first = next(batches())
    names = tuple(dataset.images.name(index) for index in first.indices[:count].tolist())
    images = first.images[:count]
    pixels, inputs = denormalize(images, preprocessing), runtime.images(images)
    targets = task.explanation_targets(inputs, np.tile(images.shape[1:3], (count, 1)), (), preprocessing)
    return ViewContext(
        task=task,
        runtime=runtime,
        preprocessing=preprocessing,
        classes=task.classes,
        images=names,
        pixels=pixels,
        inputs=inputs,
        targets=targets,
        stage=None,
        class_indices=(),
        out=out,
        training=batches,
        unseen=batches,
        unseen_classes=lambda indices: labels.values[indices].astype(np.int64),
    )


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_writes_a_figure_and_its_numbers(view: View, shapes_run: Path, tmp_path: Path) -> None:
    written = VIEWS[view](_context(shapes_run, tmp_path))
    assert sorted(written) == sorted(tmp_path.iterdir())
    figures = [path for path in written if path.suffix == ".png"]
    assert len(figures) == (2 if view in ("feature-maps", "embedding") else 1)
    for path in figures:
        pixels = np.asarray(Image.open(path).convert("L"))
        assert pixels.std() > 5
        assert min(pixels[0].min(), pixels[-1].min(), pixels[:, 0].min(), pixels[:, -1].min()) == 255  # nothing clipped
    for path in set(written) - set(figures):
        with np.load(path) as arrays:  # refuses pickled objects
            assert all(arrays[name].size for name in arrays)


def test_the_views_are_those_of_the_option() -> None:
    assert tuple(VIEWS) == get_args(View)


def test_contributions_add_up_for_every_class_explained(shapes_run: Path, tmp_path: Path) -> None:
    context = _context(shapes_run, tmp_path)
    targets = context.task.explanation_targets(context.inputs, np.array([[16, 16]] * 2), (2, 0), context.preprocessing)
    context = replace(context, targets=targets)
    _, numbers = VIEWS["contributions"](context)
    with torch.no_grad():
        scores = context.network(context.inputs)[:, [2, 0]].flatten().numpy()
    with np.load(numbers) as arrays:
        assert arrays["images"].tolist() == [0, 0, 1, 1]
        assert arrays["classes"].tolist() == [2, 0, 2, 0]
        assert np.allclose(arrays["values"].reshape(4, -1).sum(1) + arrays["bias"], scores, atol=1e-4)


def test_the_stage_of_the_options_is_shown(shapes_run: Path, tmp_path: Path) -> None:
    context = replace(_context(shapes_run, tmp_path, 1), stage="stage1")
    _, numbers = VIEWS["feature-maps"](context)
    with np.load(numbers) as arrays:
        assert list(arrays) == ["stage1"]
    _, numbers = VIEWS["receptive-field"](context)
    with np.load(numbers) as arrays:
        assert {name.partition("_")[0] for name in arrays} == {"stage1"}
    with pytest.raises(NetworkError, match="has no stage 'stage7'; its stages are stage1, stage2"):
        VIEWS["patches"](replace(context, stage="stage7"))


@pytest.mark.parametrize("view", OF_IMAGES)
def test_views_of_images_need_one(view: View, shapes_run: Path, tmp_path: Path) -> None:
    nothing = replace(_context(shapes_run, tmp_path), images=())
    with pytest.raises(DataError, match=f"--show {view} shows what the network computes of an image; name one"):
        VIEWS[view](nothing)


def test_a_network_is_as_it_was_after_all_views(digits_run: Path, tmp_path: Path) -> None:
    context = _context(digits_run, tmp_path)
    with torch.no_grad():
        before = context.network(context.inputs)
        for view in VIEWS.values():
            view(context)
        assert torch.equal(context.network(context.inputs), before)
    assert not any(part.training for part in context.network.modules())
    assert all(value.requires_grad and value.grad is None for value in context.network.parameters())
