"""Products of many files, and what the readers of images make of what was fetched."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from support import safe_factory, stac_factory
from support.fetching import NAME, Fetcher, muscate_zip, offer_of, offered, read_back
from support.file_server import FileServer, Reply, file_server
from support.muscate_factory import Muscate

from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.imagery.remote.transport import Transport
from oso_pipeline.retrieval.offers import Offer, RemoteFile
from oso_pipeline.retrieval.transfer.outcomes import Quarantined

ITEM = "S2A_31TCJ_20180105_0_L2A"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as state:
        yield state


@pytest.fixture
def fetcher(tmp_path: Path) -> Fetcher:
    return Fetcher(tmp_path / "images")


def stac_offer(server: FileServer, folder: Path, catalogue: Any = "earth-search-c1") -> Offer:
    """Return the offer of an item whose files are on the server, with checksums as it may have."""
    item = stac_factory.write(folder, catalogue)
    document = json.loads(item.read_text())
    files = []
    for number, (key, asset) in enumerate(document["assets"].items()):
        content = (item.parent / asset["href"]).read_bytes()
        name = Path(asset["href"]).name
        url = server.put(f"/{key}/{name}", content)
        asset["href"] = f"{url}?sig=secret"
        checksum = "1220" + hashlib.sha256(content).hexdigest() if number % 2 else None
        files.append(RemoteFile(name, asset["href"], len(content), checksum))
    document["links"] = [{"rel": "self", "href": f"{server.address}/item?token=secret"}]
    document["assets"]["thumbnail"] = {"href": f"{server.address}/t.jpg", "type": "image/jpeg"}
    identifier = document["id"]
    return offer_of(*files, family="stac", product_id=identifier, form="files", document=document)


@pytest.mark.parametrize("catalogue", ["earth-search-c1", "planetary-computer", "data-space"])
def test_a_stac_product_is_read(
    server: FileServer, fetcher: Fetcher, tmp_path: Path, catalogue: str
) -> None:
    offer = stac_offer(server, tmp_path / "source", catalogue)
    done = fetcher.fetch(offer)
    assert (done.flag, done.path.name) == (None, offer.product_id)
    inventory, builder = read_back(fetcher.into)
    (acquisition,) = inventory.acquisitions
    assert acquisition.product_id == offer.product_id
    assert all(Path(one.href).is_relative_to(done.path) for one in acquisition.bands.values())
    assert [problem for problem in builder.problems if problem.is_error] == []
    text = (done.path / f"{offer.product_id}.json").read_text()
    assert "secret" not in text
    assert (
        "http"
        not in json.loads(text)["assets"][
            "blue" if "earth" in catalogue else "B02" if "planet" in catalogue else "B02_10m"
        ]["href"]
    )
    assert [name for name, _, _ in done.files][-1] == f"{offer.product_id}.json"
    assert fetcher.parts == []
    again = fetcher.fetch(offer)
    assert again.was_there
    for name, size, sha256 in done.files:
        content = (done.path / name).read_bytes()
        assert (size, sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_a_folder_appears_whole(server: FileServer, fetcher: Fetcher, tmp_path: Path) -> None:
    """Files that came are kept as parts until all are there, and are not got again."""
    offer = stac_offer(server, tmp_path / "source")
    last = offer.files[-1]
    path = urlsplit(last.url).path
    content = server.files.pop(path)
    with pytest.raises(Failure) as raised:
        fetcher.fetch(offer)
    assert raised.value.code == "E-FETCH-GONE"
    assert fetcher.published == []
    server.files[path] = content
    asked = len(server.requests)
    assert fetcher.fetch(offer).flag is None
    assert len(server.requests) == asked + 1
    assert len(read_back(fetcher.into)[0].acquisitions) == 1


def test_a_part_of_a_tree_that_was_damaged_since_is_got_again(
    server: FileServer, fetcher: Fetcher, tmp_path: Path
) -> None:
    offer = stac_offer(server, tmp_path / "source")
    path = urlsplit(offer.files[-1].url).path
    content = server.files.pop(path)
    with pytest.raises(Failure):
        fetcher.fetch(offer)
    (kept,) = fetcher.folder.parts.rglob(f"tree/{offer.files[0].name}")
    kept.write_bytes(bytes(len(server.files[urlsplit(offer.files[0].url).path])))
    server.files[path] = content
    done = fetcher.fetch(offer)
    first = server.files[urlsplit(offer.files[0].url).path]
    assert (done.path / offer.files[0].name).read_bytes() == first


@pytest.mark.parametrize("fault", ["cut", "checksum", "page"])
def test_a_damaged_file_of_a_folder(
    server: FileServer, fetcher: Fetcher, tmp_path: Path, fault: str
) -> None:
    offer = stac_offer(server, tmp_path / "source")
    number = 1 if fault == "checksum" else 0
    path = urlsplit(offer.files[number].url).path
    content = server.files[path]
    changed = {
        "cut": content[: len(content) // 2],
        "checksum": content[:-1] + bytes([content[-1] ^ 1]),
        "page": b"<html><title>Sorry</title></html>",
    }[fault]
    server.files[path] = changed
    with pytest.raises(Failure if fault == "page" else Quarantined):
        fetcher.fetch(offer)
    assert fetcher.published == []
    server.files[path] = content
    assert fetcher.fetch(offer).flag is None


def test_a_wrong_size_in_an_item_is_flagged(
    server: FileServer, fetcher: Fetcher, tmp_path: Path
) -> None:
    offer = stac_offer(server, tmp_path / "source")
    first = replace(offer.files[0], size_bytes=7)
    done = fetcher.fetch(replace(offer, files=(first, *offer.files[1:])))
    assert "published are 7" in (done.flag or "")


def test_a_flag_outlives_the_process(server: FileServer, fetcher: Fetcher, tmp_path: Path) -> None:
    """Of a file that was accepted before the process ended."""
    offer = stac_offer(server, tmp_path / "source")
    wrong = replace(offer.files[0], size_bytes=7)
    offer = replace(offer, files=(wrong, *offer.files[1:]))
    path = urlsplit(offer.files[-1].url).path
    content = server.files.pop(path)
    with pytest.raises(Failure):
        fetcher.fetch(offer)
    server.files[path] = content
    assert "published are 7" in (Fetcher(fetcher.into).fetch(offer).flag or "")


def test_a_zip_of_muscate_is_read(server: FileServer, fetcher: Fetcher) -> None:
    fetcher.fetch(offered(server, muscate_zip()))
    inventory, _ = read_back(fetcher.into)
    assert [one.product_id for one in inventory.acquisitions] == [NAME]


def test_a_zip_of_esa_is_read(server: FileServer, fetcher: Fetcher, tmp_path: Path) -> None:
    path = safe_factory.write(tmp_path / "source", as_zip=True)
    content = path.read_bytes()
    url = server.put("/odata/v1/Products(1)/$value", content)
    product_id = path.stem.removesuffix(".SAFE")
    file = RemoteFile(f"{product_id}.zip", url, 3 * len(content), is_size_a_hint=True)
    done = fetcher.fetch(offer_of(file, family="safe", product_id=product_id))
    assert done.flag is None
    inventory, _ = read_back(fetcher.into)
    assert [one.product_id for one in inventory.acquisitions] == [product_id]


class Store:
    """Answers as an object store does: listings of a prefix, some keys a page, and objects."""

    def __init__(self, server: FileServer, product: Path, prefix: str, page: int = 7) -> None:
        self.server, self.page = server, page
        self.files = {
            f"{prefix}{path.relative_to(product).as_posix()}": path.read_bytes()
            for path in sorted(product.rglob("*"))
            if path.is_file()
        }
        for key, content in self.files.items():
            server.put(f"/eodata/{key}", content)
        server.check = self._answer

    def _answer(self, path: str, headers: dict[str, str]) -> int | None:
        query = parse_qs(urlsplit(path).query)
        if "list-type" in query:
            assert list(query) == sorted(query), "the signature wants them sorted"
            begin = int(query.get("continuation-token", ["0"])[0])
            keys = sorted(key for key in self.files if key.startswith(query["prefix"][0]))
            shown, end = keys[begin : begin + self.page], begin + self.page
            more = f"<NextContinuationToken>{end}</NextContinuationToken>" * (end < len(keys))
            contents = "".join(
                f"<Contents><Key>{key}</Key><Size>{len(self.files[key])}</Size></Contents>"
                for key in shown
            )
            text = (
                '<?xml version="1.0"?><ListBucketResult '
                f'xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{contents}{more}'
                "</ListBucketResult>"
            )
            self.server.files[urlsplit(path).path] = text.encode()
        return None


def manifest(product: Path, wrong: str = "") -> None:
    """Write the manifest of a SAFE product, with the MD5 of each file."""
    streams = "".join(
        f'<dataObject><byteStream size="{path.stat().st_size}"><fileLocation '
        f'href="./{path.relative_to(product).as_posix()}"/><checksum checksumName="MD5">'
        f"{hashlib.md5(path.read_bytes() + wrong.encode()).hexdigest().upper()}"
        "</checksum></byteStream></dataObject>"
        for path in sorted(product.rglob("*"))
        if path.is_file()
    )
    (product / "manifest.safe").write_text(
        f'<?xml version="1.0"?><x:XFDU xmlns:x="urn:ccsds:schema:xfdu:1">{streams}</x:XFDU>'
    )


@pytest.mark.parametrize("wrong", ["", "x"])
def test_a_folder_of_an_object_store(
    server: FileServer, fetcher: Fetcher, tmp_path: Path, wrong: str
) -> None:
    """The files that the reader needs, with the checksums of the manifest."""
    product = safe_factory.write(tmp_path / "source")
    (product / "GRANULE" / "preview.jpg").write_bytes(b"not needed")
    manifest(product, wrong)
    product_id = product.name.removesuffix(".SAFE")
    prefix = f"Sentinel-2/MSI/L2A/{product.name}/"
    Store(server, product, prefix)
    fetcher.session.transport = Transport({"AWS_ENDPOINT_URL": server.address})
    file = RemoteFile(product.name, f"s3://eodata/{prefix}", 10**9, is_size_a_hint=True)
    offer = offer_of(file, family="safe", product_id=product_id, form="files")
    if wrong:
        with pytest.raises(Quarantined, match="md5"):
            fetcher.fetch(offer)
        assert fetcher.published == []
        return
    done = fetcher.fetch(offer)
    assert done.flag is None
    names = [name for name, _, _ in done.files]
    assert "manifest.safe" in names
    assert not any(name.endswith((".jpg", "B02_20m.jp2", "_60m.jp2")) for name in names)
    inventory, _ = read_back(fetcher.into)
    assert [one.product_id for one in inventory.acquisitions] == [product_id]
    assert fetcher.fetch(offer).was_there


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"<?xml version='1.0'?><ListBucketResult/>", "E-FETCH-GONE"),
        (b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "E-FETCH-SERVER"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "E-FETCH-SERVER"),
        (b"<?xml version='1.0'?><Other/>", "E-FETCH-SERVER"),
    ],
)
def test_a_folder_that_cannot_be_listed(
    server: FileServer, fetcher: Fetcher, answer: bytes, code: str
) -> None:
    fetcher.session.transport = Transport({"AWS_ENDPOINT_URL": server.address})
    server.usual = Reply(content=answer)
    file = RemoteFile("a.SAFE", "s3://eodata/a.SAFE/")
    with pytest.raises(Failure) as raised:
        fetcher.fetch(offer_of(file, family="safe", product_id="a", form="files"))
    assert raised.value.code == code


def test_a_listing_that_leads_out_of_the_folder(server: FileServer, fetcher: Fetcher) -> None:
    fetcher.session.transport = Transport({"AWS_ENDPOINT_URL": server.address})
    server.usual = Reply(
        content=b"<?xml version='1.0'?><ListBucketResult><Contents><Key>a.SAFE/../../MTD_TL.xml"
        b"</Key><Size>5</Size></Contents></ListBucketResult>"
    )
    file = RemoteFile("a.SAFE", "s3://eodata/a.SAFE/")
    with pytest.raises(Failure, match="a name that is not used"):
        fetcher.fetch(offer_of(file, family="safe", product_id="a", form="files"))


def test_a_mirror_folder_is_copied_with_the_same_checks(fetcher: Fetcher, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    archive = Muscate(NAME).write_zip(mirror)
    good = RemoteFile(archive.name, archive.as_uri(), archive.stat().st_size)
    assert fetcher.fetch(offer_of(good)).path.read_bytes() == archive.read_bytes()
    other = NAME[:-1] + "3"
    folder = Muscate(other).write(mirror)
    as_folder = RemoteFile(other, f"{folder.as_uri()}/")
    fetcher.fetch(offer_of(as_folder, product_id=other, form="files"))
    inventory, _ = read_back(fetcher.into)
    assert [one.product_id for one in inventory.acquisitions] == [other]
    damaged = mirror / "damaged.zip"
    damaged.write_bytes(archive.read_bytes()[:-500])
    last = offer_of(RemoteFile("a.zip", damaged.as_uri()), product_id=NAME[:-1] + "4")
    with pytest.raises(Quarantined, match="is cut"):
        fetcher.fetch(last)
    gone = RemoteFile("a.zip", (mirror / "gone.zip").as_uri())
    with pytest.raises(Failure, match="no such file in the mirror"):
        fetcher.fetch(offer_of(gone, product_id=NAME[:-1] + "5"))


@pytest.mark.parametrize(
    "name", ["../out.tif", "/etc/x.tif", "a/../../b.tif", "a\\..\\b.tif", "a//b"]
)
def test_files_that_leave_the_folder(server: FileServer, fetcher: Fetcher, name: str) -> None:
    file = RemoteFile(name, server.put("/a.tif", b"x"))
    with pytest.raises(Failure, match="a name that is not used"):
        fetcher.fetch(offer_of(file, form="files"))
    assert server.requests == []


def test_checksums_of_other_kinds(server: FileServer, fetcher: Fetcher) -> None:
    """BLAKE3 needs a library; without it that is said, and members are checked as ever."""
    content = muscate_zip()
    url = server.put("/product.zip", content)
    for number, checksum in enumerate(("1e20" + 64 * "0", "9999", "1220" + 64 * "0")):
        offer = offer_of(
            RemoteFile("a.zip", url, len(content), checksum), product_id=f"{NAME[:-1]}{number}"
        )
        done = fetcher.fetch(offer)
        if number == 2:
            assert "sha256 is not the published one" in (done.flag or "")
        elif done.flag is None:
            assert "not compared" in done.remarks[0]
