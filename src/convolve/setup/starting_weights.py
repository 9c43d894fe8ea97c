"""The weights that a training starts from: official ones, those of a run, or of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from convolve import models
from convolve.choices import COCO, IMAGENET
from convolve.datasets.survey import ImageFacts
from convolve.errors import WeightsError
from convolve.interop.darknet import NUMBERS, darknet_state, load_numbers, preprocessing_of
from convolve.interop.foreign_files import EPS, is_foreign, read_values, source_of
from convolve.interop.matching import Unit, load_by_order, orders, units_by_name, units_in, units_of
from convolve.interop.official_files import FOLDERS, OFFLINE, fetch_file, find_file
from convolve.interop.weights import (
    coco_weights,
    imagenet_weights,
    official_file,
    read_weights,
    rename,
    stated_preprocessing,
)
from convolve.layers.design import Design, differences, fits_published, flags, given, inherited
from convolve.models import Card, Network
from convolve.models.foreign import library_of
from convolve.models.graph_file import layer_shapes, name_after_layers, read_definition
from convolve.models.weights import inherited_layers, load_weights, translate
from convolve.options import merge
from convolve.progress import Listener, Message, silent
from convolve.setup.foreign_input import InputOptions, as_rgb, find_preprocessing, flip_first
from convolve.tasks.trained_network import best_weights
from convolve.training.recipe import Recipe
from convolve.training.run import DEFINITION, open_run, recipe_to_build
from convolve.values import Preprocessing

PHOTOGRAPH = 96
"""From this median shorter side on, color images count as photographs."""


@dataclass(frozen=True)
class StartingWeights:
    """Tensors by name, the channels of the images that they are for, those images' preprocessing if it is known, where
    they come from, the run that they belong to, if any, and the design that they were trained with. Of another
    program's network the ``layers`` are given, in several orders.
    """

    state: Mapping[str, Tensor]
    channels: int
    preprocessing: Preprocessing | None
    source: str
    run: Path | None = None
    layers: Sequence[Sequence[Unit]] = ()
    design: Design = field(default_factory=Design)

    def load(self, network: Network) -> str:
        """Load what fits, and say what that is. Raises `WeightsError`."""
        if self.layers:
            return load_by_order(network, self.layers)
        if NUMBERS in self.state:
            return load_numbers(network, self.state[NUMBERS], self.source)
        try:
            return self._load_by_name(network)
        except WeightsError:
            if self.run is not None or not self.state:
                raise
            with suppress(WeightsError):  # under names of its own, perhaps; else the names are what is wrong
                return load_by_order(network, [units_by_name(self.state)])
            raise

    def fits_head(self, name: str) -> bool:
        """Whether they are of the head of a network too, and not of its stages or its classifier alone; where the head
        has no weights, whether they are of all layers.
        """
        with torch.device("meta"):
            network = models.create(name, design=self.design)
            classifier = models.create(network.card.classifier) if network.card.classifier else None
        own, layers = dict(network.named_parameters()), self.layers
        if not layers:
            state: Mapping[str, Tensor] = {}
            with suppress(WeightsError):
                darknet = NUMBERS in self.state
                state = darknet_state(network, self.state[NUMBERS], self.source) if darknet else self.state
                state = translate(network, state, rename)
            fitting = {key for key, value in state.items() if key in own and value.shape == own[key].shape}
            if fitting:
                others = translate(network, classifier.state_dict(), rename) if classifier else {}
                head = {key for key in own if key.startswith("head.") and key not in others}
                return not fitting.isdisjoint(head) if head else fitting == own.keys()
            layers = [units_by_name(self.state)]
        return len(layers[0]) >= sum("weight" in unit.tensors for unit in units_in(network))

    def _load_by_name(self, network: Network) -> str:
        state = translate(network, self.state, rename)
        initialized = load_weights(network, state)
        layers = {name.rpartition(".")[0] for name in initialized}
        if library_of(network.card.name) and len(layers) == 1:
            # Libraries initialize for a thousand classes: with few, scores would begin so large that a head on frozen
            # stages hardly learns. A single new layer learns as well from zeros (Kolesnikov et al. 2020, BiT).
            with torch.no_grad():
                for name in initialized:
                    network.get_parameter(name).zero_()
            return f"initialized with zeros: {', '.join(initialized)}"
        if not inherited_layers(network, state):
            return f"randomly initialized: {', '.join(initialized)}" if initialized else "all of them fit"
        loaded = [name for name in network.state_dict() if name not in initialized and name.endswith(".weight")]
        inherited = ", ".join(name.split(".")[-2] for name in loaded)
        return (
            f"of a shallower network; {inherited} are loaded as in the paper, the other layers are randomly initialized"
        )


def as_trained(recipe: Recipe, start: StartingWeights) -> tuple[Recipe, dict[str, str]]:
    """A recipe whose input and design of the network are those of the run whose weights it starts from, if any, where
    the recipe says nothing of them, and the reasons. Raises `WeightsError` for a design that the weights do not fit.
    """
    reasons: dict[str, str] = {}
    if start.run and start.preprocessing is not None:
        names = [name for name in ("size", "fit") if getattr(recipe, name) is None]
        inherits = start.preprocessing.permutation is not None and recipe.task in (None, "classify")
        if inherits and recipe.task_options.get("permute") is None:
            recipe = replace(recipe, task_options={**recipe.task_options, "permute": True})
            names.append("permute")
        names += [name for name in given(start.design) if getattr(recipe.design, name) is None]
        reasons = dict.fromkeys(names, f"as {start.run} was trained")
        own = Recipe(size=start.preprocessing.height, fit=start.preprocessing.fit, design=start.design)
        recipe = merge(own, recipe)
    return recipe, reasons | _check_design(recipe.design, start)


def _check_design(design: Design, start: StartingWeights) -> dict[str, str]:
    """What to say of a design that weights were not trained with, by its fields' names. Raises `WeightsError` where
    they cannot be loaded into such a network.
    """
    shapes, function = differences(design, start.design)
    if design.initializer:
        raise WeightsError(
            f"--initializer draws new weights in place of those of {start.source}; leave it out, or start without "
            "weights with --weights none."
        )
    if shapes:
        raise WeightsError(
            f"The weights of {start.source} are not for a network with {flags(design, shapes)}; leave that out, or "
            "start without weights with --weights none."
        )
    return dict.fromkeys(function, "although the weights were trained without it")


def with_official_weights(
    recipe: Recipe, card: Card, facts: ImageFacts, listener: Listener
) -> tuple[Recipe, StartingWeights | None]:
    """A recipe that starts from official weights, and these, where images are photographs and the weights can be had.

    Raises `WeightsError`.
    """
    photographs = facts.channels == 3 and facts.shorter_side >= PHOTOGRAPH
    if photographs and recipe.design != Design() and not fits_published(recipe.design):
        changed = flags(recipe.design)
        listener(Message(f"{card.name} starts from random weights, since the official ones are not for {changed}."))
        return recipe, None
    if not photographs or not fetch_official_weights(card.name, listener):
        return recipe, None
    found = find_starting_weights(IMAGENET, card.name, listener)
    found = replace(found, source=f"pretrained, since the images are photographs; {found.source}")
    return replace(recipe, transfer=replace(recipe.transfer, weights=IMAGENET)), found


def find_starting_weights(weights: str, network: str, listener: Listener = silent) -> StartingWeights:
    """The weights that ``--weights`` names. Raises `WeightsError`, and `RunError` for a folder that is no ended run."""
    if weights == IMAGENET:
        found = imagenet_weights(models.card(network).classifier or network, listener)
        return StartingWeights(found.state, found.preprocessing.channels, found.preprocessing, found.source)
    if weights == COCO:
        found = coco_weights(network, listener)
        return StartingWeights(found.state, found.preprocessing.channels, found.preprocessing, found.source)
    path = Path(weights)
    if path.is_dir():
        run = open_run(path)
        preprocessing = run.manifest.preprocessing
        file = recipe_to_build(run).network or ""
        if file.endswith(DEFINITION) and not network.endswith(".json"):
            definition = read_definition(file)
            state = name_after_layers(definition, best_weights(run))
            layers = [units_of(definition, state, order) for order in orders(definition)]
            return StartingWeights(state, preprocessing.channels, preprocessing, str(path), path, layers)
        design = inherited(run.recipe.design)
        return StartingWeights(best_weights(run), preprocessing.channels, preprocessing, str(path), path, design=design)
    if is_foreign(path):
        return _of_another_program(path)
    state = read_weights(path)
    card = models.card(network)
    if NUMBERS in state:
        return StartingWeights(state, card.input[0], preprocessing_of(card), str(path))
    stated = stated_preprocessing(card.classifier or card.name, state)
    if stated:
        known = stated.preprocessing
        return StartingWeights(state, known.channels, known, f"{path}; {stated.remark}")
    return StartingWeights(state, _channels_read(state, network), None, str(path))


def fetch_official_weights(network: str, listener: Listener) -> bool:
    """Whether a network's official ImageNet weights are on this machine now: fetched, unless they were here. Where they
    cannot be, the listener is told why, and what to expect of a training without them. Raises `WeightsError` where
    their file is damaged.
    """
    file = official_file(models.card(network).classifier or network)
    if file is None:
        return False
    try:
        if find_file(file) is None:
            fetch_file(file, listener, f"; --weights none or {OFFLINE}=1 trains without these weights")
    except OSError as error:
        listener(
            Message(
                f"{network} starts from random weights, since the official ones are not on this machine and cannot be "
                f"fetched ({error}): of a few hundred photographs it then learns far less; put {file.name} into a "
                f"folder that {FOLDERS} names, or give --weights none to train without them."
            )
        )
        return False
    return True


def _of_another_program(path: Path) -> StartingWeights:
    """Those of a file of Caffe, Torch7 or Keras, for images whose red comes first."""
    options = InputOptions()
    foreign = read_values([path])
    definition, tensors = foreign.definition, foreign.tensors
    if definition is None:
        source, channels = source_of(path), _channels_of(tensors)
        tensors = flip_first(tensors) if options.is_bgr(source, channels) else tensors
        layers = [units_by_name(tensors, EPS[source])]
        shape, classes = (channels, 1, 1), len(next(iter(layers[0][-1].tensors.values()), ()))
    else:
        source, shape, classes = definition.source, definition.input, layer_shapes(definition)[-1][0]
        tensors = as_rgb(definition, tensors) if options.is_bgr(source, shape[0]) else tensors
        layers = [units_of(definition, tensors, order) for order in orders(definition)]
    known, notes = find_preprocessing(source, shape, classes, foreign.preprocessing, options)
    notes += ["convert the file first where that is not so"] if notes else []
    return StartingWeights(tensors, known.channels, known, "; ".join([str(path), *notes]), layers=layers)


def _channels_of(tensors: Mapping[str, Tensor]) -> int:
    """What the first convolution in the order of the file reads."""
    return next((value.shape[1] for value in tensors.values() if value.ndim == 4), 3)


def _channels_read(state: Mapping[str, Tensor], name: str) -> int:
    """What a network's first convolution reads by these weights, whatever their order."""
    with torch.device("meta"):
        network = models.create(name)
    first = next((key for key, value in network.named_parameters() if value.ndim == 4), "")
    with suppress(WeightsError):
        state = translate(network, state, rename)
    return state[first].shape[1] if first in state else _channels_of(state)
