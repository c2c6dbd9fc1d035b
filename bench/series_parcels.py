"""Measures series per parcel: ``python -m bench.series_parcels``.

So many parcels of about 290 pixels (the mean of the French register), each with ten corners, on a
stack of noise. Ours draws the parcels and computes mean, median, deviation and counts of each date;
exactextract and rasterstats do the same on the same stack, where they are installed. They are given
fewer parcels, as their time per parcel does not depend on the number.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import geopandas
import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from bench import RESULTS
from oso_pipeline.core.blocks import Block, blocks_of
from oso_pipeline.core.errors import Problems
from oso_pipeline.products.series.parcels_extract import TileExtract
from oso_pipeline.products.series.parcels_polygons import Place, names_of, parcels_of
from oso_pipeline.timeseries.series_layout import SeriesLayout, Variable

RESULT = RESULTS / "series_parcels.json"
FRANCE = 9_500_000
"""Parcels of the register of a year."""
DATES_OF_YEAR = 37
_CELL_PX, _EPSG = 17, 32631
_STATISTICS = ["mean", "median", "stdev", "count"]


@dataclass(frozen=True)
class Stack:
    """A stack in memory, read as a run reads its blocks."""

    values: npt.NDArray[np.int16]
    block_px: int = 1024

    @property
    def layout(self) -> SeriesLayout:
        """One variable on the dates."""
        days = tuple(date(2018, 1, 1) + timedelta(days=10 * n) for n in range(len(self.values)))
        ndvi = Variable("NDVI", "NDVI", "1", "time", "int16", 10, scale=1e-3, fill=-10000)
        return SeriesLayout((ndvi,), dates=days)

    @property
    def blocks(self) -> list[Block]:
        """Squares."""
        shape = self.values.shape[1], self.values.shape[2]
        return blocks_of("31TCJ", shape, (self.block_px, self.block_px))

    def read(self, block: Block, name: str) -> npt.NDArray[np.int16]:
        """Return a square of all dates."""
        rows = slice(block.row, block.row + block.height)
        return self.values[:, rows, block.column : block.column + block.width]


def world(parcels: int, dates: int) -> tuple[Stack, geopandas.GeoDataFrame, GeoBox]:
    """Return a stack, parcels that cover it, and its grid."""
    rng = np.random.default_rng(0)
    side = int(np.ceil(parcels**0.5))
    size = side * _CELL_PX + side * _CELL_PX % 2
    grid = GeoBox((size, size), Affine(10, 0, 300_000, 0, -10, 5_000_000), f"EPSG:{_EPSG}")
    row, column = np.divmod(np.arange(parcels), side)
    x = 300_000 + (column + 0.5) * _CELL_PX * 10
    y = 5_000_000 - (row + 0.5) * _CELL_PX * 10
    angles = np.sort(rng.uniform(0, 2 * np.pi, (parcels, 10)), axis=1)
    radii = rng.uniform(0.9, 1.25, (parcels, 10)) * _CELL_PX * 5.6
    rings = np.stack([x[:, None] + radii * np.cos(angles), y[:, None] + radii * np.sin(angles)], 2)
    shapes = shapely.polygons(rings)
    ids = np.arange(parcels)
    frame = geopandas.GeoDataFrame({"ID": ids}, geometry=shapes, crs=_EPSG)
    values = np.empty((dates, size, size), np.int16)
    for plane in values:
        field = rng.normal(500, 150, (side, side)).repeat(_CELL_PX, 0).repeat(_CELL_PX, 1)
        plane[:] = 0
        noise = rng.normal(0, 40, field.shape)
        plane[: len(field), : len(field)] = np.rint(field + noise).clip(-1000, 1000)
    return Stack(values), frame, grid


def ours(stack: Stack, frame: geopandas.GeoDataFrame, grid: GeoBox, erosion_m: float) -> Any:
    """Return mean, median and deviation of each parcel and date."""
    place = Place("31TCJ", grid)
    parcels = parcels_of(frame, names_of(frame["ID"]), place, Problems())
    extract = TileExtract(place, parcels, stack, erosion_m)
    return extract.variable(stack.layout["NDVI"])


def exactextract(stack: Stack, frame: geopandas.GeoDataFrame, grid: GeoBox) -> Any:
    """Return the table of exactextract; weights are the covered share of each pixel."""
    from exactextract import exact_extract
    from exactextract.raster import NumPyRasterSource

    left, bottom, right, top = grid.boundingbox.bbox
    rasters = [
        NumPyRasterSource(plane, left, bottom, right, top, name=f"d{number}")
        for number, plane in enumerate(stack.values)
    ]
    return exact_extract(rasters, frame, _STATISTICS, include_cols=["ID"], output="pandas")


def rasterstats(stack: Stack, frame: geopandas.GeoDataFrame, grid: GeoBox) -> Any:
    """Return the tables of rasterstats: pixels by their centre, as ours."""
    from rasterstats import zonal_stats

    return [
        zonal_stats(
            list(frame.geometry),
            plane,
            affine=grid.affine,
            nodata=-10000,
            stats=["mean", "median", "std", "count"],
        )
        for plane in stack.values
    ]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return processor seconds and what was computed."""
    before = time.process_time()
    found = work()
    return time.process_time() - before, found


