"""Windows of input rasters: open handles, and errors that name the file."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.windows import Window

from oso_pipeline.core.commit import require_sound
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.imagery.acquisition import Asset
from oso_pipeline.imagery.cache.copies import is_copy
from oso_pipeline.imagery.cache.reading import missing_copy
from oso_pipeline.imagery.header import driver_of
from oso_pipeline.timeseries.kernels.chunks import NODATA

LOWEST, HIGHEST = NODATA + 1, 32_767
"""Least and greatest reflectance kept, 1e-4 units; negative ones are legal, -10000 is not."""

STORED = (1e-4, 0.0)
"""Scale and offset of what is stored: files with these need no arithmetic."""

GDAL_OPTIONS = {
    # A .aux.xml or .msk beside an input can change its no data or its masks without a word;
    # neither is looked for. This also spares a listing of each folder.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    # The default, 5 % of the memory of the machine for each process, is not ours to take. No
    # block is decoded twice, so the cache is of use only within one call.
    "GDAL_CACHEMAX": 64,
    # JPEG 2000 would be decoded with all cores; a worker has one.
    "GDAL_NUM_THREADS": 1,
}
"""How inputs are opened; the cache is in megabytes."""

_MOST_OPEN = 4096
_REMEDY = "copy or download the product again, then run `oso run` once more"
_MADE_AGAIN = "`oso verify RUN --repair`, then `oso run`: this copy is made again"


class OpenRasters:
    """Rasters kept open between blocks: opening costs more than reading a small window.

    Reading is serialised by a lock, because a GDAL handle serves one thread at a time; the
    processing of a run is parallel over processes.

    Parameters
    ----------
    limit
        Most files open at once; the one used longest ago is closed first.
    """

    def __init__(self, limit: int) -> None:
        self._limit = self._most = limit
        self._open: OrderedDict[Path, tuple[tuple[int, int], Any]] = OrderedDict()
        # Files known to be unchanged: looked at once a session.
        self._seen: set[Path] = set()
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._open)

    @contextmanager
    def session(self) -> Iterator[OpenRasters]:
        """Take the lock and set the GDAL options for some reads."""
        with self._lock, rasterio.Env(**GDAL_OPTIONS):
            self._seen.clear()
            yield self

    def shape(self, path: Path) -> tuple[int, int]:
        """Return rows and columns of a file; to be called within :meth:`session`.

        Raises
        ------
        InputDataError
            As :meth:`read`.
        """
        with _named(path):
            return self._dataset(path).shape

    def dtype(self, path: Path) -> str:
        """Return the type of the numbers of a file, as :meth:`shape` returns its size."""
        with _named(path):
            return str(self._dataset(path).dtypes[0])

    def read(
        self, path: Path, window: Window, out: npt.NDArray[Any] | None = None
    ) -> npt.NDArray[Any]:
        """Return a window of the first band; to be called within :meth:`session`.

        Parameters
        ----------
        path, window
            The file and the part of it.
        out
            Where to decode to, of the type of the file and the size of the window, rows of
            any stride; by default a new array.

        Raises
        ------
        InputDataError
            If the file has vanished (``E-IMAGE-VANISHED``), cannot be read (``E-IMAGE-CUT``), or is
            not what was extracted from an archive (``E-FILE-CHANGED``).
        """
        with _named(path):
            return self._dataset(path).read(1, window=window, out=out)

    def hold(self, files: int) -> None:
        """Keep so many files open at most, from now on: each takes memory (`memory.FILE_BYTES`)."""
        with self._lock:
            self._most = max(1, min(files, self._limit))
            self._close_oldest(self._most)

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            self._close_oldest(0)

    def _dataset(self, path: Path) -> Any:
        if path in self._seen:
            return self._open[path][1]
        status = path.stat()
        stamp = (status.st_size, status.st_mtime_ns)
        if path in self._open:
            known, dataset = self._open[path]
            if known == stamp:
                self._open.move_to_end(path)
                self._seen.add(path)
                return dataset
            # The file was replaced: the cached state of the old handle is outdated.
            del self._open[path]
            dataset.close()
        self._close_oldest(self._most - 1)
        dataset = self._open_file(path)
        self._open[path] = (stamp, dataset)
        self._seen.add(path)
        return dataset

    def _close_oldest(self, kept: int) -> None:
        while len(self._open) > kept:
            oldest, (_, dataset) = self._open.popitem(last=False)
            self._seen.discard(oldest)
            dataset.close()

    def _open_file(self, path: Path) -> Any:
        # Of what was extracted from archives; products of the user have no commit records. Blocks
        # of copies have checksums, which GDAL compares: reading them whole once more for each
        # process would take longer than decoding them.
        if not is_copy(path):
            require_sound(path)
        return rasterio.open(path, driver=driver_of(path))


@lru_cache(maxsize=1)
def process_rasters() -> OpenRasters:
    """Return the rasters that this process keeps open."""
    # Sockets, logs and outputs need files too.
    return OpenRasters(limit=max(64, min(_MOST_OPEN, _allowed_files() * 3 // 4)))


def _allowed_files() -> int:
    """Raise the limit of open files if possible and return it."""
    try:
        import resource
    except ImportError:  # a system without such limits
        return 512
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * _MOST_OPEN if hard == resource.RLIM_INFINITY else min(hard, 2 * _MOST_OPEN)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # A year of two satellites has more files than the usual limit, and opening them again
        # for each block costs more than decoding.
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _MOST_OPEN * 2 if soft == resource.RLIM_INFINITY else soft


@lru_cache(maxsize=1024)
def gain_of(scale: float) -> tuple[float, float]:
    """Return numerator and denominator of what makes 1e-4 units of the numbers of a file.

    Scales are short decimals or one over a whole number, of which a floating-point number is only
    near; taken as the fraction that is meant, products and halves are exact.

    Examples
    --------
    >>> gain_of(1 / 30_000), gain_of(2.75e-05)
    ((10000.0, 30000.0), (110000.0, 400000.0))
    """
    fraction = Fraction(scale).limit_denominator(10**9)
    return float(10_000 * fraction.numerator), float(fraction.denominator)


def to_stored(
    raw: npt.NDArray[Any], asset: Asset
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return the numbers of a file as reflectances in 1e-4 units.

    Parameters
    ----------
    raw
        Numbers as stored in the file, of any type.
    asset
        Scale and offset of the file, and its numbers for no data and for a saturated detector.
        These are compared first and exactly, as negative reflectances are legal.

    Returns
    -------
    values, missing, outside
        int16 reflectances, rounded half to even; where there is no data (also where the detector
        was saturated, or a float is not finite); where a value had to be clipped to -9999 or
        32767. One shape. Where there is no data, value and mark of clipping mean nothing.

    Raises
    ------
    ValueError
        If the asset has no scale.
    """
    if asset.scale is None:
        raise ValueError(f"{asset.href} has no scale")
    missing = np.zeros(raw.shape, bool) if asset.nodata is None else raw == asset.nodata
    if asset.saturated is not None:
        missing |= raw == asset.saturated
    if raw.dtype == np.int16 and (asset.scale, asset.offset) == STORED:
        return np.maximum(raw, np.int16(LOWEST)), missing, raw < LOWEST
    if raw.dtype.kind == "f":
        missing = missing | ~np.isfinite(raw)
    multiplier, divisor = gain_of(asset.scale)
    exact = np.where(missing, 0, raw).astype(np.float64) * multiplier / divisor
    if asset.offset:
        exact += round(asset.offset * 10_000, 6)
    np.rint(exact, out=exact)
    kept = exact.clip(LOWEST, HIGHEST)
    return kept.astype(np.int16), missing, kept != exact


def vanished(path: Path) -> Problem:
    """Return the finding that a file of the inventory is not there any more."""
    message = "an image file has vanished since the inventory was made"
    return Problem("E-IMAGE-VANISHED", message, str(path), _REMEDY)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn what GDAL and the system say into an error that names the file and the remedy."""
    try:
        yield
    except FileNotFoundError as error:
        problem = missing_copy(path) if is_copy(path) else vanished(path)
        raise InputDataError(problem) from error
    except (RasterioError, CPLE_BaseError, OSError) as error:
        cause = error.__cause__ or error
        message = f"an image file cannot be read, it may be cut short or damaged: {cause}"
        remedy = _MADE_AGAIN if is_copy(path) else _REMEDY
        raise InputDataError(Problem("E-IMAGE-CUT", message, str(path), remedy)) from error
