"""What every test stands on: one thread each, no folder of the person's own, the same examples in every CI run."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.browser import chromium, open_page

__all__ = ["chromium", "open_page"]

# Set before anything imports torch or NumPy, which read it once; the tests run side by side in processes.
os.environ["OMP_NUM_THREADS"] = "1"

settings.register_profile("convolve", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("convolve")


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Cache and downloads go to a temporary folder, also in the programs that a test starts; none are fetched."""
    folder = tmp_path_factory.mktemp("convolve")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVOLVE_CACHE", str(folder / "cache"))
        patch.setenv("CONVOLVE_DATA", str(folder / "data"))
        patch.setenv("CONVOLVE_OFFLINE", "1")  # official weights are never fetched
        yield folder


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has ended, on scikit-learn's digits; tests only look at it."""
    import convolve

    folder = tmp_path_factory.mktemp("runs") / "digits"
    convolve.train("digits", network="lenet5_keras", size=16, epochs=2, seed=1, threads=1, progress=False, out=folder)
    return folder


@pytest.fixture(autouse=True)
def signals_as_usual() -> Iterator[None]:
    """Each test, and what it starts, meets signals as at a terminal: neither ignored by who started the tests (`nohup`,
    a shell's `&`) nor by a command that was interrupted in this process and has not ended with it.
    """
    usual: dict[str, Any] = {"SIGINT": signal.default_int_handler, "SIGTERM": signal.SIG_DFL, "SIGHUP": signal.SIG_DFL}
    numbers = {getattr(signal, name): handler for name, handler in usual.items() if hasattr(signal, name)}
    before = {number: signal.signal(number, handler) for number, handler in numbers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
