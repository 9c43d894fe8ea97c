"""OpenVINO in a process that goes on after it."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import os, signal, threading
import numpy as np
from convolve.untrusted.networks import openvino, openvino_core

ops = openvino().opset15
images = ops.parameter([1, 3], np.float32)
compiled = [openvino_core().compile_model(openvino().Model([ops.relu(images)], [images], "relu"), "CPU")]
thread = threading.Thread(target=compiled.clear)
thread.start()
thread.join()
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_network_that_another_thread_lets_go_of_leaves_signals_as_they_were() -> None:
    """With a core that dies there, the process dies of a segmentation fault in place of the interruption."""
    pytest.importorskip("openvino")
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
