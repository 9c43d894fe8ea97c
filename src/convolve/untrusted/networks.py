"""Networks in files that OpenVINO reads: its own (`.xml` and `.bin`), ONNX, TensorFlow Lite and TensorFlow's graphs.

OpenVINO runs no code of a file. What it raises becomes one `ValueError`.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from convolve.errors import ExportError

_TELEMETRY, _CONVERTER = "openvino_telemetry", "openvino.tools.ovc"


def openvino() -> ModuleType:
    """OpenVINO, which reports nothing to anybody. Raises `ExportError` where it is not installed.

    Its own import would send an event over the network: without the package that does so, which is hidden from it, it
    cannot. Its converter of other libraries' networks, whose import takes longer than all the rest, can be imported
    by its own name later.
    """
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # as Python has it for a module that is not there
    hidden = _CONVERTER not in sys.modules
    if hidden:
        sys.modules[_CONVERTER] = None  # type: ignore[assignment]
    try:
        import openvino as library
    except ImportError as error:
        raise ExportError("openvino is not installed; run `pip install 'convolve[export]'`.") from error
    finally:
        if hidden:
            del sys.modules[_CONVERTER]
    module: ModuleType = library
    return module


def openvino_core() -> Any:
    """OpenVINO's core, one for the whole process. Raises `ExportError` where it is not installed.

    With the first network that it compiles for the processor, it gives the thread a stack for signals, and frees that
    with the core. Where another thread lets go of the core last, the first one keeps the freed stack, and its next
    signal, such as Ctrl-C, is a segmentation fault.
    """
    return _core_of(openvino())


@cache
def _core_of(library: ModuleType) -> Any:
    return library.Core()


def read_network(path: Path) -> Any:
    """The graph of a file. Raises `ValueError`, and `ExportError` where OpenVINO is not installed."""
    core = openvino_core()
    try:
        return core.read_model(path)
    except RuntimeError as error:
        raise ValueError(reason_of(error)) from error


def reason_of(error: Exception) -> str:
    """What OpenVINO says, without the places in its own source that it names first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "OpenVINO gives no reason"
