"""What is chosen where no network is named: by the images, by the time, and by what is on the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import convolve
from convolve import models
from convolve.commands import COMMANDS
from convolve.errors import OptionError, TrainingError
from convolve.interop.weights import has_cached_weights
from convolve.models import Card
from convolve.progress import Message, Progress, silent
from convolve.setup import choice
from convolve.setup.choice import CANDIDATES, Candidate, Chosen, choose
from convolve.setup.runtime_options import RuntimeOptions
from convolve.training.recipe import Optimization, Recipe, Splitting, Transfer, values
from convolve.training.run import open_run
from convolve.training.time_limit import TimeLimit
from convolve.verbs.train import Folds
from tests.tasks.segment.small import folder
from tests.verbs.synthetic import corner_image, folders, save, train


@dataclass
class Clock:
    """A clock that only moves when it is told to."""

    now: float = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders(tmp_path_factory.mktemp("small"), {"a": 20, "b": 20})


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of 100x100, the least that counts as large."""
    root, random = tmp_path_factory.mktemp("large"), np.random.default_rng(0)
    for index in range(20):
        save(root / "ab"[index % 2] / f"{index}.png", corner_image([index % 2], random, side=100))
    return root


def chosen(
    recipe: Recipe, epochs: Mapping[str, float], patch: pytest.MonkeyPatch, seconds: float = 110.0
) -> tuple[Chosen, list[str]]:
    """What is chosen if an epoch of each candidate takes so long, and the networks that were tried.

    A trial takes a second; one of no time at all fails for lack of memory. The data deserve 40 epochs.
    """
    clock, tried = Clock(), list[str]()

    def pretend(trial: Recipe, *_: Any) -> choice._Trial:
        name = f"{trial.network}@{trial.size}" if trial.size else str(trial.network)
        tried.append(name)
        clock.now += 1.0
        if not epochs[name]:
            raise TrainingError("There is not enough memory; try less.")
        return choice._Trial(trial, 1.0, epochs[name], ending=7.0, deserved=trial.epochs or 40, reason="a rule")

    patch.setattr(choice, "_try", pretend)
    found = choose(recipe, RuntimeOptions(threads=1), TimeLimit(seconds, clock.now, clock=clock), silent)
    return found, tried


SMALL = {"resnet18": 9.0, "resnet20_cifar": 3.0, "lenet5_keras": 0.1}


