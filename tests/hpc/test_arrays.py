"""Job arrays on a real Slurm: `oso submit` alone makes the map, whatever becomes of its jobs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from support import ROOT
from support.pipeline_tools import digests, write_config
from support.slurm import Slurm, wait_until

from oso_pipeline.config.site import Site
from oso_pipeline.runtime.batch.chain import Link
from oso_pipeline.runtime.batch.script import JobFolder, script_of
from oso_pipeline.runtime.batch.submit import submit
from oso_pipeline.runtime.executors.tls import make_keys
from oso_pipeline.runtime.folder.holder import Holder
from oso_pipeline.runtime.folder.lock import lock_path
from oso_pipeline.runtime.shard import Shard

pytestmark = [pytest.mark.hpc, pytest.mark.timeout(1200)]
FINE = """\
label_check: {enabled: false}
map: {resolution_m: 0.2}
"""
"""So fine that the map consists of several cells."""
SITE = """\
system: slurm
jobs: 2
cores: 1
memory_per_worker_gb: 1.5
walltime: "00:30:00"
notice_s: 120
directives: [--partition=all]
"""

STUB = """#!/bin/bash
[ "${SLURM_RESTART_COUNT:-0}" -gt 0 ] || exit 75
echo "done in attempt $SLURM_RESTART_COUNT"
"""


def oso(*arguments: object) -> str:
    command = [sys.executable, "-m", "oso_pipeline.cli", *map(str, arguments)]
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_arrays_make_the_same_map_though_elements_run_out_of_time_and_are_cancelled(
    slurm: Slurm, small_world: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "l'été à venir"
    config = write_config(folder, small_world, FINE)
    run = folder / "run"
    site = folder / "site.yaml"
    site.write_text(SITE)
    told = oso("submit", config, "--site", site)
    jobs = dict(line.split(": job ") for line in told.splitlines() if ": job " in line)
    pixels, predict = (jobs[name].split(",")[0] for name in ("pixels", "predict"))

    def words() -> str:
        logs = sorted((run / "batch" / "logs").glob("*.log"))
        return slurm.logs() + "".join(f"\n{log.name}\n{log.read_text()}" for log in logs)

    # As Slurm does some minutes before the walltime: the element stops and is put back.
    first = lock_path(run, Shard(1, 2))
    wait_until(lambda: Holder.read(first), 400, words, pause_s=0.02)
    # Held until the signal is there: its only task is a matter of seconds.
    element = _process_of(first)
    element.suspend()
    slurm.call("scancel", "--signal=USR1", "--batch", f"{pixels}_1")
    time.sleep(2)
    element.resume()
    wait_until(lambda: "stopped before all was done" in words(), 60, words)
    show = ("scontrol", "show", "job", f"{pixels}_1")
    wait_until(lambda: "Restarts=1" in slurm.call(*show), 60, words)
    # Slurm waits for two minutes before it begins a job again: the credential of one that began
    # in the same seconds as the last was ended would count as revoked.
    time.sleep(5)
    slurm.call("scontrol", "update", f"JobId={pixels}_1", "StartTime=now")
    # An element that is lost: the driver behind the array does its share.
    wait_until(lambda: any(job.startswith(predict) for job in _running(slurm)), 400, words)
    slurm.call("scancel", f"{predict}_2")
    wait_until(lambda: not slurm.jobs(), 500, words)
    (log,) = (run / "batch" / "logs").glob("pixels-*_1.log")
    assert "1 task done" in log.read_text().partition("stopped before")[2], "it went on"

    parts = [*(run / "batch" / "logs").glob("cells-*.log")]
    assert len(parts) == 2, f"an array makes the cells: {words()}"
    made = digests(run)

    shutil.rmtree(run / "mosaic")
    shutil.rmtree(run / "maps")
    make_keys(folder / "keys")
    cluster = {"kind": "pilot", "system": "slurm", "host": "127.0.0.1", "jobs": 2}
    tls = {"tls": str(folder / "keys")}
    oso("run", config, "--set", f"runtime.cluster={json.dumps({**cluster, **tls})}")
    assert digests(run) == made, "pilots make the same cells"

    alone = write_config(tmp_path / "alone", small_world, FINE)
    oso("run", alone)
    assert made == digests(tmp_path / "alone" / "run"), words()
    assert "nobody is at work" not in oso("status", run)
    assert not [*run.rglob("*.lock")]


def _process_of(lock: Path) -> psutil.Process:
    """Return the process that holds a lock."""
    holder = Holder.read(lock)
    assert holder is not None
    return psutil.Process(holder.pid)


def test_bad_input_ends_the_chain_and_nothing_waits_for_ever(
    slurm: Slurm, small_world: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, small_world)
    site = tmp_path / "site.yaml"
    site.write_text(SITE)
    # What no check can know: how many polygons are left when they are prepared.
    bad = ("--set", "reference.min_polygons=1000", "--set", "reference.rare_classes=error")
    oso("submit", config, "--site", site, *bad)
    wait_until(lambda: not slurm.jobs(), 300, slurm.logs)
    assert not (tmp_path / "run" / "samples").exists()
    (log,) = (tmp_path / "run" / "batch" / "logs").glob("until-draw-*.log")
    assert "E-CLASS-RARE" in log.read_text()


def _running(slurm: Slurm) -> list[str]:
    """Return the elements that run, as ``17_2``."""
    return slurm.call("squeue", "-h", "-r", "-t", "RUNNING", "-o", "%i").split()


def test_what_waits_for_a_driver_goes_on_waiting_while_it_is_put_back(
    slurm: Slurm, tmp_path: Path
) -> None:
    stub = tmp_path / "py stub"
    stub.write_text(STUB)
    stub.chmod(0o755)
    site = Site.model_validate({"system": "slurm", "cores": 1, "python": str(stub), "restarts": 1})
    folder = JobFolder(tmp_path / "été", "requeue")
    folder.logs.mkdir(parents=True)
    links = [Link("first", ()), Link("second", ())]
    for link in links:
        folder.script(link).write_text(script_of(link, site, folder))
    for one in submit(folder, site, links):
        show = ("scontrol", "show", "job", one.job)
        wait_until(lambda show=show: "Restarts=1" in slurm.call(*show), 60, slurm.logs)
        time.sleep(5)
        slurm.call("scontrol", "update", f"JobId={one.job}", "StartTime=now")
    wait_until(lambda: not slurm.jobs(), 60, slurm.logs)
    logs = [log.read_text() for log in sorted(folder.logs.glob("*.log"))]
    assert ["done in attempt 1" in log for log in logs] == [True, True], logs
