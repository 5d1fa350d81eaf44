"""Whoever runs out of memory, a model, a transform or a library, fewer rows are tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from hf_fourier import FourierExplainer, attribute
from hf_fourier.domains.fourier import FourierBasis
from hf_fourier.methods.path_gradients import gradients_at
from hf_fourier.scoring.batching import DeviceMemory, is_out_of_memory
from tests.models import tiny_models, tiny_tokenizers
from tests.toy_scores import Smooth, noise, score_of

SHORT = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`"),
    RuntimeError("CUDA driver error: CUDA_ERROR_OUT_OF_MEMORY"),
    RuntimeError("HIP out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("HIP error: hipErrorOutOfMemory"),
    RuntimeError("HIPFFT_ALLOC_FAILED"),
    RuntimeError("rocblas_status_memory_error"),
    RuntimeError("miopenStatusAllocFailed"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB, other allocations: 1 MB, max allowed: 9.07 GB)."),
    RuntimeError("XPU out of memory. Tried to allocate 4.00 GiB."),
    RuntimeError("level_zero backend failed with error: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)"),
    RuntimeError("Native API failed. Native API returns: -5 (PI_ERROR_OUT_OF_RESOURCES)"),
    RuntimeError("Native API failed. Native API returns: -6 (PI_ERROR_OUT_OF_HOST_MEMORY)"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
        "allocate 400000000000 bytes. Error code 12 (Cannot allocate memory)"
    ),
    RuntimeError("MKL FFT error: Intel oneMKL DFTI ERROR: Memory allocation error"),
    RuntimeError("std::bad_alloc"),
    OSError(12, "Cannot allocate memory"),
    MemoryError(),
    np._core._exceptions._ArrayMemoryError((10**9, 10**9), np.dtype(float)),
]
OTHER = [
    RuntimeError("cuFFT error: CUFFT_INVALID_SIZE"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_BAD_PARAM"),
    RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"),
    RuntimeError("CUDA error: device-side assert triggered"),
    RuntimeError("index 5 is out of bounds for dimension 0 with size 5"),
    OSError(2, "No such file or directory"),
    ValueError("out of memory"),
]


@pytest.mark.parametrize("error", SHORT, ids=lambda error: str(error)[:40])
def test_memory_is_short(error: BaseException) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", OTHER, ids=lambda error: str(error)[:40])
def test_something_else_is_wrong(error: BaseException) -> None:
    assert not is_out_of_memory(error)


class Gpu:
    """A GPU's memory in numbers: free, in all, taken by torch's allocator and used of that."""

    def __init__(self, free: int, total: int = 1000, reserved: int = 0, allocated: int = 0, peak: int = 0) -> None:
        self.free, self.total, self.reserved, self.allocated, self.peak = free, total, reserved, allocated, peak
        self.resets = 0

    def put_into(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *_: (self.free, self.total))
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda *_: self.reserved)
        monkeypatch.setattr(torch.cuda, "memory_allocated", lambda *_: self.allocated)
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda *_: self.peak)
        monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", self.reset)

    def reset(self, *_: Any) -> None:
        self.resets += 1


PERHAPS = [
    "cuFFT error: CUFFT_INTERNAL_ERROR",
    "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
    "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR",
    "GET was unable to find an engine to execute this computation",
    "Unable to find a valid cuDNN algorithm to run convolution",
]


@pytest.mark.parametrize("words", PERHAPS)
def test_words_of_libraries_mean_memory_where_a_gpu_is_nearly_full(words: str, monkeypatch: Any) -> None:
    Gpu(free=40).put_into(monkeypatch)
    assert is_out_of_memory(RuntimeError(words))
    Gpu(free=400).put_into(monkeypatch)
    assert not is_out_of_memory(RuntimeError(words))


def test_rows_that_fit_are_measured_once_and_remembered(monkeypatch: Any) -> None:
    memory, model, gpu = DeviceMemory(), torch.nn.Linear(2, 2), Gpu(free=8000, reserved=3000, allocated=1000, peak=1600)
    cuda = torch.device("cuda")
    gpu.put_into(monkeypatch)
    assert memory.rows(model, 10, cuda) is None
    with memory.measuring(model, 10, cuda, rows=3):
        pass
    # 600 bytes for 30 entries; 70 % of 8000 free ones and 2000 that torch holds unused are there.
    assert memory.rows(model, 10, cuda) == int(0.7 * 10000 / (20 * 10)) == 35
    assert memory.rows(model, 1, cuda) == 350
    assert memory.rows(model, 10**9, cuda) == 1
    assert memory.rows(model, 10, torch.device("cpu")) is None
    with memory.measuring(model, 10, cuda, rows=3):
        gpu.peak = 10**6
    assert (memory.rows(model, 10, cuda), gpu.resets) == (35, 1)
    memory.too_many(model, fitted=10, tried=35)
    assert memory.rows(model, 10, cuda) == 10
    assert memory.rows(torch.nn.Linear(2, 2), 10, cuda) is None, "another model"


def test_what_fails_is_not_remembered(monkeypatch: Any) -> None:
    memory, model = DeviceMemory(), torch.nn.Linear(2, 2)
    Gpu(free=8000).put_into(monkeypatch)
    with pytest.raises(MemoryError), memory.measuring(model, 10, torch.device("cuda"), rows=3):
        raise MemoryError
    assert memory.rows(model, 10, torch.device("cuda")) is None


def limited(function: Callable[..., Any], most: int, error: Exception) -> Callable[..., Any]:
    """A transform that has memory for so many rows."""

    def call(self: Any, x: torch.Tensor) -> Any:
        if len(x) > most:
            raise error
        return function(self, x)

    return call


def same(a: Any, b: Any) -> None:
    torch.testing.assert_close(a.scores, b.scores, rtol=1e-4, atol=1e-5)
    assert a.value == pytest.approx(b.value, rel=1e-5)
    for one, other in zip(a.curve.points if a.curve else (), b.curve.points if b.curve else (), strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-4)


@pytest.mark.parametrize("which", ["forward", "inverse"])
def test_transforms_that_run_out_of_memory(which: str, monkeypatch: Any) -> None:
    """Also for one example, of which many rows are made at once."""
    explain = FourierExplainer(tiny_models.build("text-classification", "bert"), tiny_tokenizers.tokenizer())
    texts, kept = [tiny_tokenizers.text(*range(i, i + 6)) for i in range(5, 9)], [i / 20 for i in range(1, 20)]
    expected = explain.perturb(explain.explain(texts), kept)
    error = RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED")
    monkeypatch.setattr(FourierBasis, which, limited(getattr(FourierBasis, which), 2, error))
    found = explain.perturb(explain.explain(texts), kept)
    for one, other in zip(found, expected, strict=True):
        same(one, other)
    assert which == "inverse" or found[0].provenance["halvings"] > 0


def test_points_that_are_too_many() -> None:
    """Of one example, what is made at once is no batch of examples that could be halved."""
    x, model = noise(1, 6), Smooth(3, 6).eval()
    alive: list[int] = []

    def points(most: int) -> list[Any]:
        score = score_of(model, x, size=8)
        score.clean()
        alive.clear()

        def point(j: int) -> torch.Tensor:
            alive.append(j)
            at_once = 1 + sum(1 for a, b in zip(alive[:0:-1], alive[-2::-1], strict=False) if a == b + 1)
            if at_once > most:
                alive.clear()
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
            return x * j

        found = []
        for drive, slope in gradients_at(score, point, 9):
            found.append((drive.clone(), slope.clone()))
            alive.clear()
        return found

    for (a, b), (c, d) in zip(points(2), points(99), strict=True):
        torch.testing.assert_close(a, c)
        torch.testing.assert_close(b, d)


def test_a_callable_of_another_type_that_runs_out_of_memory() -> None:
    """What is short is memory, not the type, in the second attempt as well."""
    model, sizes = Smooth(3, 6, dtype=torch.float32), []

    def forward(rows: torch.Tensor) -> torch.Tensor:
        out = model(rows)
        sizes.append(len(rows))
        if len(rows) > 1:
            raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
        return out

    model.eval()
    results = attribute(forward, noise(4, 6), method="ffc")
    assert sizes == [4, 2, 1, 1, 1, 1, 1]  # the last one asks whether the answer moves by itself
    assert len(results) == 4
