"""What the processor can do, read without any library."""

from __future__ import annotations

import os
import platform
from pathlib import Path

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
"""How many of its cores this process may use."""


def cpuinfo(entry: str) -> str:
    """What Linux says of the first processor; nothing elsewhere."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == entry), "")


def fast_bfloat16() -> tuple[bool, str]:
    """Whether bfloat16 products are faster than fp32 ones, and why."""
    flags = {*cpuinfo("flags").split(), *cpuinfo("Features").split()}  # empty where the system is not Linux
    if "amx_bf16" in flags:
        return True, "the processor has AMX"
    if platform.machine().lower() in ("aarch64", "arm64"):
        fast = "bf16" in flags
        return fast, "the processor has Arm BF16" if fast else "the processor has no bfloat16"
    if "avx512_bf16" not in flags:
        return False, "the processor has no bfloat16"
    if "Intel" in cpuinfo("model name"):
        return False, "Intel's AVX512-BF16 without AMX is slower than its fp32"
    return True, "the processor has AVX512-BF16"
