"""Mirrors: a folder of this machine, a directory on the web."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.catalogues import MD5, NEED, SAFE_NEED, failing, muscate_name, provider, safe_name
from support.stac_factory import edit, write

from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.imagery.remote.transport import Version
from oso_pipeline.retrieval.catalogues import catalogue_of
from oso_pipeline.retrieval.catalogues.listings import WebTree, sums_in
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.names import named_item
from oso_pipeline.retrieval.offers import Answered, Need
from oso_pipeline.retrieval.transfer.publish import local_item

NAME = muscate_name(date(2018, 5, 1))
SAFE = safe_name(date(2018, 5, 1))


def search(address: str, need: Need, session: Any = None) -> Answered:
    table = provider("mirror", need.family, address=address)
    return catalogue_of("m", table, session).search(need, Deadline.after(60))


def put(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("place", ["", "T31TCJ/", "31TCJ/2018/", "theia/2018/T31TCJ/"])
def test_an_archive_in_any_usual_folder(tmp_path: Path, place: str) -> None:
    path = put(tmp_path / f"{place}{NAME}.zip", b"12345")
    put(path.with_name("MD5SUMS"), f"{MD5} *{NAME}.zip\nno line\n".encode())
    put(path.with_name(f"{muscate_name(date(2018, 5, 1), tile='31TDJ')}.zip"))
    put(path.with_name(f"{muscate_name(date(2019, 5, 1))}.zip"))
    put(path.with_name(f"{NAME}.zip.part"))
    answered = search(str(tmp_path), NEED)
    (offer,) = answered.offers
    (file,) = offer.files
    assert (offer.product_id, offer.form, offer.is_online) == (NAME, "zip", True)
    assert file.url == path.as_uri()
    assert (file.size_bytes, file.checksum) == (5, f"d50110{MD5}")
    assert answered.faults == ()


def test_folders_of_other_tiles_and_years_are_passed_over(tmp_path: Path) -> None:
    put(tmp_path / "T31TDJ" / f"{NAME}.zip")
    put(tmp_path / "2016" / f"{NAME}.zip")
    assert search(str(tmp_path), NEED).offers == ()


def test_a_product_that_is_a_folder(tmp_path: Path) -> None:
    root = tmp_path / f"{SAFE}.SAFE"
    put(root / "MTD_MSIL2A.xml")
    put(root / "GRANULE" / "L2A_T31TCJ_A1" / "IMG_DATA" / "R10m" / "T31TCJ_B02_10m.jp2", b"jp2")
    put(root / "GRANULE" / "L2A_T31TCJ_A1" / "IMG_DATA" / "R60m" / "T31TCJ_B01_60m.jp2")
    put(root / "HTML" / "index.html")
    (offer,) = search(str(tmp_path), SAFE_NEED).offers
    assert (offer.product_id, offer.form) == (SAFE, "files")
    assert {file.name for file in offer.files} == {
        "MTD_MSIL2A.xml", "GRANULE/L2A_T31TCJ_A1/IMG_DATA/R10m/T31TCJ_B02_10m.jp2",
    }  # fmt: skip


def test_items_of_a_mirror(tmp_path: Path) -> None:
    folder = tmp_path / "T32UNU" / "product"
    item = json.loads(write(folder).read_text())
    tile = named_item(item)[0].tile  # type: ignore[index]
    put(tmp_path / "T32UNU" / "no.json", b"{")
    put(tmp_path / "T32UNU" / "other.json", b"[1]")
    place = tmp_path / f"T{tile}"
    (tmp_path / "T32UNU").rename(place)
    need = Need("stac", tile, date(2000, 1, 1), date(2100, 1, 1))
    answered = search(str(tmp_path), need)
    (offer,) = answered.offers
    assert (offer.product_id, offer.form, len(offer.files)) == (item["id"], "files", 11)
    for file in offer.files:
        assert (place / "product" / item["id"] / file.name).as_uri() == file.url
    assert answered.faults == ("1 product with an item that is not usable JSON",)
    assert local_item(offer)["assets"].keys() <= item["assets"].keys()


def test_items_of_a_mirror_lead_out_of_no_mirror(tmp_path: Path) -> None:
    path = write(tmp_path / "mirror" / "product")
    (tile,) = {named_item(json.loads(path.read_text()))[0].tile}  # type: ignore[index]
    each = "file:///etc/passwd", "../../../passwd", "https://evil.test/B04.tif"
    need = Need("stac", tile, date(2000, 1, 1), date(2100, 1, 1))
    for href in each:
        edit(path, lambda item: item["assets"]["red"].update(href=href))  # noqa: B023
        assert search(str(tmp_path / "mirror"), need).offers == ()


def test_an_entry_changes_with_the_file(tmp_path: Path) -> None:
    path = put(tmp_path / f"{NAME}.zip", b"12345")
    (before,) = search(str(tmp_path), NEED).offers
    put(path, b"123456")
    (after,) = search(str(tmp_path), NEED).offers
    assert before.entry != after.entry


def test_a_mirror_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        search(str(tmp_path / "unmounted"), NEED)
    assert caught.value.code == "E-FETCH-CATALOGUE"
    assert "No such file" in caught.value.found


def test_the_deadline_ends_a_walk(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"folder{number}").mkdir()
    clock = iter(range(1000))
    table = provider("mirror", address=str(tmp_path))
    with failing("E-FETCH-CATALOGUE"):
        catalogue_of("m", table, None).search(NEED, Deadline(5.0, lambda: float(next(clock))))


class Web:
    """A session that serves pages."""

    def __init__(self, pages: dict[str, str]) -> None:
        self.pages, self.requests, self.failures = pages, list[str](), list[Failure]()

    @contextmanager
    def slot(self, deadline: Deadline | None = None) -> Iterator[None]:
        yield

    def open(self, url: str, deadline: Deadline) -> Any:
        self.requests.append(url)
        if self.failures:
            raise self.failures.pop()
        content = [self.pages[urlsplit(url).path].encode()]
        response = SimpleNamespace(
            read1=lambda size: content.pop() if content else b"", close=lambda: None
        )
        return SimpleNamespace(response=response, start=0, version=Version(None, None, None))


NGINX = (
    '<html><body><h1>Index of /m/</h1><pre><a href="../">../</a>\r\n{}\r\n</pre>\r\n'
    "<address>Server at m.test Port 8080</address></body></html>"
)


def line(name: str, size: str) -> str:
    return f'<a href="{name}">{name}</a>     26-Jun-2018 08:00      {size}'


def test_a_directory_on_the_web() -> None:
    sums = hashlib.sha256(b"").hexdigest()
    links = [
        line("T31TCJ/", "-"), line("T31TDJ/", "-"), line("?C=M;O=A", "-"),
        line("/elsewhere/", "-"), line("https://evil.test/m/T31TCJ/", "-"),
    ]  # fmt: skip
    inside = [line(f"{NAME}.zip", "12345"), line("SHA256SUMS", "99"), line("..%2f..%2fetc", "1")]
    session = Web(
        {
            "/m/": NGINX.format("\r\n".join(links)),
            "/m/T31TCJ/": NGINX.format("\r\n".join(inside)),
            "/m/T31TCJ/SHA256SUMS": f"{sums}  ./{NAME}.zip\n",
        }
    )
    (offer,) = search("https://m.test/m", NEED, session).offers
    (file,) = offer.files
    assert file.url == f"https://m.test/m/T31TCJ/{NAME}.zip"
    assert (file.size_bytes, file.checksum) == (12345, f"1220{sums}")
    assert session.requests == [
        "https://m.test/m/", "https://m.test/m/T31TCJ/", "https://m.test/m/T31TCJ/SHA256SUMS",
    ]  # fmt: skip


@pytest.mark.parametrize(("shown", "size"), [("12M", None), ("-", None), ("512", 512)])
def test_only_exact_sizes_are_sizes(shown: str, size: int | None) -> None:
    session = Web({"/m/": NGINX.format(line(f"{NAME}.zip", shown))})
    (offer,) = search("https://m.test/m/", NEED, session).offers
    assert offer.files[0].size_bytes == size


def test_a_page_that_fails_now_is_requested_again() -> None:
    session = Web({"/m/": NGINX.format(line(f"{NAME}.zip", "1"))})
    session.failures = [Failure("E-FETCH-SERVER", "503", "https://m.test/m/", True, 7.0)] * 2
    slept = list[float]()
    tree = WebTree("https://m.test/m/", session, slept.append)
    assert [one.name for one in tree.listed("", Deadline.after(60))] == [f"{NAME}.zip"]
    assert slept == [7.0, 7.0]
    session.failures = [Failure("E-FETCH-SERVER", "503", "https://m.test/m/", True, 7.0)]
    with pytest.raises(Failure, match="503"):
        tree.listed("", Deadline.after(5))  # it would wait longer than there is time


def test_checksums_of_other_lengths_are_passed_over() -> None:
    assert sums_in(f"{MD5}  a.zip\n{MD5}00 b.zip\n# c\n{MD5.upper()} *d.zip", 32) == {
        "a.zip": MD5, "d.zip": MD5,
    }  # fmt: skip


def test_a_product_that_is_a_folder_on_the_web() -> None:
    session = Web(
        {
            "/m/": NGINX.format(line(f"{SAFE}.SAFE/", "-")),
            f"/m/{SAFE}.SAFE/": NGINX.format(
                "\r\n".join(
                    [line("MTD_MSIL2A.xml", "9"), line("GRANULE/", "-"), line("HTML/", "-")]
                )
            ),
            f"/m/{SAFE}.SAFE/GRANULE/": NGINX.format(line("B02_10m.jp2", "12")),
        }
    )
    (offer,) = search("https://m.test/m/", SAFE_NEED, session).offers
    assert [(file.name, file.size_bytes) for file in offer.files] == [
        ("MTD_MSIL2A.xml", 9), ("GRANULE/B02_10m.jp2", 12),
    ]  # fmt: skip
    assert offer.files[1].url == f"https://m.test/m/{SAFE}.SAFE/GRANULE/B02_10m.jp2"


def test_a_family_that_the_mirror_does_not_have(tmp_path: Path) -> None:
    table = provider("mirror", "l3a", address=str(tmp_path))
    with failing("E-FETCH-COLLECTION"):
        catalogue_of("m", table, None).search(NEED, Deadline.after(60))
