"""`convolve export`: a run's network as files that need nothing of convolve."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from convolve.command import Command
from convolve.errors import OptionError
from convolve.options import Flat, PathLike
from convolve.progress import Listener
from convolve.setup.runtime_options import RuntimeOptions

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.exports.card import ExportCard

_TOLERANCE = 0.02
_MAX_DROP = 1.0


@dataclass(frozen=True)
class Export:
    """Export a trained network with everything before and after it, once its answers are known to be the run's."""

    run: Path
    """Folder of the run."""
    _: KW_ONLY
    out: Annotated[Path, Parameter(alias="-o")]
    """Folder to write."""
    to: Literal["openvino", "onnx", "torch"] = "openvino"
    """Format: `openvino`; `onnx`; or `torch`, weights under the names of torchvision or timm, or a PyTorch program."""
    int8: bool = False
    """Quantize the network to 8 bits, where that is faster here and accurate enough."""
    max_drop: float = _MAX_DROP
    """Points by which the headline metric may fall with `--int8`; 1 by default."""
    tolerance: float = _TOLERANCE
    """Fraction of the answers that may differ from the run's; 0.02 by default."""
    data: Annotated[str | None, PathLike()] = None
    """Images to compare and measure on, with the run's classes; by default the run's validation images."""
    runtime: Annotated[RuntimeOptions, Flat, Parameter(group="Runtime")] = field(default_factory=RuntimeOptions)


@dataclass(frozen=True)
class Exported:
    """The ``folder`` and its ``card``."""

    folder: Path
    card: ExportCard

    def as_json(self) -> dict[str, Any]:
        """`folder`, and what `card.json` holds."""
        from convolve.untrusted.documents import parse_json

        card: dict[str, Any] = parse_json(self.card.to_json())
        return {"folder": str(self.folder), **card}


def run(options: Export, listener: Listener) -> Exported:
    """Export. Raises `OptionError`, `ExportError` where a gate stays shut, `RunError`, and `DataError` where the data
    does not fit.
    """
    from convolve.verbs.export.writing import write_export

    if not 0 <= options.tolerance <= 1:
        raise OptionError(f"tolerance cannot be {options.tolerance}; it must be a number from 0 to 1.")
    if not 0 <= options.max_drop <= 100:
        raise OptionError(f"max_drop cannot be {options.max_drop}; it must be a number from 0 to 100.")
    if options.int8 and options.to != "openvino":
        raise OptionError(f"--int8 needs --to openvino; omit it for {options.to}.")
    return Exported(options.out, write_export(options, listener))


def render(result: Exported) -> Iterator[RenderableType]:
    """What was measured, and where the export is."""
    from convolve.verbs.export.console import card_lines

    yield from card_lines(result.card)
    yield f"export  {result.folder}"


COMMAND = Command(Export, run, render)
