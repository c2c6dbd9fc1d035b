"""Deal whole polygons to training and validation, or to folds.

The unit is the polygon as it was drawn: all its parts, in whatever stratum, go to one side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from oso_pipeline.config.model import Config
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.reference.prepare import fingerprints
from oso_pipeline.reference.sources import SIDES
from oso_pipeline.reference.strata import main_stratum

Sides = npt.NDArray[np.int8]


@dataclass(frozen=True)
class SplitRules:
    """How polygons are dealt.

    Parameters
    ----------
    method
        ``random``, ``column`` or ``blocks``, as in the configuration.
    train_share
        Share of the polygons of each class and stratum for training.
    block_size_m
        Side of the squares of method ``blocks``, metres.
    runs
        Number of independent splits.
    folds
        Number of folds instead of splits, or None.
    seed
        Seed of the run.
    """

    method: str
    train_share: float
    block_size_m: float
    runs: int
    folds: int | None
    seed: int

    @classmethod
    def of(cls, config: Config) -> SplitRules:
        """Return the rules of a configuration."""
        split, validation = config.reference.split, config.validation
        return cls(
            split.method,
            split.train_share,
            split.block_size_m,
            validation.runs,
            validation.folds,
            config.seed,
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that tell the sides."""
        return ("fold",) if self.folds else tuple(f"split_{run}" for run in range(self.runs))

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of each side (train, validation) or of each fold."""
        if self.folds:
            return (1 / self.folds,) * self.folds
        return self.train_share, 1 - self.train_share


def add_split(table: geopandas.GeoDataFrame, rules: SplitRules) -> geopandas.GeoDataFrame:
    """Add ``split_0`` .. ``split_{runs-1}`` (train, validation), or ``fold`` (int8).

    Within a class and stratum that has two polygons or more, each side gets one at least
    (with method ``blocks``: where its polygons lie in two squares or more that are free to
    choose). Fewer polygons than folds go to as many folds as there are polygons. A draw
    depends on the seed, the class, the stratum and the run alone, so that polygons of one
    class never change the split of another (``random``).
    """
    polygons = polygon_table(table)
    result = table.copy()
    rows = polygons.index.get_indexer(table["polygon_id"])
    for run, column in enumerate(rules.columns):
        if rules.method == "column" and not rules.folds:
            dictated = table.drop_duplicates("polygon_id").set_index("polygon_id")["side"]
            result[column] = dictated.loc[table["polygon_id"]].to_numpy(dtype=object)
            continue
        sides = _by_blocks(polygons, rules, run) if rules.method == "blocks" else None
        if sides is None:
            sides = _at_random(polygons, rules, run)
        values = sides[rows]
        result[column] = values if rules.folds else np.array(SIDES, dtype=object)[values]
    return result


def polygon_table(table: geopandas.GeoDataFrame) -> pd.DataFrame:
    """Return one row per polygon: ``code``, ``stratum``, ``x``, ``y`` and ``area``.

    Indexed by ``polygon_id``, ascending; the stratum is the one with most of its area, x and
    y are those of the centroid in metres, the area is in m2.
    """
    geometries = np.asarray(table.geometry)
    centres, areas = shapely.centroid(geometries), shapely.area(geometries)
    parts = pd.DataFrame(
        {
            "polygon_id": table["polygon_id"].to_numpy(),
            "code": table["code"].to_numpy(),
            "x": shapely.get_x(centres) * areas,
            "y": shapely.get_y(centres) * areas,
            "area": areas,
        }
    )
    polygons = parts.groupby("polygon_id", sort=True).agg(
        {"code": "first", "x": "sum", "y": "sum", "area": "sum"}
    )
    polygons["x"] /= polygons["area"]
    polygons["y"] /= polygons["area"]
    polygons["stratum"] = main_stratum(table)
    return polygons


def verify_split(table: geopandas.GeoDataFrame, columns: Sequence[str], problems: Problems) -> None:
    """Report ``E-INPUT-049`` where a polygon or one geometry lies on both sides."""
    geometries = pd.Series(fingerprints(np.asarray(table.geometry)), index=table.index)
    for column in columns:
        for what, groups in (("polygons", table["polygon_id"]), ("geometries", geometries)):
            torn = table[column].groupby(groups).nunique()
            if count := int((torn > 1).sum()):
                ids = table["polygon_id"][groups.isin(torn.index[torn > 1])].unique()[:10].tolist()
                message = f"{count} {what} lie on both sides of {column}, polygons {ids}"
                hint = "remove the copies from the vector files"
                problems.error("E-INPUT-049", message, "reference.parquet", hint)


def _at_random(polygons: pd.DataFrame, rules: SplitRules, run: int) -> Sides:
    """Draw the sides within each class and stratum; shape ``(polygons,)``."""
    sides = np.zeros(len(polygons), dtype=np.int8)
    strata, codes = polygons["stratum"].to_numpy(), polygons["code"].to_numpy()
    for stratum, code in sorted(set(zip(strata.tolist(), codes.tolist(), strict=True))):
        seed = derived_seed(rules.seed, "split", stratum, code, run)
        members = np.flatnonzero((strata == stratum) & (codes == code))  # ascending by id
        drawn = np.random.default_rng(seed).permutation(members)
        if rules.folds:
            # Small classes begin at different folds, so that no fold gets all of them.
            start = derived_seed(seed, "first fold") % rules.folds
            sides[drawn] = (start + np.arange(len(drawn))) % rules.folds
        else:
            sides[drawn[_n_train(len(drawn), rules.train_share) :]] = 1
    return sides


def _n_train(count: int, share: float) -> int:
    """Return the number of training polygons: the nearest to the share that spares one."""
    return int(np.clip(np.floor(count * share + 0.5), 1, max(count - 1, 1)))


def _by_blocks(polygons: pd.DataFrame, rules: SplitRules, run: int) -> Sides:
    """Deal whole squares, the class with fewest squares first (iterative stratification).

    After Sechidis, Tsoumakas and Vlahavas (2011): each square of the class that is hardest
    to place goes to the side that lacks most of this class.
    """
    places = np.floor(polygons[["x", "y"]].to_numpy() / rules.block_size_m).astype(np.int64)
    _, squares = np.unique(places, axis=0, return_inverse=True)
    labels = polygons.groupby(["stratum", "code"], sort=True).ngroup().to_numpy()
    counts = np.zeros((squares.max() + 1, labels.max() + 1), dtype=np.int64)
    np.add.at(counts, (squares, labels), 1)
    rng = np.random.default_rng(derived_seed(rules.seed, "split", "blocks", run))
    order = rng.permutation(len(counts))
    shares = np.array(rules.shares)
    wanted = shares[:, np.newaxis] * counts.sum(axis=0)
    given = np.zeros_like(wanted)
    side_of = np.full(len(counts), -1)
    for label in np.argsort((counts > 0).sum(axis=0), kind="stable"):
        free = order[(counts[order, label] > 0) & (side_of[order] < 0)]
        for position, square in enumerate(free):
            lack = wanted[:, label] - given[:, label]
            empty = given[:, label] == 0
            if empty.any() and empty.sum() >= len(free) - position:
                lack = np.where(empty, lack + counts.sum(), lack)
            side = int(np.argmax(lack))
            side_of[square] = side
            given[side] += counts[square]
    return side_of[squares].astype(np.int8)
