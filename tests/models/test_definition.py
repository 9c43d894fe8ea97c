"""Networks in words: what they hold, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from convolve.models.definition import KINDS, LayerDefinition, NetworkDefinition, from_document, to_document
from tests.models.definitions import convolution, gated, layer, network


def test_a_definition_survives_its_file() -> None:
    definition = gated()
    assert from_document(json.loads(json.dumps(to_document(definition)))) == definition


def test_an_option_that_is_not_set_has_its_default() -> None:
    relu = layer("a", "activation", function="leaky_relu")
    assert relu.number("slope") == 0.2
    assert relu.text("function") == "leaky_relu"
    assert layer("b", "add", "a", "a").numbers("coefficients") == ()
    assert convolution("c", "a", 8).wholes("dilation") == (1, 1)
    assert not layer("d", "softmax", "a").flag("log")


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("wavelet", {}, "'one' is of the kind 'wavelet', which is not known"),
        ("dropout", {}, r"'one' \(dropout\) has no p, which must be a number from 0 to below 1"),
        ("dropout", {"p": 1.0}, "has p 1.0, which must be a number from 0 to below 1"),
        ("dropout", {"p": True}, "has p True, which must be"),
        ("linear", {"out": 3, "wide": True}, "has an option 'wide', which no linear layer has"),
        ("linear", {"out": 0}, "has out 0, which must be a whole number from 1"),
        ("activation", {"function": "mish"}, "has function 'mish', which must be one of relu, "),
        ("softmax", {"axis": 4}, "has axis 4, which must be a whole number from 1 to 3"),
        ("reshape", {"shape": ()}, "which must be some whole numbers of at least -1"),
        ("batch_norm", {"eps": 10**400}, "has eps 10{39}…, which must be a number of at least 0"),
        ("batch_norm", {"eps": float("inf")}, "has eps inf, which must be a number of at least 0"),
        ("add", {}, r"'one' \(add\) takes 1 inputs, which must be 2 to 64"),
    ],
)
def test_a_layer_that_cannot_be_is_refused(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LayerDefinition("one", kind, ("image",), options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": ()}, "it has 0 layers"),
        ({"input": (3, 0, 16)}, "its input is 3x0x16, which no image is"),
        ({"outputs": ()}, "its outputs are not among its layers"),
        ({"outputs": ("image",)}, "its outputs are not among its layers"),
        ({"layers": (layer("a", "identity"), layer("a", "identity"))}, "two of its layers are called 'a'"),
        ({"layers": (layer("", "identity"),)}, "a layer has no name"),
        ({"layers": (layer("a", "identity", "b"),)}, "the layer 'a' takes 'b', which is no layer before it"),
    ],
)
def test_layers_that_do_not_belong_together_are_refused(changes: dict[str, Any], message: str) -> None:
    whole = vars(network(layer("a", "identity")))
    with pytest.raises(ValueError, match=message):
        NetworkDefinition(**{**whole, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "it is no definition of a network in format 1"),
        ({"input": [3, 16]}, "its input is not three whole numbers"),
        ({"input": [3, 16, True]}, "its input is not three whole numbers"),
        ({"layers": {}}, "its layers are no list"),
        ({"layers": [[]]}, "one of its layers is not a table with options"),
        ({"title": 3}, "its title is no text"),
        ({"outputs": [3]}, "its outputs are no texts"),
    ],
)
def test_a_document_that_is_none_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_document({**to_document(gated()), **changes})


def test_every_default_is_a_value_that_the_option_takes() -> None:
    for kind in KINDS.values():
        assert all(option.default is None or option.check(option.default) for option in kind.options.values())
