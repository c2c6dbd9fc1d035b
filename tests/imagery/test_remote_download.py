"""Files from the web: whole in spite of slow servers and cut transfers, or else a clear error."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from support.file_server import MODIFIED, FileServer, Reply, file_server, write_certificate

from oso_pipeline.imagery.remote import download
from oso_pipeline.imagery.remote.download import Downloader, Patience, Wanted
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.imagery.remote.s3 import Store
from oso_pipeline.imagery.remote.transport import Transport

CONTENT = bytes(range(256)) * 2000  # half a MB
SHA256 = "1220" + hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as state:
        yield state


class Getter:
    """Downloads with little patience, and how long it waited."""

    def __init__(self, folder: Path, timeout_s: float = 10.0, **environ: str) -> None:
        self.waits: list[float] = []
        self.path = folder / "file.part"
        self.downloader = Downloader(
            Transport(environ, timeout_s),
            Patience(tries=3, period_s=0.2, least_bytes=50_000),
            sleep=self.waits.append,
        )

    def get(self, url: str, **known: Any) -> bytes:
        self.downloader.get(Wanted(url, **known), self.path)
        return self.path.read_bytes()

    def failure(self, url: str, **known: Any) -> Failure:
        with pytest.raises(Failure) as raised:
            self.get(url, **known)
        return raised.value


@pytest.fixture
def getter(tmp_path: Path) -> Getter:
    return Getter(tmp_path)


def test_a_whole_file(server: FileServer, getter: Getter) -> None:
    url = server.put("/B04.tif", CONTENT)
    assert getter.get(url, size_bytes=len(CONTENT), checksum=SHA256) == CONTENT
    assert server.ranges == [None]
    version = getter.downloader.version_of(url)
    assert version.size_bytes == len(CONTENT)
    assert getter.get(url, etag=version.etag) == CONTENT
    assert getter.waits == []


@pytest.mark.parametrize("named", [{"etag": None}, {"etag": "", "headers": MODIFIED}])
def test_a_cut_transfer_is_continued(
    server: FileServer, getter: Getter, named: dict[str, Any]
) -> None:
    url = server.put("/B04.tif", CONTENT)
    server.usual = Reply(**named)
    server.replies.extend(Reply(cut=cut, **named) for cut in (100_000, 70_000, 90_000, 80_000))
    assert getter.get(url, checksum=SHA256) == CONTENT
    assert server.ranges == [None, *(f"bytes={n}-" for n in (100_000, 170_000, 260_000, 340_000))]
    assert all("if-range" in headers for _, headers in server.requests[1:])


@pytest.mark.parametrize("etag", ["", 'W/"1"'])
def test_a_transfer_that_nothing_identifies_begins_again(
    server: FileServer, getter: Getter, etag: str
) -> None:
    url = server.put("/B04.tif", CONTENT)
    server.usual = Reply(etag=etag)
    server.replies.append(Reply(cut=100_000, etag=etag))
    assert getter.get(url) == CONTENT
    assert server.ranges == [None, None]


def test_a_server_that_ignores_ranges(server: FileServer, getter: Getter) -> None:
    url = server.put("/B04.tif", CONTENT)
    server.replies.extend([Reply(cut=100_000), Reply(ranges=False)])
    assert getter.get(url) == CONTENT
    assert server.ranges == [None, "bytes=100000-"]


def test_a_slow_server_is_given_up_and_the_file_continued(
    server: FileServer, getter: Getter
) -> None:
    url = server.put("/B04.tif", CONTENT)
    server.replies.append(Reply(piece=2000, pause_s=0.02))
    assert getter.get(url, checksum=SHA256) == CONTENT
    assert len(server.requests) >= 2
    server.usual = Reply(piece=100, pause_s=0.02)
    failure = getter.failure(url)
    assert failure.code == "E-FETCH-NETWORK"
    assert "bytes came in 0.2 s" in failure.found


def test_a_server_that_falls_silent(server: FileServer, tmp_path: Path) -> None:
    getter = Getter(tmp_path, timeout_s=0.15)
    url = server.put("/B04.tif", CONTENT)
    server.replies.append(Reply(piece=100_000, pause_s=0.5))
    assert getter.get(url) == CONTENT
    server.usual = Reply(piece=1, pause_s=1.0)
    failure = getter.failure(url)
    assert failure.code == "E-FETCH-NETWORK"
    assert "sent nothing for too long" in failure.found


@pytest.mark.parametrize(
    ("status", "code", "requests"),
    [
        (401, "E-FETCH-DENIED", 1),
        (403, "E-FETCH-DENIED", 1),
        (404, "E-FETCH-GONE", 1),
        (410, "E-FETCH-GONE", 1),
        (418, "E-FETCH-SERVER", 1),
        (429, "E-FETCH-BUSY", 3),
        (500, "E-FETCH-SERVER", 3),
        (503, "E-FETCH-SERVER", 3),
    ],
)
def test_a_server_that_refuses(
    server: FileServer, getter: Getter, status: int, code: str, requests: int
) -> None:
    url = server.put("/B04.tif", CONTENT)
    server.usual = Reply(status)
    failure = getter.failure(f"{url}?sig=secret")
    assert failure.code == code
    assert len(server.requests) == requests
    assert str(status) in failure.problem.message
    assert str(failure.problem.where) == url
    assert failure.problem.hint
    assert "secret" not in str(failure.problem)
    server.replies.append(Reply(status))
    server.usual = Reply()
    if requests > 1:
        assert getter.get(url) == CONTENT


def test_the_time_that_a_server_asks_for(server: FileServer, getter: Getter) -> None:
    url = server.put("/B04.tif", CONTENT)
    date = format_datetime(datetime(2020, 1, 1, tzinfo=UTC), usegmt=True)
    server.replies.extend([Reply(429, {"Retry-After": "37"}), Reply(503, {"Retry-After": date})])
    assert getter.get(url) == CONTENT
    assert getter.waits[0] == 37
    assert 0 < getter.waits[1] <= 2
    server.usual = Reply(429, {"Retry-After": "86400"})
    assert getter.failure(url).code == "E-FETCH-BUSY"
    assert max(getter.waits) == 37


def test_content_that_changes(server: FileServer, getter: Getter) -> None:
    url = server.put("/B04.tif", CONTENT)
    server.replies.extend([Reply(cut=100_000), Reply(content=CONTENT[::-1])])
    failure = getter.failure(url)
    assert failure.code == "E-FETCH-CHANGED"
    assert "during the download" in failure.found
    assert getter.failure(url, etag='"old"').code == "E-FETCH-CHANGED"
    assert getter.failure(url, size_bytes=7).code == "E-FETCH-CHANGED"


def test_a_wrong_checksum_is_fetched_once_more(server: FileServer, getter: Getter) -> None:
    url = server.put("/B04.tif", CONTENT)
    damaged = b"x" + CONTENT[1:]
    server.replies.append(Reply(content=damaged))
    assert getter.get(url, checksum=SHA256) == CONTENT
    server.usual = Reply(content=damaged)
    failure = getter.failure(url, checksum=SHA256)
    assert failure.code == "E-FETCH-CHECKSUM"
    assert "sha256" in failure.found


def test_a_file_that_is_too_large(
    server: FileServer, getter: Getter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 1000)
    failure = getter.failure(server.put("/B04.tif", CONTENT))
    assert failure.code == "E-FETCH-SIZE"


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("file:///etc/passwd", "E-FETCH-REFUSED"),
        ("http://192.0.2.1/B04.tif", "E-FETCH-REFUSED"),
        ("ftp://127.0.0.1/B04.tif", "E-FETCH-REFUSED"),
        ("/again", "E-FETCH-REFUSED"),
    ],
)
def test_redirections_that_are_not_followed(
    server: FileServer, getter: Getter, target: str, code: str
) -> None:
    url = server.put("/again", b"")
    server.usual = Reply(302, {"Location": target})
    failure = getter.failure(url)
    assert failure.code == code
    assert len(server.requests) <= 11


def test_a_redirection_keeps_what_identifies_the_reader(server: FileServer, tmp_path: Path) -> None:
    """On the way to another host it is left out; the part that is requested is not."""
    server.put("/bucket/B04.tif", CONTENT)
    with file_server() as other:
        target = other.put("/B04.tif", CONTENT)
        server.usual = Reply(307, {"Location": target})
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        getter = Getter(tmp_path, AWS_ENDPOINT_URL=server.address, **keys)
        other.replies.append(Reply(cut=100_000))
        assert getter.get("s3://bucket/B04.tif") == CONTENT
        assert all("authorization" in headers for _, headers in server.requests)
        for _, headers in other.requests:
            assert not any(name.startswith(("authorization", "x-amz")) for name in headers)
        assert other.ranges == [None, "bytes=100000-"]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://192.0.2.1/a", "ftp://host/a", "a"])
def test_addresses_that_are_not_requested(getter: Getter, url: str) -> None:
    assert getter.failure(url).code == "E-FETCH-REFUSED"


def test_a_host_that_is_not_there(getter: Getter) -> None:
    with file_server() as server:
        url = server.put("/a", b"")
    failure = getter.failure(url)
    assert failure.code == "E-FETCH-NETWORK"
    assert len(getter.waits) == 2


def test_hosts_are_verified(
    tmp_path: Path, getter: Getter, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = write_certificate(tmp_path / "certificate.pem")
    with file_server(certificate) as server:
        url = server.put("/B04.tif", CONTENT)
        failure = getter.failure(url)
        assert failure.code == "E-FETCH-TLS"
        assert getter.waits == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert getter.get(url) == CONTENT
        with file_server() as plain:
            server.usual = Reply(302, {"Location": plain.put("/B04.tif", CONTENT)})
            assert getter.failure(url).code == "E-FETCH-REFUSED"
            assert plain.requests == []


def test_a_web_page_that_ends_early_is_no_file(server: FileServer, getter: Getter) -> None:
    url = server.put("/B04.tif", CONTENT)
    server.usual = Reply(content=b"<html>", headers={"Content-Range": "bytes 7-9/12"})
    assert getter.get(url) == b"<html>"
    assert getter.failure(url, checksum=SHA256).code == "E-FETCH-CHECKSUM"


def test_an_object_store(server: FileServer, tmp_path: Path) -> None:
    """Requests of which the store calculates the same signature; others it refuses."""
    server.put("/eodata/a b/B04.tif", CONTENT)
    server.files["/eodata/a%20b/B04.tif"] = CONTENT
    environ = {
        "AWS_S3_ENDPOINT": server.address, "AWS_ACCESS_KEY_ID": "reader",
        "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token", "AWS_REGION": "default",
    }  # fmt: skip

    def check(path: str, headers: dict[str, str]) -> int | None:
        said = headers.get("authorization", "")
        signed = said.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        store = Store.of(environ)
        moment = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        own = ("host", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token")
        others = {name: headers[name] for name in signed if name not in own}
        again = store.headers(f"{server.address}{path}", others, moment)
        return None if again["Authorization"] == said else 403

    server.check = check
    url = "s3://eodata/a b/B04.tif"
    server.replies.append(Reply(cut=100_000))
    assert Getter(tmp_path, **environ).get(url) == CONTENT
    assert server.requests[0][1]["x-amz-security-token"] == "token"
    failure = Getter(tmp_path, **{**environ, "AWS_SECRET_ACCESS_KEY": "wrong"}).failure
    server.check = lambda *asked: 403
    denied = failure(url)
    assert denied.code == "E-FETCH-DENIED"
    assert "AWS_ACCESS_KEY_ID" in (denied.problem.hint or "")
    assert "wrong" not in str(denied.problem)


def test_a_public_object_store(server: FileServer, tmp_path: Path) -> None:
    server.put("/eodata/B04.tif", CONTENT)
    environ = {
        "AWS_ENDPOINT_URL": server.address, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_NO_SIGN_REQUEST": "YES", "AWS_REQUEST_PAYER": "requester",
    }  # fmt: skip
    assert Getter(tmp_path, **environ).get("s3://eodata/B04.tif") == CONTENT
    (asked,) = server.requests
    assert "authorization" not in asked[1]
    assert asked[1]["x-amz-request-payer"] == "requester"


def test_the_signature_of_the_reference() -> None:
    """The example "GET Object" of the reference of Amazon S3, Signature Version 4."""
    store = Store(
        None, "us-east-1", "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None,
        requester_pays=False,
    )  # fmt: skip
    headers = store.headers(
        "https://examplebucket.s3.amazonaws.com/test.txt",
        {"Range": "bytes=0-9"},
        datetime(2013, 5, 24, tzinfo=UTC),
    )
    expected = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    assert headers["Authorization"].endswith(f"Signature={expected}")
    assert "EXAMPLEKEY" not in repr(store)


@pytest.mark.parametrize(
    ("environ", "url", "address"),
    [
        ({}, "s3://b/k.tif", "https://b.s3.us-east-1.amazonaws.com/k.tif"),
        ({"AWS_REGION": "eu-west-1"}, "s3://a.b/k", "https://s3.eu-west-1.amazonaws.com/a.b/k"),
        ({"AWS_S3_ENDPOINT": "eodata.org"}, "s3://b/k y", "https://eodata.org/b/k%20y"),
        ({"AWS_S3_ENDPOINT": "h:9", "AWS_HTTPS": "NO"}, "s3://b/k", "http://h:9/b/k"),
        ({"AWS_ENDPOINT_URL_S3": "https://h/"}, "s3://b/k", "https://h/b/k"),
    ],
)
def test_addresses_of_objects(environ: dict[str, str], url: str, address: str) -> None:
    assert Store.of(environ).address_of(url) == address
