"""How much code runs between `convolve train` and the first loss: few functions in few files, and no report."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.tasks.segment.small import folder
from tests.verbs.synthetic import folders

MOST = 150, 30
"""Functions and files, apart from those that read images and those of the network."""
MOST_IN_ALL = {"classify": (262, 55), "segment": (326, 66)}
"""Today's numbers, so that they do not grow: `datasets` alone finds, reads, checks, splits and caches images in more
than 120 functions.
"""
_APART = ("datasets/", "models/", "layers/")
_TRACE = """
import inspect, json, os, sys, threading

def record(frame, event, argument):
    code = frame.f_code
    if event != "call" or home not in code.co_filename:
        return
    # Comprehensions, lambdas and modules are called `<...>`; the body of a class is not optimized.
    if code.co_name.startswith("<") or not code.co_flags & inspect.CO_OPTIMIZED or is_import(frame):
        return
    path = code.co_filename.partition(home)[2]
    functions.setdefault((path, code.co_firstlineno), code.co_qualname)
    if code.co_name == "loss":
        modules = [name for name in sys.modules if name.startswith("convolve.")]
        names = [[path, name] for (path, _), name in functions.items()]
        sys.__stdout__.write(json.dumps({"functions": names, "modules": modules}))
        sys.__stdout__.flush()
        os._exit(0)

def is_import(frame):
    while frame is not None:
        if frame.f_code.co_name == "<module>" and home in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False

home, functions = os.path.join("src", "convolve") + os.sep, {}
threading.setprofile(record)
sys.setprofile(record)
from convolve.cli import main
main()
"""


@pytest.mark.parametrize(("task", "network"), [("classify", "lenet5_keras"), ("segment", "fcn1s_resnet20_cifar")])
def test_from_the_command_to_the_first_loss(task: str, network: str, tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"a": 12, "b": 12}) if task == "classify" else folder(tmp_path / "data", 12)
    words = ["train", str(data), "--network", network, "--size", "32", "--out", str(tmp_path / "run"), "--json"]
    done = subprocess.run([sys.executable, "-c", _TRACE, *words], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    functions = [tuple(entry) for entry in found["functions"]]
    assert {("verbs/train.py", "run"), ("setup/prepare.py", "prepare"), ("training/step.py", "step")} <= set(functions)
    everything = Counter(file for file, _ in functions)
    own = Counter({file: count for file, count in everything.items() if not file.startswith(_APART)})
    for files, (most, most_files) in ((own, MOST), (everything, MOST_IN_ALL[task])):
        assert files.total() <= most, files.most_common()
        assert len(files) <= most_files, sorted(files)
    early = [name for name in found["modules"] if name.startswith(("convolve.reports", "convolve.explainers"))]
    assert early == []
