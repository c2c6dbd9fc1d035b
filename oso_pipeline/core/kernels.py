"""Compiled functions: kept on the disk, and thrown away when any of them changes."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import IndexDataCacheFile


def kernel(function: Any = None, **options: Any) -> Any:
    """Compile a function that releases the GIL and keep the result on the disk.

    numba looks only at the file of a function to tell whether what it kept is still good, not
    at the files of the functions that were compiled into it. A changed helper would go on
    being used in its old form. Here the contents of all files with compiled code count.
    Processes on any processors may share the folder and compile at the same time.

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
        store._cache_file = _OneFileEach(store._cache_path, store._impl.filename_base, _digest())
    return compiled


class _OneFileEach(IndexDataCacheFile):
    """Compiled code in files that are named after what they hold.

    numba numbers the files and keeps an index of the numbers. Two processes that begin an index
    at the same time give one number to two signatures, or to two kinds of processors, and one
    of them runs the code of the other.
    """

    def save(self, key: Any, data: Any) -> None:
        """Keep the code of a signature on a kind of processor."""
        self._save_data(self._name_of(key), (key, self._version, self._source_stamp, data))

    def load(self, key: Any) -> Any:
        """Return the code, or None if there is none, or only of another state of the sources."""
        try:
            *made_of, data = self._load_data(self._name_of(key))
        except OSError:
            return None
        return data if made_of == [key, self._version, self._source_stamp] else None

    def _name_of(self, key: Any) -> str:
        return self._data_name(int.from_bytes(sha256(repr(key).encode()).digest()[:8]))


@cache
def _digest() -> str:
    return sha256(b"".join(path.read_bytes() for path in compiled_sources())).hexdigest()


def compiled_sources() -> list[Path]:
    """Return all files of the package that are compiled, or say how."""
    marks = (b"numba", b"llvmlite", b"core.kernels")
    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    return [path for path in files if any(mark in path.read_bytes() for mark in marks)]
