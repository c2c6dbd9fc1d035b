"""Strata: regions with a model of their own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from odc.geo.geobox import GeoBox

from oso_pipeline.config.model import Config, Strata
from oso_pipeline.core.blocks import Block
from oso_pipeline.core.commit import sha256_file
from oso_pipeline.core.errors import InputDataError, Problem, Problems
from oso_pipeline.core.rasterise import Burner
from oso_pipeline.tasks.job import Input
from oso_pipeline.vectors.geometry import GRID_M, polygonal
from oso_pipeline.vectors.values import normal_value
from oso_pipeline.vectors.vector_files import VectorFile

Labels = npt.NDArray[np.int32]

WHOLE_MAP = "all"
"""Name of the one stratum where the configuration has none."""


def file_of(strata: Strata) -> VectorFile:
    """Return the vector file of the regions, which may consist of several files on disk."""
    return VectorFile(strata.path, strata.layer, strata.crs)


def strata_names(config: Config) -> tuple[str, ...]:
    """Return the names of all strata, sorted; ``("all",)`` where there are none.

    Raises
    ------
    InputDataError
        Where the file of the strata cannot be used.
    """
    if config.strata is None:
        return (WHOLE_MAP,)
    problems = Problems()
    regions = read_strata(config.strata, config.map.epsg, problems)
    problems.raise_errors(InputDataError)
    return tuple(regions["stratum"]) if regions is not None else ()


def read_strata(strata: Strata, epsg: int, problems: Problems) -> geopandas.GeoDataFrame | None:
    """Return one row per stratum, sorted by name: ``stratum`` and ``geometry`` in `epsg`.

    Where regions overlap, the first by name keeps the overlap (``W-STRATA-OVERLAP``), so that a
    place has one model at most. Problems found are those of `VectorFile.read_regions`, regions
    without a name (``E-STRATA-NAME``) or other than polygons (``E-GEOMETRY-TYPE``); the result is
    then None.
    """
    before = len(problems.errors)
    frame = file_of(strata).read_regions([strata.field], problems)
    if frame is None:
        return None
    names = [normal_value(value) for value in frame[strata.field]]
    if nameless := [row for row, name in enumerate(names) if name is None]:
        message = f"{len(nameless)} regions have no name in {strata.field!r}: {nameless[:10]}"
        problems.error("E-STRATA-NAME", message, strata.path, "regions count from 0; name them")
    if unfit := sorted({name for name in names if name and not fits_a_folder(name)}):
        message = f"names of strata become names of folders; unfit: {unfit[:10]}"
        problems.error("E-STRATA-NAME", message, strata.path, "use letters, digits, spaces, - . _")
    frame = frame.to_crs(epsg)
    areas = polygonal(shapely.make_valid(shapely.force_2d(np.asarray(frame.geometry))))
    if bool(np.any(shapely.is_missing(areas) | shapely.is_empty(areas))):
        count = int(np.sum(shapely.is_missing(areas) | shapely.is_empty(areas)))
        message = f"{count} of {len(frame)} regions are not polygons"
        problems.error("E-GEOMETRY-TYPE", message, strata.path, "every region must be an area")
    if len(problems.errors) > before:
        return None
    regions = geopandas.GeoDataFrame({"stratum": names}, geometry=areas, crs=epsg)
    regions = regions.dissolve("stratum", sort=True).reset_index()
    return _apart(regions, strata, problems)


def fits_a_folder(name: str) -> bool:
    """Tell whether a folder can be named as a stratum."""
    return name not in (".", "..") and all(c.isalnum() or c in " -._" for c in name)


def _apart(
    regions: geopandas.GeoDataFrame, strata: Strata, problems: Problems
) -> geopandas.GeoDataFrame:
    geometries = np.asarray(regions.geometry).copy()
    first, second = shapely.STRtree(geometries).query(geometries, predicate="intersects")
    shared = 0.0
    for one, other in sorted(zip(first.tolist(), second.tolist(), strict=True)):
        if one >= other:
            continue
        area = shapely.area(
            shapely.intersection(geometries[one], geometries[other], grid_size=GRID_M)
        )
        if area > 0:
            shared += float(area)
            rest = shapely.difference(geometries[other], geometries[one], grid_size=GRID_M)
            geometries[other] = polygonal(np.array([rest]))[0]
    if shared > 1.0:
        message = f"strata overlap by {shared:.0f} m2; the first by name keeps the overlap"
        problems.warn("W-STRATA-OVERLAP", message, strata.path)
    return regions.set_geometry(geometries, crs=regions.crs)


def most_of_area(parts: pd.DataFrame, column: str) -> pd.Series:
    """Return, by ``polygon_id``, the value with most of its area; the lowest of equals.

    Parameters
    ----------
    parts
        Columns ``polygon_id``, ``area_m2`` (square metres) and `column`.
    column
        For example ``stratum`` or ``code``.
    """
    areas = parts[["polygon_id", column]].assign(area=parts["area_m2"].round(3))
    sums = areas.groupby(["polygon_id", column], observed=True)["area"].sum().reset_index()
    sums = sums.sort_values(["polygon_id", "area", column], ascending=[True, False, True])
    return sums.drop_duplicates("polygon_id").set_index("polygon_id")[column]


def stratum_labels(strata: Strata, sha256: str, epsg: int, grid: GeoBox, block: Block) -> Labels:
    """Return the index of the stratum, sorted by name, at each pixel of `block`.

    Parameters
    ----------
    strata
        Vector file of the regions.
    sha256
        Its content, so that a changed file is read again.
    epsg
        Coordinate system of the map.
    grid
        10 m grid of the tile.
    block
        Part of the tile.

    Returns
    -------
    int32 array of shape ``(block.height, block.width)``, -1 outside all strata
    """
    return _strata_burner(strata, sha256, epsg, grid).block(block)


@lru_cache(maxsize=2)
def _strata_burner(strata: Strata, sha256: str, epsg: int, grid: GeoBox) -> Burner:
    problems = Problems()
    regions = read_strata(strata, epsg, problems)
    problems.raise_errors(InputDataError)
    if regions is None:
        raise ValueError(f"{strata.path} was refused without a reason")
    return Burner(grid, np.asarray(regions.to_crs(grid.crs.epsg).geometry))


def content_of(strata: Strata) -> str:
    """Return the SHA-256 of the content of the regions, of all files that they consist of.

    Raises
    ------
    InputDataError
        If a file cannot be read (``E-PATH-READ``).
    """
    file = file_of(strata)
    try:
        # The digest of a single file is its own: keys of earlier versions hold it.
        return sha256_file(strata.path) if file.files == (strata.path,) else file.digest()
    except OSError as error:
        message = f"strata.path: cannot be read: {error.strerror}"
        raise InputDataError(Problem("E-PATH-READ", message, str(strata.path))) from error


@dataclass(frozen=True, slots=True)
class StrataOfTask:
    """The regions as a task carries them: the content into its key, the path not.

    Parameters
    ----------
    strata
        The file and how it is read.
    sha256
        Digest of its content.
    """

    strata: Strata
    sha256: str

    @classmethod
    def of(cls, strata: Strata | None) -> StrataOfTask | None:
        """Return the strata of a configuration; None where it has none."""
        return None if strata is None else cls(strata, content_of(strata))

    @property
    def file(self) -> Input:
        """The file as an input of a task."""
        return Input.file(self.strata.path, self.sha256)

    def to_json(self) -> dict[str, str | None]:
        """Return how the file is read, as JSON values."""
        said = {"layer": self.strata.layer, "field": self.strata.field}
        # Left out where it is not given: keys of earlier versions lack it.
        return said if self.strata.crs is None else {**said, "crs": self.strata.crs}

    def labels(self, epsg: int, grid: GeoBox, block: Block) -> Labels:
        """Return the index of the stratum at each pixel of a block; see `stratum_labels`."""
        return stratum_labels(self.strata, self.sha256, epsg, grid, block)
