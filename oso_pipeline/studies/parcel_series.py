"""Series per parcel as a table, from a run, from products, or from a dataset."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import xarray as xr
from odc.geo.geobox import GeoBox

from oso_pipeline.config import Config
from oso_pipeline.config.loader import load_config
from oso_pipeline.core.commit import read_sidecar
from oso_pipeline.core.errors import InputDataError, OsoWarning, Problem, Problems, UnknownName
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.imagery.inventory import read_inventory
from oso_pipeline.products.series.parcels_check import repeated, report_names
from oso_pipeline.products.series.parcels_combine import Combined
from oso_pipeline.products.series.parcels_dataset import DatasetParcels, DatasetSeries
from oso_pipeline.products.series.parcels_extract import TileExtract
from oso_pipeline.products.series.parcels_outputs import BORDER, FOLDER, Outputs
from oso_pipeline.products.series.parcels_parts import PartPaths, measured, write_parts
from oso_pipeline.products.series.parcels_polygons import (
    Parcels,
    Place,
    names_of,
    parcels_of,
)
from oso_pipeline.products.series.parcels_sources import BlockFiles
from oso_pipeline.products.series.parcels_stage import small_parcels
from oso_pipeline.products.series.parcels_table import WITHOUT_PIXEL
from oso_pipeline.studies.open_series import open_series
from oso_pipeline.studies.opened_run import Run, opened
from oso_pipeline.timeseries.series_block_file import BLOCKS
from oso_pipeline.vectors.area_of_interest import boxes_in
from oso_pipeline.vectors.vector_files import VectorFile
from oso_pipeline.vectors.whereabouts import box_text

PathLike = str | os.PathLike[str]
Source = Run | Config | PathLike | xr.Dataset


def parcel_series(
    polygons: geopandas.GeoDataFrame | PathLike,
    source: Source,
    variables: Iterable[str] | None = None,
    *,
    id_field: str | None = None,
    erosion_m: float = 10.0,
    clear_within_days: int = 5,
) -> pd.DataFrame:
    """Return mean, median and deviation of series in each parcel, on each date.

    Pixels count whose centre lies inside the parcel, at least `erosion_m` from its border, each by
    the tile that owns it. Variables of 20 m are taken from pixels of 20 m.

    Parameters
    ----------
    polygons
        A table of polygons, or a vector file in any coordinate system.
    source
        A run with series (its folder, or what `open_run` returns); a configuration (or its YAML
        file), whose products are then read; or a dataset that `open_series` returned.
    variables
        Names of variables; all that have a mean by default.
    id_field
        Column with the names of the parcels; the index of the table, or the number of the
        feature in the file, by default.
    erosion_m
        Least distance of a pixel from the border, metres.
    clear_within_days
        A date of the grid counts as clear where the nearest clear date is so near.

    Returns
    -------
    DataFrame
        A row per parcel, variable and step: ``parcel_id``, ``tile``, ``variable``, ``date`` or
        ``season``, ``mean``, ``median``, ``std`` (of the population) in physical units, NaN
        without a value; ``pixels`` of the parcel, ``valid``: those with a value, ``clear_share``,
        and ``note``: why a parcel has no pixel.

    Raises
    ------
    InputDataError
        If polygons or series cannot be used, or no parcel meets a tile (``E-SERIES-OUTSIDE``).
    UnknownName
        If a variable is not there (``E-NAME-VARIABLE``).

    Examples
    --------
    >>> import geopandas, shapely
    >>> import numpy as np, xarray as xr
    >>> x, y = 300_005 + 10.0 * np.arange(20), 5_000_000 - 5 - 10.0 * np.arange(20)
    >>> lai = ("y", "x"), np.full((20, 20), 2.5)
    >>> series = xr.Dataset({"LAI": lai}, {"x": x, "y": y}).rio.write_crs(32631)
    >>> field = geopandas.GeoSeries([shapely.box(300_000, 4_999_900, 300_100, 5_000_000)])
    >>> parcels = geopandas.GeoDataFrame(geometry=field, crs=32631)
    >>> table = parcel_series(parcels, series)
    >>> table[["parcel_id", "variable", "mean", "pixels"]].values.tolist()
    [['0', 'LAI', 2.5, 64]]
    """
    wanted = None if variables is None else tuple(variables)
    frame, ids = _polygons(polygons, id_field)
    request = _Request(frame, ids, wanted, erosion_m, clear_within_days)
    if isinstance(source, xr.Dataset):
        series = DatasetSeries(source)
        place = Place(str(source.attrs.get("tile", "")), series.fine_grid)
        return request.of_datasets([(place, series)])
    if not isinstance(source, Run | Config):
        path = Path(source)
        source = load_config(path) if path.suffix.lower() in (".yaml", ".yml") else opened(path)
    return request.of_run(source) if isinstance(source, Run) else request.of_products(source)


@dataclass(frozen=True)
class _Request:
    """A request: polygons, their names, variables, and how pixels are chosen."""

    frame: geopandas.GeoDataFrame
    ids: npt.NDArray[np.object_]
    variables: tuple[str, ...] | None
    erosion_m: float
    within_days: int

    def of_datasets(self, tiles: Sequence[tuple[Place, DatasetSeries]]) -> pd.DataFrame:
        """Return the table of the parcels on datasets."""
        known = [one.name for one in tiles[0][1].variables(None)]
        self._require(known)
        found = [(place, self._parcels(place), series) for place, series in tiles]
        self._require_some([parcels for _, parcels, _ in found], [p.grid for p, _ in tiles])
        parts = [one for one in found if len(one[1])]
        tables = DatasetParcels(parts, self.erosion_m).tables(self.variables, self.within_days)
        return self._sorted(_as_frame(pa.concat_tables(tables).unify_dictionaries()))

    def of_products(self, config: Config) -> pd.DataFrame:
        """Return the table of a configuration, tile by tile, from its products."""
        # With a section all are opened, for the sake of the share of clear pixels.
        names = self.variables if config.series is None else None
        series = {
            tile: DatasetSeries(open_series(config, tile, names)) for tile in config.imagery.tiles
        }
        rule = Ownership({tile: one.fine_grid for tile, one in series.items()}, config.map.epsg)
        return self.of_datasets(
            [(Place(tile, one.fine_grid, rule), one) for tile, one in series.items()]
        )

    def of_run(self, run: Run) -> pd.DataFrame:
        """Return the table of the committed blocks of a run."""
        files = {tile: _blocks_of(run, tile) for tile in run.config.imagery.tiles}
        files = {tile: paths for tile, paths in files.items() if paths}
        if not files:
            hint = "give it a section `series`, and run `oso series CONFIG`"
            message = "the run has no series"
            raise InputDataError(Problem("E-RUN-MISSING", message, str(run.folder), hint))
        grids = {
            tile: read_inventory(run.folder / f"inventory/{tile}.parquet").grid for tile in files
        }
        rule = Ownership(grids, run.config.map.epsg)
        with tempfile.TemporaryDirectory(prefix="oso-parcels-") as name:
            folder, parts, seen = Path(name), dict[str, PartPaths](), list[Parcels]()
            for tile in sorted(files):
                place, blocks = Place(tile, grids[tile], rule), BlockFiles(files[tile])
                known = measured(blocks.layout)
                self._require(known)
                parcels = self._parcels(place)
                seen.append(parcels)
                parts[tile] = PartPaths.of(folder, tile)
                names = known if self.variables is None else self.variables
                extract = TileExtract(place, parcels, blocks, self.erosion_m)
                outputs = Outputs.of(folder, tile, ("parquet",))
                write_parts(extract, names, self.within_days, parts[tile], outputs)
            self._require_some(seen, [*grids.values()])
            outputs = Outputs.of(folder, BORDER, ("parquet",))
            found = Combined(parts, self.erosion_m).write(outputs)
            _warn(small_parcels(found))
            return self._sorted(pd.read_parquet(folder / FOLDER))

    def _sorted(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the rows by variable, then in the order of the polygons, then by step."""
        places = pd.Index(self.ids).get_indexer(pd.Index(table["parcel_id"]))
        variables, _ = pd.factorize(table["variable"])
        return table.iloc[np.lexsort((places, variables))].reset_index(drop=True)

    def _parcels(self, place: Place) -> Parcels:
        """Return the parcels that meet a tile."""
        problems = Problems()
        box = place.window.bounds_in(self.frame.crs)
        near = np.ones(len(self.frame), bool)
        if box is not None:
            left, bottom, right, top = self.frame.bounds.to_numpy().T
            near = (left <= box[2]) & (right >= box[0]) & (bottom <= box[3]) & (top >= box[1])
        found = parcels_of(self.frame[near], self.ids[near], place, problems)
        _warn(problems.warnings)
        return found

    def _require(self, known: Sequence[str]) -> None:
        for name in self.variables or ():
            if name not in known:
                message = f"found variable {name!r}, expected some of {', '.join(known)}"
                raise UnknownName(Problem("E-NAME-VARIABLE", message))

    def _require_some(self, parcels: Sequence[Parcels], grids: Sequence[GeoBox]) -> None:
        """Refuse polygons of which none meets a tile, with both boxes; warn of some."""
        seen = {int(number) for some in parcels for number in some.numbers}
        outside = len(self.frame) - len(seen)
        if not outside:
            return
        boxes = [*boxes_in(grids, self.frame.crs)]
        message = (
            f"{outside} of {len(self.frame)} parcels lie outside the series: they cover "
            f"{box_text(np.asarray(self.frame.geometry))}, the series {box_text(boxes)}"
        )
        hint = "is the coordinate system right? x (east) comes before y (north)"
        if not seen:
            raise InputDataError(Problem("E-SERIES-OUTSIDE", message, hint=hint))
        _warn([Problem("W-SERIES-OUTSIDE", message, hint=hint)])


