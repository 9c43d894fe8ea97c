"""The weights that a training starts from: official ones, those of a run, or of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from convolve import models
from convolve.errors import RunError, WeightsError
from convolve.files import shell_quote
from convolve.interop.darknet import NUMBERS, load_numbers, preprocessing_of
from convolve.interop.foreign_files import is_foreign, read_foreign
from convolve.interop.matching import chain_of, load_by_order
from convolve.interop.weights import imagenet_weights, read_weights, rename
from convolve.models import Network
from convolve.models.definition import NetworkDefinition
from convolve.models.graph_file import layer_shapes, name_after_layers, read_definition
from convolve.models.weights import inherited_layers, load_weights, translate
from convolve.setup.foreign_input import InputOptions, as_rgb, find_preprocessing
from convolve.training.run import DEFINITION, WEIGHTS, Run, check_file, open_run, recipe_to_build
from convolve.values import Preprocessing


@dataclass(frozen=True)
class StartingWeights:
    """Tensors by name, the channels of the images that they are for, those images' preprocessing if it is known, where
    they come from, and the run that they belong to, if any. Of another program's network, whose ``definition`` is
    given, tensors are named after its layers.
    """

    state: Mapping[str, Tensor]
    channels: int
    preprocessing: Preprocessing | None
    source: str
    run: Path | None = None
    definition: NetworkDefinition | None = None

    def load(self, network: Network) -> str:
        """Load what fits, and say what that is. Raises `WeightsError`."""
        if self.definition is not None:
            return load_by_order(network, self.definition, self.state)
        if NUMBERS in self.state:
            return load_numbers(network, self.state[NUMBERS])
        state = translate(network, self.state, rename)
        initialized = load_weights(network, state)
        if not inherited_layers(network, state):
            return f"randomly initialized: {', '.join(initialized)}" if initialized else "all of them fit"
        loaded = [name for name in network.state_dict() if name not in initialized and name.endswith(".weight")]
        layers = ", ".join(name.split(".")[-2] for name in loaded)
        return f"of a shallower network; {layers} are loaded as in the paper, the other layers are randomly initialized"


def find_starting_weights(weights: str, network: str) -> StartingWeights:
    """The weights that ``--weights`` names. Raises `WeightsError`, and `RunError` for a folder that is no ended run."""
    if weights == "imagenet":
        found = imagenet_weights(models.card(network).classifier or network)
        return StartingWeights(found.state, found.preprocessing.channels, found.preprocessing, found.source)
    path = Path(weights)
    if path.is_dir():
        run = open_run(path)
        preprocessing = run.manifest.preprocessing
        file = recipe_to_build(run).network or ""
        if file.endswith(DEFINITION) and not network.endswith(".json"):
            definition = read_definition(file)
            state = name_after_layers(definition, best_weights(run))
            return StartingWeights(state, preprocessing.channels, preprocessing, str(path), path, definition)
        return StartingWeights(best_weights(run), preprocessing.channels, preprocessing, str(path), path)
    if is_foreign(path):
        return _of_another_program(path)
    state = read_weights(path)
    known = preprocessing_of(models.card(network)) if NUMBERS in state else None
    channels = known.channels if known else next((each.shape[1] for each in state.values() if each.ndim == 4), 3)
    return StartingWeights(state, channels, known, str(path))


def _of_another_program(path: Path) -> StartingWeights:
    """Those of a file of Caffe, Torch7 or Keras, for images whose red comes first."""
    foreign = read_foreign([path])
    definition, tensors, options = foreign.definition, foreign.tensors, InputOptions()
    if definition is None:
        layers = chain_of(path.stem, tensors)
        return StartingWeights(tensors, layers.input[0], None, str(path), definition=layers)
    channels = definition.input[0]
    if options.is_bgr(definition.source, channels):
        tensors = as_rgb(definition, tensors)
    classes = layer_shapes(definition)[-1][0]
    known, notes = find_preprocessing(definition.source, definition.input, classes, foreign.preprocessing, options)
    return StartingWeights(tensors, channels, known, "; ".join([str(path), *notes]), definition=definition)


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
