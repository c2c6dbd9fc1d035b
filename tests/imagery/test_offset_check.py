"""Offsets that pixels contradict stop the inventory, and are looked for only where it matters."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from support.inventories import Context, make_config, run
from support.muscate_factory import Muscate

from oso_pipeline.imagery import offset_check
from oso_pipeline.imagery.stage import STAGE
from oso_pipeline.tasks.worker import do


def write(folder: Path, blue: float, scale: str = "1000") -> None:
    """Write twelve products; every second one has another scale and this blue."""
    for number in range(12):
        day = date(2018, 4, 1) + timedelta(days=5 * number)
        name = f"SENTINEL2A_{day:%Y%m%d}-105435-457_L2A_T31TCJ_C_V2-2"
        if number % 2:
            units = float(scale)
            values = {"B2": blue * units, "B4": (blue + 0.02) * units}
            Muscate(name, scale=scale, values=values).write(folder)
        else:
            Muscate(name, values={"B2": 500, "B4": 700}).write(folder)


@pytest.mark.parametrize(("blue", "said"), [(0.15, "missing"), (-0.05, "applied twice")])
def test_a_group_that_is_moved_stops_the_inventory(tmp_path: Path, blue: float, said: str) -> None:
    write(tmp_path / "images", blue)
    (task,) = STAGE.plan(Context(make_config(tmp_path)))
    result = do(task)
    assert result.status == "failed"
    error = str(result.error)
    assert "E-IMAGE-OFFSET" in error
    assert "6 products of one kind (baseline unknown, scale 0.001, offset 0) are 0.1" in error
    assert said in error
    assert "SENTINEL2A_20180406" in error
    assert "SENTINEL2A_20180401" not in error


def test_groups_that_agree_are_used(tmp_path: Path) -> None:
    write(tmp_path / "images", 0.06)
    assert len(run(make_config(tmp_path))[0].acquisitions) == 12


def test_no_pixel_is_read_where_all_products_are_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "images", 0.15, scale="10000")
    monkeypatch.setattr(offset_check, "clear_medians", None)
    assert len(run(make_config(tmp_path))[0].acquisitions) == 12