def _polygons(
    polygons: geopandas.GeoDataFrame | PathLike, id_field: str | None
) -> tuple[geopandas.GeoDataFrame, npt.NDArray[np.object_]]:
    """Return the polygons, numbered from 0, and their names."""
    problems = Problems()
    if isinstance(polygons, geopandas.GeoDataFrame):
        frame, where = polygons, "polygons"
        if frame.crs is None:
            message = "the polygons have no coordinate system, one is needed to place them"
            problems.error("E-CRS-MISSING", message, where, "use GeoDataFrame.set_crs")
        elif id_field is not None and id_field not in frame.columns:
            message = f"column {id_field!r} is not there, found {', '.join(map(str, frame))}"
            problems.error("E-VECTOR-COLUMN", message, where)
    else:
        where = str(polygons)
        columns = [] if id_field is None else [id_field]
        frame = VectorFile(Path(polygons)).read(columns, problems)
    problems.raise_errors(InputDataError)
    ids = names_of(frame.index if id_field is None else frame[id_field])
    report_names(*repeated(ids), where, problems)
    problems.raise_errors(InputDataError)
    _warn(problems.warnings)
    return frame.reset_index(drop=True)[[frame.geometry.name]], ids


def _blocks_of(run: Run, tile: str) -> tuple[Path, ...]:
    """Return the committed blocks of a tile."""
    found = sorted((run.folder / BLOCKS / tile).glob("*.arrow"))
    return tuple(path for path in found if read_sidecar(path) is not None)


def _as_frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    empty = frame.loc[frame["note"].isin(WITHOUT_PIXEL)]
    if len(empty):
        number = empty["parcel_id"].nunique()
        message = f"{number} of {frame['parcel_id'].nunique()} parcels have no pixel"
        _warn([Problem("W-SERIES-SMALL", message, hint="see the column note; lower erosion_m")])
    return frame


def _warn(found: Iterable[Any]) -> None:
    for one in found:
        warnings.warn(str(one), OsoWarning, stacklevel=3)
