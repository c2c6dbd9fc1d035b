"""The ledger of `oso fetch`: what its records say, and how it is read.

A folder of images that `oso fetch` fills has a ledger: a file to which one line is added whenever
something becomes known of a product. A process may be killed while it writes, and disks may fail:
what cannot be read of a line is skipped and counted. The ledger is written by
`oso_pipeline.retrieval`; it is read here, because a run says what the ledger knows to be missing.
"""

from __future__ import annotations

import fcntl
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

from oso_pipeline.core.json_files import ODD_VALUES
from oso_pipeline.core.plain_text import plain
from oso_pipeline.core.regular_files import open_regular

FOLDER = ".oso_fetch"
"""Folder below that of images which holds all that is not a product; searches pass it over."""
LEDGER = "ledger.jsonl"

State = Literal[
    "seen", "wanted", "waiting", "fetched", "flagged", "quarantined", "failed", "replaced"
]
"""What is known of a product: see the texts of `STATES`."""

STATES: dict[State, str] = {
    "seen": "a catalogue offers it",
    "wanted": "not fetched yet",
    "waiting": "on tape; it was requested",
    "fetched": "fetched and verified",
    "flagged": "fetched; its checksum is not that of the catalogue, everything else is sound",
    "quarantined": "what was received is damaged",
    "failed": "could not be fetched",
    "replaced": "a newer version took its place",
}
THERE: frozenset[State] = frozenset(("fetched", "flagged"))
MISSING: frozenset[State] = frozenset(("wanted", "waiting", "quarantined", "failed"))

Key = tuple[str, str]
"""Family and name of a product."""

_CHECKSUM = re.compile(rb',"crc":"([0-9a-f]{8})"\}\s*$')
_LONGEST_LINE = 16_000_000
_MOST_SHOWN = 400  # characters of a reason


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file of a product as it was published."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Record:
    """One line of the ledger.

    Parameters
    ----------
    state
        What became known of the product.
    at
        When, UTC, by the clock of the machine.
    product_id, family, tile, acquired, observation, rank
        The product, as of `imagery.protocol.Candidate`.
    provider
        Who offers it, or gave it.
    entry
        Identifier of the entry in the catalogue of the provider.
    checksum
        As the catalogue states it, multihash in hexadecimal; of a product of one file.
    size_bytes
        As the catalogue states it, or of the files that were published; None where unknown.
    path
        Of what was published, below the folder of images.
    files
        What was published.
    reason
        Why it failed or waits, or by what it was replaced.
    """

    state: State
    at: datetime
    product_id: str
    family: str
    tile: str
    acquired: datetime
    observation: tuple[str, ...] = ()
    rank: tuple[int, ...] = ()
    provider: str = ""
    entry: str = ""
    checksum: str | None = None
    size_bytes: int | None = None
    path: str = ""
    files: tuple[FetchedFile, ...] = ()
    reason: str = ""

    @property
    def key(self) -> Key:
        """What all records of a product share."""
        return self.family, self.product_id

    def to_line(self) -> bytes:
        """Return the record as one line, with a checksum of its own."""
        content = {
            **{one.name: getattr(self, one.name) for one in fields(self)},
            "at": _as_text(self.at),
            "acquired": _as_text(self.acquired),
            "files": [[one.name, one.size_bytes, one.sha256] for one in self.files],
            "reason": plain(self.reason)[:_MOST_SHOWN],
        }
        kept = {name: value for name, value in content.items() if value not in ("", None, (), [])}
        return _line(kept)

    @classmethod
    def from_line(cls, line: bytes) -> Record | None:
        """Return the record of a line; None where the line is torn or damaged."""
        try:
            match = _CHECKSUM.search(line)
            if match is None:
                return None
            text = line[: match.start()] + b"}"
            return cls._of(json.loads(text)) if zlib.crc32(text) == int(match[1], 16) else None
        except (*ODD_VALUES, AttributeError, RecursionError):
            return None

    @classmethod
    def _of(cls, content: dict[str, Any]) -> Record:
        known = {one.name for one in fields(cls)}
        values = {name: value for name, value in content.items() if name in known}
        if values["state"] not in get_args(State):
            raise ValueError("a state that this version does not know")
        values["at"] = _moment(values["at"])
        values["acquired"] = _moment(values["acquired"])
        values["observation"] = tuple(map(str, values.get("observation", ())))
        values["rank"] = tuple(map(int, values.get("rank", ())))
        values["files"] = tuple(FetchedFile(*one) for one in values.get("files", ()))
        path = PurePosixPath(values.get("path", ""))
        if path.is_absolute() or ".." in path.parts:
            raise ValueError("a path that leaves the folder")
        return cls(**values)


