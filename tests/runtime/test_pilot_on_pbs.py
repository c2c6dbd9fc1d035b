"""Pilot jobs of PBS, with stand-ins for qsub, qstat and qdel that really run the jobs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support import PYTHONPATH
from support.toy_world import World

from oso_pipeline.config import Config
from oso_pipeline.config.cluster import PilotCluster
from oso_pipeline.core.errors import EnvironmentFailure
from oso_pipeline.runtime.executors import executor_of, pilot, queues

QSUB = """#!/bin/bash
# Takes a script, runs it in a session of its own and prints its number, as qsub(1B).
number=$(($(ls "$PBS_FAKE" | grep -c 'sh$') + 100))
cp "$1" "$PBS_FAKE/$number.sh"
PBS_JOBID=$number.server setsid bash "$PBS_FAKE/$number.sh" >"$PBS_FAKE/$number.log" 2>&1 &
echo $! >"$PBS_FAKE/$number.pid"
echo "$number.server"
"""
QSTAT = """#!/bin/bash
# Lists jobs as qstat(1B) -u does.
printf '\\nserver:\\n%s\\n%s\\n' 'Job ID  Username Queue ...' '------- -------- ----- ...'
for pid in "$PBS_FAKE"/*.pid; do
  status=/proc/$(cat "$pid")/status
  [ -e "$status" ] && ! grep -q '^State:.Z' "$status" || continue
  echo "$(basename "$pid" .pid).server me workq oso-worker 123 1 1 1gb 02:00 R 00:01"
done
"""
QDEL = """#!/bin/bash
kill -KILL -- "-$(cat "$PBS_FAKE/$1.pid")"
"""
CLUSTER = {"kind": "pilot", "system": "pbs", "host": "127.0.0.1", "queue": "workq", "account": "me"}


@pytest.fixture
def pbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder where the stand-ins keep scripts, output and process numbers of jobs."""
    folder, programs = tmp_path / "pbs", tmp_path / "bin"
    folder.mkdir()
    programs.mkdir()
    for name, text in (("qsub", QSUB), ("qstat", QSTAT), ("qdel", QDEL)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o700)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("PBS_FAKE", str(folder))
    monkeypatch.setattr(pilot.PilotExecutor, "CHECK_EVERY_S", 1.0)
    return folder


@pytest.mark.slow
def test_jobs_of_pbs_do_the_work_and_a_lost_one_is_replaced(pbs: Path, tmp_path: Path) -> None:
    world = World(tmp_path)
    runtime = {
        "memory_per_worker_gb": 0.5,
        "cluster": {
            **CLUSTER,
            "prologue": [f"export PYTHONPATH={PYTHONPATH}"],
            "walltime": "04:00:00",
        },
    }
    (world.trouble / "kill-job-2").touch()
    config: Config = world.planner(runtime=runtime).config
    outcome = world.run(executor_of(config), runtime=runtime)
    assert (outcome.done, outcome.failures) == (5, [])
    assert world.total() == 20
    scripts = sorted(pbs.glob("*.sh"))
    assert len(scripts) == 2, "the job, and another in its place"
    directives = [line for line in scripts[0].read_text().splitlines() if line.startswith("#PBS")]
    assert directives == [
        "#PBS -N oso-worker",
        "#PBS -q workq",
        "#PBS -A me",
        "#PBS -l select=1:ncpus=1:mem=768mb",
        "#PBS -l walltime=04:00:00",
        "#PBS -j oe",
        f"#PBS -o {world.run_dir}/jobs/",
        "#PBS -r n",
    ]
    assert queues.QUEUES["pbs"].alive() == set(), "cancelled at the end"


def test_machine_without_the_commands_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    runtime = {"cluster": CLUSTER}
    with pytest.raises(EnvironmentFailure, match="no command qsub"):
        world.run(executor_of(world.planner(runtime=runtime).config), runtime=runtime)


def test_workers_end_before_their_job() -> None:
    cluster = PilotCluster(**{**CLUSTER, "walltime": "02:00:00", "margin_min": 6})
    words = " ".join(pilot.lifetime_arguments(cluster)).replace("s", "").split()
    lifetime, stagger = int(words[1]), int(words[3])
    assert stagger > 0
    assert lifetime + stagger == 2 * 3600 - 6 * 60, "the last to end"
    assert lifetime - stagger >= 2 * 3600 - 2 * 6 * 60, "the first to end"


def test_scripts_hold_paths_of_keys_only(tmp_path: Path) -> None:
    cluster = PilotCluster(**{**CLUSTER, "host": None, "tls": tmp_path / "l'été"})
    lines = pilot.prologue(cluster)
    assert any("CA_FILE" in line and "ca.pem" in line for line in lines)
    assert "export DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION=True" in lines
