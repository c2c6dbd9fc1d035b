"""Polygons and hectares add up line by line, from what was read to what is held out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.nomenclature import load_nomenclature
from oso_pipeline.reference.polygons import event_log
from oso_pipeline.reference.polygons.cells import Cell
from oso_pipeline.reference.polygons.event_log import EventCounts, EventLog, merged
from oso_pipeline.reference.polygons.prepare import clip, prepare
from oso_pipeline.reference.polygons.steps import steps_of
from oso_pipeline.reference.polygons.work import Delivery, Preparation, Work
from oso_pipeline.reference.split.bookkeeping import OUTSIDE, ROUNDING, bookkeeping
from oso_pipeline.reference.split.jobs import Seasons
from oso_pipeline.reference.split.rare_classes import warn_of_absent

VECTORS = "reference_vectors"
RPG = f"{VECTORS}/RPG_2-0__GPKG_LAMB93_FXX_2022-01-01"
CROPS = {"kind": "rpg", "year": 2022}
SKIP = {"kind": "bdtopo", "incomplete": "skip"}
LAND = {**SKIP, "classes": [31, 32, 34, 36, 44, 51]}
EXTRACTS = {
    "redon": (f"{VECTORS}/bdtopo_v3_35236", SKIP, ["30TWT"], 2154),
    "olemps": (f"{VECTORS}/bdtopo_v3_12174", LAND, ["31TDK"], 2154),
    "olemps in the layout of v2": (f"{VECTORS}/bdtopo_v2_layout", LAND, ["31TDK"], 2154),
    "parcels": (RPG, CROPS, ["30TWT", "30TYP", "31TCJ", "31TDJ", "31UEQ"], 2154),
    "granada": (f"{VECTORS}/clc_2018_granada", {"kind": "clc"}, ["30SVG"], 32630),
    "flanders 2018": ("flanders_2018/reference/parcels.gpkg", {}, ["31UDS"], 2154),
    "flanders 2019": ("flanders_2019/reference/parcels.gpkg", {}, ["31UES"], 2154),
}


def add_up(summary: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Hold the books of a summary against all else that it says; return the lines by step."""
    lines = summary["books"]
    *before, end = lines
    by_step = {one["step"]: one for one in lines}
    assert (lines[0]["step"], end["step"]) == ("read", "kept")
    assert ROUNDING not in by_step
    assert sum(one["polygons"] for one in before) == end["polygons"] == summary["polygons"]
    hectares = sum(one["hectares"] for one in before)
    # A line is rounded to a square metre.
    assert hectares == pytest.approx(end["hectares"], abs=6e-3, rel=1e-6)
    for figure, key in (("polygons", "polygons"), ("hectares", "hectares")):
        classes = sum(one[key] for one in summary["classes"].values())
        assert end[figure] == pytest.approx(classes, abs=1e-2)
        for sides in summary["splits"].values():
            assert end[figure] == pytest.approx(sum(one[key] for one in sides.values()), abs=1e-2)
    assert lines[0]["polygons"] == sum(o["polygons_read"] for o in summary["classes"].values())
    assert all(one["polygons"] <= 0 for one in before[1:])
    return by_step


@pytest.mark.slow
@pytest.mark.parametrize("name", EXTRACTS)
def test_3_15_books_of_real_extracts_add_up(world: Any, shared_data: Path, name: str) -> None:
    path, source, tiles, epsg = EXTRACTS[name]
    more: dict[str, Any] = {}
    if name.startswith("flanders"):
        more["nomenclature"] = str(shared_data / Path(path).parent / "nomenclature.csv")
        source = {
            "code_field": "crop_code",
            "crosswalk": shared_data / Path(path).parent / "crop_to_oso.csv",
        }
        source = {"code_field": "crop_code"}
    config = world.config(
        reference={
            "sources": [{"path": shared_data / path, **source}],
            "erosion_m": 10, "rare_classes": "drop", "min_polygons": 2,
        },
        imagery={"paths": [world.folder], "tiles": tiles},
        map={"epsg": epsg},
        **more,
    )  # fmt: skip
    task, result = world.outcome(config)
    assert result.status == "done", result.error
    lines = add_up(result.summary)
    table = geopandas.read_parquet(task.output())
    assert len(table) > 0
    assert lines["kept"]["hectares"] == pytest.approx(table.area.sum() / 10_000, abs=1e-3)
    assert lines["kept"]["polygons"] == len(table[["polygon_id", "code"]].drop_duplicates())
    assert lines[event_log.TAKEN]["hectares"] < 0
    if name.startswith("flanders"):
        delivered = geopandas.read_file(shared_data / path).to_crs(2154)
        codes = load_nomenclature(more["nomenclature"]).codes
        known = delivered[delivered["crop_code"].isin(codes)]
        assert lines["read"]["polygons"] == len(known)
        assert lines["read"]["hectares"] == pytest.approx(known.area.sum() / 10_000, rel=1e-6)


