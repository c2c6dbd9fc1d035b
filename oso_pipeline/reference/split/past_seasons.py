"""Polygons of past seasons beside the polygons that evaluate the map: none lies on their ground.

A field of a past season trains, unless it overlaps a polygon that is held out in the season of
the map: its pixels would have been seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from oso_pipeline.config.model import Config
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.parquet_pieces import pieces
from oso_pipeline.core.sides import TRAIN, VALIDATION
from oso_pipeline.reference.polygons.by_object import among
from oso_pipeline.reference.polygons.event_log import EventCounts
from oso_pipeline.reference.split.jobs import PastReferenceJob, ReferenceJob
from oso_pipeline.reference.split.split import IN_EVERY_FOLD, IN_NO_FOLD, NEAR, SplitRules
from oso_pipeline.reference.split.stage import publish_reference
from oso_pipeline.tasks.job import Input
from oso_pipeline.tasks.stage import PlanContext
from oso_pipeline.tasks.task import Summary, Task
from oso_pipeline.vectors.geometry import LEAST_AREA_M2, Geometries, Rows

_SIDES = pd.Index([TRAIN, NEAR])


def beside_the_map(task: Task, context: PlanContext[Config]) -> Task:
    """Return the task of a past season that splits its polygons by those of the map."""
    (of_map,) = context.tasks("reference")
    if not isinstance(task.job, ReferenceJob):
        raise TypeError(
            f"{task.name} is a {type(task.job).__name__}, which has no polygons to split"
        )
    return replace(
        task,
        function="oso_pipeline.reference.split.past_seasons:gather_past_reference",
        job=PastReferenceJob(**vars(task.job), of_map=Input.of(of_map)),
    )


def gather_past_reference(job: PastReferenceJob, task: Task) -> Summary:
    """Join the cells of a past season and publish them; see `split_past` for the split."""
    return publish_reference(job, task, partial(split_past, job, task))


def split_past(
    job: PastReferenceJob, task: Task, parts: pd.DataFrame, seen: EventCounts, problems: Problems
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Use polygons for training unless they overlap a validation polygon of the map.

    Each column of the split says ``train``, or that the polygon or an overlapping one is held out.
    A column of folds gives the fold that the polygon overlaps, `IN_EVERY_FOLD` if it overlaps
    none, and `IN_NO_FOLD` if it overlaps several. Polygons are not divided. No class is too rare,
    since past polygons are not split.
    """
    split = job.split
    of_map = task.path_of(job.of_map)
    cells = [task.path_of(cell) for cell in job.cells.values()]
    pairs = shared_ground(cells, parts, of_map, split)
    split_parts = parts.reset_index(drop=True)
    ids = split_parts["polygon_id"].to_numpy()
    for column in split.columns:
        sides, past = pairs[column].to_numpy(), pairs["polygon_id"].to_numpy()
        if split.folds:
            split_parts[column] = _fold_of(ids, past, sides)
        else:
            near = np.isin(ids, past[sides == VALIDATION])
            split_parts[column] = pd.Categorical.from_codes(near.astype(np.int8), _SIDES)
    return split_parts, parts.iloc[:0]


def shared_ground(
    cells: Sequence[Path], parts: pd.DataFrame, of_map: Path, split: SplitRules
) -> pd.DataFrame:
    """Return the split, in the season of the map, of the ground of past polygons.

    Parameters
    ----------
    cells
        Files of the cells of the past season.
    parts
        Its pieces, ascending by their ``cell``, with ``row`` in it and ``polygon_id``.
    of_map
        File of the polygons of the season of the map; of it what lies around a cell is read.
    split
        Nearer than its buffer counts as shared.

    Returns
    -------
    pairs
        ``polygon_id`` of the past polygon and the columns of the split of a polygon with ground
        of it; also those of one polygon, if nothing is left of the ground that it has in both
        seasons.
    """
    names = ["polygon_id", *split.columns]
    found = []
    ends = np.searchsorted(parts["cell"].to_numpy(), np.arange(len(cells) + 1))
    for path, (start, end) in zip(cells, pairwise(ends.tolist()), strict=True):
        if start == end:
            continue
        cell = geopandas.read_parquet(path, columns=["geometry"])
        pieces_of_cell = np.asarray(cell.geometry)[parts["row"].to_numpy()[start:end]]
        near = _around(of_map, names, shapely.total_bounds(pieces_of_cell), split.buffer_m)
        past, now = _meeting(pieces_of_cell, np.asarray(near.geometry), split.buffer_m)
        table = pd.DataFrame(near[names]).take(now)
        table["polygon_id"] = parts["polygon_id"].to_numpy()[start:end][past]
        found.append(table.drop_duplicates())
    known = np.unique(parts["polygon_id"].to_numpy())
    for piece in pieces(of_map, names):
        same = np.flatnonzero(among(piece["polygon_id"].to_numpy(), known))
        if len(same):
            found.append(piece.take(same).to_pandas().drop_duplicates())
    empty = pd.DataFrame({name: np.empty(0, np.int64) for name in names})
    return pd.concat(found, ignore_index=True) if found else empty


def _around(
    of_map: Path, names: Sequence[str], box: npt.NDArray[np.float64], buffer_m: float
) -> geopandas.GeoDataFrame:
    """Return the polygons whose bounds meet a box or lie near it."""
    reach = buffer_m + 1.0  # no polygon is left out because of rounding
    bounds = (box[0] - reach, box[1] - reach, box[2] + reach, box[3] + reach)
    return geopandas.read_parquet(of_map, columns=[*names, "geometry"], bbox=bounds)


def _meeting(past: Geometries, now: Geometries, buffer_m: float) -> tuple[Rows, Rows]:
    """Return the pairs of rows that share ground, or lie nearer than the buffer."""
    tree = shapely.STRtree(now)
    if buffer_m:
        first, second = tree.query(past, predicate="dwithin", distance=buffer_m)
        return first, second
    first, second = tree.query(past, predicate="intersects")
    both = shapely.area(shapely.intersection(past[first], now[second])) >= LEAST_AREA_M2
    return first[both], second[both]


def _fold_of(
    ids: npt.NDArray[np.int64], past: npt.NDArray[np.int64], folds: npt.NDArray[np.int8]
) -> npt.NDArray[np.int8]:
    """Return the one fold whose ground each polygon shares."""
    sharing = pd.Series(folds).groupby(past).agg(["min", "max"])
    alone = (sharing["min"] == sharing["max"]).to_numpy()
    one = np.where(alone, sharing["min"].to_numpy(), IN_NO_FOLD)
    of_polygon = pd.Series(one, index=sharing.index)
    found = of_polygon.reindex(ids, fill_value=IN_EVERY_FOLD)
    return np.asarray(found, dtype=np.int8)
