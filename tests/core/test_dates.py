from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from oso_pipeline.core.dates import DateGrid


def test_published_grids(shared_data: Path) -> None:
    grids = json.loads((shared_data / "oracles.json").read_text(encoding="utf-8"))["date_grids"]
    for sensor in ("sentinel2", "landsat8"):
        facts = grids[sensor]
        start, end = date.fromisoformat(facts["start"]), date.fromisoformat(facts["end"])
        grid = DateGrid(start, end, facts["step_days"])
        assert len(grid) == len(grid.dates) == facts["count"]
        assert grid.dates[-1].isoformat() == facts["last"]


def test_days_run_on_through_leap_day_and_new_year() -> None:
    assert list(DateGrid(date(2020, 2, 28), date(2020, 3, 1), 1).days % 10) == [0, 1, 2]
    grid = DateGrid(date(2018, 12, 27), date(2019, 1, 16), 10)
    assert [d.isoformat() for d in grid.dates] == ["2018-12-27", "2019-01-06", "2019-01-16"]
    assert set(grid.days[1:] - grid.days[:-1]) == {10}


def test_a_grid_is_what_its_json_says() -> None:
    grid = DateGrid(date(2015, 11, 29), date(2016, 10, 15), 10)
    assert DateGrid.from_json(json.loads(json.dumps(grid.to_json()))) == grid


def test_impossible_grids() -> None:
    with pytest.raises(ValueError, match="before"):
        DateGrid(date(2018, 2, 1), date(2018, 1, 1), 10)
    with pytest.raises(ValueError, match="step_days"):
        DateGrid(date(2018, 1, 1), date(2018, 2, 1), 0)
