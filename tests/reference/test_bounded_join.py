"""The join of a nation in little memory, against pandas on whole tables."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from oso_pipeline.reference.polygons import by_object, event_log
from oso_pipeline.reference.polygons.by_object import ByObject
from oso_pipeline.reference.polygons.cell_file import read_boxes, read_small, write_cell
from oso_pipeline.reference.polygons.event_log import EventCounts, EventLog, merged
from oso_pipeline.reference.polygons.steps import counts_of, read_steps
from oso_pipeline.reference.split import split
from oso_pipeline.reference.split.bookkeeping import OUTSIDE, bookkeeping
from oso_pipeline.reference.split.split import SplitRules, add_split, polygon_table

SOURCES = ("RPG 2018", "BD TOPO", "Été")
RULES = SplitRules("random", 0.7, 1000.0, 0.0, 2, None, 3)


def events_of(n: int, seed: int) -> pd.DataFrame:
    """Return the events of a cell; polygons recur in other cells, areas add up badly."""
    rng = np.random.default_rng(seed)
    log = EventLog()
    for reason in event_log.ORDER[:-1]:
        ids = rng.integers(0, 3 * n, rng.integers(0, n) + 1)
        rows = pd.DataFrame({"polygon_id": ids, "code": 11 + ids % 4}).assign(
            source=np.array(SOURCES)[ids % 3], source_id=ids.astype(str), rule="r"
        )
        places = np.where(ids[:, None] % 5 == 0, np.nan, rng.uniform(0, 1e6, (len(ids), 2)))
        log.add(reason, rows, 10 ** rng.uniform(-3, 9, len(ids)), places)
    return log.table()


def pieces_of(n: int, seed: int) -> geopandas.GeoDataFrame:
    """Return the pieces of a cell, some of one object."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, n, n)
    x, y = rng.uniform(0, 20_000, (2, n))
    table = pd.DataFrame({"polygon_id": ids, "code": rng.choice([11, 12, 211], n)}).assign(
        source=np.array(SOURCES)[ids % 3],
        source_id=[f"R{one % 7}/{one}é" for one in ids],
        year=2018,
        rule="r",
        side="",
        stratum=rng.choice(["north", "south"], n),
    )
    sides = rng.uniform(10, 90, n)
    return geopandas.GeoDataFrame(table, geometry=shapely.box(x, y, x + sides, y + 20), crs=2154)


@pytest.fixture
def cells(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"cell{number}.parquet" for number in range(3)]
    for number, path in enumerate(paths):
        write_cell(pieces_of(200, number), path)
    return paths


def whole_polygons(parts: pd.DataFrame) -> pd.DataFrame:
    """Return the table of polygons as pandas makes it of everything at once."""
    weighted = parts[["polygon_id", "area_m2"]].assign(
        x=parts.x * parts.area_m2, y=parts.y * parts.area_m2
    )
    found = weighted.groupby("polygon_id").sum()
    found["x"] /= found["area_m2"]
    found["y"] /= found["area_m2"]
    for column in ("code", "stratum"):
        areas = parts.assign(area=parts.area_m2.round(3), value=parts[column].astype(object))
        sums = areas.groupby(["polygon_id", "value"])["area"].sum().reset_index()
        sums = sums.sort_values(["polygon_id", "area", "value"], ascending=[True, False, True])
        found[column] = sums.drop_duplicates("polygon_id").set_index("polygon_id")["value"]
    order = parts.groupby("polygon_id")["order"].first()
    return found.loc[order.sort_values().index]


@settings(max_examples=40, deadline=None)
@given(n=st.integers(0, 60), seed=st.integers(0, 99), at_once=st.integers(1, 30))
def test_rows_by_object_are_those_of_a_plain_loop(n: int, seed: int, at_once: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, 12, n), rng.integers(0, 3, n)
    expected: dict[tuple[int, int], list[int]] = {}
    for row, key in enumerate(zip(one.tolist(), other.tolist(), strict=True)):
        expected.setdefault(key, []).append(row)
    objects = ByObject.of(one, other)
    listed = [expected[key] for key in sorted(expected)]
    assert objects.rows.tolist() == [row for rows in listed for row in rows]
    assert objects.sizes.tolist() == [len(rows) for rows in listed]
    assert objects.first.tolist() == [rows[0] for rows in listed]
    numbers = np.empty(n, int)
    for rows in listed:
        numbers[rows] = np.arange(len(rows))
    assert objects.number_within().tolist() == numbers.tolist()
    assert (objects.to_rows(one[objects.first]) == one).all()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(by_object, "AT_ONCE", at_once)
        chunks = [*objects.chunks()]
    assert np.concatenate(chunks).tolist() == objects.rows.tolist()
    keys = [set(zip(one[rows].tolist(), other[rows].tolist(), strict=True)) for rows in chunks]
    assert sum(map(len, keys)) == len(expected)  # none is torn apart
    assert max(len(rows) for rows in chunks) < at_once + max(map(len, listed), default=0) + 1


