"""How dask and the libraries of a worker are set, whoever starts the worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Scheduler

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
WORKER_SETTINGS: dict[str, Any] = {
    # Results are tiny, so spilling is useless; a worker out of memory is to be replaced.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    # Workers need no dashboard, and nobody outside needs to see them.
    "distributed.worker.daemon": False,
    "distributed.worker.dashboard.enabled": False,
    "distributed.worker.http.routes": [],
    # Its pages would be all that shows these samples, taken a hundred times a second.
    "distributed.worker.profile.enabled": False,
}
SCHEDULER_SETTINGS: dict[str, Any] = {
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.no-workers-timeout": "600s",
    # Pages that everybody on this machine could read: tasks, logs, stacks.
    "distributed.scheduler.http.routes": [],
    # Monitoring of the scheduler itself, for pages that are not shown.
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.diagnostics.computations.nframes": 0,
}
HEARTBEATS_PER_S = 5.0
LONGEST_HEARTBEAT_S = 60.0


def apply(**scheduler: Any) -> None:
    """Set dask in this process; words of `scheduler` override, as ``allowed_failures=5``."""
    import dask

    named = {f"distributed.scheduler.{key.replace('_', '-')}": v for key, v in scheduler.items()}
    dask.config.set(
        {
            "distributed.nanny.pre-spawn-environ": dict(WORKER_ENVIRONMENT),
            **WORKER_SETTINGS,
            **SCHEDULER_SETTINGS,
            **named,
        }
    )


def patience_s(workers: int) -> float:
    """Return how long driver and scheduler wait to send several messages as one.

    Every worker has its next tasks meanwhile, since 1,200 may end in a second: more than any
    scheduler hands out.
    """
    return min(workers / 400, 1.0)


def be_patient(scheduler: Scheduler, workers: int) -> None:
    """Reduce the messages between a scheduler of this process and its workers.

    By default all workers together send 100 heartbeats a second, which costs it more than
    the tasks do; and it sends its client a message for every task. It takes a worker
    for lost that is silent for five minutes.
    """
    answer = scheduler.handlers["heartbeat_worker"]

    def answer_seldom(**content: Any) -> dict[str, Any]:
        answered: dict[str, Any] = answer(**content)
        if usual := answered.get("heartbeat-interval"):
            seconds = min(len(scheduler.workers) / HEARTBEATS_PER_S, LONGEST_HEARTBEAT_S)
            answered["heartbeat-interval"] = max(usual, seconds)
        return answered

    scheduler.handlers["heartbeat_worker"] = answer_seldom
    for stream in scheduler.client_comms.values():
        stream.interval = max(stream.interval, patience_s(workers))


def serve_pages() -> None:
    """Enable the pages of the scheduler's dashboard; after `apply`, before it starts."""
    import dask

    modules = [f"distributed.http.{name}" for name in ("scheduler.info", "health", "statics")]
    dask.config.set({"distributed.scheduler.http.routes": modules})


def worker_environment() -> dict[str, str]:
    """Return environment variables that set up a worker started elsewhere in the same way."""
    named = {
        "DASK_" + key.upper().replace(".", "__").replace("-", "_"): repr(value)
        for key, value in WORKER_SETTINGS.items()
    }
    return {**WORKER_ENVIRONMENT, **named}
