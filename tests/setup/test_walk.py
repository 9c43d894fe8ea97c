"""How much code a reader passes from `convolve train` to the first loss: few functions in few files, and no report."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.tasks.segment.small import folder
from tests.verbs.synthetic import folders

MOST_FUNCTIONS, MOST_FILES = 150, 40
_WALK = """
import inspect, json, os, sys, threading

def record(frame, event, argument):
    code = frame.f_code
    if event != "call" or home not in code.co_filename:
        return
    # Comprehensions, lambdas and modules are called `<...>`; the body of a class is not optimized.
    if not code.co_name.startswith("<") and code.co_flags & inspect.CO_OPTIMIZED:
        path = code.co_filename.partition(home)[2]
        walked.setdefault((path, code.co_firstlineno), code.co_qualname)
        if code.co_name == "loss":
            modules = [name for name in sys.modules if name.startswith("convolve.")]
            found = [[path, name] for (path, _), name in walked.items()]
            sys.__stdout__.write(json.dumps({"functions": found, "modules": modules}))
            sys.__stdout__.flush()
            os._exit(0)

home, walked = os.path.join("src", "convolve") + os.sep, {}
threading.setprofile(record)
sys.setprofile(record)
from convolve.cli import main
main()
"""


@pytest.mark.parametrize(
    ("task", "network"),
    [("classify", "lenet5_keras"), ("segment", "fcn1s_resnet20_cifar")],
    ids=["classify", "segment"],
)
def test_from_the_command_to_the_first_loss(task: str, network: str, tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"a": 12, "b": 12}) if task == "classify" else folder(tmp_path / "data", 12)
    words = ["train", str(data), "--network", network, "--size", "32", "--out", str(tmp_path / "run"), "--json"]
    command = [sys.executable, "-c", _WALK, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    files = Counter(path for path, _ in found["functions"])
    assert ("verbs/train.py", "run") in map(tuple, found["functions"])
    assert len(found["functions"]) <= MOST_FUNCTIONS, files.most_common()
    assert len(files) <= MOST_FILES, sorted(files)
    early = [name for name in found["modules"] if name.startswith(("convolve.reports", "convolve.explainers"))]
    assert early == []
