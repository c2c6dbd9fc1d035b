"""Servers that drip, fall silent or never end, by clocks that no test waits for."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fetching import PlainSession, md5, muscate_zip, offer_of

from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.imagery.remote.transport import Answer, Version
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.folder import FetchFolder
from oso_pipeline.retrieval.offers import Offer, RemoteFile
from oso_pipeline.retrieval.transfer.outcomes import OnTape, Quarantined
from oso_pipeline.retrieval.transfer.product import Habits, fetch_product

CONTENT = muscate_zip()
URL = "https://portal.test/a.zip"


@dataclass
class Script:
    """How one request is answered; bytes as of `fetching.Reply` of the file server."""

    piece: int = 1 << 16
    pause_s: float = 0.0
    cut: int | None = None
    injected: bytes = b""
    ranges: bool = True
    etag: str | None = '"1"'
    states_size: bool = True
    failure: Failure | None = None


class Response:
    """Gives content in pieces, and moves the clock."""

    status = 200

    def __init__(self, content: bytes, script: Script, clock: Clock) -> None:
        self.content, self.script, self.clock = content, script, clock
        self.headers = Message()

    def read1(self, size: int) -> bytes:
        self.clock.now += self.script.pause_s
        taken = self.content[: min(size, self.script.piece)]
        self.content = self.content[len(taken) :]
        return taken

    def close(self) -> None:
        self.content = b""


@dataclass
class Clock:
    now: float = 0.0
    waits: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


class Scripted(PlainSession):
    """A session whose answers are written down."""

    def __init__(self, clock: Clock, scripts: list[Script], **limits: Any) -> None:
        super().__init__(**limits)
        self.clock, self.scripts, self.starts = clock, scripts, list[int]()
        self.usual = Script()

    def open(
        self,
        url: str,
        deadline: Deadline,
        start: int = 0,
        condition: str | None = None,
        family: str | None = None,
    ) -> Answer:
        script = self.scripts.pop(0) if self.scripts else self.usual
        self.starts.append(start)
        if script.failure is not None:
            raise script.failure
        is_same = condition in (None, script.etag)
        start = start if script.ranges and is_same else 0
        content = CONTENT[start:]
        if script.cut is not None:
            content = content[: script.cut] + script.injected
        size = len(CONTENT) if script.states_size else None
        response = cast(Any, Response(content, script, self.clock))
        return Answer(response, start, Version(size, script.etag, None))


def fetch(
    folder: Path, session: Scripted, seconds: float = 7200.0, offer: Offer | None = None
) -> bytes:
    clock = session.clock
    wanted = offer or offer_of(RemoteFile("a.zip", URL, len(CONTENT), md5(CONTENT)))
    done = fetch_product(
        wanted,
        session,
        FetchFolder(folder),
        Deadline.after(seconds, lambda: clock.now),
        habits=Habits(sleep=clock.sleep),
    )
    return done.path.read_bytes()


@pytest.mark.fault(
    row=27,
    injected="a byte in half a second, without end, by a fake clock",
    outcome="the least rate ends each connection; given up for now after four, continued later",
)
def test_a_drip_is_given_up_and_the_file_continued_elsewhere(tmp_path: Path) -> None:
    """A byte in half a second never trips a timeout of a read; the least rate does."""
    clock = Clock()
    session = Scripted(clock, [Script(piece=1, pause_s=0.5)] * 4)
    with pytest.raises(Failure, match=r"only \d+ bytes came in 60 s") as raised:
        fetch(tmp_path, session)
    assert raised.value.is_passing
    assert 240 <= clock.now <= 260, "4 connections of a minute each, and pauses"
    assert fetch(tmp_path, session) == CONTENT


def test_the_least_rate_is_that_of_the_provider(tmp_path: Path) -> None:
    clock = Clock()
    session = Scripted(clock, [], bytes_per_s=1.0)
    session.usual = Script(piece=40, pause_s=20.0)
    with pytest.raises(Failure, match="the time for the download is over"):
        fetch(tmp_path, session, seconds=1000.0)
    assert 1000 <= clock.now <= 1020, "two bytes a second are enough, but there is a deadline"
    session.usual = Script(piece=1 << 16, pause_s=20.0)
    assert fetch(tmp_path, session) == CONTENT


def test_no_wait_goes_past_the_deadline(tmp_path: Path) -> None:
    clock = Clock()
    busy = Failure("E-FETCH-BUSY", "status 429", URL, is_passing=True, wait_s=500.0)
    session = Scripted(clock, [Script(failure=busy)])
    with pytest.raises(Failure, match="429"):
        fetch(tmp_path, session, seconds=400.0)
    assert clock.waits == []
    session.scripts = [Script(failure=busy)]
    assert fetch(tmp_path, session, seconds=600.0) == CONTENT
    assert clock.waits == [500.0]


@pytest.mark.parametrize(
    ("code", "tries"), [("E-FETCH-DENIED", 1), ("E-FETCH-PAUSED", 1), ("E-FETCH-GONE", 1)]
)
def test_what_another_try_cannot_help(tmp_path: Path, code: str, tries: int) -> None:
    """And a part that is there stays as it is."""
    session = Scripted(Clock(), [Script(cut=3000), Script(failure=Failure(code, "no", URL))])
    with pytest.raises(Failure) as raised:
        fetch(tmp_path, session)
    assert raised.value.code == code
    assert len(session.starts) == 1 + tries
    assert fetch(tmp_path, session) == CONTENT


scripts = st.builds(
    Script,
    piece=st.sampled_from([997, 1 << 16]),
    cut=st.one_of(st.none(), st.integers(0, len(CONTENT))),
    injected=st.sampled_from([b"", b"<Error>broken</Error>", b"<Error>" + b"y" * 20_000]),
    ranges=st.booleans(),
    etag=st.sampled_from(['"1"', '"2"', None, 'W/"1"']),
    states_size=st.booleans(),
)


@given(st.lists(scripts, max_size=5), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_nothing_wrong_is_ever_published(
    tmp_path_factory: pytest.TempPathFactory, found: list[Script], runs: int
) -> None:
    """Whatever the first answers are, the product is whole in the end, or a failure is named."""
    folder, clock = tmp_path_factory.mktemp("images"), Clock()
    session = Scripted(clock, list(found))
    for _ in range(runs):
        try:
            assert fetch(folder, session) == CONTENT
        except (Failure, OnTape, Quarantined):
            published = [path for path in folder.glob("T31TCJ/*.zip") if path.is_file()]
            assert published == []
    session.scripts = []
    assert fetch(folder, session) == CONTENT
