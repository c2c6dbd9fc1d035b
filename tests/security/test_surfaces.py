"""Attack surfaces: open ports, and files of unknown origin; docs/security.md lists the tests."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pytest
import rasterio
from support.minimal_config import minimal_config

from oso_pipeline.config import Config
from oso_pipeline.core.commit import publish_bytes
from oso_pipeline.core.csv_tables import csv_text
from oso_pipeline.imagery.damage import UnreadableRaster
from oso_pipeline.imagery.header import read_header
from oso_pipeline.runtime.executors import LocalExecutor
from oso_pipeline.runtime.folder.log_file import LogFile
from oso_pipeline.runtime.planner import Planner
from oso_pipeline.runtime.runner import Selection, run
from oso_pipeline.tasks.job import Job
from oso_pipeline.tasks.stage import StageBase
from oso_pipeline.tasks.task import Summary, Task

ROOT = Path(__file__).parents[2]
SECRET = "planted-7f3c9a51e2"
LISTEN = "0A"


def listening(pids: list[int]) -> set[str]:
    """Return the addresses at which processes listen, as the kernel tells."""
    sockets = set()
    for pid in pids:
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            try:
                sockets.add(os.readlink(handle))
            except OSError:  # closed meanwhile
                continue
    found = set()
    for family in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{family}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN and f"socket:[{fields[9]}]" in sockets:
                raw = bytes.fromhex(fields[1].partition(":")[0])
                words = [raw[n : n + 4][::-1] for n in range(0, len(raw), 4)]
                kind = socket.AF_INET if family == "tcp" else socket.AF_INET6
                found.add(socket.inet_ntop(kind, b"".join(words)))
    return found


@dataclass(frozen=True, kw_only=True)
class ToyJob(Job):
    """The process of the driver."""

    driver: int


def look_at_sockets(job: ToyJob, task: Task) -> Summary:
    """Return where this worker, and its driver with scheduler and nanny, listen."""
    publish_bytes(task.output(), b"looked")
    return {"addresses": sorted(listening([os.getpid(), job.driver]))}


def fail_with_secret_at_hand(job: ToyJob, task: Task) -> Summary:
    """Fail like a bug, with a local variable that must not be told."""
    password = os.environ["OSO_TEST_TOKEN"]
    raise RuntimeError(f"a bug, {len(password)} characters long")


class Stage(StageBase):
    name = "toy"

    def __init__(self, function: str) -> None:
        self.function = function

    def plan(self, context) -> list[Task]:
        function = f"{__name__}:{self.function}"
        job = ToyJob(driver=os.getpid())
        return [Task("toy", "one", function, context.run_dir, ("one.txt",), job)]


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalExecutor]:
    monkeypatch.setenv("OSO_TEST_TOKEN", SECRET)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    with LocalExecutor(1, 60) as executor:
        yield executor


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_local_run_serves_on_loopback_only(tmp_path: Path, workers: LocalExecutor) -> None:
    (task,) = Stage("look_at_sockets").plan(Planner(config_of(tmp_path), []))
    task.run_dir.mkdir()
    (result,) = workers.run([task], "sockets")
    assert result.summary == {"addresses": ["127.0.0.1"]}, result.error


@pytest.mark.parametrize("asked", [False, True])
def test_no_dashboard_is_served_unless_requested(tmp_path: Path, asked: bool) -> None:
    (task,) = Stage("fail_with_secret_at_hand").plan(Planner(config_of(tmp_path), []))
    with LocalExecutor(1, 60, dashboard=asked) as executor:
        assert list(executor.run([task], "dashboard"))
        port = executor._cluster.scheduler.http_server.port
        answers = set()
        for page in ("status", "individual-task-stream", "graph"):
            try:
                with urlopen(f"http://127.0.0.1:{port}/{page}", timeout=10) as answer:
                    answers.add(answer.status)
            except HTTPError as error:
                answers.add(error.code)
    assert (answers != {404}) is asked


def test_no_text_of_a_table_is_a_formula() -> None:
    cells = ["=HYPERLINK(1)", "+1+1", "@SUM(A1)", "-2+3", "\t=1", "wheat", "-0.5", 7, -1.5]
    lines = csv_text(["name"], [[cell] for cell in cells]).splitlines()[1:]
    assert lines == [*(f"'{cell}" for cell in cells[:5]), "wheat", "-0.5", "7", "-1.5"]
    package = ROOT / "oso_pipeline"
    for path in package.rglob("*.py"):
        code = path.read_text(encoding="utf-8")
        writes = re.search(r"csv\.writer|\.to_csv", code)
        assert not writes or path == package / "core" / "csv_tables.py", path


def test_no_file_of_a_run_tells_a_secret_of_the_environment(
    tmp_path: Path, workers: LocalExecutor
) -> None:
    config = config_of(tmp_path)
    planner = Planner(config, [Stage("fail_with_secret_at_hand")])
    outcome = run(planner, workers, [LogFile(config.run_dir)], Selection())
    assert "a bug, 18 characters long" in (outcome.failures[0].error or "")
    files = [path for path in config.run_dir.rglob("*") if path.is_file()]
    assert {"run.json", "config.yaml", "log.jsonl"} <= {path.name for path in files}
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
    assert SECRET not in str(outcome.failures)


def test_a_virtual_raster_under_the_name_of_an_image_is_refused(tmp_path: Path) -> None:
    hidden, image = tmp_path / "hidden.tif", tmp_path / "IMAGE_FRE_B2.tif"
    with rasterio.open(
        hidden, "w", driver="GTiff", width=4, height=4, count=1, dtype="int16"
    ) as sink:
        sink.write(np.ones((1, 4, 4), np.int16))
    image.write_text(
        '<VRTDataset rasterXSize="4" rasterYSize="4"><VRTRasterBand dataType="Int16" band="1">'
        f'<SimpleSource><SourceFilename relativeToVRT="0">{hidden}</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with rasterio.open(image) as fooled:
        assert fooled.read(1).max() == 1, "GDAL follows it where nobody names the format"
    with pytest.raises(UnreadableRaster):
        read_header(image)


def test_every_raster_is_opened_as_what_it_must_be() -> None:
    for path in (ROOT / "oso_pipeline").rglob("*.py"):
        for call in re.findall(r"rasterio\.open\([^)]*\)", path.read_text(encoding="utf-8")):
            writes = '"w"' in call or "**profile" in call
            assert writes or "driver=" in call or "simulation" in str(path), f"{path}: {call}"


def test_nothing_unpickles_a_model_or_loads_an_object_of_numpy() -> None:
    for path in (ROOT / "oso_pipeline").rglob("*.py"):
        code = re.sub(r'"""(?s:.*?)"""|#.*', "", path.read_text(encoding="utf-8"))
        assert not re.search(r"^\s*(import|from)\s+(pickle|joblib|dill|shelve)\b", code, re.M), path
        assert not re.search(r"allow_pickle\s*=\s*True", code), path


def test_every_test_that_the_page_names_is_there() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(named) > 10
    for path, test in named:
        assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{test}"


def config_of(folder: Path) -> Config:
    return minimal_config(folder / "run")
