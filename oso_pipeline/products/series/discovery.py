"""Attributes of a whole file, by which catalogues find it (ACDD 1.3)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from itertools import pairwise
from typing import Any

from odc.geo.geobox import GeoBox
from pyproj import Transformer

from oso_pipeline import __version__
from oso_pipeline.config.model import Config
from oso_pipeline.products.series.cf import CONVENTIONS
from oso_pipeline.timeseries.series_layout import SeriesLayout

_EDGE_POINTS = 21


@dataclass(frozen=True)
class About:
    """What a file says of its origin.

    Parameters
    ----------
    run_id
        Identifier of the run.
    name
        Name of the run, as the configuration gives it.
    source
        The images.
    licence
        Attribution that users of the file have to repeat.
    software
        Name and version.
    """

    run_id: str
    name: str
    source: str
    licence: str
    software: str = f"oso_pipeline {__version__}"

    @classmethod
    def of(cls, config: Config) -> About:
        """Return what files of a run say."""
        years = sorted({config.season.start.year, config.season.end.year})
        licence = f"Contains modified Copernicus Sentinel data {'-'.join(map(str, years))}"
        return cls(config.run_id, config.name, "Sentinel-2 surface reflectances", licence)

    def to_json(self) -> dict[str, str]:
        """Return the fields as JSON values, for the key of a task."""
        return asdict(self)

    def identifier(self, tile: str, resolution_m: int) -> str:
        """Return the ``id`` of a file: unique for run, tile and resolution."""
        return f"{self.run_id}_{tile}_{resolution_m}m"


def global_attributes(
    about: About, tile: str, grid: GeoBox, layout: SeriesLayout
) -> dict[str, str | float]:
    """Return the attributes of a file.

    There is no time of creation: the same task writes the same bytes. The commit record beside
    the file has it as the time of the file.

    Parameters
    ----------
    about
        Its origin.
    tile
        Name of the tile.
    grid
        Grid of the file.
    layout
        Its variables and days.
    """
    resolution = round(abs(grid.affine.a))
    names = ", ".join(layout.names)
    found: dict[str, str | float] = {
        "Conventions": CONVENTIONS,
        "title": f"Vegetation series of tile {tile} at {resolution} m: {about.name}",
        "summary": f"{names} of tile {tile}, pixels of {resolution} m, from {about.source}.",
        "keywords": ", ".join(["vegetation", "time series", "Sentinel-2", *layout.names]),
        "id": about.identifier(tile, resolution),
        "source": about.source,
        "history": f"{about.software}: oso series",
        "references": "https://github.com/oso-pipeline/oso_pipeline",
        "creator_name": about.software,
        "project": about.name,
        "license": about.licence,
        "acknowledgement": about.licence,
        "processing_level": "Level 3",
        "standard_name_vocabulary": "CF Standard Name Table v93",
        "cdm_data_type": "Grid",
        "comment": "Values are stored as integers: physical = stored * scale_factor + add_offset.",
    }
    return found | _extent(grid) | _period(layout)


def days_of(layout: SeriesLayout) -> list[date]:
    """Return the days of the axis of time that a layout has, else the date grid."""
    days = {"time": layout.dates, "acquisition": layout.acquisitions, "month": layout.months}
    used = {one.axis for one in layout.variables}
    return list(next((some for axis, some in days.items() if axis in used), layout.dates))


def _extent(grid: GeoBox) -> dict[str, Any]:
    """Return bounds in degrees; the sides of a tile are curves there."""
    to_degrees = Transformer.from_crs(int(grid.crs.epsg), 4326, always_xy=True)
    box = grid.boundingbox
    west, south, east, north = to_degrees.transform_bounds(
        box.left, box.bottom, box.right, box.top, densify_pts=_EDGE_POINTS
    )
    x = (box.left, box.right, box.right, box.left, box.left)
    y = (box.bottom, box.bottom, box.top, box.top, box.bottom)
    longitudes, latitudes = to_degrees.transform(x, y)
    corners = ", ".join(
        f"{latitude:.6f} {longitude:.6f}"
        for latitude, longitude in zip(latitudes, longitudes, strict=True)
    )
    return {
        "geospatial_bounds": f"POLYGON (({corners}))",
        "geospatial_bounds_crs": "EPSG:4326",
        "geospatial_lat_min": round(south, 6),
        "geospatial_lat_max": round(north, 6),
        "geospatial_lat_units": "degrees_north",
        "geospatial_lat_resolution": f"{abs(grid.affine.e):g} m",
        "geospatial_lon_min": round(west, 6),
        "geospatial_lon_max": round(east, 6),
        "geospatial_lon_units": "degrees_east",
        "geospatial_lon_resolution": f"{abs(grid.affine.a):g} m",
    }


def _period(layout: SeriesLayout) -> dict[str, str]:
    days = days_of(layout)
    if not days:
        return {}
    found = {
        "time_coverage_start": f"{days[0]}T00:00:00Z",
        "time_coverage_end": f"{days[-1]}T00:00:00Z",
        "time_coverage_duration": f"P{(days[-1] - days[0]).days}D",
    }
    steps = {(after - before).days for before, after in pairwise(days)}
    if len(steps) == 1:
        found["time_coverage_resolution"] = f"P{steps.pop()}D"
    return found
