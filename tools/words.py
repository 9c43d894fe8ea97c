"""Refuse invented words in identifiers where the field has a word of its own (docs/glossary.md).

``python tools/words.py [FOLDER ...]`` reads every Python file below the folders (``src`` unless named), prints each
identifier that contains a refused word with what to use instead, and exits with 1 if there is any. Identifiers are the
names of modules, packages, functions, classes, parameters, variables, attributes and imports ``as``, and the values of
a ``Literal`` type, which users type. Words that also have a proper use (page, line) are left to reviewers.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ANYWHERE = {
    "slope": "gradient",
    "share": "probability, fraction or ratio",
    "picture": "image",
    "picturing": "drawing",
    "place": "path, index or position",
    "truth": "ground_truth or target",
    "heat": "attribution or heatmap",
    "hottest": "highest",
    "fresh": "randomly_initialized or new",
    "criterion": "monitored (a criterion is a loss)",
    "frame": "input_size",
    "beside": "next_to, adjacent or concatenated",
    "behind": "after",
    "stands": "is",
    "mirror": "flip or reflect",
    "mirrored": "flipped or reflected",
    "mirroring": "flip or reflection",
    "squash": "stretch",
    "division": "split",
    "settle": "resolve, or fsync for files",
    "settled": "resolved",
    "vary": "augment",
    "varies": "augments",
    "variation": "augmentation",
    "copies": "duplicates",
    "spare": "redundant",
    "ring": "polygon",
    "strip": "tile or band",
    "piece": "block or component",
    "room": "workspace or space",
    "walk": "trace",
    "board": "console view",
    "question": "score_target",
    "everywhere": "spatially_averaged",
    "onward": "forward_from",
    "coldest": "bounds",
    "warmed": "calibrated",
    "survival": "similarity",
    "bereft": "randomized",
    "robbed": "randomized",
    "figures": "metrics (a figure is a drawing)",
    "class_number": "class_index",
    "class_numbers": "class_indices",
    "run_lengths": "rle",
}
"""Refused as a word of any name, in singular and plural; the word to use."""

PROPER_PAIRS = frozenset({"ground_truth", "ground_truths", "in_place", "negative_slope", "tensor_board"})
"""Pairs of words whose second one is refused otherwise."""

_PARTICIPLES = ("kept", "shown", "seen", "said", "told", "marked", "asked", "wanted", "made")
_MODULES = ("running", "preparing", "making", "starting", "looking", "answering", "judging")

DEFINITIONS = {
    **dict.fromkeys((*_PARTICIPLES, "named"), "a verb, or a noun for what it returns"),
    **dict.fromkeys(_MODULES, "a noun for what it holds"),
    "sums": "calculation",
}
"""Refused as a word of the name of a function, class or module, unless a noun follows, as in ``named_parameters``."""

INTERFACE = {
    **dict.fromkeys(_PARTICIPLES, "a noun for what it is"),
    "rate": "learning_rate",
    "average": "ema_decay, ema or mean",
    "multiple": "multi_label",
    "reads": "head_inputs",
    "every": "jump (effective stride)",
    "sees": "receptive_field",
}
"""Refused as the whole name of anything but a function's own variables."""

