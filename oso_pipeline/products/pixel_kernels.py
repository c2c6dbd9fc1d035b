"""Compiled loops from pixels of the map to those of a tile and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.kernels import kernel

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Values = npt.NDArray[np.uint16]
Mask = npt.NDArray[np.bool_]


@kernel(error_model="numpy")
def pixels_of_owner(
    owners: npt.NDArray[np.int16],
    owner: int,
    nodes: tuple[Floats, Floats],
    cells: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    shares: tuple[Floats, Floats],
    shape: tuple[int, int],
) -> tuple[Ints, Ints, Ints]:
    """Return the pixels of a window that a tile owns, and the pixel of the tile under each.

    Parameters
    ----------
    owners
        Index of the owner of each pixel of the window, int16, shape ``(rows, columns)``.
    owner
        Index of the tile.
    nodes
        Row and column in the tile of the control points, float64, one shape.
    cells, shares
        Of the rows and the columns of the window: the control point before, and how far on the
        way to the next one.
    shape
        Rows and columns of the tile.

    Returns
    -------
    flat, rows, columns
        int32, shape ``(n,)``: position in the window, row by row, and pixel of the tile. One
        that lies a millimetre outside, as positions are interpolated, is the outermost.
    """
    height, width = owners.shape
    number = 0
    for i in range(height):
        for j in range(width):
            number += owners[i, j] == owner
    flat = np.empty(number, np.int32)
    rows, columns = np.empty(number, np.int32), np.empty(number, np.int32)
    at = 0
    for i in range(height):
        up, down = cells[0][i], shares[0][i]
        for j in range(width):
            if owners[i, j] != owner:
                continue
            left, right = cells[1][j], shares[1][j]
            flat[at] = i * width + j
            rows[at] = _nearest(_between(nodes[0], up, left, down, right), shape[0])
            columns[at] = _nearest(_between(nodes[1], up, left, down, right), shape[1])
            at += 1
    return flat, rows, columns


@kernel(error_model="numpy")
def _between(nodes: Floats, up: int, left: int, down: float, right: float) -> float:
    # The same operations as in `grid.Locator.positions`, in the same order: equal to the bit.
    above = nodes[up, left] + (nodes[up, left + 1] - nodes[up, left]) * right
    below = nodes[up + 1, left] + (nodes[up + 1, left + 1] - nodes[up + 1, left]) * right
    result: float = above + (below - above) * down
    return result


@kernel(error_model="numpy")
def _nearest(position: float, size: int) -> int:
    if not position >= 0:
        return 0
    return min(int(position), size - 1)


@kernel(error_model="numpy")
def picked(
    content: Values, present: Mask, corner: tuple[int, int], rows: Ints, columns: Ints
) -> tuple[Values, Mask]:
    """Return pixels of a rectangle of a tile, and which of them are there.

    Parameters
    ----------
    content
        Bands, rows and columns of the rectangle, uint16.
    present
        Which pixels of it are known, shape ``(rows, columns)``.
    corner
        Row and column of its first pixel in the tile.
    rows, columns
        Pixels of the tile, shape ``(n,)``.
    """
    bands, number = content.shape[0], rows.size
    values, known = np.empty((bands, number), np.uint16), np.empty(number, np.bool_)
    top, left = corner
    for at in range(number):
        i, j = rows[at] - top, columns[at] - left
        known[at] = present[i, j]
        for band in range(bands):
            values[band, at] = content[band, i, j]
    return values, known


@kernel(error_model="numpy")
def put(result: Values, flat: Ints, values: Values, known: Mask) -> Any:
    """Write known `values` of shape ``(bands, n)`` to the places `flat` of a window."""
    bands, rows, columns = result.shape
    plane = result.reshape((bands, rows * columns))
    for at in range(flat.size):
        if known[at]:
            for band in range(bands):
                plane[band, flat[at]] = values[band, at]
