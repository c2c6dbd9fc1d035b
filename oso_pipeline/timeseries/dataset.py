"""The series of a tile as a lazy dataset: a variable per band and index, in time and space."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, overload

import numpy as np
import xarray as xr

from oso_pipeline.config import Config
from oso_pipeline.config.loader import load_config
from oso_pipeline.core.errors import InputDataError, Problem, UnknownName
from oso_pipeline.core.tiles import Tile
from oso_pipeline.timeseries.feature_layout import FeatureGroup, FeatureLayout
from oso_pipeline.timeseries.feature_variables import variables_of
from oso_pipeline.timeseries.kernels.chunks import NODATA
from oso_pipeline.timeseries.stack import open_features

PathLike = str | os.PathLike[str]


@overload
def open_stack(
    config: Config | PathLike,
    tile: str,
    bands: Iterable[str] | None = None,
    *,
    flat: Literal[False] = False,
) -> xr.Dataset: ...


@overload
def open_stack(
    config: Config | PathLike,
    tile: str,
    bands: Iterable[str] | None = None,
    *,
    flat: Literal[True],
) -> xr.DataArray: ...


def open_stack(
    config: Config | PathLike,
    tile: str,
    bands: Iterable[str] | None = None,
    *,
    flat: bool = False,
) -> xr.Dataset | xr.DataArray:
    """Open the gap-filled series of a tile; no pixel is read yet.

    The numbers are those that training and prediction see. The products are those of the
    inventory that the run has committed, where it is up to date. Otherwise they are looked up,
    and files that are needed are extracted from archives into the run folder, as the run does.
    Chunks follow the blocks of the files; to compute one pixel computes its chunk.

    Parameters
    ----------
    config
        The configuration, or the path of its YAML file.
    tile
        A tile, with or without the leading T. It need not be among those of the configuration
        as long as its products lie in ``imagery.paths``.
    bands
        Names of bands and indices of the configuration; all of them by default.
    flat
        Return one array of features instead, named and ordered as the columns of the samples.

    Returns
    -------
    Dataset or DataArray
        A variable per band and index, int16 of dimensions ``(time, y, x)``, -10000 where a pixel
        has no clear date; with each come those derived from it, without time where they have none.
        Times are the dates of ``season``. Attributes ``scale_factor`` and ``_FillValue`` follow the
        CF conventions, so ``xarray.decode_cf`` gives reflectances and indices as floating-point
        numbers with NaN. Coordinates are the centres of the pixels in metres, in the coordinate
        system of the tile (``stack.rio.crs``).
        With `flat` a DataArray of dimensions ``(feature, y, x)`` with the same numbers.

    Raises
    ------
    ConfigError
        If the configuration cannot be used.
    InputDataError
        If `tile` is not the name of a Sentinel-2 tile or has no usable product; or later, while
        computing, if an image cannot be read.
    UnknownName
        If a band or index is not in the configuration.

    Examples
    --------
    >>> import oso_pipeline as oso
    >>> import xarray as xr
    >>> stack = oso.open_stack("demo/one_year.yaml", "31UCU")
    >>> stack.NDVI.dims, stack.NDVI.dtype
    (('time', 'y', 'x'), dtype('int16'))
    >>> ndvi = xr.decode_cf(stack[["NDVI"]]).NDVI
    >>> bool(ndvi.isel(y=60, x=60).max() <= 1)
    True
    """
    if not isinstance(config, Config):
        config = load_config(Path(config))
    layout = FeatureLayout.of(config)
    chosen = _chosen(bands, layout.series)
    features = open_features(config, _tile_name(tile))
    if flat:
        rows = [one.rows for one in variables_of(layout.series) if one.channel in chosen]
        places = np.sort(np.concatenate([np.arange(layout.size)[some] for some in rows]))
        return features.isel(feature=places) if bands is not None else features
    variables = variables_of(layout.series)
    names = [one.name for name in chosen for one in variables if one.channel == name]
    return dataset_of(features, layout.series)[names]


def dataset_of(features: xr.DataArray, group: FeatureGroup) -> xr.Dataset:
    """Return the variables of features as `open_features` returns them."""
    variables = variables_of(group)
    times = np.array(group.dates or (), "datetime64[ns]")
    places = {name: features.coords[name] for name in ("y", "x", "spatial_ref")}
    stack = xr.Dataset(
        {
            one.name: (("time", "y", "x"), features.data[one.rows])
            if one.dated
            else (("y", "x"), features.data[one.rows.start])
            for one in variables
        },
        {"time": times, **places},
        {"tile": features.attrs["tile"], "images": features.attrs["images"]},
    )
    formulas = {one.name: one.formula for one in group.defined}
    for one in variables:
        variable = stack[one.name]
        variable.attrs = {"long_name": one.name, "units": "1", "scale_factor": one.scale}
        if one.name in formulas:
            variable.attrs["long_name"] = f"{one.name} = {formulas[one.name]}"
        variable.attrs |= {"_FillValue": NODATA, "grid_mapping": "spatial_ref"}
    return stack


def _chosen(bands: Iterable[str] | None, group: FeatureGroup) -> list[str]:
    known = [*group.bands, *group.indices]
    chosen = known if bands is None else list(bands)
    if unknown := [name for name in chosen if name not in known]:
        message = f"found band {unknown[0]!r}, expected some of {', '.join(known)}"
        hint = "set `imagery.bands` and `features.indices` in the configuration"
        raise UnknownName(Problem("E-NAME-BAND", message, hint=hint))
    return chosen


def _tile_name(tile: str) -> str:
    try:
        return Tile.parse(tile).name
    except ValueError as error:
        raise InputDataError(Problem("E-NAME-TILE", str(error))) from error
