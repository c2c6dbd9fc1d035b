"""Which images of a tile show a pixel clear, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rasterio.windows import Window

from oso_pipeline.core.blocks import Block
from oso_pipeline.core.errors import InputDataError, OsoError
from oso_pipeline.imagery.acquisition import REASONS, Acquisition, Asset
from oso_pipeline.imagery.inventory import Inventory
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.studies.explain.parts import ImageUse, Place
from oso_pipeline.timeseries.reading.rasters import OpenRasters, process_rasters
from oso_pipeline.timeseries.reading.reader import BlockReader, ReadSpec
from oso_pipeline.timeseries.series import BlockSeries

CLEAR, BLANK, NO_DATA = "clear", "blank: 0 in every band", "no data"
SAME_DAY, NOT_READ = "another image of the day counts", "cannot be read"
OUTSIDE_SEASON = REASONS["outside_season"]


@dataclass(frozen=True)
class PixelReader:
    """Reads one pixel of a tile, by the reader that prediction uses.

    Parameters
    ----------
    inventory
        The images of the tile.
    spec
        Bands and clear rule.
    row, column
        The pixel in the 10 m grid of the tile.
    """

    inventory: Inventory
    spec: ReadSpec
    row: int
    column: int

    @classmethod
    def at(cls, place: Place, inventory: Inventory, spec: ReadSpec) -> PixelReader:
        """Return the reader of a place."""
        return cls(inventory, spec, place.row, place.column)

    def series(self, images: Iterable[Acquisition] | None = None) -> BlockSeries:
        """Return the series of the pixel, the only one of its block that may be clear.

        Raises
        ------
        InputDataError
            If an image cannot be read.
        """
        inventory = self.inventory
        if images is not None:
            inventory = replace(inventory, acquisitions=tuple(images))
        top, left = self.row // 2 * 2, self.column // 2 * 2
        rows, columns = (int(size) for size in inventory.grid.shape)
        block = Block(inventory.tile, top, left, min(2, rows - top), min(2, columns - left))
        wanted = np.zeros((block.height, block.width), bool)
        wanted[self.row - top, self.column - left] = True
        return BlockReader(inventory, self.spec).read(block, wanted)

    @property
    def index(self) -> int:
        """Index of the pixel in the block of `series`."""
        width = min(2, int(self.inventory.grid.shape[1]) - self.column // 2 * 2)
        return self.row % 2 * width + self.column % 2

    def number(self, rasters: OpenRasters, asset: Asset) -> Any:
        """Return the number of an asset at the pixel; None beyond its file."""
        factor = asset.resolution_m // 10
        rows, columns = rasters.shape(asset.path)
        row, column = self.row // factor, self.column // factor
        if row >= rows or column >= columns:
            return None
        return rasters.read(asset.path, Window(column, row, 1, 1))[0, 0]


def uses_of(reader: PixelReader, readers: Readers | None) -> tuple[ImageUse, ...]:
    """Return all images of the tile by day: used, or hidden with the reason.

    Parameters
    ----------
    reader
        Reads the pixel.
    readers
        Say what values of quality layers mean; None where they cannot be made.
    """
    taken: set[Any] = set()
    found = []
    first, last = reader.spec.first, reader.spec.last
    for image in sorted(reader.inventory.acquisitions, key=lambda a: (a.acquired, a.product_id)):
        day = image.acquired.date()
        if not first <= day <= last:
            reason, detail = OUTSIDE_SEASON, f"expected {first} to {last}"
        else:
            reason, detail = _reason(reader, image, readers)
            if reason == CLEAR and day in taken:
                reason = SAME_DAY
        if reason == CLEAR:
            taken.add(day)
        found.append(
            ImageUse(image.product_id, day, image.platform, reason == CLEAR, reason, detail)
        )
    for one in reader.inventory.skipped:
        day_or_none = one.acquired.date() if one.acquired else None
        reason = REASONS[one.reason]
        found.append(
            ImageUse(one.product_id, day_or_none, one.platform or "", False, reason, one.detail)
        )
    return tuple(sorted(found, key=lambda use: (use.day is None, str(use.day), use.product_id)))


def _reason(reader: PixelReader, image: Acquisition, readers: Readers | None) -> tuple[str, str]:
    """Return why an image by itself is clear or hidden at the pixel, and the numbers behind it."""
    try:
        series = reader.series([image])
        if len(series.clear) and series.clear[:, reader.index].any():
            return CLEAR, ""
        rasters = process_rasters()
        with rasters.session():
            hidden = _hidden_by(reader, image, readers, rasters)
            return hidden or _without_data(reader, image, rasters) or (BLANK, "")
    except InputDataError as error:
        return NOT_READ, error.problems[0].message


def _hidden_by(
    reader: PixelReader, image: Acquisition, readers: Readers | None, rasters: OpenRasters
) -> tuple[str, str] | None:
    """Return what the first rule that hides the pixel says; None where no rule does."""
    for rule in image.rules:
        if rule.asset not in image.quality:
            continue
        value = reader.number(rasters, image.quality[rule.asset])
        if value is None:
            return "outside the swath", f"{rule.asset} ends before the pixel"
        if not rule.allows(np.array([value]))[0]:
            number = int(value)
            said = None
            if readers is not None:
                said = readers.meaning(image.family, rule.asset, number)
            return said or f"hidden by {rule.asset}", f"{rule.asset} is {number}"
    return None


def _without_data(
    reader: PixelReader, image: Acquisition, rasters: OpenRasters
) -> tuple[str, str] | None:
    """Return the bands without data, or saturated, at the pixel; None where all have data."""
    missing, saturated = [], []
    for band in reader.spec.bands:
        asset = image.bands[band]
        value = reader.number(rasters, asset)
        if value is None or value == asset.nodata or not np.isfinite(value):
            missing.append(band)
        elif asset.saturated is not None and value == asset.saturated:
            saturated.append(band)
    if saturated:
        return f"saturated ({', '.join(saturated)})", "by the number for saturated detectors"
    return (NO_DATA, f"in {', '.join(missing)}") if missing else None


def readers_of(run_readers: Any) -> Readers | None:
    """Return the readers of a configuration; None where a plug-in cannot be loaded."""
    try:
        return Readers.of(run_readers)
    except OsoError:
        return None
