"""Attacks on commands beside the run, on the version of the package and on the configuration."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from soak.run import CONFIG, HOOK, Attempt, Ended, Run, environment
from support import ROOT

LEFT_HALF = -101
"""The code of an attack after which something was not as it has to be."""
_STARTED_S = 4.0
"""Within this time commands that are to be killed are at work."""


def killed(words: list[str], plan: Attempt, extra: Mapping[str, str] | None = None) -> Ended:
    """Start a command and kill it with all its processes after some seconds."""
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "oso_pipeline.cli", *words],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(extra or {}),
            start_new_session=True,
        )
        struck = Counter[str]()
        try:
            process.wait(plan.draw.uniform(0.3, _STARTED_S))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            struck[f"SIGKILL to {words[0]}"] += 1
        process.wait()
        output.seek(0)
        return Ended(process.returncode, output.read(), struck)


def kill_init(plan: Attempt) -> Ended:
    """Kill ``oso init``: there is a whole file or none, and the command can be given again."""
    with tempfile.TemporaryDirectory() as name:
        place, other = Path(name) / "one", Path(name) / "other"
        ended = killed(["init", str(place)], plan)
        left = place / "oso.yaml"
        if not left.exists():
            again = killed_not(["init", str(place)])
            if again.code != 0:
                return Ended(LEFT_HALF, f"init after a kill:\n{again.output}", ended.struck)
        whole = killed_not(["init", str(other)])
        if whole.code != 0 or left.read_bytes() != (other / "oso.yaml").read_bytes():
            return Ended(LEFT_HALF, f"init left half a file: {left.read_text()[-300:]}", {})
    return ended


def killed_not(words: list[str], extra: Mapping[str, str] | None = None) -> Ended:
    """Run a command and leave it alone."""
    command = [sys.executable, "-m", "oso_pipeline.cli", *words]
    done = subprocess.run(
        command, env=environment(extra or {}), capture_output=True, text=True, check=False
    )
    return Ended(done.returncode, done.stdout + done.stderr, {})


_SITE = """\
system: slurm
mode: array
walltime: "01:00:00"
jobs: 2
cores: 2
memory_per_worker_gb: 2
"""
_SBATCH = "#!/bin/sh\necho $$\n"


def kill_submit(plan: Attempt) -> Ended:
    """Kill ``oso submit``, with a batch system that takes jobs and does none; give it again."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "site.yaml").write_text(_SITE)
        (folder / "sbatch").write_text(_SBATCH)
        (folder / "sbatch").chmod(0o755)
        extra = {"PATH": os.pathsep.join([name, os.environ["PATH"]])}
        words = ["submit", str(plan.folder / CONFIG), "--site", str(folder / "site.yaml")]
        ended = killed(words, plan, extra)
        again = killed_not(words, extra)
        if again.code != 0:
            return Ended(LEFT_HALF, f"submit after a kill:\n{again.output}", ended.struck)
        for script in (plan.folder / "run" / "batch").glob("*.sh"):
            if not script.read_text().rstrip().splitlines()[0].startswith("#!"):
                return Ended(LEFT_HALF, f"half a script: {script}", ended.struck)
    shutil.rmtree(plan.folder / "run" / "batch", ignore_errors=True)
    return ended


def kill_report(plan: Attempt) -> Ended:
    """Kill ``oso report`` while it makes a report again."""
    (plan.folder / "run" / "report.html.json").unlink(missing_ok=True)
    return _of_run(["report", str(plan.folder / "run")], plan)


def kill_verify(plan: Attempt) -> Ended:
    """Kill ``oso verify --repair``."""
    return _of_run(["verify", str(plan.folder / "run"), "--repair"], plan)


def _of_run(words: list[str], plan: Attempt) -> Ended:
    if not (plan.folder / "run" / "config.yaml").exists():  # there is no run to look at yet
        return Ended(0, "", {})
    return killed(words, plan)


def upgrade(plan: Attempt) -> Ended:
    """Let another version of the package go on with the run, and kill it or not."""
    extra = {
        "FAULT": "",
        "FAULT_VERSION": f"9.{plan.draw.randrange(100)}",
        "PYTHONPATH": os.pathsep.join([str(HOOK), str(ROOT)]),
    }
    run, struck = Run(plan.folder, extra), Counter({"another version": 1})
    if plan.draw.random() < 0.5 and not run.wait(plan.moment()):
        run.process.send_signal(signal.SIGTERM)
        struck["SIGTERM to another version"] += 1
    return run.end(struck)


def edit_configuration(plan: Attempt) -> Ended:
    """Edit the configuration while it runs, in two steps, and run that too; then put it back."""
    config = plan.folder / CONFIG
    before = config.read_text()
    run, struck = Run(plan.folder), Counter[str]()
    try:
        if not run.wait(plan.moment()):
            config.write_text(before[: len(before) // 2])  # as an editor that writes slowly
            time.sleep(plan.draw.uniform(0, 1))
            trees = plan.draw.randint(5, 30)
            config.write_text(f"{before}learning: {{n_trees: {trees}}}\n")
            struck["configuration edited"] += 1
        ended = run.end(struck)
        if plan.draw.random() < 0.5 and ended.code == 0:
            edited = Run(plan.folder)
            if not edited.wait(plan.moment()):
                edited.process.send_signal(signal.SIGTERM)
            ended = edited.end(struck)
    finally:
        config.write_text(before)
    return ended


COMMANDS: dict[str, Callable[[Attempt], Ended]] = {
    "SIGKILL to init": kill_init,
    "SIGKILL to submit": kill_submit,
    "SIGKILL to report": kill_report,
    "SIGKILL to verify": kill_verify,
    "upgrade": upgrade,
    "configuration edited": edit_configuration,
}
ALSO_ALLOWED = {"SIGKILL to report": {4}, "SIGKILL to verify": {4}}
"""Codes of commands that say that a run is not complete, or not sound, as it may be."""
