"""The series of a block: images of all families read into one array, one clear mask a day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from oso_pipeline.core.dates import days_since_epoch
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.timeseries.gapfill import NODATA
from oso_pipeline.timeseries.rasters import (
    OpenRasters,
    process_rasters,
    repeat_pixels,
    to_stored,
    vanished,
    window_of,
)
from oso_pipeline.timeseries.validity import ClearPolicy, clear_pixels, masks_of

if TYPE_CHECKING:
    from oso_pipeline.config.model import Config
    from oso_pipeline.core.blocks import Block
    from oso_pipeline.imagery.acquisition import Acquisition
    from oso_pipeline.imagery.inventory import Inventory


@dataclass(frozen=True)
class ReadSpec:
    """What is read from the images of a tile; small, and JSON for the parameters of a task.

    Parameters
    ----------
    bands
        Bands in the order of the features.
    clear
        Policy of :func:`~oso_pipeline.timeseries.validity.clear_pixels`.
    first, last
        Days between which images serve, both included: the season and its margins.
    """

    bands: tuple[str, ...]
    clear: ClearPolicy
    first: date
    last: date

    @classmethod
    def of(cls, config: Config) -> ReadSpec:
        """Return what a configuration asks for."""
        margin = timedelta(days=config.imagery.margin_days)
        season = config.season
        return cls(
            config.imagery.bands, config.imagery.clear, season.start - margin, season.end + margin
        )

    def to_json(self) -> dict[str, Any]:
        """Return the content in types that JSON knows."""
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


@dataclass(frozen=True)
class BlockSeries:
    """The images of a block, one layer per day.

    Parameters
    ----------
    values
        Reflectances in 1e-4 units, int16, shape ``(time, band, pixel)``; pixels row by row.
        -10000 where the day is not clear.
    clear
        1 where the day counts, uint8, shape ``(time, pixel)``.
    days
        Days since 1970-01-01, ascending, int32, shape ``(time,)``.
    clipped
        Values of clear pixels that lay outside -9999 to 32767 and were set to the nearer end.
    """

    values: npt.NDArray[np.int16]
    clear: npt.NDArray[np.uint8]
    days: npt.NDArray[np.int32]
    clipped: int = 0


@dataclass
class BlockReader:
    """Reads blocks of a tile.

    Products of one calendar day (UTC) become one layer: at each pixel the first clear product
    in the order of acquisition time and identifier counts, with all its bands. Making a
    reader looks at the names and sizes of all files and opens none.

    Parameters
    ----------
    inventory
        The acquisitions of the tile and their 10 m grid.
    spec
        What to read.
    rasters
        Where files are kept open; by default one store for the process.

    Raises
    ------
    InputDataError
        If a product lacks a band or a mask that is needed, or its files have vanished or
        changed since the inventory; all such products are named at once.

    Examples
    --------
    >>> series = BlockReader(inventory, ReadSpec.of(config)).read(block)  # doctest: +SKIP
    """

    inventory: Inventory
    spec: ReadSpec
    rasters: OpenRasters = field(default_factory=process_rasters)

    def __post_init__(self) -> None:
        self._by_day: dict[date, list[Acquisition]] = {}
        for acquisition in sorted(
            self.inventory.acquisitions, key=lambda a: (a.acquired, a.product_id)
        ):
            day = acquisition.acquired.date()
            if self.spec.first <= day <= self.spec.last:
                self._by_day.setdefault(day, []).append(acquisition)
        used = [acquisition for group in self._by_day.values() for acquisition in group]
        _refuse_incomplete(used, self.spec)
        _refuse_changed(used)

    @property
    def dates(self) -> tuple[date, ...]:
        """Days with an image, ascending."""
        return tuple(self._by_day)

    def read(self, block: Block) -> BlockSeries:
        """Read all images of a block.

        Raises
        ------
        InputDataError
            If a file has vanished, cannot be read, or no longer fits the grid of the tile.
        """
        n_days, n_bands = len(self._by_day), len(self.spec.bands)
        values = np.full((n_days, n_bands, block.pixels), NODATA, dtype=np.int16)
        clear = np.zeros((n_days, block.pixels), dtype=np.uint8)
        clipped = 0
        with self.rasters.session():
            for layer, flags, day in zip(values, clear, self._by_day.values(), strict=True):
                for acquisition in day:
                    clipped += self._add(acquisition, block, layer, flags)
        return BlockSeries(values, clear, days_since_epoch(self.dates), clipped)

    def _add(
        self,
        acquisition: Acquisition,
        block: Block,
        layer: npt.NDArray[np.int16],
        flags: npt.NDArray[np.uint8],
    ) -> int:
        """Fill what is still missing in the layer of a day; return how many values were cut."""
        usable = self._clear(acquisition, block) & (flags == 0)
        if not usable.any():
            return 0
        values = np.empty_like(layer)
        outside = np.empty(layer.shape, dtype=bool)
        for number, band in enumerate(self.spec.bands):
            raw = self._read(acquisition.bands[band], block, acquisition.nodata)
            values[number], missing, outside[number] = to_stored(
                raw, acquisition.scale, acquisition.nodata
            )
            # One band without data spoils the date: the mask is shared by all bands.
            usable &= ~missing
        np.copyto(layer, values, where=usable)
        flags |= usable
        return int(np.count_nonzero(outside & usable))

    def _clear(self, acquisition: Acquisition, block: Block) -> npt.NDArray[np.bool_]:
        masks = {
            name: self._read(acquisition.masks[name], block, outside=255)
            for name, _ in masks_of(self.spec.clear)
            if name in acquisition.masks
        }
        return clear_pixels(masks, self.spec.clear)

    def _read(self, path: Path, block: Block, outside: float) -> npt.NDArray[Any]:
        """Return the pixels of a file on the 10 m grid, flat."""
        shape = self.rasters.shape(path)
        rows, columns = self.inventory.grid.shape
        if shape == (rows, columns):
            factor = 1
        elif shape in ((rows // 2, columns // 2), (-(-rows // 2), -(-columns // 2))):
            factor = 2
        else:
            message = (
                f"image size {shape[0]} x {shape[1]} fits neither the grid of the tile, "
                f"{rows} x {columns}, nor its half"
            )
            hint = "run `oso run` again so that the inventory checks the product anew"
            raise InputDataError(Problem("E-INPUT-007", message, str(path), hint))
        window = window_of(
            shape,
            (block.row, block.row + block.height),
            (block.column, block.column + block.width),
            factor,
        )
        pixels = self.rasters.read(path, window)
        if factor == 2:
            pixels = repeat_pixels(pixels, (block.height, block.width), outside)
        return pixels.ravel()


def _refuse_incomplete(acquisitions: Sequence[Acquisition], spec: ReadSpec) -> None:
    """Refuse acquisitions without a band or mask that will be read, all at once."""
    needed = [name for name, obligatory in masks_of(spec.clear) if obligatory]
    problems = []
    for acquisition in acquisitions:
        lacking = [f"band {band}" for band in spec.bands if band not in acquisition.bands]
        lacking += [f"mask {name}" for name in needed if name not in acquisition.masks]
        if lacking:
            problems.append(
                Problem(
                    "E-INPUT-006",
                    f"product {acquisition.product_id} lacks {', '.join(lacking)}, needed with "
                    f"imagery.clear: {spec.clear}",
                    str(next(iter(acquisition.bands.values()), acquisition.product_id)),
                    "complete the product, take it out of imagery.paths, or change "
                    "imagery.bands or imagery.clear",
                )
            )
    if problems:
        raise InputDataError(*problems)


def _refuse_changed(acquisitions: Sequence[Acquisition]) -> None:
    """Refuse products whose files have vanished or changed in size, all at once."""
    problems = []
    for acquisition in acquisitions:
        files = [*acquisition.bands.values(), *acquisition.masks.values()]
        lost = [path for path in files if not path.is_file()]
        problems += [vanished(path) for path in lost]
        size = 0 if lost else sum(path.stat().st_size for path in files)
        if not lost and size != acquisition.size_bytes:
            problems.append(
                Problem(
                    "E-FAULT-020",
                    f"the files of {acquisition.product_id} have {size} bytes, they had "
                    f"{acquisition.size_bytes} when the inventory was made",
                    str(files[0].parent),
                    "run `oso run` again so that the inventory takes up the product as it is",
                )
            )
    if problems:
        raise InputDataError(*problems)
