"""Section ``runtime``: how the work is run."""

from __future__ import annotations

from pydantic import Field

from oso_pipeline.config.cluster import AnyCluster, LocalCluster
from oso_pipeline.config.section import Section


class Runtime(Section):
    """How the work is run; nothing here changes a result."""

    cluster: AnyCluster = LocalCluster()
    """Executor of the tasks: this machine by default, or a cluster."""
    workers: int | None = Field(None, ge=1)
    """Number of worker processes; by default one per core, or those of the jobs of a pilot."""
    memory_per_worker_gb: float = Field(1.5, ge=0.25)
    """Memory limit of a worker. Images are read in pieces that fit. A worker that uses more is
    killed, and its task is tried again with smaller pieces."""
    block_pixels: int | None = Field(None, ge=256)
    """Maximum number of pixels of a block, the unit of work; by default 2 million, or fewer if
    memory requires it."""
    task_deadline_s: float = Field(3600.0, gt=0)
    """A task that takes longer is killed, tried once more, elsewhere if possible, then reported."""
    stop_grace_s: float = Field(240.0, gt=0)
    """After SIGUSR1 no task starts; running tasks may end within this time and are then dropped."""

    @property
    def memory_per_worker_bytes(self) -> float:
        """Memory a worker may use, in bytes."""
        return self.memory_per_worker_gb * 1e9
