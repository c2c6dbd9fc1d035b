"""Where tasks run: in this process, on this machine, or on a cluster.

All executors give results as they come and do not depend on stages. Only tasks and their small
results travel; whatever is lost with a process is found missing on disk by the next run.
"""

from __future__ import annotations

import math

from oso_pipeline.config import Config
from oso_pipeline.config.cluster import ExistingCluster, PilotCluster, SerialCluster
from oso_pipeline.core import machine
from oso_pipeline.runtime.executors.interface import Executor
from oso_pipeline.runtime.executors.local import LocalExecutor
from oso_pipeline.runtime.executors.serial import SerialExecutor

__all__ = ["Executor", "LocalExecutor", "SerialExecutor", "executor_of", "n_workers"]


def executor_of(config: Config, workers: int | None = None) -> Executor:
    """Return the executor of the configuration.

    Parameters
    ----------
    config
        ``runtime.cluster`` chooses.
    workers
        Worker processes in place of those configured; jobs are rounded up.
    """
    runtime = config.runtime
    memory = runtime.memory_per_worker_bytes
    cluster = runtime.cluster
    if isinstance(cluster, SerialCluster):
        return SerialExecutor(memory)
    if isinstance(cluster, PilotCluster):
        from oso_pipeline.runtime.executors.pilot import PilotExecutor

        jobs = math.ceil(n_workers(config, workers) / cluster.workers_per_job)
        return PilotExecutor(cluster.model_copy(update={"jobs": jobs}), runtime, config.run_dir)
    if isinstance(cluster, ExistingCluster):
        from oso_pipeline.runtime.executors.existing import ExistingExecutor

        return ExistingExecutor(cluster, runtime.task_deadline_s, memory)
    size = n_workers(config, workers)
    return LocalExecutor(size, runtime.task_deadline_s, cluster.dashboard, memory)


def n_workers(config: Config, workers: int | None = None) -> int:
    """Return how many processes share the work: as requested, as configured, or one per core.

    By default not more than the memory of this machine, or of its container, holds.
    """
    cluster = config.runtime.cluster
    if isinstance(cluster, SerialCluster):
        return 1
    if isinstance(cluster, PilotCluster):
        return workers or config.runtime.workers or cluster.jobs * cluster.workers_per_job
    held = int(machine.memory_bytes() // config.runtime.memory_per_worker_bytes)
    return workers or config.runtime.workers or max(1, min(machine.cores(), held))
