"""Fixtures that every test may use."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from support import ROOT
from support.real_data import real_data
from support.typed_command import Oso

if TYPE_CHECKING:
    from oso_pipeline.simulation import WorldSpec

settings.register_profile("oso", deadline=None)  # machines are shared: no test asserts a time
settings.load_profile("oso")

_FILES_MEANWHILE = 60

SHARED_DATA = ROOT.parent / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one file make the small run, and the others that read it come later.

    It takes a minute where nothing is compiled, and they would wait for it.
    """
    of_file: dict[Path, list[pytest.Item]] = {}
    for item in items:
        of_file.setdefault(item.path, []).append(item)
    readers = [path for path, own in of_file.items() if any(map(_reads_the_small_run, own))]
    others = [path for path in of_file if path not in readers]
    order = [*readers[:1], *others[:_FILES_MEANWHILE], *readers[1:], *others[_FILES_MEANWHILE:]]
    items[:] = [item for path in order for item in of_file[path]]


def _reads_the_small_run(item: pytest.Item) -> bool:
    return "small_run" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real sample data, which lies beside the checkout."""
    return real_data(SHARED_DATA)


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small simulated world: ``products/`` and ``reference.gpkg``.

    Nothing may be changed in it.
    """
    from oso_pipeline.simulation import WorldSpec

    spec = WorldSpec(size_px=128, dates_per_orbit=16, partial_dates=4)
    return world_of_the_session(tmp_path_factory, "small_world", spec)


@pytest.fixture(scope="session")
def two_years(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small world of two years; nothing may be changed in it."""
    from oso_pipeline.simulation import PastYear, WorldSpec

    spec = WorldSpec(size_px=128, past=PastYear())
    return world_of_the_session(tmp_path_factory, "two_years", spec)


@pytest.fixture(scope="session")
def small_run(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the configuration of a finished run on the small world; its folder is ``run``.

    The first process of pytest that needs it makes it. Nothing may be changed in it.
    """
    from support.pipeline_tools import write_config
    from typer.testing import CliRunner

    from oso_pipeline.cli import app

    folder = small_world.parent / "small_run"
    with (small_world.parent / "small_run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        config = folder / "small.yaml"
        if not (folder / "run" / "report.html").exists():
            write_config(folder, small_world)
            result = CliRunner().invoke(app, ["run", str(config)])
            assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    return config


@pytest.fixture
def oso(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Oso:
    """Return a function that types a command, expects an exit code and returns what is said."""

    def call(exit_code: int, *arguments: object) -> str:
        from oso_pipeline import cli

        monkeypatch.setattr(sys, "argv", ["oso", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        said = captured.out + captured.err
        assert ended.value.code == exit_code, said
        assert "Traceback" not in said
        return said

    return call


def world_of_the_session(
    tmp_path_factory: pytest.TempPathFactory, name: str, spec: WorldSpec
) -> Path:
    """Return a world that the first of the processes of pytest to need it makes for all."""
    from oso_pipeline.simulation.demo import ensure_world

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ensure_world(folder / name, spec)
    return folder / name
