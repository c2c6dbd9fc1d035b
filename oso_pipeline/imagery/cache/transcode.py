"""Write the numbers of an image into a tiled TIFF, in bounded memory and without loss.

Blocks of the source are decoded once each, a row of blocks at a time. The TIFF is compressed with
LERC without loss. Its blocks hold checksums, which GDAL compares when it decodes, so that a damaged
copy is found where it is read. Of deflate GDAL does not compare them: of 600 flipped bits 182
changed pixels without a word, with zstd 594, with LERC none. Reading is fastest with LERC as well
(docs/operations.md).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile
from rasterio.windows import Window

from oso_pipeline.core.commit import staged
from oso_pipeline.core.errors import EnvironmentFailure, Problem
from oso_pipeline.imagery.cache.copies import BLOCK
from oso_pipeline.imagery.damage import UnreadableRaster, damage_as

OPTIONS: dict[str, Any] = {
    "driver": "GTiff",
    "tiled": True,
    "blockxsize": BLOCK,
    "blockysize": BLOCK,
    "max_z_error": 0,  # without loss
    "bigtiff": "if_safer",
}
"""How a copy is written."""

_GDAL = {
    "GDAL_NUM_THREADS": 1,  # a worker has one core
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
}


def transcode(source: str, driver: str, target: Path) -> None:
    """Copy the first band of a raster; the copy is read back and compared.

    Parameters
    ----------
    source
        Path, or the name by which GDAL opens it.
    driver
        The GDAL driver that opens it; no other is tried.
    target
        The TIFF. Type of the numbers, grid and size are those of the source.

    Raises
    ------
    UnreadableRaster
        If the source cannot be read.
    EnvironmentFailure
        If the system refuses to write (``E-DISK``), or GDAL was built without LERC
        (``E-RUN-DRIVER``).
    """
    _require_codecs()
    with (
        warnings.catch_warnings(),
        rasterio.Env(**_GDAL),
        ExitStack() as files,
    ):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with damage_as(UnreadableRaster, "GDAL cannot read it"):
            image = files.enter_context(rasterio.open(source, driver=driver))
        with staged(target) as temporary:
            with rasterio.open(temporary, "w", **_profile(image)) as copy:
                written = _copy(image, copy)
            if _checksums(temporary) != written:
                raise OSError(f"{target} could not be read back")


@cache
def _require_codecs() -> None:
    """Refuse to go on with a GDAL that cannot write the copies."""
    for dtype in ("uint8", "uint16"):
        pixels = np.zeros((1, 16, 16), dtype)
        profile = {**OPTIONS, **_codec(pixels.dtype), "width": 16, "height": 16, "count": 1}
        try:
            with (
                warnings.catch_warnings(action="ignore"),
                MemoryFile() as memory,
                memory.open(dtype=dtype, **profile) as file,
            ):
                file.write(pixels)
        except (RasterioError, CPLE_BaseError) as error:
            raise EnvironmentFailure(
                Problem(
                    "E-RUN-DRIVER",
                    f"the GDAL of rasterio cannot write TIFF with LERC: {error}",
                    None,
                    "install rasterio as a wheel, or set imagery.cache.max_gb: 0",
                )
            ) from error


def _codec(dtype: np.dtype[Any]) -> dict[str, str]:
    """Return the compression: classes are packed once more, bands gain nothing by that."""
    return {"compress": "lerc_zstd" if dtype.itemsize == 1 else "lerc"}


def _profile(image: Any) -> dict[str, Any]:
    dtype = np.dtype(image.dtypes[0])
    return {
        **OPTIONS,
        **_codec(dtype),
        "width": image.width,
        "height": image.height,
        "count": 1,
        "dtype": dtype,
        "crs": image.crs,
        "transform": image.transform,
    }


def _copy(image: Any, copy: Any) -> list[int]:
    """Copy all rows; return the checksum of each row of blocks of the copy."""
    checksums = []
    for row, values in _rows_of_blocks(image):
        checksums += [
            crc32(values[start : start + BLOCK].tobytes()) for start in range(0, len(values), BLOCK)
        ]
        copy.write(values, 1, window=Window(0, row, image.width, len(values)))
    return checksums


def _rows_of_blocks(image: Any) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Yield all rows, so that blocks of the source are read once and those of a copy written once.

    Each part holds whole rows of blocks of the copy; rows of the source beyond these wait for the
    next part.
    """
    height = image.block_shapes[0][0]
    step = height if height >= BLOCK else height * -(-BLOCK // height)
    row, waiting = 0, np.empty((0, image.width), image.dtypes[0])
    for start in range(0, image.height, step):
        with damage_as(UnreadableRaster, "GDAL cannot read it"):
            values = _read(image, start, step)
        if len(waiting):
            values = np.concatenate([waiting, values])
        is_last = start + step >= image.height
        whole = len(values) if is_last else len(values) // BLOCK * BLOCK
        if whole:
            yield row, values[:whole]
        row, waiting = row + whole, values[whole:].copy()


def _checksums(path: Path) -> list[int]:
    with rasterio.open(path, driver="GTiff") as copy:
        return [crc32(_read(copy, row, BLOCK).tobytes()) for row in range(0, copy.height, BLOCK)]


def _read(image: Any, row: int, n_rows: int) -> npt.NDArray[Any]:
    """Return some rows, fewer at the lower edge."""
    window = Window(0, row, image.width, min(n_rows, image.height - row))
    values: npt.NDArray[Any] = image.read(1, window=window)
    return values
