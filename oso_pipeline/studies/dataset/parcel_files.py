"""Clear observations of the pixels of each polygon, one npz file each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from odc.geo.geobox import GeoBox

from oso_pipeline.core.blocks import blocks_of
from oso_pipeline.core.commit import staged
from oso_pipeline.core.dates import days_since_epoch
from oso_pipeline.imagery.cache.reading import without_missing_copies
from oso_pipeline.imagery.inventory import read_inventory
from oso_pipeline.studies.dataset.samples_table import Counts, count, parts_of
from oso_pipeline.studies.opened_run import Run
from oso_pipeline.timeseries.kernels.chunks import NODATA
from oso_pipeline.timeseries.reading.reader import BlockReader, ReadSpec
from oso_pipeline.timeseries.stack import chunk_shape

PARCELS, LISTED = "parcels", "parcels.parquet"

Observations = tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8], npt.NDArray[np.int32]]
"""Values (pixel, date, band), clear (pixel, date) and days (date)."""


def write_parcels(run: Run, tiles: Sequence[str], folder: Path) -> Counts:
    """Write a file per polygon and tile, and the list of them.

    Raises
    ------
    InputDataError
        If a tile has no samples yet, or an image cannot be read.
    """
    counts: Counts = {}
    listed = []
    for tile in tiles:
        found = [*parts_of(run, tile, ())]
        if not found:
            continue
        samples = pd.concat(found, ignore_index=True)
        count(counts, samples)
        observed = observations(run, tile, samples)
        below = folder / PARCELS / tile
        below.mkdir(parents=True)
        groups: dict[tuple[int, int], npt.NDArray[np.intp]] = {
            (int(key[0]), int(key[1])): np.asarray(rows, np.intp)
            for key, rows in cast(Any, samples.groupby(["polygon_id", "code"]).indices).items()
        }
        parts = Counter(number for number, _ in groups)
        for (number, code), rows in groups.items():
            # A polygon that was cut by rules may have parts of several classes.
            name = f"{number}.npz" if parts[number] == 1 else f"{number}_{code}.npz"
            own = samples.iloc[rows]
            _write(below / name, own, observed, rows)
            listed.append(
                {
                    "file": f"{PARCELS}/{tile}/{name}",
                    "polygon_id": number,
                    "tile": tile,
                    "code": code,
                    "pixels": len(rows),
                    **own[["split", "stratum"]].iloc[0].to_dict(),
                    **own[["longitude", "latitude"]].mean().to_dict(),
                }
            )
    with staged(folder / LISTED) as temporary:
        pd.DataFrame(listed).to_parquet(temporary, index=False)
    return counts


def observations(run: Run, tile: str, samples: pd.DataFrame) -> Observations:
    """Read the images of a tile at the pixels of samples, block by block.

    Returns
    -------
    values, mask, days
        int16 of shape ``(sample, date, band)``, -10000 where the mask is 0; uint8 of shape
        ``(sample, date)``; days since 1970-01-01, int32, shape ``(date,)``.

    Raises
    ------
    InputDataError
        If an image cannot be read.
    """
    inventory = read_inventory(run.folder / "inventory" / f"{tile}.parquet")
    spec = ReadSpec.of(run.config)
    reader = BlockReader(without_missing_copies(inventory), spec)
    days = days_since_epoch(reader.dates)
    values = np.full((len(samples), len(days), len(spec.bands)), NODATA, np.int16)
    mask = np.zeros((len(samples), len(days)), np.uint8)
    rows, columns = pixels_of(inventory.grid, samples)
    height, width = (int(size) for size in inventory.grid.shape)
    shape = chunk_shape((height, width), inventory.block_shape)
    for block in blocks_of(tile, (height, width), shape):
        inside = (rows >= block.row) & (rows < block.row + block.height)
        inside &= (columns >= block.column) & (columns < block.column + block.width)
        own = np.flatnonzero(inside)
        if not len(own):
            continue
        wanted = np.zeros((block.height, block.width), bool)
        wanted[rows[own] - block.row, columns[own] - block.column] = True
        series = reader.read(block, wanted)
        pixels = (rows[own] - block.row) * block.width + columns[own] - block.column
        seen, clear = series.take(pixels)
        for layer, place in enumerate(np.searchsorted(days, series.days)):
            # Of the images of one day at most one is clear at a pixel.
            chosen = np.flatnonzero(clear[layer])
            values[own[chosen], place] = seen[layer][:, chosen].T
            mask[own[chosen], place] = 1
    return values, mask, days


def pixels_of(grid: GeoBox, samples: pd.DataFrame) -> tuple[npt.NDArray[np.intp], ...]:
    """Return row and column of each sample in the grid of its tile."""
    columns, rows = ~grid.affine @ (samples["x"].to_numpy(), samples["y"].to_numpy())
    return np.floor(rows).astype(np.intp), np.floor(columns).astype(np.intp)


def _write(
    path: Path, samples: pd.DataFrame, observed: Observations, rows: npt.NDArray[np.intp]
) -> None:
    values, mask, days = observed
    with staged(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            allow_pickle=False,
            values=values[rows],
            mask=mask[rows],
            days=days,
            label=np.int32(samples["code"].iloc[0]),
            x=samples["x"].to_numpy(),
            y=samples["y"].to_numpy(),
        )
