"""The demo on a real Slurm: its maps are those of one process, whatever happens to jobs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT
from support.key_search import files_with_keys
from support.pipeline_tools import digests
from support.slurm import Slurm, wait_until

from oso_pipeline.runtime.executors.tls import make_keys
from oso_pipeline.simulation import WorldSpec
from oso_pipeline.simulation.demo import prepare_demo

pytestmark = [pytest.mark.hpc, pytest.mark.timeout(1500)]


def start(*words: object) -> subprocess.Popen[str]:
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-m", "oso_pipeline.cli", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )


def finish(*words: object) -> str:
    process = start(*words)
    output, _ = process.communicate(timeout=900)
    assert process.returncode == 0, output
    return output


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the configuration of a demo that has run in one process."""
    folder = tmp_path_factory.mktemp("demo")
    config = folder / "demo_in_one_process.yaml"
    plain = prepare_demo(folder, spec=WorldSpec()).one_year
    # The name is part of what a map says of itself.
    config.write_text(f"extends: {plain.name}\nname: demo\nrun_dir: run\n")
    finish("run", config, "--cluster", "serial")
    return config


@pytest.fixture
def elsewhere(demo: Path, tmp_path: Path) -> Path:
    """Return a configuration that maps the same world in a folder of its own."""
    folder = tmp_path / "l'été à venir"
    folder.mkdir()
    make_keys(folder / "keys")
    (folder / "demo.yaml").write_text(f"extends: {demo}\nrun_dir: run\n")
    return folder / "demo.yaml"


def pilot(config: Path) -> list[str]:
    """Return options for two jobs that talk by TLS."""
    cluster = {"kind": "pilot", "system": "slurm", "host": "127.0.0.1", "jobs": 2}
    tls = str(config.parent / "keys")
    return ["--set", f"runtime.cluster={json.dumps({**cluster, 'tls': tls})}"]


def site(config: Path, **keys: object) -> Path:
    path = config.parent / "site.yaml"
    common = {"system": "slurm", "walltime": "00:30:00", "cores": 1, "memory_per_worker_gb": 1.5}
    path.write_text(json.dumps({**common, "jobs": 2, "notice_s": 60, **keys}))
    return path


def test_killed_driver_leaves_no_job_and_the_same_command_ends_in_the_same_map(
    slurm: Slurm, demo: Path, elsewhere: Path
) -> None:
    run = elsewhere.parent / "run"
    blocks = run / "blocks"
    process = start("run", elsewhere, *pilot(elsewhere), "--set", "runtime.block_pixels=16384")
    wait_until(lambda: [*blocks.glob("*/*.tif.json")], 600, slurm.logs)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    wait_until(lambda: not slurm.jobs(), 60, slurm.logs)
    assert not (run / "maps").exists()
    done = {path: path.stat().st_mtime_ns for path in blocks.glob("*/*.tif.json")}
    finish("run", elsewhere, *pilot(elsewhere), "--set", "runtime.block_pixels=16384")
    assert digests(run) == digests(demo.parent / "run")
    assert done == {path: path.stat().st_mtime_ns for path in done}, "what was done is kept"
    logs = "".join(log.read_text() for log in (run / "jobs").iterdir())
    assert "tls://" in logs
    assert files_with_keys(elsewhere.parent / "keys", run) == []


def test_terminated_driver_cancels_its_jobs(slurm: Slurm, elsewhere: Path) -> None:
    process = start("run", elsewhere, *pilot(elsewhere))
    wait_until(lambda: slurm.jobs("RUNNING"), 600, slurm.logs)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143, output
    assert "run the same command again" in output
    wait_until(lambda: not slurm.jobs(), 20, slurm.logs)
    assert not (elsewhere.parent / "run" / "run.lock").exists()


def test_array_makes_the_same_map_without_its_cancelled_elements(
    slurm: Slurm, demo: Path, elsewhere: Path
) -> None:
    said = finish("submit", elsewhere, "--site", site(elsewhere, mode="array"))
    (array,) = re.findall(r"(?<!-)predict: job (\d+)", said)
    slurm.call("scancel", f"{array}_1")
    wait_until(lambda: not slurm.jobs(), 900, slurm.logs)
    logs = elsewhere.parent / "run" / "batch" / "logs"
    told = "\n".join(f"{log.name}: {log.read_text()}" for log in logs.iterdir())
    assert digests(elsewhere.parent / "run") == digests(demo.parent / "run"), told
    assert not [*logs.glob("predict-*_1.log")], "the element never ran"


def test_submitted_driver_has_workers_of_its_own_on_the_network(
    slurm: Slurm, demo: Path, elsewhere: Path
) -> None:
    keys = str(elsewhere.parent / "keys")
    finish("submit", elsewhere, "--site", site(elsewhere, mode="pilot", tls=keys))
    wait_until(lambda: not slurm.jobs(), 900, slurm.logs)
    run = elsewhere.parent / "run"
    told = "\n".join(log.read_text() for log in (run / "batch" / "logs").iterdir())
    assert digests(run) == digests(demo.parent / "run"), told
    addresses = {
        found
        for log in (run / "jobs").iterdir()
        for found in re.findall(r"tls://([\d.]+):", log.read_text())
    }
    assert addresses
    assert "127.0.0.1" not in addresses
    assert files_with_keys(elsewhere.parent / "keys", run) == []
