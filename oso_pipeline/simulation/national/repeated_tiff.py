"""GeoTIFF files whose rows repeat: compressed once, written as often as the file is high."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine
from odc.geo.geobox import GeoBox

from oso_pipeline.simulation.national.tiff_strips import HEAD_BYTES, Strips, head, refuse_large


def repeated_tiff(
    path: Path, patch: npt.NDArray[Any], rows: int, transform: Affine, grid: GeoBox
) -> None:
    """Write a file of `rows` rows that repeats `patch`, in deflated strips of one row.

    Parameters
    ----------
    path
        File to write; less than 4 GiB.
    patch
        Pixels, shape ``(rows of the patch, columns)``.
    rows
        Height of the file.
    transform
        From pixels of the file to coordinates.
    grid
        Gives the coordinate system.
    """
    strips = Strips.of(patch, transform, grid)
    whole, rest = divmod(rows, len(strips.rows))
    counts = np.concatenate([np.tile(strips.counts, whole), strips.counts[:rest]])
    starts = HEAD_BYTES + np.concatenate([[0], np.cumsum(counts)])
    end = int(starts[-1])
    refuse_large(path, end)
    blob = b"".join(strips.rows)
    with path.open("wb") as file:
        file.write(head(end + end % 2))
        for _ in range(whole):
            file.write(blob)
        file.write(b"".join(strips.rows[:rest]))
        file.write(bytes(end % 2))
        file.write(strips.directory(starts[:-1], counts, end + end % 2))
