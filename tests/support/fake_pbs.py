"""A PBS of one machine for tests: ``qsub`` queues, `FakePbs.drain` runs what is queued.

It knows the options of qsub(1B) that are used and refuses every other, keeps the script as it
was when it was submitted, hands a job no variable but those that PBS hands on, and honours
dependencies: what waits for a job that failed is deleted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from support import TESTS

HANDED_ON = ("HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TMPDIR")


def options_of(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="qsub", add_help=False, allow_abbrev=False)
    for letter in ["N", "S", "j", "o", "q", "A", "r", "J"]:
        parser.add_argument(f"-{letter}")
    for letter in ["l", "W"]:
        parser.add_argument(f"-{letter}", action="append", default=[])
    parser.add_argument("script", nargs="?")
    return parser.parse_args(words)


def qsub() -> None:
    spool = Path(os.environ["FAKE_PBS"])
    given = options_of(sys.argv[1:])
    script = Path(given.script).read_text()
    words = []
    for line in script.splitlines()[1:]:
        if line.startswith("#PBS "):
            words += shlex.split(line.removeprefix("#PBS "))
        elif not line.startswith("#"):
            break
    asked = options_of(words)
    assert re.fullmatch(r"[A-Za-z0-9]\S{0,235}", asked.N), "a name as qsub wants it"
    number = len(list(spool.glob("*.json"))) + 1
    depend = [w.removeprefix("depend=") for w in given.W if w.startswith("depend=")]
    job = {
        "id": f"{number}[].here" if asked.J else f"{number}.here",
        "script": script,
        "folder": os.getcwd(),
        "output": asked.o,
        "array": asked.J,
        "depend": depend[0].split(",") if depend else [],
        "resources": asked.l,
        "codes": None,
    }
    (spool / f"{number:04d}.json").write_text(json.dumps(job))
    print(job["id"])


class FakePbs:
    """The queue of the fake; `bin` goes onto PATH.

    Parameters
    ----------
    folder
        Where queue and commands lie.
    """

    def __init__(self, folder: Path) -> None:
        self.spool = folder / "spool"
        self.bin = folder / "bin"
        for made in (self.spool, self.bin):
            made.mkdir(parents=True)
        command = self.bin / "qsub"
        here = shlex.quote(str(TESTS))
        python = shlex.quote(sys.executable)
        text = (
            f"import sys; sys.path.insert(0, {here!r}); from support.fake_pbs import qsub; qsub()"
        )
        command.write_text(
            f"#!/bin/bash\nexport FAKE_PBS={shlex.quote(str(self.spool))}\n"
            f'exec {python} -c {shlex.quote(text)} "$@"\n'
        )
        command.chmod(0o755)

    def environment(self) -> dict[str, str]:
        """Return the variables of who submits."""
        return {**os.environ, "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}

    def jobs(self) -> list[dict]:
        return [json.loads(path.read_text()) for path in sorted(self.spool.glob("*.json"))]

    def drain(self) -> list[tuple[str, list[int] | str]]:
        """Run the queue until it is empty, and return what became of each job in turn."""
        history: list[tuple[str, list[int] | str]] = []
        while queued := [
            path
            for path in sorted(self.spool.glob("*.json"))
            if json.loads(path.read_text())["codes"] is None
        ]:
            job = json.loads(queued[0].read_text())
            job["codes"] = self._run(job) if self._may_run(job) else "deleted"
            queued[0].write_text(json.dumps(job))
            name = re.search(r"#PBS -N \S+\.(\S+)", job["script"])
            history.append((name[1] if name else "", job["codes"]))
        return history

    def _may_run(self, job: dict) -> bool:
        ended = {other["id"]: other["codes"] for other in self.jobs()}
        for condition in job["depend"]:
            kind, *ids = condition.split(":")
            codes = [ended[one] for one in ids]
            assert None not in codes, "jobs run in the order they wait for each other"
            if "deleted" in codes or (kind == "afterok" and any(any(c) for c in codes)):
                return False
        return True

    def _run(self, job: dict) -> list[int]:
        first, last = (int(n) for n in job["array"].split("-")) if job["array"] else (0, 0)
        codes = []
        for index in range(first, last + 1):
            environment = {n: os.environ[n] for n in HANDED_ON if n in os.environ}
            environment["PATH"] = self.environment()["PATH"]
            environment |= {"PBS_JOBID": job["id"].replace("[]", f"[{index}]")}
            if job["array"]:
                environment["PBS_ARRAY_INDEX"] = str(index)
            script = self.spool / "running.sh"
            script.write_text(job["script"])
            log = Path(job["folder"]) / job["output"] / f"{environment['PBS_JOBID']}.OU"
            with log.open("ab") as stream:
                ended = subprocess.run(
                    ["/bin/bash", str(script)],
                    cwd="/",
                    env=environment,
                    stdout=stream,
                    stderr=stream,
                    check=False,
                )
            codes.append(ended.returncode)
        return codes
