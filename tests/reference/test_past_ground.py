"""Past fields on ground that evaluates the map train nothing; against shapely, pair by pair."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely

from oso_pipeline.config.reference import Reference
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.reference.databases.kinds import VectorSource
from oso_pipeline.reference.polygons.event_log import EventCounts, EventLog
from oso_pipeline.reference.split.jobs import PastReferenceJob, Seasons
from oso_pipeline.reference.split.past_seasons import split_past
from oso_pipeline.reference.split.split import IN_EVERY_FOLD, IN_NO_FOLD, SplitRules
from oso_pipeline.reference.split.variants import training_rows
from oso_pipeline.tasks.job import Input
from oso_pipeline.tasks.task import Task

RULES = SplitRules(
    method="random", train_share=0.7, block_size_m=5000.0, buffer_m=0.0, runs=2, folds=None, seed=0
)


def boxes(n: int, seed: int, side: float = 80.0) -> list[shapely.Polygon]:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 1000, (n, 2))
    return [shapely.box(x, y, x + side, y + side) for x, y in corners]


def split_parts(
    folder: Path, past: geopandas.GeoDataFrame, of_map: Any, **rules: Any
) -> pd.DataFrame:
    """Return the split of the past polygons, which lie in two cells."""
    of_map.to_parquet(folder / "reference.parquet", write_covering_bbox=True)
    halves = [past.iloc[::2], past.iloc[1::2]]
    parts = []
    for number, half in enumerate(halves):
        half.to_parquet(folder / f"cell{number}.parquet")
        light = pd.DataFrame(half[["polygon_id"]]).assign(cell=number, row=np.arange(len(half)))
        parts.append(light)
    job = PastReferenceJob(
        split=replace(RULES, **rules),
        reference=Reference(sources=(VectorSource(path=folder),)),
        cells={f"cell{number}": Input("-", f"cell{number}.parquet") for number in range(2)},
        events={},
        nomenclature=load_nomenclature("oso17"),
        vectors={},
        seasons=Seasons(2017),
        of_map=Input("-", "reference.parquet"),
    )
    task = Task("past_reference", "reference/2017", "-", folder, (), job)
    table, nothing = pd.concat(parts, ignore_index=True), EventCounts.of(EventLog().table())
    found, rare = split_past(job, task, table, nothing, Problems())
    assert not len(rare)
    return found


@pytest.fixture
def past() -> geopandas.GeoDataFrame:
    shapes = boxes(60, 1)
    ids = np.repeat(np.arange(100, 130), 2)  # polygons of two parts
    return geopandas.GeoDataFrame({"polygon_id": ids}, geometry=shapes, crs=2154)


def of_map_with(**columns: Any) -> geopandas.GeoDataFrame:
    n = len(next(iter(columns.values())))
    return geopandas.GeoDataFrame(
        {"polygon_id": np.arange(n), **columns}, geometry=boxes(n, 2), crs=2154
    )


def overlapping(past: geopandas.GeoDataFrame, of_map: geopandas.GeoDataFrame) -> set[int]:
    """Return the past polygons of which a part overlaps one of `of_map`, by brute force."""
    return {
        int(row.polygon_id)
        for row in past.itertuples()
        for other in of_map.geometry
        if row.geometry.intersection(other).area > 0.01
    }


def test_no_training_polygon_overlaps_one_held_out_in_any_run(
    tmp_path: Path, past: geopandas.GeoDataFrame
) -> None:
    rng = np.random.default_rng(3)
    sides = {f"split_{run}": rng.choice(["train", "validation"], 40) for run in range(2)}
    of_map = of_map_with(**sides)
    found = split_parts(tmp_path, past, of_map)
    for run in range(2):
        held_out = of_map[of_map[f"split_{run}"] == "validation"]
        trains = set(found["polygon_id"][training_rows(found, f"run{run}")])
        assert trains == set(past["polygon_id"]) - overlapping(past, held_out)
        assert 0 < len(trains) < 30


def test_folds_hold_out_the_ground_they_evaluate(
    tmp_path: Path, past: geopandas.GeoDataFrame
) -> None:
    of_map = of_map_with(fold=np.arange(40, dtype=np.int8) % 3)
    found = split_parts(tmp_path, past, of_map, folds=3, runs=1)
    assert {IN_EVERY_FOLD, IN_NO_FOLD} <= set(found["fold"])
    shared = [overlapping(past, of_map[of_map["fold"] == fold]) for fold in range(3)]
    several = {i for i in past["polygon_id"] if sum(i in one for one in shared) > 1}
    for fold in range(3):
        trains = set(found["polygon_id"][training_rows(found, f"fold{fold}")])
        assert trains == set(past["polygon_id"]) - shared[fold] - several
    assert training_rows(found, "map").all()


def test_one_polygon_is_never_on_both_sides_even_where_its_remains_lie_apart(
    tmp_path: Path,
) -> None:
    past = geopandas.GeoDataFrame(
        {"polygon_id": [7, 8]}, geometry=[shapely.box(0, 0, 9, 9), shapely.box(90, 0, 99, 9)],
        crs=2154,
    )  # fmt: skip
    of_map = geopandas.GeoDataFrame(
        {"polygon_id": [7, 9], "split_0": ["validation", "train"]},
        geometry=[shapely.box(20, 0, 29, 9), shapely.box(90, 0, 99, 9)],
        crs=2154,
    )
    found = split_parts(tmp_path, past, of_map, runs=1)
    assert found.set_index("polygon_id")["split_0"].to_dict() == {7: "", 8: "train"}


def test_the_distance_of_blocks_keeps_past_fields_away_too(tmp_path: Path) -> None:
    past = geopandas.GeoDataFrame(
        {"polygon_id": [1, 2]}, geometry=[shapely.box(30, 0, 39, 9), shapely.box(90, 0, 99, 9)],
        crs=2154,
    )  # fmt: skip
    of_map = geopandas.GeoDataFrame(
        {"polygon_id": [5], "split_0": ["validation"]}, geometry=[shapely.box(0, 0, 9, 9)],
        crs=2154,
    )  # fmt: skip
    found = split_parts(tmp_path, past, of_map, runs=1, method="blocks", buffer_m=25.0)
    assert found.set_index("polygon_id")["split_0"].to_dict() == {1: "", 2: "train"}
