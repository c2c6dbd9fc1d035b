"""Split whole polygons into training and validation, or into folds.

The unit is the polygon as it was drawn: all its parts, in whatever stratum, go to one side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from oso_pipeline.config.model import Config
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.seeds import derived_seed
from oso_pipeline.core.sides import SIDES
from oso_pipeline.reference.polygons.by_object import ByObject
from oso_pipeline.vectors.geometry import Geometries
from oso_pipeline.vectors.strata import most_of_area

Sides = npt.NDArray[np.int8]

_BOXES_AT_ONCE = 500_000
_DRAWN_BY = {
    "random": ("code", "stratum"),
    "column": ("code", "stratum"),
    "blocks": ("x", "y", "code", "stratum"),
}
_OF_POLYGONS = ("polygon_id", "x", "y", "area_m2", "code", "stratum")

NEAR = ""
"""In a split column, in place of a side: too near to what is held out to train."""

IN_EVERY_FOLD, IN_NO_FOLD = -1, -2
"""In the column of folds of a past season: no fold, or more than one, holds out its ground."""


@dataclass(frozen=True)
class SplitRules:
    """How polygons are split.

    Parameters
    ----------
    method
        ``random``, ``column`` or ``blocks``, as in the configuration.
    train_share
        Share of the polygons of each class and stratum for training.
    block_size_m
        Side of the squares of method ``blocks``, metres.
    buffer_m
        Training polygons nearer than this to one for validation are left out, metres.
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
    buffer_m: float
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
            split.buffer_m,
            validation.runs,
            validation.folds,
            config.seed,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the rules as JSON types."""
        return asdict(self)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of the sides."""
        return ("fold",) if self.folds else tuple(f"split_{run}" for run in range(self.runs))

    @property
    def needs_boxes(self) -> bool:
        """Whether the bounds of pieces decide."""
        return self.method == "blocks" and self.buffer_m > 0 and not self.folds

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of each side (train, validation) or of each fold."""
        if self.folds:
            return (1 / self.folds,) * self.folds
        return self.train_share, 1 - self.train_share


def add_split(parts: pd.DataFrame, rules: SplitRules) -> pd.DataFrame:
    """Return the table with the columns of the split.

    Parameters
    ----------
    parts
        The pieces of polygons, with ``polygon_id``, ``code``, ``stratum``, ``side``,
        ``area_m2`` and their centroid ``x``, ``y`` in metres of the map; ``order``, the number
        of the polygon among all as their sources list them. With a buffer their bounds
        ``x_min``, ``y_min``, ``x_max``, ``y_max`` as well.
    rules
        How polygons are split.

    Returns
    -------
    table
        With ``fold`` (int8), or ``split_<run>``: train, validation, or nothing (`NEAR`).
        Polygons are split within their class and stratum (``random``), by the square that
        holds their centroid (``blocks``), or as ``side`` says (``column``). ``order`` and
        the seed decide, never the order of rows. A draw does not depend
        on another class, stratum or run (``random``).
    """
    objects = ByObject.of(parts["polygon_id"].to_numpy())
    if rules.method == "column" and not rules.folds:
        rows = objects.to_rows(objects.first)
        dictated = parts["side"].take(rows).array
        return parts.assign(**dict.fromkeys(rules.columns, dictated))
    polygons, place = _polygon_table(parts, objects, _DRAWN_BY[rules.method])
    rows = objects.to_rows(place)
    found: dict[str, Any] = {}
    for run, column in enumerate(rules.columns):
        sides = _by_blocks(polygons, rules, run) if rules.method == "blocks" else None
        if sides is None:
            sides = _at_random(polygons, rules, run)
        if rules.folds:
            found[column] = sides[rows]
            continue
        if rules.needs_boxes:
            near = _near_validation(parts, sides[rows] == 1, rules.buffer_m)
            sides[np.isin(polygons.index, near)] = len(SIDES)
        numbers: npt.NDArray[np.int8] = sides[rows]
        found[column] = pd.Categorical.from_codes(numbers, categories=pd.Index([*SIDES, NEAR]))
    return parts.assign(**found)


def polygon_table(parts: pd.DataFrame) -> pd.DataFrame:
    """Return one row per polygon: ``code``, ``stratum``, ``x``, ``y`` and ``area_m2``.

    Indexed by ``polygon_id``, ascending by ``order``; class and stratum are those with most of
    its area, x and y are those of the centroid in metres, the area is in m2.
    """
    objects = ByObject.of(parts["polygon_id"].to_numpy())
    return _polygon_table(parts, objects, ("x", "y", "area_m2", "code", "stratum"))[0]


def _polygon_table(
    parts: pd.DataFrame, objects: ByObject, names: Sequence[str]
) -> tuple[pd.DataFrame, npt.NDArray[np.int32]]:
    """Return columns of the table, and where in it each object stands, shape ``(objects,)``."""
    columns = {name: parts[name].array for name in _OF_POLYGONS}
    found = []
    for chunk in objects.chunks():
        rows = np.sort(chunk)  # pandas adds up in another way where objects stand in order
        some = pd.DataFrame({name: each.take(rows) for name, each in columns.items()})
        found.append(_some_polygons(some)[[*names]])
    ranked = np.argsort(parts["order"].to_numpy()[objects.first], kind="stable")
    place = np.empty(len(ranked), np.int32)
    place[ranked] = np.arange(len(ranked))
    return pd.concat(found).iloc[ranked], place


def _some_polygons(parts: pd.DataFrame) -> pd.DataFrame:
    """Return the row of each polygon that has all its pieces here, ascending by its number."""
    areas = parts["area_m2"].to_numpy()
    weighted = pd.DataFrame(
        {
            "polygon_id": parts["polygon_id"].to_numpy(),
            "x": parts["x"].to_numpy() * areas,
            "y": parts["y"].to_numpy() * areas,
            "area_m2": areas,
        }
    )
    polygons = weighted.groupby("polygon_id", sort=True).sum()
    polygons["x"] /= polygons["area_m2"]
    polygons["y"] /= polygons["area_m2"]
    for column in ("code", "stratum"):
        polygons[column] = most_of_area(parts, column)
    return polygons


def verify_split(parts: pd.DataFrame, columns: Sequence[str], problems: Problems) -> None:
    """Report ``E-SPLIT-OVERLAP`` where a polygon lies on both sides."""
    objects = ByObject.of(parts["polygon_id"].to_numpy())
    for column in columns:
        side = numbered(parts[column])
        torn = np.unique(
            parts["polygon_id"].to_numpy()[side != objects.to_rows(side[objects.first])]
        )
        if len(torn):
            message = f"{len(torn)} polygons lie on both sides of {column}: {torn[:10].tolist()}"
            hint = "give all rows of a polygon the same side in the vector files"
            problems.error("E-SPLIT-OVERLAP", message, "reference.parquet", hint)


def numbered(column: pd.Series) -> npt.NDArray[np.int8]:
    """Return sides or folds as numbers: those of folds themselves, else any."""
    if not pd.api.types.is_integer_dtype(column.dtype):
        column = column.astype("category").cat.codes
    return column.to_numpy(dtype=np.int8)


def _near_validation(
    parts: pd.DataFrame, held_out: npt.NDArray[np.bool_], buffer_m: float
) -> npt.NDArray[np.int64]:
    """Return the other polygons that may come nearer than `buffer_m` to one held out.

    By the bounding boxes of their pieces: never one too few, at times one too many. One strip of
    the map after another, from west to east.
    """
    west, east = parts["x_min"].to_numpy(), parts["x_max"].to_numpy()
    others = np.flatnonzero(~held_out)
    others = others[np.argsort(west[others], kind="stable")]
    found = [np.empty(0, np.int64)]
    for start in range(0, len(others), _BOXES_AT_ONCE):
        strip = others[start : start + _BOXES_AT_ONCE]
        reach = buffer_m + 1.0  # no box is left out because of rounding
        left, right = west[strip[0]] - reach, east[strip].max() + reach
        beside = np.flatnonzero(held_out & (east >= left) & (west <= right))
        tree = shapely.STRtree(_boxes(parts, beside))
        hits, _ = tree.query(_boxes(parts, strip), predicate="dwithin", distance=buffer_m)
        found.append(parts["polygon_id"].to_numpy()[strip][hits])
    return np.unique(np.concatenate(found))


def _boxes(parts: pd.DataFrame, rows: npt.NDArray[np.intp]) -> Geometries:
    edges = (parts[name].to_numpy()[rows] for name in ("x_min", "y_min", "x_max", "y_max"))
    boxes: Geometries = np.asarray(shapely.box(*edges), dtype=object)
    return boxes


def _at_random(polygons: pd.DataFrame, rules: SplitRules, run: int) -> Sides:
    """Draw the sides within each class and stratum; shape ``(polygons,)``."""
    sides = np.zeros(len(polygons), dtype=np.int8)
    strata = polygons["stratum"].astype("category")
    names, codes = [*strata.cat.categories], polygons["code"].to_numpy()
    group = codes.astype(np.int64) * (len(names) + 1) + strata.cat.codes.to_numpy()
    for number in np.unique(group):
        code, stratum = int(number // (len(names) + 1)), names[number % (len(names) + 1)]
        seed = derived_seed(rules.seed, "split", stratum, code, run)
        members = np.flatnonzero(group == number)  # in order
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
    """Split whole squares, the class with fewest squares first (iterative stratification).

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
