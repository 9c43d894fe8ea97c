"""Train, explain and ship convolutional networks on your own images.

Every verb of the command line is a function here, with the same options as keywords: ``convolve.train("digits",
network="lenet5_keras")``. Verbs are imported when they are first used.
"""

from __future__ import annotations

from typing import Any

from convolve.errors import ConvolveError

__version__ = "0.1.0"
__all__ = ["ConvolveError", "__version__", "compare", "data", "evaluate", "networks", "predict", "train"]


def __getattr__(name: str) -> Any:
    import importlib

    from convolve.verbs.verb import NAMES, find

    if name in ("data", "networks"):
        return importlib.import_module(f"convolve.{name}")
    if name in NAMES:
        return find(name)
    raise AttributeError(f"convolve has no verb '{name}'; it has {', '.join(NAMES)}.")
