"""A session with a provider: answers in time or clear failures, keys only where they belong."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from support.file_server import write_certificate
from support.raw_server import Answers, Came, Line, RawServer, raw_server, reply

from oso_pipeline.imagery.remote.download import Patience
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.access.breaker import Breaker, Trips
from oso_pipeline.retrieval.access.clock import wrong_clock
from oso_pipeline.retrieval.access.keys import Keys
from oso_pipeline.retrieval.access.session import Session
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.provider_table import Provider

KEY = "key-of-the-test"
HEADER = {"kind": "header", "header": "X-API-Key", "variable": "MY_KEY"}
PATIENCE = Patience(tries=4, first_wait_s=0.001, longest_wait_s=0.002)


def session_of(
    server: RawServer,
    key: dict[str, Any] | None = None,
    limits: dict[str, Any] | None = None,
    trips: Trips | None = None,
    **provider: Any,
) -> Session:
    content = {
        "protocol": "stac",
        "address": server.address,
        "collections": {"stac": {"id": "one"}},
        "key": key or {"kind": "none"},
        "limits": {"silence_s": 5.0, "connect_s": 5.0, **(limits or {})},
        **provider,
    }
    keys = Keys({"MY_KEY": KEY, "USER": "me", "PASSWORD": "secret-of-the-test"})
    waits: list[float] = []
    session = Session(
        "here",
        Provider.model_validate(content),
        keys,
        patience=PATIENCE,
        breaker=Breaker(trips or Trips(failures=100)),
        sleep=waits.append,
    )
    session.waits = waits  # type: ignore[attr-defined]
    return session


@pytest.fixture
def soon() -> Deadline:
    return Deadline.after(20)


def failure_of_json(session: Session, url: str, within_s: float = 20) -> Failure:
    with pytest.raises(Failure) as raised:
        session.json(url, Deadline.after(within_s))
    return raised.value


def read_all(session: Session, url: str, deadline: Deadline) -> None:
    with closing(session.open(url, deadline).response) as response:
        while response.read1(1000):
            pass


def in_order(*answers: bytes | None) -> Answers:
    left = list(answers)
    return lambda came, line: left.pop(0) if len(left) > 1 else left[0]


def test_json_by_get_and_post(soon: Deadline) -> None:
    with raw_server(lambda came, line: reply({"method": came.method})) as server:
        session = session_of(server)
        assert session.json(f"{server.address}/a?b=c", soon) == {"method": "GET"}
        assert session.json(f"{server.address}/a", soon, {"limit": 2}) == {"method": "POST"}
    assert server.came[0].path == "/a?b=c"
    assert server.came[1].body == b'{"limit": 2}'
    assert server.came[1].headers["content-type"] == "application/json"


@pytest.mark.fault(
    row=30,
    injected="500, 504, 429, answers that are cut or no JSON, twice; then a good one",
    outcome="tried again after pauses that grow; it succeeds",
)
@pytest.mark.parametrize(
    "bad",
    [
        reply(b"", 500),
        reply(b"", 429),
        reply(b"", 504),
        reply(b"<html>maintenance</html>"),
        reply(b"<?xml version='1.0'?><error/>"),
        reply(b""),
        reply(b'{"features": ['),
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
        b"",
        b"no answer of HTTP\r\n\r\n",
        reply({"message": "Quota exceeded"}, 403),
    ],
)
def test_what_passes_is_tried_again(bad: bytes, soon: Deadline) -> None:
    with raw_server(in_order(bad, bad, reply({"good": 1}))) as server:
        assert session_of(server).json(server.address, soon) == {"good": 1}
    assert len(server.came) == 3


@pytest.mark.fault(
    row=32,
    injected="400, 401, 403, 404",
    outcome="one try",
)
@pytest.mark.parametrize(
    ("bad", "code", "status"),
    [
        (reply(b"", 400), "E-FETCH-SERVER", 400),
        (reply(b"", 401), "E-FETCH-DENIED", 401),
        (reply(b"no", 403), "E-FETCH-DENIED", 403),
        (reply(b"", 404), "E-FETCH-GONE", 404),
    ],
)
def test_what_does_not_pass_is_tried_once(bad: bytes, code: str, status: int) -> None:
    with raw_server(in_order(bad)) as server:
        failure = failure_of_json(session_of(server), server.address)
    assert (failure.code, failure.status, len(server.came)) == (code, status, 1)


def test_tries_end() -> None:
    with raw_server(in_order(reply(b"", 503))) as server:
        failure = failure_of_json(session_of(server), server.address)
    assert (failure.code, len(server.came)) == ("E-FETCH-SERVER", PATIENCE.tries)


def hang(came: Came, line: Line) -> None:
    line.hang()


def drip_headers(came: Came, line: Line) -> None:
    line.send(b"HTTP/1.1 200 OK\r\nX-More: ")
    line.drip(b"a")


def drip_many_headers(came: Came, line: Line) -> None:
    line.send(b"HTTP/1.1 200 OK\r\n")
    line.drip(b"X-More: a\r\n", 0.0001)


def drip_body(came: Came, line: Line) -> None:
    line.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{")
    line.drip(b" ")


def drip_body_without_length(came: Came, line: Line) -> None:
    line.send(b"HTTP/1.1 200 OK\r\n\r\n{")
    line.drip(b" ")


def drip_chunk_sizes(came: Came, line: Line) -> None:
    line.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n")
    line.drip(b"0")


def continue_for_ever(came: Came, line: Line) -> None:
    line.drip(b"HTTP/1.1 100 Continue\r\n\r\n", 0.0001)


@pytest.mark.parametrize(
    "answers",
    [
        hang,
        drip_headers,
        drip_many_headers,
        drip_body,
        drip_body_without_length,
        drip_chunk_sizes,
        continue_for_ever,
    ],
)
def test_a_search_that_never_ends_is_given_up_at_the_deadline(answers: Answers) -> None:
    with raw_server(answers) as server:
        session = session_of(server)
        began = time.monotonic()
        failure = failure_of_json(session, server.address, within_s=0.12)
        took = time.monotonic() - began
    assert failure.code == "E-FETCH-NETWORK"
    assert took < 4, "the timeout of the socket, which each byte begins again, is 5 s"


@pytest.mark.fault(
    row=26,
    injected="headers, and then nothing",
    outcome="given up after the time for silence",
)
@pytest.mark.parametrize("answers", [drip_chunk_sizes, drip_headers, hang])
def test_a_download_that_sends_nothing_is_given_up_after_silence(answers: Answers) -> None:
    with raw_server(answers) as server:
        session = session_of(server, limits={"silence_s": 0.1})
        with pytest.raises((Failure, TimeoutError)):
            read_all(session, f"{server.address}/a", Deadline.after(600))


def test_a_download_without_length_that_ends_at_the_deadline_is_not_taken_for_whole() -> None:
    with raw_server(drip_body_without_length) as server, pytest.raises(TimeoutError):
        read_all(session_of(server), f"{server.address}/a", Deadline.after(0.2))


def test_the_deadline_counts_names_of_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> Any:
        time.sleep(5)

    from oso_pipeline.imagery.remote import connections

    with raw_server(hang) as server:
        monkeypatch.setattr(connections.addresses_of, "__defaults__", (never,))
        failure = failure_of_json(session_of(server), server.address, within_s=0.1)
    assert "name of the host" in failure.found


def test_nothing_is_requested_after_the_deadline() -> None:
    with raw_server(in_order(reply({}))) as server:
        assert failure_of_json(session_of(server), server.address, -1).code == "E-FETCH-NETWORK"
        with pytest.raises(Failure):
            session_of(server).open(server.address, Deadline.after(-1))
    assert server.came == []


def test_an_answer_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    from oso_pipeline.retrieval.access import answers

    monkeypatch.setattr(answers, "MOST_BYTES", 100)
    with raw_server(in_order(reply(b"[" + b" " * 200 + b"]"))) as server:
        assert failure_of_json(session_of(server), server.address).code == "E-FETCH-SIZE"


# ---------------------------------------------------------------------- keys and hosts


@pytest.fixture
def other() -> Iterator[RawServer]:
    with raw_server(in_order(reply({"other": 1}))) as server:
        yield server


def test_the_key_goes_to_the_host_it_is_for_alone(other: RawServer, soon: Deadline) -> None:
    away = reply(b"", 302, {"Location": f"{other.address}/there"})
    with raw_server(in_order(away)) as server:
        session = session_of(server, HEADER, hosts=(other.host,), key_hosts=(server.host,))
        with closing(session.open(f"{server.address}/a", soon).response) as response:
            assert response.read() == b'{"other": 1}'
        assert session.json(f"{server.address}/a", soon) == {"other": 1}
        assert session.json(f"{other.address}/b", soon) == {"other": 1}
    assert all(came.headers["x-api-key"] == KEY for came in server.came)
    assert [came.path for came in other.came] == ["/there", "/there", "/b"]
    assert not any("x-api-key" in came.headers for came in other.came)


def test_a_host_that_is_not_listed_gets_nothing(other: RawServer, soon: Deadline) -> None:
    away = reply(b"", 302, {"Location": f"{other.address}/there"})
    with raw_server(in_order(away)) as server:
        provider = {"hosts": (server.host,), "key_hosts": (server.host,)}
        session = session_of(server, HEADER, **provider)
        # The address itself is of this machine, where any port serves a host without one.
        for url in (f"{server.address}/a", f"{other.address}/b"):
            with pytest.raises(Failure) as raised:
                session.open(url, soon)
            assert raised.value.code == "E-FETCH-HOST"
            assert "127.0.0.1" in raised.value.found
            assert "hosts" in (raised.value.problem.hint or "")
    assert other.came == []


@pytest.mark.fault(
    row=32,
    injected="redirections in circles",
    outcome="one try; the message names the key",
)
def test_a_redirection_in_circles_may_be_a_key_that_expired(soon: Deadline) -> None:
    with raw_server(in_order(reply(b"", 302, {"Location": "/again"}))) as server:
        with pytest.raises(Failure) as raised:
            session_of(server, HEADER).open(f"{server.address}/a", soon)
        assert raised.value.code == "E-FETCH-DENIED"
        assert "expired" in raised.value.found
        assert len(server.came) <= 12
        with pytest.raises(Failure) as raised:
            session_of(server).open(f"{server.address}/a", soon)
        assert raised.value.code == "E-FETCH-REFUSED"


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_search_is_not_made_another_by_a_redirection(status: int, soon: Deadline) -> None:
    """GET in place of POST would lose what restricts the search."""
    away = reply(b"", status, {"Location": "/new"})
    with raw_server(in_order(away)) as server, pytest.raises(Failure, match="REFUSED"):
        session_of(server).json(f"{server.address}/a", soon, {"limit": 1})
    assert len(server.came) == 1


def test_a_search_moves_with_its_body(soon: Deadline) -> None:
    moved = reply(b"", 307, {"Location": "/new"})
    with raw_server(in_order(moved, reply([]))) as server:
        assert session_of(server).json(f"{server.address}/a", soon, {"limit": 1}) == []
    assert [came.method for came in server.came] == ["POST", "POST"]
    assert server.came[1].body == b'{"limit": 1}'


def test_an_endless_page_behind_a_redirection_is_not_read(soon: Deadline) -> None:
    def answers(came: Came, line: Line) -> bytes | None:
        if came.path == "/new":
            return reply([1])
        line.send(b"HTTP/1.1 302 Found\r\nLocation: /new\r\n\r\n")
        line.drip(b"x" * 10_000, 0.0)
        return None

    with raw_server(answers) as server:
        assert session_of(server).json(f"{server.address}/a", soon) == [1]


def test_a_missing_key_is_named(soon: Deadline) -> None:
    key = HEADER | {"variable": "OTHER_KEY"}
    with raw_server(in_order(reply([]))) as server:
        session = session_of(server, key)
        assert session.json(server.address, soon) == [], "searches are open"
        with pytest.raises(Failure) as raised:
            session.open(f"{server.address}/a", soon)
    assert raised.value.code == "E-FETCH-NO-KEY"
    assert "OTHER_KEY" in raised.value.found
    assert len(server.came) == 1


@pytest.mark.fault(
    row=32,
    injected="401, 403 and other refusals of a request with a key",
    outcome="no message shows the key",
)
def test_no_failure_shows_a_key(soon: Deadline) -> None:
    key = {"kind": "signing", "url": "", "headers": {"access-key": "MY_KEY"}}

    def answers(came: Came, line: Line) -> bytes:
        if came.path.startswith("/sign"):
            return reply({"href": f"{server.address}/a?sig={KEY}"})
        return reply(f"{KEY} is wrong".encode(), 403)

    with raw_server(answers) as server:
        key["url"] = f"{server.address}/sign?url={{url}}"
        session = session_of(server, key)
        with pytest.raises(Failure) as raised:
            session.open(f"{server.address}/a", soon)
    failure = raised.value
    assert failure.code == "E-FETCH-DENIED"
    assert "MY_KEY" in failure.found
    for text in (str(failure), repr(failure), str(failure.problem), failure.url, repr(session)):
        assert KEY not in text


def test_addresses_with_spaces(soon: Deadline) -> None:
    with raw_server(in_order(reply([3]))) as server:
        session = session_of(server)
        assert session.json(f"{server.address}/a b/é?x=c d%20e", soon) == [3]
    assert server.came[0].path == "/a%20b/%C3%A9?x=c%20d%20e"


def test_what_a_server_sends_is_in_no_message(soon: Deadline) -> None:
    with raw_server(in_order(f"{KEY} {KEY * 1000}\r\n\r\n".encode())) as server:
        failure = failure_of_json(session_of(server, HEADER), server.address)
    assert KEY not in failure.found
    assert len(failure.found) < 300


def test_certificates_are_verified(
    tmp_path: Path, soon: Deadline, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = write_certificate(tmp_path / "certificate.pem")
    with raw_server(lambda came, line: reply([1]), certificate) as server:
        session = session_of(server, HEADER)
        failure = failure_of_json(session, server.address)
        assert failure.code == "E-FETCH-TLS"
        assert server.came == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert session.json(server.address, soon) == [1]


def test_a_server_that_is_silent_in_the_handshake() -> None:
    with raw_server(hang) as server:
        address = server.address.replace("http:", "https:")
        session = session_of(server, address=address, hosts=(server.host,))
        assert failure_of_json(session, address, 0.1).code == "E-FETCH-NETWORK"


# ---------------------------------------------------------------------- limits


def test_no_more_connections_than_the_provider_allows() -> None:
    busy = threading.Semaphore(0)
    most, now, lock = [0], [0], threading.Lock()

    def answers(came: Came, line: Line) -> bytes:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        busy.acquire(timeout=0.03)
        with lock:
            now[0] -= 1
        return reply([])

    with raw_server(answers) as server:
        session = session_of(server, limits={"connections": 2})

        def work() -> None:
            with session.slot():
                session.open(f"{server.address}/a", Deadline.after(20)).response.close()
                session.json(server.address, Deadline.after(20))  # needs no second slot

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.came) == 12
        assert most[0] == 2


def test_a_slot_is_waited_for_until_the_deadline() -> None:
    with raw_server(in_order(reply([]))) as server:
        session = session_of(server, limits={"connections": 1})
        with session.slot():
            found: list[Failure] = []

            def work() -> None:
                with pytest.raises(Failure) as raised, session.slot(Deadline.after(0.05)):
                    pass
                found.append(raised.value)

            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        assert found[0].code == "E-FETCH-PAUSED"
        with session.slot(Deadline.after(0.05)):
            pass
        assert not session.breaker.is_open


@pytest.mark.fault(
    row=31,
    injected="429 with Retry-After",
    outcome="the provider wants a pause of an hour: nothing is requested of it",
)
def test_a_pause_that_the_server_wants_holds_back_all(soon: Deadline) -> None:
    with raw_server(in_order(reply(b"", 429, {"Retry-After": "3600"}), reply([]))) as server:
        session = session_of(server)
        assert failure_of_json(session, server.address).code == "E-FETCH-BUSY"
        assert session.breaker.is_open
        assert session.breaker.rest_s > 3000
        with pytest.raises(Failure) as raised:
            session.open(f"{server.address}/a", soon)
        assert raised.value.code == "E-FETCH-PAUSED"
        assert len(server.came) == 1


@pytest.mark.fault(
    row=31,
    injected="503 with Retry-After as a date, of a server whose clock is another",
    outcome="waited for by the clock of the server, never past the deadline",
)
def test_a_short_pause_is_waited_for(soon: Deadline) -> None:
    until = formatdate(time.time() + 9_000_000 + 7, usegmt=True)
    date = formatdate(time.time() + 9_000_000, usegmt=True)  # a clock that is wrong: ours
    busy = reply(b"", 503, {"Retry-After": until, "Date": date})
    with raw_server(in_order(busy, reply([2]))) as server:
        session = session_of(server)
        with pytest.raises(Failure) as raised:
            session.open(f"{server.address}/a", soon)
        assert raised.value.is_passing
        assert 5 <= (raised.value.wait_s or 0) <= 9
        with pytest.raises(Failure) as raised:
            session.json(server.address, Deadline.after(0.5))
        assert raised.value.code == "E-FETCH-PAUSED", "the pause ends after the deadline"
    assert len(server.came) == 1


def test_a_provider_that_fails_is_left_alone(soon: Deadline) -> None:
    with raw_server(in_order(reply(b"", 500))) as server:
        session = session_of(server, trips=Trips(failures=3))
        failure = failure_of_json(session, server.address)
        assert failure.code == "E-FETCH-PAUSED"
        assert session.breaker.is_open
        assert len(server.came) == 3
        assert "left alone" in failure.found


def test_a_clock_that_is_wrong_is_noticed(soon: Deadline) -> None:
    date = formatdate(time.time() + 7200, usegmt=True)
    with raw_server(in_order(reply([], headers={"Date": date}))) as server:
        session = session_of(server)
        session.json(server.address, soon)
    assert session.clock_behind_s == pytest.approx(7200, abs=5)


@pytest.mark.parametrize(
    ("behind", "shown"),
    [
        ([], None),
        ([None, 2.0, -200.0], None),
        ([7200.0, 7201.0, 0.0], "2.0 h behind"),
        ([-86400.0 * 3, None], "ahead of"),
    ],
)
def test_a_clock_that_is_wrong_is_a_warning(behind: list[float | None], shown: str | None) -> None:
    found = wrong_clock(behind)
    assert (found is None) == (shown is None)
    if found is not None:
        assert found.code == "W-FETCH-CLOCK"
        assert (shown or "") in found.message
        assert "timedatectl" in (found.hint or "")


# ---------------------------------------------------------------------- object stores


def test_an_object_store_of_the_provider(soon: Deadline) -> None:
    with raw_server(in_order(reply(b"abc"))) as server:
        key = {
            "kind": "s3", "endpoint": server.address, "key_variable": "USER",
            "secret_variable": "PASSWORD", "requester_pays": True,
        }  # fmt: skip
        session = session_of(server, key)
        with closing(session.open("s3://bucket/a b/B04.tif", soon).response) as response:
            assert response.read() == b"abc"
        with closing(session.open(f"{server.address}/plain", soon).response):
            pass
    signed, plain = server.came
    assert signed.path == "/bucket/a%20b/B04.tif"
    assert "Credential=me/" in signed.headers["authorization"]
    assert signed.headers["x-amz-request-payer"] == "requester"
    assert "authorization" not in plain.headers


def test_a_store_whose_clock_is_another(soon: Deadline) -> None:
    date = formatdate(time.time() + 86_400, usegmt=True)

    def answers(came: Came, line: Line) -> bytes:
        is_tomorrow = came.headers["x-amz-date"][:8] == time.strftime(
            "%Y%m%d", time.gmtime(time.time() + 86_400)
        )
        return reply(b"abc" if is_tomorrow else b"", 200 if is_tomorrow else 403, {"Date": date})

    with raw_server(answers) as server:
        key = {
            "kind": "s3", "endpoint": server.address, "key_variable": "USER",
            "secret_variable": "PASSWORD",
        }  # fmt: skip
        with closing(session_of(server, key).open("s3://b/k", soon).response) as response:
            assert response.read() == b"abc"
    assert len(server.came) == 2


def test_a_provider_without_a_store_knows_no_s3(soon: Deadline) -> None:
    with raw_server(in_order(reply([]))) as server:
        with pytest.raises(Failure) as raised:
            session_of(server).open("s3://bucket/key", soon)
        assert raised.value.code == "E-FETCH-HOST"


# ---------------------------------------------------------------------- nothing is left


def test_sockets_and_threads_are_not_left(soon: Deadline) -> None:
    fds = Path("/proc/self/fd")
    if not fds.is_dir():
        pytest.skip("no list of open files")
    bad = [reply(b"", 500), b"", reply(b"<html>"), reply(b"", 302, {"Location": "/x"}), reply([])]

    def answers(came: Came, line: Line) -> bytes:
        return bad[len(server.came) % len(bad)]

    def use(session: Session) -> None:
        for _ in range(12):
            for call in (lambda: session.json(server.address, soon), lambda: read(session)):
                try:
                    call()
                except (Failure, OSError):
                    continue

    def read(session: Session) -> None:
        with closing(session.open(f"{server.address}/a", soon).response) as response:
            response.read1(1)

    with raw_server(answers) as server:
        session = session_of(server)
        use(session)
        gc.collect()
        before, threads = len(os.listdir(fds)), threading.active_count()
        use(session)
        gc.collect()
        time.sleep(0.05)
        assert len(os.listdir(fds)) <= before + 2
        assert threading.active_count() <= threads + 2
