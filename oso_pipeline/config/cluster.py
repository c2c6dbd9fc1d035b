"""Key ``runtime.cluster``: who does the work, and how workers are found."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from oso_pipeline.config.section import Section
from oso_pipeline.config.shell_words import HOST_PATTERN, WORD_PATTERN, Line, Option, Scratch

WALLTIME_PATTERN = r"^[0-9]{1,4}:[0-5][0-9]:[0-5][0-9]$"
ADDRESS_PATTERN = r"^(tcp|tls)://[^ ]+:[0-9]{1,5}$"
_KEYS_HINT = "make keys with `oso cluster-keys DIR` and name their folder in `tls`"


class SerialCluster(Section):
    """One task after the other in this process, for debugging."""

    kind: Literal["serial"]
    """Executor of the tasks."""


class LocalCluster(Section):
    """`runtime.workers` processes on this machine, reachable on loopback only."""

    kind: Literal["local"] = "local"
    """Executor of the tasks."""
    dashboard: bool = False
    """Serve dask's dashboard at http://127.0.0.1:8787; needs bokeh."""


class RemoteWorkers(Section):
    """The keys of clusters whose workers are reached over a network."""

    tls: Path | None = None
    """Folder with the keys of `oso cluster-keys`, on a disk shared by all machines."""
    insecure_network: bool = False
    """Communicate without encryption. Everybody on the network can then run programs as you, so use
    it only on a private network."""
    no_workers_timeout_min: float = Field(120.0, gt=0)
    """The run ends after this many minutes without a worker, for example if the queue starts no
    job."""


class BatchJobs(Section):
    """The keys that describe jobs of a batch system."""

    system: Literal["slurm", "pbs"]
    """The batch system."""
    queue: str | None = Field(None, pattern=WORD_PATTERN)
    """Partition of Slurm, queue of PBS."""
    account: str | None = Field(None, pattern=WORD_PATTERN)
    """Account to charge for the jobs."""
    walltime: str = Field("02:00:00", pattern=WALLTIME_PATTERN)
    """Time limit of a job, in the form HH:MM:SS, in quotes."""
    directives: tuple[Option, ...] = ()
    """Further options of sbatch or qsub, one per item, for example --qos=normal."""
    prologue: tuple[Line, ...] = ()
    """Shell commands that a job runs first, for example module load python."""

    @property
    def walltime_s(self) -> int:
        """The walltime in seconds."""
        hours, minutes, seconds = (int(part) for part in self.walltime.split(":"))
        return 3600 * hours + 60 * minutes + seconds


class PilotCluster(RemoteWorkers, BatchJobs):
    """Jobs of Slurm or PBS whose workers receive tasks from this process."""

    kind: Literal["pilot"]
    """Executor of the tasks."""
    jobs: int = Field(1, ge=1)
    """Jobs to keep in the queue; those that end while there is work are replaced."""
    workers_per_job: int = Field(1, ge=1)
    """Worker processes of a job, each with a core and `runtime.memory_per_worker_gb`."""
    margin_min: float = Field(5.0, ge=0)
    """Workers end up to twice this many minutes before the walltime, not all at once. Choose more
    than the time of a task."""
    scratch: Scratch = "${TMPDIR:-/tmp}"
    """Folder on a disk of the node for the temporary files of workers; the shell of the job
    expands it."""
    host: str | None = Field(None, pattern=HOST_PATTERN)
    """Host name or address of the scheduler in this process; by default that of the machine."""
    interface: str | None = Field(None, pattern=HOST_PATTERN)
    """Network interface of the scheduler, for example ib0, instead of `host`."""
    dashboard: bool = False
    """Serve dask's dashboard at http://127.0.0.1:8787; needs bokeh."""

    @model_validator(mode="after")
    def _consistent(self) -> PilotCluster:
        if self.host is not None and self.interface is not None:
            raise ValueError("use either `host` or `interface`")
        if 2 * 60 * self.margin_min >= self.walltime_s:
            raise ValueError(
                f"`walltime` {self.walltime} leaves no time to work: it must be more than twice "
                f"`margin_min`, {self.margin_min:g} minutes"
            )
        if not (self.tls or self.insecure_network or is_loopback(self.host)):
            raise ValueError(f"workers on other machines need encryption: {_KEYS_HINT}")
        return self


class ExistingCluster(RemoteWorkers):
    """An existing dask scheduler, with workers of one thread each."""

    kind: Literal["existing"]
    """Executor of the tasks."""
    address: str = Field(pattern=ADDRESS_PATTERN)
    """Address of the scheduler, for example tls://node1:8786."""

    @model_validator(mode="after")
    def _encrypted(self) -> ExistingCluster:
        encrypted = self.address.startswith("tls://")
        if encrypted and self.tls is None:
            raise ValueError(f"`address` begins with tls://: {_KEYS_HINT}")
        if self.tls is not None and not encrypted:
            raise ValueError("`tls` goes with an `address` that begins with tls://")
        host = self.address.split("://")[1].rpartition(":")[0]
        if not (encrypted or self.insecure_network or is_loopback(host)):
            raise ValueError(
                f"{self.address} is on another machine without encryption: {_KEYS_HINT}"
            )
        return self


def is_loopback(host: str | None) -> bool:
    """Whether an address can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address((host or "").strip("[]")).is_loopback
    except ValueError:
        return False


def kind_of_cluster(cluster: Any) -> str:
    """Return the `kind` of a cluster; a value that is not text is left to validation."""
    kind = cluster.get("kind") if isinstance(cluster, dict) else getattr(cluster, "kind", None)
    return kind if isinstance(kind, str) else "local"


AnyCluster = Annotated[
    Annotated[LocalCluster, Tag("local")]
    | Annotated[SerialCluster, Tag("serial")]
    | Annotated[PilotCluster, Tag("pilot")]
    | Annotated[ExistingCluster, Tag("existing")],
    Discriminator(kind_of_cluster),
]
"""Executor of the tasks, selected by `kind`; local if it is absent."""
