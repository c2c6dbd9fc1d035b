"""Where tasks run: in this process, or on a dask cluster of this machine.

Both give results as they come and know nothing of stages. Only tasks and their small
results travel; whatever is lost with a process is found missing on disk by the next run.
"""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from oso_pipeline.config import Config
from oso_pipeline.core.errors import ExitCode
from oso_pipeline.core.task import Task, TaskResult, do

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

WORKER_ENVIRONMENT = {
    # One process per core: libraries must not start threads of their own.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    # GDAL's default cache is 5 % of the memory of the whole machine, for every process.
    "GDAL_CACHEMAX": "64",
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}
DASK_SETTINGS = {
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.no-workers-timeout": "600s",
    # Results are tiny, so spilling is useless; a worker out of memory is to be replaced.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    # Workers need no dashboard, and nobody outside needs to see them.
    "distributed.worker.daemon": False,
    "distributed.worker.dashboard.enabled": False,
}


class Executor(Protocol):
    """Runs tasks of one stage and gives their results in the order they end."""

    def __enter__(self) -> Executor: ...

    def __exit__(self, *error: object) -> None: ...

    def run(self, tasks: Sequence[Task], run_id: str) -> Iterator[TaskResult]:
        """Run the tasks; every task gives exactly one result."""
        ...


class SerialExecutor:
    """Runs tasks one by one in this process."""

    def __enter__(self) -> SerialExecutor:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def run(self, tasks: Sequence[Task], run_id: str) -> Iterator[TaskResult]:
        """Run the tasks in the order given."""
        yield from map(do, tasks)


class LocalExecutor:
    """Runs tasks on a `distributed.LocalCluster`, one process per worker, on loopback only.

    The cluster starts with the first task, so a run with nothing to do starts none.

    Parameters
    ----------
    workers
        Number of worker processes.
    deadline_s
        A task that keeps a worker longer is given up and its worker replaced.
    """

    def __init__(self, workers: int, deadline_s: float) -> None:
        self.workers = workers
        self.deadline_s = deadline_s
        self._cluster: LocalCluster | None = None
        self._client: Client | None = None

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(self, *error: object) -> None:
        if self._client is not None:
            self._client.close(timeout=10)
        if self._cluster is not None:
            self._cluster.close(timeout=20)

    def run(self, tasks: Sequence[Task], run_id: str) -> Iterator[TaskResult]:
        """Run the tasks with a bounded number of them known to the scheduler."""
        if tasks:
            yield from _Window(self._connect(), self.workers, self.deadline_s, run_id).run(tasks)

    def _connect(self) -> Client:
        if self._client is None:
            import dask
            from distributed import Client, LocalCluster

            logging.getLogger("distributed").setLevel(logging.ERROR)
            environment = dict(WORKER_ENVIRONMENT)
            dask.config.set({"distributed.nanny.pre-spawn-environ": environment, **DASK_SETTINGS})
            self._cluster = LocalCluster(
                n_workers=self.workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                # Any free port: the scheduler serves HTTP on loopback even without dashboard.
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                worker_dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )
            self._client = Client(self._cluster)
        return self._client


class _Window:
    """The tasks in flight. Dask's scheduler never sees more than a few per worker."""

    POLL_S = 2.0

    def __init__(self, client: Client, workers: int, deadline_s: float, run_id: str) -> None:
        self.client = client
        self.size = 3 * workers
        # A task may wait behind the others of the window before it starts.
        self.deadline_s = deadline_s * 3
        self.run_id = run_id
        self.flying: dict[Future, tuple[Task, float]] = {}

    def run(self, tasks: Sequence[Task]) -> Iterator[TaskResult]:
        from distributed import wait

        waiting = iter(tasks)
        self._submit(itertools.islice(waiting, self.size))
        while self.flying:
            try:
                ended = wait(list(self.flying), timeout=self.POLL_S, return_when="FIRST_COMPLETED")
                done = ended.done
            except TimeoutError:
                done = set()
            results = [self._result(future) for future in done]
            results += self._overdue()
            self._submit(itertools.islice(waiting, len(results)))
            yield from results

    def _submit(self, tasks: Iterator[Task]) -> None:
        for task in tasks:
            # A tuple key keeps all tasks of a stage in one group, which dask then queues;
            # with plain strings it sends every task to a worker at once.
            key = (f"{task.stage}-{self.run_id}", task.name)
            future = self.client.submit(do, task, key=key, retries=2, pure=False)
            self.flying[future] = (task, time.monotonic())

    def _result(self, future: Future) -> TaskResult:
        task, submitted = self.flying.pop(future)
        # Never ask for the status of a future: it can go back after the loss of a worker.
        try:
            result: TaskResult = future.result(timeout=60)
        except Exception as error:  # noqa: BLE001 - whatever dask raises is one lost task
            result = _lost(task, _describe(error), submitted)
        future.release()
        return result

    def _overdue(self) -> list[TaskResult]:
        now = time.monotonic()
        late = [f for f, (_, since) in self.flying.items() if now - since > self.deadline_s]
        results = []
        for future in late:
            task, since = self.flying.pop(future)
            workers = [w for w, keys in self.client.processing().items() if future.key in keys]
            self.client.cancel([future], force=True)
            if workers:
                self.client.restart_workers(workers, timeout=60)
            reason = "gave no result before the deadline (`runtime.task_deadline_s`)"
            results.append(_lost(task, reason, since))
        return results


def executor_of(config: Config, workers: int | None = None) -> Executor:
    """Return the executor that the configuration asks for."""
    if config.runtime.executor == "serial":
        return SerialExecutor()
    return LocalExecutor(n_workers(config, workers), config.runtime.task_deadline_s)


def n_workers(config: Config, workers: int | None = None) -> int:
    """Return how many processes share the work: as asked for, as configured, or one per core."""
    if config.runtime.executor == "serial":
        return 1
    return workers or config.runtime.workers or len(os.sched_getaffinity(0))


def _lost(task: Task, reason: str, submitted: float) -> TaskResult:
    return TaskResult(
        task.stage,
        task.name,
        "failed",
        seconds=time.monotonic() - submitted,
        error=f"task {task.stage} {task.name} {reason}",
        exit_code=int(ExitCode.FAILED_TASKS),
    )


def _describe(error: Any) -> str:
    if type(error).__name__ == "KilledWorker":
        return (
            "killed every worker that tried it; the usual cause is memory: lower "
            "`runtime.block_pixels` or the number of workers"
        )
    return f"was lost: {type(error).__name__}: {error}"
