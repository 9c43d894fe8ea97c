"""Where and how networks run: device, number format, memory format and threads, and why these were chosen."""

from __future__ import annotations

import ctypes
import os
import platform
import statistics
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from convolve import processor
from convolve.choices import Precision
from convolve.errors import OptionError
from convolve.runtime.convolutions import FastConvolutions

SMALL = 10_000_000
"""Multiply-adds of one image below which a network stays in fp32 and torch's default memory format, since casts and
reordering cost more than they save: a step of `simple_cnn` takes 1.2 times as long with casts, 1.1 times
channels-last."""

TIMED_BATCH = 16
"""Images in a forward pass whose time is told to people."""
_ROUNDS, _ENOUGH_SECONDS = 5, 2.0
_FRACTION_OF_MEMORY = 0.5
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_BLOCK, _LARGEST_IN_FP32 = 1 << 30, 16 << 20
"""Reusing larger blocks in fp32 training would fragment memory and use a tenth more of it than stock PyTorch
(bench/memory.py); in bfloat16 blocks are half as large."""


@final
@dataclass(frozen=True)
class Runtime:
    """What was chosen; ``reasons`` explains each choice to a person."""

    device: str
    precision: Precision
    channels_last: bool
    threads: int
    reasons: tuple[str, ...]
    fast_convolutions: bool = False
    """Whether wide 3x3 convolutions run as Winograd's filtering, and those with many weights as one product."""

    def prepare(self, network: nn.Module, *, learning: bool = False) -> nn.Module:
        """Move a network to the device and memory format, in place. On a CPU this also sets the number of threads and
        configures the allocator, for training if ``learning``; a GPU learns with cuDNN's deterministic algorithms.
        """
        if self.device == "cpu":
            torch.set_num_threads(self.threads)
            keep_large_blocks(_LARGEST_IN_FP32 if learning and self.precision == "fp32" else _LARGEST_BLOCK)
        elif learning and self.device.startswith("cuda"):
            torch.backends.cudnn.deterministic = True  # else a resumed training would not end with the same bits
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return network.to(device=self.device).to(memory_format=layout)

    def images(self, batch: npt.NDArray[np.float32]) -> Tensor:
        """(N, H, W, C) float32 to (N, C, H, W) on the device; without a copy on a CPU in channels-last format."""
        images = torch.from_numpy(batch).permute(0, 3, 1, 2)
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return images.contiguous(memory_format=layout).to(self.device, non_blocking=True)

    def arithmetic(self) -> AbstractContextManager[object]:
        """The context in which networks run: autocast to bfloat16 where chosen, in which weights and sums stay fp32."""
        if self.precision == "fp32":
            return FastConvolutions() if self.fast_convolutions else nullcontext()
        return torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16)


