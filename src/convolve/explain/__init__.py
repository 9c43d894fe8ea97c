"""What a network looks at, and what it has learnt to see: heat maps over images, and the network's inside."""

from __future__ import annotations

from convolve.callable_package import answers_as_verb

answers_as_verb(__name__)
