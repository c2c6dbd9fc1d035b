"""GeoTIFF files of full size that hold little: a patch, and one row for all the rest.

A row of the file names the strip it shows, so that all rows without the patch share the bytes of
one; or they have no strip at all, as GDAL writes with ``SPARSE_OK`` and reads as 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from oso_pipeline.simulation.national.tiff_strips import HEAD_BYTES, Strips, head, refuse_large


@dataclass(frozen=True)
class Placed:
    """An image that lies somewhere in a larger one, and what lies around it.

    Parameters
    ----------
    image
        Pixels, shape ``(rows, columns)``.
    row, column
        Where its upper-left pixel lies.
    around
        Value left and right of it.
    elsewhere
        Value of the rows above and below; None leaves them without a strip.
    """

    image: npt.NDArray[Any]
    row: int
    column: int
    around: int
    elsewhere: int | None

    def distinct_rows(self, columns: int) -> npt.NDArray[Any]:
        """Return the rows that are stored, shape ``(row, columns)``."""
        height, width = self.image.shape
        stored = (height + (self.elsewhere is not None), columns)
        whole = np.full(stored, self.around, self.image.dtype)
        whole[:height, self.column : self.column + width] = self.image
        if self.elsewhere is not None:
            whole[height] = self.elsewhere
        return whole

    def shown(self, rows: int) -> npt.NDArray[np.int64]:
        """Return which of the distinct rows each row of the file shows, -1 for none."""
        height = self.image.shape[0]
        shown = np.full(rows, -1 if self.elsewhere is None else height)
        shown[self.row : self.row + height] = np.arange(height)
        return shown


def sparse_tiff(path: Path, placed: Placed, grid: GeoBox) -> None:
    """Write a file with the size of `grid` that shows an image, in deflated strips of one row.

    Parameters
    ----------
    path
        File to write.
    placed
        Description of the image.
    grid
        The pixels of the file.
    """
    rows, columns = (int(size) for size in grid.shape)
    # Images that are mostly noise and constants gain nothing by a higher level.
    strips = Strips.of(placed.distinct_rows(columns), grid.affine, grid, level=1)
    starts = HEAD_BYTES + np.concatenate([[0], np.cumsum(strips.counts)])
    end = int(starts[-1])
    refuse_large(path, end)
    shown = placed.shown(rows)
    offsets = np.where(shown < 0, 0, starts[shown])
    counts = np.where(shown < 0, 0, strips.counts[shown])
    with path.open("wb") as file:
        file.write(head(end + end % 2))
        file.write(b"".join(strips.rows) + bytes(end % 2))
        file.write(strips.directory(offsets, counts, end + end % 2))