def test_3_15_books_of_every_kind_of_loss_add_up(world: Any, places: Any) -> None:
    bow = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    bow = shapely.affinity.translate(shapely.affinity.scale(bow, 100, 100), 560_950, 6_260_050)
    shapes = [
        places(0, 0), places(0, 0),  # twice the same
        places(1, 0), shapely.affinity.translate(places(1, 0), 60, 0),  # two classes overlap
        places(3, 0), shapely.affinity.translate(places(3, 0), 60, 0),  # one class overlaps
        places(5, 0, 15), places(6, 0, 35),  # eroded away, and left too small
        bow, places(8, 0), places(9, 0), places(10, 0), places(11, 0),
    ]  # fmt: skip
    codes = [11, 11, 11, 211, 11, 11, 11, 11, 211, 211, 211, 31, 11]
    path = world.write(shapes, codes)
    reference = {"erosion_m": 10, "min_area_m2": 400, "rare_classes": "drop", "min_polygons": 2}
    _, summary = world.run(path, reference=reference)
    lines = add_up(summary)
    assert lines["read"]["polygons"] == 13
    lost = {step: -one["polygons"] for step, one in lines.items() if one["polygons"] < 0}
    assert lost == {
        event_log.DUPLICATE: 1, event_log.ERODED_AWAY: 1, event_log.TOO_SMALL: 1,
        event_log.RARE: 1,
    }  # fmt: skip
    in_part = {step: one["in_part"] for step, one in lines.items() if one["in_part"]}
    assert in_part[event_log.CONFLICT] == 2
    assert in_part[event_log.DOUBLE] == 1
    assert lines[event_log.DUPLICATE]["hectares"] == pytest.approx(-1.0, abs=1e-3)
    assert lines[event_log.TAKEN]["hectares"] < -2


def test_3_15_a_lost_polygon_counts_once_for_what_took_most_of_it() -> None:
    log = EventLog()
    rows = pd.DataFrame({"polygon_id": [1, 2, 3, 4], "code": 11, "source": "a", "source_id": "x"})
    rows = rows.assign(rule="")
    log.add(event_log.READ, rows, np.array([100.0, 100, 100, 0]))
    log.add(event_log.TOO_SMALL, rows[:2], np.array([30.0, 90]))
    log.add(event_log.CONFLICT, rows[:3], np.array([70.0, 10, 40]))
    log.add(event_log.KEPT, rows[2:3], np.array([60.0]))
    lines = {one["step"]: one for one in bookkeeping(steps_of(log.table()), {})}
    assert {step: (one["polygons"], one["in_part"]) for step, one in lines.items()} == {
        "read": (4, 0), event_log.TOO_SMALL: (-1, 0), event_log.CONFLICT: (-1, 1), OUTSIDE: (-1, 0),
        "kept": (1, 0),
    }  # fmt: skip
    # What a cell of an earlier version does not tell has a line of its own.
    log.add(event_log.READ, rows[:1], np.array([9000.0]))
    assert ROUNDING in [one["step"] for one in bookkeeping(steps_of(log.table()), {})]


def test_3_15_buffers_add_and_rows_of_one_object_count_once() -> None:
    cell = Cell(11, 125)
    x, y = cell.bounds[0] + 20_000, cell.bounds[1] + 20_000
    halves = [shapely.box(x, y, x + 100, y + 60), shapely.box(x, y + 40, x + 100, y + 100)]
    # One that is buffered, and reaches beyond the cell.
    road = shapely.box(cell.bounds[0] - 50, y, cell.bounds[0] + 50, y + 100)
    frame = geopandas.GeoDataFrame(
        {
            "source_id": ["a", "a", "b"], "code": 11, "year": 2018, "rule": "r", "side": "",
            "operation": ["none", "none", "buffer"], "metres": [0.0, 0.0, 10.0], "area_ha": 1.0,
        },
        geometry=[*halves, road],
        crs=2154,
    )  # fmt: skip
    work = Work(cell, Preparation(2154, 0.0), cell.box)
    table = clip(prepare([Delivery("s", 0, frame)], work).assign(stratum="all"), cell)
    kept = table.assign(reason=event_log.KEPT, area_m2=table.area, x=0.0, y=0.0)
    events = merged([work.log.table(), kept.drop(columns="geometry")])
    lines = {one["step"]: one for one in bookkeeping(steps_of(events), work.grown)}
    assert ROUNDING not in lines
    assert lines[event_log.DUPLICATE]["hectares"] == pytest.approx(-0.2)
    assert (lines[event_log.DUPLICATE]["polygons"], lines[event_log.DUPLICATE]["in_part"]) == (0, 1)
    assert lines["read"]["hectares"] == pytest.approx(1.7)
    assert lines[event_log.ADDED]["hectares"] == pytest.approx(0.2 + np.pi / 200, rel=0.05)
    assert lines["kept"]["polygons"] == 2


def test_3_5_classes_that_a_past_year_teaches_are_not_called_absent() -> None:
    nomenclature = load_nomenclature("oso17")
    seen = EventCounts.of(_read([31, 211]))
    said = []
    for past in ((), (2016, 2017)):
        problems = Problems()
        warn_of_absent(seen, nomenclature, Seasons(2018, past), problems)
        (warning,) = problems.warnings
        assert warning.code == "W-CLASS-NO-POLYGON"
        assert "12 winter crops" in warning.message
        said.append(warning.message)
    assert "absent from the map" in said[0]
    assert "absent" not in said[1]
    assert "of 2018, mapped only if labels of 2016, 2017 have them" in said[1]
    problems = Problems()
    warn_of_absent(
        EventCounts.of(_read(nomenclature.codes)), nomenclature, Seasons(2018, ()), problems
    )
    assert not problems.warnings


def _read(codes: Any) -> pd.DataFrame:
    log = EventLog()
    rows = pd.DataFrame({"polygon_id": range(len(codes)), "code": codes, "source": "a"})
    log.add(event_log.READ, rows.assign(source_id="x", rule=""), np.ones(len(codes)))
    return log.table()
