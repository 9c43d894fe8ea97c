"""Several processes that work with the same folders at once, one of which may be killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from convolve.datasets.cache import open_cache
from convolve.datasets.images import ImageFiles
from convolve.datasets.preprocess import resize_for_cache
from tests.datasets.synthetic import files, preprocessing
from tests.verbs.synthetic import folders

GOAL = preprocessing(32, 32)
TRAIN = ["--network", "lenet5_keras", "--size", "16", "--batch", "16", "--threads", "1"]
READ = """
import sys, time
from pathlib import Path
from convolve.datasets import cache, images
from tests.datasets.synthetic import preprocessing
root, pause = Path(sys.argv[1]), float(sys.argv[2])
files = images.ImageFiles(root / "images", tuple(f"{number}.png" for number in range(60)))
in_order = cache.in_order
def slowly(*arguments):
    for pixels in in_order(*arguments):
        yield pixels
        time.sleep(pause)
cache.in_order = slowly
print("ready", flush=True)
source = cache.open_cache(files, preprocessing(32, 32), root / "caches", 10**9)
print(source.description, [int(source.get(index).sum()) for index in range(60)])
"""


def start(*words: str, cwd: Path) -> subprocess.Popen[str]:
    """A Python process."""
    return subprocess.Popen(
        [sys.executable, *words], cwd=cwd, env=os.environ | {"OMP_NUM_THREADS": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def test_one_cache_serves_several_processes_of_which_one_is_killed(tmp_path: Path) -> None:
    files(tmp_path / "images", [(40, 40)] * 60)
    caches, here = tmp_path / "caches", Path.cwd()
    killed = start("-c", READ, str(tmp_path), "0.5", cwd=here)
    for _ in range(600):
        if caches.is_dir() and any(path.stat().st_size for path in caches.glob(".unfinished-*/pixels.bin")):
            break
        time.sleep(0.1)
    else:
        pytest.fail("nothing is written")
    others = [start("-c", READ, str(tmp_path), "0.02", cwd=here) for _ in range(2)]
    for process in others:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    killed.kill()
    killed.communicate()
    images = ImageFiles(tmp_path / "images", tuple(f"{number}.png" for number in range(60)))
    expected = [int(resize_for_cache(images.read(index), GOAL).sum()) for index in range(60)]
    for process in others:
        said = process.communicate(timeout=60)[0]
        assert process.returncode == 0, said
        assert said.strip().endswith(str(expected)), said
    finished = [path for path in caches.iterdir() if re.fullmatch("[0-9a-f]{32}", path.name)]
    assert len(finished) == 1
    for left in caches.glob(".unfinished-*"):
        for path in (*left.iterdir(), left):
            os.utime(path, (0, time.time() - 10))
    assert "decoded in an earlier run" in open_cache(images, GOAL, caches, 10**9).description
    assert list(caches.iterdir()) == finished  # and not what the killed one had begun


def test_two_trainings_at_once_have_a_folder_each(tmp_path: Path) -> None:
    folders(tmp_path / "data", {"a": 12, "b": 12})
    both = [
        start("-m", "convolve", "train", "data", *TRAIN, "--epochs", "1", "--seed", str(seed), cwd=tmp_path)
        for seed in (1, 2)
    ]
    for process in both:
        said = process.communicate(timeout=240)[0]
        assert process.returncode == 0, said
    runs = [tmp_path / "runs" / name for name in ("data-lenet5_keras", "data-lenet5_keras-2")]
    assert sorted((tmp_path / "runs").iterdir()) == runs
    seeds = [re.findall(r"^seed = (\d)$", (run / "recipe.toml").read_text(), re.MULTILINE) for run in runs]
    assert sorted(seeds) == [["1"], ["2"]]
    for run in runs:
        assert {"weights.safetensors", "report.html"} <= {path.name for path in run.iterdir()}


@pytest.mark.skipif(os.name == "nt", reason="there are no such locks on Windows")
def test_a_run_that_is_being_trained_is_not_continued_beside_it(tmp_path: Path) -> None:
    folders(tmp_path / "data", {"a": 12, "b": 12})
    out = tmp_path / "my run"
    words = ("-m", "convolve", "train")
    first = start(*words, "data", *TRAIN, "--epochs", "100000", "--out", "my run", cwd=tmp_path)
    for _ in range(1200):
        if (out / "checkpoints" / "last.safetensors").is_file():
            break
        time.sleep(0.1)
    said = start(*words, "--resume", "my run", cwd=tmp_path).communicate(timeout=120)[0]
    assert said.strip() == "my run is being trained by another process; wait for it, or stop it first."
    first.send_signal(signal.SIGINT)
    assert first.communicate(timeout=120)[0].strip().endswith("continue with: convolve train --resume 'my run'")
    again = start(*words, "--resume", "my run", cwd=tmp_path)  # the lock has gone with the process
    assert again.stdout is not None
    assert any("about" in line for line in again.stdout)  # the time that it will take
    again.kill()
    again.communicate()
