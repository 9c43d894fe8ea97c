"""The weights that a training starts from: official ones, those of a run, or of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from convolve import models
from convolve.choices import IMAGENET
from convolve.errors import RunError, WeightsError
from convolve.files import shell_quote
from convolve.interop.darknet import NUMBERS, load_numbers, preprocessing_of
from convolve.interop.foreign_files import EPS, is_foreign, read_values, source_of
from convolve.interop.matching import Unit, load_by_order, orders, units_by_name, units_of
from convolve.interop.official_files import FOLDERS, OFFLINE, fetch_file, find_file
from convolve.interop.timm import efficientnet_preprocessing, is_efficientnet_pytorch
from convolve.interop.weights import imagenet_weights, official_file, read_weights, rename
from convolve.models import Network
from convolve.models.foreign import library_of
from convolve.models.graph_file import layer_shapes, name_after_layers, read_definition
from convolve.models.weights import inherited_layers, load_weights, translate
from convolve.progress import Listener, Message, silent
from convolve.setup.foreign_input import InputOptions, as_rgb, find_preprocessing, flip_first
from convolve.training.run import DEFINITION, WEIGHTS, Run, check_file, open_run, recipe_to_build
from convolve.values import Preprocessing


@dataclass(frozen=True)
class StartingWeights:
    """Tensors by name, the channels of the images that they are for, those images' preprocessing if it is known, where
    they come from, and the run that they belong to, if any. Of another program's network the ``layers`` are given, in
    several orders.
    """

    state: Mapping[str, Tensor]
    channels: int
    preprocessing: Preprocessing | None
    source: str
    run: Path | None = None
    layers: Sequence[Sequence[Unit]] = ()

    def load(self, network: Network) -> str:
        """Load what fits, and say what that is. Raises `WeightsError`."""
        if self.layers:
            return load_by_order(network, self.layers)
        if NUMBERS in self.state:
            return load_numbers(network, self.state[NUMBERS])
        try:
            return self._load_by_name(network)
        except WeightsError:
            if self.run is not None or not self.state:
                raise
            with suppress(WeightsError):  # under names of its own, perhaps; else the names are what is wrong
                return load_by_order(network, [units_by_name(self.state)])
            raise

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


def find_starting_weights(weights: str, network: str, listener: Listener = silent) -> StartingWeights:
    """The weights that ``--weights`` names. Raises `WeightsError`, and `RunError` for a folder that is no ended run."""
    if weights == IMAGENET:
        found = imagenet_weights(models.card(network).classifier or network, listener)
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
        return StartingWeights(best_weights(run), preprocessing.channels, preprocessing, str(path), path)
    if is_foreign(path):
        return _of_another_program(path)
    state = read_weights(path)
    card, known = models.card(network), None
    if NUMBERS in state:
        known = preprocessing_of(card)
    elif is_efficientnet_pytorch(state):
        known = efficientnet_preprocessing(card.name, *card.input[1:])
    channels = known.channels if known else next((each.shape[1] for each in state.values() if each.ndim == 4), 3)
    return StartingWeights(state, channels, known, str(path))


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
    return next((value.shape[1] for value in tensors.values() if value.ndim == 4), 3)


def best_weights(run: Run) -> Mapping[str, Tensor]:
    """The weights of a run's best epoch. Raises `RunError` where the training has not ended or the file is damaged."""
    begun = bool(run.digests) and WEIGHTS not in run.digests
    if begun or not run.weights.is_file():
        command = f"convolve train --resume {shell_quote(run.folder)}"
        raise RunError(f"{run.folder} has not ended its training; continue with `{command}`.")
    try:
        return read_weights(check_file(run, WEIGHTS))
    except WeightsError as error:
        raise RunError(f"{run.weights} is damaged; restore it from a backup or train again.") from error
