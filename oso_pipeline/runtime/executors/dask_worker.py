"""What a worker does with a task: look whether it may, then do it."""

from __future__ import annotations

import socket

from oso_pipeline import __version__
from oso_pipeline.core.errors import ExitCode, Problem
from oso_pipeline.tasks.task import Task, TaskResult
from oso_pipeline.tasks.worker import do


def do_here(task: Task, version: str, memory_bytes: float | None = None) -> TaskResult:
    """Do a task if this worker is fit for it.

    Parameters
    ----------
    task
        The task.
    version
        Version of the software that planned it; another might make another map.

    memory_bytes
        What this worker may use.

    Returns
    -------
    TaskResult
        Failed, with the reason, where the worker is not fit.
    """
    problem = _unfit(task, version)
    if problem is None:
        return do(task, memory_bytes)
    return TaskResult(
        task.stage,
        task.name,
        "failed",
        error=str(problem),
        exit_code=int(ExitCode.ENVIRONMENT),
    )


def _unfit(task: Task, version: str) -> Problem | None:
    from distributed import get_worker

    if __version__ != version:
        return Problem(
            "E-CLUSTER-VERSION",
            f"worker has version {__version__} of oso_pipeline, the run {version}",
            socket.gethostname(),
            "start workers and run with the same installation",
        )
    if get_worker().state.nthreads > 1:
        return Problem(
            "E-CLUSTER-THREADS",
            "worker has more than one thread, but a task measures and limits its whole process",
            socket.gethostname(),
            "start workers with: dask worker --nthreads 1 --nworkers N ADDRESS",
        )
    if not task.run_dir.is_dir():
        return Problem(
            "E-CLUSTER-FOLDER",
            f"worker on {socket.gethostname()} does not see the run folder",
            str(task.run_dir),
            "set `run_dir` to a folder that all machines see under the same path",
        )
    return None
