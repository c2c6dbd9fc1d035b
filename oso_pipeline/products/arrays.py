"""The layers of a map as lazy, georeferenced arrays with the names and colours of the classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rioxarray
import xarray as xr

from oso_pipeline.core.commit import read_sidecar
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.core.nomenclature import NODATA_CODE, Nomenclature
from oso_pipeline.products.layers import MapLayer, map_path

CHUNK_PIXELS = 2048
"""Side of a chunk: whole blocks of the file, few megabytes."""
_UNITS = {"class": "1", "confidence": "percent", "validity": "count"}


def open_layer(run_dir: Path, year: int, layer: MapLayer) -> xr.DataArray:
    """Open a layer of the map of a run; pixels are read on first use.

    Parameters
    ----------
    run_dir
        The run folder.
    year
        Year of the map.
    layer
        One of `products.layers.LAYERS`.

    Returns
    -------
    DataArray
        Dimensions ``(y, x)``, backed by dask, in the type of the file. Coordinates are the centres
        of the pixels in metres; ``array.rio.crs`` is the coordinate system and
        ``array.rio.nodata`` the value where there is no map.

    Raises
    ------
    InputDataError
        If the run has not made the layer, or the file cannot be opened.
    """
    path = run_dir / map_path(year, layer)
    if read_sidecar(path) is None:
        message = f"the run has no layer {layer.name!r}: expected a committed file"
        hint = "finish the run: oso_pipeline.run(config), or `oso run CONFIG`"
        raise InputDataError(Problem("E-RUN-MISSING", message, str(path), hint))
    try:
        raster = rioxarray.open_rasterio(path, chunks={"x": CHUNK_PIXELS, "y": CHUNK_PIXELS})
    except OSError as error:  # RasterioIOError is one
        message = f"the layer {layer.name!r} cannot be read: {error}"
        hint = "`oso verify RUN --repair`, then run again: it is made again"
        raise InputDataError(Problem("E-RUN-DAMAGED", message, str(path), hint)) from error
    assert isinstance(raster, xr.DataArray)  # a file of one band and no subdatasets
    array = raster.squeeze("band", drop=True).rename(layer.name)
    array.attrs = {"_FillValue": layer.nodata, "long_name": layer.description}
    array.attrs["units"] = _UNITS[layer.name]
    return array


def with_classes(array: xr.DataArray, nomenclature: Nomenclature) -> xr.DataArray:
    """Return an array of codes whose attributes name the classes, as CF conventions have flags.

    ``flag_values`` are the codes, ``flag_meanings`` the English names joined by blanks, words of a
    name by underscores, and ``flag_colors`` the colours ``#rrggbb``, joined by blanks.
    """
    classes = nomenclature.classes
    flags = {
        "flag_values": np.array(nomenclature.codes, array.dtype),
        "flag_meanings": " ".join("_".join(one.name_en.split()) for one in classes),
        "flag_colors": " ".join(one.colour for one in classes),
        "nomenclature": nomenclature.name,
    }
    return array.assign_attrs(flags | {"_FillValue": NODATA_CODE})
