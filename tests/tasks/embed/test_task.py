"""Embedding from training to files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pytest
import torch
from PIL import Image

import convolve
from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError, NetworkError, OptionError
from convolve.metrics.verification import Verification
from convolve.models.embedding import EmbeddingHead
from convolve.setup.restore import restore_task
from convolve.setup.runtime_options import RuntimeOptions
from convolve.tasks.embed.evaluation import Evaluation, find_threshold, parse_threshold
from convolve.tasks.embed.task import Embed
from convolve.training.checkpoints import RunFiles
from convolve.training.run import open_run, read_splits
from convolve.verbs.train import Trained

OPTIONS: dict[str, Any] = {
    "task": "embed", "network": "lenet5_keras", "size": 16, "epochs": 2, "threads": 1, "precision": "fp32",
    "batch": 16, "validation": 0.3, "progress": False,
}  # fmt: skip
HELD_OUT = 0.35


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six identities of seven images: a color each, in other light."""
    root, random = tmp_path_factory.mktemp("identities"), np.random.default_rng(0)
    for identity in range(6):
        pattern = random.integers(40, 200, (2, 2, 3))
        for number in range(7):
            pixels = np.kron(pattern, np.ones((10, 10, 1))) * random.uniform(0.7, 1.2) + random.normal(
                0, 8, (20, 20, 3)
            )
            path = root / f"person {identity}" / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return root


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    out = tmp_path_factory.mktemp("runs") / "embed"
    return cast(Trained, convolve.train(str(data), out=out, test_identities=HELD_OUT, **OPTIONS))


def task_of(run: Path) -> Embed:
    return cast(Embed, restore_task(open_run(run), RuntimeOptions("cpu", "fp32", 1))[0])


def test_held_out_identities_are_in_the_test_split_alone(trained: Trained, data: Path) -> None:
    run = open_run(trained.run)
    dataset = open_dataset(str(data))
    splits = read_splits(run, dataset)
    values = dataset.ground_truths["labels"].presence().argmax(1)
    held = set(values[splits.test].tolist())
    assert len(held) == 2
    assert held.isdisjoint(values[splits.train].tolist() + values[splits.validation].tolist())
    assert len(splits.test) == 14
    evaluation = cast(Evaluation, trained.evaluation)
    assert (evaluation.unseen, evaluation.images) == (2, 14)
    assert task_of(trained.run).known == set(range(6)) - held


def test_a_center_is_the_mean_of_its_training_images(trained: Trained, data: Path) -> None:
    run, task = open_run(trained.run), task_of(trained.run)
    assert run.recipe.network == "embed_lenet5_keras"
    splits = read_splits(run, open_dataset(str(data)))
    names = [f"person {identity}/{number}.png" for identity in range(6) for number in range(7)]
    known = next(iter(task.known))
    own = [names[index] for index in splits.train.tolist() if index // 7 == known]
    found = convolve.predict(trained.run, [str(data / name) for name in own], progress=False).as_json()["predictions"]
    mean = np.mean([each["embedding"] for each in found], axis=0)
    expected = mean / np.linalg.norm(mean)
    assert np.allclose(task.references[known].detach().numpy(), expected, atol=1e-4)
    centers = cast(EmbeddingHead, task.network.head).centers.norm(dim=1)
    assert sorted(centers.round().tolist()) == [0, 0, 1, 1, 1, 1]


def test_the_distance_is_that_of_the_nearest_center(trained: Trained, data: Path) -> None:
    path = str(data / "person 0" / "0.png")
    found = convolve.predict(trained.run, [path], top=6, progress=False).as_json()["predictions"][0]
    task = task_of(trained.run)
    embedding = np.array(found["embedding"])
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-4)
    for name, distance in found["nearest"]:
        center = task.references[task.classes.index(name)].detach().numpy()
        expected = np.linalg.norm(embedding - center) if center.any() else 2.0
        assert distance == pytest.approx(expected, abs=1e-3)
    strict = convolve.predict(trained.run, [path], threshold=0.0, progress=False).as_json()["predictions"][0]
    assert strict["identity"] == "unknown"
    loose = convolve.predict(trained.run, [path], threshold=2.0, progress=False).as_json()["predictions"][0]
    assert loose["identity"] == found["nearest"][0][0]
    with pytest.raises(OptionError, match="distances of embeddings are numbers from 0 to 2"):
        convolve.predict(trained.run, [path], threshold=2.5, progress=False)


