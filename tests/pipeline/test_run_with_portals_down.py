"""A run that begins with every portal down maps what is there, and says what is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.pipeline_tools import oso, write_config
from support.portal import lying_portal, season
from typer.testing import CliRunner

from oso_pipeline.cli import app

pytestmark = pytest.mark.slow
TILE = "31UCU"


def test_row_36_what_is_there_is_mapped_and_what_is_missing_is_named(
    small_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEODES_API_KEY", "key-of-the-test")
    world = shutil.copytree(small_world, tmp_path / "world")
    table = tmp_path / "portals.yaml"
    extra = (
        "label_check: {enabled: false}\n"
        f"retrieval: {{providers: [geodes], providers_file: {table}, keep_free_gb: 0, "
        "pauses_s: []}\n"
    )
    config = write_config(tmp_path, world, extra, tiles=TILE)
    limits = {"search_s": 3.0, "connect_s": 1.0, "silence_s": 1.0}
    with lying_portal(["geodes"], season(tile=TILE, number=3), limits=limits) as portal:
        portal.write_table(table)
        assert "3 products to fetch" in oso("fetch", config, "--dry-run")

    fetched = CliRunner().invoke(app, ["fetch", str(config)])
    assert fetched.exit_code == 75, fetched.output
    assert "3 products are left" in fetched.output

    checked = oso("check", config)
    assert "ledger of oso fetch: 3 products are missing" in checked
    assert "W-FETCH-MISSING" in checked
    said = oso("run", config)
    assert (tmp_path / "run" / "maps" / "OCS_2018.tif").exists()
    assert "3 not fetched" in said
    report = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "3 products are missing" in report
    assert "not_fetched" in report
    assert "SENTINEL2A_20180102-105435-457_L2A_T31UCU_C_V2-1" in report