@pytest.mark.parametrize("at_once", [10, 1_000_000])
def test_steps_are_the_sums_of_the_whole_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(by_object, "AT_ONCE", at_once)
    logs = [events_of(30, seed) for seed in range(3)]
    paths = [tmp_path / f"{number}.parquet" for number in range(3)]
    for log, path in zip(logs, paths, strict=True):
        log.to_parquet(path, index=False)
    events = merged(logs)
    steps, whole = read_steps(paths), EventCounts.of(events)
    assert counts_of(steps).to_json() == whole.to_json()
    for code in range(11, 15):
        assert counts_of(steps).by_source(code) == whole.by_source(code)
        assert counts_of(steps).reasons(code) == whole.reasons(code)
    for reason, step in steps.items():
        rows = events[events["reason"] == reason]
        assert len(step.polygon) == len(rows)
        assert step.total_m2 == rows.groupby("reason", observed=True)["area_m2"].sum().iloc[0]


def test_books_name_what_took_most_of_a_polygon_as_a_plain_loop_does(tmp_path: Path) -> None:
    log = events_of(60, 8)
    log.to_parquet(tmp_path / "0.parquet", index=False)
    lines = {one["step"]: one for one in bookkeeping(read_steps([tmp_path / "0.parquet"]), {})}
    expected: dict[str, int] = {}
    met = 0
    for _, rows in log.groupby(["polygon_id", "code"]):
        losses = rows[~rows["reason"].isin([event_log.READ, event_log.REPAIRED])]
        met += int((rows["reason"] == event_log.READ).any())
        if len(losses):
            worst = losses.sort_values("area_m2")["reason"].iloc[-1]
            expected[worst] = expected.get(worst, 0) + 1
    found = {step: -one["polygons"] for step, one in lines.items() if one["polygons"] < 0}
    found.pop(OUTSIDE, None)
    assert {step: n for step, n in found.items() if step in event_log.ORDER} == expected


def test_small_columns_are_those_of_the_cells_in_the_order_of_the_sources(
    cells: list[Path],
) -> None:
    parts = read_small(cells)
    tables = [geopandas.read_parquet(path).assign(cell=n) for n, path in enumerate(cells)]
    whole = pd.concat(tables, ignore_index=True)
    for name in ("polygon_id", "code", "source", "stratum", "area_m2", "x", "y", "cell"):
        assert parts[name].tolist() == whole[name].tolist()
    boxes = read_boxes(cells)
    assert (np.stack([*boxes.values()], axis=1) == whole.bounds.to_numpy()).all()
    listed = whole.assign(size=whole["source_id"].str.len()).drop_duplicates("polygon_id")
    listed = listed.sort_values(["source", "size", "source_id"])
    expected = dict(zip(listed["polygon_id"], range(len(listed)), strict=True))
    assert parts["order"].tolist() == [expected[one] for one in parts["polygon_id"]]


@pytest.mark.parametrize("at_once", [60, 1_000_000])
def test_polygons_and_their_sides_are_those_of_everything_at_once(
    cells: list[Path], monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    parts = read_small(cells)
    before = add_split(parts, RULES)
    monkeypatch.setattr(by_object, "AT_ONCE", at_once)
    found, expected = polygon_table(parts), whole_polygons(parts)
    # To the last bit where pandas adds up in the same way, which it does not for few rows.
    pd.testing.assert_frame_equal(
        found.astype({"stratum": object}),
        expected[[*found]],
        check_dtype=False,
        rtol=0.0 if at_once > len(parts) else 1e-14,
        atol=0.0,
    )
    pd.testing.assert_frame_equal(add_split(parts, RULES), before)


@pytest.mark.parametrize("buffer_m", [50.0, 400.0])
def test_strips_of_the_map_find_the_same_neighbours(
    cells: list[Path], monkeypatch: pytest.MonkeyPatch, buffer_m: float
) -> None:
    parts = read_small(cells).assign(**read_boxes(cells))
    rules: Any = {"method": "blocks", "buffer_m": buffer_m}
    rules = SplitRules(**{**RULES.to_json(), **rules})
    whole = add_split(parts, rules)
    monkeypatch.setattr(split, "_BOXES_AT_ONCE", 7)
    pd.testing.assert_frame_equal(add_split(parts, rules), whole)
    assert (whole["split_0"] == split.NEAR).any()


def test_a_piece_of_a_polygon_takes_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = 10_000
    monkeypatch.setattr(by_object, "AT_ONCE", 1_000)
    write_cell(pieces_of(n, 0), tmp_path / "0.parquet")
    tracemalloc.start()
    try:
        parts = read_small([tmp_path / "0.parquet"])
        held, _ = tracemalloc.get_traced_memory()
        add_split(parts, RULES)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 60 * n
    assert peak < 200 * n
