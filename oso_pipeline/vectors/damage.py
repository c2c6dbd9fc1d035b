"""Messages about damaged vector files."""

from __future__ import annotations

import errno
from pathlib import Path

import geopandas
import numpy as np
import shapely

from oso_pipeline.core.errors import Problems
from oso_pipeline.vectors.formats import UNPACK, RefusedFormat
from oso_pipeline.vectors.geometry import finite
from oso_pipeline.vectors.shapefiles import companion, index_fits, lacking_bytes

UNREADABLE: tuple[type[Exception], ...] = (Exception,)
"""Exceptions of libraries on damaged files: any, UnboundLocalError of pyogrio included."""
_OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
DAMAGED_SYSTEM = "compare the .prj with that of the delivery; a damaged one moves all polygons"
NOT_BUILT = "not_built"
"""Mark, among the attributes of a table, that missing geometry may be such as cannot be built."""

_SHOWN = 10


def is_cut(path: Path, problems: Problems) -> bool:
    """Report files that are shorter than their header says (``E-VECTOR-CUT``).

    So is a shapefile whose index does not fit.
    """
    cut = False
    table = companion(path, ".dbf") if path.suffix.lower() == ".shp" else None
    for file in (path, table):
        if file is None or not file.is_file():
            continue
        if lacking := lacking_bytes(file):
            hint = "it was cut in copying or unpacking; get it again"
            message = f"cannot be read: {lacking} bytes shorter than its own header says"
            problems.error("E-VECTOR-CUT", message, file, hint)
            cut = True
    if not cut and path.suffix.lower() == ".shp" and not index_fits(path):
        message = "cannot be read: its index (.shx) leads to other places than those of its records"
        hint = "get it again, or remove the .shx: the index is then made again while it is read"
        problems.error("E-VECTOR-INDEX", message, path, hint)
        return True
    return cut


def report_unreadable(path: Path, error: Exception, problems: Problems) -> None:
    """Report a file that could not be read (``E-VECTOR-READ``), or is refused.

    Called while `error` is handled: a lack of resources is not the fault of the file, and is
    raised again.
    """
    if isinstance(error, MemoryError) or getattr(error, "errno", None) in _OF_THE_MACHINE:
        raise error
    hint = "the file may be cut or lack a companion (.shx, .dbf); copy or export it again"
    if path.suffix.lower() == ".zip":
        hint = UNPACK
    if isinstance(error, RefusedFormat):
        hint = error.hint
    problems.error("E-VECTOR-READ", f"cannot be read as vector file: {error}", path, hint)


def without_damaged(
    frame: geopandas.GeoDataFrame, path: Path, problems: Problems
) -> geopandas.GeoDataFrame:
    """Return the features whose geometry is whole; others are reported (``W-GEOMETRY-INVALID``).

    Damaged are vertices that are not numbers, and rings that are not closed: with `NOT_BUILT`
    among the attributes of `frame`, features without geometry.
    """
    shapes = np.asarray(frame.geometry)
    damaged = ~finite(shapes)
    if frame.attrs.pop(NOT_BUILT, False):
        damaged |= shapely.is_missing(shapes)
    if not damaged.any():
        return frame
    shown = ", ".join(map(str, frame.index[damaged][:_SHOWN]))
    more = f" and {damaged.sum() - _SHOWN} more" if damaged.sum() > _SHOWN else ""
    message = (
        f"the geometry of {damaged.sum()} features is damaged, by rings that are not closed or "
        f"vertices that are not numbers; they are left out: {shown}{more}"
    )
    problems.warn(
        "W-GEOMETRY-INVALID", message, path, "the numbers are those of GDAL; export it again"
    )
    return frame[~damaged]
