"""The series of a block, read from products of all families: masks first, then what is clear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from oso_pipeline.core.dates import days_since_epoch
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.imagery.clear import ClearPolicy, ClearRule
from oso_pipeline.timeseries.reading.images import (
    Images,
    ProductBands,
    hide_blank,
    overlap,
    read_band,
    spoil,
    stored_zeros,
)
from oso_pipeline.timeseries.reading.rasters import OpenRasters, process_rasters
from oso_pipeline.timeseries.reading.usable import (
    refuse_changed,
    refuse_incomplete,
    resolutions_of,
)
from oso_pipeline.timeseries.reading.windows import Part, bounding, repeat_pixels, whole, window_of
from oso_pipeline.timeseries.series import BlockSeries

if TYPE_CHECKING:
    from oso_pipeline.config.model import Config
    from oso_pipeline.core.blocks import Block
    from oso_pipeline.imagery.acquisition import Acquisition, Asset
    from oso_pipeline.imagery.inventory import Inventory


@dataclass(frozen=True)
class ReadSpec:
    """Bands and quality layers to read for a tile; small, and JSON for the parameters of a task.

    Parameters
    ----------
    bands
        Bands in the order of the features.
    clear
        Clear rule of pixels; the resulting rules are in the inventory.
    first, last
        Days between which images serve, both included: the season and its margins.
    """

    bands: tuple[str, ...]
    clear: ClearPolicy
    first: date
    last: date

    @classmethod
    def of(cls, config: Config) -> ReadSpec:
        """Return the request of a configuration."""
        margin = timedelta(days=config.imagery.margin_days)
        season = config.season
        return cls(
            config.imagery.bands, config.imagery.clear, season.start - margin, season.end + margin
        )

    def to_json(self) -> dict[str, Any]:
        """Return the content as JSON types."""
        clear = list(self.clear) if isinstance(self.clear, tuple) else self.clear
        days = {"first": self.first.isoformat(), "last": self.last.isoformat()}
        return {"bands": list(self.bands), "clear": clear, **days}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> ReadSpec:
        """Return what :meth:`to_json` wrote."""
        clear: ClearPolicy = content["clear"]
        return cls(
            tuple(content["bands"]),
            tuple(clear) if isinstance(clear, list) else clear,
            date.fromisoformat(content["first"]),
            date.fromisoformat(content["last"]),
        )


LEAST_BANDS_BLANK = 3
"""Bands that have to be 0 at a pixel before it counts as blank: of fewer, 0 may be what was seen,
as of deep water."""


@dataclass
class BlockReader:
    """Reads blocks of a tile.

    Of the products of one calendar day (UTC) the first clear one in the order of acquisition
    time and identifier counts at each pixel, with all its bands. Making a reader looks at the
    names and sizes of all files and opens none.

    Parameters
    ----------
    inventory
        The acquisitions of the tile and their 10 m grid.
    spec
        Bands and quality layers to read.
    rasters
        Where files are kept open; by default one store for the process.

    Raises
    ------
    InputDataError
        If a product lacks a band or a quality asset that is needed or has a band of another
        resolution than the others, or its files have vanished or changed since the inventory;
        all such products are named at once.

    Examples
    --------
    >>> series = BlockReader(inventory, ReadSpec.of(config)).read(block)  # doctest: +SKIP
    """

    inventory: Inventory
    spec: ReadSpec
    rasters: OpenRasters = field(default_factory=process_rasters)

    def __post_init__(self) -> None:
        ordered = sorted(self.inventory.acquisitions, key=lambda a: (a.acquired, a.product_id))
        first, last = self.spec.first, self.spec.last
        self._used = [a for a in ordered if first <= a.acquired.date() <= last]
        refuse_incomplete(self._used, self.spec.bands, self.spec.clear)
        self._resolutions = resolutions_of(self._used, self.spec.bands)
        refuse_changed(self._used)

    @property
    def dates(self) -> tuple[date, ...]:
        """Days with an image, ascending."""
        return tuple(dict.fromkeys(a.acquired.date() for a in self._used))

    @property
    def n_products(self) -> int:
        """Number of products that serve."""
        return len(self._used)

    @property
    def n_files(self) -> int:
        """Number of files that are read."""
        masks = sum(rule.asset in a.quality for a in self._used for rule in a.rules)
        return masks + len(self._used) * len(self.spec.bands)

    def read(self, block: Block, wanted: npt.NDArray[np.bool_] | None = None) -> BlockSeries:
        """Read the images of a block, masks first.

        A product without a clear pixel is not read any further; of the others only the rows
        and columns between the outermost clear pixels are.

        Parameters
        ----------
        block
            Part of the tile.
        wanted
            Requested pixels, shape ``(block.height, block.width)``; the others are
            never clear. By default all.

        Raises
        ------
        InputDataError
            If a file has vanished, cannot be read, or no longer fits the grid of the tile.
        """
        shape = (block.height, block.width)
        clear = np.empty((len(self._used), *shape), np.uint8)
        seen: list[Acquisition] = []
        with self.rasters.session():
            for acquisition in self._used:
                layer = clear[len(seen)]
                self._look(acquisition, block, wanted, layer)
                if layer.any():
                    seen.append(acquisition)
            clear = clear[: len(seen)]
            images, clipped, blank = Images.empty(len(seen), self._resolutions, shape), 0, 0
            for number, acquisition in enumerate(seen):
                _take_turns(seen, clear, number)
                if clear[number].any():
                    layer = images.layer(number)
                    found = self._fill(acquisition, block, layer, clear[number])
                    clipped, blank = clipped + found[0], blank + found[1]
        days = days_since_epoch(tuple(a.acquired.date() for a in seen))
        flags = clear.reshape(len(seen), block.pixels)
        names = tuple(a.product_id for a in seen)
        return BlockSeries(shape, *images.flat(), images.slots, flags, days, clipped, blank, names)

    def _look(
        self,
        acquisition: Acquisition,
        block: Block,
        wanted: npt.NDArray[np.bool_] | None,
        clear: npt.NDArray[np.uint8],
    ) -> None:
        """Write where the rules of a product let pixels count."""
        clear[:] = 1 if wanted is None else wanted
        for rule in acquisition.rules:
            if rule.asset in acquisition.quality and clear.any():
                clear &= self._allowed(rule, acquisition.quality[rule.asset], block)

    def _allowed(self, rule: ClearRule, asset: Asset, block: Block) -> npt.NDArray[np.bool_]:
        factor = asset.resolution_m // 10
        window = self._window(asset.path, whole(block), factor)
        allowed = rule.allows(self.rasters.read(asset.path, window))
        if factor == 2:
            allowed = repeat_pixels(allowed, (block.height, block.width), outside=False)
        return allowed

    def _fill(
        self,
        acquisition: Acquisition,
        block: Block,
        layer: ProductBands,
        clear: npt.NDArray[np.uint8],
    ) -> tuple[int, int]:
        """Read the bands of a product around its clear pixels.

        Return how many values were cut, and how many pixels are 0 in every band: no observation.
        """
        part = bounding(clear)
        target, flags = layer.part(part), part.of(clear)
        cut = []
        for number, band in enumerate(self.spec.bands):
            values, factor = target.band(number)
            asset = acquisition.bands[band]
            window = self._window(asset.path, part.moved(block.row, block.column), factor)
            outside = read_band(self.rasters, asset, window, values)
            # One band without data spoils the date: the mask is shared by all bands.
            spoil(values, flags, factor)
            if outside is not None:
                cut.append((outside, factor))
        blank = 0
        if len(self.spec.bands) >= LEAST_BANDS_BLANK:
            zeros = stored_zeros(acquisition.bands[band] for band in self.spec.bands)
            blank = int(hide_blank(target.fine, target.coarse, target.slots, zeros, flags))
        return sum(int(overlap(outside, flags, factor)) for outside, factor in cut), blank

    def _window(self, path: Path, part: Part, factor: int) -> Window:
        """Return the window of a file that shows a part of the tile."""
        shape = self.rasters.shape(path)
        rows, columns = self.inventory.grid.shape
        allowed = [(rows, columns)]
        if factor == 2:
            allowed = [(rows // 2, columns // 2), (-(-rows // 2), -(-columns // 2))]
        if shape not in allowed:
            message = (
                f"image size {shape[0]} x {shape[1]} does not fit the {10 * factor} m grid of "
                f"the tile, {allowed[-1][0]} x {allowed[-1][1]}"
            )
            hint = "run `oso run` again so that the inventory checks the product again"
            raise InputDataError(Problem("E-IMAGE-SIZE", message, str(path), hint))
        return window_of(shape, part, factor)


def _take_turns(seen: Sequence[Acquisition], clear: npt.NDArray[np.uint8], number: int) -> None:
    """Leave a product the pixels that earlier ones of its day do not show."""
    day = seen[number].acquired.date()
    for earlier in range(number - 1, -1, -1):
        if seen[earlier].acquired.date() != day:
            break
        clear[number] &= clear[earlier] ^ 1
