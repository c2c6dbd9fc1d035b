"""What the ledger of `oso fetch` knows to be missing, for checks, inventories and the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from oso_pipeline.config.model import Config
from oso_pipeline.core.errors import Problem
from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.acquisition import Skipped
from oso_pipeline.imagery.fetch_ledger import (
    STATES,
    Record,
    ledger_path,
    missing_of,
    read_ledger,
)
from oso_pipeline.imagery.inventory_builder import Period
from oso_pipeline.imagery.protocol import Candidate

NOTE = "ledger of oso fetch:"
"""Begin of the line."""

_VERSION, _REASONS, _TILES = 2, 3, 6


@dataclass(frozen=True)
class NotFetched:
    """What ledgers say of the products that a season lacks.

    Parameters
    ----------
    records
        The last record of each, by tile and date.
    has_ledger
        Whether there is a ledger at all.
    faults
        What of the ledgers cannot be read.
    """

    records: tuple[Record, ...] = ()
    has_ledger: bool = False
    faults: tuple[Problem, ...] = ()

    def of_tile(self, tile: str) -> tuple[Record, ...]:
        """Return the records of one tile."""
        return tuple(one for one in self.records if one.tile == tile)

    @property
    def reasons(self) -> list[str]:
        """Why each is missing."""
        return [_why(one) for one in self.records]

    def note(self) -> str:
        """Return the line for all tiles; empty without a ledger."""
        if not self.has_ledger:
            return ""
        if not self.records:
            return f"{NOTE} nothing that it knows of is missing"
        tiles = Counter(one.tile for one in self.records)
        named = ", ".join(f"{tile} ({n})" for tile, n in tiles.most_common(_TILES))
        more = f" and {len(tiles) - _TILES} more" if len(tiles) > _TILES else ""
        return f"{NOTE} {described(self.reasons)}; of {counted(len(tiles), 'tile')}: {named}{more}"

    def problems(self) -> list[Problem]:
        """Return the warnings: products that are missing (``W-FETCH-MISSING``), and `faults`."""
        found = list(self.faults)
        if self.records:
            found.append(warning(self.records))
        return found


def not_fetched(config: Config, period: Period, candidates: Iterable[Candidate]) -> NotFetched:
    """Return what the ledgers of the folders of images know to be missing.

    Parameters
    ----------
    config
        Folders and tiles.
    period
        Days whose images serve.
    candidates
        The products that are there: what lies in a folder is not missing, also without a record.
    """
    histories, faults, has_ledger = [], list[Problem](), False
    for folder in dict.fromkeys(config.imagery.paths):
        path = ledger_path(folder)
        try:
            history = read_ledger(folder)
        except OSError as error:
            if not folder.is_file():
                text = f"the ledger of `oso fetch` cannot be read: {error.strerror or error}"
                faults.append(_fault(text, path))
            continue
        has_ledger = has_ledger or bool(history.latest) or bool(history.n_damaged)
        histories.append(history)
        if history.n_damaged:
            lines = counted(history.n_damaged, "line")
            text = f"{lines} of the ledger of `oso fetch` are damaged and passed over"
            faults.append(_fault(text, path))
    missing = missing_of(histories, config.imagery.tiles, period.first, period.until)
    there = _There(candidates)
    records = tuple(one for one in missing if not there.serves(one))
    return NotFetched(records, has_ledger, tuple(faults))


def described(reasons: Sequence[str]) -> str:
    """Return how many products are missing, and why, the most frequent reason first.

    Examples
    --------
    >>> described(["not fetched yet", "on tape", "on tape"])
    '3 products are missing: 2 on tape, 1 not fetched yet'
    """
    frequent = Counter(reasons).most_common(_REASONS)
    shown = ", ".join(f"{n} {why}" for why, n in frequent)
    rest = len(reasons) - sum(n for _, n in frequent)
    more = f", {rest} for other reasons" if rest else ""
    verb = "is" if len(reasons) == 1 else "are"
    return f"{counted(len(reasons), 'product')} {verb} missing: {shown}{more}"


def warning(records: Sequence[Record]) -> Problem:
    """Return the warning about products that are missing (``W-FETCH-MISSING``)."""
    return Problem(
        "W-FETCH-MISSING",
        f"by the ledger of `oso fetch`, {described([_why(one) for one in records])}",
        "imagery.paths",
        "run `oso fetch` again, or go on without them: pixels are interpolated over these gaps",
    )


def as_skipped(record: Record) -> Skipped:
    """Return a product that is missing as one of those that the inventory lists; without a path."""
    return Skipped(
        record.product_id, record.tile, "not_fetched", _why(record), Path(), record.acquired
    )


@dataclass
class _There:
    """Products that are there, by name and by acquisition."""

    candidates: Iterable[Candidate]

    def __post_init__(self) -> None:
        self._names: set[tuple[str, str]] = set()
        self._versions: dict[tuple[str, tuple[str, ...]], tuple[int, ...]] = {}
        for one in self.candidates:
            self._names.add((one.family, one.product_id))
            key = (one.family, one.observation)
            self._versions[key] = max(self._versions.get(key, ()), one.rank[:_VERSION])

    def serves(self, record: Record) -> bool:
        """Return whether a product, or a newer version of it, is there."""
        if record.key in self._names:
            return True
        newest = self._versions.get((record.family, record.observation))
        return newest is not None and newest > record.rank[:_VERSION]


def _why(record: Record) -> str:
    return f"{STATES[record.state]}{f' ({record.reason})' if record.reason else ''}"


def _fault(text: str, path: Path) -> Problem:
    hint = "products are not affected; the next `oso fetch` writes what it finds into it"
    return Problem("W-FETCH-LEDGER", text, str(path), hint)
