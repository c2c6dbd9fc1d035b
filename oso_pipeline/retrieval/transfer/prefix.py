"""The files of a product that is offered as a folder: of an object store, or of this machine.

A folder of a store is listed as S3 does (``ListObjectsV2``). Of a SAFE product, the files that the
reader needs are taken, with sizes and checksums of its ``manifest.safe`` where that has them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree

from oso_pipeline.imagery.file_names import is_clutter
from oso_pipeline.imagery.metadata_file import MAX_BYTES, MetadataError, parse_xml
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.families import delivery_of
from oso_pipeline.retrieval.offers import Offer, RemoteFile

MANIFEST = "manifest.safe"
MOST_PAGES, MOST_FILES = 50, 20_000

_CODES = {"MD5": ("d50110", 32), "SHA3-256": ("1620", 64), "SHA-256": ("1220", 64)}

Get = Callable[[str, int], bytes]
"""Returns the content of a small file of an address, at most so many bytes."""


def with_files(offer: Offer, get: Get) -> Offer:
    """Return an offer whose folders, with addresses that end in ``/``, are replaced by their files.

    Parameters
    ----------
    offer
        The offer.
    get
        Requests listings and the manifest.

    Raises
    ------
    Failure
        If a folder cannot be listed, or holds nothing that is needed.
    """
    if not any(file.url.endswith("/") for file in offer.files):
        return offer
    files: list[RemoteFile] = []
    for file in offer.files:
        is_folder = file.url.endswith("/")
        files += _of_folder(file.url, offer.need.family, get) if is_folder else [file]
    return replace(offer, files=tuple(files))


def _of_folder(url: str, family: str, get: Get) -> list[RemoteFile]:
    scheme = urlsplit(url).scheme
    if scheme not in ("s3", "file"):
        raise Failure("E-FETCH-REFUSED", f"folders of {scheme} cannot be listed", url)
    listed = _in_store(url, get) if scheme == "s3" else _on_disk(url)
    found = list(listed)
    wanted = [file for file in found if _is_needed(file.name, family)]
    if not wanted:
        text = f"the folder holds none of the files of a product ({len(found)} others)"
        raise Failure("E-FETCH-GONE", text, url)
    manifest = next((file for file in found if file.name == MANIFEST), None)
    if manifest is None:
        return wanted
    stated = _stated(get(manifest.url, MAX_BYTES))
    return [*(_described(file, stated) for file in wanted if file != manifest), manifest]


def _is_needed(name: str, family: str) -> bool:
    """Return whether the reader of a family opens a file of a product, for whichever bands."""
    if is_clutter(name):
        return False
    delivery = delivery_of(family)
    return delivery is None or delivery.reads(name.rpartition("/")[2])


def _in_store(url: str, get: Get) -> Iterator[RemoteFile]:
    """Yield the objects below an address of a store."""
    parts = urlsplit(url)
    prefix, token, count = unquote(parts.path).lstrip("/"), "", 0
    for _ in range(MOST_PAGES):
        parameters = {"continuation-token": token} if token else {}
        parameters |= {"list-type": "2", "prefix": prefix}
        query = "&".join(f"{key}={quote(value, safe='-_.~')}" for key, value in parameters.items())
        page = _page(get(f"s3://{parts.netloc}/?{query}", MAX_BYTES), url)
        for key, size in _objects(page):
            if key.startswith(prefix) and not key.endswith("/"):
                count += 1
                yield RemoteFile(key[len(prefix) :], f"s3://{parts.netloc}/{key}", size)
        token = page.findtext("{*}NextContinuationToken") or ""
        if not token or count > MOST_FILES:
            return
    raise Failure("E-FETCH-SERVER", f"its listing has more than {MOST_PAGES} pages", url)


def _page(content: bytes, url: str) -> ElementTree.Element:
    try:
        page = parse_xml(content)
    except MetadataError as error:
        text = f"the listing of the folder {error}"
        raise Failure("E-FETCH-SERVER", text, url, is_passing=True) from None
    if not page.tag.endswith("ListBucketResult"):
        text = f"the server sends {page.tag[:80]} in place of a listing"
        raise Failure("E-FETCH-SERVER", text, url, is_passing=True)
    return page


def _objects(page: ElementTree.Element) -> Iterator[tuple[str, int | None]]:
    for one in page.iter():
        if one.tag.rpartition("}")[2] == "Contents":
            size = one.findtext("{*}Size") or ""
            yield one.findtext("{*}Key") or "", int(size) if size.isdigit() else None


def _on_disk(url: str) -> Iterator[RemoteFile]:
    """Yield the files of a folder of a mirror; links out of it are not followed."""
    home = Path(unquote(urlsplit(url).path))
    try:
        for folder, _, names in os.walk(home, onerror=_raise):
            for name in sorted(names):
                path = Path(folder, name)
                if path.is_file() and not path.is_symlink():
                    own = path.relative_to(home).as_posix()
                    yield RemoteFile(own, path.as_uri(), path.stat().st_size)
    except OSError as error:
        text = f"the folder of the mirror cannot be read: {error.strerror or error}"
        raise Failure("E-FETCH-GONE", text, url) from None


def _raise(error: OSError) -> None:
    raise error


def _stated(content: bytes) -> dict[str, tuple[int | None, str | None]]:
    """Return size and multihash of files as a manifest states them, by their path in the product.

    Of a manifest that cannot be read, nothing; some old ones are damaged.
    """
    try:
        root = parse_xml(content)
    except MetadataError:
        return {}
    stated = {}
    for one in root.iter():
        if one.tag.rpartition("}")[2] != "byteStream":
            continue
        place, size = one.find("{*}fileLocation"), one.get("size") or ""
        href = "" if place is None else (place.get("href") or "")
        if href:
            name = href.removeprefix("./")
            stated[name] = int(size) if size.isdigit() else None, _checksum(one)
    return stated


def _checksum(stream: ElementTree.Element) -> str | None:
    found = stream.find("{*}checksum")
    if found is None:
        return None
    code, length = _CODES.get((found.get("checksumName") or "").upper(), ("", 0))
    text = (found.text or "").strip().lower()
    if not code or not re.fullmatch(rf"[0-9a-f]{{{length}}}", text):
        return None
    return f"{code}{text}"


def _described(file: RemoteFile, stated: Mapping[str, tuple[int | None, str | None]]) -> RemoteFile:
    size, checksum = stated.get(file.name, (None, None))
    return replace(
        file,
        size_bytes=file.size_bytes if size is None else size,
        checksum=file.checksum or checksum,
    )
