"""Workers in jobs of a real Slurm: what happens to a job must not happen to the run."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from support import PYTHONPATH
from support.minimal_config import minimal_config
from support.napping import Naps
from support.slurm import Slurm, wait_until

from oso_pipeline.config import Config
from oso_pipeline.core.errors import EnvironmentFailure
from oso_pipeline.runtime.executors import executor_of
from oso_pipeline.runtime.executors.pilot import PilotExecutor
from oso_pipeline.runtime.outcome import Outcome
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.runner import Selection, run

pytestmark = [pytest.mark.hpc, pytest.mark.timeout(600)]
PILOT = {"kind": "pilot", "system": "slurm", "host": "127.0.0.1"}


def config_of(folder: Path, **cluster: object) -> Config:
    runtime = {"cluster": {**PILOT, **cluster}, "memory_per_worker_gb": 0.5}
    return minimal_config(folder / "run", runtime=runtime)


@pytest.fixture(autouse=True)
def workers_find_the_stage(monkeypatch: pytest.MonkeyPatch, slurm: Slurm) -> None:
    paths = [PYTHONPATH, os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setattr(PilotExecutor, "CHECK_EVERY_S", 2.0)


def run_naps(naps: Naps, config: Config) -> Outcome:
    return run(Planner(config, [naps]), executor_of(config), [], Selection())


class Meanwhile(threading.Thread):
    """Something that happens to the jobs while the run waits for them."""

    def __init__(self, deed) -> None:
        super().__init__(daemon=True)
        self._deed = deed
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._deed()
        except Exception as error:  # noqa: BLE001 - shown by the test
            self.error = error

    def ended_well(self) -> bool:
        self.join(120)
        if self.error is not None:
            raise self.error
        return not self.is_alive()


def test_cancelled_job_is_replaced_and_its_task_done_again(slurm: Slurm, tmp_path: Path) -> None:
    naps = Naps(24, 1.0, tmp_path / "notes")
    before = signal.getsignal(signal.SIGINT)

    def cancel() -> None:
        wait_until(lambda: len(naps.begun()) >= 4, 120, slurm.logs)
        slurm.call("scancel", naps.begun()[0])

    meanwhile = Meanwhile(cancel)
    outcome = run_naps(naps, config_of(tmp_path, jobs=2))
    assert meanwhile.ended_well()
    assert (outcome.done, outcome.failures) == (24, [])
    assert len(set(naps.begun())) == 3, "two jobs, and one in place of the cancelled"
    assert signal.getsignal(signal.SIGINT) is before, "Ctrl-C still is ours"
    wait_until(lambda: not slurm.jobs(), 20)


def test_job_at_its_walltime_is_replaced_and_the_run_goes_on(slurm: Slurm, tmp_path: Path) -> None:
    naps = Naps(200, 2.0, tmp_path / "notes")

    def shorten() -> None:
        wait_until(naps.begun, 120, slurm.logs)
        (job,) = slurm.jobs()
        slurm.call("scontrol", "update", f"jobid={job}", "timelimit=1")
        wait_until(lambda: len(set(naps.begun())) == 2, 300, slurm.logs)
        naps.enough()

    meanwhile = Meanwhile(shorten)
    outcome = run_naps(naps, config_of(tmp_path, jobs=1, workers_per_job=2))
    assert meanwhile.ended_well()
    assert (outcome.done, outcome.failures) == (200, [])
    first = min(naps.begun(), key=int)
    assert "JobState=TIMEOUT" in slurm.call("scontrol", "show", "job", first)


def test_workers_end_by_themselves_before_the_walltime(slurm: Slurm, tmp_path: Path) -> None:
    naps = Naps(100, 1.0, tmp_path / "notes")

    def wait_for_the_next() -> None:
        wait_until(lambda: len(set(naps.begun())) == 2, 180, slurm.logs)
        naps.enough()

    meanwhile = Meanwhile(wait_for_the_next)
    outcome = run_naps(naps, config_of(tmp_path, walltime="00:00:36", margin_min=0.25))
    assert meanwhile.ended_well()
    assert (outcome.done, outcome.failures) == (100, [])
    first = min(naps.begun(), key=int)
    assert "JobState=COMPLETED" in slurm.call("scontrol", "show", "job", first)


def test_drained_and_lost_node_is_survived(slurm: Slurm, tmp_path: Path) -> None:
    naps = Naps(100, 1.0, tmp_path / "notes")

    def lose_a_node() -> None:
        wait_until(lambda: len(set(naps.begun())) == 2, 120, slurm.logs)
        before = slurm.jobs("RUNNING")
        node = slurm.node_of(min(before, key=int))
        slurm.call("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
        assert set(slurm.jobs("RUNNING")) == set(before), "what runs on a drained node goes on"
        slurm.call("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
        wait_until(lambda: len(set(slurm.jobs("RUNNING")) - set(before)) >= 1, 120, slurm.logs)
        after = slurm.jobs("RUNNING")
        assert node not in {slurm.node_of(job) for job in after}
        wait_until(lambda: set(naps.begun()) - set(before), 120, slurm.logs)
        slurm.call("scontrol", "update", f"nodename={node}", "state=resume")
        naps.enough()

    meanwhile = Meanwhile(lose_a_node)
    outcome = run_naps(naps, config_of(tmp_path, jobs=2))
    assert meanwhile.ended_well()
    assert (outcome.done, outcome.failures) == (100, [])


def test_queue_that_gives_no_worker_ends_the_run_and_says_why(slurm: Slurm, tmp_path: Path) -> None:
    naps = Naps(2, 0.1, tmp_path / "notes")
    config = config_of(tmp_path, directives=["--hold"], no_workers_timeout_min=0.1)
    with pytest.raises(EnvironmentFailure, match=r"PENDING \(JobHeldUser") as caught:
        run_naps(naps, config)
    assert caught.value.exit_code == 6
    wait_until(lambda: not slurm.jobs(), 20)


def test_jobs_that_are_refused_end_the_run_and_say_why(slurm: Slurm, tmp_path: Path) -> None:
    naps = Naps(2, 0.1, tmp_path / "notes")
    with pytest.raises(EnvironmentFailure, match="invalid partition"):
        run_naps(naps, config_of(tmp_path, queue="nowhere"))
