"""Series per parcel from datasets in memory or on a cluster, of physical values.

For some thousand parcels of a notebook: the pixels of the parcels are held for one variable at a
time, and the statistics are those of NumPy. A run takes `parcels_extract` instead.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import rioxarray  # noqa: F401  (registers the accessor `rio`)
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from oso_pipeline.core.blocks import Block, blocks_of
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.products.series.parcels_extract import (
    NEAREST,
    YEAR_DAY,
    days_of_years,
    grid_of,
    is_measured,
)
from oso_pipeline.products.series.parcels_pixels import PixelWindow, pixels_of
from oso_pipeline.products.series.parcels_polygons import Parcels, Place
from oso_pipeline.products.series.parcels_statistics import Statistics
from oso_pipeline.products.series.parcels_table import Parts, Steps, long_table, notes_of
from oso_pipeline.timeseries.series_layout import Axis, Variable

_AXES: tuple[Axis, ...] = ("time", "acquisition", "month", "season")
_BLOCK_PX = 1024
_HINT = "give a dataset as oso_pipeline.open_stack returns it"
Values = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class DatasetSeries:
    """A dataset of series with dimensions ``y`` and ``x``.

    Parameters
    ----------
    dataset
        Physical values with NaN, or integers with the attributes ``scale_factor``,
        ``add_offset`` and ``_FillValue``. Dask arrays are computed chunk by chunk.
    """

    dataset: xr.Dataset

    @cached_property
    def grid(self) -> GeoBox:
        """Grid of the pixels; 10 or 20 m.

        Raises
        ------
        InputDataError
            If the dataset has no such grid (``E-SERIES-DATASET``).
        """
        if not {"x", "y"} <= set(self.dataset.coords):
            raise _unusable("the dataset has no coordinates x and y")
        x, y = (np.asarray(self.dataset[name], float) for name in ("x", "y"))
        crs = self.dataset.rio.crs
        if crs is None or crs.to_epsg() is None:
            raise _unusable("the dataset has no coordinate system with an EPSG code")
        if len(x) < 2 or len(y) < 2:
            raise _unusable("the dataset has fewer than two rows or columns")
        dx, dy = x[1] - x[0], y[1] - y[0]
        even = np.allclose(np.diff(x), dx) and np.allclose(np.diff(y), dy)
        if not (even and dy == -dx and dx in (10, 20)):
            raise _unusable(f"found pixels of {dx:g} x {-dy:g} m, expected 10 or 20, north up")
        affine = Affine(dx, 0, x[0] - dx / 2, 0, dy, y[0] - dy / 2)
        return GeoBox((len(y), len(x)), affine, f"EPSG:{crs.to_epsg()}")

    @property
    def fine_grid(self) -> GeoBox:
        """The 10 m grid that covers the same ground."""
        part = round(self.grid.affine.a) // 10
        rows, columns = (int(size) * part for size in self.grid.shape)
        return GeoBox((rows, columns), self.grid.affine @ Affine.scale(1 / part), self.grid.crs)

    @property
    def blocks(self) -> list[Block]:
        """Blocks in pixels of 10 m that follow the chunks, or of 1024 x 1024 pixels."""
        rows, columns = (int(size) for size in self.fine_grid.shape)
        part = round(self.grid.affine.a) // 10
        sizes: Any = self.dataset.unify_chunks().chunksizes
        shape = [max(sizes.get(name, (_BLOCK_PX,))) * part for name in ("y", "x")]
        height, width = (int(size + size % 2) for size in shape)
        return blocks_of("", (rows, columns), (height, width))

    def variables(self, names: Sequence[str] | None) -> list[Variable]:
        """Return the variables of which a mean makes sense, or some of them."""
        spatial = [k for k, v in self.dataset.data_vars.items() if {"y", "x"} <= set(v.dims)]
        found = [self.variable(str(name)) for name in spatial]
        chosen = [one for one in found if is_measured(one)]
        return chosen if names is None else [one for one in chosen if one.name in names]

    def steps(self, variable: Variable) -> Steps:
        """Return the steps of a variable."""
        if not variable.axis:
            return Steps()
        if variable.axis == "season":
            return Steps(n_seasons=int(self.dataset.sizes["season"]))
        days = np.asarray(self.dataset[variable.axis]).astype("datetime64[D]")
        return Steps(tuple(days.tolist()))

    def planes(self, block: Block, variable: Variable) -> Values:
        """Return physical values in pixels of the variable, shape ``(step, row, column)``."""
        own = round(self.grid.affine.a) // 10
        rows = slice(block.row // own, -(-(block.row + block.height) // own))
        columns = slice(block.column // own, -(-(block.column + block.width) // own))
        axes = [variable.axis] if variable.axis else []
        values = self.dataset[variable.name].isel(y=rows, x=columns).transpose(*axes, "y", "x")
        stored = np.asarray(values) if axes else np.asarray(values)[None]
        every = variable.resolution_m // 10 // own
        stored = stored[:, ::every, ::every]
        found = stored.astype(np.float64)
        if variable.fill is not None:
            found[stored == variable.fill] = np.nan
        if variable.name in YEAR_DAY:
            days = days_of_years(np.nan_to_num(found).astype(np.int64)).astype(float)
            return np.where(days == 0, np.nan, days)
        return found * variable.scale + variable.offset

    def variable(self, name: str) -> Variable:
        """Return what a variable says of itself."""
        one = self.dataset[name]
        if one.dtype.kind not in "iuf":
            raise _unusable(f"{name} holds {one.dtype}, expected numbers")
        says = one.attrs
        own = round(self.grid.affine.a)
        fill = says.get("_FillValue")
        return Variable(
            name,
            str(says.get("long_name", name)),
            str(says.get("units", "1")),
            next((axis for axis in _AXES if axis in one.dims), ""),
            str(one.dtype),
            max(own, int(says.get("resolution_m", own))),
            scale=float(says.get("scale_factor", 1.0)),
            offset=float(says.get("add_offset", 0.0)),
            fill=None if fill is None or fill != fill else int(fill),
            standard_name=str(says.get("standard_name", "")),
            flag_masks=tuple(np.atleast_1d(says.get("flag_masks", ())).tolist()),
            ancillary=tuple(str(says.get("ancillary_variables", "")).split()),
        )


@dataclass(frozen=True)
class DatasetParcels:
    """Parcels on the datasets of one or several tiles.

    Parameters
    ----------
    parts
        The parcels of each tile, and its series.
    erosion_m
        Least distance of a pixel from the border of its parcel, metres.
    """

    parts: Sequence[tuple[Place, Parcels, DatasetSeries]]
    erosion_m: float

    def tables(self, names: Sequence[str] | None, within_days: int) -> Iterator[pa.Table]:
        """Yield the rows of each variable."""
        first = self.parts[0][2]
        for variable in first.variables(names):
            near = [k for k in variable.ancillary if k.startswith(NEAREST)]
            nearest = first.variable(near[0]) if near and near[0] in first.dataset else None
            yield self._table(variable, nearest, within_days)

    def _table(self, variable: Variable, nearest: Variable | None, within_days: int) -> pa.Table:
        steps = self.parts[0][2].steps(variable)
        values = self._values(variable, len(steps))
        order, clear = sorted(values), None
        if nearest is not None and variable.axis == "time":
            near = self._values(nearest, len(steps))
            clear = np.stack([_share(near[number] <= within_days) for number in order])
        ids, tiles, area = self._described(order)
        pixels = np.array([values[number].shape[1] for number in order])
        found = [_statistics(values[number]) for number in order]
        stats = Statistics(*(np.stack([one[k] for one in found]) for k in range(3)))
        valid = np.stack([np.isfinite(values[n]).sum(axis=1) for n in order]).astype(np.int32)
        cut = np.zeros(len(order), bool)
        notes = notes_of(pixels, area, cut, variable.resolution_m, self.erosion_m)
        parts = Parts(ids, tiles, pixels, notes)
        return long_table(parts, variable.name, steps, stats, (valid, clear))

    def _described(
        self, numbers: Sequence[int]
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[np.float64]]:
        """Return names, tiles and areas of parcels by number; the tile that lists one counts."""
        found: dict[int, tuple[str, str, float]] = {}
        for home in (False, True):
            for place, parcels, _ in self.parts:
                for row in np.flatnonzero(parcels.home == home):
                    one = str(parcels.ids[row]), place.tile, float(parcels.areas_m2[row])
                    found[int(parcels.numbers[row])] = one
        ids, tiles, areas = zip(*(found[number] for number in numbers), strict=True)
        return np.array(ids, object), np.array(tiles, object), np.array(areas)

    def _values(self, variable: Variable, steps: int) -> dict[int, Values]:
        """Return the values of each parcel by number, shape ``(step, pixel)``, over all tiles."""
        pieces: dict[int, list[Values]] = defaultdict(list)
        for place, parcels, series in self.parts:
            for number in parcels.numbers[parcels.home].tolist():
                pieces[number].append(np.zeros((steps, 0)))
            for block in series.blocks:
                window = PixelWindow.of(block, variable.resolution_m)
                where = pixels_of(parcels.outlines, window, self.erosion_m)
                if not len(where.pixels):
                    continue
                where = where.within(place.owned(grid_of(window, place.grid)))
                planes = series.planes(block, variable).reshape(steps, -1)
                for row in np.flatnonzero(where.counts):
                    some = where.pixels[where.starts[row] : where.starts[row + 1]]
                    pieces[int(parcels.numbers[where.parcels[row]])].append(planes[:, some])
        return {number: np.concatenate(some, axis=1) for number, some in pieces.items()}


def _share(near: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    if not near.shape[1]:
        return np.full(len(near), np.nan, np.float32)
    return near.mean(axis=1).astype(np.float32)


def _statistics(values: Values) -> tuple[npt.NDArray[np.float32], ...]:
    """Return mean, median and deviation along the pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of parcels without a value
        found = (
            np.nanmean(values, axis=1),
            np.nanmedian(values, axis=1),
            np.nanstd(values, axis=1),
        )
    return tuple(one.astype(np.float32) for one in found)


def _unusable(message: str) -> InputDataError:
    return InputDataError(Problem("E-SERIES-DATASET", message, hint=_HINT))
