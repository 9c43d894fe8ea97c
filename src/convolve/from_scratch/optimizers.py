"""The eight optimizers of the lecture, each as its update rule; slide "Review: Optimizer".

A rule updates one parameter ``w`` in place by its gradient ``g``, and may keep arrays of w's shape in a
`ParameterState`; `Optimizer` applies a rule to all parameters of a model. The default constants are torch's, apart from
the learning rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, final

import numpy as np

from convolve.from_scratch.arrays import Array


@final
class ParameterState(dict[str, Array]):
    """What a rule keeps for one parameter: arrays by name, initially 0, and ``steps``, the current one included."""

    def __init__(self, w: Array) -> None:
        super().__init__()
        self.w, self.steps = w, 0

    def __missing__(self, name: str) -> Array:
        self[name] = np.zeros_like(self.w)
        return self[name]


class Rule(Protocol):
    """An update rule with its constants."""

    def update(self, w: Array, g: Array, state: ParameterState) -> None:
        """Change ``w`` in place; ``g`` is ∂L/∂w, of the same shape."""
        ...


@final
class Optimizer:
    """Applies a rule to all parameters of one model, with a state for each.

    ``rule`` may be replaced during training by another of its class, such as one with a smaller learning rate.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.states: dict[str, ParameterState] = {}

    def step(self, parameters: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        """Update every parameter in place by the gradient of the same name."""
        for name, w in parameters.items():
            state = self.states.setdefault(name, ParameterState(w))
            state.steps += 1
            self.rule.update(w, gradients[name], state)


@final
@dataclass(frozen=True)
class GradientDescent:
    """w ← w - η g. Gradient descent where g comes from the whole set, SGD where it comes from a batch."""

    learning_rate: float = 0.1

    def update(self, w: Array, g: Array, state: ParameterState) -> None:
        """One step against the gradient."""
        del state
        w -= self.learning_rate * g


@final
@dataclass(frozen=True)
class Momentum:
    """v ← μ v - η g; w ← w + v. Polyak 1964."""

    learning_rate: float = 0.01
    momentum: float = 0.9

    def update(self, w: Array, g: Array, state: ParameterState) -> None:
        """The previous step, a little weaker, plus the gradient's."""
        v = state["v"]
        v *= self.momentum
        v -= self.learning_rate * g
        w += v


@final
@dataclass(frozen=True)
class Nesterov:
    """v ← μ v - η g; w ← w + μ v - η g: momentum with look-ahead. Nesterov 1983; Sutskever et al. 2013, section 2.

    w is the look-ahead point, at which g is computed (Bengio et al. 2012, section 3.5).
    """

    learning_rate: float = 0.01
    momentum: float = 0.9

    def update(self, w: Array, g: Array, state: ParameterState) -> None:
        """As momentum, then the first part of the next step."""
        v = state["v"]
        v *= self.momentum
        v -= self.learning_rate * g
        w += self.momentum * v - self.learning_rate * g


@final
@dataclass(frozen=True)
class Adagrad:
    """h ← h + g²; w ← w - η g / (√h + ε): the more an element has moved, the smaller its steps. Duchi et al. 2011."""

    learning_rate: float = 0.01
    epsilon: float = 1e-10

    def update(self, w: Array, g: Array, state: ParameterState) -> None:
        """Each element has its own learning rate, which only decreases."""
        h = state["h"]
        h += g * g
        w -= self.learning_rate * g / (np.sqrt(h) + self.epsilon)


@final
@dataclass(frozen=True)
class RMSProp:
    """h ← ρ h + (1 - ρ) g²; w ← w - η g / (√h + ε): Adagrad with a decaying sum. Hinton 2012, lecture 6e."""

    learning_rate: float = 0.001
    decay: float = 0.99
    epsilon: float = 1e-8

    def update(self, w: Array, g: Array, state: ParameterState) -> None:
        """Each element is divided by the root mean square of its recent gradients."""
        h = state["h"]
        h *= self.decay
        h += (1 - self.decay) * g * g
        w -= self.learning_rate * g / (np.sqrt(h) + self.epsilon)


@final
@dataclass(frozen=True)
class AdaDelta:
    """h ← ρ h + (1 - ρ) g²; d = g √(s + ε) / √(h + ε); s ← ρ s + (1 - ρ) d²; w ← w - η d. Zeiler 2012, algorithm 1.

    Previous steps give the step its unit, so that η may stay 1.
    """

    learning_rate: float = 1.0
    decay: float = 0.9
    epsilon: float = 1e-6

    def update(self, w: Array, g: Array, state: ParameterState) -> None:
        """The ratio of recent steps to recent gradients is the learning rate."""
        h, s = state["h"], state["s"]
        h *= self.decay
        h += (1 - self.decay) * g * g
        d = g * np.sqrt(s + self.epsilon) / np.sqrt(h + self.epsilon)
        s *= self.decay
        s += (1 - self.decay) * d * d
        w -= self.learning_rate * d


@final
@dataclass(frozen=True)
class Adam:
    """m ← β₁ m + (1 - β₁) g; h ← β₂ h + (1 - β₂) g²; w ← w - η m̂ / (√ĥ + ε). Kingma & Ba 2015, algorithm 1.

    m̂ = m / (1 - β₁ᵗ) and ĥ = h / (1 - β₂ᵗ) correct the bias from starting at 0.
    """

    learning_rate: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def update(self, w: Array, g: Array, state: ParameterState) -> None:
        """Momentum divided by RMSProp's root mean square."""
        m, h, t = state["m"], state["h"], state.steps
        m *= self.beta1
        m += (1 - self.beta1) * g
        h *= self.beta2
        h += (1 - self.beta2) * g * g
        w -= self.learning_rate / (1 - self.beta1**t) * m / (np.sqrt(h / (1 - self.beta2**t)) + self.epsilon)


RULES: Mapping[str, type[Rule]] = {
    "gradient descent": GradientDescent,
    "sgd": GradientDescent,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": Adagrad,
    "rmsprop": RMSProp,
    "adadelta": AdaDelta,
    "adam": Adam,
}
"""The lecture's list. The first two share a rule: they differ in whether g is of all examples or of a batch."""
