"""The shell script of a job: directives of the batch system, then what all systems share.

Every option stands in the manuals of sbatch(1) and qsub(1B); docs/cluster.md goes through them.
Directives hold no path: the scripts are submitted from their own folder, and logs are relative
to it, so that spaces and accents in a path meet no parser but that of the shell.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from oso_pipeline.config.site import Site
from oso_pipeline.core.errors import ExitCode
from oso_pipeline.runtime.batch.chain import Link

LOCK_PATIENCE_S = 600
"""Longer than it takes until the lock of a lost node counts as abandoned."""
_LOST_SIGNAL = 128 + 10
"""Exit status of a process that SIGUSR1 met before it listened."""


@dataclass(frozen=True, slots=True)
class JobFolder:
    """Where the scripts of a run lie.

    Parameters
    ----------
    path
        The folder ``batch`` of the run folder.
    run_name
        Name of the run, for the names of the jobs.
    attempt
        How often the chain was submitted before, where a system cannot put a job back.
    """

    path: Path
    run_name: str
    attempt: int = 0

    @property
    def config(self) -> Path:
        """The configuration that the jobs run: complete, with absolute paths."""
        return self.path / "config.yaml"

    @property
    def site(self) -> Path:
        """The site as it was when the jobs were submitted."""
        return self.path / "site.yaml"

    @property
    def logs(self) -> Path:
        """Folder of the output of the jobs."""
        return self.path / "logs"

    def script(self, link: Link) -> Path:
        """Return the path of the script of a link."""
        return self.path / f"{link.name}.sh"


def script_of(link: Link, site: Site, folder: JobFolder) -> str:
    """Return the script of a job."""
    directives = {"slurm": _slurm, "pbs": _pbs, "shell": _shell}[site.system]
    lines = [
        "#!/bin/bash",
        *directives(link, site, folder),
        "# Written by `oso submit`, which overwrites it: change the site file instead.",
        "",
        *_surroundings(site),
        "",
        *_run(link, site, folder),
        "",
        *_end(link, site, folder),
    ]
    return "\n".join(lines) + "\n"


def _slurm(link: Link, site: Site, folder: JobFolder) -> Iterator[str]:
    log = f"logs/{link.name}-%j.log" if link.elements is None else f"logs/{link.name}-%A_%a.log"
    options = [
        f"--job-name={_job_name(link, folder)}",
        f"--output={log}",
        "--open-mode=append",
        *(f"--partition={site.queue}" for _ in [0] if site.queue),
        *(f"--account={site.account}" for _ in [0] if site.account),
        *(f"--qos={site.qos}" for _ in [0] if site.qos),
        f"--time={site.walltime}",
        "--nodes=1",
        "--ntasks=1",
        f"--cpus-per-task={_cores(link, site)}",
        f"--mem={_memory_mb(link, site)}M",
        "--requeue",
        f"--signal=B:USR1@{site.notice_s}",
    ]
    if link.elements is not None:
        most = f"%{site.running}" if site.running else ""
        options.append(f"--array=1-{link.elements}{most}")
    yield from (f"#SBATCH {option}" for option in (*options, *site.directives))


def _pbs(link: Link, site: Site, folder: JobFolder) -> Iterator[str]:
    options = [
        f"-N {_job_name(link, folder)}",
        "-S /bin/bash",
        "-j oe",
        "-o logs/",
        *(f"-q {site.queue}" for _ in [0] if site.queue),
        *(f"-A {site.account}" for _ in [0] if site.account),
        f"-l select=1:ncpus={_cores(link, site)}:mem={_memory_mb(link, site)}mb",
        f"-l walltime={site.walltime}",
        "-r y",
    ]
    if link.elements is not None:
        options.append(f"-J 1-{link.elements}")
        if site.running:
            options.append(f"-W max_run_subjobs={site.running}")
    yield from (f"#PBS {option}" for option in (*options, *site.directives))


def _shell(link: Link, site: Site, folder: JobFolder) -> Iterator[str]:
    yield from ()


def _surroundings(site: Site) -> Iterator[str]:
    yield from (f"export {name}={quote(value)}" for name, value in site.environment.items())
    if site.scratch is not None:
        yield f'export TMPDIR="{site.scratch}"'
    yield from site.prologue
    yield "# The configuration was complete when the job was submitted."
    yield 'unset "${!OSO_@}"'


def _run(link: Link, site: Site, folder: JobFolder) -> Iterator[str]:
    command = _command(site, "run", str(folder.config), *link.arguments)
    if link.workers is not None:
        command += f" --workers {link.workers}"
    command += f" --wait-lock {LOCK_PATIENCE_S}"
    if link.elements is not None:
        index = {"slurm": "SLURM_ARRAY_TASK_ID", "pbs": "PBS_ARRAY_INDEX", "shell": "OSO_ELEMENT"}
        name = index[site.system]
        command += f' --shard "${name}/{link.elements}"'
        if site.system == "shell":
            command = command.replace(f"${name}", "$1")
    if site.system == "pbs":
        # PBS sends no signal in good time: the job looks at the clock itself.
        until = site.walltime_s - site.notice_s
        left = f"$((SECONDS < {until} ? {until} - SECONDS : 1))"
        command = f"timeout --foreground --preserve-status --signal=USR1 {left} \\\n  {command}"
    # The shell sets $! as soon as the run is there; a variable would be set a moment later, and
    # a signal between the two would be lost.
    yield """trap 'told=1; kill -USR1 "$!"' USR1"""
    yield """trap 'told=1; kill -TERM "$!"' TERM INT"""
    yield f"{command} &"
    yield "# A signal interrupts wait: wait again for the code of the run."
    yield 'while told=; wait "$!"; code=$?; [ -n "$told" ]; do :; done'
    yield "trap '' USR1"


def _end(link: Link, site: Site, folder: JobFolder) -> Iterator[str]:
    left = int(ExitCode.SOME_LEFT)
    yield f'[ "$code" -ne {_LOST_SIGNAL} ] || code={left}'
    if site.system == "slurm":
        yield f'if [ "$code" -eq {left} ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {site.restarts} ]'
        yield "then"
        yield '  scontrol requeue "$SLURM_JOB_ID"'
        yield "fi"
    elif site.system == "pbs" and link.elements is None and folder.attempt < site.restarts:
        # Users may not rerun their jobs there: PBS drops what waits for this one, and the
        # chain begins again with what is left. What an array leaves, the job behind it does.
        again = _command(
            site, "submit", str(folder.config), "--site", str(folder.site), "--attempt"
        )
        yield f'if [ "$code" -eq {left} ]'
        yield "then"
        yield f"  {again} {folder.attempt + 1}"
        yield "fi"
    yield 'exit "$code"'


def _command(site: Site, *arguments: str) -> str:
    python = site.python or sys.executable
    return " ".join(quote(word) for word in (python, "-m", "oso_pipeline.cli", *arguments))


def _job_name(link: Link, folder: JobFolder) -> str:
    return f"{folder.run_name[:60]}.{link.name}"


def _cores(link: Link, site: Site) -> int:
    """Return the cores of a job; the driver of a pilot only hands out tasks."""
    return 1 if site.mode == "pilot" else link.workers or site.cores


def _memory_mb(link: Link, site: Site) -> int:
    return 4000 if site.mode == "pilot" else site.memory_mb(_cores(link, site))
