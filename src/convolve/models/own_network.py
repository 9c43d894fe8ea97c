"""Networks that a person writes: the text of their layers instead of a name, or a TOML file of blocks.

Both become a definition, of which `models.graph_file` builds the network, and which a run keeps as `network.json`.
Weights start as in Keras. A softmax at the end is read and left out: it is part of the loss.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from convolve.choices import NETWORK_FILES
from convolve.errors import NetworkError
from convolve.models.definition import NetworkDefinition
from convolve.models.graph_file import PASSING, is_sigmoid, variant_of
from convolve.models.layer_builder import LayerBuilder, Shape, TooSmallError, format_shape
from convolve.models.layer_words import CLASSES, LAYERS
from convolve.models.network import Card, Network, Variant
from convolve.models.network_blocks import Plan, build_body, phrases_of, plan_of_document, plan_of_text
from convolve.untrusted.documents import parse_toml
from convolve.untrusted.files import read_text

_USUAL_CLASSES: Final = 10
"""Of a network that leaves them to the data, before there are data."""
_LONGEST_TEXT, _MOST_BYTES = 2**14, 2**18
_EXAMPLES: Final = ((1, 28), *((3, side) for side in (32, 64, 96, 128, 180, 224, 256, 512)))
"""Channels and sides of an input that nothing states; the first that fits is shown."""


def variant(name: str) -> Variant:
    """The network of a text or of a TOML file. Raises `NetworkError`."""
    plan = _read(name)
    definition = _define(plan, None, plan.input) if plan.input else _example(plan)
    return Variant(_card(name, plan, definition, _minimum(plan, definition.input)), partial(_build, plan))


def define(name: str, classes: int, image: tuple[int, int, int]) -> NetworkDefinition:
    """The layers of a text or of a TOML file for an ``image`` of (channels, height, width). Raises `NetworkError`."""
    return _define(_read(name), classes, image)


def is_text(name: str) -> bool:
    """Whether a name is the text of a network's layers."""
    first, separator, _ = name.strip().partition(" ")
    return not name.endswith(NETWORK_FILES) and ("|" in name or (bool(separator) and first.lower() in LAYERS))


def _read(name: str) -> Plan:
    if not name.endswith(".toml"):
        if len(name) > _LONGEST_TEXT:
            raise NetworkError(
                f"The network's text has {len(name):,} characters, more than the {_LONGEST_TEXT:,} that are read; "
                "write a TOML file, whose blocks can repeat."
            )
        return plan_of_text(name)
    try:
        document = parse_toml(read_text(name, _MOST_BYTES))
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise NetworkError(
            f"{name} cannot be read as a network ({reason}); choose another file or a network's name."
        ) from error
    plan = plan_of_document(document, name)
    return plan if plan.title else replace(plan, title=Path(name).stem)


def _build(plan: Plan, card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    definition = _define(plan, classes, (channels, *size))
    own = _card(card.name, plan, definition, card.minimum)
    return variant_of(card.name, definition).build(own, classes, channels, size)


def _card(name: str, plan: Plan, definition: NetworkDefinition, minimum: int) -> Card:
    found = variant_of(name, definition).card
    return replace(found, minimum=minimum, own_channels=bool(plan.input), any_size=not plan.input)


def _define(plan: Plan, classes: int | None, image: Shape) -> NetworkDefinition:
    """The layers for an image, and ``classes`` if they are known. Raises `NetworkError`."""
    builder = LayerBuilder(image, classes or _USUAL_CLASSES)
    end = build_body(builder, plan.body)
    if not builder.layers:
        raise NetworkError(f"{plan.title} has no layers; write some, such as 'flatten | dense classes'.")
    try:
        definition = NetworkDefinition(
            source="TOML" if plan.in_file else "text",
            title=plan.title,
            input=(image[0], image[1], image[2]),
            layers=tuple(builder.layers),
            outputs=(end,),
            initializer="glorot_uniform",
        )
    except ValueError as error:
        raise NetworkError(f"{plan.title}: {error}; change --input or --size.") from error
    _check_end(plan, definition)
    _check_scores(plan, builder, end, classes)
    return definition


def _check_end(plan: Plan, definition: NetworkDefinition) -> None:
    """Raise `NetworkError` for a softmax that is not the end, and for a sigmoid that is."""
    if any(layer.kind == "softmax" for layer in definition.layers[:-1]):
        raise NetworkError(f"{plan.title}: 'softmax' is not at the very end; move it there, or leave it out.")
    last = definition.layer(definition.outputs[0])
    while last.kind in PASSING and last.inputs[0] in {layer.name for layer in definition.layers}:
        last = definition.layer(last.inputs[0])
    if is_sigmoid(last):
        raise NetworkError(
            f"{plan.title}: 'sigmoid' is at the end, and the scores leave a network without it; leave it out, since "
            "the loss has it where images have several labels, and softmax where they have one class."
        )


def _check_scores(plan: Plan, builder: LayerBuilder, end: str, classes: int | None) -> None:
    """Raise `NetworkError` where the end does not give one score for each class, of an image or of its pixels."""
    shape, image = builder.shapes[end], builder.shapes[builder.layers[0].inputs[0]]
    last = builder.scores
    if last is None:
        raise NetworkError(f"{plan.title} has no layer with weights that gives scores; end with 'dense classes'.")
    if shape[1:] not in ((), (1, 1), image[1:]):
        raise last.error(
            f"is the last layer with weights, and the network ends in maps of {format_shape(shape)}",
            "end with 'gap' or with 'flatten | dense classes'",
        )
    follows = any(CLASSES in phrase.values.values() for phrase in phrases_of(plan.body))
    wanted = classes or (_USUAL_CLASSES if follows else shape[0])
    if shape[0] != wanted:
        one, other = (f"{last.word} {number}{' 1' if last.word == 'conv' else ''}" for number in (wanted, CLASSES))
        raise last.error(
            f"makes the network give {shape[0]} scores for {wanted} classes",
            f"write '{one}', or '{other}', which is right for any data",
        )


def _example(plan: Plan) -> NetworkDefinition:
    """The layers for the first example of an input that they can take. Raises `NetworkError`."""
    refused: list[NetworkError] = []
    for channels, side in _EXAMPLES:
        try:
            return _define(plan, None, (channels, side, side))
        except NetworkError as error:
            refused.append(error)
    raise next((error for error in refused if not isinstance(error, TooSmallError)), refused[-1])


def _minimum(plan: Plan, image: Shape) -> int:
    """The smallest side of an image that is as large as all windows; ``image`` is large enough."""
    low, high = 0, min(image[1:])
    while high - low > 1:
        middle = (low + high) // 2
        try:
            build_body(LayerBuilder((image[0], middle, middle), _USUAL_CLASSES), plan.body)
        except TooSmallError:
            low = middle
        except NetworkError:  # for another reason, which a larger image may not have
            high = middle
        else:
            high = middle
    return high
