"""Memory and time of a task are declared, looked at beforehand, and enforced."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support import TESTS
from support.limit_tasks import HangJob
from support.minimal_config import minimal_config

from oso_pipeline.core.errors import ConfigError, ExitCode
from oso_pipeline.runtime.executors import LocalExecutor
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.runner import Selection, run
from oso_pipeline.tasks.job import Job, ReadingJob
from oso_pipeline.tasks.memory_guard import FOLDER, Mark, retry_given_up
from oso_pipeline.tasks.stage import StageBase
from oso_pipeline.tasks.task import Cost, Task
from oso_pipeline.tasks.worker import do


def task_of(folder: Path, function: str, job: Job | None = None, name: str = "31TCJ/r0") -> Task:
    outputs = (f"{name}.bin",)
    return Task("predict", name, f"support.limit_tasks:{function}", folder, outputs, job or Job())


def reading(memory_bytes: float) -> ReadingJob:
    return ReadingJob(memory_bytes=memory_bytes)


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS), prepend=os.pathsep)


class TestDeclared:
    """Before anything starts."""

    class Greedy(StageBase):
        name = "predict"
        memory_hint = "or draw fewer pixels"

        def plan(self, context) -> list[Task]:
            small = task_of(context.run_dir, "no_memory", name="small")
            large = replace(small, name="31TCJ/large", cost=Cost(memory_bytes=2_340_000_000))
            return [
                small,
                large,
                replace(large, name="31TCJ/huge", cost=Cost(memory_bytes=3 * 10**9)),
            ]

    def test_a_task_larger_than_a_worker_is_refused_before_the_run(self, tmp_path: Path) -> None:
        planner = Planner(minimal_config(tmp_path / "run"), [self.Greedy()])
        with pytest.raises(ConfigError) as refused:
            run(planner, LocalExecutor(1, 10), [], Selection())
        said = str(refused.value)
        for word in ("E-RUN-MEMORY", "predict 31TCJ/huge", "3.0 GB", "1 more", "1.5"):
            assert word in said
        assert "set runtime.memory_per_worker_gb to 3.0" in said
        assert "draw fewer pixels" in said

    def test_a_worker_that_is_large_enough_may_begin(self, tmp_path: Path) -> None:
        config = minimal_config(tmp_path / "run", runtime={"memory_per_worker_gb": 3.5})
        outcome = run(Planner(config, [self.Greedy()]), _Nobody(), [], Selection())
        assert outcome.failures == []


class _Nobody:
    """An executor that does nothing."""

    def __enter__(self):
        return self

    def __exit__(self, *error: object) -> None: ...

    def run(self, tasks, run_id):
        return iter(())


class TestMark:
    """What a task leaves that was killed for its memory."""

    LIMIT = 600e6

    def killed(self, task: Task) -> None:
        """Let a process do the task until it notes that memory gets short, and kill it."""
        code = (
            "import pickle, sys; from oso_pipeline.tasks.worker import do\n"
            f"do(pickle.loads({pickle.dumps(task)!r}), {self.LIMIT})"
        )
        before = {path: path.read_text() for path in self.marks(task.run_dir)}
        with subprocess.Popen([sys.executable, "-c", code], cwd=TESTS) as process:
            while {path: path.read_text() for path in self.marks(task.run_dir)} == before:
                assert process.poll() is None, "the process ended by itself"
                time.sleep(0.05)
            process.send_signal(signal.SIGKILL)

    @staticmethod
    def marks(run_dir: Path) -> list[Path]:
        return sorted((run_dir / FOLDER).glob("*.json"))

    @pytest.mark.fault(
        row=11,
        injected="a task that is killed for its memory again and again",
        outcome="repeated with less memory, then fails; memory, task, limit and setting are named",
    )
    def test_comes_back_with_less_and_then_fails_by_name(self, tmp_path: Path) -> None:
        task = task_of(tmp_path, "fill_all_memory", reading(600e6))
        self.killed(task)
        assert Mark.read(self.marks(tmp_path)[0]).deaths == 1
        self.killed(task)
        assert Mark.read(self.marks(tmp_path)[0]).deaths == 2
        failed = do(task, self.LIMIT)
        assert (failed.status, failed.exit_code) == ("failed", ExitCode.ENVIRONMENT)
        for word in ("predict 31TCJ/r0", "0.60 GB", "memory", "memory_per_worker_gb", "workers"):
            assert word in failed.error
        # The next run tries once more, with little memory; a larger worker as if nothing had been.
        retry_given_up(tmp_path)
        fits = replace(task, function="support.limit_tasks:fill_memory", job=reading(300e6))
        assert do(fits, self.LIMIT).summary == {"held": 7}
        assert self.marks(tmp_path) == []

    def test_a_larger_worker_begins_again(self, tmp_path: Path) -> None:
        task = task_of(tmp_path, "fill_memory", reading(100e6))
        path = tmp_path / FOLDER / f"{task.key}.json"
        Mark(10, 500, 2).write(path)
        assert do(task, 1000e6).summary == {"held": 5}

    def test_a_mark_cut_in_two_is_none(self, tmp_path: Path) -> None:
        task = task_of(tmp_path, "fill_memory", reading(100e6))
        path = tmp_path / FOLDER / f"{task.key}.json"
        path.parent.mkdir(parents=True)
        path.write_text('{"used_bytes": 5')
        assert do(task, 1000e6).status == "done"

    def test_memory_that_the_system_refuses_is_reported_by_name(self, tmp_path: Path) -> None:
        failed = do(task_of(tmp_path, "no_memory"), 1e9)
        assert failed.exit_code == ExitCode.ENVIRONMENT
        assert "predict 31TCJ/r0 needs more memory than its worker of 1.00 GB has" in failed.error


@pytest.mark.usefixtures("importable")
class TestEnforced:
    """On workers that are killed when they use more than they may."""

    @pytest.mark.slow
    @pytest.mark.fault(
        row=11,
        injected="a task that takes more memory than its worker may",
        outcome="killed; repeated once with smaller pieces; done",
    )
    def test_a_killed_task_comes_back_with_smaller_pieces(self, tmp_path: Path) -> None:
        task = task_of(tmp_path, "fill_memory", reading(800e6))
        greedy = task_of(tmp_path, "fill_all_memory", reading(800e6), "31TCJ/r1")
        with LocalExecutor(2, 60, memory_bytes=700e6) as executor:
            results = {result.name: result for result in executor.run([task, greedy], "run")}
        assert results[task.name].summary == {"held": 20}, "half of what was allowed"
        assert "2 workers died over it" in results[greedy.name].error
        assert "set `runtime.memory_per_worker_gb` higher" in results[greedy.name].error
        assert not list((tmp_path / FOLDER).glob(f"{task.key}*"))

    @pytest.mark.slow
    @pytest.mark.fault(
        row=9,
        injected="a task past its deadline",
        outcome="killed with its worker, tried once more elsewhere, then named",
    )
    def test_a_task_past_its_deadline_is_killed_and_tried_once_more(self, tmp_path: Path) -> None:
        # One that hangs again is reported: test_runner.
        task = task_of(tmp_path, "hang_once", HangJob(hangs=1, tries=tmp_path / "tries"))
        with LocalExecutor(1, 3) as executor:
            (result,) = executor.run([task], "run")
        assert result.status == "done"
        assert (tmp_path / "tries").read_text() == "xx"
