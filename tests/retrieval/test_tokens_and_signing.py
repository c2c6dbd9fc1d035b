"""Tokens and signed addresses: renewed before requests, whatever the clock shows."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from support.raw_server import Came, Line, RawServer, raw_server, reply

from oso_pipeline.imagery.remote.download import Patience
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.access.keys import Keys
from oso_pipeline.retrieval.access.session import Session
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.provider_table import Provider

PASSWORD = "password-of-the-test"


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Identity:
    """An identity server and what it guards."""

    life_s: Any = 600
    refresh_s: Any = 3600
    given: list[str] = field(default_factory=list)
    valid: set[str] = field(default_factory=set)
    status: int = 200
    refuses_refresh: bool = False

    def __call__(self, came: Came, line: Line) -> bytes:
        if came.path == "/token":
            return self.token(came.form)
        if came.path == "/search":
            return reply([])
        bearer = came.headers.get("authorization", "")
        return reply(b"abc") if bearer in self.valid else reply(b"", 401)

    def token(self, form: dict[str, str]) -> bytes:
        self.given.append(form["grant_type"])
        assert form["client_id"] == "cdse-public"
        if self.status != 200:
            return reply({"error": f"{PASSWORD} is wrong"}, self.status)
        if form["grant_type"] == "refresh_token":
            if self.refuses_refresh:
                return reply({"error": "invalid_grant"}, 400)
            assert form["refresh_token"] == f"refresh-{len(self.given) - 1}"
        elif (form["username"], form["password"]) != ("me", PASSWORD):
            return reply({"error": "invalid_grant"}, 401)
        token = f"token-{len(self.given)}"
        self.valid = {f"Bearer {token}"}
        content = {
            "access_token": token,
            "refresh_token": f"refresh-{len(self.given)}",
            "expires_in": self.life_s,
            "refresh_expires_in": self.refresh_s,
        }
        return reply({key: value for key, value in content.items() if value is not None})


def session_of(server: RawServer, clock: Clock, password: str = PASSWORD) -> Session:
    key = {
        "kind": "password", "token_url": f"{server.address}/token", "client_id": "cdse-public",
        "user_variable": "CDSE_USER", "password_variable": "CDSE_PASSWORD",
    }  # fmt: skip
    return of_key(server, key, clock, {"CDSE_USER": "me", "CDSE_PASSWORD": password})


def of_key(
    server: RawServer, key: dict[str, Any], clock: Clock, environ: dict[str, str], **more: Any
) -> Session:
    content = {
        "protocol": "odata", "address": "http://localhost:1", "hosts": (server.host,),
        "key_hosts": (server.host,), "collections": {"safe": {"id": "one"}}, "key": key, **more,
    }  # fmt: skip
    return Session(
        "here",
        Provider.model_validate(content),
        Keys(environ),
        patience=Patience(tries=2, first_wait_s=0.001),
        clock=clock,
        sleep=lambda _: None,
    )


def get(session: Session, server: RawServer, family: str | None = None) -> bytes:
    answer = session.open(f"{server.address}/file", Deadline.after(20), family=family)
    with closing(answer.response):
        return answer.response.read()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_token_serves_until_shortly_before_its_end(clock: Clock) -> None:
    identity = Identity()
    with raw_server(identity) as server:
        session = session_of(server, clock)
        for seconds in (0, 300, 200, 39):
            clock.now += seconds
            assert get(session, server) == b"abc"
        assert identity.given == ["password"]
        clock.now += 2
        assert get(session, server) == b"abc"
        assert identity.given == ["password", "refresh_token"]
        clock.now += 4000
        assert get(session, server) == b"abc"
        assert identity.given == ["password", "refresh_token", "password"]


def test_the_clock_of_the_machine_plays_no_part(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = Identity()
    with raw_server(identity) as server:
        session = session_of(server, clock)
        for shown in (0.0, 4e9, 1e9):
            monkeypatch.setattr(time, "time", lambda shown=shown: shown)
            assert get(session, server) == b"abc"
    assert identity.given == ["password"]


@pytest.mark.parametrize("life", [None, "600", True, -5, 1e12, 0])
def test_a_life_that_is_odd_does_no_harm(clock: Clock, life: Any) -> None:
    identity = Identity(life_s=life)
    with raw_server(identity) as server:
        session = session_of(server, clock)
        assert get(session, server) == b"abc"
        clock.now += 90_000
        assert get(session, server) == b"abc"
    assert len(identity.given) == 2


def test_a_token_that_ends_early_is_renewed_once(clock: Clock) -> None:
    identity = Identity()
    with raw_server(identity) as server:
        session = session_of(server, clock)
        assert get(session, server) == b"abc"
        identity.valid.clear()
        assert get(session, server) == b"abc"
        assert identity.given == ["password", "refresh_token"]


def test_a_trial_may_need_a_new_token(clock: Clock) -> None:
    identity = Identity()
    with raw_server(identity) as server:
        session = session_of(server, clock)
        get(session, server)
        for _ in range(20):
            session.breaker.failed(Failure("E-FETCH-NETWORK", "down", server.address))
        assert session.breaker.is_open
        clock.now += session.breaker.rest_s
        identity.valid.clear()
        assert get(session, server) == b"abc"
        assert get(session, server) == b"abc"


def test_a_refresh_that_is_refused_is_followed_by_the_password(clock: Clock) -> None:
    identity = Identity(refuses_refresh=True)
    with raw_server(identity) as server:
        session = session_of(server, clock)
        get(session, server)
        clock.now += 599
        assert get(session, server) == b"abc"
    assert identity.given == ["password", "refresh_token", "password"]


def test_a_password_that_is_refused_is_not_sent_again_and_again(clock: Clock) -> None:
    identity = Identity()
    with raw_server(identity) as server:
        session = session_of(server, clock, "wrong-password")
        for _ in range(3):
            with pytest.raises(Failure) as raised:
                get(session, server)
            assert raised.value.code == "E-FETCH-DENIED"
            assert "password" in raised.value.found
            assert "wrong-password" not in str(raised.value.problem)
        assert identity.given == ["password"]
        clock.now += 1000
        with pytest.raises(Failure):
            get(session, server)
        assert identity.given == ["password", "password"]


def test_an_identity_server_that_is_down_passes(clock: Clock) -> None:
    identity = Identity(status=503)
    with raw_server(identity) as server:
        session = session_of(server, clock)
        with pytest.raises(Failure) as raised:
            get(session, server)
        assert raised.value.is_passing
        identity.status = 200
        assert get(session, server) == b"abc"


def test_searches_need_no_token(clock: Clock) -> None:
    identity = Identity()
    with raw_server(identity) as server:
        key = {
            "kind": "password", "token_url": f"{server.address}/token", "client_id": "cdse-public",
            "user_variable": "A", "password_variable": "B",
        }  # fmt: skip
        session = of_key(
            server, key, clock, {}, address=server.address, key_hosts=("elsewhere.org",),
            hosts=("elsewhere.org",),
        )  # fmt: skip
        assert session.json(f"{server.address}/search", Deadline.after(20)) == []
    assert identity.given == []


def test_a_search_that_needs_a_token_gets_a_new_one(clock: Clock) -> None:
    identity = Identity()

    def answers(came: Came, line: Line) -> bytes:
        answer = identity(came, line)
        return reply([1]) if answer == reply(b"abc") else answer

    with raw_server(answers) as server:
        session = session_of(server, clock)
        url, deadline = f"{server.address}/nodes", Deadline.after(20)
        assert session.json(url, deadline) == [1]
        identity.valid.clear()
        assert session.json(url, deadline) == [1]
    assert identity.given == ["password", "refresh_token"]


def test_a_password_goes_to_no_other_place(clock: Clock) -> None:
    """Not even to another path of the identity server."""
    away: list[bytes] = []

    def answers(came: Came, line: Line) -> bytes:
        away.append(came.body)
        return reply(b"", 307, {"Location": "/elsewhere"})

    with raw_server(answers) as server, pytest.raises(Failure) as raised:
        get(session_of(server, clock), server)
    assert raised.value.code == "E-FETCH-REFUSED"
    assert len(away) == 1


# ---------------------------------------------------------------------- signed addresses


def test_each_address_is_signed(clock: Clock) -> None:
    def answers(came: Came, line: Line) -> bytes:
        parts = urlsplit(came.path)
        query = dict(parse_qsl(parts.query))
        if parts.path == "/sign":
            assert (came.headers["access-key"], came.headers["secret-key"]) == ("one", "two")
            return reply({"href": f"{query['url']}?sig=1&part=a%2Fb"})
        assert not {"access-key", "secret-key"} & {*came.headers}
        return reply(b"abc") if query == {"sig": "1", "part": "a/b"} else reply(b"", 403)

    with raw_server(answers) as server:
        session = of_key(
            server,
            {
                "kind": "signing",
                "url": f"{server.address}/sign?url={{url}}",
                "headers": {"access-key": "A", "secret-key": "B"},
            },
            clock,
            {"A": "one", "B": "two"},
        )
        assert get(session, server) == b"abc"


def test_a_signed_address_leads_to_a_listed_host(clock: Clock) -> None:
    def answers(came: Came, line: Line) -> bytes:
        return reply({"href": "https://evil.example.org/file"})

    with raw_server(answers) as server:
        key = {"kind": "signing", "url": f"{server.address}/sign?url={{url}}"}
        with pytest.raises(Failure) as raised:
            get(of_key(server, key, clock, {}), server)
    assert raised.value.code == "E-FETCH-HOST"


class Sas:
    """A server of shared access signatures, with a clock of its own."""

    def __init__(self, ahead: timedelta = timedelta()) -> None:
        self.ahead = ahead
        self.given: list[str] = []
        self.valid = True

    def __call__(self, came: Came, line: Line) -> bytes:
        parts = urlsplit(came.path)
        now = datetime.now(UTC) + self.ahead
        if parts.path.startswith("/sas/"):
            self.given.append(parts.path)
            self.valid = True
            content = {
                "msft:expiry": f"{now + timedelta(minutes=45):%Y-%m-%dT%H:%M:%SZ}",
                "token": f"st=1&sig={len(self.given)}",
            }
            return reply(content, headers={"Date": format_datetime(now, usegmt=True)})
        is_signed = dict(parse_qsl(parts.query)).get("sig") == str(len(self.given))
        return reply(b"abc") if is_signed and self.valid else reply(b"", 403)


def sas_session(server: RawServer, clock: Clock, **more: Any) -> Session:
    key = {"kind": "signing", "url": f"{server.address}/sas/{{collection}}"}
    return of_key(server, key, clock, {}, **more)


@pytest.mark.parametrize("ahead", [timedelta(), timedelta(days=400), timedelta(days=-400)])
def test_a_token_of_a_collection_serves_for_its_life(clock: Clock, ahead: timedelta) -> None:
    """By the clock of the server: ours may be wrong."""
    sas = Sas(ahead)
    with raw_server(sas) as server:
        session = sas_session(server, clock)
        for seconds in (0, 1200, 1200):
            clock.now += seconds
            assert get(session, server) == b"abc"
        assert sas.given == ["/sas/one"]
        clock.now += 200
        assert get(session, server) == b"abc"
        assert sas.given == ["/sas/one", "/sas/one"]


def test_a_signature_that_is_refused_is_renewed_once(clock: Clock) -> None:
    sas = Sas()
    with raw_server(sas) as server:
        session = sas_session(server, clock)
        get(session, server)
        sas.valid = False
        assert get(session, server) == b"abc"
    assert len(sas.given) == 2


def test_the_collection_follows_from_the_family(clock: Clock) -> None:
    sas = Sas()
    with raw_server(sas) as server:
        collections = {"stac": {"id": "s2"}, "landsat": {"id": "l8"}}
        session = sas_session(server, clock, collections=collections)
        assert get(session, server, "landsat") == b"abc"
        assert sas.given == ["/sas/l8"]
        with pytest.raises(Failure) as raised:
            get(session, server)
        assert "collection" in raised.value.found