@dataclass
class History:
    """What the records of a ledger say together.

    Attributes
    ----------
    latest
        Of each product the last record that says more than that it was seen, else that.
    entries
        The entries of catalogues that were seen: provider, entry, checksum.
    waiting_since
        When a product that waits was first found on tape.
    n_damaged
        Lines that could not be read.
    places
        Keys of the products by family and tile.
    """

    latest: dict[Key, Record] = field(default_factory=dict)
    entries: dict[Key, set[tuple[str, str, str | None]]] = field(default_factory=dict)
    waiting_since: dict[Key, datetime] = field(default_factory=dict)
    n_damaged: int = 0
    places: dict[tuple[str, str], dict[Key, None]] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Take note of the next record."""
        before = self.latest.get(record.key)
        if before is None:
            self.places.setdefault((record.family, record.tile), {})[record.key] = None
        if record.state == "seen":
            seen = (record.provider, record.entry, record.checksum)
            self.entries.setdefault(record.key, set()).add(seen)
            if before is not None and before.state != "seen":
                return
        if record.state == "waiting":
            self.waiting_since.setdefault(record.key, record.at)
        elif record.state not in ("seen", "wanted"):
            self.waiting_since.pop(record.key, None)
        self.latest[record.key] = record

    def copy(self, place: tuple[str, str] | None = None) -> History:
        """Return a copy that later records do not change; of one family and tile, or of all.

        A campaign asks for each tile by itself: copies of all would take the square of their time.
        """
        keys = self.latest if place is None else self.places.get(place, {})
        return History(
            {key: self.latest[key] for key in keys},
            {key: set(self.entries[key]) for key in keys if key in self.entries},
            {key: self.waiting_since[key] for key in keys if key in self.waiting_since},
            self.n_damaged,
            {one: dict(some) for one, some in self.places.items() if place in (None, one)},
        )

    def missing(self) -> list[Record]:
        """Return the last records of products that are wanted and not there, by date and name."""
        found = [one for one in self.latest.values() if one.state in MISSING]
        return sorted(found, key=lambda one: (one.acquired, one.product_id))


@dataclass
class LedgerReader:
    """Reads a ledger, and later what was added to it since.

    Parameters
    ----------
    path
        The file; there may be none.
    history
        What was read.
    """

    path: Path
    history: History = field(default_factory=History)
    _offset: int = field(default=0, init=False)

    def refresh(self) -> None:
        """Read the lines that were added; the last one only once it is complete.

        Raises
        ------
        OSError
            If the file is there and cannot be read.
        """
        try:
            stream = open_regular(self.path)
        except FileNotFoundError:
            return
        with stream:
            with suppress(OSError):  # not every file system has locks; then lines may come twice
                fcntl.flock(stream, fcntl.LOCK_SH)
            stream.seek(self._offset)
            while line := stream.readline(_LONGEST_LINE):
                if not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
                    break  # it is being written, or its writer was killed; the next line closes it
                self._offset += len(line)
                self._take(line)

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        if (record := Record.from_line(line)) is None:
            self.history.n_damaged += 1
        else:
            self.history.add(record)


def read_ledger(folder: Path) -> History:
    """Return what the ledger of a folder of images says; nothing where there is none.

    Raises
    ------
    OSError
        If it is there and cannot be read.
    """
    reader = LedgerReader(ledger_path(folder))
    reader.refresh()
    return reader.history


def ledger_path(folder: Path) -> Path:
    """Return where the ledger of a folder of images lies."""
    return folder / FOLDER / LEDGER


def missing_of(
    histories: Iterable[History], tiles: Iterable[str], first: date, last: date
) -> list[Record]:
    """Return the records of products that are missing, of some tiles and days, each once."""
    wanted = set(tiles)
    found = {
        one.key: one
        for history in histories
        for one in history.missing()
        if one.tile in wanted and first <= one.acquired.date() <= last
    }
    return sorted(found.values(), key=lambda one: (one.tile, one.acquired, one.product_id))


def _line(content: Mapping[str, Any]) -> bytes:
    """Return an object as a line, with its checksum at the end."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f'{text[:-1]},"crc":"{zlib.crc32(text.encode()):08x}"}}\n'.encode()


def _as_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment.astimezone(UTC)
