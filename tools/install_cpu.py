"""Install what requirements.lock pins, but PyTorch's own processor builds and none of CUDA's libraries.

``.venv/bin/python tools/install_cpu.py`` is what ``make demo CPU=1`` runs in place of pip. It takes torch and
torchvision from PyTorch's index with the hashes of requirements-cpu.lock. ``tools/lock.sh --cpu`` writes that file on a
machine that reaches the index; until it exists, their versions are those of requirements.lock and their hashes are not
checked.
"""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from pathlib import Path

INDEX = "https://download.pytorch.org/whl/cpu"
LOCK = Path("requirements.lock")
CPU_LOCK = Path("requirements-cpu.lock")
_FROM_INDEX = re.compile(r"(torch|torchvision)==")
_GPU_ONLY = re.compile(r"(nvidia|cuda)-|triton==")


def split_lock(lock: str) -> tuple[list[str], str]:
    """The lock's requirements of torch and torchvision without hashes, and the lock without them and GPU libraries."""
    entries = re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)
    builds = [entry.split()[0] for entry in entries if _FROM_INDEX.match(entry)]
    rest = [entry for entry in entries if not (_FROM_INDEX.match(entry) or _GPU_ONLY.match(entry))]
    return builds, "".join(rest)


def main(index: str = INDEX) -> int:
    """Install in two steps. 1, and a sentence on how to go on, if PyTorch's index or a package cannot be had."""
    try:
        urllib.request.urlopen(f"{index}/torch/", timeout=20).close()  # noqa: S310 -- an https address
    except OSError as error:
        print(
            f"PyTorch's index {index} cannot be reached from here ({error}): "
            "run the command without CPU=1, which installs PyTorch's usual builds (up to 6 GB on Linux).",
            file=sys.stderr,
        )
        return 1
    builds, rest = split_lock(LOCK.read_text(encoding="utf-8"))
    rest_lock = Path(sys.prefix) / "requirements-rest.lock"
    rest_lock.write_text(rest, encoding="utf-8")
    if CPU_LOCK.exists():
        builds = ["--require-hashes", "--requirement", str(CPU_LOCK)]
    else:
        print(f"The hashes of {' and '.join(builds)} are not checked: there is no {CPU_LOCK} yet.")
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-deps"]
    return (
        subprocess.run([*pip, "--index-url", index, *builds], check=False).returncode
        or subprocess.run([*pip, "--require-hashes", "--requirement", str(rest_lock)], check=False).returncode
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
