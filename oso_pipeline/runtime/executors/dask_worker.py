"""Run tasks on a worker, if they may be run there."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from distributed import get_worker

from oso_pipeline.core.errors import EnvironmentFailure, Problem
from oso_pipeline.runtime.executors.answers import answer
from oso_pipeline.runtime.executors.packed_task import PackedTask
from oso_pipeline.tasks.task import Task, TaskResult
from oso_pipeline.tasks.worker import do


def do_here(
    packed: Sequence[PackedTask], memory_bytes: float | None, topic: str
) -> list[TaskResult]:
    """Do tasks one after the other if this worker is fit for them, and send their results.

    Parameters
    ----------
    packed
        The tasks.
    memory_bytes
        Memory limit of this worker.
    topic
        Where the results are sent; see `answers`. They are sent together at the end: until then
        the tasks may be done again on another worker, and nothing must read what they made.

    Returns
    -------
    list of TaskResult
        Failed, with the reason, where the worker is not fit.
    """
    results = [_result(one, memory_bytes) for one in packed]
    answer(topic, results)
    return results


def _result(packed: PackedTask, memory_bytes: float | None) -> TaskResult:
    try:
        task = packed.unpacked()
        _require_fit(task)
    except EnvironmentFailure as error:
        code = int(error.exit_code)
        return TaskResult(packed.stage, packed.name, "failed", error=str(error), exit_code=code)
    return do(task, memory_bytes)


def _require_fit(task: Task) -> None:
    host = socket.gethostname()
    if get_worker().state.nthreads > 1:
        raise EnvironmentFailure(
            Problem(
                "E-CLUSTER-THREADS",
                "worker has more than one thread, but a task measures and limits its whole process",
                host,
                "start workers with: dask worker --nthreads 1 --nworkers N ADDRESS",
            )
        )
    require_run_folder(task)


def require_run_folder(task: Task) -> None:
    """Raise EnvironmentFailure if this worker does not see the run folder of a task."""
    if not task.run_dir.is_dir():
        raise EnvironmentFailure(
            Problem(
                "E-CLUSTER-FOLDER",
                f"worker on {socket.gethostname()} does not see the run folder",
                str(task.run_dir),
                "set `run_dir` to a folder that all machines see under the same path",
            )
        )
