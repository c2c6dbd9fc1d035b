"""What lies in a folder: on this machine, or in a directory on the web."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote, urljoin, urlsplit

from oso_pipeline.imagery.file_names import is_clutter, is_text
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.imagery.remote.transport import Answer
from oso_pipeline.retrieval.access.answers import read_whole
from oso_pipeline.retrieval.deadline import Deadline

MOST_BYTES = 16 * 1024**2
"""Of a page or a file of checksums that is read; a line has some 150 bytes."""

_TRIES = 3
_SIZE = re.compile(r"\d\d:\d\d(?::\d\d)?\s+(\d+)\s*(?:[\r\n]|$)")
"""After a time of day; sizes such as 12M are none."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A file or folder.

    Parameters
    ----------
    path
        Below the root, with ``/`` between folders.
    is_folder
        Whether it is one.
    size_bytes
        Of a file; None where it is not stated.
    mark
        What changes when the file does; empty where nothing tells.
    """

    path: str
    is_folder: bool
    size_bytes: int | None = None
    mark: str = ""

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]


class Tree(Protocol):
    """A place with folders."""

    def listed(self, folder: str, deadline: Deadline) -> list[Listed]:
        """Return what lies in a folder, by its path below the root; empty for the root.

        Raises
        ------
        Failure
            If it cannot be had.
        """
        ...

    def text(self, path: str, deadline: Deadline) -> str:
        """Return the content of a small file.

        Raises
        ------
        Failure
            If it cannot be had.
        """
        ...

    def url(self, path: str) -> str:
        """Return the address of a file."""
        ...


class Reads(Protocol):
    """What a directory on the web uses of a session."""

    def open(self, url: str, deadline: Deadline) -> Answer:
        """Request a file; the caller reads and closes the answer."""
        ...

    def slot(self, deadline: Deadline | None = None) -> AbstractContextManager[None]:
        """Hold one of the connections that the provider allows."""
        ...


@dataclass(frozen=True)
class FolderTree:
    """A folder of this machine.

    Parameters
    ----------
    root
        The folder.
    """

    root: Path

    def listed(self, folder: str, deadline: Deadline) -> list[Listed]:
        """Return what lies in a folder; links are followed."""
        found = []
        try:
            with os.scandir(self.root / folder) as entries:
                for entry in sorted(entries, key=lambda one: one.name):
                    if is_clutter(entry.name) or not is_text(entry.name):
                        continue
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    if entry.is_dir():
                        found.append(Listed(path, True))
                    elif entry.is_file():
                        status = entry.stat()
                        mark = f"{status.st_size} {status.st_mtime_ns}"
                        found.append(Listed(path, False, status.st_size, mark))
        except OSError as error:
            raise self._failure(folder, error) from None
        return found

    def text(self, path: str, deadline: Deadline) -> str:
        """Return the content of a small file."""
        try:
            with (self.root / path).open("rb") as stream:
                return stream.read(MOST_BYTES).decode("utf-8", "replace")
        except OSError as error:
            raise self._failure(path, error) from None

    def url(self, path: str) -> str:
        """Return the address of a file."""
        return (self.root / path).absolute().as_uri()

    def _failure(self, path: str, error: OSError) -> Failure:
        text = f"the folder of the mirror cannot be read: {error.strerror}"
        return Failure("E-FETCH-CATALOGUE", text, self.url(path))


@dataclass(frozen=True)
class WebTree:
    """A directory on the web, of which a server lists each folder as a page with links.

    Parameters
    ----------
    root
        Its address, with ``/`` at the end.
    session
        Sends the requests.
    sleep
        Of time, seconds.
    """

    root: str
    session: Reads
    sleep: Callable[[float], None] = time.sleep

    def listed(self, folder: str, deadline: Deadline) -> list[Listed]:
        """Return what a page links to in its own folder; all other links are passed over."""
        url = self.url(f"{folder}/" if folder else "")
        page = _Links()
        page.feed(self._text(url, deadline))
        page.close()
        found: dict[str, Listed] = {}
        for href, text in page.links.items():
            name = _within(urljoin(url, href), url)
            if name is None:
                continue
            path = f"{folder}/{name.rstrip('/')}" if folder else name.rstrip("/")
            size = _SIZE.search(text)
            is_folder = name.endswith("/")
            found[path] = Listed(path, is_folder, int(size[1]) if size and not is_folder else None)
        return list(found.values())

    def text(self, path: str, deadline: Deadline) -> str:
        """Return the content of a small file."""
        return self._text(self.url(path), deadline)

    def url(self, path: str) -> str:
        """Return the address of a file."""
        return self.root + quote(path)

    def _text(self, url: str, deadline: Deadline) -> str:
        tries = 0
        while True:
            try:
                with self.session.slot(deadline):
                    answer = self.session.open(url, deadline)
                    with closing(answer.response):
                        return read_whole(answer, url, MOST_BYTES).decode("utf-8", "replace")
            except Failure as failure:
                tries += 1
                wait_s = max(failure.wait_s or 0.0, float(tries))
                if not failure.is_passing or tries == _TRIES or wait_s >= deadline.left_s:
                    raise
                self.sleep(wait_s)


class _Links(HTMLParser):
    """Links of a page, each with the text after it."""

    def __init__(self) -> None:
        super().__init__()
        self.links: dict[str, str] = {}
        self._last: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href") if tag == "a" else None
        if href:
            self._last = href
            self.links.setdefault(href, "")

    def handle_data(self, data: str) -> None:
        if self._last is not None:
            self.links[self._last] += data


def _within(url: str, folder: str) -> str | None:
    """Return the name of what lies in a folder, with ``/`` at the end for a folder in it."""
    parts, own = urlsplit(url), urlsplit(folder)
    same = (parts.scheme, parts.netloc) == (own.scheme, own.netloc)
    if not same or parts.query or not parts.path.startswith(own.path):
        return None
    name = unquote(parts.path[len(own.path) :])
    bare = name.rstrip("/")
    unusable = not bare or "/" in bare or bare in (".", "..") or is_clutter(bare)
    return None if unusable or not is_text(bare) or {"\\", "\0"} & {*bare} else name


def sums_in(text: str, digits: int) -> Mapping[str, str]:
    """Return the checksums of a file as ``md5sum`` writes it, by the names of the files.

    Parameters
    ----------
    text
        Its content.
    digits
        Hexadecimal digits of a checksum; other lines are passed over.
    """
    line = re.compile(rf"([0-9a-fA-F]{{{digits}}})\s[ *]?(?:\./)?(.+)")
    matches = (line.fullmatch(one.strip()) for one in text.splitlines())
    return {match[2]: match[1].lower() for match in matches if match}