_POOLING = "average pooling, as opposed to the maximum"
_MAXOUT = "the linear pieces of a maxout unit, as its authors call them"
_COPIED = "made by the code itself, no duplicates in data"
_MULTIPLE = "sides of images are multiples of it"
_LINE = "the line around a drawing"
_EVERY = "--every 10: one image of a video in so many"
ALLOWED = {
    ("convolve/api.py", "every"): _EVERY,
    ("convolve/explainers/", "copies"): _COPIED,
    ("convolve/explainers/sanity.py", "randomized_copies"): _COPIED,
    ("convolve/explainers/statistics.py", "_Sums"): "sums over images",
    ("convolve/from_scratch/", "average"): _POOLING,
    ("convolve/from_scratch/", "column_sums"): "sums of columns",
    ("convolve/from_scratch/", "pieces"): _MAXOUT,
    ("convolve/layers/", "_with_copies"): _COPIED,
    ("convolve/layers/", "copies"): _COPIED,
    ("convolve/layers/box_head.py", "multiple"): _MULTIPLE,
    ("convolve/layers/lecun.py", "SLOPE"): "S in LeCun's paper, the slope of his tanh at 0",
    ("convolve/layers/maxout.py", "pieces"): _MAXOUT,
    ("convolve/layers/design.py", "average"): _POOLING,
    ("convolve/models/", "AVERAGE"): _POOLING,
    ("convolve/models/", "PIECES"): _MAXOUT,
    ("convolve/models/", "average"): _POOLING,
    ("convolve/models/cutting.py", "copies"): _COPIED,
    ("convolve/layers/point_head.py", "multiple"): _MULTIPLE,
    ("convolve/models/network.py", "multiple"): _MULTIPLE,
    ("convolve/models/stacked_hourglass.py", "MULTIPLE"): _MULTIPLE,
    ("convolve/reports/", "figures"): "drawings",
    ("convolve/reports/", "frame"): _LINE,
    ("convolve/training/interrupt.py", "frame"): "Python's stack frame",
    ("convolve/verbs/predict.py", "every"): _EVERY,
    ("convolve/verbs/scratch/__init__.py", "average"): _POOLING,
}
"""Names that stay: the beginning of the file's path below the folder, the name; the reason."""

_BRITISH = re.compile(
    r"(colo|neighbo|behavio|favo)ur|cent(re|erd)|grey|(al|im|ogn|ular)is(e|es|ed|er|ers|ing|ation|ations)$"
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def identifiers(path: Path) -> Iterator[tuple[int, str, str]]:
    """Every name that a file defines, its own included: the line, the name, and what it names.

    That is a "definition" (module, function or class), the "interface" (a parameter or attribute, or a variable outside
    of functions) or a "local" variable.
    """
    yield 1, path.parent.name if path.name == "__init__.py" else path.stem, "definition"
    yield from _defined_in(ast.parse(path.read_text(encoding="utf-8"), str(path)), "interface")


def _defined_in(parent: ast.AST, scope: str) -> Iterator[tuple[int, str, str]]:
    for node in ast.iter_child_nodes(parent):
        inner = scope
        match node:
            case ast.ClassDef():
                yield node.lineno, node.name, "definition"
                inner = "interface"
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.lineno, node.name, "definition"
                inner = "local"
            case ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield node.lineno, name, "interface"
            case ast.Name(id=name, ctx=ast.Store()) | ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)):
                yield node.lineno, name, scope
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield node.lineno, name, scope
            case ast.Subscript(value=ast.Name(id="Literal"), slice=values):
                constants = (value for value in ast.walk(values) if isinstance(value, ast.Constant))
                yield from ((value.lineno, value.value, scope) for value in constants if isinstance(value.value, str))
        yield from _defined_in(node, inner)


def refused(name: str, kind: str) -> Iterator[tuple[str, str]]:
    """The words of a name that are refused, each with what to use instead."""
    words = [word.lower() for word in _WORD.findall(name)]
    if kind == "interface" and "_".join(words) in INTERFACE:
        yield "_".join(words), INTERFACE["_".join(words)]
    for before, word in zip(["", *words], words, strict=False):
        pair = f"{before}_{word}"
        if pair in PROPER_PAIRS:
            continue
        if kind == "definition" and word in DEFINITIONS and word == words[-1]:
            yield word, DEFINITIONS[word]
        elif _BRITISH.search(word):
            yield word, "the American spelling"
        elif pair in ANYWHERE:
            yield pair, ANYWHERE[pair]
        elif instead := ANYWHERE.get(word) or ANYWHERE.get(word.removesuffix("s")):
            yield word, instead


def allowed(path: str, name: str) -> bool:
    """Whether a name stays as it is in a file."""
    return any(path.startswith(prefix) and name == stays for prefix, stays in ALLOWED)


def main(folders: Sequence[str]) -> int:
    """Print every refused name; 1 if there is any."""
    found = [
        f"{path}:{line} {name}: not {word!r} but {instead}"
        for folder in folders or ["src"]
        for path in sorted(Path(folder).rglob("*.py"))
        for line, name, kind in identifiers(path)
        for word, instead in refused(name, kind)
        if not allowed(path.relative_to(folder).as_posix(), name)
    ]
    print(*found, f"names with a refused word: {len(found)}", sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
