"""Write the scripts of a run into its folder and submit them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from ruamel.yaml import YAML

from oso_pipeline.config import Config
from oso_pipeline.config.runtime import Runtime
from oso_pipeline.config.section import Section
from oso_pipeline.config.site import Site
from oso_pipeline.core.commit import publish_bytes, staged
from oso_pipeline.core.errors import ConfigError, EnvironmentFailure, ExitCode, Problem
from oso_pipeline.runtime.batch.chain import Link, chain_of, widths_of
from oso_pipeline.runtime.batch.script import JobFolder, script_of
from oso_pipeline.runtime.planner import Planner

_JOB_ID = {"slurm": r"[0-9]+", "pbs": r"[0-9]+(\[\])?(\.\S+)?"}
_SUBMIT_S = 120
_VARIABLES = {
    "time": ("TIMELIMIT",),
    "array": ("ARRAY_INX",),
    "mem": ("MEM_PER_NODE", "MEM_PER_CPU", "MEM_PER_GPU"),
    "requeue": ("REQUEUE", "NO_REQUEUE"),
}
"""Variables of sbatch whose names do not follow from those of the options."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job of the chain and its number in the batch system."""

    link: Link
    job: str


@dataclass(frozen=True)
class Submission:
    """The jobs of a run at a site.

    Parameters
    ----------
    config
        Command of the jobs.
    site
        Where they run.
    links
        The jobs in their order.
    folder
        Where their scripts go.
    """

    config: Config
    site: Site
    links: Sequence[Link]
    folder: JobFolder

    @classmethod
    def of(cls, planner: Planner, site: Site, attempt: int) -> Submission:
        """Return the jobs that do all stages; `attempt` counts how often that was begun before.

        `planner` plans what the jobs run, see `fitted`.
        """
        config = planner.config
        folder = JobFolder(config.run_dir / "batch", config.name, attempt)
        return cls(config, site, chain_of(planner.stages, site, widths_of(planner)), folder)

    def text(self) -> str:
        """Return the scripts, and how they would be submitted, for people."""
        parts, before = [], list[Submitted]()
        for link in self.links:
            script = self.folder.script(link)
            command = "bash " + script.name
            if self.site.system != "shell":
                command = " ".join(submit_command(script, self.site, before))
            parts.append(f"##### {script}\n##### {command}\n{self.script(link)}")
            before.append(Submitted(link, f"<{link.name}>"))
        return "\n".join(parts)

    def script(self, link: Link) -> str:
        """Return the script of a job."""
        return script_of(link, self.site, self.folder)

    def carry_out(self, say: Callable[[str], object]) -> int:
        """Write and submit the scripts; return an exit code.

        Raises
        ------
        EnvironmentFailure
            If the folder cannot be written, or the batch system refuses a job.
        """
        self.write()
        say(f"scripts: {self.folder.path}")
        if self.site.system == "shell":
            return run_here(self.folder, self.links)
        for one in submit(self.folder, self.site, self.links):
            elements = f", {one.link.elements} elements" if one.link.elements else ""
            say(f"{one.link.name}: job {one.job}{elements}")
        say(f"see how it goes: oso status {self.config.run_dir}")
        return int(ExitCode.OK)

    def write(self) -> None:
        """Write configuration, site and scripts.

        Jobs run the configuration as it was when they were submitted, whatever happens to the
        file or the environment meanwhile.
        """
        folder = self.folder
        try:
            folder.logs.mkdir(parents=True, exist_ok=True)
            _write_yaml(folder.config, self.config)
            _write_yaml(folder.site, self.site)
            for link in self.links:
                publish_bytes(folder.script(link), self.script(link).encode())
        except OSError as error:
            raise EnvironmentFailure(
                Problem(
                    "E-RUN-FOLDER",
                    f"the scripts cannot be written: {error}",
                    str(folder.path),
                    "set `run_dir` to a folder that you may write and that all nodes see",
                )
            ) from error


def fitted(config: Config, site: Site) -> Config:
    """Return the configuration that the jobs of a site run: nothing but `runtime` differs.

    Raises
    ------
    ConfigError
        If the two do not go together.
    """
    cluster: dict[str, object] = {"kind": "local"}
    if site.mode == "pilot":
        qos = (f"--qos={site.qos}",) if site.qos else ()
        cluster = {
            "kind": "pilot",
            **site.model_dump(include={"system", "queue", "account", "walltime"}),
            "jobs": min(site.jobs, site.max_queued - 1),  # the driver waits in the queue too
            **site.model_dump(include={"prologue", "tls", "insecure_network"}),
            "directives": (*site.directives, *qos),
            "workers_per_job": site.cores,
            "margin_min": site.notice_s / 60,
            **({"scratch": site.scratch} if site.scratch else {}),
        }
    own = {
        "cluster": cluster,
        "workers": None if site.mode == "pilot" else site.cores,
        "memory_per_worker_gb": site.memory_per_worker_gb,
        "stop_grace_s": site.notice_s * 0.7,
    }
    try:
        runtime = Runtime.model_validate({**config.runtime.model_dump(), **own})
    except ValidationError as error:
        said = "; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors())
        raise ConfigError(Problem("E-SITE", f"the site and the configuration: {said}")) from error
    return config.model_copy(update={"runtime": runtime})


