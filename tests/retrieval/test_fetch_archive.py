"""Products that are one archive: whole in the end whatever the server does, or named."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.fetching import NAME, Fetcher, muscate_zip, offer_of, offered
from support.file_server import MODIFIED, FileServer, Reply, file_server

from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.offers import RemoteFile
from oso_pipeline.retrieval.transfer.outcomes import AtWork, OnTape, Quarantined
from oso_pipeline.retrieval.transfer.part import owned

CONTENT = muscate_zip(size=120)
SIZE = len(CONTENT)
PLACE = f"T31TCJ/{NAME}.zip"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as state:
        yield state


@pytest.fixture
def fetcher(tmp_path: Path) -> Fetcher:
    return Fetcher(tmp_path / "images")


def test_a_product_is_published_whole(server: FileServer, fetcher: Fetcher) -> None:
    done = fetcher.fetch(offered(server, CONTENT))
    assert fetcher.published == [PLACE]
    assert done.path.read_bytes() == CONTENT
    assert done.files == ((f"{NAME}.zip", SIZE, hashlib.sha256(CONTENT).hexdigest()),)
    assert (done.flag, done.remarks, fetcher.parts, fetcher.came) == (None, (), [], SIZE)
    with zipfile.ZipFile(done.path) as archive:
        assert archive.testzip() is None
    assert fetcher.fetch(offered(server, CONTENT)).was_there
    assert len(server.requests) == 1


@pytest.mark.fault(
    row=28,
    injected="the server closes the connection twice within the body",
    outcome="continued by Range a little earlier; the MD5 is right",
)
def test_a_cut_transfer_is_continued_a_little_earlier(server: FileServer, fetcher: Fetcher) -> None:
    server.replies.extend(Reply(cut=cut) for cut in (SIZE // 2, SIZE // 4))
    fetcher.fetch(offered(server, CONTENT))
    starts = [int((text or "bytes=0-")[6:-1]) for text in server.ranges]
    assert starts[0] == 0
    assert starts[1] == SIZE // 2 - (1 << 14)
    assert fetcher.came == SIZE + 2 * (1 << 14)
    assert fetcher.session.most_held == 1


def test_what_a_killed_process_got_is_continued(server: FileServer, fetcher: Fetcher) -> None:
    offer = offered(server, CONTENT)
    server.usual = Reply(cut=SIZE // 2)
    with pytest.raises(Failure):
        fetcher.fetch(offer, tries=1)
    assert fetcher.published == []
    server.usual = Reply()
    again = Fetcher(fetcher.into)
    again.fetch(offer)
    assert again.came == SIZE - SIZE // 2 + (1 << 14)


@pytest.mark.parametrize("text", [b"<Error>gone</Error>", b"<e>" + b"x" * 40_000])
def test_text_of_an_error_where_the_connection_broke(
    server: FileServer, fetcher: Fetcher, text: bytes
) -> None:
    """Fault 6: a short text is found by comparing, a long one begins the whole again."""
    server.replies.append(Reply(cut=SIZE // 2, injected=text))
    done = fetcher.fetch(offered(server, CONTENT))
    assert done.path.read_bytes() == CONTENT
    assert len(server.requests) == (2 if len(text) < 1 << 14 else 3)


@pytest.mark.fault(
    row=37,
    injected="200 in place of 206, another start, 416, another version",
    outcome="begins again at 0; nothing is appended",
)
@pytest.mark.parametrize(
    "reply",
    [
        Reply(ranges=False),
        Reply(shift=7),
        Reply(416),
        Reply(etag='"other"'),
    ],
)
def test_where_a_part_cannot_be_continued_the_whole_is_got(
    server: FileServer, fetcher: Fetcher, reply: Reply
) -> None:
    """Fault 7: the range is ignored, another part is sent, or the version has changed."""
    server.replies.extend([Reply(cut=SIZE // 2), reply])
    done = fetcher.fetch(offered(server, CONTENT))
    assert done.path.read_bytes() == CONTENT


@pytest.mark.parametrize("named", [{"etag": ""}, {"etag": "", "headers": MODIFIED}])
def test_continued_without_an_etag(
    server: FileServer, fetcher: Fetcher, named: dict[str, Any]
) -> None:
    """The date identifies it; or the size, as the checksum is compared at the end."""
    server.usual = Reply(**named)
    server.replies.append(Reply(cut=SIZE // 2, **named))
    fetcher.fetch(offered(server, CONTENT))
    assert server.ranges[1] == f"bytes={SIZE // 2 - (1 << 14)}-"


@pytest.mark.fault(
    row=29,
    injected="the body ends early and nothing states its length",
    outcome="found by the end of the archive; fetched again, and nothing wrong is published",
)
def test_a_cut_that_nothing_states(server: FileServer, fetcher: Fetcher) -> None:
    """Fault 8 without a length: found by the end of the archive."""
    server.replies.append(Reply(cut=SIZE // 2, length=False))
    server.usual = Reply(length=False)
    done = fetcher.fetch(offered(server, CONTENT))
    assert done.path.read_bytes() == CONTENT
    offer = offered(server, CONTENT, product_id=NAME[:-1] + "3")
    server.usual = Reply(cut=SIZE // 2, length=False, ranges=False)
    with pytest.raises(Failure, match="4 downloads were wrong: the archive is not a zip") as raised:
        fetcher.fetch(offer)
    assert (raised.value.is_passing, raised.value.code) == (True, "E-FETCH-NETWORK")


@pytest.mark.fault(
    row=29,
    injected="Content-Length is that of a cut body",
    outcome="continued by the size in the catalogue; the MD5 is right",
)
def test_a_cut_that_the_server_takes_for_the_whole(server: FileServer, fetcher: Fetcher) -> None:
    """Fault 8 with the length of what is sent: it goes on from there, by the size published."""
    etag = '"1"'
    server.usual = Reply(etag=etag)
    server.replies.append(Reply(content=CONTENT[: SIZE // 2], etag=etag))
    fetcher.fetch(offered(server, CONTENT))
    assert fetcher.came == SIZE + (1 << 14)


@pytest.mark.fault(
    row=33,
    injected="200 with HTML, JSON, XML or a line of text",
    outcome="refused by its first bytes and named with an excerpt; fetched again",
)
@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"<!DOCTYPE html><html><title>Maintenance</title>", "Maintenance"),
        (b'{"code": "DAT-ZIP-100", "message": "Max session"}', "DAT-ZIP-100"),
        (b'<?xml version="1.0"?><Error><Code>Slow</Code></Error>', "Slow"),
        (b"upstream request timeout", "upstream"),
    ],
)
def test_a_message_in_place_of_the_file(
    server: FileServer, fetcher: Fetcher, body: bytes, shown: str
) -> None:
    """Fault 5: it is named with an excerpt, and asked again."""
    offer = offered(server, CONTENT)
    server.replies.append(Reply(content=body))
    assert fetcher.fetch(offer).path.read_bytes() == CONTENT
    other = replace(offer, product_id=NAME.replace("V2-2", "V2-3"))
    server.usual = Reply(content=body)
    with pytest.raises(Failure, match=shown) as raised:
        fetcher.fetch(other)
    assert raised.value.is_passing
    assert raised.value.code == "E-FETCH-SERVER"
    server.usual, asked = Reply(), len(server.requests)
    assert fetcher.fetch(other).flag is None
    assert len(server.requests) == asked + 1, "nothing of the message is taken for a part"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(content=b""),
        Reply(content=b"", length=False),
        Reply(content=b'{"detail": "product is offline, staging"}'),
    ],
)
def test_a_product_on_tape(server: FileServer, fetcher: Fetcher, reply: Reply) -> None:
    """Fault 4: 0 bytes with status 200."""
    server.usual = reply
    for is_online, asked in ((False, 1), (None, 3), (True, 5)):
        with pytest.raises(OnTape):
            fetcher.fetch(offered(server, CONTENT, is_online=is_online))
        assert len(server.requests) == asked
    assert fetcher.published == []
    server.replies.extend([reply, Reply()])  # a fault that passes
    other = offered(server, CONTENT, product_id=NAME[:-1] + "3")
    assert fetcher.fetch(other).path.read_bytes() == CONTENT
    server.usual = Reply()
    assert fetcher.fetch(offered(server, CONTENT)).path.read_bytes() == CONTENT


def test_a_refusal_of_what_is_said_to_be_on_tape(server: FileServer, fetcher: Fetcher) -> None:
    offer = offered(server, CONTENT, is_online=False)
    server.usual = Reply(404)
    with pytest.raises(OnTape):
        fetcher.fetch(offer)
    with pytest.raises(Failure):
        fetcher.fetch(replace(offer, is_online=True))


@pytest.mark.fault(
    row=38,
    injected="the published checksum fits no content",
    outcome="accepted with a flag after two equal downloads; no endless loop",
)
def test_a_wrong_checksum_of_a_whole_archive_is_flagged(
    server: FileServer, fetcher: Fetcher
) -> None:
    """Fault 9: accepted when it came twice the same; a wrong size besides changes nothing."""
    done = fetcher.fetch(offered(server, CONTENT, b"something else"))
    assert done.flag is not None
    assert "md5 is not the published one" in done.flag
    assert "2 times the same" in done.flag
    assert len(server.requests) == 2
    assert done.path.read_bytes() == CONTENT


def test_the_count_of_wrong_downloads_outlives_the_process(
    server: FileServer, fetcher: Fetcher
) -> None:
    offer = offered(server, CONTENT, b"something else")
    with pytest.raises(Failure, match="1 download was wrong"):
        fetcher.fetch(offer, most_wrong=1)
    assert fetcher.fetch(offer).flag
    assert len(server.requests) == 2


def test_one_wrong_download_is_repaired(server: FileServer, fetcher: Fetcher) -> None:
    damaged = bytearray(CONTENT)
    damaged[SIZE // 2] ^= 1
    server.replies.append(Reply(content=bytes(damaged)))
    done = fetcher.fetch(offered(server, CONTENT))
    assert (done.path.read_bytes(), done.flag) == (CONTENT, None)


def test_what_is_damaged_at_its_source_is_kept_apart(server: FileServer, fetcher: Fetcher) -> None:
    """Fault 10: a member is damaged although size and MD5 are right; never published."""
    damaged = bytearray(CONTENT)
    damaged[SIZE // 2] ^= 1
    offer = offered(server, bytes(damaged))
    with pytest.raises(Quarantined, match="damaged member") as raised:
        fetcher.fetch(offer)
    assert raised.value.path.read_bytes() == damaged
    assert fetcher.published == []
    assert len(server.requests) == 2
    with pytest.raises(Quarantined):
        fetcher.fetch(offer)
    assert len(server.requests) == 3, "the same content again needs no second look"
    assert fetcher.fetch(replace(offered(server, CONTENT), provider="mirror")).flag is None
    assert not list(fetcher.folder.quarantine.iterdir())


@pytest.mark.parametrize(
    ("other", "shown"),
    [
        (muscate_zip(NAME.replace("20180105", "20180110")), "another product"),
        (muscate_zip(NAME.replace("_L2A_", "_L3A_")), "another product"),
        (muscate_zip(NAME.replace("V2-2", "V2-1")), None),
        (muscate_zip(bands=("B2", "B3", "B4")), "lacks B5, B6, B7, B8 and 3 more"),
        (muscate_zip(masks=()), r"lacks \*_CLM_R1.tif"),
    ],
)
def test_an_archive_of_other_content(
    server: FileServer, fetcher: Fetcher, other: bytes, shown: str | None
) -> None:
    url = server.put("/product.zip", other)
    offer = offer_of(RemoteFile("a.zip", url))
    if shown is None:
        assert fetcher.fetch(offer).flag is None
        return
    with pytest.raises(Quarantined, match=shown):
        fetcher.fetch(offer)
    assert fetcher.published == []


def test_what_is_incomplete_as_published_is_flagged(server: FileServer, fetcher: Fetcher) -> None:
    """The checksum is right: there is no other; the reader leaves such a product out."""
    done = fetcher.fetch(offered(server, muscate_zip(bands=("B2", "B3", "B4"))))
    assert "lacks B5" in (done.flag or "")
    other = offered(server, muscate_zip(bands=("B2", "B3")), product_id=NAME[:-1] + "3")
    assert fetcher.fetch(other, bands=("B2", "B3")).flag is None


def test_the_size_of_a_catalogue_is_not_trusted_alone(server: FileServer, fetcher: Fetcher) -> None:
    """Copernicus Data Space states the size of the unpacked product for some."""
    url = server.put("/product.zip", CONTENT)
    done = fetcher.fetch(offer_of(RemoteFile("a.zip", url, 2 * SIZE)))
    assert f"has {SIZE} bytes, published are {2 * SIZE}" in (done.flag or "")
    assert len(server.requests) == 1


def member(name: str, content: bytes = b"text", attributes: int = 0) -> bytes:
    from io import BytesIO

    stream = BytesIO(CONTENT)
    with zipfile.ZipFile(stream, "a") as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = attributes << 16
        archive.writestr(info, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (member("../../escape.txt"), "leads out of its folder"),
        (member("/etc/passwd"), "leads out of its folder"),
        (member("a/..\\..\\b"), "leads out of its folder"),
        (member("link", b"/etc/passwd", 0o120777), "symbolic link"),
        (b"PK\x03\x04" + b"x" * 5000, "is not a zip"),
        (CONTENT[: SIZE // 2], "is not a zip or is cut"),
    ],
)
def test_hostile_and_damaged_archives(
    server: FileServer, fetcher: Fetcher, content: bytes, shown: str
) -> None:
    with pytest.raises(Quarantined, match=shown):
        fetcher.fetch(offered(server, content))
    assert fetcher.published == []


def test_two_fetches_never_write_one_part(server: FileServer, fetcher: Fetcher) -> None:
    offer = offered(server, CONTENT)
    lock = fetcher.folder.locks / f"{NAME}.lock"
    with owned(lock) as first:
        assert first
        with owned(lock) as second:
            assert not second
        with pytest.raises(AtWork):
            fetcher.fetch(offer)
    assert server.requests == []
    assert not lock.exists()
    assert fetcher.fetch(offer).flag is None


@pytest.mark.fault(
    row=38,
    injected="the entry of the catalogue has another checksum",
    outcome="fetched once more, and replaces what is there",
)
def test_another_version_replaces_what_is_there(server: FileServer, fetcher: Fetcher) -> None:
    """Fault 17 under one name: the entry of the catalogue has another checksum now."""
    fetcher.fetch(offered(server, CONTENT))
    newer = muscate_zip(size=32)
    assert not fetcher.fetch(offered(server, newer, entry="2")).was_there
    assert (fetcher.into / PLACE).read_bytes() == newer


def test_a_product_that_was_damaged_on_disk_is_fetched_again(
    server: FileServer, fetcher: Fetcher
) -> None:
    offer = offered(server, CONTENT)
    path = fetcher.fetch(offer).path
    path.write_bytes(CONTENT[:-100])
    assert not fetcher.fetch(offer).was_there
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["../x", "a b", ".hidden", "a/b", "", "x" * 300, "a\nb"])
def test_names_that_leave_the_folder(server: FileServer, fetcher: Fetcher, name: str) -> None:
    with pytest.raises(Failure, match="a name that is not used") as raised:
        fetcher.fetch(offered(server, CONTENT, product_id=name))
    assert not raised.value.is_passing
    assert server.requests == []
