"""What the soak takes for a proper end of a run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from soak.commands import COMMANDS, LEFT_HALF
from soak.contents import same_content
from soak.loop import is_allowed
from soak.run import ATTACKS, HOOK, Attempt, Ended
from support import ROOT
from support.commit_checks import Lost, compare


@pytest.mark.parametrize(
    ("attack", "code", "struck", "allowed"),
    [
        ("hook segfault", -11, 1, True),  # the driver writes files too, and met it there
        ("hook segfault", -11, 0, False),
        ("hook segfault", -9, 1, False),
        ("hook kill", -9, 1, True),
        ("SIGKILL to the driver", -9, 1, True),
        ("SIGKILL to workers", -9, 1, False),
        ("pause", -9, 1, False),
        ("hook stale", 1, 1, False),
        ("hook stale", 6, 1, True),
        ("file size", 0, 0, True),
    ],
)
def test_a_run_may_die_only_of_what_was_done_to_it(
    attack: str, code: int, struck: int, allowed: bool
) -> None:
    assert attack in ATTACKS
    assert is_allowed(attack, Ended(code, "", {attack: struck})) is allowed


def plan(folder: Path) -> Attempt:
    return Attempt(folder, random.Random(3), 2.0)


@pytest.mark.slow
def test_a_killed_init_leaves_a_whole_file_or_none(tmp_path: Path) -> None:
    ended = COMMANDS["SIGKILL to init"](plan(tmp_path))
    assert ended.code in (0, -signal.SIGKILL), ended.output


def test_commands_on_a_run_wait_until_there_is_one(tmp_path: Path) -> None:
    for name in ("SIGKILL to report", "SIGKILL to verify"):
        (tmp_path / "run").mkdir(exist_ok=True)
        assert COMMANDS[name](plan(tmp_path)).code == 0
        assert is_allowed(name, Ended(4, "", {}))
        assert not is_allowed(name, Ended(LEFT_HALF, "", {name: 1}))
    assert not is_allowed("upgrade", Ended(4, "", {"upgrade": 1}))


def test_only_the_software_may_differ_between_versions(tmp_path: Path) -> None:
    paths = [tmp_path / name / "map.tif" for name in "abc"]
    for path, value, version in zip(paths, (1, 1, 2), ("0.1", "0.2", "0.1"), strict=True):
        path.parent.mkdir()
        profile = {"driver": "GTiff", "width": 4, "height": 4, "count": 1, "dtype": "uint8"}
        where = {"transform": Affine(10, 0, 0, 0, -10, 0), "crs": "EPSG:2154"}
        with rasterio.open(path, "w", **profile, **where) as sink:
            sink.write(np.full((4, 4), value, np.uint8), 1)
            sink.update_tags(TIFFTAG_SOFTWARE=version)
    assert same_content(paths[0], paths[1])
    assert not same_content(paths[0], paths[2])
    compare({"x": "1"}, {"x": "2"}, lambda name: True)
    for found, is_same in (({"x": "2"}, None), ({"y": "1"}, lambda name: True)):
        with pytest.raises(Lost):
            compare({"x": "1"}, found, is_same)


def test_another_version_is_reported_to_every_process() -> None:
    code = (
        "import oso_pipeline, importlib.metadata as m; "
        "print(oso_pipeline.__version__, m.version('oso_pipeline'))"
    )
    environment = {**os.environ, "FAULT_VERSION": "9.7", "PYTHONPATH": f"{HOOK}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["9.7", "9.7"]
