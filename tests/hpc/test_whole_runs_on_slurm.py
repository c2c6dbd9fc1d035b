"""Maps made by jobs of a real Slurm are those made on this machine, whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pipeline_tools import digests, write_config
from slurm import Slurm, wait_until

from oso_pipeline.runtime.executors.tls import make_keys

pytestmark = [pytest.mark.hpc, pytest.mark.timeout(300)]
ROOT = Path(__file__).resolve().parents[2]


def pilot(folder: Path, **changes: object) -> str:
    """Return the option for two jobs that talk by TLS."""
    if not (folder / "keys").exists():
        make_keys(folder / "keys")
    cluster = {"kind": "pilot", "system": "slurm", "host": "127.0.0.1", "jobs": 2}
    return f"runtime.cluster={json.dumps({**cluster, 'tls': str(folder / 'keys'), **changes})}"


def start(config: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "oso_pipeline.cli", "run", str(config), *options]
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )


def finish(config: Path, *options: str) -> str:
    process = start(config, *options)
    output, _ = process.communicate(timeout=250)
    assert process.returncode == 0, output
    return output


@pytest.fixture(scope="module")
def expected(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the digests of the maps of a run in one process."""
    folder = tmp_path_factory.mktemp("here")
    finish(write_config(folder, small_world))
    return digests(folder / "run")


def test_killed_driver_leaves_no_job_and_the_same_command_ends_in_the_same_map(
    slurm: Slurm, small_world: Path, tmp_path: Path, expected: dict[str, str]
) -> None:
    folder = tmp_path / "l'été à venir"
    config = write_config(folder, small_world)
    options = ["--set", pilot(folder), "--set", "runtime.block_pixels=2048"]
    process = start(config, *options)
    blocks = folder / "run" / "blocks"
    wait_until(lambda: [*blocks.glob("*/*.tif.json")], 120, slurm.logs)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert slurm.jobs(), "nobody was there to cancel them"
    wait_until(lambda: not slurm.jobs(), 60, slurm.logs)
    assert not (folder / "run" / "maps").exists()
    done = {path: path.stat().st_mtime_ns for path in blocks.glob("*/*.tif.json")}
    finish(config, *options)
    assert digests(folder / "run") == expected
    assert done == {path: path.stat().st_mtime_ns for path in done}, "what was done is kept"
    logs = "".join(log.read_text() for log in (folder / "run" / "jobs").iterdir())
    assert "tls://" in logs
    assert "PRIVATE KEY" not in logs


def test_terminated_driver_cancels_its_jobs(
    slurm: Slurm, small_world: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, small_world)
    process = start(config, "--set", pilot(tmp_path))
    wait_until(lambda: slurm.jobs("RUNNING"), 120, slurm.logs)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143, output
    assert "run the same command again" in output
    wait_until(lambda: not slurm.jobs(), 20, slurm.logs)
    assert not (tmp_path / "run" / "run.lock").exists()
