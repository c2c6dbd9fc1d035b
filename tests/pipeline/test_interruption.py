"""A run may be killed at any moment; the same command then ends in the same map."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.pipeline_tools import digests, write_config


def start(config: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "oso_pipeline.cli", "run", str(config), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(config: Path, *arguments: str) -> str:
    process = start(config, *arguments)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    return output


@pytest.mark.fault(
    row=6,
    injected="SIGINT and SIGTERM during a run",
    outcome="exit 130 and 143, a message how to continue, lock removed",
)
@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGINT, 130, id="SIGINT"),
        pytest.param(signal.SIGTERM, 143, id="SIGTERM", marks=pytest.mark.slow),
    ],
)
def test_signal_ends_with_its_code_and_leaves_no_lock(
    small_world: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    config = write_config(tmp_path, small_world)
    process = start(config)
    lock = tmp_path / "run" / "run.lock"
    while not lock.exists():  # the tests have a deadline of their own
        assert process.poll() is None, "ended before it began"
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(number)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == code, output
    assert "run the same command again" in output
    assert not lock.exists()


@pytest.mark.fault(
    row=4,
    injected="SIGKILL of the driver at 20 random moments",
    outcome="maps equal those of a clean run byte for byte",
)
@pytest.mark.slow
def test_killed_twenty_times_the_map_is_the_same(small_world: Path, tmp_path: Path) -> None:
    clean = write_config(tmp_path / "clean", small_world)
    started = time.monotonic()
    finish(clean)
    seconds = time.monotonic() - started
    expected = digests(tmp_path / "clean" / "run")
    draw = random.Random(0)
    dask = ["--set", "runtime.executor=local", "--workers", "2"]
    config = write_config(tmp_path / "killed", small_world)
    for attempt in range(20):
        process = start(config, *(dask if attempt % 4 == 0 else []))
        time.sleep(draw.uniform(0.5, seconds / 2))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        if attempt % 5 == 4:
            finish(config)
            assert digests(tmp_path / "killed" / "run") == expected
            # Begin again, so that later kills also meet an empty folder.
            config = write_config(tmp_path / "killed", small_world)
            (tmp_path / "killed" / "run").rename(tmp_path / f"done{attempt}")
