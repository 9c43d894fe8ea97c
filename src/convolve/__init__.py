"""Train, explain and ship convolutional networks on your own images.

Every verb of the command line is a function here, with the same options as keywords: ``convolve.train("digits",
network="lenet5_keras")``. Verbs are imported when they are first used.
"""

from __future__ import annotations

from typing import Any

from convolve.errors import ConvolveError

__version__ = "0.1.0"
__all__ = [
    "ConvolveError",
    "__version__",
    "compare",
    "data",
    "evaluate",
    "explain",
    "networks",
    "predict",
    "scratch",
    "train",
]


def __getattr__(name: str) -> Any:
    # First of all, so that `from convolve import MODULE`, which asks here for the module, imports no verb meanwhile.
    if name not in __all__:
        raise AttributeError(f"convolve has no verb '{name}'; it has {', '.join(__all__[2:])}.")
    from convolve.verbs.verb import find

    return find(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
