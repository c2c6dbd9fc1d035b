"""Compiled functions: kept on the disk, and thrown away when any of them changes."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numba
from numba import njit
from numba.core.caching import Cache, IndexDataCacheFile

from oso_pipeline.core.private_folder import private_folder


def kernel(function: Any = None, **options: Any) -> Any:
    """Compile a function that releases the GIL and keep the result on the disk.

    numba looks only at the file of a function to decide whether its cached code is valid, not
    at the files of the functions that were compiled into it. A changed helper would go on
    being used in its old form. Here the contents of all files with compiled code count.
    Processes on any processors may share the folder and compile at the same time.

    It lies where numba keeps it: in ``NUMBA_CACHE_DIR``, beside the sources, or in the home. Where
    none of them can be written, in a private temporary folder; without that nothing is kept.

    Parameters
    ----------
    function
        Function to compile.
    options
        As for ``numba.njit``.
    """
    if function is None:
        return lambda wrapped: kernel(wrapped, **options)
    compiled: Any = njit(nogil=True, **options)(function)
    if hasattr(compiled, "enable_caching"):  # not with NUMBA_DISABLE_JIT
        _keep(compiled)
    store = getattr(compiled, "_cache", None)
    if isinstance(store, Cache):
        store._cache_file = _OneFileEach(store._cache_path, store._impl.filename_base, _digest())
    return compiled


def _keep(compiled: Any) -> None:
    """Cache the code of a function on disk, if a folder can be written."""
    try:
        compiled.enable_caching()
    except RuntimeError:  # of numba: no locator available
        folder = private_folder("compiled")
        if folder is None:
            return
        before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(folder)
        try:
            with suppress(RuntimeError):
                compiled.enable_caching()
        finally:
            numba.config.CACHE_DIR = before


_CHECKSUM_BYTES = sha256().digest_size


class _OneFileEach(IndexDataCacheFile):
    """Compiled code in files that are named after what they hold.

    numba numbers the files and keeps an index of the numbers. Two processes that begin an index
    at the same time give one number to two signatures, or to two kinds of processors, and one
    of them runs the code of the other.
    """

    def save(self, key: Any, data: Any) -> None:
        """Cache the code of a signature on a kind of processor, if the disk has space."""
        content = self._dump((key, self._version, self._source_stamp, data))
        with (
            suppress(OSError),  # a full disk, or a folder that cannot be written any more
            self._open_for_write(self._data_path(self._name_of(key))) as stream,
        ):
            stream.write(content + sha256(content).digest())

    def load(self, key: Any) -> Any:
        """Return the code, or None if there is none, it is damaged, or of other sources."""
        try:
            kept = Path(self._data_path(self._name_of(key))).read_bytes()
        except OSError:
            return None
        # numba does not flush: after a power cut a file may be empty, or hold anything.
        content, checksum = kept[:-_CHECKSUM_BYTES], kept[-_CHECKSUM_BYTES:]
        if sha256(content).digest() != checksum:
            return None
        *made_of, data = self._load_data(self._name_of(key))  # which ignores what comes after
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
