"""How much code runs between `convolve train` and the first loss: few functions in few files, and no report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.tasks.segment.small import folder
from tests.verbs.synthetic import folders

MOST = {"photographs": (150, 40), "images that may be masks": (172, 45), "masks": (274, 60)}
"""Functions and files of all of the package: of a folder of JPEGs for each class; of such a folder of PNGs, whose
pixels are looked at since they might be masks; and of images with masks.
"""
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


def photographs(root: Path) -> Path:
    """Two classes of JPEGs, no two of which are alike."""
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for number in range(12):
            scene = Image.fromarray(random.integers(0, 256, (3, 4, 3)).astype(np.uint8))
            scene.resize((120, 90), Image.Resampling.BICUBIC).save(root / name / f"{number}.jpg")
    return root


@pytest.mark.parametrize(
    ("data", "network"),
    [
        ("photographs", "lenet5_keras"),
        ("images that may be masks", "lenet5_keras"),
        ("masks", "fcn1s_resnet20_cifar"),
    ],
)
def test_from_the_command_to_the_first_loss(data: str, network: str, tmp_path: Path) -> None:
    root = tmp_path / "data"
    if data == "masks":
        path = folder(root, 12)
    else:
        path = photographs(root) if data == "photographs" else folders(root, {"a": 12, "b": 12})
    words = ["train", str(path), "--network", network, "--size", "32", "--out", str(tmp_path / "run"), "--json"]
    environment = os.environ | {"CONVOLVE_CACHE": str(tmp_path / "cache")}  # empty, whatever tests ran before
    command = [sys.executable, "-c", _TRACE, *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    functions = [tuple(entry) for entry in found["functions"]]
    assert {("verbs/train.py", "run"), ("setup/prepare.py", "prepare"), ("training/step.py", "step")} <= set(functions)
    files = Counter(file for file, _ in functions)
    most, most_files = MOST[data]
    assert files.total() <= most, files.most_common()
    assert len(files) <= most_files, sorted(files)
    early = [name for name in found["modules"] if name.startswith(("convolve.reports", "convolve.explainers"))]
    assert early == []
