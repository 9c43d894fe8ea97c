"""A network as a program of PyTorch's: traced once, for images of any number and, if need be, of any size."""

from __future__ import annotations

import copy
import warnings

import torch
from torch.export import Dim, ExportedProgram

from convolve.errors import ExportError
from convolve.interop.exportable import Exportable
from convolve.values import Preprocessing

_EXAMPLES = 2  # of a single one the program would take the number for fixed


def trace_program(part: Exportable, preprocessing: Preprocessing) -> ExportedProgram:
    """The program of a task's module, in evaluation mode, in fp32. Raises `ExportError` where it depends on the values
    that it computes.
    """
    dynamic = {0: Dim.DYNAMIC} | ({2: Dim.DYNAMIC, 3: Dim.DYNAMIC} if part.any_size else {})
    images = torch.zeros(_EXAMPLES, preprocessing.channels, preprocessing.height, preprocessing.width)
    module = copy.deepcopy(part.module).cpu().to(memory_format=torch.contiguous_format).eval()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.export(module, (images,), dynamic_shapes=(dynamic,), strict=False)
    except Exception as error:  # the tracer raises anything
        first = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise ExportError(f"The network cannot be exported: {first}; export a run of another network.") from error
