"""What the model of a pixel learned from: mean series of classes, and the polygons near by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq
import shapely

from oso_pipeline.core.commit import read_sidecar
from oso_pipeline.core.nomenclature import Nomenclature
from oso_pipeline.core.parquet_pieces import pieces
from oso_pipeline.reference.split.variants import (
    WHOLE,
    column_of,
    map_variant,
    training_rows,
    validation_rows,
)
from oso_pipeline.studies.explain.parts import Label, NearPolygon, Place
from oso_pipeline.studies.opened_run import Run

NEAREST = 5
"""Polygons that are listed, whatever their class; the nearest of both classes is added."""
ENOUGH = 2_000
"""Samples of a class from which on no further tile is read for its mean: a country has millions."""
_REACHES_M = (500.0, 5_000.0, 50_000.0)
"""Distances within which polygons are looked for, one after the other, before all are read."""
_UNUSED, _EXCLUDED = "unused", "excluded"


@dataclass
class Moments:
    """Sums over the samples of a class, from which mean and deviation follow.

    Parameters
    ----------
    count
        Number of samples.
    total, squares
        Sums of features and of their squares, float64, shape ``(feature,)``.
    """

    count: int
    total: npt.NDArray[np.float64]
    squares: npt.NDArray[np.float64]

    def add(self, features: npt.NDArray[np.int16]) -> None:
        """Add samples, shape ``(sample, feature)``."""
        values = features.astype(np.float64)
        self.count += len(values)
        self.total += values.sum(axis=0)
        self.squares += (values**2).sum(axis=0)

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """Mean of each feature."""
        return self.total / self.count

    @property
    def deviation(self) -> npt.NDArray[np.float64]:
        """Standard deviation of each feature over the samples (divided by their number)."""
        return np.sqrt(np.maximum(self.squares / self.count - self.mean**2, 0))


def moments_of(
    run: Run, tile: str, stratum: str, codes: Sequence[int], features: Sequence[str]
) -> dict[int, Moments]:
    """Return sums over samples of some classes that train the model of the map.

    The samples of whole tiles count: those of `tile`, then of the others until there are `ENOUGH`.

    Parameters
    ----------
    run
        The run; tiles without committed samples are left out.
    tile
        The tile to begin with.
    stratum
        The stratum of the model.
    codes
        The classes.
    features
        Names of the features.

    Returns
    -------
    moments
        By code; classes without a sample of the season of the map have no entry.
    """
    variant = map_variant(run.config)
    split = [] if variant == WHOLE else [column_of(variant)]
    found: dict[int, Moments] = {}
    for name in sorted(run.config.imagery.tiles, key=lambda one: one != tile):
        wanted = [code for code in codes if code not in found or found[code].count < ENOUGH]
        path = run.folder / "samples" / f"{name}.parquet"
        if not wanted or read_sidecar(path) is None:
            continue
        names = pq.read_schema(path).names
        if not set(features) <= set(names):
            continue
        light = [one for one in ("code", "stratum", "season", *split) if one in names]
        for piece in pieces(path, [*light, *features]):
            table = piece.to_pandas()
            chosen = training_rows(table, variant) & (table["stratum"] == stratum).to_numpy()
            if "season" in table:
                chosen &= (table["season"] == run.config.year).to_numpy()
            for code in wanted:
                rows = table.loc[chosen & (table["code"] == code).to_numpy(), [*features]]
                if len(rows):
                    zeros = np.zeros((2, len(features)))
                    found.setdefault(code, Moments(0, *zeros)).add(rows.to_numpy(np.int16))
    return found


def polygons_near(
    run: Run, place: Place, stratum: str | None, codes: Sequence[int]
) -> tuple[NearPolygon, ...] | None:
    """Return reference polygons near a place, the nearest first; None without reference.

    Parameters
    ----------
    run
        The run.
    place
        The place.
    stratum
        Stratum whose check of labels is looked at; None for none.
    codes
        Classes of which the nearest polygon is listed besides.
    """
    path = run.folder / "reference.parquet"
    if read_sidecar(path) is None:
        return None
    centre = shapely.Point(place.x, place.y)
    frame = None
    for reach in _REACHES_M:
        box = (place.x - reach, place.y - reach, place.x + reach, place.y + reach)
        frame = geopandas.read_parquet(path, bbox=box)
        near = frame[frame.geometry.distance(centre) <= reach]
        if len(near) >= NEAREST and set(codes) <= set(near["code"]):
            frame = near
            break
    else:
        frame = geopandas.read_parquet(path)
    frame = frame.assign(distance=frame.geometry.distance(centre))
    frame = frame.sort_values(["distance", "polygon_id"]).drop_duplicates("polygon_id")
    chosen = set(frame.index[:NEAREST])
    for code in codes:
        chosen |= set(frame.index[frame["code"] == code][:1])
    frame = frame.loc[[one for one in frame.index if one in chosen]]
    return _listed(run, frame, _checks(run, stratum))


def _listed(run: Run, frame: pd.DataFrame, checks: pd.DataFrame | None) -> tuple[NearPolygon, ...]:
    variant, nomenclature = map_variant(run.config), run.nomenclature
    trains, validates = training_rows(frame, variant), validation_rows(frame, variant)
    listed = []
    for number, row in enumerate(frame.to_dict("records")):
        side = "train" if trains[number] else "validation" if validates[number] else _UNUSED
        doubted = None
        if checks is not None and row["polygon_id"] in checks.index:
            check = checks.loc[row["polygon_id"]]
            if check["excluded"]:
                side = _EXCLUDED
            if check["doubted"]:
                doubted = label_of(nomenclature, int(check["likely_code"]))
        listed.append(
            NearPolygon(
                int(row["polygon_id"]),
                round(float(row["distance"]), 1),
                label_of(nomenclature, int(row["code"])),
                side,
                str(row["source"]),
                doubted,
            )
        )
    return tuple(listed)


def _checks(run: Run, stratum: str | None) -> pd.DataFrame | None:
    """Return the check of labels of a stratum, by polygon; None where there is none."""
    if stratum is None:
        return None
    path = run.folder / "labels" / map_variant(run.config) / f"{stratum}.parquet"
    if read_sidecar(path) is None:
        return None
    names = ["polygon_id", "likely_code", "doubted", "excluded"]
    table = pq.ParquetFile(path).read(names).to_pandas()
    return table.drop_duplicates("polygon_id").set_index("polygon_id")


def label_of(nomenclature: Nomenclature, code: int) -> Label:
    """Return a class with its name; a code that the nomenclature lacks has none."""
    known = nomenclature.by_code.get(code)
    return Label(code, "" if known is None else known.name_en)
