"""The examples in the docstrings of the metrics do what they say, and every module has one."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from convolve import metrics


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(metrics.__path__)])
def test_examples(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"convolve.metrics.{name}"))
    assert found.attempted > 0
    assert found.failed == 0
