"""How dask and the libraries of a worker are set, whoever starts the worker."""

from __future__ import annotations

from typing import Any

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
}


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


def serve_pages() -> None:
    """Let the scheduler serve what its dashboard shows; after `apply`, before it starts."""
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
