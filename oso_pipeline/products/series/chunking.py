"""How NetCDF and Zarr are cut into chunks."""

from __future__ import annotations

from typing import Literal

Chunks = Literal["maps", "series"]

_MAP_SIDE = 1024
_SERIES_SIDE = 128


def chunk_of(shape: tuple[int, int, int], kind: Chunks) -> tuple[int, int, int]:
    """Return steps, rows and columns of a chunk of a variable of a shape.

    ``maps``: one date of 1024 x 1024 pixels, 2 MB. ``series``: all dates of 128 x 128 pixels, 1 MB
    for 37 dates. A full tile has 121 of the first per date, or 7,396 of the second.

    Examples
    --------
    >>> chunk_of((37, 10980, 10980), "maps"), chunk_of((37, 10980, 10980), "series")
    ((1, 1024, 1024), (37, 128, 128))
    """
    side = _MAP_SIDE if kind == "maps" else _SERIES_SIDE
    steps = 1 if kind == "maps" else max(1, shape[0])
    return steps, min(side, shape[1]), min(side, shape[2])
