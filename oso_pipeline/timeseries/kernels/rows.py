"""Rows of a chunk of pixels: flat memory that begins at a cache line."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.kernels import kernel

CHUNK = 128
"""Pixels of a chunk."""

_ALIGNMENT = 64  # bytes of a cache line and of the widest vector register


def aligned_empty(count: int) -> npt.NDArray[np.int16]:
    """Return memory for `count` int16 that begins at a cache line."""
    memory = np.empty(2 * count + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + 2 * count].view(np.int16)


@kernel
def aligned(n_bytes):  # type: ignore[no-untyped-def]
    """Return zeroed bytes that begin at a cache line."""
    memory = np.zeros(n_bytes + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + n_bytes]


@kernel
def chunk_row(flat, row):  # type: ignore[no-untyped-def]
    """Return a row of `CHUNK` pixels."""
    return flat[row * CHUNK : (row + 1) * CHUNK]
