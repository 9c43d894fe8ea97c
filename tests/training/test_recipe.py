"""A recipe and its TOML file say the same, and an option of another task or of a wrong type is one sentence."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from convolve.datasets.augmentation import Augmentation
from convolve.datasets.labels import Labels
from convolve.errors import OptionError
from convolve.tasks.classify.task import Classify
from convolve.tasks.registry import build_options
from convolve.tasks.segment.task import Segment
from convolve.tasks.task import Task
from convolve.training import defaults
from convolve.training.defaults import Facts
from convolve.training.recipe import Optimization, Recipe, override, read_recipe, write_recipe


def resolved(recipe: Recipe, task: type[Task]) -> Recipe:
    truth = Labels(np.array([0, 1]), ("a", "b"))
    return defaults.resolve(recipe, Facts(200, 3, 300, photographs=True), task.info, task.defaults, truth)[0]


FLIPPED = Augmentation(flip=True)
PARTIAL = Recipe(data="사진", epochs=3, optimization=Optimization("adam", 0.1 + 0.2), augmentation=FLIPPED)
OWN = Recipe(task="classify", task_options={"mixup": 0.1 + 0.2, "balance": "sampler"})
WHOLE = resolved(Recipe(network="resnet18"), Classify)
PIXELS = resolved(Recipe(network="fcn8s_resnet18", task_options={"ignore": "하늘"}), Segment)


@pytest.mark.parametrize("recipe", [Recipe(), PARTIAL, OWN, WHOLE, PIXELS])
def test_it_round_trips(recipe: Recipe, tmp_path: Path) -> None:
    write_recipe(tmp_path / "recipe.toml", recipe)
    assert read_recipe(tmp_path / "recipe.toml") == recipe


def test_the_tasks_own_options_are_a_section_with_the_tasks_name(tmp_path: Path) -> None:
    write_recipe(tmp_path / "recipe.toml", PIXELS)
    text = (tmp_path / "recipe.toml").read_text(encoding="utf-8")
    assert 'task = "segment"' in text
    own = text.partition("[segment]\n")[2].splitlines()
    assert own == ['ignore = "하늘"', 'loss = "cross-entropy"', 'balance = "none"']


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epochs = ", "is not a valid TOML file"),
        ("epochs = 3\nepoch = 4", "has an unknown entry 'epoch'; remove or correct it"),
        ("[optimization]\nlearning_rate = 'high'", "learning_rate cannot be 'high'; it must be a number"),
        ("task = 'classify'\n[segment]\nloss = 'dice'", r"has an unknown section \[segment\]; correct it"),
        ("[classify]\nmixup = 0.2", r"section \[classify\]; correct it, or set task = \"classify\""),
        ("task = 'classify'\nclassify = 3", "classify must be a section"),
    ],
)
def test_a_bad_file_is_a_sentence(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(OptionError, match=words):
        read_recipe(tmp_path / "recipe.toml")


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot be read"):
        read_recipe(tmp_path / "none.toml")


def test_another_number_of_epochs_chooses_the_warm_up_anew() -> None:
    recipe = Recipe(epochs=20, optimization=Optimization(learning_rate=0.1, warmup=6.0))
    changed = override(recipe, Recipe(epochs=1))
    assert (changed.epochs, changed.optimization.warmup, changed.optimization.learning_rate) == (1, None, 0.1)
    assert override(recipe, Recipe(epochs=20)) == recipe


@pytest.mark.parametrize(
    ("task", "values", "words"),
    [
        (
            "classify",
            {"loss": "dice"},
            r"^--loss is an option of embed, segment, landmarks and restore, not of classify; omit",
        ),
        ("segment", {"label_smoothing": 0.1}, r"^--label-smoothing is an option of classify, not of segment"),
        ("classify", {"mixupp": 0.2}, r"^There is no option 'mixupp'\. Did you mean mixup\?$"),
        ("classify", {"mixup": "much"}, r"^mixup cannot be 'much'; it must be a number\.$"),
        ("segment", {"balance": "sampler"}, r"^balance cannot be 'sampler'; it must be none or weights\.$"),
        ("segment", {"ignore": 3}, r"^ignore cannot be 3; it must be text\.$"),
    ],
)
def test_an_option_that_the_task_does_not_have_is_a_sentence(
    task: str, values: dict[str, object], words: str, tmp_path: Path
) -> None:
    write_recipe(tmp_path / "recipe.toml", Recipe(task=task, task_options=values))
    with pytest.raises(OptionError, match=words):
        build_options(task, "train", read_recipe(tmp_path / "recipe.toml").task_options)


def test_own_options_are_merged_one_by_one_and_dropped_with_the_task() -> None:
    changed = override(OWN, Recipe(task_options={"mixup": 0.5}))
    assert (changed.task, changed.task_options) == ("classify", {"mixup": 0.5, "balance": "sampler"})
    assert override(OWN, Recipe(task="classify")).task_options == OWN.task_options
    other = override(OWN, Recipe(task="segment", task_options={"loss": "dice"}))
    assert other == dataclasses.replace(OWN, task="segment", task_options={"loss": "dice"})
