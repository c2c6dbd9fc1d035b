"""Downloads of processes that are killed, of two at a time, and of machines without disk space."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fetching import NAME, Fetcher, muscate_zip, offered
from support.file_server import FileServer, Reply, file_server

from oso_pipeline.core.errors import EnvironmentFailure
from oso_pipeline.retrieval.folder import FetchFolder
from oso_pipeline.retrieval.transfer import publish
from oso_pipeline.retrieval.transfer.outcomes import AtWork
from oso_pipeline.retrieval.transfer.part import Part, overlap, owned, sweep_parts

CONTENT = muscate_zip(size=240)
CHILD = """
import sys
from pathlib import Path
from support.fetching import Fetcher, offered
from support.file_server import FileServer
into, address, content = sys.argv[1:]
Fetcher(Path(into)).fetch(offered(FileServer(address=address), Path(content).read_bytes()))
"""


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as state:
        yield state


def part_of(folder: FetchFolder) -> Path | None:
    return next(folder.parts.rglob("*.part"), None)


def begin_and_kill(server: FileServer, into: Path, content: Path) -> None:
    """Fetch in a process of its own, and kill it when half has come."""
    server.replies.append(Reply(piece=20_000, pause_s=0.01))
    path = ":".join(filter(None, sys.path))
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(into), server.address, str(content)],
        env={**os.environ, "PYTHONPATH": path},
    )
    folder, until = FetchFolder(into), time.monotonic() + 60
    while (part := part_of(folder)) is None or part.stat().st_size < len(CONTENT) // 2:
        assert child.poll() is None
        assert time.monotonic() < until
        time.sleep(0.005)
    with pytest.raises(AtWork):
        Fetcher(into).fetch(offered(server, CONTENT))
    child.kill()
    child.wait()


@pytest.mark.fault(
    row=53,
    injected="SIGKILL of the process that downloads; another one, then another version",
    outcome="the part has one owner; continued if size and version are the same",
)
def test_a_killed_download_is_continued_by_another_process(
    server: FileServer, tmp_path: Path
) -> None:
    """The lock ends with its process; size and version are compared before it goes on."""
    source = tmp_path / "source.zip"
    source.write_bytes(CONTENT)
    offer = offered(server, CONTENT)
    begin_and_kill(server, tmp_path / "a", source)
    assert Fetcher(tmp_path / "a").published == []
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    part = part_of(FetchFolder(tmp_path / "a"))
    assert part is not None
    have = part.stat().st_size

    first = Fetcher(tmp_path / "a")
    assert first.fetch(offer).path.read_bytes() == CONTENT
    _, asked = server.requests[-1]
    assert asked["range"] == f"bytes={have - overlap(have)}-"
    assert "if-range" in asked
    assert first.came == len(CONTENT) - have + overlap(have)
    assert first.parts == []

    newer = muscate_zip(size=32)  # published again meanwhile, under the same address
    second = Fetcher(tmp_path / "b")
    done = second.fetch(offered(server, newer))
    assert done.path.read_bytes() == newer
    assert second.came == len(newer)


def test_a_process_that_is_killed_between_rename_and_ledger(
    server: FileServer, tmp_path: Path
) -> None:
    """The product is there whole: it is neither fetched again nor lost."""
    fetcher = Fetcher(tmp_path)
    offer = offered(server, CONTENT)
    fetcher.fetch(offer)
    (fetcher.folder.parts / f"{NAME}.zip" / "portal").mkdir(parents=True)
    done = fetcher.fetch(offer)
    assert done.was_there
    assert (len(server.requests), fetcher.parts) == (1, [])
    assert not list(fetcher.folder.parts.iterdir())


@pytest.mark.parametrize(
    ("number", "code", "told"),
    [
        (errno.ENOSPC, "E-DISK", "MB are free"),
        (errno.EDQUOT, "E-DISK", "MB are free"),
        (errno.EROFS, "E-FOLDER", "write permission"),
        (errno.EACCES, "E-FOLDER", "write permission"),
    ],
)
@pytest.mark.parametrize("place", ["part", "publish"])
def test_a_disk_that_is_full_or_read_only(
    server: FileServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    code: str,
    told: str,
    place: str,
) -> None:
    """The error names the folder and what to do; what came is kept, and then continued."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number), str(tmp_path / "x"))

    fetcher, offer = Fetcher(tmp_path), offered(server, CONTENT)
    with monkeypatch.context() as patch:
        if place == "part":
            patch.setattr(Part, "remember", refuse)
        else:
            patch.setattr(publish, "publish_file", refuse)
        with pytest.raises(EnvironmentFailure) as raised:
            fetcher.fetch(offer)
    (problem,) = raised.value.problems
    assert problem.code == code
    assert told in f"{problem.message} {problem.hint}"
    assert fetcher.published == []
    asked = len(server.requests)
    assert fetcher.fetch(offer).flag is None
    assert len(server.requests) == asked + (place == "part")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFailure) as raised:
        FetchFolder(tmp_path / "file" / "images").prepare()
    (problem,) = raised.value.problems
    assert problem.code == "E-FOLDER"
    assert "retrieval.into" in (problem.hint or "")


def test_a_prepared_folder(tmp_path: Path) -> None:
    folder = FetchFolder(tmp_path / "images")
    folder.prepare()
    folder.prepare()
    assert sorted(path.name for path in folder.home.iterdir()) == [
        "catalogue", "locks", "parts", "quarantine",
    ]  # fmt: skip
    assert folder.free_bytes() > 0


def test_forgotten_parts_are_removed(tmp_path: Path) -> None:
    """Those that are old and that nobody owns."""
    folder = FetchFolder(tmp_path)
    folder.prepare()
    for name in ("old.zip", "used.zip", "new.SAFE"):
        home = folder.parts / name / "portal"
        home.mkdir(parents=True)
        (home / "a.part").write_bytes(b"x")
        if name != "new.SAFE":
            for path in (home / "a.part", home, home.parent):
                os.utime(path, (1e9, 1e9))
    with owned(folder.locks / "used.lock"):
        assert sweep_parts(folder.parts, folder.locks) == 1
    assert sorted(path.name for path in folder.parts.iterdir()) == ["new.SAFE", "used.zip"]
    folder.prepare()
    assert [path.name for path in folder.parts.iterdir()] == ["new.SAFE"]
