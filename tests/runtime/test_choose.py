"""What the runtime chooses, by rules whose result is always the same on a machine."""

from __future__ import annotations

import platform
import sys

import numpy as np
import pytest
import torch
from torch import nn

from convolve.choices import Precision
from convolve.errors import OptionError
from convolve.runtime import Runtime, choose, describe_machine, keep_large_blocks, memory_budget

LARGE = 10**9


def pretend(monkeypatch: pytest.MonkeyPatch, processor: str, flags: str, architecture: str = "x86_64") -> None:
    entries = {"model name": processor, "flags": flags, "Features": flags}
    monkeypatch.setattr("convolve.processor.cpuinfo", entries.get)
    monkeypatch.setattr(platform, "machine", lambda: architecture)


@pytest.mark.parametrize(
    ("processor", "flags", "architecture", "precision"),
    [
        ("AMD EPYC 9B45", "avx512f avx512_bf16", "x86_64", "bf16"),
        ("Intel(R) Xeon(R) Processor", "avx512f avx512_bf16", "x86_64", "fp32"),
        ("Intel(R) Xeon(R) Platinum 8480+", "avx512f avx512_bf16 amx_tile amx_bf16", "x86_64", "bf16"),
        ("Intel(R) Core(TM) i7", "avx2", "x86_64", "fp32"),
        ("Neoverse-V1", "asimd bf16 sve", "aarch64", "bf16"),
        ("Cortex-A72", "asimd", "aarch64", "fp32"),
    ],
)
def test_bfloat16_where_the_processor_is_faster_in_it(
    processor: str, flags: str, architecture: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, processor, flags, architecture)
    chosen = choose("cpu", macs=LARGE)
    assert (chosen.precision, chosen.channels_last) == (precision, True)
    assert any(reason.startswith(precision) for reason in chosen.reasons)


def test_small_networks_stay_in_fp32_and_the_default_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "AMD EPYC", "avx512_bf16")
    chosen = choose("cpu", macs=300_000)
    assert (chosen.precision, chosen.channels_last) == ("fp32", False)
    assert choose("cpu").precision == "bf16"


@pytest.mark.parametrize(
    ("flags", "trained_in", "precision", "reason"),
    [
        ("avx512_bf16", "fp32", "fp32", "fp32: as the run is trained"),
        ("avx512_bf16", "bf16", "bf16", "bf16: as the run is trained"),
        ("avx2", "fp32", "fp32", "fp32: as the run is trained"),
        (
            "avx2",
            "bf16",
            "fp32",
            "fp32: the run was trained in bf16, but the processor has no bfloat16; results may differ slightly",
        ),
    ],
)
@pytest.mark.parametrize("macs", [LARGE, 300_000])
def test_a_run_is_used_in_the_format_it_was_trained_in(
    flags: str, trained_in: Precision, precision: str, reason: str, macs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, "AMD EPYC", flags)
    chosen = choose("cpu", macs=macs, trained_in=trained_in)
    assert chosen.precision == precision
    assert chosen.reasons[1] == reason
    assert choose("cpu", "bf16", macs=macs, trained_in=trained_in).reasons[1] == "bf16: as requested"


def test_explicit_arguments_win() -> None:
    chosen = choose("cpu", "bf16", 1, macs=1000)
    assert (chosen.device, chosen.precision, chosen.threads) == ("cpu", "bf16", 1)
    assert chosen.reasons[:2] == ("cpu: as requested", "bf16: as requested")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("quantum", None, None), "device 'quantum' is not on this machine; choose"),
        ((None, "fp8", None), "precision cannot be 'fp8'; it must be fp32 or bf16"),
        ((None, None, 0), "threads cannot be 0; give a number from 1"),
    ],
)
def test_what_the_machine_lacks_is_a_sentence(options: tuple[str | None, str | None, int | None], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        choose(*options)


@pytest.mark.parametrize("channels_last", [True, False])
def test_images_change_their_layout_and_not_their_numbers(channels_last: bool) -> None:
    chosen = Runtime("cpu", "fp32", channels_last, 1, ())
    batch = np.random.default_rng(0).standard_normal((2, 5, 4, 3), dtype=np.float32)
    images = chosen.images(batch)
    assert torch.equal(images, torch.from_numpy(batch.transpose(0, 3, 1, 2).copy()))
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert images.is_contiguous(memory_format=layout)
    assert (images.data_ptr() == torch.from_numpy(batch).data_ptr()) == channels_last


@pytest.mark.parametrize(
    ("processor", "flags", "fast"),
    [
        ("AMD EPYC", "avx2 avx512f avx512_bf16", False),  # MKL does not use AVX-512 there, PyTorch does
        ("AMD Ryzen 5 5600", "avx2", True),
        ("Intel(R) Core(TM) i7", "avx2", True),
        ("Intel(R) Xeon(R) Gold 6148", "avx2 avx512f", True),
    ],
)
def test_fast_convolutions_where_they_are_faster(
    processor: str, flags: str, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, processor, flags)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    assert choose("cpu", "fp32", macs=LARGE).fast_convolutions is fast
    assert any("Winograd" in reason for reason in choose("cpu", "fp32", macs=LARGE).reasons) is fast
    for requested in (True, False):
        chosen = choose("cpu", "fp32", macs=LARGE, fast_convolutions=requested)
        assert chosen.fast_convolutions is requested
        assert chosen.reasons[-1].endswith("convolutions: as requested")
    assert not choose("cpu", "bf16", macs=LARGE, fast_convolutions=True).fast_convolutions
    assert not choose("cpu", "fp32", macs=1000, fast_convolutions=True).fast_convolutions
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: False)
    chosen = choose("cpu", "fp32", macs=LARGE, fast_convolutions=True)
    assert (chosen.fast_convolutions, chosen.reasons[-1]) == (False, "the usual convolutions: this PyTorch has no MKL")


def test_a_network_is_prepared_in_place() -> None:
    layer = nn.Conv2d(3, 4, 3)
    weights = layer.weight.detach().clone()
    threads = torch.get_num_threads()
    try:
        assert Runtime("cpu", "fp32", channels_last=True, threads=1, reasons=()).prepare(layer) is layer
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)
    assert layer.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(layer.weight, weights)


def test_products_are_in_the_chosen_format_and_weights_stay_fp32() -> None:
    layer = nn.Linear(4, 4)
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with choose("cpu", precision).arithmetic():
            assert layer(torch.ones(1, 4)).dtype == dtype
    assert layer.weight.dtype == torch.float32


def test_the_allocator_is_configured_on_glibc_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert keep_large_blocks(1 << 24) == (platform.libc_ver()[0] == "glibc")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_large_blocks(1 << 24)


def test_the_machine_describes_itself() -> None:
    facts = describe_machine()
    assert facts["torch"] == torch.__version__
    assert facts["cores"] >= 1
    assert 0 < memory_budget() < facts["memory_bytes"]
