"""A computing site: how jobs are requested there. One YAML file per site, see ``oso submit``."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from oso_pipeline.config.findings import dotted, nearest, path_of, shown, where
from oso_pipeline.config.nodes import Node, read_yaml
from oso_pipeline.config.section import Section
from oso_pipeline.config.shell_words import WORD_PATTERN, Line, Option, Scratch
from oso_pipeline.core.errors import ConfigError, Problem, Problems
from oso_pipeline.core.regular_files import real_place

_SECRET = re.compile(r"passw|secret|token|api_?key|credential", re.IGNORECASE)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Site(Section):
    """Settings of a site for `oso submit`; they do not change results."""

    system: Literal["slurm", "pbs", "shell"]
    """The batch system. shell: none, the jobs run one after the other on this machine."""
    mode: Literal["array", "pilot"] = "array"
    """array: jobs that each do their share. pilot: one driver job whose worker jobs get their
    tasks from it."""
    queue: str | None = Field(None, pattern=WORD_PATTERN)
    """Partition of Slurm, queue of PBS."""
    account: str | None = Field(None, pattern=WORD_PATTERN)
    """Account to charge for the jobs."""
    qos: str | None = Field(None, pattern=WORD_PATTERN)
    """Quality of service; Slurm only."""
    walltime: str = Field("04:00:00", pattern=r"^[0-9]{1,4}:[0-5][0-9]:[0-5][0-9]$")
    """The longest time of a job, in the form HH:MM:SS, in quotes. A job that needs longer goes on
    in another."""
    notice_s: int = Field(300, ge=30, le=65535)
    """Seconds before the walltime at which a job stops to begin tasks."""
    jobs: int = Field(8, ge=2, le=10_000)
    """Jobs that share the work: elements of an array, or worker jobs of the pilot."""
    max_queued: int = Field(100, ge=10)
    """Most jobs in the queue at once, each element of an array counted, as sites limit it for a
    user. `jobs` is cut to that."""
    running: int | None = Field(None, ge=1)
    """Most elements of an array that run at once."""
    cores: int = Field(8, ge=1)
    """Most cores of a job, each with a worker process; a job has no more than its tasks can use."""
    memory_per_worker_gb: float = Field(2.0, ge=0.25)
    """Memory of a worker; a job requests that of its workers and 1.5 GB more."""
    restarts: int = Field(10, ge=0, le=1000)
    """How often a job that ran out of time is put back into the queue."""
    prologue: tuple[Line, ...] = ()
    """Shell commands that a job runs first, for example module load python."""
    environment: dict[str, Line] = Field({})
    """Variables of the jobs. Never secrets: others can read scripts."""
    scratch: Scratch | None = None
    """Folder on a disk of the node for temporary files, as $TMPDIR; the shell of the job
    expands it."""
    directives: tuple[Option, ...] = ()
    """Further options of sbatch or qsub, one each, as --constraint=v100."""
    python: Line | None = None
    """Python of the jobs, a path or what prologue puts on PATH; by default the one that submits."""
    tls: Path | None = None
    """Folder with the keys of `oso cluster-keys`, for the workers of a pilot."""
    insecure_network: bool = False
    """Allow workers of a pilot to communicate without encryption."""

    @property
    def walltime_s(self) -> int:
        """The walltime in seconds."""
        hours, minutes, seconds = (int(part) for part in self.walltime.split(":"))
        return 3600 * hours + 60 * minutes + seconds

    def memory_mb(self, workers: int) -> int:
        """Return the memory that a job of so many workers requests."""
        return round(1000 * (workers * self.memory_per_worker_gb + 1.5))

    @model_validator(mode="after")
    def _consistent(self) -> Site:
        if self.qos is not None and self.system == "pbs":
            raise ValueError("qos: is a matter of Slurm; name the queue instead")
        if self.mode == "pilot" and self.system == "shell":
            raise ValueError("mode: pilot needs a batch system")
        if self.mode == "pilot" and self.tls is None and not self.insecure_network:
            raise ValueError(
                "tls: workers on other machines need encryption: make keys with "
                "`oso cluster-keys DIR` and name their folder"
            )
        if self.walltime_s <= 2 * self.notice_s:
            raise ValueError(
                f"walltime: {self.walltime} leaves no time to work before the notice of "
                f"{self.notice_s} s; more than twice of that is needed"
            )
        for name in self.environment:
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"environment: {name!r} is not a name of a variable")
            if _SECRET.search(name):
                raise ValueError(
                    f"environment: {name} looks like a secret; scripts can be read by others: "
                    "keep it in a file that only you can read and source that in prologue"
                )
        return self


def load_site(path: Path) -> Site:
    """Read the file of a site.

    Raises
    ------
    ConfigError
        With every problem found, each with its place in the file.
    """
    problems = Problems()
    tree = read_yaml(path, problems)
    if tree is None:
        raise ConfigError(*problems.errors)
    try:
        Site.model_validate_json(json.dumps(tree.plain()), strict=True)
        site = Site.model_validate(tree.plain())
    except ValidationError as error:
        for one in error.errors(include_url=False):
            problems.extend([_finding(one, tree)])
        raise ConfigError(*problems.errors) from None
    if site.tls is None:
        return site
    return site.model_copy(update={"tls": real_place(path).parent / os.path.expanduser(site.tls)})


def _finding(error: ErrorDetails, tree: Node) -> Problem:
    path = path_of(error, tree)
    name = dotted(path)
    if error["type"] == "extra_forbidden":
        close = nearest(str(path[-1]), Site.model_fields)
        known = ", ".join(Site.model_fields)
        place = where(tree, path, of_key=True)
        hint = f"did you mean {close}?" if close else None
        return Problem("E-SITE", f"{name}: unknown key, allowed: {known}", place, hint)
    text = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        return Problem("E-SITE", f"{name}: is missing", where(tree, path[:-1]), "slurm, pbs, shell")
    if not path:
        key = text.partition(":")[0]
        return Problem("E-SITE", text, where(tree, (key,)))
    return Problem("E-SITE", f"{name}: found {shown(error['input'])}: {text}", where(tree, path))
