"""A small picture of a raster of the map."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from PIL import Image
from rasterio.enums import Resampling

from oso_pipeline.core.nomenclature import Nomenclature


def quicklook(path: Path, nomenclature: Nomenclature | None, max_px: int = 1000) -> bytes:
    """Return a PNG picture of a raster, nodata transparent.

    The raster is read through its overviews, so a map of a whole country takes a moment.

    Parameters
    ----------
    path
        Raster of classes, confidence or validity.
    nomenclature
        Classes and their colours; None for a raster of numbers, which is shown from dark
        (0) to bright (its greatest value).
    max_px
        Longest side of the picture.
    """
    with rasterio.open(path, driver="GTiff") as source:
        scale = min(1.0, max_px / max(source.shape))
        shape = tuple(max(1, round(side * scale)) for side in source.shape)
        how = Resampling.average if nomenclature is None else Resampling.mode
        values = source.read(1, out_shape=shape, resampling=how)
        known = values != source.nodata
    colours = _scale(values, known) if nomenclature is None else _classes(values, nomenclature)
    colours[~known] = 0
    stream = io.BytesIO()
    Image.fromarray(colours).save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def _classes(values: npt.NDArray[np.integer], nomenclature: Nomenclature) -> npt.NDArray[np.uint8]:
    table = np.zeros((65536, 4), np.uint8)
    for code, colour in nomenclature.colour_table().items():
        table[code] = colour
    return table[values]


def _scale(values: npt.NDArray[np.integer], known: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    import matplotlib as mpl  # slow to load, and most commands draw nothing

    top = max(1, int(values[known].max(initial=1)))
    colours: npt.NDArray[np.uint8] = mpl.colormaps["viridis"](
        np.where(known, values, 0) / top, bytes=True
    )
    return colours
