"""A style from training to files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import convolve
from convolve import models
from convolve.errors import ExplainError, ImageError, OptionError, RunError
from convolve.layers.design import Design
from convolve.runtime import choose
from convolve.setup.restore import restore_task
from convolve.setup.runtime_options import RuntimeOptions
from convolve.tasks.style.evaluation import EvaluatedImage, Evaluation, optimize_photograph
from convolve.tasks.style.report import optimization_sentence
from convolve.tasks.style.task import Style
from convolve.training.checkpoints import RunFiles
from convolve.training.run import open_run
from tests.tasks.style.small import style_options

OPTIONS: dict[str, Any] = {
    "task": "style", "network": "johnson", "width": 0.25, "precision": "fp32",
    "size": 44, "epochs": 1, "threads": 1, "progress": False
}  # fmt: skip


def _photo(height: int, width: int, seed: int) -> Image.Image:
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows * a + columns * b) for a, b in random.uniform(0.02, 0.3, (3, 2))]
    return Image.fromarray((127 + 100 * np.stack(waves, 2)).astype(np.uint8))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight photographs, with a painting and a loss network next to them."""
    root = tmp_path_factory.mktemp("style")
    (root / "photos").mkdir()
    for number in range(8):
        _photo(52, 60, number).save(root / "photos" / f"{number}.png")
    style_options(root)
    return root


def _train(root: Path, out: Path, **changes: Any) -> Any:
    known = {"style": str(root / "painting.png"), "loss_network": str(root / "loss")}
    return convolve.train(str(root / "photos"), **{**OPTIONS, **known, **changes}, out=out)


@pytest.fixture(scope="module")
def run(root: Path) -> Path:
    _train(root, root / "run")
    return root / "run"


