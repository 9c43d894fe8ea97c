"""The libraries that exporting needs, imported when they are needed and without a connection to anywhere."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from convolve.errors import ExportError


def load_library(name: str) -> Any:
    """A module of the extra `export`. Raises `ExportError` where it is not installed.

    OpenVINO and NNCF would report their use by `openvino_telemetry`; without that module they report nothing.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # so that importing it fails
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        library = name.partition(".")[0]
        if error.name != library:
            raise
        raise ExportError(f"{library} is not installed; run `pip install 'convolve[export]'`.") from error
