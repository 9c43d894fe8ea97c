"""`convolve ablate`: each thing that a recipe has is switched off, one at a time."""

from __future__ import annotations

import json
import statistics
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from rich.console import Console

import convolve
from convolve.errors import OptionError, RunError
from convolve.metrics.intervals import mean_interval
from convolve.training.recipe import Recipe, override, read_recipe, write_recipe
from convolve.training.run import open_run
from convolve.verbs import train as train_command
from convolve.verbs.ablate import Ablated, render, switches
from tests.verbs.synthetic import QUICK, train

TINY = QUICK | {"subset": 64, "batch": 8}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = train("digits", **TINY, rotate=20.0, label_smoothing=0.1, out=tmp_path_factory.mktemp("ablate") / "run").run
    return run / "recipe.toml"


def ablate(recipe: Path, out: Path, only: tuple[str, ...], seeds: int = 2, figure: Path | None = None) -> Ablated:
    return convolve.ablate(recipe, out=out, seeds=seeds, only=only, figure=figure, threads=1, progress=False)


def test_what_a_recipe_has_is_switched_off_one_at_a_time(recipe: Path, tmp_path: Path) -> None:
    figure = tmp_path / "worth.svg"
    found = ablate(recipe, tmp_path / "runs", ("rotate", "label_smoothing"), figure=figure)
    assert (found.metric, found.split, len(found.scores)) == ("accuracy", "test", 2)
    own = tomllib.loads(recipe.read_text())
    for name, section, off in (("rotate", "augmentation", 0.0), ("label_smoothing", "classify", 0.0)):
        for seed in (0, 1):
            folder = found.folder / f"without-{name}" / f"seed-{seed}"
            changed = tomllib.loads((folder / "recipe.toml").read_text())
            assert changed[section].pop(name) == off
            expected = {**own, "seed": seed, section: {key: own[section][key] for key in own[section] if key != name}}
            assert changed == expected
        (switch,) = (each for each in found.switches if each.name == name)
        runs = [open_run(found.folder / f"without-{name}" / f"seed-{seed}") for seed in (0, 1)]
        assert list(switch.scores) == [run.manifest.results["test"]["metrics"]["accuracy"] for run in runs]
        differences = [whole - score for whole, score in zip(found.scores, switch.scores, strict=True)]
        assert switch.worth == pytest.approx(statistics.mean(differences))
        assert switch.interval == pytest.approx(tuple(mean_interval(differences)))
    document = json.loads(json.dumps(found.as_json()))
    assert {each["name"]: each["value"] for each in document["switches"]} == {"rotate": "20", "label_smoothing": "0.1"}
    assert [each.worth for each in found.switches] == sorted((each.worth for each in found.switches), reverse=True)
    console = Console(width=150)
    with console.capture() as written:
        for part in render(found):
            console.print(part)
    assert "label_smoothing" in written.get()
    assert "95 % interval" in written.get()
    words = [str(element.text) for element in ET.parse(figure).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314
    assert "rotate 20" in words


def test_what_has_ended_is_not_trained_again(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ablate(recipe, tmp_path / "runs", ("rotate",), seeds=1)
    assert first.switches[0].interval is None

    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(train_command, "run", fail)
    assert ablate(recipe, tmp_path / "runs", ("rotate",), seeds=1) == first
    other = tmp_path / "other.toml"
    write_recipe(other, override(read_recipe(recipe), Recipe(batch=4)))
    with pytest.raises(RunError, match="holds a run of another recipe; choose another --out"):
        ablate(other, tmp_path / "runs", ("rotate",), seeds=1)


def test_only_what_has_an_effect_can_be_switched_off(recipe: Path, tmp_path: Path) -> None:
    names = switches(read_recipe(recipe))
    assert names["rotate"] == 0.0
    assert names["schedule"] == "constant"
    assert not {"flip", "momentum", "mixup", "crop", "clip_norm"} & set(names)  # off, or without effect with AdamW
    with pytest.raises(OptionError, match="The recipe has no mixup to switch off; it has rotate, scale"):
        ablate(recipe, tmp_path / "runs", ("mixup",), seeds=1)
    with pytest.raises(OptionError, match="seeds cannot be 0"):
        ablate(recipe, tmp_path / "runs", (), seeds=0)
