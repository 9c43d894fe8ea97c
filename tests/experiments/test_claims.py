"""Every claim: its words are the lectures', its recipes can be trained, and its figure and its result can be shown."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from convolve import models
from convolve.experiments import catalog, command, inspection, timing
from convolve.experiments.claim import Claim
from convolve.experiments.figure import claim_figure
from convolve.experiments.findings import Finding, Seed, published_finding, verdict
from convolve.experiments.training import Trained
from convolve.experiments.trial import QUICK, Trial
from convolve.progress import silent
from convolve.training.recipe import Recipe, check

CLAIMS = list(catalog.CLAIMS.values())
LECTURES = Path(__file__).parents[3] / "shared" / "lectures"


def test_the_catalog_has_every_file_once() -> None:
    folder = Path(catalog.__file__).parent / "claims"
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert files == set(catalog.CLAIMS)
    numbers = [claim.number for claim in CLAIMS]
    assert len(set(numbers)) == len(numbers)
    plain = [int(re.sub("[a-z]", "", number)) for number in numbers]
    assert plain == sorted(plain)
    assert set(plain) == set(range(1, 53))


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_bounds_and_sentences_are_whole(claim: Claim) -> None:
    assert claim.refuted <= claim.supported
    assert claim.sentence.endswith(".")
    assert claim.method.endswith((".", "?"))
    assert not claim.effect.endswith(".")


@pytest.mark.skipif(not LECTURES.exists(), reason="the lectures are not here")
@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_words_are_the_lectures(claim: Claim) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in LECTURES.glob("*.txt"))
    for part in claim.words.split(" … "):
        assert part in text


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """Trainings build their networks without values, and give errors that fall by their order."""
    recipes: list[Recipe] = []

    def run(self: Trial, name: str, recipe: Recipe, minutes: float | None = None) -> tuple[Trained, Path]:
        assert recipe.epochs or minutes
        check(recipe, {})
        recipes.append(recipe)
        self.recipes[name] = {}
        channels, size = (3 if Path(str(recipe.data)).is_dir() else 1), (recipe.size or 0, recipe.size or 0)
        with torch.device("meta"):
            network = models.create(str(recipe.network), 10, channels, size, design=recipe.design).eval()
            network(torch.empty(2, channels, *size))
        epochs = tuple({"train_accuracy": 0.7 + 0.01 * epoch, "accuracy": 0.7} for epoch in range(recipe.epochs or 1))
        metrics = {"accuracy": 0.8 + 0.001 * len(recipes), "mean_iou": 0.5}
        task = SimpleNamespace(
            network=models.create(str(recipe.network), 10, channels, size) if channels == 1 else None
        )
        return Trained(metrics, epochs, 1.0, cast(Any, SimpleNamespace(task=task)), cast(Any, None)), self.folder

    monkeypatch.setattr(Trial, "run", run)
    monkeypatch.setattr(inspection, "shifted_error", lambda trained, pixels: 10.0 + pixels)
    monkeypatch.setattr(inspection, "error_of", lambda network, trained: 10.0)
    monkeypatch.setattr(timing, "_ROUNDS", 1)
    return recipes


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_every_experiment_builds_its_networks_and_shows_its_result(
    claim: Claim, untrained: list[Recipe], tmp_path: Path
) -> None:
    trial = Trial(0, tmp_path, silent, quick=True)
    outcome = claim.measure(trial)
    assert math.isfinite(outcome.effect)
    assert outcome.values
    assert all(map(math.isfinite, outcome.values.values()))
    assert all(recipe.data == QUICK or Path(str(recipe.data)).is_dir() for recipe in untrained)
    assert len(trial.recipes) == len(untrained)
    seeds = tuple(Seed(seed, 1.0, outcome) for seed in range(1 if claim.exact else 3))
    finding = Finding(claim.name, True, "a processor", "2026-01-01", trial.recipes, seeds)
    figure = claim_figure(claim, finding)
    assert figure.axes[0].get_xlabel() == (claim.axes[0] if outcome.curves else claim.value)
    tried = command.TriedClaim(claim, finding, verdict(claim, finding))
    assert json.loads(json.dumps(tried.as_json()))["claim"] == claim.name
    assert list(command.render(command.TriedClaims((tried,))))


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_what_is_published_has_enough_seeds(claim: Claim) -> None:
    finding = published_finding(claim.name)
    if finding:
        assert not finding.quick
        assert len(finding.seeds) >= (1 if claim.exact else 3)
        assert finding.seconds < 600


VARIED = {
    "batch_norm_batch_size",
    "layer_norm_sensitivity",
    "momentum_and_decay",
    "optimizers",
    "relu_speed",
    "transfer",
}
"""Claims on how networks are trained, or with several trainings of the same network."""


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_networks_that_are_compared_are_trained_alike(claim: Claim) -> None:
    finding = published_finding(claim.name)
    if finding and claim.name not in VARIED:
        names = ("optimizer", "learning_rate", "clip_norm", "momentum", "weight_decay")
        trainings = {
            (
                *(recipe["optimization"][name] for name in names),
                recipe["batch"],
                recipe.get("classify", {}).get("label_smoothing"),
            )
            for recipe in finding.recipes.values()
        }
        assert len(trainings) <= 1
