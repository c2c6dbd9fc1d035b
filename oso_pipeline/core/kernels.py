"""Compiled functions: kept on the disk, and thrown away when any of them changes."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from numba import njit


def kernel(function: Any = None, **options: Any) -> Any:
    """Compile a function that releases the GIL and keep the result on the disk.

    numba looks only at the file of a function to tell whether what it kept is still good, not
    at the files of the functions that were compiled into it. A changed helper would go on
    being used in its old form. Here the contents of all files with compiled code count.

    Parameters
    ----------
    function
        What to compile.
    options
        As for ``numba.njit``.
    """
    if function is None:
        return lambda wrapped: kernel(wrapped, **options)
    compiled: Any = njit(cache=True, nogil=True, **options)(function)
    store = getattr(compiled, "_cache", None)  # none with NUMBA_DISABLE_JIT
    if store is not None:
        store._cache_file._source_stamp = _digest()
    return compiled


@cache
def _digest() -> str:
    """Return a digest of all files of the package that use numba."""
    package = Path(__file__).parents[1]
    contents = [path.read_bytes() for path in sorted(package.rglob("*.py"))]
    return sha256(
        b"".join(c for c in contents if b"numba" in c or b"core.kernels" in c)
    ).hexdigest()
