"""Which keys of a configuration reach a shell, and that only `prologue` is shell (2.3)."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from shlex import quote
from typing import Any

import pytest
from pydantic import ValidationError

from oso_pipeline.config.cluster import PilotCluster
from oso_pipeline.config.runtime import Runtime
from oso_pipeline.config.section import Section
from oso_pipeline.config.site import Site
from oso_pipeline.runtime.batch.chain import Link
from oso_pipeline.runtime.batch.script import JobFolder, script_of
from oso_pipeline.runtime.executors.pilot import PilotExecutor, cluster_class

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
EVIL = [
    "a\ntouch CANARY",
    "$(touch CANARY)",
    "`touch CANARY`",
    "a; touch CANARY #",
    "a' ; touch CANARY #",
    'a" ; touch CANARY #',
    "${x:-$(touch CANARY)}",
    "-a\ntouch CANARY",
    "--a=$(touch CANARY)",
    "a & touch CANARY",
    "a\\\ntouch CANARY",
]
LIKE_A_JOB = {"SLURM_ARRAY_TASK_ID": "1", "PBS_ARRAY_INDEX": "1", "TMPDIR": "/tmp"}
SHELL = {"prologue"}


def text_keys(model: type[Section]) -> list[str]:
    """Return the keys that take text, also in lists and mappings."""
    schema = model.model_json_schema()["properties"]
    return [key for key, node in schema.items() if _is_text(node)]


def _is_text(node: dict[str, Any]) -> bool:
    below = [*node.get("anyOf", ()), node.get("items"), node.get("additionalProperties")]
    own = node.get("type") == "string" and "enum" not in node and "const" not in node
    return own or any(_is_text(one) for one in below if isinstance(one, dict))


def with_value(model: type[Section], key: str, value: str) -> dict[str, Any]:
    node = model.model_json_schema()["properties"][key]
    if node.get("type") == "array":
        return {key: [value]}
    return {key: {"NAME": value} if node.get("type") == "object" else value}


def site_script(content: dict[str, Any]) -> str:
    site = Site.model_validate({"walltime": "02:00:00", **content})
    return script_of(Link("predict", (), 2), site, JobFolder(Path("/run/batch"), "toy"))


def worker_script(content: dict[str, Any]) -> str:
    cluster = PilotCluster.model_validate({"kind": "pilot", "insecure_network": True, **content})
    options = PilotExecutor(cluster, Runtime(), Path("run")).job_options()
    job = cluster_class(cluster.system).job_cls("tcp://10.0.0.1:8786", "worker", **options)
    return str(job.job_script())


def runs_a_command(script: str, folder: Path) -> bool:
    """Run a script in which no program but `touch` is found; tell whether the canary was made."""
    canary, path = folder / "CANARY", folder / "bin"
    canary.unlink(missing_ok=True)
    path.mkdir(exist_ok=True)
    if not (path / "touch").exists():
        (path / "touch").symlink_to("/usr/bin/touch")
    # Without the interpreter: it would begin a run.
    harmless = script.replace(quote(sys.executable), "nothing")
    environ = {**LIKE_A_JOB, "PATH": str(path)}
    command = ["/bin/bash", "-c", harmless]
    subprocess.run(command, cwd=folder, env=environ, capture_output=True, check=False, timeout=20)
    return canary.exists()


@pytest.mark.parametrize("system", ["slurm", "pbs"])
def test_2_3_only_the_prologue_of_a_site_is_shell(tmp_path: Path, system: str) -> None:
    assert not runs_a_command(site_script({"system": system}), tmp_path)
    for key in text_keys(Site):
        for text in EVIL if key not in SHELL else ["touch CANARY"]:
            try:
                script = site_script({"system": system, **with_value(Site, key, text)})
            except ValidationError:
                continue
            found = runs_a_command(script, tmp_path)
            assert found is (key in SHELL), (key, text)


@pytest.mark.parametrize("system", ["slurm", "pbs"])
def test_2_3_only_the_prologue_of_a_pilot_is_shell(tmp_path: Path, system: str) -> None:
    pytest.importorskip("dask_jobqueue")
    assert not runs_a_command(worker_script({"system": system}), tmp_path)
    for key in text_keys(PilotCluster):
        if key == "tls":  # a folder with keys, which are checked first
            continue
        for text in EVIL if key not in SHELL else ["touch CANARY"]:
            try:
                script = worker_script({"system": system, **with_value(PilotCluster, key, text)})
            except ValidationError:
                continue
            found = runs_a_command(script, tmp_path)
            assert found is (key in SHELL), (key, text)


def test_2_3_the_page_names_every_key_that_reaches_a_shell() -> None:
    page = PAGE.read_text(encoding="utf-8")
    section = page[page.index("**A configuration is code**") : page.index("**Loopback does not")]
    named = set(re.findall(r"`([a-z_]+)`", section))
    assert {*text_keys(Site), *text_keys(PilotCluster)} - {"system", "mode", "kind"} <= named
    table = dict(re.findall(r"^\| (.*?) \| (.*?) \|$", section, re.MULTILINE))
    assert not any("prologue" in keys or "directives" in keys for keys in table)


@pytest.mark.parametrize(
    "text", ["$TMPDIR", "${TMPDIR:-/tmp}", "/scratch/$USER/été 1", "~/tmp", "${A}/${B-x}"]
)
def test_2_3_scratch_takes_paths_with_variables(text: str) -> None:
    cluster = {"kind": "pilot", "system": "slurm", "insecure_network": True, "scratch": text}
    assert PilotCluster.model_validate(cluster).scratch == text
