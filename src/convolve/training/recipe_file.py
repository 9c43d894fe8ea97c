"""A recipe as a TOML file."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import tomli_w

from convolve.errors import OptionError
from convolve.files import write_text
from convolve.options import from_sections, merge, to_sections
from convolve.training.recipe import Recipe


def read_recipe(path: Path) -> Recipe:
    """Read a recipe. Raises `OptionError` when the file is missing, is not TOML, or has an entry that is unknown."""
    try:
        sections = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(f"{path} cannot be read ({error.strerror}); name a recipe's TOML file.") from error
    except ValueError as error:
        raise OptionError(f"{path} is not a TOML file ({error}); correct it.") from error
    return from_sections(Recipe, sections, str(path))


def changed(recipe: Recipe, said: Recipe) -> Recipe:
    """A recipe with what a person says over it; the warm-up is chosen anew when the number of epochs changes."""
    if said.epochs not in (None, recipe.epochs):
        recipe = replace(recipe, optimization=replace(recipe.optimization, warmup=None))
    return merge(recipe, said)


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Write a recipe; what is None is left out. Raises `ConvolveError` when the disk is full."""
    write_text(path, tomli_w.dumps(to_sections(recipe)))
