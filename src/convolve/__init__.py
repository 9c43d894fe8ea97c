"""Train, explain and ship convolutional networks on your own images.

Every command of the command line is a function here, with the same options as keywords:
``convolve.train("digits", network="lenet5_keras")``.
"""

from convolve.api import (
    ablate,
    attendance,
    claims,
    compare,
    convert,
    data,
    evaluate,
    explain,
    export,
    find,
    networks,
    predict,
    scratch,
    style,
    sweep,
    train,
)
from convolve.errors import ConvolveError
from convolve.tasks.registry import register_task

__version__ = "0.1.0"
__all__ = [
    "ConvolveError",
    "__version__",
    "ablate",
    "attendance",
    "claims",
    "compare",
    "convert",
    "data",
    "evaluate",
    "explain",
    "export",
    "find",
    "networks",
    "predict",
    "register_task",
    "scratch",
    "style",
    "sweep",
    "train",
]
