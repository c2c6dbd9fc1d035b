"""A finished run that is asked for pictures makes these and the page, and nothing else."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

from support.report_tools import Page

import oso_pipeline as oso


def test_pictures_are_added_to_a_finished_run(small_run: Path, tmp_path: Path) -> None:
    shutil.copytree(small_run.parent / "run", tmp_path / "run", symlinks=True)
    settings = {"run_dir": tmp_path / "run", "report.quicklooks": True}
    config = oso.load_config(small_run, settings)
    plan = oso.plan(config)
    # An inventory says where its run lies, so that of a copy is made again under its key.
    others = plan.drop(["inventory", "quicklooks", "report"])
    assert (others.done == others.tasks).all(), "no key of another task depends on the pictures"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", oso.OsoWarning)
        run = oso.run(config)
    used = run.inventory[run.inventory.status == "used"]
    pictures = sorted((tmp_path / "run" / "quicklooks").rglob("*.jpg"))
    assert len(pictures) == 2 * len(used)
    months = sum(some.acquired.dt.month.nunique() for _, some in used.groupby("tile"))
    page = Page((tmp_path / "run" / "report.html").read_text(encoding="utf-8"))
    images = [one for one in page.images if (one["alt"] or "").startswith("Tile ")]
    assert len(images) == 2 * months
    assert all((one["src"] or "").startswith("data:image/jpeg") for one in images)
    assert "Clearest date of each month" in page.text
    # Of pictures that are not there, the page leaves out their day alone.
    pictures[0].with_name(f"{pictures[0].name}.json").unlink()
    assert oso.plan(config).loc["quicklooks", "done"] == len(used) - 1
