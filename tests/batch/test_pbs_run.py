"""The chain of arrays end to end, under a PBS that is a fake but runs what it is given."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.fake_pbs import FakePbs
from support.pipeline_tools import digests, write_config

ROOT = Path(__file__).parents[2]
QUICK = "label_check: {enabled: false}\n"


def oso(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "oso_pipeline.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def write_site(folder: Path, **changes: object) -> Path:
    content = {"system": "pbs", "jobs": 2, "cores": 1, "memory_per_worker_gb": 1.5, **changes}
    lines = [f"{key}: {value}" for key, value in content.items()]
    path = folder / "site.yaml"
    # A real PBS hands no variable on, so the tree that is tested must be named.
    path.write_text("\n".join([*lines, f"environment: {{PYTHONPATH: '{ROOT}'}}"]))
    return path


@pytest.mark.slow
def test_print_script_writes_and_submits_nothing(small_world: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, small_world)
    shown = oso("submit", config, "--site", write_site(tmp_path), "--print-script")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("#!/bin/bash") == 5, "the map is one cell: no array"
    assert "qsub -W depend=afterok:<until-draw>" in shown.stdout
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_arrays_of_pbs_make_the_same_map(small_world: Path, tmp_path: Path) -> None:
    alone = write_config(tmp_path / "alone", small_world, QUICK)
    assert oso("run", alone).returncode == 0
    folder = tmp_path / "été d'essai 1"
    config = write_config(folder, small_world, QUICK)
    pbs = FakePbs(tmp_path / "pbs")
    said = oso("submit", config, "--site", write_site(folder), env=pbs.environment())
    assert said.returncode == 0, said.stderr
    history = pbs.drain()
    logs = "\n".join(p.read_text() for p in (folder / "run" / "batch" / "logs").glob("*.OU"))
    assert [codes for _, codes in history] == [[0], [0, 0], [0], [0, 0], [0]], logs
    assert digests(folder / "run") == digests(tmp_path / "alone" / "run")
    assert not list((folder / "run").rglob("*.lock"))


@pytest.mark.slow
def test_bad_input_ends_the_chain_and_no_job_waits_for_ever(
    small_world: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, small_world, QUICK)
    pbs = FakePbs(tmp_path / "pbs")
    site = write_site(tmp_path)
    assert oso("submit", config, "--site", site, env=pbs.environment()).returncode == 0
    written = tmp_path / "run" / "batch" / "config.yaml"
    written.write_text(written.read_text().replace("field: code", "field: kode"))
    codes = [codes for _, codes in pbs.drain()]
    assert codes == [[4], *["deleted"] * 4]


@pytest.mark.slow
def test_a_driver_that_runs_out_of_time_begins_the_chain_again(
    small_world: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, small_world, QUICK)
    pbs = FakePbs(tmp_path / "pbs")
    site = write_site(tmp_path)
    assert oso("submit", config, "--site", site, env=pbs.environment()).returncode == 0
    # The first job of all has no time at all: it is told to stop as soon as it listens.
    spooled = pbs.spool / "0001.json"
    told = spooled.read_text().replace("SECONDS < 14100 ? 14100 - SECONDS : 1", "6")
    assert told != spooled.read_text()
    spooled.write_text(told)
    history = pbs.drain()
    assert history[0] in (("until-draw", [75]), ("until-draw", [0]))
    if history[0][1] == [75]:
        assert [codes for _, codes in history[1:5]] == ["deleted"] * 4
        assert [codes for _, codes in history[5:]] == [[0], [0, 0], [0], [0, 0], [0]]
    assert list((tmp_path / "run" / "maps").glob("*.tif"))
    assert os.environ.get("FAKE_PBS") is None
