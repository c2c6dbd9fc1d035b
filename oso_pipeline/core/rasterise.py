"""Polygons to pixels; the result does not depend on the requested window."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
import shapely
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize

from oso_pipeline.core.blocks import Block

NONE = -1
"""Value of a pixel whose centre no polygon holds."""

_SQUARE = 512


class Burner:
    """Finds the polygon that holds the centre of each pixel.

    Rounding lets the answer at a border depend on the window in which polygons are drawn, so
    they are always drawn in the same squares of the grid, and windows are cut out of these.

    Parameters
    ----------
    grid
        Grid of the pixels.
    geometries
        Polygons in the coordinate system of `grid`. Where two hold a centre the later counts.
    """

    def __init__(self, grid: GeoBox, geometries: npt.NDArray[np.object_]) -> None:
        self.grid = grid
        self.geometries = geometries

    def block(self, block: Block) -> npt.NDArray[np.int32]:
        """Return the index of the polygon at each pixel of `block`, or `NONE`.

        Returns
        -------
        int32 array of shape ``(block.height, block.width)``
        """
        answer = np.full((block.height, block.width), NONE, np.int32)
        last_row, last_column = block.row + block.height, block.column + block.width
        for top in range(block.row // _SQUARE * _SQUARE, last_row, _SQUARE):
            rows = slice(max(top, block.row), min(top + _SQUARE, last_row))
            for left in range(block.column // _SQUARE * _SQUARE, last_column, _SQUARE):
                columns = slice(max(left, block.column), min(left + _SQUARE, last_column))
                drawn = self._square(top, left)
                if drawn is not None:
                    target = _moved(rows, block.row), _moved(columns, block.column)
                    answer[target] = drawn[_moved(rows, top), _moved(columns, left)]
        return answer

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(self.geometries)

    def _square(self, top: int, left: int) -> npt.NDArray[np.int32] | None:
        rows, columns = self.grid.shape
        part = self.grid[top : min(top + _SQUARE, rows), left : min(left + _SQUARE, columns)]
        near = np.sort(self._tree.query(shapely.box(*part.boundingbox.bbox)))
        if len(near) == 0:
            return None
        drawn: npt.NDArray[np.int32] = rasterize(
            [(self.geometries[index], int(index)) for index in near],
            out_shape=tuple(part.shape),
            fill=NONE,
            transform=part.affine,
            dtype="int32",
        )
        return drawn


def _moved(extent: slice, origin: int) -> slice:
    return slice(extent.start - origin, extent.stop - origin)