def test_the_threshold_accepts_one_percent_of_the_different_pairs() -> None:
    different = np.linspace(0.5, 1.5, 1000)
    found = find_threshold(Verification(np.array([0.2, 0.505, 1.0]), different))
    assert found.distance == different[10]
    assert (found.far, found.pairs, found.same_pairs) == (0.01, 1000, 3)
    assert found.frr == pytest.approx(1 / 3)
    assert parse_threshold(json.loads(json.dumps(found.as_json()))) == found
    with pytest.raises(ValueError, match="threshold"):
        parse_threshold({**found.as_json(), "distance": 3.0})


@pytest.mark.parametrize("loss", ["triplet", "arcface"])
def test_continued_it_is_the_same(
    loss: Literal["triplet", "arcface"], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "whole"
    convolve.train(str(data), out=whole, loss=loss, **OPTIONS)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    close = RunFiles.close_epoch

    def close_and_stop(self: RunFiles, state: Any, learner: Any, better: bool) -> None:
        close(self, state, learner, better)
        self.save(state, learner)
        if state.epoch == 1:
            stop()

    monkeypatch.setattr(RunFiles, "close_epoch", close_and_stop)
    with pytest.raises(KeyboardInterrupt):
        convolve.train(str(data), out=tmp_path / "parts", loss=loss, **OPTIONS)
    monkeypatch.setattr(RunFiles, "close_epoch", close)
    convolve.train(resume=tmp_path / "parts", progress=False)
    first, second = (tmp_path / name / "weights.safetensors" for name in ("whole", "parts"))
    assert first.read_bytes() == second.read_bytes()


def test_an_export_gives_the_same_vectors(trained: Trained, data: Path, tmp_path: Path) -> None:
    export = tmp_path / "export"
    convolve.export(trained.run, out=export, progress=False, threads=1)
    names = [str(path) for path in sorted(data.rglob("*.png"))[::6]]
    run, other = (
        convolve.predict(each, names, progress=False).as_json()["predictions"] for each in (trained.run, export)
    )
    for one, same in zip(run, other, strict=True):
        assert np.allclose(one["embedding"], same["embedding"], atol=0.02)
        assert one["nearest"][0][0] == same["nearest"][0][0]
        assert one["distance"] == pytest.approx(same["distance"], abs=0.02)
    first, again = (convolve.evaluate(each, str(data), progress=False).evaluation for each in (trained.run, export))
    assert again.metrics["roc_auc"] == pytest.approx(first.metrics["roc_auc"], abs=0.01)
    assert again.as_json()["unseen_identities"] == first.as_json()["unseen_identities"] == 2


def test_other_data_may_have_other_identities(trained: Trained, data: Path, tmp_path: Path) -> None:
    for name in ("person 0", "somebody"):
        (tmp_path / name).mkdir()
        for number in range(3):
            pixels = (data / "person 0" / f"{number}.png").read_bytes()
            (tmp_path / name / f"{number}.png").write_bytes(pixels)
    found = cast(Evaluation, convolve.evaluate(trained.run, str(tmp_path), progress=False).evaluation)
    assert found.identities[-1] == "somebody"
    assert found.unseen == (1 if 0 in task_of(trained.run).known else 2)
    assert found.metrics["recall_at_1"] == 0  # the same image is of somebody else


def test_what_is_explained_is_the_similarity(trained: Trained, data: Path, tmp_path: Path) -> None:
    task = task_of(trained.run)
    images = torch.randn(3, 3, 16, 16)
    found = task.explanation_targets(
        images, np.zeros((3, 2), np.int64), [], open_run(trained.run).manifest.preprocessing
    )
    (target,) = found.targets
    similarities = target(task.network(images)).detach().numpy()
    assert np.allclose(similarities, found.scores[:, 0], atol=1e-4)
    nearest = task.distances(task.predict(images)).min(1).values.detach().numpy()
    assert np.allclose(similarities, 1 - nearest**2 / 2, atol=1e-4)
    image = str(data / "person 0" / "0.png")
    convolve.explain(trained.run, [image], out=tmp_path / "explained", progress=False)
    assert (tmp_path / "explained" / "attributions.npz").is_file()


def test_data_that_has_nothing_to_compare_is_refused(data: Path, tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}" / "0.png").write_bytes((data / "person 0" / f"{number}.png").read_bytes())
    with pytest.raises(DataError, match="fewer than two identities with two images each"):
        convolve.train(str(tmp_path), **OPTIONS)
    with pytest.raises(DataError, match="Too few identities have two images to hold out"):
        convolve.train(str(data), test_identities=0.9, **OPTIONS)
    with pytest.raises(DataError, match="validation split has fewer than two identities"):
        convolve.train(str(data), **OPTIONS | {"validation": 0.05})
    with pytest.raises(NetworkError, match="has no convolutional stage"):
        convolve.train(str(data), **OPTIONS | {"network": "mlp_300"})
