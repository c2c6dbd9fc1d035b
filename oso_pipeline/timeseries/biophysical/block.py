"""A variable of the networks for each image of a block, with the angles of that image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.kernels import kernel
from oso_pipeline.imagery.angles import Angles
from oso_pipeline.timeseries.biophysical.estimate import estimate
from oso_pipeline.timeseries.biophysical.network import INPUT_BANDS
from oso_pipeline.timeseries.kernels.chunks import NODATA
from oso_pipeline.timeseries.series import BlockSeries

_RESOLUTIONS_M = (10, 20)
_Layers = tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]


def block_biophysical(
    series: BlockSeries,
    bands: Sequence[str],
    variable: str,
    angles: Sequence[Angles],
    resolution_m: int = 20,
) -> _Layers:
    """Estimate a variable in every image of a block.

    On the 20 m grid, bands of 10 m are averaged over the pixels of the block that lie in a pixel
    of 20 m, which is clear where all of these are. On the 10 m grid, pixels of 20 m are repeated.

    Parameters
    ----------
    series
        The images.
    bands
        Names of the bands of `series`, in the order of its slots.
    variable
        ``LAI``, ``FAPAR`` or ``FCOVER``.
    angles
        Of each image, in the order of `series`: see `BlockSeries.products`.
    resolution_m
        20 or 10.

    Returns
    -------
    values
        int16, shape ``(time, n)``, as :func:`estimate` returns them; -10000 where not clear. The
        pixels are those of the block, or its ``ceil(rows / 2) * ceil(columns / 2)`` pixels of 20 m.
    clear
        uint8, shape ``(time, n)``.
    flags
        uint8, shape ``(time, n)``, 0 where not clear.

    Raises
    ------
    ValueError
        If a band is lacking, the angles are not as many as the images, or the resolution is
        another.
    """
    if lacking := [band for band in INPUT_BANDS if band not in bands]:
        raise ValueError(f"{variable} needs the bands {', '.join(lacking)}")
    if len(angles) != len(series.days):
        raise ValueError(f"{len(series.days)} images need as many angles, got {len(angles)}")
    if resolution_m not in _RESOLUTIONS_M:
        raise ValueError(f"resolution must be 10 or 20 m, got {resolution_m}")
    clear = series.clear if resolution_m == _RESOLUTIONS_M[0] else clear_at_20m(series)
    values = np.full(clear.shape, NODATA, np.int16)
    flags = np.zeros(clear.shape, np.uint8)
    slots = [int(series.slots[list(bands).index(band)]) for band in INPUT_BANDS]
    reflectance = np.empty((len(slots), clear.shape[1]), np.int16)
    for number, of_image in enumerate(angles):
        if not clear[number].any():
            continue
        for slot, row in zip(slots, reflectance, strict=True):
            _take_band(series, number, slot, resolution_m, row)
        found, bits = estimate(variable, reflectance, of_image.cosines)
        _keep_clear(found, bits, clear[number], values[number], flags[number])
    return values, clear, flags


def clear_at_20m(series: BlockSeries) -> npt.NDArray[np.uint8]:
    """Return 1 where all pixels of the block in a pixel of 20 m are clear.

    Parameters
    ----------
    series
        The images.

    Returns
    -------
    clear
        uint8, shape ``(time, ceil(rows / 2) * ceil(columns / 2))``.
    """
    rows, columns = series.shape
    half = (-(-rows // 2), -(-columns // 2))
    clear = np.empty((len(series.days), *half), np.uint8)
    _all_clear(series.clear.reshape(len(series.days), rows, columns), clear)
    return clear.reshape(len(series.days), half[0] * half[1])


def _take_band(
    series: BlockSeries, number: int, slot: int, resolution_m: int, out: npt.NDArray[np.int16]
) -> None:
    """Write a band of an image at a resolution into `out`, pixels row by row."""
    rows, columns = series.shape
    half = (-(-rows // 2), -(-columns // 2))
    if slot >= 0 and resolution_m == _RESOLUTIONS_M[0]:
        out[:] = series.fine[number, slot]
    elif slot >= 0:
        _average(series.fine[number, slot].reshape(rows, columns), out.reshape(half))
    elif resolution_m == _RESOLUTIONS_M[0]:
        _repeat(series.coarse[number, -1 - slot].reshape(half), out.reshape(rows, columns))
    else:
        out[:] = series.coarse[number, -1 - slot]


@kernel
def _average(fine, out):  # type: ignore[no-untyped-def]
    """Write the mean of each 2 x 2 pixels, or of those there are at an odd end; ties to even."""
    rows, columns = fine.shape
    for row in range(out.shape[0]):
        upper, lower = fine[2 * row], fine[min(2 * row + 1, rows - 1)]
        for column in range(columns // 2):
            left, right = 2 * column, 2 * column + 1
            total = np.int32(upper[left]) + upper[right] + lower[left] + lower[right]
            out[row, column] = np.int16(np.rint(np.float32(total) * np.float32(0.25)))
        if columns % 2:
            total = np.int32(upper[columns - 1]) + lower[columns - 1]
            out[row, columns // 2] = np.int16(np.rint(np.float32(total) * np.float32(0.5)))


@kernel
def _all_clear(fine, out):  # type: ignore[no-untyped-def]
    """Write 1 where all of each 2 x 2 pixels are clear, or of those there are at an odd end."""
    n_images, rows, columns = fine.shape
    for image in range(n_images):
        for row in range(out.shape[1]):
            upper, lower = fine[image, 2 * row], fine[image, min(2 * row + 1, rows - 1)]
            line = out[image, row]
            for column in range(columns // 2):
                left, right = 2 * column, 2 * column + 1
                both = (upper[left] != 0) & (upper[right] != 0)
                line[column] = both & (lower[left] != 0) & (lower[right] != 0)
            if columns % 2:
                line[columns // 2] = (upper[columns - 1] != 0) & (lower[columns - 1] != 0)


@kernel
def _repeat(coarse, out):  # type: ignore[no-untyped-def]
    rows, columns = out.shape
    for row in range(rows):
        source, line = coarse[row // 2], out[row]
        for column in range(columns // 2):
            line[2 * column] = source[column]
            line[2 * column + 1] = source[column]
        if columns % 2:
            line[columns - 1] = source[columns // 2]


@kernel
def _keep_clear(found, bits, clear, values, flags):  # type: ignore[no-untyped-def]
    """Write what was found at clear pixels, and no data at the others."""
    for p in range(len(clear)):
        values[p] = found[p] if clear[p] else np.int16(NODATA)
        flags[p] = bits[p] if clear[p] else np.uint8(0)
