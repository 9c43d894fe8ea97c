"""Mutated cases as hypothesis draws them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from tests.datasets.mutations.case import Case
from tests.datasets.mutations.registry import MUTATIONS, mutate, mutations_for
from tests.datasets.mutations.runner import LAYOUTS


@st.composite
def mutated_cases(draw: st.DrawFn, layout: str) -> tuple[Case, tuple[str, ...]]:
    """A case of the layout, and the names of up to four mutations with what they chose."""

    def choose(options: Sequence[Any], /) -> Any:
        return draw(st.sampled_from(options))

    case = LAYOUTS[layout](draw(st.sampled_from((1, 2, 3))))
    names = [one.name for one in mutations_for(case)]
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True))
    return case, tuple(mutate(case, [MUTATIONS[name] for name in chosen], lambda _: choose))
