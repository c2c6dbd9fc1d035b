"""Maps with the images of up to a day, and what a later map takes over from them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import rasterio
from pipeline_tools import digests, write_config
from test_whole_runs import oso

pytestmark = pytest.mark.slow
DAY = "2018-06-30"
MADE = ("samples/*.parquet", "models/*/*/*", "blocks/*/*.tif", "validation/*")


def up_to(world: Path, folder: Path) -> Path:
    """Return a copy of a world without the products after `DAY`."""
    shutil.copytree(world, folder)
    for product in (folder / "products").rglob("SENTINEL*_L2A_T*_V?-?*"):
        if product.name[11:19] > DAY.replace("-", "") and product.exists():
            shutil.rmtree(product) if product.is_dir() else product.unlink()
    return folder


def test_a_map_as_of_a_day_is_that_of_a_world_that_ends_then(
    small_world: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path / "whole", small_world)
    shown = oso("run", config, "--set", f"imagery.as_of={DAY}")
    assert f"map, with images up to {DAY}: " in shown
    cut = write_config(tmp_path / "cut", up_to(small_world, tmp_path / "world"))
    oso("run", cut)
    for pattern in MADE:
        made = digests(tmp_path / "whole" / "run", pattern)
        assert made == digests(tmp_path / "cut" / "run", pattern) != {}
    with rasterio.open(tmp_path / "whole" / "run" / "maps" / "OCS_2018.tif") as source:
        assert source.tags()["OSO_AS_OF"] == DAY
    report = (tmp_path / "whole" / "run" / "report.html").read_text(encoding="utf-8")
    assert f"Land cover 2018, images up to {DAY}" in report
    assert "acquired_later" in report
    with rasterio.open(tmp_path / "cut" / "run" / "maps" / "OCS_2018.tif") as source:
        assert "OSO_AS_OF" not in source.tags()
