"""Scripts of both batch systems, line by line, and what they do with signals and codes."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from oso_pipeline.config.site import Site, load_site
from oso_pipeline.core.errors import ConfigError, EnvironmentFailure
from oso_pipeline.runtime.batch.chain import Link, chain_of
from oso_pipeline.runtime.batch.script import JobFolder, script_of
from oso_pipeline.runtime.batch.submit import Submitted, environment_for, submit, submit_command
from oso_pipeline.runtime.stages import STAGES

SITES = Path(__file__).parents[2] / "configs" / "sites"
SNAPSHOTS = Path(__file__).parent / "snapshots"
FOLDER = JobFolder(Path("/data/été d'essai/run 1/batch"), "essai")
ARRAY = Link("predict", ("--stage", "predict"), 20)


def full_site(system: str) -> Site:
    content = {
        "system": system,
        "queue": "compute",
        "account": "land",
        "walltime": "02:00:00",
        "jobs": 20,
        "running": 5,
        "cores": 4,
        "python": "/opt/py env/bin/python",
        "environment": {"GDAL_DATA": "/opt/it's here"},
        "scratch": "$TMPDIR",
        "prologue": ["module load python"],
        "directives": ["-m n"] if system == "pbs" else ["--mail-type=NONE"],
    }
    return Site.model_validate(content | ({"qos": "normal"} if system == "slurm" else {}))


@pytest.mark.parametrize("system", ["slurm", "pbs", "shell"])
@pytest.mark.parametrize("link", [Link("finish", ()), ARRAY], ids=lambda link: link.name)
def test_script_is_as_it_was_read_against_the_manual(system: str, link: Link) -> None:
    written = script_of(link, full_site(system), FOLDER)
    assert written == (SNAPSHOTS / f"{system}-{link.name}.sh").read_text()
    subprocess.run(["bash", "-n"], input=written, text=True, check=True)


@pytest.mark.parametrize("system", ["slurm", "pbs"])
def test_script_of_a_pilot_is_as_it_was_read_against_the_manual(system: str) -> None:
    site = full_site(system).model_copy(update={"mode": "pilot", "insecure_network": True})
    (driver,) = chain_of(STAGES, site, {})
    written = script_of(driver, site, FOLDER)
    assert written == (SNAPSHOTS / f"{system}-driver.sh").read_text()
    subprocess.run(["bash", "-n"], input=written, text=True, check=True)


def test_variables_of_sbatch_do_not_override_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    script = script_of(ARRAY, full_site("slurm"), FOLDER)
    ours = ["SIGNAL", "ARRAY_INX", "TIMELIMIT", "OPEN_MODE", "NO_REQUEUE", "MEM_PER_CPU", "QOS"]
    others = ["CONSTRAINT", "RESERVATION", "EXPORT"]
    for name in (*ours, *others):
        monkeypatch.setenv(f"SBATCH_{name}", "x")
    left = environment_for(script)
    assert [name for name in left if name.startswith("SBATCH_")] == [f"SBATCH_{n}" for n in others]
    assert left["PATH"] == os.environ["PATH"]
    # Where the site file names no account, that of the user's profile still counts.
    monkeypatch.setenv("SBATCH_ACCOUNT", "mine")
    plain = Site.model_validate({"system": "slurm"})
    assert environment_for(script_of(ARRAY, plain, FOLDER))["SBATCH_ACCOUNT"] == "mine"


def test_directives_come_first_and_hold_no_path() -> None:
    for system, mark in (("slurm", "#SBATCH"), ("pbs", "#PBS")):
        lines = script_of(ARRAY, full_site(system), FOLDER).splitlines()
        directives = [number for number, line in enumerate(lines) if line.startswith(mark)]
        assert directives == list(range(1, len(directives) + 1)), "no command before a directive"
        assert not any("été" in lines[number] for number in directives)


def test_the_words_of_the_command_survive_the_shell() -> None:
    (line,) = [
        line
        for line in script_of(ARRAY, full_site("slurm"), FOLDER).splitlines()
        if "run" in line and "oso_pipeline.cli" in line
    ]
    words = shlex.split(line)
    assert words[0] == "/opt/py env/bin/python"
    assert words[4] == "/data/été d'essai/run 1/batch/config.yaml"


def test_a_chain_takes_turns() -> None:
    site = full_site("slurm")
    links = chain_of(STAGES, site, {})
    assert [link.name for link in links] == [
        "until-reference",
        "cache",
        "until-draw",
        "pixels",
        links[4].name,
        "predict",
        "until-predict",
        "cells",
        "until-angles",
        "series",
        "finish",
    ]
    assert [link.elements for link in links] == [*[None, 18] * 5, None]
    names = [stage.name for stage in STAGES]
    assert links[4].arguments == ("--until", names[names.index("predict") - 1])
    pilot = site.model_copy(update={"mode": "pilot"})
    assert [link.name for link in chain_of(STAGES, pilot, {})] == ["driver"]


def test_jobs_ask_for_no_more_than_their_tasks_can_use() -> None:
    site = full_site("slurm")
    known = {
        "inventory": 1,
        "polygons": 2,
        "reference": 1,
        "pixels": 1,
        "predict": 500,
        "cells": 30,
    }
    links = chain_of(STAGES, site, {**dict.fromkeys((s.name for s in STAGES), 0), **known})
    assert [(link.name, link.elements, link.workers) for link in links] == [
        (links[0].name, None, 2),  # and the pixels, an array of one
        ("predict", 20, None),
        ("until-predict", None, None),
        ("cells", 20, 2),
        ("finish", None, 1),
    ]
    one_core = script_of(links[-1], site, FOLDER)
    assert "#SBATCH --cpus-per-task=1\n#SBATCH --mem=3500M\n" in one_core
    assert " --workers 1 " in one_core


@pytest.mark.parametrize(("most", "elements"), [(100, 18), (40, 6), (1000, 40)])
def test_no_more_jobs_wait_in_the_queue_than_the_site_allows(most: int, elements: int) -> None:
    site = full_site("slurm").model_copy(update={"jobs": 40, "max_queued": most})
    links = chain_of(STAGES, site, {})
    assert {link.elements for link in links} == {None, elements}
    assert sum(link.elements or 1 for link in links) <= most


@pytest.mark.parametrize(
    ("system", "ids", "expected"),
    [
        (
            "slurm",
            ["7", "8"],
            "sbatch --parsable --kill-on-invalid-dep=yes --dependency=afterok:7,afterany:8 x.sh",
        ),
        ("pbs", ["7.srv", "8[].srv"], "qsub -W depend=afterok:7.srv,afterany:8[].srv x.sh"),
    ],
)
def test_a_driver_waits_for_the_array_and_for_its_driver(
    system: str, ids: list[str], expected: str
) -> None:
    before = [Submitted(Link("first", ()), ids[0]), Submitted(ARRAY, ids[1])]
    command = submit_command(Path("/a b/x.sh"), full_site(system), before)
    assert " ".join(command) == expected
    assert f"afterok:{ids[0]}" in " ".join(
        submit_command(Path("x.sh"), full_site(system), before[:1])
    )


def test_a_refusal_names_what_was_submitted(tmp_path: Path, monkeypatch) -> None:
    sbatch = tmp_path / "sbatch"
    sbatch.write_text(
        '#!/bin/bash\ncase "$*" in *two*) echo "sbatch: error: no such account" >&2; exit 1;; '
        'esac\necho "17;cluster"\n'
    )
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    for name in ("one", "two"):
        (tmp_path / f"{name}.sh").write_text("#!/bin/bash\n")
    with pytest.raises(EnvironmentFailure, match="no such account") as caught:
        submit(JobFolder(tmp_path, "x"), full_site("slurm"), [Link("one", ()), Link("two", ())])
    assert "submitted: 17" in str(caught.value)
    sbatch.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentFailure, match="sbatch did not take the job"):
        submit(JobFolder(tmp_path, "x"), full_site("slurm"), [Link("one", ())])


STUB = """#!/bin/bash
# Stands for the Python of a job: takes its time, and ends with the code that is asked for.
echo "$@" >> "$LOG"
trap 'echo USR1 >> "$LOG"; sleep 0.3; exit 75' USR1
trap 'echo TERM >> "$LOG"; exit 143' TERM
echo begun >> "$LOG"
[ "$HOLD" = no ] && exit "$CODE"
for _ in {1..200}; do sleep 0.05; done
exit "$CODE"
"""


class Job:
    """A script that runs with a stub for Python and with fake commands of Slurm."""

    def __init__(
        self,
        folder: Path,
        system: str,
        notice_s: int = 60,
        stub: str = STUB,
        prologue: tuple[str, ...] = (),
        **environment: str,
    ) -> None:
        python, fake = folder / "py stub", folder / "scontrol"
        python.write_text(stub)
        fake.write_text('#!/bin/bash\necho "scontrol $*" >> "$LOG"\n')
        for command in (python, fake):
            command.chmod(0o755)
        changes = {"python": str(python), "prologue": prologue, "walltime": "01:00:00"}
        site = full_site(system).model_copy(update={**changes, "notice_s": notice_s})
        script = folder / "job.sh"
        script.write_text(script_of(ARRAY, site, FOLDER))
        self.log = folder / "log"
        path = f"{folder}{os.pathsep}{os.environ['PATH']}"
        surroundings = {
            "LOG": str(self.log),
            "CODE": "0",
            "HOLD": "yes",
            "SLURM_ARRAY_TASK_ID": "3",
            "SLURM_JOB_ID": "42",
            "PBS_ARRAY_INDEX": "3",
            "TMPDIR": "/tmp",
            "OSO_RUNTIME__WORKERS": "9",
        }
        self.process = subprocess.Popen(
            ["bash", str(script)], env={**os.environ, **surroundings, "PATH": path, **environment}
        )

    def wait_for(self, word: str) -> None:
        for _ in range(200):
            if self.log.exists() and word in self.log.read_text():
                return
            time.sleep(0.05)
        pytest.fail(f"no {word}")

    def end(self) -> int:
        return self.process.wait(timeout=30)


def test_usr1_reaches_the_run_whose_code_puts_the_job_back(tmp_path: Path) -> None:
    job = Job(tmp_path, "slurm")
    job.wait_for("begun")
    job.process.send_signal(signal.SIGUSR1)
    assert job.end() == 75
    said = job.log.read_text().splitlines()
    assert "--shard 3/20" in said[0]
    assert said[1:] == ["begun", "USR1", "scontrol requeue 42"]


@pytest.mark.parametrize(("count", "asked"), [("9", True), ("10", False)])
def test_a_job_is_not_put_back_for_ever(tmp_path: Path, count: str, asked: bool) -> None:
    job = Job(tmp_path, "slurm", HOLD="no", CODE="75", SLURM_RESTART_COUNT=count)
    assert job.end() == 75
    assert ("scontrol requeue" in job.log.read_text()) is asked


@pytest.mark.parametrize("code", [0, 4, 5])
def test_the_code_of_the_run_is_that_of_the_job(tmp_path: Path, code: int) -> None:
    job = Job(tmp_path, "slurm", HOLD="no", CODE=str(code))
    assert job.end() == code
    assert "scontrol" not in job.log.read_text()


def test_a_signal_that_comes_as_soon_as_the_run_is_there_is_not_lost(tmp_path: Path) -> None:
    # The run itself signals the shell, at its first breath.
    eager = STUB.replace("echo begun", "kill -TERM $PPID; echo begun")
    job = Job(tmp_path, "slurm", stub=eager)
    assert job.end() == 143
    assert "TERM" in job.log.read_text()


def test_term_reaches_the_run(tmp_path: Path) -> None:
    job = Job(tmp_path, "slurm")
    job.wait_for("begun")
    job.process.send_signal(signal.SIGTERM)
    assert job.end() == 143
    assert "TERM" in job.log.read_text()


def test_a_job_of_pbs_looks_at_the_clock_itself(tmp_path: Path) -> None:
    job = Job(tmp_path, "pbs", notice_s=3599)
    assert job.end() == 75
    assert "USR1" in job.log.read_text()
    assert "--shard 3/20" in job.log.read_text()


def test_a_job_of_pbs_that_begins_too_late_stops_at_once(tmp_path: Path) -> None:
    # A duration of 0 would be none for `timeout`.
    job = Job(tmp_path, "pbs", prologue=("SECONDS=3540",))
    assert job.end() == 75
    assert "USR1" in job.log.read_text()


@pytest.mark.parametrize("path", sorted(SITES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_site_that_is_shipped_is_read(path: Path) -> None:
    site = load_site(path)
    for link in chain_of(STAGES, site, {}):
        text = script_of(link, site, FOLDER)
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    if "like" in path.stem:
        assert "NOT VERIFIED" in path.read_text()


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("system: slrm\n", 1, "system: found 'slrm'"),
        ("system: pbs\nqos: x\n", 2, "qos: is a matter of Slurm"),
        ("system: slurm\npartion: x\n", 2, "partion: unknown key"),
        ("system: slurm\nwalltime: 2h\n", 2, "walltime: found '2h'"),
        ("system: slurm\nwalltime: '00:05:00'\n", 2, "leaves no time"),
        ("system: slurm\nqueue: a b\n", 2, "queue: found 'a b'"),
        ("system: slurm\ndirectives: [mem=3]\n", 2, "directives[0]: found 'mem=3'"),
        ('system: slurm\nprologue: ["a\\nb"]\n', 2, "prologue[0]: found"),
        ("system: slurm\nenvironment: {API_KEY: x}\n", 2, "API_KEY looks like a secret"),
        ("system: slurm\nmode: pilot\n", 1, "tls: workers on other machines need encryption"),
        ("cores: 2\n", 1, "system: is missing"),
    ],
)
def test_a_site_with_a_mistake_is_refused_at_its_place(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_site(path)
    assert said in str(caught.value)
    assert f"site.yaml:{line}:" in str(caught.value)


def test_all_mistakes_of_a_site_are_reported_at_once(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("system: slrm\ncores: 0\nwalltme: x\n")
    with pytest.raises(ConfigError) as caught:
        load_site(path)
    assert len(caught.value.problems) == 3