def test_a_run_holds_the_network_alone_and_says_where_its_loss_is_from(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    source = manifest["state"]["source"]
    assert (source["style"], source["loss_network"]) == (str(run.parent / "painting.png"), str(run.parent / "loss"))
    assert (source["side"], source["style_weight"]) == (44, 10)
    network = models.create("johnson", design=Design(width=0.25))
    assert load_file(run / "weights.safetensors").keys() == network.state_dict().keys()
    results = manifest["results"]["test"]
    photographs, metrics = results["photographs"], results["metrics"]
    assert photographs["content_loss"] == pytest.approx(0, abs=1e-9)
    losses = [metrics["content_loss"] + 10 * metrics["style_loss"] + metrics["tv_loss"], photographs["loss"]]
    assert metrics["loss_removed"] == pytest.approx(1 - losses[0] / losses[1])
    optimized = results["optimized"]
    assert optimized["iterations"][0] == 0
    assert optimized["losses"][0] == results["each"][0]["photograph"]["loss"]
    page = (run / "report.html").read_text()
    assert "In the style" in page
    assert "painting.png" in page


def test_an_optimization_ends_when_it_is_as_good_as_the_network(run: Path) -> None:
    task, _ = restore_task(open_run(run), RuntimeOptions("cpu", "fp32", 1))
    assert isinstance(task, Style)
    photograph = torch.rand(3, 44, 50, generator=torch.Generator().manual_seed(0))
    own = {"loss": float(task.perceptual_loss(photograph[None], photograph[None])["loss"])}
    for network, sentence in ((2 * own["loss"], "no better than"), (own["loss"] / 2, "as good as"), (0.0, "better")):
        one = EvaluatedImage("a.png", 0, {"loss": network}, own)
        found = optimize_photograph(photograph, one, task.perceptual_loss, choose("cpu", "fp32", 1))
        assert found.losses[0] == own["loss"]
        assert found.equal == (None if network == 0 else found.iterations[-1])
        assert all(loss > network for loss in found.losses[:-1])
        assert sentence in optimization_sentence(found)
        assert found.iterations[-1] in {"no better than": (0,), "as good as": range(5, 100), "better": (100,)}[sentence]


def test_photographs_of_any_size_get_the_style(run: Path, tmp_path: Path) -> None:
    _photo(61, 83, 30).save(tmp_path / "a.png")
    _photo(20, 90, 31).convert("L").save(tmp_path / "small.png")
    with pytest.raises(OptionError, match="Give --out, the folder for the images in the style"):
        convolve.predict(run, (str(tmp_path / "a.png"),), progress=False)
    images = (str(tmp_path / "a.png"), str(tmp_path / "small.png"))
    found = convolve.predict(run, images, out=tmp_path / "out", threads=1, progress=False).predictions
    assert [one.as_json()["size"] for one in found] == [[61, 83], [20, 90]]
    made = np.asarray(Image.open(tmp_path / "out" / "a_stylized.png"))
    assert made.shape == (61, 83, 3)
    Image.fromarray(made).save(tmp_path / "out" / "a_stylized.png")
    with pytest.raises(convolve.ConvolveError, match=r"a_stylized\.png"):
        convolve.predict(run, images[:1], out=tmp_path / "out", threads=1, progress=False)


def test_evaluation_of_other_photographs(run: Path, tmp_path: Path) -> None:
    _photo(70, 50, 40).save(tmp_path / "b.png")
    found = convolve.evaluate(run, str(tmp_path), threads=1, progress=False).evaluation
    assert isinstance(found, Evaluation)
    assert found.images == 1
    assert found.each[0].loss_removed == pytest.approx(found.metrics["loss_removed"])


def test_a_stopped_training_resumes_to_the_same_weights(
    root: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    own = tmp_path / "own"
    shutil.copytree(root / "photos", own / "photos")
    shutil.copy(root / "painting.png", own)
    monkeypatch.chdir(own)
    with monkeypatch.context() as patch:
        patch.setattr(RunFiles, "close_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            _train(root, tmp_path / "run", style="painting.png")
    monkeypatch.chdir(tmp_path)
    painting = (own / "painting.png").read_bytes()
    Image.new("RGB", (48, 48), "red").save(own / "painting.png")
    with pytest.raises(RunError, match="has changed since the training began"):
        convolve.train(resume=tmp_path / "run", progress=False)
    (own / "painting.png").write_bytes(painting)
    convolve.train(resume=tmp_path / "run", progress=False)
    name = "weights.safetensors"
    assert (tmp_path / "run" / name).read_bytes() == (run / name).read_bytes()
    (own / "painting.png").unlink()
    with pytest.raises(RunError, match=r"The style image .*painting\.png is gone or has changed"):
        convolve.evaluate(tmp_path / "run", threads=1, progress=False)


def test_two_runs_are_compared_and_none_is_explained(run: Path, root: Path, tmp_path: Path) -> None:
    compared = convolve.compare([run, run], threads=1, progress=False)
    assert [(row.metric, row.unit) for row in compared.runs] == [("loss removed", "%")] * 2
    with pytest.raises(ExplainError, match="no score that could be explained"):
        convolve.explain(run, root / "photos" / "0.png", out=tmp_path, threads=1, progress=False)
    with pytest.raises(OptionError, match="has learned a style itself: it is applied with `convolve predict`"):
        convolve.style(root / "photos" / "0.png", root / "painting.png", network=str(run), progress=False)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"style": None}, OptionError, "Give --style, the image whose style is learned"),
        ({"style": "nowhere.png"}, ImageError, r"nowhere\.png"),
        ({"network": "espcn_x2"}, convolve.ConvolveError, "needs them for an image in a style"),
        ({"style_weight": -1.0}, OptionError, "style_weight cannot be -1"),
        ({"size": 40}, convolve.ConvolveError, "its smallest side is 41 pixels"),
        ({"fit": "tiles"}, OptionError, "--fit tiles is not available for the task style"),
    ],
)
def test_what_cannot_be_learned_is_refused(
    changes: dict[str, Any], kind: type[Exception], message: str, root: Path, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=message):
        _train(root, tmp_path / "run", **changes)
