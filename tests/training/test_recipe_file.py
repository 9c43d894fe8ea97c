"""A recipe and its TOML file say the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from convolve.datasets.augmentation import Augmentation
from convolve.errors import OptionError
from convolve.training.defaults import Facts, resolve
from convolve.training.recipe import Optimization, Recipe, override, read_recipe, write_recipe

FLIPPED = Augmentation(flip=True)
PARTIAL = Recipe(data="사진", epochs=3, optimization=Optimization("adam", 0.1 + 0.2), augmentation=FLIPPED)
WHOLE = resolve(Recipe(network="resnet18"), Facts(200, 3, 300, photographs=True))[0]


@pytest.mark.parametrize("recipe", [Recipe(), PARTIAL, WHOLE])
def test_it_round_trips(recipe: Recipe, tmp_path: Path) -> None:
    write_recipe(tmp_path / "recipe.toml", recipe)
    assert read_recipe(tmp_path / "recipe.toml") == recipe


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epochs = ", "is not a TOML file"),
        ("epochs = 3\nepoch = 4", "an entry 'epoch' that does not exist"),
        ("[optimization]\nrate = 'high'", "rate cannot be 'high'"),
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
    said = override(recipe, Recipe(epochs=1))
    assert (said.epochs, said.optimization.warmup, said.optimization.rate) == (1, None, 0.1)
    assert override(recipe, Recipe(epochs=20)) == recipe
