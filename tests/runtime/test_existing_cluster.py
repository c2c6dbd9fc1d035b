"""Workers of a scheduler that somebody else started, in processes of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support import PYTHONPATH
from support.key_search import files_with_keys
from support.toy_world import World

from oso_pipeline.config.cluster import ExistingCluster
from oso_pipeline.config.site import Site
from oso_pipeline.core.errors import EnvironmentFailure
from oso_pipeline.runtime import batch
from oso_pipeline.runtime.executors import executor_of, existing, packed_task
from oso_pipeline.runtime.executors.existing import ExistingExecutor
from oso_pipeline.runtime.executors.tls import make_keys, worker_variables
from oso_pipeline.runtime.folder.log_file import LogFile
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.runner import Selection, run


class Cluster:
    """A dask scheduler with TLS and workers, started as an operator starts them."""

    def __init__(self, folder: Path) -> None:
        self.keys = folder / "keys"
        make_keys(self.keys)
        self.log = folder / "scheduler.log"
        self.processes: list[subprocess.Popen[bytes]] = []
        scheduler = {
            name.replace("__WORKER__", "__SCHEDULER__"): value
            for name, value in worker_variables(self.keys).items()
        }
        options = ["--protocol", "tls", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        with self.log.open("wb") as stream:
            self._start("scheduler", options, scheduler, stream)
        while (found := re.search(r"tls://[\d.]+:\d+", self.log.read_text())) is None:
            time.sleep(0.1)
        self.address = found[0]

    def work(self, threads: int = 1) -> None:
        options = [self.address, "--nworkers", "2", "--nthreads", str(threads), "--no-dashboard"]
        self._start("worker", options, worker_variables(self.keys), None)

    def executor(self, no_workers_timeout_min: float = 5) -> ExistingExecutor:
        cluster = ExistingCluster(
            kind="existing",
            address=self.address,
            tls=self.keys,
            no_workers_timeout_min=no_workers_timeout_min,
        )
        return ExistingExecutor(cluster, deadline_s=60)

    def _start(self, what: str, options: list[str], variables: dict[str, str], stream) -> None:
        paths = os.pathsep.join([PYTHONPATH, os.environ.get("PYTHONPATH", "")])
        self.processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "dask", what, *options],
                env={**os.environ, **variables, "PYTHONPATH": paths},
                stdout=stream or subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        )

    def stop(self) -> None:
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # a worker's nanny ends slowly
            process.wait(30)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.stop()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_work_is_done_by_encrypted_workers_that_stay(world: World, cluster: Cluster) -> None:
    cluster.work()
    for values in ([1, 2, 3], [1, 2, 3, 4]):
        world.values = values
        assert not world.run(cluster.executor()).failures
        assert world.total() == 2 * sum(values)
    assert all(process.poll() is None for process in cluster.processes)


def test_no_file_of_an_encrypted_run_tells_the_key(world: World, cluster: Cluster) -> None:
    cluster.work()
    (world.trouble / "bug-3").touch()
    who = {"kind": "existing", "address": cluster.address, "tls": str(cluster.keys)}
    runtime = {"cluster": who}
    planner = world.planner(runtime=runtime)
    log = LogFile(world.run_dir)
    outcome = run(planner, executor_of(planner.config), [log], Selection())
    assert (outcome.done, len(outcome.failures)) == (3, 1)
    # What a pilot at a batch system leaves there as well: configuration, site, scripts.
    site = Site(system="slurm", mode="pilot", tls=cluster.keys)
    batch.Submission.of(
        Planner(batch.fitted(planner.config, site), planner.stages), site, 0
    ).write()
    told = [path for path in world.run_dir.rglob("*.yaml") if "keys" in path.read_text()]
    assert {path.name for path in told} == {"config.yaml", "site.yaml"}, "the path, not the key"
    assert log.path.read_text().count("task_ended") == 4
    assert files_with_keys(cluster.keys, world.run_dir) == []
    (world.run_dir / "leak.log").write_bytes((cluster.keys / "key.pem").read_bytes())
    assert files_with_keys(cluster.keys, world.run_dir), "it would be found"


@pytest.mark.slow
@pytest.mark.fault(
    row=5,
    injected="SIGKILL of a scheduler in a process of its own while tasks are in flight",
    outcome="the run ends with exit code 6 and a message; the same command continues",
)
def test_killed_scheduler_ends_the_run_with_a_message(
    world: World, cluster: Cluster, tmp_path: Path
) -> None:
    cluster.work()
    (world.trouble / "hang-3").touch()

    def kill() -> None:
        while not (world.run_dir / "numbers" / "4.txt.json").exists():
            time.sleep(0.1)
        cluster.processes[0].kill()

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    with pytest.raises(EnvironmentFailure, match=r"scheduler at tls://.* is lost") as caught:
        world.run(cluster.executor())
    killed = time.monotonic()
    assert caught.value.exit_code == 6
    assert "run the same command again" in str(caught.value)
    thread.join(1)
    (world.trouble / "hang-3").unlink()
    outcome = world.run()
    assert (outcome.up_to_date, world.total()) == (3, 20)
    assert time.monotonic() - killed < 60


def test_scheduler_that_is_not_there(
    world: World, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = cluster.executor()
    monkeypatch.setattr(existing, "CONNECT_S", 2)
    cluster.stop()
    with pytest.raises(EnvironmentFailure, match="no dask scheduler answers at tls://"):
        world.run(executor)


@pytest.mark.slow
def test_unfit_workers_are_refused(
    world: World, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.work(threads=2)
    outcome = world.run(cluster.executor())
    assert {failure.exit_code for failure in outcome.failures} == {6}
    assert "--nthreads 1" in (outcome.failures[0].error or "")
    monkeypatch.setattr(packed_task, "__version__", "0.0.1")
    outcome = world.run(cluster.executor())
    assert "was planned by version 0.0.1" in (outcome.failures[0].error or "")
    assert not (world.run_dir / "numbers").exists()


@pytest.mark.slow
def test_scheduler_without_workers_ends_the_run(world: World, cluster: Cluster) -> None:
    with pytest.raises(EnvironmentFailure, match="has had no worker for"):
        world.run(cluster.executor(no_workers_timeout_min=0.05))
