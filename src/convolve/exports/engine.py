"""What runs an export: its network, opened by OpenVINO, for one image at once or for many in asynchronous requests.

A compiled network is not kept on disk: OpenVINO's cache saves 0.04 of the 0.1 seconds that LeNet takes, and none of
what takes longest with a large network, the preparation of its weights with the first image.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, final

import numpy as np
import numpy.typing as npt

from convolve import processor
from convolve.choices import Precision
from convolve.errors import ExportError, OptionError
from convolve.exports.card import ExportCard, check_file
from convolve.untrusted.networks import openvino_core, read_network, reason_of
from convolve.values import Pixels

Outputs = Mapping[str, npt.NDArray[Any]]
Item = TypeVar("Item")
Work = Literal["one", "many"]
"""Whether images come one by one and each answer is waited for, or many in a row."""
INPUT: Final = "images"
TIMED_BATCH: Final = 16
"""Images in the batch whose speed is told to people, as of a run's network."""
_ROUNDS, _ENOUGH_SECONDS = 5, 2.0
_HINTS: Final = {"one": "LATENCY", "many": "THROUGHPUT"}


@final
@dataclass(frozen=True)
class EngineOptions:
    """What a person asks of the engine; None for what the export and the processor suggest."""

    precision: Precision | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        """Raises `OptionError`."""
        if self.precision not in (None, "fp32", "bf16"):
            raise OptionError(f"precision cannot be '{self.precision}'; it must be fp32 or bf16.")
        if self.threads is not None and self.threads < 1:
            raise OptionError(f"threads cannot be {self.threads}; give a number from 1 to {processor.CORES}.")


@final
class Engine:
    """An export's network, ready to run. ``outputs`` are the names of what leaves it; ``precision`` is the number
    format of the arithmetic.
    """

    def __init__(self, folder: Path, card: ExportCard, options: EngineOptions, work: Work = "one") -> None:
        """Raises `ExportError` where the network is damaged, is for another engine, or OpenVINO is not installed."""
        network = _open_network(folder, card)
        self._batch = network.input(INPUT).get_partial_shape()[0]
        self.outputs = tuple(output.get_any_name() for output in network.outputs)
        self.precision = choose_precision(card, options.precision)
        settings = {"PERFORMANCE_HINT": _HINTS[work], "INFERENCE_PRECISION_HINT": _TYPES[self.precision]}
        if options.threads:
            settings["INFERENCE_NUM_THREADS"] = str(options.threads)
        try:
            self._network = openvino_core().compile_model(network, "CPU", settings)
        except RuntimeError as error:
            raise ExportError(
                f"{folder} cannot be run by OpenVINO ({reason_of(error)}); export the run again."
            ) from error
        self._folder = folder
        count = self._network.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._requests = [self._network.create_infer_request() for _ in range(count)]

    @property
    def most(self) -> int | None:
        """How many images go through the network at once at most; None for any number."""
        return None if self._batch.is_dynamic else int(self._batch.get_length())

    def described_outputs(self) -> Iterator[tuple[str, np.dtype[Any], tuple[int, ...]]]:
        """The name, the number format and the shape of each output, -1 for a side of any length."""
        for name, output in zip(self.outputs, self._network.outputs, strict=True):
            sides = [-1 if side.is_dynamic else side.get_length() for side in output.get_partial_shape()]
            yield name, np.dtype(output.get_element_type().to_dtype()), tuple(sides)

    def infer(self, images: Pixels) -> Outputs:
        """What leaves the network for images (N, H, W, C), by name. Raises `ExportError`."""
        return next(self.infer_all([(None, images)]))[1]

    def infer_all(self, batches: Iterable[tuple[Item, Pixels]]) -> Iterator[tuple[Item, Outputs]]:
        """The same for each of several batches, in order, each with what came with it; the next ones are computed
        meanwhile. Raises `ExportError`.
        """
        running: deque[tuple[Item, Any, Pixels]] = deque()
        free = list(self._requests)
        for item, batch in batches:
            if not free:
                yield self._finish(*running[0])
                free.append(running.popleft()[1])
            request, images = free.pop(), np.ascontiguousarray(batch)
            running.append((item, request, images))  # which must live as long as the request reads them
            self._begin(request, images)
        while running:
            yield self._finish(*running.popleft())

    def seconds(self, shape: tuple[int, int, int], count: int) -> float:
        """Of ``count`` images of ``shape`` (height, width, channels): the median of five rounds, or of fewer where they
        are slow. One round before them is not counted.
        """
        images = np.zeros((count, *shape), np.uint8)
        part = self.most or count

        def round_trip() -> float:
            began = time.perf_counter()
            for _ in self.infer_all((None, images[start : start + part]) for start in range(0, count, part)):
                pass
            return time.perf_counter() - began

        round_trip()
        rounds = [round_trip()]
        while len(rounds) < _ROUNDS and sum(rounds) < _ENOUGH_SECONDS:
            rounds.append(round_trip())
        return statistics.median(rounds)

    def _begin(self, request: Any, images: Pixels) -> None:
        try:
            request.start_async({INPUT: images}, share_inputs=True)
        except RuntimeError as error:
            raise self._failure(images) from error

    def _finish(self, item: Item, request: Any, images: Pixels) -> tuple[Item, Outputs]:
        try:
            request.wait()
        except RuntimeError as error:
            raise self._failure(images) from error
        return item, {name: request.get_tensor(name).data.copy() for name in self.outputs}

    def _failure(self, images: Pixels) -> ExportError:
        _, height, width, _ = images.shape
        return ExportError(
            f"{self._folder} cannot be run on an image of {width}x{height} pixels; use the run itself, or leave the "
            "image out."
        )


_TYPES: Final = {"fp32": "f32", "bf16": "bf16"}


def choose_precision(card: ExportCard, requested: Precision | None = None) -> Precision:
    """The number format of the arithmetic that is not in 8 bits: what is asked for, else that in which the export was
    measured, as far as the processor is fast in it.
    """
    if requested is not None:
        return requested
    return "bf16" if card.precision != "fp32" and processor.fast_bfloat16()[0] else "fp32"


def _open_network(folder: Path, card: ExportCard) -> Any:
    if card.engine == "torch":
        raise ExportError(f"{folder} holds weights for PyTorch, which only PyTorch runs; export with --to openvino.")
    if Path(card.main).name != card.main:
        raise ExportError(f"{folder} is damaged: its network is at {card.main}, outside of it; export the run again.")
    for name in card.files:
        if Path(name).stem == Path(card.main).stem:
            check_file(folder, card, name)
    try:
        network = read_network(folder / card.main)
    except ValueError as error:
        raise ExportError(f"{folder / card.main} is damaged ({error}); export the run again.") from error
    names = {name for each in network.inputs for name in each.get_names()}
    if len(network.inputs) != 1 or INPUT not in names:
        raise ExportError(f"{folder / card.main} does not take {INPUT} alone; export the run again.")
    return network
