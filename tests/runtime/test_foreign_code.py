"""Tasks that a worker cannot read: of another version, of a plug-in that it lacks, damaged."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from oso_pipeline.core.errors import EnvironmentFailure
from oso_pipeline.runtime.executors import LocalExecutor
from oso_pipeline.runtime.executors.packed_task import PackedTask
from oso_pipeline.tasks.job import Job
from oso_pipeline.tasks.task import Task


def toy(folder: Path, job: Job) -> Task:
    return Task("toy", "one", "os:getcwd", folder, ("one.txt",), job)


def foreign_job(monkeypatch: pytest.MonkeyPatch) -> Job:
    """Return a job whose class no other process can import."""
    module = ModuleType("plugin_of_others")
    foreign = type("ForeignJob", (Job,), {"__module__": module.__name__})
    monkeypatch.setattr(module, "ForeignJob", foreign, raising=False)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return foreign()


def test_the_worker_gets_an_equal_task(tmp_path: Path) -> None:
    task = toy(tmp_path, Job())
    assert PackedTask.of(task).unpacked() == task


def test_a_task_of_another_version_is_refused_unread(tmp_path: Path) -> None:
    packed = replace(PackedTask.of(toy(tmp_path, Job())), version="0.0.1", content=b"")
    with pytest.raises(EnvironmentFailure, match=r"E-CLUSTER-VERSION.*planned by version 0\.0\.1"):
        packed.unpacked()


def test_damaged_bytes_are_named(tmp_path: Path) -> None:
    packed = replace(PackedTask.of(toy(tmp_path, Job())), content=b"\x80\x05cut")
    with pytest.raises(EnvironmentFailure, match=r"E-CLUSTER-CODE.*toy one"):
        packed.unpacked()


def test_a_worker_without_the_plug_in_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = toy(tmp_path, foreign_job(monkeypatch))
    with LocalExecutor(1, deadline_s=60) as executor:
        (result,) = executor.run([task], "run")
    assert result.status == "failed"
    assert "E-CLUSTER-CODE" in (result.error or "")
    assert "plugin_of_others" in (result.error or "")
