"""Where the series of a tile come from: the block files of a run, or a dataset in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from oso_pipeline.core.blocks import Block, blocks_of
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.timeseries.series_block_file import read_series_block, read_series_layout
from oso_pipeline.timeseries.series_layout import Axis, SeriesLayout, Variable

_AXES: tuple[Axis, ...] = ("time", "acquisition", "month", "season")
_BLOCK_PX = 1024
_HINT = "give what oso_pipeline.open_series returns, before or after xarray.decode_cf"


@dataclass(frozen=True)
class BlockFiles:
    """The committed blocks of a tile.

    Parameters
    ----------
    paths
        Their files, at least one.
    """

    paths: tuple[Path, ...]

    @cached_property
    def _found(self) -> tuple[SeriesLayout, dict[Block, Path]]:
        layouts = [(*read_series_layout(path), path) for path in self.paths]
        return layouts[0][0], {block: path for _, block, path in layouts}

    @property
    def layout(self) -> SeriesLayout:
        """Variables and their steps."""
        return self._found[0]

    @property
    def blocks(self) -> Sequence[Block]:
        """The blocks that have a file."""
        return tuple(self._found[1])

    def read(self, block: Block, name: str) -> npt.NDArray[Any]:
        """Return the stored integers of a variable, shape ``(step, row, column)``.

        Raises
        ------
        InputDataError
            If the file cannot be read (``E-SERIES-BLOCK``).
        """
        return read_series_block(self._found[1][block], [name]).values[name]


@dataclass(frozen=True)
class DatasetSeries:
    """A dataset of series with dimensions ``y`` and ``x``, all variables on one grid.

    Parameters
    ----------
    dataset
        Integers with the attributes ``scale_factor``, ``add_offset`` and ``_FillValue``, or
        what ``xarray.decode_cf`` makes of them. Dask arrays are computed chunk by chunk.
    """

    dataset: xr.Dataset

    @cached_property
    def grid(self) -> GeoBox:
        """Grid of the pixels."""
        x, y = (np.asarray(self.dataset[name], float) for name in ("x", "y"))
        crs = self.dataset.rio.crs
        if crs is None or crs.to_epsg() is None:
            raise _unusable("the dataset has no coordinate system with an EPSG code")
        if len(x) < 2 or len(y) < 2:
            raise _unusable("the dataset has fewer than two rows or columns")
        dx, dy = x[1] - x[0], y[1] - y[0]
        even = np.allclose(np.diff(x), dx) and np.allclose(np.diff(y), dy)
        if not (even and dx > 0 and dy == -dx and dx in (10, 20)):
            raise _unusable(f"found pixels of {dx:g} x {-dy:g} m, expected 10 or 20, north up")
        affine = Affine(dx, 0, x[0] - dx / 2, 0, dy, y[0] - dy / 2)
        return GeoBox((len(y), len(x)), affine, f"EPSG:{crs.to_epsg()}")

    @property
    def resolution_m(self) -> int:
        """Side of a pixel."""
        return round(self.grid.affine.a)

    @property
    def fine_grid(self) -> GeoBox:
        """The 10 m grid that covers the same ground."""
        part = self.resolution_m // 10
        rows, columns = (int(size) * part for size in self.grid.shape)
        return GeoBox((rows, columns), self.grid.affine @ Affine.scale(1 / part), self.grid.crs)

    @cached_property
    def layout(self) -> SeriesLayout:
        """Variables and their steps, from dimensions and attributes."""
        dataset = self.dataset
        found = [
            self._variable(str(name))
            for name, one in dataset.data_vars.items()
            if {"y", "x"} <= set(one.dims)
        ]
        days = {
            axis: tuple(np.asarray(dataset[axis]).astype("datetime64[D]").tolist())
            for axis in ("time", "acquisition", "month")
            if axis in dataset.dims
        }
        return SeriesLayout(
            tuple(found),
            dates=days.get("time", ()),
            acquisitions=days.get("acquisition", ()),
            months=days.get("month", ()),
            n_seasons=int(dataset.sizes.get("season", 0)),
        )

    @property
    def blocks(self) -> Sequence[Block]:
        """Blocks that follow the chunks, or of 1024 x 1024 pixels."""
        rows, columns = (int(size) for size in self.fine_grid.shape)
        sizes = self.dataset.chunksizes
        part = self.resolution_m // 10
        shape = [max(sizes.get(name, (_BLOCK_PX // part,))) * part for name in ("y", "x")]
        height, width = (size + size % 2 for size in shape)
        return blocks_of(str(self.dataset.attrs.get("tile", "")), (rows, columns), (height, width))

    def read(self, block: Block, name: str) -> npt.NDArray[Any]:
        """Return the stored integers of a variable, shape ``(step, row, column)``."""
        part = self.resolution_m // 10
        rows = slice(block.row // part, -(-(block.row + block.height) // part))
        columns = slice(block.column // part, -(-(block.column + block.width) // part))
        variable = self.layout[name]
        values = self.dataset[name].isel(y=rows, x=columns)
        steps = [variable.axis] if variable.axis else []
        planes = np.asarray(values.transpose(*steps, "y", "x"))
        planes = planes if steps else planes[None]
        if not np.issubdtype(planes.dtype, np.floating):
            return planes
        stored = np.rint((planes.astype(np.float64) - variable.offset) / variable.scale)
        fill = 0 if variable.fill is None else variable.fill
        return np.where(np.isnan(planes), fill, stored).astype(np.int32)

    def _variable(self, name: str) -> Variable:
        one = self.dataset[name]
        says = {**one.encoding, **one.attrs}
        axis = next((axis for axis in _AXES if axis in one.dims), "")
        if np.issubdtype(one.dtype, np.floating) and "scale_factor" not in says:
            raise _unusable(f"{name} has floating-point values without scale_factor")
        if not np.issubdtype(one.dtype, np.number):
            raise _unusable(f"{name} holds {one.dtype}, expected numbers")
        fill = says.get("_FillValue")
        masks = tuple(int(i) for i in np.atleast_1d(says.get("flag_masks", ())))
        ancillary = str(says.get("ancillary_variables", "")).split()
        return Variable(
            name,
            str(says.get("long_name", name)),
            str(says.get("units", "1")),
            axis,
            str(one.dtype),
            self.resolution_m,
            scale=float(says.get("scale_factor", 1.0)),
            offset=float(says.get("add_offset", 0.0)),
            fill=None if fill is None or fill != fill else int(fill),
            standard_name=str(says.get("standard_name", "")),
            flag_masks=masks,
            ancillary=tuple(ancillary),
        )


def _unusable(message: str) -> InputDataError:
    return InputDataError(Problem("E-SERIES-DATASET", message, hint=_HINT))
