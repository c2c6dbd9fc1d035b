"""From coordinates to the pixel of the map, its tile and its block."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError
from rasterio.windows import Window

from oso_pipeline.core.blocks import Block
from oso_pipeline.core.commit import read_sidecar
from oso_pipeline.core.errors import InputDataError, Problem, UnknownName
from oso_pipeline.core.ownership import Ownership
from oso_pipeline.imagery.inventory import Inventory, read_inventory
from oso_pipeline.prediction.block_file import BANDS, BLOCKS, block_of_recipe
from oso_pipeline.products.grid import Locator, map_grid
from oso_pipeline.products.layers import LAYERS, map_path
from oso_pipeline.studies.explain.parts import Place
from oso_pipeline.studies.opened_run import Run

_RUN = "`oso run CONFIG` makes it"
_DEGREES = "x and y are metres of EPSG:{}; for degrees use --lonlat, in Python crs='EPSG:4326'"


@dataclass(frozen=True)
class Values:
    """Code, confidence and validity of a pixel in a file."""

    code: int
    confidence: int
    validity: int


@dataclass(frozen=True)
class Ground:
    """The tiles of a run and its map, as far as they are committed.

    Parameters
    ----------
    run
        The run.
    """

    run: Run

    @cached_property
    def inventories(self) -> dict[str, Inventory]:
        """The committed inventories by tile.

        Raises
        ------
        InputDataError
            If there is none (``E-RUN-MISSING``).
        """
        found = {}
        for tile in self.run.config.imagery.tiles:
            path = self.run.folder / "inventory" / f"{tile}.parquet"
            if read_sidecar(path) is not None:
                found[tile] = read_inventory(path)
        if not found:
            message = "the run has not made the inventory of any tile yet"
            raise InputDataError(Problem("E-RUN-MISSING", message, str(self.run.folder), _RUN))
        return found

    @cached_property
    def ownership(self) -> Ownership:
        """How the tiles share the map."""
        grids = {tile: one.grid for tile, one in self.inventories.items()}
        return Ownership(grids, self.run.config.map.epsg)

    @cached_property
    def grid(self) -> GeoBox:
        """Grid of all tiles on the map; that of the file may be a part of it."""
        config = self.run.config
        return map_grid(self.ownership.grids, config.map.epsg, config.map.resolution_m)

    def in_map(self, x: float, y: float, crs: str | int | None) -> tuple[float, float]:
        """Return a place in the system of the map.

        Raises
        ------
        UnknownName
            If there is no such coordinate system (``E-EXPLAIN-CRS``).
        """
        epsg = self.run.config.map.epsg
        if crs is None:
            return x, y
        try:
            way = Transformer.from_crs(CRS.from_user_input(crs), epsg, always_xy=True)
        except CRSError as error:
            message = f"found coordinate system {crs!r}, expected one that PROJ knows: {error}"
            hint = "write EPSG:2154 or EPSG:4326"
            raise UnknownName(Problem("E-EXPLAIN-CRS", message, hint=hint)) from error
        moved = way.transform(x, y)
        return float(moved[0]), float(moved[1])

    def locate(self, x: float, y: float) -> Place:
        """Return the pixel that holds a place of the map.

        Raises
        ------
        InputDataError
            If no tile of the run shows it (``E-EXPLAIN-OUTSIDE``).
        """
        epsg, side = self.run.config.map.epsg, float(self.grid.affine.a)
        box = self._box()
        if not (math.isfinite(x) and math.isfinite(y)):
            raise _outside(x, y, box, epsg)
        # Edges of pixels are multiples of their side, so this is a pixel of every map of the run.
        column, row = math.floor(x / side), math.floor(-y / side)
        centre = (column + 0.5) * side, -(row + 0.5) * side
        owner = int(self.ownership.owner_of(*centre))
        inside = box[0] <= x < box[2] and box[1] < y <= box[3]
        if owner < 0 or not inside:
            raise _outside(x, y, box, epsg)
        tile = self.ownership.tiles[owner]
        tile_row, tile_column = self._pixel(tile, row, column)
        degrees = Transformer.from_crs(epsg, 4326, always_xy=True).transform(*centre)
        in_file = self._in_file(*centre)
        block = self.block(tile, tile_row, tile_column)
        return Place(
            x=centre[0],
            y=centre[1],
            epsg=epsg,
            longitude=round(float(degrees[0]), 6),
            latitude=round(float(degrees[1]), 6),
            map_row=None if in_file is None else in_file[0],
            map_column=None if in_file is None else in_file[1],
            tile=tile,
            row=tile_row,
            column=tile_column,
            block="" if block is None else block[0].name,
        )

    def block(self, tile: str, row: int, column: int) -> tuple[Block, Path] | None:
        """Return the committed block that holds a pixel of a tile; None where there is none."""
        for path in sorted((self.run.folder / BLOCKS / tile).glob("r*c*.tif"), reverse=True):
            top, _, left = path.stem[1:].partition("c")
            if not (top.isdecimal() and left.isdecimal()) or int(top) > row or int(left) > column:
                continue
            record = read_sidecar(path)
            if record is None or "recipe" not in record:
                continue
            block = block_of_recipe(tile, record["recipe"])
            if row < block.row + block.height and column < block.column + block.width:
                return block, path
        return None

    def of_block(self, place: Place) -> Values | None:
        """Return the values of the pixel in its block; None where it is not there or damaged."""
        found = self.block(place.tile, place.row, place.column)
        if found is None:
            return None
        block, path = found
        window = Window(place.column - block.column, place.row - block.row, 1, 1)
        try:
            with rasterio.open(path, driver="GTiff") as source:
                numbers = [1 + source.descriptions.index(name) for name in BANDS]
                values = source.read(numbers, window=window)
        except (OSError, ValueError):
            return None
        return Values(*map(int, values[:, 0, 0]))

    def of_map(self, place: Place) -> Values | None:
        """Return the values of the pixel in the map; None where there is no map yet."""
        if place.map_row is None:
            return None
        values = []
        for name in BANDS:
            path = self._layer(name)
            if read_sidecar(path) is None:
                return None
            try:
                with rasterio.open(path, driver="GTiff") as source:
                    window = Window(place.map_column, place.map_row, 1, 1)
                    values.append(int(source.read(1, window=window)[0, 0]))
            except OSError:
                return None
        return Values(*values)

    def _layer(self, name: str) -> Path:
        return self.run.folder / map_path(self.run.config.year, LAYERS[name])

    def _box(self) -> tuple[float, float, float, float]:
        """Return left, bottom, right and top of the map, of its file where there is one."""
        path = self._layer("class")
        if read_sidecar(path) is not None:
            try:
                with rasterio.open(path, driver="GTiff") as source:
                    return tuple(source.bounds)
            except OSError:
                pass
        box = self.grid.boundingbox
        return box.left, box.bottom, box.right, box.top

    def _in_file(self, x: float, y: float) -> tuple[int, int] | None:
        path = self._layer("class")
        if read_sidecar(path) is None:
            return None
        try:
            with rasterio.open(path, driver="GTiff") as source:
                row, column = source.index(x, y)
        except OSError:
            return None
        return int(row), int(column)

    def _pixel(self, tile: str, row: int, column: int) -> tuple[int, int]:
        """Return the pixel of a tile under a pixel of the map, as the mosaic finds it."""
        affine, side = self.grid.affine, float(self.grid.affine.a)
        window = Window(column - round(affine.c / side), row - round(-affine.f / side), 1, 1)
        tile_grid = self.ownership.grids[tile]
        found = Locator(self.grid, tile_grid).positions(window)
        rows, columns = (
            int(np.clip(math.floor(float(position[0, 0])), 0, int(size) - 1))
            for position, size in zip(found, tile_grid.shape, strict=True)
        )
        return rows, columns


def _outside(
    x: float, y: float, box: tuple[float, float, float, float], epsg: int
) -> InputDataError:
    left, bottom, right, top = box
    message = (
        f"the place x {x:.0f}, y {y:.0f} is not on the map: expected x {left:.0f} to {right:.0f}, "
        f"y {bottom:.0f} to {top:.0f} (EPSG:{epsg}), in a tile of the run"
    )
    hint = _DEGREES.format(epsg) if abs(x) <= 180 and abs(y) <= 90 else None
    return InputDataError(Problem("E-EXPLAIN-OUTSIDE", message, hint=hint))
