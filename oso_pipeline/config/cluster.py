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
    """Who does the work."""


class LocalCluster(Section):
    """Processes on this machine, `runtime.workers` of them, reachable on loopback only."""

    kind: Literal["local"] = "local"
    """Who does the work."""
    dashboard: bool = False
    """Serve dask's dashboard at http://127.0.0.1:8787; needs bokeh."""


class RemoteWorkers(Section):
    """The keys of clusters whose workers are reached over a network."""

    tls: Path | None = None
    """Folder with the keys of `oso cluster-keys`, on a disk that all machines see."""
    insecure_network: bool = False
    """Talk without encryption and let everybody on the network send work, which is to say run
    programs as you; only on a network where nobody else is."""
    no_workers_timeout_min: float = Field(120.0, gt=0)
    """The run ends when it has had no worker for so many minutes, as when the queue gives none."""


class BatchJobs(Section):
    """The keys that describe jobs of a batch system."""

    system: Literal["slurm", "pbs"]
    """The batch system."""
    queue: str | None = Field(None, pattern=WORD_PATTERN)
    """Partition of Slurm, queue of PBS."""
    account: str | None = Field(None, pattern=WORD_PATTERN)
    """Account that pays for the jobs."""
    walltime: str = Field("02:00:00", pattern=WALLTIME_PATTERN)
    """The longest time of a job, as HH:MM:SS, in quotes."""
    directives: tuple[Option, ...] = ()
    """Further options of sbatch or qsub, one each, as --qos=normal."""
    prologue: tuple[Line, ...] = ()
    """Lines of shell that a job runs first, as module load python."""

    @property
    def walltime_s(self) -> int:
        """The walltime in seconds."""
        hours, minutes, seconds = (int(part) for part in self.walltime.split(":"))
        return 3600 * hours + 60 * minutes + seconds


class PilotCluster(RemoteWorkers, BatchJobs):
    """Jobs of Slurm or PBS whose workers get their tasks from this process."""

    kind: Literal["pilot"]
    """Who does the work."""
    jobs: int = Field(1, ge=1)
    """Jobs to keep in the queue; those that end while there is work are replaced."""
    workers_per_job: int = Field(1, ge=1)
    """Worker processes of a job, each with a core and `runtime.memory_per_worker_gb`."""
    margin_min: float = Field(5.0, ge=0)
    """Workers end by themselves up to twice so many minutes before the walltime, not all at
    once; longer than a task takes."""
    scratch: Scratch = "${TMPDIR:-/tmp}"
    """Folder on a disk of the node for the temporary files of workers; the shell of the job
    expands it."""
    host: str | None = Field(None, pattern=HOST_PATTERN)
    """Name or address at which this process waits for workers; by default that of the machine."""
    interface: str | None = Field(None, pattern=HOST_PATTERN)
    """Network interface at which it waits, as ib0, instead of `host`."""
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
    """A dask scheduler that runs already, with workers of one thread each."""

    kind: Literal["existing"]
    """Who does the work."""
    address: str = Field(pattern=ADDRESS_PATTERN)
    """Where the scheduler listens, as tls://node1:8786."""

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
    """Return the kind that a cluster claims to be: what is no text is left to validation."""
    kind = cluster.get("kind") if isinstance(cluster, dict) else getattr(cluster, "kind", None)
    return kind if isinstance(kind, str) else "local"


AnyCluster = Annotated[
    Annotated[LocalCluster, Tag("local")]
    | Annotated[SerialCluster, Tag("serial")]
    | Annotated[PilotCluster, Tag("pilot")]
    | Annotated[ExistingCluster, Tag("existing")],
    Discriminator(kind_of_cluster),
]
"""Who does the work; `kind` tells, local where it is absent."""
