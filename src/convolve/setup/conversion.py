"""A run from a network that another program trained: it predicts, and has neither data nor a training of its own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from convolve import models
from convolve.choices import NETWORK_FILES
from convolve.errors import OptionError, WeightsError
from convolve.interop import mtcnn
from convolve.interop.canon import find_restoration, find_twin, load_definition
from convolve.interop.darknet import ALL_FIT, NUMBERS, load_numbers, preprocessing_of
from convolve.interop.foreign_files import EPS, kind_of, read_foreign, read_values, source_of
from convolve.interop.foreign_network import ForeignNetwork
from convolve.interop.matching import ALL_BY_ORDER, load_by_order, orders, units_by_name, units_of
from convolve.interop.weights import read_weights, rename, stated_preprocessing
from convolve.models import Network
from convolve.models.definition import NetworkDefinition
from convolve.models.graph_file import definition_text, layer_shapes, scores_of
from convolve.models.network import OUTPUT_WORDS
from convolve.models.weights import load_weights
from convolve.runtime import choose, describe_machine
from convolve.setup.class_names import read_class_names
from convolve.setup.foreign_input import (
    MATLAB_LUMINANCE,
    InputOptions,
    as_rgb,
    find_preprocessing,
    flip_first,
    swap_kernel_axes,
)
from convolve.summary import count_costs
from convolve.tasks.registry import build_options, find_task, task_infos
from convolve.training.manifest import Manifest
from convolve.training.recipe import Recipe, with_lasting_paths
from convolve.training.run import DEFINITION, Run, begin_folder, save_weights, write_manifest
from convolve.untrusted.files import read_text
from convolve.values import Preprocessing

_SIDE = 48
"""Of the parts of images for restoration: a multiple of every factor."""


@dataclass(frozen=True)
class ConversionOptions:
    """What the files do not say: the ``network`` that they are of, names of its classes, its task with the options of
    that, and its input; ``swap_axes``: it was trained on images whose rows and columns were exchanged.
    """

    network: str | None = None
    classes: Path | None = None
    task: str | None = None
    swap_axes: bool = False
    input: InputOptions = field(default_factory=InputOptions)
    task_options: Mapping[str, object] = field(default_factory=dict)

    @property
    def restores(self) -> bool:
        """Whether the task says that the network gives images."""
        return self.task is not None and find_task(self.task).info.output == "restored"


@dataclass(frozen=True)
class ForeignModel:
    """A network with its weights, and how it is built again: by a name or a file, or by its ``definition``.

    ``classes`` are the names that the file has, if any; ``notes`` are sentences on what had to be assumed of its input,
    and the ``remark`` is one on the network.
    """

    network: Network
    name: str
    outputs: int
    preprocessing: Preprocessing
    source: str
    definition: NetworkDefinition | None = None
    classes: tuple[str, ...] = ()
    multi_label: bool = False
    notes: tuple[str, ...] = ()
    remark: str = ""


@dataclass(frozen=True)
class Conversion:
    """A run that was converted, the network that it has, and what had to be assumed."""

    run: Run
    network: Network
    notes: tuple[str, ...]


def convert(files: Sequence[Path], out: Callable[[], Path], options: ConversionOptions) -> Conversion:
    """The run in the folder that ``out`` gives, once all is read. Raises `ConvolveError`."""
    model = _read_model(files, options)
    network, size = model.network, model.preprocessing
    name = _name_task(files[0], network, options.task)
    fits = find_task(name).info.fits
    if options.input.fit not in (None, *fits):
        raise OptionError(f"--fit {options.input.fit} is not available for the task {name}; omit it.")
    size = size if size.fit in fits else replace(size, fit=fits[0])
    if network.card.output == "restored" and not options.input.size:  # of any size: what a training of it begins with
        size = replace(size, height=_SIDE, width=_SIDE)
    count, notes = model.outputs, list(model.notes)
    notes += ["--bgr or --no-bgr, --mean and --scale say otherwise"] if notes else []
    classes, more = _name_classes(model, options.classes)
    notes += [*more, *([model.remark] if model.remark else [])]
    task = find_task(name).of_trained(
        network,
        classes,
        multi_label=model.multi_label,
        size=size,
        options=build_options(name, "convert", options.task_options),
    )
    empty = torch.empty(1, size.channels, size.height, size.width, device="meta")
    macs = sum(count_costs(copy.deepcopy(network).to("meta"), empty).macs)
    square = size.height if size.height == size.width else None
    recipe = with_lasting_paths(Recipe(task=name, network=model.name, size=square, fit=size.fit))
    runtime = choose(macs=macs)
    manifest = Manifest(
        task=name,
        outputs=count,
        macs=macs,
        monitored=task.monitored,
        state=task.state(),
        preprocessing=size,
        runtime={
            "device": runtime.device,
            "precision": "fp32",
            "threads": runtime.threads,
            "fast_convolutions": runtime.fast_convolutions,
        },
        data={"fingerprint": "", "warnings": [], "summary": {"converted from": model.source, "classes": count}},
        machine=describe_machine(),
        reasons={},
        results={"epoch": None, "ended": f"converted from {model.source}"},
    )
    definition = model.definition or models.define(model.name, count, (size.channels, size.height, size.width))
    text = None if definition is None else definition_text(definition)
    if text is None and model.name.endswith(NETWORK_FILES):
        text = read_text(model.name)
    folder = out()
    if text is not None:  # the run needs no file but its own
        copy_name = DEFINITION if definition else f"network{Path(model.name).suffix}"
        recipe = replace(recipe, network=str(folder.resolve() / copy_name))
    begin_folder(folder, recipe, text)
    run = Run(folder, recipe, manifest)
    save_weights(run.weights, network)
    return Conversion(write_manifest(run), network, tuple(notes))


def _name_task(file: Path, network: Network, task: str | None) -> str:
    """The task that is named, or the first one for what the network gives. Raises `OptionError`."""
    names = [info.name for info in task_infos() if info.output == network.card.output]
    if task not in (None, *names):
        raise OptionError(f"{file} gives scores for {OUTPUT_WORDS[network.card.output]}, which {task} does not read.")
    return task or names[0]


def _name_classes(model: ForeignModel, file: Path | None) -> tuple[tuple[str, ...], list[str]]:
    """The names of the classes, and sentences on them; none of a network that gives images. Raises `OptionError`."""
    if model.network.card.output == "restored":
        if file:
            raise OptionError("A network for restoration has no classes; omit --classes.")
        return (), []
    if file:
        classes, note = read_class_names(file, model.outputs)
        return classes, [note] if note else []
    if model.classes:
        return model.classes, []
    names = tuple(map(str, range(model.outputs)))
    return names, [f"its classes are called 0 to {model.outputs - 1}; --classes FILE gives them names"]


def _read_model(files: Sequence[Path], options: ConversionOptions) -> ForeignModel:
    numbers = [path for path in files if path.suffix.lower() != ".prototxt"]
    if len(numbers) > 2 or options.network == mtcnn.NAME:
        return _read_cascade(numbers, options)
    if not 1 <= len(files) <= 2:
        raise OptionError(
            f"{len(files)} files are given; give one, or the two of Caffe or of Darknet, or MTCNN's three."
        )
    kinds = [kind_of(path) for path in files]
    if len({*kinds}) > 1 or (len(files) > 1 and kinds[0] not in ("caffe", "darknet")):
        raise OptionError(f"{files[0]} and {files[-1]} are not the two files of one network; give one of them.")
    if kinds[0] == "darknet":
        return _read_darknet(files, options)
    if kinds[0] == "tensors":
        return _read_tensors(files[0], options)
    return _read_definition(files, options)


def _read_cascade(files: Sequence[Path], options: ConversionOptions) -> ForeignModel:
    if replace(options, network=None, task=None) != ConversionOptions() or options.network not in (None, mtcnn.NAME):
        raise OptionError(
            "The files are taken for MTCNN's, whose input and classes are known; omit all options but --out."
        )
    network, source = mtcnn.read_cascade(files)
    _, height, width = network.card.input
    size = Preprocessing(height, width, 3, "letterbox", (mtcnn.MEAN,) * 3, (mtcnn.STD,) * 3)
    remark = f"images are read in their own size, not in {height}x{width}"
    return ForeignModel(network, mtcnn.NAME, 1, size, source, classes=("face",), remark=remark)


def _read_darknet(files: Sequence[Path], options: ConversionOptions) -> ForeignModel:
    descriptions = [path for path in files if path.suffix.lower() == ".cfg"]
    numbers = [path for path in files if path not in descriptions]
    if len(numbers) != 1:
        raise OptionError(f"{files[0]} holds no weights; give the .weights file too.")
    name = str(descriptions[0]) if descriptions else options.network
    if name is None:
        raise OptionError(f"{files[0]} holds numbers alone; give its .cfg too, or name the --network that they are of.")
    card = models.card(name)
    shape = options.input.size or card.input
    network = models.create(name, channels=shape[0], size=shape[1:])
    loaded = load_numbers(network, read_weights(numbers[0])[NUMBERS], str(numbers[0]))
    if loaded != ALL_FIT:
        raise WeightsError(f"{numbers[0]} has the weights of {loaded}; give the .cfg that they were trained with.")
    usual = preprocessing_of(card)
    size, notes = find_preprocessing("Darknet", shape, card.classes, usual, options.input)
    size = replace(size, fit=options.input.fit or usual.fit)
    return ForeignModel(network, name, card.classes, size, f"{numbers[0].name} (Darknet)", notes=tuple(notes))


def _read_tensors(file: Path, options: ConversionOptions) -> ForeignModel:
    state = read_weights(file)
    if options.network is None:
        raise OptionError(
            f"{file} holds tensors by name; say with --network which network they are of, such as torchvision/resnet18."
        )
    card = models.card(options.network)
    shape = options.input.size or card.input
    try:
        network, count = _load_by_name(options.network, state, card.classes, shape)
    except WeightsError as error:  # under other names, perhaps
        layers = units_by_name(state)
        count = len(next(iter(layers[-1].tensors.values()), ())) if layers else card.classes
        network = models.create(options.network, max(count, 1), shape[0], shape[1:])
        try:
            loaded = load_by_order(network, [layers])
        except WeightsError:
            loaded = ""
        if loaded != ALL_BY_ORDER:
            raise WeightsError(f"{file}: {error}") from error
    stated = stated_preprocessing(card.name, state)
    known = stated.preprocessing if stated else None
    size, notes = find_preprocessing("PyTorch", shape, count, known, options.input)
    if stated:
        size = replace(size, fit=options.input.fit or stated.preprocessing.fit)
        notes += [] if options.input.mean or options.input.scale else [stated.remark]
    return ForeignModel(network, options.network, count, size, f"{file.name} (PyTorch)", notes=tuple(notes))


def _load_by_name(
    name: str, state: Mapping[str, Tensor], classes: int, shape: tuple[int, int, int]
) -> tuple[Network, int]:
    """The network with all of the tensors, and the number of its classes. Raises `WeightsError`."""
    network = models.create(name, classes, shape[0], shape[1:])
    own, renamed = network.state_dict(), rename(network, state)
    last = [key for key in own if key.startswith("head.") and key in renamed][-1:]
    if last and len(renamed[last[0]]) != len(own[last[0]]):
        classes = len(renamed[last[0]])
        network = models.create(name, classes, shape[0], shape[1:])
        renamed = rename(network, state)
    missing = load_weights(network, renamed)
    if missing:
        raise WeightsError(f"The weights lack '{missing[0]}' of {name}; they belong to another network.")
    return network, classes


def _read_values(file: Path, foreign: ForeignNetwork, options: ConversionOptions) -> ForeignModel:
    """The network that a person names, with the values of a file by their order and shapes."""
    if options.network is None:
        raise OptionError(
            f"{file} holds values without their network; say with --network which network they are of, such as vgg16."
        )
    card, source = models.card(options.network), source_of(file)
    shape = options.input.size or card.input
    bgr = options.input.is_bgr(source, shape[0])
    tensors = flip_first(foreign.tensors) if bgr else foreign.tensors
    layers = units_by_name(tensors, EPS[source])
    if foreign.definition is not None:
        layers = units_of(foreign.definition, tensors, next(orders(foreign.definition)))
    count = len(next(iter(layers[-1].tensors.values()))) if layers else card.classes
    network = models.create(options.network, count, shape[0], shape[1:])
    loaded = load_by_order(network, [layers])
    if loaded != ALL_BY_ORDER:
        raise WeightsError(f"{file} has the weights of {loaded}; name the --network that they are of.")
    size, notes = find_preprocessing(source, shape, count, foreign.preprocessing, options.input)
    return ForeignModel(network, options.network, count, size, f"{file.name} ({source})", notes=tuple(notes))


def _read_definition(files: Sequence[Path], options: ConversionOptions) -> ForeignModel:
    image = options.input.size
    foreign = read_foreign(files, image) if options.network is None else read_values(files, image)
    definition, tensors = foreign.definition, dict(foreign.tensors)
    name = str(files[0])
    if definition is None or options.network is not None:
        return _read_values(files[0], foreign, options)
    if not tensors:
        raise WeightsError(f"{name} describes a network without its weights; give the .caffemodel too.")
    if options.input.size:
        definition = replace(definition, input=options.input.size)
    if options.swap_axes:
        definition, tensors = swap_kernel_axes(definition, tensors)
    if options.restores:
        return _read_restoration(files, definition, tensors, options)
    if _gives_gray_image(definition):
        raise OptionError(f"{name} gives an image of one channel; say --task restore, and what it undoes: --upscale 2.")
    scores = scores_of(name, definition)
    if options.input.is_bgr(definition.source, definition.input[0]):
        tensors = as_rgb(definition, tensors)
    size, notes = find_preprocessing(
        definition.source, definition.input, scores.classes, foreign.preprocessing, options.input
    )
    network = load_definition(name, definition, tensors)
    source = f"{' and '.join(path.name for path in files)} ({definition.source})"
    classes = foreign.classes if len(foreign.classes) == scores.classes else ()
    model = ForeignModel(
        network, name, scores.classes, size, source, definition, classes, scores.multi_label, tuple(notes)
    )
    twin = find_twin(definition, tensors, network) if network.card.output == "image" else None
    if twin is None:
        return model
    own = twin.network.card.name
    if not twin.equal:
        apart = f"by up to {twin.difference:.2g} of the largest"
        note = f"it has the layers of {own}, but gives other outputs ({apart}), and is kept as the file has it"
        return replace(model, remark=note)
    return replace(model, network=twin.network, name=own, definition=None)


def _gives_gray_image(definition: NetworkDefinition) -> bool:
    index = {layer.name: number for number, layer in enumerate(definition.layers)}
    shape, image = layer_shapes(definition)[index[definition.outputs[0]]], definition.input
    return (
        len(definition.outputs) == 1
        and len(shape) == 3
        and shape[0] == image[0] == 1
        and shape[1:] >= image[1:] > (1, 1)
    )


def _read_restoration(
    files: Sequence[Path], definition: NetworkDefinition, tensors: Mapping[str, Tensor], options: ConversionOptions
) -> ForeignModel:
    """The network of ours for restoration that computes what the file's does. Raises `WeightsError`, `OptionError`."""
    if options.input.is_bgr(definition.source, definition.input[0]):
        raise OptionError("A network that gives images is converted where red comes first in them; say so by --no-bgr.")
    network = find_restoration(str(files[0]), definition, tensors)
    card, source = network.card, f"{' and '.join(path.name for path in files)} ({definition.source})"
    channels = card.input[0]
    usual = Preprocessing(_SIDE, _SIDE, channels, "tiles", (0.0,) * channels, (1.0,) * channels)
    note = "pixels are taken from 0 to 1, without a mean, as the file does not say how"
    if channels == 1:
        usual = replace(usual, mean=MATLAB_LUMINANCE[:1], std=MATLAB_LUMINANCE[1:])
        note = "the network is taken to see Y from 16 to 235 as MATLAB's rgb2ycbcr gives it, over 255"
    size, _ = find_preprocessing(definition.source, card.input, card.classes, usual, options.input)
    size = replace(size, fit=options.input.fit or usual.fit)
    notes = () if options.input.mean or options.input.scale else (note,)
    return ForeignModel(network, card.name, card.classes, size, source, notes=notes)
