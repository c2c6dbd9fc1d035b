"""Samples with their gap-filled series as one Parquet file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyproj import Transformer

from oso_pipeline.core.commit import read_sidecar, staged
from oso_pipeline.core.errors import InputDataError, Problem
from oso_pipeline.core.parquet_pieces import pieces
from oso_pipeline.core.sides import TRAIN, VALIDATION
from oso_pipeline.core.tiles import Tile
from oso_pipeline.reference.split.variants import (
    map_variant,
    split_columns,
    training_rows,
    validation_rows,
)
from oso_pipeline.studies.opened_run import Run
from oso_pipeline.timeseries.feature_layout import FeatureLayout

SAMPLES = "samples.parquet"
Counts = dict[int, Counter[str]]
"""Number of samples by class and side."""


def write_samples(run: Run, tiles: Sequence[str], folder: Path) -> Counts:
    """Write the samples of some tiles, tile by tile and piece by piece.

    Returns
    -------
    counts
        Samples by class and side.

    Raises
    ------
    InputDataError
        If a tile has no samples yet (``E-RUN-MISSING``).
    """
    features = FeatureLayout.of(run.config).names
    counts: Counts = {}
    writer: pq.ParquetWriter | None = None
    with staged(folder / SAMPLES) as temporary:
        try:
            for tile in tiles:
                for part in parts_of(run, tile, features):
                    count(counts, part)
                    table = pa.Table.from_pandas(part, preserve_index=False)
                    writer = writer or pq.ParquetWriter(temporary, table.schema, compression="zstd")
                    writer.write_table(table)
        finally:
            if writer is not None:
                writer.close()
        if writer is None:
            raise _no_samples(run.folder / "samples")
    return counts


def parts_of(run: Run, tile: str, features: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Yield the samples of a tile of the season of the map, with side, place and season.

    Raises
    ------
    InputDataError
        If the tile has no samples yet (``E-RUN-MISSING``).
    """
    path = run.folder / "samples" / f"{tile}.parquet"
    if read_sidecar(path) is None:
        raise _no_samples(path)
    config = run.config
    there = pq.ParquetFile(path).schema_arrow.names
    light = ["polygon_id", "code", "x", "y", "stratum", "season", "validity"]
    columns = [name for name in (*light, *split_columns(config)) if name in there]
    names = {one.code: one.name_en for one in run.nomenclature.classes}
    to_degrees = Transformer.from_crs(Tile.parse(tile).epsg, 4326, always_xy=True)
    for piece in pieces(path, [*columns, *features]):
        part = piece.to_pandas()
        if "season" in part:
            part = part[part["season"] == config.year]
        if part.empty:
            continue
        longitude, latitude = to_degrees.transform(part["x"].to_numpy(), part["y"].to_numpy())
        added = {
            "tile": tile,
            "label": part["code"].map(names).fillna(""),
            "split": sides_of(part, map_variant(config)),
            "longitude": np.round(longitude, 7),
            "latitude": np.round(latitude, 7),
            "start_date": config.season.start.isoformat(),
            "end_date": config.season.end.isoformat(),
        }
        front = part[columns].assign(**added).reset_index(drop=True)
        yield pd.concat([front, part[[*features]].reset_index(drop=True)], axis=1)


def sides_of(table: pd.DataFrame, variant: str) -> npt.NDArray[np.object_]:
    """Return the side of each row: ``train``, ``validation``, or empty where it is on none."""
    sides = np.full(len(table), "", object)
    sides[validation_rows(table, variant)] = VALIDATION
    sides[training_rows(table, variant)] = TRAIN
    return sides


def count(counts: Counts, part: pd.DataFrame) -> None:
    """Add the rows of a part, with columns ``code`` and ``split``, to the counts."""
    pairs = zip(part["code"].tolist(), part["split"].tolist(), strict=True)
    for (code, side), number in Counter(pairs).items():
        counts.setdefault(int(code), Counter())[str(side)] += number


def _no_samples(path: Path) -> InputDataError:
    message = "the run has not made these samples yet"
    return InputDataError(Problem("E-RUN-MISSING", message, str(path), "finish the run: `oso run`"))