def measure(parcels: int, dates: int, fewer: int) -> dict[str, Any]:
    """Return seconds per parcel and date, and differences."""
    stack, frame, grid = world(parcels, dates)
    ours(Stack(stack.values[:, :64, :64]), frame[:4], grid[:64, :64], 10.0)  # compiled
    per: dict[str, float] = {}
    seconds, found = timed(lambda: ours(stack, frame, grid, 0.0))
    result: dict[str, Any] = {"parcels": parcels, "dates": dates, "ours_cpu_s": round(seconds, 2)}
    result["pixels_per_parcel"] = round(float(found.valid[:, 0].mean()), 1)
    per["ours"] = seconds / parcels / dates
    seconds, _ = timed(lambda: ours(stack, frame, grid, 10.0))
    per["ours_eroded_10m"] = seconds / parcels / dates
    one, _ = timed(lambda: ours(Stack(stack.values[:1]), frame, grid, 0.0))
    result["ours_one_date_cpu_s"] = round(one, 2)
    more = max(0.0, result["ours_cpu_s"] - one) / max(1, dates - 1) / parcels
    year = one / parcels + (DATES_OF_YEAR - 1) * more
    result["ours_france_core_hours"] = round(FRANCE * year / 3600, 2)
    some = frame[:fewer]
    for name, other in (("exactextract", exactextract), ("rasterstats", rasterstats)):
        try:
            seconds, table = timed(lambda other=other: other(stack, some, grid))
        except ImportError:
            result[name] = "not installed"
            continue
        per[name] = seconds / fewer / dates
        hours = FRANCE * DATES_OF_YEAR * per[name] / 3600
        result[f"{name}_france_core_hours"] = round(hours, 2)
        mean = found.statistics.mean[:fewer, 0]
        if name == "rasterstats":
            rows = table[0]
            theirs = np.array([row["mean"] for row in rows], float) * 1e-3
            count = np.array([row["count"] for row in rows])
            result["rasterstats_other_counts"] = int((count != found.valid[:fewer, 0]).sum())
        else:
            column = next(c for c in table.columns if c.endswith("mean"))
            theirs = table[column].to_numpy() * 1e-3
        result[f"{name}_greatest_difference_of_means"] = float(np.nanmax(abs(theirs - mean)))
    result["us_per_parcel_and_date"] = {name: round(1e6 * one, 2) for name, one in per.items()}
    return result


def main() -> None:
    """Measure, print, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parcels", type=int, default=50_000)
    parser.add_argument("--dates", type=int, default=8)
    parser.add_argument("--fewer", type=int, default=5_000, help="parcels for other programs")
    chosen = parser.parse_args()
    result = measure(chosen.parcels, chosen.dates, min(chosen.fewer, chosen.parcels))
    print(json.dumps(result, indent=1))
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
