"""Answers of catalogues on disk, so that a campaign begins with the portal down, or offline.

Each answer is a file of its own; `answer_file` says what is in it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from oso_pipeline.core.commit import digest, staged
from oso_pipeline.core.errors import Problem
from oso_pipeline.core.wording import counted
from oso_pipeline.imagery.remote.failures import Failure
from oso_pipeline.retrieval.answer_file import (
    DamagedAnswer,
    Stored,
    UnusualAnswer,
    read_answer,
    write_answer,
)
from oso_pipeline.retrieval.catalogues.protocol import Catalogue
from oso_pipeline.retrieval.deadline import Deadline
from oso_pipeline.retrieval.offers import Answered, Need, Offer

_UNSAFE = re.compile(r"[^A-Za-z0-9-]")


@dataclass(frozen=True)
class Known:
    """What the cache has for a need.

    Parameters
    ----------
    answered
        The offers; `as_of` is the oldest of the answers.
    unknown
        Days of the need of which no answer is there, each from first to last.
    """

    answered: Answered
    unknown: tuple[tuple[date, date], ...] = ()


@dataclass
class CatalogueCache:
    """A folder with answers of catalogues; for several threads and processes.

    Parameters
    ----------
    folder
        Where they lie; made when the first one is stored.

    Attributes
    ----------
    findings
        Files that were damaged (``W-FETCH-CACHE``).
    """

    folder: Path
    findings: list[Problem] = field(default_factory=list)

    def store(self, provider: str, need: Need, answered: Answered, at: datetime) -> Path:
        """Write an answer; older ones of days that it covers are removed.

        Parameters
        ----------
        provider
            Name of the provider.
        need, answered
            What was searched for, and the answer.
        at
            When, UTC.

        Raises
        ------
        UnusualAnswer
            If it holds what no file takes.
        EnvironmentFailure
            If the disk is full, or the folder cannot be written (``E-DISK``).
        """
        path = self.folder / _name(provider, need)
        with staged(path) as temporary:
            write_answer(temporary, provider, need, answered, at)
        for other, span in self._files(provider, need):
            if other != path and need.first <= span[0] and span[1] <= need.last:
                _remove(other)
        return path

    def load(self, provider: str, need: Need) -> Known | None:
        """Return what is known of a need, of one answer or of several; None where nothing is.

        A damaged file becomes a finding, and counts as missing.
        """
        stored = list(self._stored(provider, need))
        if not stored:
            return None
        stored.sort(key=lambda one: one.at)
        offers = {
            offer.product_id: replace(offer, need=need)
            for one in stored
            for offer in one.answered.offers
            if need.first <= offer.acquired.astimezone(UTC).date() <= need.last
        }
        whole = next((one for one in reversed(stored) if one.covers(need)), None)
        answered = Answered(
            tuple(sorted(offers.values(), key=lambda one: (one.acquired, one.product_id))),
            whole.answered.n_matched if whole else None,
            tuple(dict.fromkeys(fault for one in stored for fault in one.answered.faults)),
            as_of=(whole or stored[0]).at,
            is_whole=bool(whole and whole.answered.is_whole),
        )
        return Known(answered, tuple(_gaps(need, [one.span for one in stored])))

    def _stored(self, provider: str, need: Need) -> Iterator[Stored]:
        for path, span in self._files(provider, need):
            if span[1] < need.first or span[0] > need.last:
                continue
            try:
                yield read_answer(path, provider, need)
            except (DamagedAnswer, OSError) as error:
                self.findings.append(
                    Problem(
                        "W-FETCH-CACHE",
                        f"an answer of the catalogue on disk is not used: {error}",
                        str(path),
                        "remove the file; the next answer of the catalogue replaces it",
                    )
                )

    def _files(self, provider: str, need: Need) -> list[tuple[Path, tuple[date, date]]]:
        begin = _begin(provider, need)
        try:
            names = sorted(os.listdir(self.folder))
        except OSError:
            return []
        spans = ((name, _span(name, begin)) for name in names)
        return [(self.folder / name, span) for name, span in spans if span is not None]


@dataclass
class RememberingCatalogue:
    """A catalogue whose last answers serve when it does not answer, or nothing is searched.

    Parameters
    ----------
    name
        Of the provider.
    catalogue
        The catalogue.
    cache
        Takes and gives answers.
    is_offline
        Whether it is not searched at all.
    now
        Time of day, UTC.
    """

    name: str
    catalogue: Catalogue
    cache: CatalogueCache
    is_offline: bool = False
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def search(self, need: Need, deadline: Deadline) -> Answered:
        """Return the answer of the catalogue, or what it answered before.

        `Answered.as_of` tells them apart, and `Answered.faults` say why it is an older one. Of an
        answer that is not whole, the offers of the one before are kept.

        Raises
        ------
        Failure
            If there is no answer, neither now nor on disk; or the collection has another name.
        EnvironmentFailure
            If the answer cannot be stored (``E-DISK``).
        """
        if self.is_offline:
            text = f"no answer of {self.name} for {need.family} of {need.tile} is on disk"
            return self._before(need, Failure("E-FETCH-CATALOGUE", text, ""), "offline")
        try:
            answered = self.catalogue.search(need, deadline)
        except Failure as failure:
            if failure.code == "E-FETCH-COLLECTION":
                raise
            return self._before(need, failure, f"it does not answer now ({failure.found})")
        if not answered.is_whole:
            answered = self._with_those_before(need, answered)
        try:
            self.cache.store(self.name, need, answered, self.now())
        except UnusualAnswer as error:
            text = f"its answer is not kept on disk ({error})"
            return replace(answered, faults=(*answered.faults, text))
        return answered

    def is_available(self, offer: Offer, deadline: Deadline) -> bool | None:
        """Return what the catalogue says; None offline.

        Raises
        ------
        Failure
            If it does not answer.
        """
        return None if self.is_offline else self.catalogue.is_available(offer, deadline)

    def _before(self, need: Need, failure: Failure, why: str) -> Answered:
        known = self.cache.load(self.name, need)
        if known is None:
            raise failure
        at = known.answered.as_of or self.now()
        faults = [f"{why}: its answer of {at:%Y-%m-%d %H:%M} UTC serves"]
        if at > self.now() + timedelta(minutes=5):
            faults.append("that is in the future: is the clock of this machine right?")
        faults += [f"nothing is known of {first} to {last}" for first, last in known.unknown]
        return replace(known.answered, faults=(*faults, *known.answered.faults))

    def _with_those_before(self, need: Need, answered: Answered) -> Answered:
        known = self.cache.load(self.name, need)
        if known is None:
            return answered
        now = {offer.product_id: offer for offer in answered.offers}
        kept = [one for one in known.answered.offers if one.product_id not in now]
        if not kept:
            return answered
        offers = sorted([*now.values(), *kept], key=lambda one: (one.acquired, one.product_id))
        text = f"{counted(len(kept), 'offer')} of its answer before"
        return replace(answered, offers=tuple(offers), faults=(*answered.faults, text))


def _begin(provider: str, need: Need) -> str:
    # Names of providers are free text of a file of the user; their digest tells them apart.
    plain = _UNSAFE.sub("-", provider)[:40]
    return f"{plain}_{digest(provider)[:8]}_{_UNSAFE.sub('-', need.family)}_{need.tile}_"


def _name(provider: str, need: Need) -> str:
    return f"{_begin(provider, need)}{need.first:%Y%m%d}_{need.last:%Y%m%d}.parquet"


def _span(name: str, begin: str) -> tuple[date, date] | None:
    match = re.fullmatch(re.escape(begin) + r"(\d{8})_(\d{8})\.parquet", name)
    if match is None:
        return None
    try:
        first, last = (datetime.strptime(text, "%Y%m%d").date() for text in match.groups())
    except ValueError:
        return None
    return first, last


def _gaps(need: Need, spans: Iterable[tuple[date, date]]) -> Iterator[tuple[date, date]]:
    """Yield the days of a need that no span has."""
    day = timedelta(days=1)
    begin = need.first
    for first, last in sorted(spans):
        if first > begin:
            yield begin, first - day
        begin = max(begin, last + day)
    if begin <= need.last:
        yield begin, need.last


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # two answers of some days are as good as one
