"""Lists of editions in Atom, as the Géoplateforme (IGN) has them: pages, editions, files.

The form is that of the guide of the service and of answers that public programs keep for their
tests. A list has pages with a count; an entry has a title that says format, zone and date, and
leads to a second list, with a link, a size and an MD5 for each file.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from random import Random
from urllib.parse import unquote, urlencode, urlsplit
from xml.etree.ElementTree import Element

from oso_pipeline.imagery.metadata_file import MetadataError, parse_xml
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.imagery.remote.terms import Patience
from oso_pipeline.retrieval.access.answers import read_whole
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.offers import RemoteFile
from oso_pipeline.retrieval.reference_table import FeedDatabase
from oso_pipeline.retrieval.transfer.receive import Source
from oso_pipeline.retrieval.unpack_formats import is_archive

Box = tuple[float, float, float, float]
"""West, south, east and north, degrees."""

_MOST_PAGES = 400
_PATIENCE = Patience()
_MOST_BYTES = 20_000_000
_NO_PAGE = ("E-FETCH-GONE", "E-FETCH-SERVER")
_MD5 = re.compile(r"\b[0-9a-fA-F]{32}\b")


@dataclass(frozen=True, slots=True)
class Edition:
    """An edition of a database for one zone.

    Parameters
    ----------
    title
        Its name, also that of the folder which it gets.
    zone
        ``R76``, ``D031``, or of the country; as of `plain_zone`.
    format
        Of its files.
    date
        Of the data.
    address
        Where its files are listed; empty where they are known.
    box
        Where it lies, as the list says; None where it does not.
    files
        Where they are known without a list.
    """

    title: str
    zone: str
    format: str
    date: date
    address: str = ""
    box: Box | None = None
    files: tuple[RemoteFile, ...] = ()


def plain_zone(text: str) -> str:
    """Return a zone in one form: regions without zeros, departments with three characters.

    Examples
    --------
    >>> [plain_zone(one) for one in ("R053", "R76", "D031", "D2a", "fxx", "D974")]
    ['R53', 'R76', 'D031', 'D02A', 'FXX', 'D974']
    """
    upper = text.strip().upper()
    if re.fullmatch(r"R0*\d+", upper):
        return f"R{int(upper[1:]):02d}"
    if re.fullmatch(r"D[0-9AB]{1,3}", upper):
        return f"D{upper[1:].zfill(3)}"
    return upper


@dataclass(frozen=True)
class Feed:
    """The lists of one database.

    Parameters
    ----------
    session
        Sends the requests.
    database
        What is known of it.
    patience
        How often a request is tried.
    sleep
        Waits for so many seconds.
    """

    session: Source
    database: FeedDatabase
    patience: Patience = _PATIENCE
    sleep: Callable[[float], None] = time.sleep

    def editions(self, deadline: Deadline, zone: str | None = None) -> tuple[Edition, ...]:
        """Return the editions of all zones, or of one; each once.

        Pages are counted here and not followed by links; the list ends where it has as many pages
        and entries as it states, or with a page that has nothing new.

        Raises
        ------
        Failure
            If the list does not come whole before the deadline.
        """
        found: dict[str, Edition] = {}
        seen: set[str] = set()
        for page in range(1, _MOST_PAGES + 1):
            query: dict[str, object] = {"page": page, "limit": self.database.limits.page}
            if zone is not None:
                query["zone"] = zone
            root = self._page(
                f"{self.database.address}?{urlencode(query)}",
                page > 1 or zone is not None,
                deadline,
            )
            if root is None:
                break
            titles = {title for title, _ in _entries(root)}
            if not titles - seen:
                break
            seen |= titles
            for title, entry in _entries(root):
                if (edition := self._edition(title, entry)) is not None:
                    found.setdefault(title, edition)
            if _is_last(root, page, len(seen)):
                break
        return tuple(found.values())

    def files(self, edition: Edition, deadline: Deadline) -> tuple[RemoteFile, ...]:
        """Return the archive of an edition, or its parts in order, with sizes and checksums.

        Raises
        ------
        Failure
            If the list does not come whole, or holds no archive (``E-FETCH-GONE``).
        """
        found: dict[str, RemoteFile] = {}
        sums: list[str] = []
        for page in range(1, _MOST_PAGES + 1):
            query = urlencode({"page": page, "limit": self.database.limits.page})
            root = self._page(f"{edition.address}?{query}", page > 1, deadline)
            if root is None:
                break
            files = dict(_files(root))
            if not {*files} - {*found}:
                break
            found |= files
            sums += [one.url for one in files.values() if one.name.lower().endswith(".md5")]
            if _is_last(root, page, len(found)):
                break
        archives = [found[name] for name in sorted(found) if is_archive(name)]
        if not archives:
            text = f"the list of {edition.title} names no archive: {', '.join(found) or 'nothing'}"
            raise Failure("E-FETCH-GONE", text, edition.address)
        if any(one.checksum is None for one in archives) and sums:
            archives = self._with_sums(archives, sums[0], deadline)
        return tuple(archives)

    def _with_sums(
        self, archives: list[RemoteFile], url: str, deadline: Deadline
    ) -> list[RemoteFile]:
        """Return files with the checksums of a file ``.md5``; without it they are not compared."""
        try:
            lines = self._get(url, deadline).decode("utf-8", "replace").splitlines()
        except Failure:
            return archives
        known = [(line, match[0].lower()) for line in lines if (match := _MD5.search(line))]
        result = []
        for one in archives:
            sums = [md5 for line, md5 in known if one.name in line]
            if not sums and len(archives) == len(known) == 1:
                sums = [known[0][1]]
            stated = one.checksum or (f"d50110{sums[0]}" if sums else None)
            result.append(RemoteFile(one.name, one.url, one.size_bytes, stated))
        return result

    def _edition(self, title: str, entry: Element) -> Edition | None:
        match = re.fullmatch(self.database.title, title)
        if match is None:
            return None
        try:
            day = date.fromisoformat(match["date"])
        except ValueError:
            return None
        links = [link for link in entry if _local(link.tag) == "link"]
        href = next((link.get("href") for link in links if link.get("href")), None)
        address = href or f"{self.database.address}/{title}"
        box = next((box for link in links if (box := _box(link)) is not None), None)
        return Edition(title, plain_zone(match["zone"]), match["format"], day, address, box)

    def _page(self, url: str, may_lack: bool, deadline: Deadline) -> Element | None:
        """Return a page; None where the server has none and that may be."""
        try:
            return parse_xml(self._get(url, deadline, is_list=True))
        except Failure as failure:
            if not may_lack or failure.is_passing or failure.code not in _NO_PAGE:
                raise
            return None

    def _get(self, url: str, deadline: Deadline, is_list: bool = False) -> bytes:
        random = Random()
        for failures in range(1, self.patience.tries + 1):
            try:
                return self._get_once(url, deadline, is_list)
            except Failure as failure:
                wait_s = self.patience.wait_s(failures, failure, random)
                is_last = failures == self.patience.tries or wait_s >= deadline.left_s
                if not failure.is_passing or is_last:
                    raise
                self.sleep(wait_s)
        raise AssertionError("the last try raises")

    def _get_once(self, url: str, deadline: Deadline, is_list: bool) -> bytes:
        with self.session.slot():
            answer = self.session.open(url, deadline)
            with closing(answer.response):
                content = read_whole(answer, url, _MOST_BYTES)
        if is_list:
            try:
                is_feed = _local(parse_xml(content).tag) == "feed"
            except MetadataError:
                is_feed = False
            if not is_feed:
                text = "the server sends something else in place of a list"
                raise Failure("E-FETCH-SERVER", text, url, is_passing=True)
        return content


def _is_last(root: Element, page: int, n_seen: int) -> bool:
    """Return whether a page is the last: by the count of pages, and by that of entries."""
    n_pages, n_entries = _number(root, "pagecount"), _number(root, "totalentries")
    return n_pages is not None and page >= n_pages and n_seen >= (n_entries or 0)


def _entries(root: Element) -> Iterator[tuple[str, Element]]:
    for entry in root:
        if _local(entry.tag) == "entry":
            titles = [(one.text or "").strip() for one in entry if _local(one.tag) == "title"]
            yield next(iter(titles), ""), entry


def _files(root: Element) -> Iterator[tuple[str, RemoteFile]]:
    for _, entry in _entries(root):
        contents = [one.text or "" for one in entry if _local(one.tag) == "content"]
        md5 = next((match[0].lower() for one in contents if (match := _MD5.search(one))), None)
        for link in entry:
            url = link.get("href") if _local(link.tag) == "link" else None
            if not url:
                continue
            name = unquote(urlsplit(url).path).rsplit("/", 1)[-1]
            size = _number(link, "length")
            yield name, RemoteFile(name, url, size, f"d50110{md5}" if md5 else None)


def _box(link: Element) -> Box | None:
    """Return west, south, east and north of ``gpf_dl:bbox``."""
    text = next((value for key, value in link.items() if _local(key) == "bbox"), "")
    try:
        numbers = [float(part) for part in re.split(r"[\s,]+", text.strip())]
    except ValueError:
        return None
    if len(numbers) != 4 or numbers[0] > numbers[2] or numbers[1] > numbers[3]:
        return None
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _number(element: Element, name: str) -> int | None:
    text = next((value for key, value in element.items() if _local(key) == name), "")
    return int(text) if text.isdigit() else None


def _local(name: str) -> str:
    return name.rpartition("}")[2]
