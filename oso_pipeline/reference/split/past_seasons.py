"""Polygons of past seasons beside the polygons that judge the map: none lies on their ground.

A field of a past season trains, unless it overlaps a polygon that is held out in the season of
the map: its pixels would have been seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from oso_pipeline.config.model import Config
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.sides import TRAIN, VALIDATION
from oso_pipeline.reference.polygons.event_log import Tally
from oso_pipeline.reference.split.jobs import PastReferenceJob, ReferenceJob
from oso_pipeline.reference.split.split import IN_EVERY_FOLD, IN_NO_FOLD, NEAR
from oso_pipeline.reference.split.stage import joined
from oso_pipeline.tasks.job import Input
from oso_pipeline.tasks.stage import PlanContext
from oso_pipeline.tasks.task import Summary, Task
from oso_pipeline.vectors.geometry import LEAST_AREA_M2


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
    return joined(job, task, partial(split_past, job, task))


def split_past(
    job: PastReferenceJob, task: Task, parts: pd.DataFrame, seen: Tally, problems: Problems
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Let polygons train unless they overlap one that judges the map.

    In each column of the split: train, or nothing where the polygon, or ground that it shares,
    is held out; in a column of folds the fold whose ground it shares, `IN_EVERY_FOLD` where it
    shares none, and `IN_NO_FOLD` where it shares the ground of several. Polygons count whole. No
    class is too rare, as none is split.
    """
    split = job.split
    of_map = geopandas.read_parquet(task.path_of(job.of_map))
    cells = [task.path_of(cell) for cell in job.cells.values()]
    pairs = shared_ground(cells, parts, of_map, split.buffer_m)
    dealt = parts.reset_index(drop=True)
    ids = dealt["polygon_id"].to_numpy()
    for column in split.columns:
        sides = of_map[column].to_numpy()[pairs["of_map"].to_numpy()]
        if split.folds:
            dealt[column] = _fold_of(ids, pairs["polygon_id"].to_numpy(), sides)
        else:
            held_out = pairs["polygon_id"].to_numpy()[sides == VALIDATION]
            dealt[column] = np.where(np.isin(ids, held_out), NEAR, TRAIN).astype(object)
    return dealt, parts.iloc[:0]


def shared_ground(
    cells: Sequence[Path],
    parts: pd.DataFrame,
    of_map: geopandas.GeoDataFrame,
    buffer_m: float = 0.0,
) -> pd.DataFrame:
    """Return which polygons of a past season share ground with which of the season of the map.

    Parameters
    ----------
    cells
        Files of the cells of the past season.
    parts
        Its pieces, with their ``cell``, ``row`` in it, and ``polygon_id``.
    of_map
        Polygons of the season of the map.
    buffer_m
        Nearer than this counts as shared, metres.

    Returns
    -------
    pairs
        ``polygon_id`` of the past polygon and ``of_map``, the row of the other; also those of
        one polygon, if nothing is left of the ground that it has in both seasons.
    """
    shapes = np.asarray(of_map.geometry)
    tree = shapely.STRtree(shapes)
    found = []
    for number, path in enumerate(cells):
        rows = parts[parts["cell"] == number]
        if not len(rows):
            continue
        cell = geopandas.read_parquet(path, columns=["geometry"])
        pieces = np.asarray(cell.geometry)[rows["row"].to_numpy()]
        if buffer_m:
            past, now = tree.query(pieces, predicate="dwithin", distance=buffer_m)
        else:
            past, now = tree.query(pieces, predicate="intersects")
            both = shapely.area(shapely.intersection(pieces[past], shapes[now])) >= LEAST_AREA_M2
            past, now = past[both], now[both]
        ids = rows["polygon_id"].to_numpy()[past]
        found.append(pd.DataFrame({"polygon_id": ids, "of_map": now}))
    known = pd.DataFrame({"polygon_id": of_map["polygon_id"].to_numpy()})
    same = known.reset_index(names="of_map")
    same = same[same["polygon_id"].isin(parts["polygon_id"])]
    pairs = pd.concat([*found, same], ignore_index=True).astype(np.int64)
    return pairs.drop_duplicates().reset_index(drop=True)


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
