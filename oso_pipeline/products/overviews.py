"""Overviews: each level from the one before, two by two pixels, as GDAL's cascade makes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.enums import Resampling

from oso_pipeline.core.kernels import kernel

Pixels = npt.NDArray[Any]


def overview_shapes(shape: tuple[int, int], block_px: int) -> list[tuple[int, int]]:
    """Return the rows and columns of all overviews: halved until one block holds the image."""
    found = []
    while max(shape) > block_px:
        shape = -(-shape[0] // 2), -(-shape[1] // 2)
        found.append(shape)
    return found


def halved(pixels: Pixels, nodata: int, how: Resampling) -> Pixels:
    """Return the next overview: a pixel for each two by two, as far as there are so many.

    Sizes are rounded up, so a pixel of a level covers the same ground whatever the extent.

    Parameters
    ----------
    pixels
        Unsigned integers, shape ``(rows, columns)``.
    nodata
        Counts for nothing, and is the value where there is nothing else.
    how
        ``mode``: the value that is first to occur most often, row by row. ``average``: the
        mean, halves rounded up.

    Raises
    ------
    ValueError
        For another way.
    """
    rows, columns = pixels.shape
    result = np.empty((-(-rows // 2), -(-columns // 2)), pixels.dtype)
    if how == Resampling.mode:
        _modes(pixels, pixels.dtype.type(nodata), result)
    elif how == Resampling.average:
        _means(pixels, pixels.dtype.type(nodata), result)
    else:
        raise ValueError(f"overviews are made by mode or average, not by {how.name}")
    return result


@kernel(error_model="numpy")
def _modes(pixels: Pixels, nodata: Any, result: Pixels) -> None:
    rows, columns = pixels.shape
    for row in range(0, rows, 2):
        for column in range(0, columns, 2):
            # A value counts as often as it has come so far; the first with the greatest count.
            best, most = nodata, 0
            for i in range(row, min(row + 2, rows)):
                for j in range(column, min(column + 2, columns)):
                    value = pixels[i, j]
                    if value == nodata:
                        continue
                    count = 1
                    for k in range(row, i + 1):
                        for m in range(column, min(column + 2, columns) if k < i else j):
                            count += pixels[k, m] == value
                    if count > most:
                        best, most = value, count
            result[row // 2, column // 2] = best


@kernel(error_model="numpy")
def _means(pixels: Pixels, nodata: Any, result: Pixels) -> None:
    rows, columns = pixels.shape
    for row in range(0, rows, 2):
        for column in range(0, columns, 2):
            total = number = 0
            for i in range(row, min(row + 2, rows)):
                for j in range(column, min(column + 2, columns)):
                    value = pixels[i, j]
                    if value != nodata:
                        total += int(value)
                        number += 1
            if number:
                result[row // 2, column // 2] = (total + number // 2) // number
            else:
                result[row // 2, column // 2] = nodata
