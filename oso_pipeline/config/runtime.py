"""Section ``runtime``: how the work is run."""

from __future__ import annotations

from pydantic import Field

from oso_pipeline.config.cluster import AnyCluster, LocalCluster
from oso_pipeline.config.section import Section


class Runtime(Section):
    """How the work is run; nothing here changes a result."""

    cluster: AnyCluster = LocalCluster()
    """Who does the work: this machine by default, or a cluster."""
    workers: int | None = Field(None, ge=1)
    """Worker processes; by default one per core, or what the jobs of a pilot hold."""
    memory_per_worker_gb: float = Field(1.5, ge=0.25)
    """Memory a worker may use; as much is read at once as fits. One that uses more is killed, and
    its task tried again with smaller pieces of images."""
    block_pixels: int | None = Field(None, ge=256)
    """Most pixels of a block, the unit of work; by default 2 million, or what memory allows."""
    task_deadline_s: float = Field(3600.0, gt=0)
    """A task that takes longer is killed, tried once more, elsewhere if possible, then reported."""
    stop_grace_s: float = Field(240.0, gt=0)
    """After SIGUSR1 no task begins; what runs may end within this time and is then dropped."""

    @property
    def memory_per_worker_bytes(self) -> float:
        """Memory a worker may use, in bytes."""
        return self.memory_per_worker_gb * 1e9
