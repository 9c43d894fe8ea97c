"""The operations of `convolve scratch` that a network learns by: losses, optimizers, initializers."""

from __future__ import annotations

import numpy as np

from convolve.errors import OptionError
from convolve.from_scratch.traces.initialization import (
    INITIALIZERS,
    RESPONSES,
    InitializationInputs,
    initialization_trace,
)
from convolve.from_scratch.traces.losses import Scores, distance_trace, hinge_trace
from convolve.from_scratch.traces.optimizers import SURFACES, UPDATES, OptimizerInputs, optimizer_trace
from convolve.from_scratch.traces.softmax import softmax_loss_trace, softmax_trace
from convolve.from_scratch.traces.trace import Trace
from convolve.verbs.scratch import Scratch
from convolve.verbs.scratch.arguments import bounded_matrix, check_size, chosen_kind, required, single_matrix
from convolve.verbs.scratch.numbers import Numbers, bounded_integer, read_numbers

_FARTHEST_START = 1e6
_LARGEST_RATE = 1e6
_MOST_LAYERS = 50
_MOST_VALUES = 1_000_000


def softmax_operation(options: Scratch, x: Numbers) -> Trace:
    """Softmax and its Jacobian, or with a target the loss and its gradient."""
    values = bounded_matrix(x)
    if options.target is not None:
        return softmax_loss_trace(_scores(options, values), backward=bool(options.backward))
    check_size(values.size * values.shape[1])
    return softmax_trace(values)


def hinge_operation(options: Scratch, x: Numbers) -> Trace:
    """The hinge loss."""
    return hinge_trace(_scores(options, bounded_matrix(x)), backward=bool(options.backward))


def _scores(options: Scratch, x: Numbers) -> Scores:
    target = read_numbers("target", required(options, "target", "the true class of each row, such as '1 2'")).ravel()
    if (target % 1 != 0).any():
        raise OptionError("target must consist of whole numbers: the true classes, counted from 1.")
    return Scores(x, tuple(int(label) - 1 for label in target))


def distance_operation(options: Scratch, x: Numbers) -> Trace:
    """The L1 or L2 loss."""
    values = bounded_matrix(x)
    target = single_matrix(
        "target", read_numbers("target", required(options, "target", "a target of the input's shape"))
    )
    return distance_trace("l1" if options.operation == "l1" else "l2", values, target, backward=bool(options.backward))


def optimizer_operation(options: Scratch, x: Numbers) -> Trace:
    """The paths of the optimizers on a surface."""
    surface = chosen_kind(options, tuple(SURFACES))
    if x.shape != (1, 1, 2) or np.abs(x).max() > _FARTHEST_START:
        raise OptionError(f"input must be two numbers up to {_FARTHEST_START:g}: where to start, such as '-7 2'.")
    chosen = options.learning_rate
    if chosen is not None and not 0 < chosen <= _LARGEST_RATE:
        raise OptionError(f"learning-rate is {chosen:g}; it must be above 0 and at most {_LARGEST_RATE:g}.")
    steps = bounded_integer("steps", options.steps, 30, 1)
    check_size(steps * 100)
    names = list(UPDATES) if options.optimizer is None else [options.optimizer]
    rates = {name: SURFACES[surface].rates[name] if chosen is None else chosen for name in names}
    return optimizer_trace(OptimizerInputs(surface, x[0, 0], steps, rates))


def default_start(options: Scratch) -> str:
    """Where the optimizers start if nothing is given."""
    x, y = SURFACES[chosen_kind(options, tuple(SURFACES))].start
    return f"{x} {y}"


def initialization_operation(options: Scratch, x: Numbers) -> Trace:
    """The spread of the activations of a deep network, layer by layer."""
    if x.shape != (1, 1, 3) or (x < 1).any() or (x % 1 != 0).any():
        raise OptionError(
            "input must be three whole numbers: examples, units of a layer, layers, such as '1000 100 10'."
        )
    if x[0, 0, 2] > _MOST_LAYERS or x[0, 0, 0] * x[0, 0, 1] > _MOST_VALUES or x[0, 0, 1] ** 2 > _MOST_VALUES:
        raise OptionError(
            f"input has too many of something; take at most {_MOST_LAYERS} layers, and {_MOST_VALUES:,} values of a "
            "layer (examples times units) or weights (units squared)."
        )
    examples, width, layers = x[0, 0].astype(np.int64).tolist()
    names = list(INITIALIZERS) if options.initializer is None else [options.initializer]
    kind, seed = chosen_kind(options, tuple(RESPONSES)), bounded_integer("seed", options.seed, 0, 0)
    return initialization_trace(InitializationInputs(examples, width, layers, kind, names, seed))