def submit(folder: JobFolder, site: Site, links: Sequence[Link]) -> list[Submitted]:
    """Submit the jobs of a chain, each dependent on those before it.

    An array begins when the driver before it succeeded. A driver begins when the array before
    it has ended in any way, and does what that left.

    Raises
    ------
    EnvironmentFailure
        If the batch system refuses a job; those submitted before are named.
    """
    done: list[Submitted] = []
    for link in links:
        command = submit_command(folder.script(link), site, done)
        job = _submit_one(command, folder.path, site, done)
        done.append(Submitted(link, job))
    return done


def submit_command(script: Path, site: Site, before: Sequence[Submitted]) -> list[str]:
    """Return the command that submits a script behind the jobs `before`; run it in its folder."""
    conditions = _conditions(before)
    if site.system == "slurm":
        # Otherwise what waits for a job that failed would wait for ever.
        command = ["sbatch", "--parsable", "--kill-on-invalid-dep=yes"]
        if conditions:
            command.append(f"--dependency={','.join(conditions)}")
    else:
        command = ["qsub"]
        if conditions:
            command += ["-W", f"depend={','.join(conditions)}"]
    return [*command, script.name]


def _conditions(before: Sequence[Submitted]) -> list[str]:
    """Return the dependency of a job: success of the last driver, end of an array behind it."""
    if not before:
        return []
    *_, last = before
    if last.link.elements is None:
        return [f"afterok:{last.job}"]
    drivers = [f"afterok:{one.job}" for one in before if one.link.elements is None]
    return [*drivers[-1:], f"afterany:{last.job}"]


def _submit_one(command: list[str], folder: Path, site: Site, before: Sequence[Submitted]) -> str:
    try:
        script = (folder / command[-1]).read_text(encoding="utf-8")
        ended = subprocess.run(
            command,
            cwd=folder,
            env=environment_for(script),
            capture_output=True,
            text=True,
            timeout=_SUBMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _refused(command, folder, str(error), before) from error
    job = ended.stdout.strip().partition(";")[0]
    if ended.returncode or not re.fullmatch(_JOB_ID[site.system], job):
        said = ended.stderr.strip() or ended.stdout.strip() or f"exit code {ended.returncode}"
        raise _refused(command, folder, said, before)
    return job


def environment_for(script: str) -> dict[str, str]:
    """Return the variables to submit a script with.

    A variable of sbatch wins over what the script says (sbatch(1), input environment
    variables), so those of the options that stand in the script are left out.
    """
    given = re.findall(r"^#SBATCH --([a-z-]+)", script, re.MULTILINE)
    named = [name for one in given for name in _VARIABLES.get(one, (one.upper(),))]
    dropped = {f"SBATCH_{name.replace('-', '_')}" for name in named}
    return {name: value for name, value in os.environ.items() if name not in dropped}


def _refused(
    command: list[str], folder: Path, said: str, before: Sequence[Submitted]
) -> EnvironmentFailure:
    hint = "correct the site file or the environment and submit again"
    if before:
        jobs = " ".join(one.job for one in before)
        hint += f"; cancel first what was submitted: {jobs}"
    message = f"{command[0]} did not take the job: {said}"
    return EnvironmentFailure(Problem("E-SUBMIT", message, str(folder / command[-1]), hint))


def run_here(folder: JobFolder, links: Sequence[Link]) -> int:
    """Run the jobs of a chain one after the other on this machine; return the last exit code.

    A rehearsal of what a batch system would do, with the same scripts.
    """
    code = 0
    for link in links:
        for number in range(1, (link.elements or 1) + 1):
            log = folder.logs / f"{link.name}-{number}.log"
            with log.open("ab") as stream:
                command = ["/bin/bash", folder.script(link).name, str(number)]
                code = subprocess.run(
                    command, cwd=folder.path, stdout=stream, stderr=stream, check=False
                ).returncode
        if code and link.elements is None:
            break
    return code


def _write_yaml(path: Path, content: Section) -> None:
    with staged(path) as temporary:
        YAML(typ="safe", pure=True).dump(content.model_dump(mode="json"), temporary)