def test_the_first_that_learns_enough_is_taken_with_the_epochs_that_fit(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After two trials 108 of 110 s are left; 85 % of them less 1 and 7 s are enough for 27 epochs of 3 s."""
    found, tried = chosen(Recipe(str(small)), SMALL, monkeypatch)
    assert tried == ["resnet18", "resnet20_cifar"]
    assert (found.recipe.network, found.recipe.epochs, found.recipe.size) == ("resnet20_cifar", 27, None)
    assert found.reasons == {
        "network": "the best of the candidates for small images that learns enough in 1 min 50 s; "
        "resnet18 would need 6 min",
        "epochs": "what fits into 1 min 50 s, about 1 min 21 s; without a limit 40: a rule",
    }
    assert found.limit is not None
    assert (found.limit.seconds, found.limit.reserve) == (110.0, 7.0)


def test_more_epochs_than_the_data_deserve_are_never_made(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, tried = chosen(Recipe(str(small)), SMALL, monkeypatch, seconds=3600)
    assert (tried, found.recipe.network, found.recipe.epochs) == (["resnet18"], "resnet18", 40)
    assert found.reasons["epochs"] == "a rule; about 6 min of 1 h 0 min"


def test_the_fastest_is_taken_where_none_learns_enough(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, tried = chosen(Recipe(str(small)), dict.fromkeys(SMALL, 1000.0), monkeypatch)
    assert tried == list(SMALL)
    assert (found.recipe.network, found.recipe.epochs) == ("lenet5_keras", 1)
    assert found.reasons["network"].startswith("the fastest of the candidates for small images; resnet18 would need ")


def test_trials_take_a_quarter_of_the_time_and_the_last_candidates_at_most(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, tried = chosen(Recipe(str(small)), dict.fromkeys(SMALL, 1000.0), monkeypatch, seconds=3.0)
    assert tried == ["resnet18", "lenet5_keras"]
    assert "; resnet20_cifar was not tried, for lack of time" in found.reasons["network"]


def test_what_does_not_fit_into_memory_is_passed_over(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = chosen(Recipe(str(small)), SMALL | {"resnet18": 0.0}, monkeypatch)
    assert found.recipe.network == "resnet20_cifar"
    assert "resnet18 cannot be used here: There is not enough memory" in found.reasons["network"]
    with pytest.raises(TrainingError, match="not enough memory"):
        chosen(Recipe(str(small)), dict.fromkeys(SMALL, 0.0), monkeypatch)


def test_what_a_person_sets_stays(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(str(small), epochs=7, size=24, seed=5, optimization=Optimization("sgd"))
    found, tried = chosen(
        recipe, {"resnet18@24": 1000.0, "resnet20_cifar@24": 1000.0, "lenet5_keras@24": 1.0}, monkeypatch
    )
    assert len(tried) == 3
    assert found.recipe == replace(recipe, network="lenet5_keras")
    assert set(found.reasons) == {"network"}
    assert found.limit is None  # the epochs are given


def test_of_a_named_network_only_the_epochs_are_chosen(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(str(small), network="lenet5_keras")
    found, tried = chosen(recipe, {"lenet5_keras": 9.0}, monkeypatch)
    assert (tried, found.recipe) == (["lenet5_keras"], replace(recipe, epochs=9))
    assert set(found.reasons) == {"epochs"}


def test_folds_share_the_time(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(str(small), network="lenet5_keras", splitting=Splitting(folds=3))
    found, _ = chosen(recipe, {"lenet5_keras": 1.0}, monkeypatch)
    assert found.recipe.epochs == int(0.85 * 109 / 3 - 8)


def test_large_images_get_what_suits_their_number(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, tried = chosen(Recipe(str(large)), {"resnet18@64": 1.0}, monkeypatch)
    assert (tried, found.recipe.network, found.recipe.size) == (["resnet18@64"], "resnet18", 64)
    assert found.reasons["network"].endswith(
        "ImageNet weights are not on this machine (--weights imagenet downloads them)"
    )


def test_cached_weights_are_taken(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "has_cached_weights", lambda name: name == "resnet18")
    found, tried = chosen(Recipe(str(large)), {"resnet18@224": 1.0}, monkeypatch)
    assert tried == ["resnet18@224"]
    assert (found.recipe.transfer.weights, found.recipe.size) == ("imagenet", 224)
    assert "weights" in found.reasons


def test_weights_are_looked_for_in_torchs_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert not has_cached_weights("resnet18")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "resnet18-f37072fd.pth").touch()
    assert has_cached_weights("resnet18")
    assert not has_cached_weights("resnet50_v1_5")
    assert not has_cached_weights("lenet5_keras")  # of which there are none


def test_weights_of_a_run_are_of_its_network(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train(small, network="lenet5_keras", size=16, epochs=1, threads=1, out=tmp_path / "run").run
    recipe = Recipe(str(small), transfer=Transfer(weights=str(run)))
    found, _ = chosen(recipe, {"lenet5_keras": 1.0}, monkeypatch)
    assert found.recipe.network == "lenet5_keras"
    save_file({}, tmp_path / "some.safetensors")
    recipe = Recipe(str(small), transfer=Transfer(weights=str(tmp_path / "some.safetensors")))
    with pytest.raises(OptionError, match="Name the --network that these --weights are of"):
        chosen(recipe, {}, monkeypatch)


def test_masks_get_a_network_for_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [candidate for candidate in CANDIDATES["pixels"] if not candidate.large]
    found, tried = chosen(Recipe(str(folder(tmp_path))), dict.fromkeys(map(_name, names), 1.0), monkeypatch)
    assert tried == [_name(names[0])]
    assert models.card(found.recipe.network or "").output == "pixels"


def _name(candidate: Candidate) -> str:
    return f"{candidate.network}@{candidate.size}" if candidate.size else candidate.network


@pytest.mark.parametrize("output", CANDIDATES)
def test_every_candidate_exists_and_the_last_of_each_size_of_image_needs_nothing(output: str) -> None:
    for candidate in CANDIDATES[output]:
        card: Card = models.card(candidate.network)
        assert card.output == output
        assert candidate.size is None or candidate.size >= card.minimum
    for size in (True, False):
        last = [candidate for candidate in CANDIDATES[output] if candidate.large == size][-1]
        assert not last.pretrained
        assert not last.images


def test_a_training_without_a_question(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data is enough; the recipe that is left has it all, and repeats the run.

    The trial is a real one, but two epochs suffice.
    """
    said: list[str] = []
    trials: list[choice._Trial] = []
    really = choice._try

    def listen(event: Message | Progress) -> None:
        if isinstance(event, Message):
            said.append(event.text)

    def shorten(*parts: Any) -> choice._Trial:
        trials.append(really(*parts))
        return replace(trials[-1], epoch=1.0, deserved=2)

    monkeypatch.setattr(choice, "_try", shorten)
    monkeypatch.setattr(choice, "CANDIDATES", {"image": (Candidate("lenet5_keras", large=False),)})
    command = COMMANDS["train"]
    command.run(command.build_options({"data": str(small), "size": 16, "threads": 1, "out": tmp_path / "run"}), listen)
    assert 0 < trials[0].epoch < 60
    assert 5 < trials[0].ending < 60
    assert trials[0].deserved == 100
    run = open_run(tmp_path / "run")
    assert run.manifest.results["ended"].endswith("epochs are done")
    for name in ("network", "epochs"):
        value = values(run.recipe)[name]
        assert value is not None
        assert f"{name} {value}: {run.manifest.reasons[name]}" in said
    again = train(recipe=tmp_path / "run" / "recipe.toml", threads=1, out=tmp_path / "again").run
    weights = [(path / "weights.safetensors").read_bytes() for path in (tmp_path / "run", again)]
    assert weights[0] == weights[1]


def test_epochs_that_are_given_win_over_the_time(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "_try", pytest.fail)
    said: list[Message | Progress] = []
    command = COMMANDS["train"]
    given = {"data": str(small), "network": "lenet5_keras", "epochs": 1, "minutes": 60.0, "size": 16, "threads": 1}
    command.run(command.build_options(given | {"out": tmp_path / "run"}), said.append)
    assert Message("--minutes does not limit the 1 epochs that are given.") in said
    assert open_run(tmp_path / "run").recipe.epochs == 1


def test_folds_of_a_chosen_network_continue(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was chosen is in the first fold's recipe, by which the others go on without a time."""

    def pretend(trial: Recipe, *_: Any) -> choice._Trial:
        return choice._Trial(trial, 0.0, epoch=10.0, ending=0.0, deserved=1, reason="a rule")

    monkeypatch.setattr(choice, "_try", pretend)
    found = convolve.train(small, size=16, folds=2, threads=1, progress=False, out=tmp_path / "run")
    assert isinstance(found, Folds)
    (tmp_path / "run" / "fold-2").rename(tmp_path / "gone")
    assert isinstance(convolve.train(resume=tmp_path / "run", progress=False), Folds)
    recipes = [open_run(tmp_path / name).recipe for name in ("run/fold-1", "run/fold-2", "gone")]
    assert recipes[0] == recipes[1] == recipes[2]
    assert recipes[0].network == "resnet18"
