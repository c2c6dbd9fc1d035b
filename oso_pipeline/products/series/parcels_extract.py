"""Statistics of all parcels of a tile, variable by variable, from its blocks.

Memory holds one variable of one block, the statistics of one variable for the parcels of the tile,
and the histograms of those parcels that continue in another block or tile. A parcel is finished
with the last block that its box meets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from affine import Affine
from odc.geo.geobox import GeoBox

from oso_pipeline.core.blocks import Block
from oso_pipeline.products.series.parcels_pixels import ParcelPixels, PixelWindow, pixels_of
from oso_pipeline.products.series.parcels_polygons import Parcels, Place
from oso_pipeline.products.series.parcels_statistics import (
    Histogram,
    Statistics,
    histograms_of,
    sums_of,
)
from oso_pipeline.timeseries.series_layout import SeriesLayout, Variable

CLEAR = "clear"
"""Name of the variable that is 1 where a date of the grid has a clear image near it."""
NEAREST = "nearest_clear_days"
"""How the names of the variables begin that this is derived from."""

_KEPT_PIXELS = 48_000_000
YEAR_DAY = {"SOSD", "EOSD", "MAXD"}


class SeriesSource(Protocol):
    """The series of a tile in blocks."""

    @property
    def layout(self) -> SeriesLayout:
        """Variables and their steps."""
        ...

    @property
    def blocks(self) -> Sequence[Block]:
        """The blocks, which do not overlap; parts of the tile may lack."""
        ...

    def read(self, block: Block, name: str) -> npt.NDArray[Any]:
        """Return the stored integers of a variable, shape ``(step, row, column)``."""
        ...


@dataclass(frozen=True)
class Found:
    """What the parcels of a tile are like in one variable.

    Parameters
    ----------
    variable
        The variable; of dates as year and day its values are days since 1970-01-01.
    statistics
        Of each parcel that is not shared, float32, shape ``(parcel, step)``.
    valid
        Pixels with a value, int32, shape ``(parcel, step)``.
    shared
        The histograms of shared parcels that have a pixel here, by place among the parcels.
    """

    variable: Variable
    statistics: Statistics
    valid: npt.NDArray[np.int32]
    shared: Mapping[int, Histogram]


@dataclass(frozen=True)
class TileExtract:
    """Parcels and series of one tile.

    Parameters
    ----------
    place
        The tile.
    parcels
        Its parcels.
    source
        Its series.
    erosion_m
        Least distance of a pixel from the border of its parcel, metres.
    """

    place: Place
    parcels: Parcels
    source: SeriesSource
    erosion_m: float = 0.0
    _kept: dict[tuple[Block, int], ParcelPixels] = field(default_factory=dict)

    @cached_property
    def blocks(self) -> list[Block]:
        """The blocks, row by row."""
        return sorted(self.source.blocks)

    def pixels(self, resolution_m: int) -> npt.NDArray[np.int64]:
        """Return how many pixels each parcel has here, shape ``(parcel,)``."""
        counts = np.zeros(len(self.parcels), np.int64)
        for block in self.blocks:
            where = self._pixels(block, resolution_m)
            counts[where.parcels] += where.counts
        return counts

    def variable(self, variable: Variable, clear_within_days: int | None = None) -> Found:
        """Return the statistics of a variable.

        Parameters
        ----------
        variable
            One of the layout of the source.
        clear_within_days
            With a value, the variable is a distance to the nearest clear date, and what is
            returned is about `CLEAR`: 1 up to so many days, else 0.
        """
        steps = self.source.layout.steps(variable.axis)
        shape = len(self.parcels), steps
        stats = Statistics(*(np.full(shape, np.nan, np.float32) for _ in range(3)))
        stored = _Stored.of(variable, clear_within_days)
        found = Found(stored.variable, stats, np.zeros(shape, np.int32), {})
        pending: dict[int, list[Histogram]] = defaultdict(list)
        shared: dict[int, Histogram] = {}
        inside, last = self._lasts
        for number, block in enumerate(self.blocks):
            where = self._pixels(block, variable.resolution_m)
            some = where.counts > 0
            if some.any():
                planes = stored.of_file(self.source.read(block, variable.name))
                whole = inside[where.parcels] & ~self.parcels.shared[where.parcels]
                here = where.of(some & whole)
                _put(found, here.parcels, sums_of(planes, stored.variable.fill, here))
                rest = where.of(some & ~whole)
                parts = histograms_of(planes, stored.variable.fill, rest)
                for parcel, part in zip(rest.parcels.tolist(), parts, strict=True):
                    pending[parcel].append(part)
            for parcel in [one for one in pending if last[one] <= number]:
                merged = Histogram.merged(pending.pop(parcel))
                if self.parcels.shared[parcel]:
                    shared[parcel] = merged
                else:
                    _put(found, np.array([parcel]), merged.sums())
        return Found(found.variable, stats, found.valid, shared)

    @cached_property
    def _lasts(self) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
        """Which parcels lie inside one block, and the last block that the box of each meets."""
        n = len(self.parcels)
        meets, last = np.zeros(n, np.int64), np.full(n, -1, np.int64)
        for number, block in enumerate(self.blocks):
            # A 20 m pixel at an odd end of a block reaches beyond it.
            near = self.parcels.outlines.meeting(PixelWindow.of(block, 20))
            meets[near] += 1
            last[near] = number
        return meets == 1, last

    def _pixels(self, block: Block, resolution_m: int) -> ParcelPixels:
        """Return the pixels of parcels in a block that the tile owns."""
        known = self._kept.get((block, resolution_m))
        if known is not None:
            return known
        window = PixelWindow.of(block, resolution_m)
        drawn = pixels_of(self.parcels.outlines, window, self.erosion_m)
        grid = grid_of(window, self.place.grid)
        found = drawn.within(self.place.owned(grid)) if len(drawn.pixels) else drawn
        if sum(len(one.pixels) for one in self._kept.values()) < _KEPT_PIXELS:
            self._kept[block, resolution_m] = found
        return found


def grid_of(window: PixelWindow, grid: GeoBox) -> GeoBox:
    """Return the grid of a window of a tile."""
    parts = window.resolution_m // 10
    affine = grid.affine @ Affine.scale(parts) @ Affine.translation(window.left, window.top)
    return GeoBox((window.height, window.width), affine, grid.crs)


def is_measured(variable: Variable) -> bool:
    """Return whether a variable has values of which a mean makes sense; flags have none."""
    is_flag = (
        variable.flag_values or variable.flag_masks or variable.standard_name == "quality_flag"
    )
    return not is_flag and not variable.name.startswith(NEAREST)


def nearest_of(variable: Variable, layout: SeriesLayout) -> Variable | None:
    """Return the variable with the distance to the nearest clear date of another one, if any."""
    names = [name for name in variable.ancillary if name.startswith(NEAREST)]
    return next((layout[name] for name in names if name in layout.names), None)


@dataclass(frozen=True)
class _Stored:
    """How stored integers are counted."""

    variable: Variable
    within_days: int | None

    @classmethod
    def of(cls, variable: Variable, within_days: int | None) -> _Stored:
        if within_days is not None:
            clear = Variable(
                CLEAR, "clear", "1", variable.axis, "uint8", variable.resolution_m, fill=None
            )
            return cls(clear, within_days)
        if variable.name in YEAR_DAY:
            names = {"units": "days since 1970-01-01", "axis": variable.axis, "dtype": "int32"}
            days = Variable(
                variable.name,
                variable.long_name,
                resolution_m=variable.resolution_m,
                fill=0,
                **names,  # type: ignore[arg-type]
            )
            return cls(days, None)
        return cls(variable, None)

    def of_file(self, planes: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what is counted."""
        if self.within_days is not None:
            return (planes <= self.within_days).astype(np.uint8)
        return days_of_years(planes) if self.variable.name in YEAR_DAY else planes


def days_of_years(stored: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Return days since 1970-01-01 of dates as HR-VPP writes them: year in two digits and day.

    0, which stands for none, remains.

    Examples
    --------
    >>> days_of_years(np.array([0, 18001, 17365], np.uint16)).tolist()
    [0, 17532, 17531]
    """
    years, days = np.divmod(stored.astype(np.int32), 1000)
    firsts = (np.arange(2000, 2100).astype(str).astype("datetime64[D]")).astype(np.int32)
    found = firsts[years.clip(0, 99)] + days - 1
    return np.where(stored == 0, 0, found).astype(np.int32)


def _put(found: Found, parcels: npt.NDArray[np.intp], sums: Any) -> None:
    some = sums.statistics(found.variable.scale, found.variable.offset)
    for mine, given in (
        (found.statistics.mean, some.mean),
        (found.statistics.median, some.median),
        (found.statistics.std, some.std),
        (found.valid, sums.count),
    ):
        mine[parcels] = given
