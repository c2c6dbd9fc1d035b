"""Pictures of the map for the report: PNG inside the page, with what a legend needs."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import rasterio
import shapely
from affine import Affine
from PIL import Image
from rasterio.enums import Resampling
from rasterio.features import rasterize

from oso_pipeline.core.nomenclature import NODATA_CODE, Nomenclature
from oso_pipeline.core.parquet_pieces import pieces

_SCALE = "viridis"
_STOPS = 8
_MOST_POLYGONS = 50_000


@dataclass(frozen=True)
class Picture:
    """A picture ready for a page.

    Parameters
    ----------
    uri
        The PNG as a ``data:`` address.
    width, height
        Size in pixels.
    codes
        Class codes seen in the picture, ascending; empty for numbers.
    top
        Value at the bright end of the scale of numbers; 0 for classes.
    metres
        Side of a pixel on the ground; 0 if unknown.
    meaning
        Description of the values, from the raster; empty if it has none.
    """

    uri: str
    width: int
    height: int
    codes: tuple[int, ...] = ()
    top: int = 0
    metres: float = 0.0
    meaning: str = ""


def class_picture(path: Path, nomenclature: Nomenclature, max_px: int = 1100) -> Picture:
    """Return the map in the colours of its classes, no data transparent.

    The raster is read through its overviews, so a map of a whole country takes a moment.
    """
    values = _read(path, max_px, Resampling.mode)
    table = _colours(nomenclature)
    codes = tuple(int(code) for code in np.unique(values) if code != NODATA_CODE)
    return _picture(table[values], codes=codes)


def number_picture(
    path: Path, classes: Path, top: int | None = None, max_px: int = 700
) -> Picture | None:
    """Return a raster of numbers from dark (0) to bright (`top`, or its greatest value).

    Pixels without a class are transparent; None where no pixel has one.
    """
    import matplotlib as mpl  # slow to load, and most commands draw nothing

    known = _read(classes, max_px, Resampling.mode) != NODATA_CODE
    values = _read(path, max_px, Resampling.nearest)
    if values.shape != known.shape or not known.any():
        return None
    bright = top or max(1, int(values[known].max()))
    share = np.clip(np.where(known, values, 0) / bright, 0, 1)
    colours: npt.NDArray[np.uint8] = mpl.colormaps[_SCALE](share, bytes=True)
    colours[~known] = 0
    return replace(_picture(colours, top=bright), meaning=_meaning(path))


def polygon_picture(path: Path, nomenclature: Nomenclature, max_px: int = 700) -> Picture | None:
    """Return the polygons of a GeoParquet file in the colours of their classes.

    Of many polygons an evenly spaced part is drawn; None where there are none.
    """
    geometries, codes = _spaced_polygons(path)
    if not len(geometries):
        return None
    left, bottom, right, top = shapely.total_bounds(geometries)
    metres = max(right - left, top - bottom, 1.0) / max_px
    shape = tuple(max(1, int(np.ceil(side / metres))) for side in (top - bottom, right - left))
    drawn = rasterize(
        zip(geometries, codes.tolist(), strict=True),
        out_shape=shape,
        transform=Affine(metres, 0, left, 0, -metres, top),
        all_touched=True,
        dtype="int32",
    )
    colours = _colours(nomenclature)[drawn]
    return replace(_picture(colours, codes=tuple(np.unique(codes).tolist())), metres=metres)


def scale_gradient() -> str:
    """Return the scale of `number_picture` as a CSS gradient from left to right."""
    import matplotlib as mpl

    stops = (mpl.colormaps[_SCALE](step / (_STOPS - 1)) for step in range(_STOPS))
    return f"linear-gradient(to right, {', '.join(mpl.colors.to_hex(stop) for stop in stops)})"


def map_pictures(
    files: Mapping[str, Path],
    nomenclature: Nomenclature,
    failed: Callable[[str, Exception], object],
) -> dict[str, Picture]:
    """Return the pictures of the layers that can be read.

    Parameters
    ----------
    files
        Paths of the layers ``class``, ``confidence`` and ``validity``.
    nomenclature
        Classes and their colours.
    failed
        Called with each picture that could not be made, and why.
    """
    makers: dict[str, Any] = {
        "class": lambda: class_picture(files["class"], nomenclature),
        "confidence": lambda: number_picture(files["confidence"], files["class"], top=100),
        "validity": lambda: number_picture(files["validity"], files["class"]),
    }
    pictures = {}
    for layer, make in makers.items():
        try:
            picture = make()
        except Exception as error:  # noqa: BLE001  (one picture does not take the page with it)
            failed(f"picture of {files[layer].name}", error)
            continue
        if picture is not None:
            pictures[layer] = picture
    return pictures


def _spaced_polygons(path: Path) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.int32]]:
    """Return every n-th geometry of a file and its class, read piece by piece."""
    shapes, codes, seen = [], [], 0
    step = max(1, pq.read_metadata(path).num_rows // _MOST_POLYGONS)
    for piece in pieces(path, ["code", "geometry"]):
        chosen = piece.take(np.arange(-seen % step, len(piece), step))
        shapes.append(shapely.from_wkb(chosen["geometry"].to_numpy(zero_copy_only=False)))
        codes.append(chosen["code"].to_numpy().astype(np.int32))
        seen += len(piece)
    if not shapes:
        return np.empty(0, object), np.empty(0, np.int32)
    return np.concatenate(shapes), np.concatenate(codes)


def _colours(nomenclature: Nomenclature) -> npt.NDArray[np.uint8]:
    """Return red, green, blue and opacity by code."""
    table = np.zeros((65536, 4), dtype=np.uint8)
    for code, colour in nomenclature.colour_table().items():
        table[code] = colour
    return table


def _read(path: Path, max_px: int, how: Resampling) -> npt.NDArray[Any]:
    with rasterio.open(path, driver="GTiff") as source:
        scale = min(1.0, max_px / max(source.shape))
        shape = tuple(max(1, round(side * scale)) for side in source.shape)
        values: npt.NDArray[Any] = source.read(1, out_shape=shape, resampling=how)
    return values


def _meaning(path: Path) -> str:
    with rasterio.open(path, driver="GTiff") as source:
        return source.descriptions[0] or ""


def _picture(colours: npt.NDArray[np.uint8], codes: tuple[int, ...] = (), top: int = 0) -> Picture:
    stream = io.BytesIO()
    Image.fromarray(colours, mode="RGBA").save(stream, format="PNG", optimize=True)
    uri = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
    return Picture(uri, colours.shape[1], colours.shape[0], codes, top)