def choose(
    device: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
    macs: int | None = None,
    trained_in: Precision | None = None,
    fast_convolutions: bool | None = None,
) -> Runtime:
    """Choose by rules, never by timing, so that the choice on a machine is always the same; explicit arguments win.

    ``macs`` are the network's multiply-adds of one image; ``trained_in`` is the number format that its weights were
    trained in, which is used again where this machine is fast in it. Raises `OptionError` for what this machine does
    not have.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    devices = [name for name, available in present.items() if available]
    if device is not None and device.partition(":")[0] not in devices:
        raise OptionError(f"device '{device}' is not on this machine; choose {' or '.join(devices)}.")
    where, device_reason = device or devices[0], "as requested"
    if device is None:
        device_reason = "the only device" if where == "cpu" else "a GPU is present"
    if threads is not None and threads < 1:
        raise OptionError(f"threads cannot be {threads}; give a number from 1 to {processor.CORES}.")
    small = where == "cpu" and macs is not None and macs < SMALL
    chosen, precision_reason = _precision(where, precision, small, trained_in)
    layout = "default memory format: the network is small" if small else "channels-last: faster convolutions"
    count = threads or processor.CORES
    counted = f"{count} thread{'s' if count > 1 else ''}: " + ("as requested" if threads else "one per core")
    possible = where == "cpu" and chosen == "fp32" and not small
    fast, fast_reason = _fast_convolutions(fast_convolutions) if possible else (False, "")
    reasons = f"{where}: {device_reason}", precision_reason, layout, counted, *([fast_reason] if fast_reason else [])
    return Runtime(where, chosen, not small, count, reasons, fast)


def keep_large_blocks(largest: int) -> bool:
    """Keep glibc from returning blocks of up to ``largest`` bytes to the kernel between steps, since page faults cost
    more than the arithmetic on them. Returns whether it took effect; except on Linux with glibc it does nothing.
    """
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(_M_MMAP_THRESHOLD, largest) and libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))


def memory_budget() -> int:
    """Bytes that a training may use: half of the machine's or the container's memory, whichever is less.

    Of all memory, not of what happens to be free, so that the choice on a machine is always the same.
    """
    try:
        limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (ValueError, OSError, AttributeError):
        limits = [8 << 30]
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = Path(name).read_text().strip() if Path(name).is_file() else ""
        limits += [int(text)] if text.isdecimal() else []
    return int(min(limits) * _FRACTION_OF_MEMORY)


def forward_seconds(
    network: nn.Module, runtime: Runtime, shape: tuple[int, int, int], count: int = TIMED_BATCH
) -> float:
    """Seconds of a forward pass of ``count`` images of ``shape`` (height, width, channels): the median of five rounds.

    Slow networks have fewer: no round begins after two seconds. One round before them is not counted.
    """

    def round_trip() -> float:
        images = runtime.images(np.zeros((count, *shape), dtype=np.float32))
        began = time.perf_counter()
        with torch.inference_mode(), runtime.arithmetic():
            network(images)
        if runtime.device.startswith("cuda"):
            torch.cuda.synchronize(runtime.device)
        return time.perf_counter() - began

    round_trip()
    rounds = [round_trip()]
    while len(rounds) < _ROUNDS and sum(rounds) < _ENOUGH_SECONDS:
        rounds.append(round_trip())
    return statistics.median(rounds)


def describe_machine() -> dict[str, Any]:
    """Where a run was made, for its manifest: processor, cores, memory, system and versions."""
    return {
        "processor": processor.cpuinfo("model name") or platform.processor() or platform.machine(),
        "cores": processor.CORES,
        "memory_bytes": int(memory_budget() / _FRACTION_OF_MEMORY),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _precision(device: str, requested: str | None, small: bool, trained_in: Precision | None) -> tuple[Precision, str]:
    if requested is not None and requested not in ("fp32", "bf16"):
        raise OptionError(f"precision cannot be '{requested}'; it must be fp32 or bf16.")
    if requested is not None:
        return ("bf16" if requested == "bf16" else "fp32"), f"{requested}: as requested"
    if trained_in == "fp32":
        return "fp32", "fp32: as the run is trained"
    if trained_in == "bf16":
        fast, why = _fast_bfloat16(device)
        if not fast:
            return "fp32", f"fp32: the run was trained in bf16, but {why}; results may differ slightly"
        return "bf16", "bf16: as the run is trained"
    if small:
        return "fp32", f"fp32: the network is small (under {SMALL // 10**6} million multiply-adds)"
    fast, why = _fast_bfloat16(device)
    return ("bf16" if fast else "fp32"), f"{'bf16' if fast else 'fp32'}: {why}"


def _fast_bfloat16(device: str) -> tuple[bool, str]:
    """Whether bfloat16 products are faster than fp32 ones, and why."""
    if device.startswith("cuda"):
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        return fast, "the GPU multiplies in it" if fast else "the GPU has no bfloat16"
    if device == "mps":
        return False, "the safe choice on Apple's GPUs"
    return processor.fast_bfloat16()


def _fast_convolutions(requested: bool | None) -> tuple[bool, str]:
    """Whether `FastConvolutions` are faster than PyTorch's own in fp32, and why (docs/benchmarks.md has both).

    They multiply by MKL, which uses AVX-512 on Intel's processors alone; PyTorch's own convolutions use it everywhere.
    """
    if not torch.backends.mkl.is_available():  # type: ignore[no-untyped-call]
        return False, "the usual convolutions: this PyTorch has no MKL" if requested else ""
    if requested is not None:
        return requested, f"{'fast' if requested else 'the usual'} convolutions: as requested"
    if "avx512f" in processor.cpuinfo("flags").split() and "Intel" not in processor.cpuinfo("model name"):
        return False, ""
    return True, "fast convolutions: wide 3x3 ones by Winograd's filtering, with a quarter of the products"
