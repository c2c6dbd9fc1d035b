"""A cluster on this machine is closed to the other users of the machine (2.1), and starts or says
why it does not (1.14)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import psutil
import pytest
from support import PYTHONPATH
from support.machine_tools import as_nobody, in_process
from support.minimal_config import minimal_config
from support.toy_stages import Numbers

from oso_pipeline.core.errors import EnvironmentFailure
from oso_pipeline.runtime.executors import LocalExecutor
from oso_pipeline.runtime.executors.tls import temporary_security
from oso_pipeline.runtime.planner import Planner

INTRUDE = """
import sys
from distributed import Client
from oso_pipeline.runtime.executors.tls import temporary_security
for address in sys.argv[2:]:
    for protocol, security in (("tcp", None), ("tls", temporary_security())):
        place = protocol + "://" + address.partition("://")[2]
        try:
            with Client(place, security=security, timeout=3) as client:
                client.run_on_scheduler(lambda: open(sys.argv[1], "w").close())
            print("let in by", place)
        except Exception as error:
            print("refused by", place, type(error).__name__)
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalExecutor]:
    folder = tmp_path_factory.mktemp("local")
    (folder / "run").mkdir()
    with pytest.MonkeyPatch.context() as patch, LocalExecutor(1, deadline_s=60) as executor:
        patch.setenv("PYTHONPATH", PYTHONPATH)
        planner = Planner(minimal_config(folder / "run"), [Numbers([1], folder)])
        (result,) = executor.run(planner.tasks("numbers"), "first")
        assert result.status == "done", result.error
        yield executor


def test_2_1_another_user_of_the_machine_is_refused(running: LocalExecutor, tmp_path: Path) -> None:
    scheduler = running._cluster.scheduler
    assert scheduler.address.startswith("tls://127.0.0.1:")
    (worker,) = scheduler.workers.values()
    command = [sys.executable, "-c", INTRUDE, str(tmp_path / "intruded")]
    command += [scheduler.address, worker.address, worker.nanny]
    told = in_process(command, user=as_nobody(), stderr=subprocess.STDOUT).stdout
    assert told.count("refused by") == 6, told
    assert "let in by" not in told
    assert not (tmp_path / "intruded").exists()
    assert running._client.submit(sum, [1, 2]).result(timeout=20) == 3


def test_2_1_the_keys_are_of_one_run_and_in_no_command_line(running: LocalExecutor) -> None:
    assert temporary_security().tls_client_key != temporary_security().tls_client_key
    commands = [" ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)]
    assert commands
    assert not [command for command in commands if "PRIVATE KEY" in command]


def test_2_1_the_scheduler_shows_no_pages_to_other_users(running: LocalExecutor) -> None:
    port = running._cluster.scheduler.http_server.port
    for page in ("info/main/workers.html", "json/counts.json", "metrics", "proxy/1/localhost/"):
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"http://127.0.0.1:{port}/{page}", timeout=10)


@pytest.mark.parametrize(
    "error",
    [OSError(30, "Read-only file system"), FileNotFoundError(2, "No such file"), ImportError("no")],
)
def test_1_14_the_reason_why_no_process_starts_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("multiprocessing.synchronize.SemLock.__init__", refuse)
    planner = Planner(minimal_config(tmp_path / "run"), [Numbers([1], tmp_path)])
    with LocalExecutor(1, deadline_s=60) as executor, pytest.raises(EnvironmentFailure) as caught:
        list(executor.run(planner.tasks("numbers"), "first"))
    said = str(caught.value)
    assert str(error) in said
    assert "/dev/shm" in said
    assert "--cluster serial" in said
