"""The eight optimizers of the lecture, each its update rule; slide "Review: Optimizer".

A rule changes one parameter ``w`` in place by its slope ``g``, and may keep arrays of w's shape in a `Memory`;
`Optimizer` applies a rule to all parameters of a net. torch's constants are the defaults, apart from the rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, final

import numpy as np

from convolve.from_scratch.arrays import Array


@final
class Memory(dict[str, Array]):
    """What a rule keeps of one parameter: arrays by name, all 0 at first, and ``steps``, this one included."""

    def __init__(self, w: Array) -> None:
        super().__init__()
        self.w, self.steps = w, 0

    def __missing__(self, name: str) -> Array:
        self[name] = np.zeros_like(self.w)
        return self[name]


class Rule(Protocol):
    """An update rule with its constants."""

    def update(self, w: Array, g: Array, memory: Memory) -> None:
        """Change ``w`` in place, ``g`` being ∂L/∂w; both of one shape."""
        ...


@final
class Optimizer:
    """A rule at work on all parameters of one model; keeps a memory for each.

    ``rule`` may be replaced by one of its kind on the way, with a smaller rate for the last epochs, say.
    """

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.memories: dict[str, Memory] = {}

    def step(self, parameters: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        """Change every parameter in place by the gradient of the same name."""
        for name, w in parameters.items():
            memory = self.memories.setdefault(name, Memory(w))
            memory.steps += 1
            self.rule.update(w, gradients[name], memory)


@final
@dataclass(frozen=True)
class GradientDescent:
    """w ← w - η g. Gradient descent where g comes from the whole set, SGD where it comes from a batch."""

    rate: float = 0.1

    def update(self, w: Array, g: Array, memory: Memory) -> None:
        """One step downhill."""
        del memory
        w -= self.rate * g


@final
@dataclass(frozen=True)
class Momentum:
    """v ← μ v - η g; w ← w + v. Polyak 1964."""

    rate: float = 0.01
    momentum: float = 0.9

    def update(self, w: Array, g: Array, memory: Memory) -> None:
        """The step before goes on, a little weaker, and the slope bends it."""
        v = memory["v"]
        v *= self.momentum
        v -= self.rate * g
        w += v


@final
@dataclass(frozen=True)
class Nesterov:
    """v ← μ v - η g; w ← w + μ v - η g: momentum that looks ahead. Nesterov 1983; Sutskever et al. 2013, section 2.

    w stands where the look ahead ends, which is where g is taken (Bengio et al. 2012, section 3.5).
    """

    rate: float = 0.01
    momentum: float = 0.9

    def update(self, w: Array, g: Array, memory: Memory) -> None:
        """As momentum, then already the next step's first part."""
        v = memory["v"]
        v *= self.momentum
        v -= self.rate * g
        w += self.momentum * v - self.rate * g


@final
@dataclass(frozen=True)
class Adagrad:
    """h ← h + g²; w ← w - η g / (√h + ε): what has moved far moves less. Duchi et al. 2011."""

    rate: float = 0.01
    epsilon: float = 1e-10

    def update(self, w: Array, g: Array, memory: Memory) -> None:
        """Every element has a rate of its own, which only falls."""
        h = memory["h"]
        h += g * g
        w -= self.rate * g / (np.sqrt(h) + self.epsilon)


@final
@dataclass(frozen=True)
class RMSProp:
    """h ← ρ h + (1 - ρ) g²; w ← w - η g / (√h + ε): Adagrad that forgets. Hinton 2012, lecture 6e."""

    rate: float = 0.001
    decay: float = 0.99
    epsilon: float = 1e-8

    def update(self, w: Array, g: Array, memory: Memory) -> None:
        """Every element is divided by the size of its recent slopes."""
        h = memory["h"]
        h *= self.decay
        h += (1 - self.decay) * g * g
        w -= self.rate * g / (np.sqrt(h) + self.epsilon)


@final
@dataclass(frozen=True)
class AdaDelta:
    """h ← ρ h + (1 - ρ) g²; d = g √(s + ε) / √(h + ε); s ← ρ s + (1 - ρ) d²; w ← w - η d. Zeiler 2012, algorithm 1.

    The steps before give the step its unit, so that η may stay 1.
    """

    rate: float = 1.0
    decay: float = 0.9
    epsilon: float = 1e-6

    def update(self, w: Array, g: Array, memory: Memory) -> None:
        """The ratio of recent steps to recent slopes is the rate."""
        h, s = memory["h"], memory["s"]
        h *= self.decay
        h += (1 - self.decay) * g * g
        d = g * np.sqrt(s + self.epsilon) / np.sqrt(h + self.epsilon)
        s *= self.decay
        s += (1 - self.decay) * d * d
        w -= self.rate * d


@final
@dataclass(frozen=True)
class Adam:
    """m ← β₁ m + (1 - β₁) g; h ← β₂ h + (1 - β₂) g²; w ← w - η m̂ / (√ĥ + ε). Kingma & Ba 2015, algorithm 1.

    m̂ = m / (1 - β₁ᵗ) and ĥ = h / (1 - β₂ᵗ) make up for both having started at 0.
    """

    rate: float = 0.001
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def update(self, w: Array, g: Array, memory: Memory) -> None:
        """Momentum over RMSProp."""
        m, h, t = memory["m"], memory["h"], memory.steps
        m *= self.beta1
        m += (1 - self.beta1) * g
        h *= self.beta2
        h += (1 - self.beta2) * g * g
        w -= self.rate / (1 - self.beta1**t) * m / (np.sqrt(h / (1 - self.beta2**t)) + self.epsilon)


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
"""The lecture's list. Its first two share a rule: they differ in whether g comes from all examples or from a batch."""
