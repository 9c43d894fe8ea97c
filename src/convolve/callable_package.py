"""Packages that share their name with a verb: `convolve.data(...)` runs the verb, `convolve.data.layouts` is a module.

Python lets a module take a class of its own for such a case (language reference, "Customizing module attribute
access"); nothing else about the package changes.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class _VerbPackage(ModuleType):
    def __call__(self, *values: object, **keywords: object) -> Any:
        verb = importlib.import_module(f"convolve.verbs.{self.__name__.rpartition('.')[2]}").VERB
        return verb(*values, **keywords)


def answers_as_verb(package: str) -> None:
    """Let the package be called as the verb of its name."""
    sys.modules[package].__class__ = _VerbPackage
