"""Flat outside, nested inside; what a person sets wins; an error names what is wrong."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytest
import tomli_w

from convolve.errors import OptionError
from convolve.options import Flat, build, fields, from_sections, merge, to_sections
from convolve.training.recipe import Recipe


@dataclass(frozen=True)
class Engine:
    power: float | None = None
    fuel: Literal["coal", "steam"] | None = None


@dataclass(frozen=True)
class Train:
    name: str
    wagons: int | None = None
    out: Path | None = None
    engine: Annotated[Engine, Flat] = field(default_factory=Engine)


def test_groups_are_flat_outside_and_nested_inside() -> None:
    assert [option.path for option in fields(Train)] == [
        ("name",),
        ("wagons",),
        ("out",),
        ("engine", "power"),
        ("engine", "fuel"),
    ]
    train = build(Train, {"name": "a", "power": 3, "out": "here"})
    assert train == Train("a", out=Path("here"), engine=Engine(power=3.0))


@dataclass(frozen=True)
class Journey:
    start: str
    stops: tuple[Path, ...] = ()


def test_a_path_serves_as_text_and_one_item_as_several() -> None:
    journey = Journey("here", (Path("there"),))
    assert build(Journey, {"start": Path("here"), "stops": "there"}) == journey
    assert build(Journey, {"start": "here", "stops": [Path("there")]}) == journey


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"name": "a", "powr": 1}, "Did you mean power"),
        ({"name": "a", "wagons": "two"}, "wagons cannot be 'two'; it must be a whole number"),
        ({"name": "a", "wagons": True}, "wagons cannot be True"),
        ({"name": "a", "fuel": "wood"}, "it must be coal or steam"),
        ({"wagons": 1}, "^Missing: name\\.$"),
    ],
)
def test_an_error_names_the_option(keywords: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        build(Train, keywords)


def test_an_unknown_entry_of_a_file_is_named() -> None:
    with pytest.raises(OptionError, match=r"recipe\.toml has an unknown entry 'engine\.color'; remove or correct it"):
        from_sections(Train, {"name": "a", "engine": {"color": "red"}}, "recipe.toml")


def test_merge_takes_what_is_set() -> None:
    base = Train("a", wagons=2, engine=Engine(power=1.0, fuel="coal"))
    assert merge(base, Train("b", engine=Engine(fuel="steam"))) == Train("b", 2, None, Engine(1.0, "steam"))


def test_a_recipe_round_trips_through_toml() -> None:
    recipe = build(
        Recipe,
        {
            "data": "digits",
            "epochs": 3,
            "learning_rate": 0.1,
            "flip": True,
            "optimizer": "nesterov",
            "group_by": "^(.)",
        },
    )
    text = tomli_w.dumps(to_sections(recipe))
    assert from_sections(Recipe, tomllib.loads(text), "recipe.toml") == recipe


def test_no_two_options_of_a_recipe_share_a_name() -> None:
    names = [option.name for option in fields(Recipe)]
    assert len(names) == len(set(names))
