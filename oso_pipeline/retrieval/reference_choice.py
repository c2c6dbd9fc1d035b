"""Which editions are fetched: for each zone one, of the year, in the preferred format."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from oso_pipeline.core.errors import Problem
from oso_pipeline.retrieval.reference_feed import Box, Edition, plain_zone
from oso_pipeline.retrieval.reference_needs import Present, ReferenceNeed
from oso_pipeline.retrieval.reference_table import FeedDatabase, FilesDatabase

_SHOWN = 8


@dataclass(frozen=True)
class Chosen:
    """What is chosen for a need.

    Parameters
    ----------
    editions
        To fetch, by zone.
    there
        Zones that are there already.
    lacks
        What cannot be had.
    remarks
        What is worth knowing: editions of other years.
    """

    editions: tuple[Edition, ...] = ()
    there: tuple[str, ...] = ()
    lacks: tuple[Problem, ...] = ()
    remarks: tuple[str, ...] = ()


def choose(
    need: ReferenceNeed,
    database: FeedDatabase | FilesDatabase,
    offered: Sequence[Edition],
    boxes: Sequence[Box],
    present: Present,
) -> Chosen:
    """Choose the editions for a need.

    Parameters
    ----------
    need
        What is needed.
    database
        The rules of its database.
    offered
        All editions.
    boxes
        Where the tiles lie.
    present
        What is in the folder.
    """
    by_zone: dict[str, list[Edition]] = defaultdict(list)
    for edition in offered:
        if database.edition != "exact" or edition.date.year == need.year:
            by_zone[edition.zone].append(edition)
    whole = tuple(map(plain_zone, getattr(database, "whole", ())))
    zones, lack = _zones(need, database, by_zone, boxes, whole, present)
    there = [zone for zone in zones if _is_there(zone, need, database, present, whole)]
    editions, lacks = list[Edition](), [lack] if lack else []
    for zone in zones:
        if zone in there:
            continue
        found = by_zone.get(zone) or next((by_zone[one] for one in whole if by_zone.get(one)), [])
        if found:
            editions.append(_best(found, need, getattr(database, "formats", ())))
        else:
            lacks.append(_missing(need, zone, offered))
    unique = tuple({one.title: one for one in editions}.values())
    done = tuple(one for one in unique if one.title in present.folders)
    return Chosen(
        tuple(one for one in unique if one not in done),
        (*there, *(one.zone for one in done)),
        tuple(lacks),
        tuple(_of_other_year(one, need) for one in unique if _differs(one, need)),
    )


def _zones(
    need: ReferenceNeed,
    database: FeedDatabase | FilesDatabase,
    by_zone: dict[str, list[Edition]],
    boxes: Sequence[Box],
    whole: tuple[str, ...],
    present: Present,
) -> tuple[list[str], Problem | None]:
    """Return the zones that are needed, and what stands against knowing them."""
    if need.zones:
        return list(need.zones), None
    if database.by == "country":
        known = [one for one in whole if one in by_zone] or sorted(by_zone)
        return known[:1] or ["FR"], None
    parts = {zone: found for zone, found in by_zone.items() if zone not in whole}
    met = [zone for zone, found in parts.items() if any(_meets(one.box, boxes) for one in found)]
    if met:
        return sorted(met), None
    if (None, None) in present.found or (None, need.year) in present.found:
        return [], None  # files whose names do not say what they cover: they are the user's
    if not parts and by_zone:
        return [next(one for one in (*whole, *by_zone) if one in by_zone)], None
    if not by_zone:
        return [], _no_year(need)
    key = f"retrieval.reference.{database.by}s"
    text = f"the list does not say where the {database.by}s lie, and none is named"
    return [], Problem("E-FETCH-ZONE", text, str(need.into), f"name them in `{key}`")


def _is_there(
    zone: str,
    need: ReferenceNeed,
    database: FeedDatabase | FilesDatabase,
    present: Present,
    whole: tuple[str, ...],
) -> bool:
    if database.by == "country":
        return bool(present.found)
    year = need.year if database.edition == "exact" else None
    return present.has(zone, year, whole if database.by == "region" else ())


def _best(found: Iterable[Edition], need: ReferenceNeed, formats: Sequence[str]) -> Edition:
    """Return the edition of the nearest date, in the preferred format, of the highest version."""
    rank = {name: number for number, name in enumerate(formats)}

    def order(edition: Edition) -> tuple[int, int, str]:
        distance = -edition.date.toordinal()
        if need.year is not None:
            distance = abs(edition.date.toordinal() - date(need.year, 7, 1).toordinal())
        return distance, rank.get(edition.format, len(rank)), edition.title

    best = min(found, key=order)
    alike = [one for one in found if order(one)[:2] == order(best)[:2]]
    return max(alike, key=lambda one: one.title)


def _meets(box: Box | None, boxes: Sequence[Box]) -> bool:
    if box is None:
        return False
    west, south, east, north = box
    return any(w <= east and e >= west and s <= north and n >= south for w, s, e, n in boxes)


def _missing(need: ReferenceNeed, zone: str, offered: Sequence[Edition]) -> Problem:
    of_zone = sorted({one.date.isoformat() for one in offered if one.zone == zone})
    if of_zone:
        shown = ", ".join(of_zone[-_SHOWN:])
        text = f"{need.database} of {need.year} is not offered for {zone}; there is {shown}"
        hint = "correct the year of the source, or get the data elsewhere"
        return Problem("E-FETCH-EDITION", text, str(need.into), hint)
    known = ", ".join(sorted({one.zone for one in offered})[: 2 * _SHOWN]) or "nothing"
    text = f"{need.database} is not offered for {zone}; there is {known}"
    hint = "correct the name of the region or department; the table of databases can be replaced"
    return Problem("E-FETCH-EDITION", text, str(need.into), hint)


def _no_year(need: ReferenceNeed) -> Problem:
    text = f"{need.database} of {need.year} is not offered"
    hint = "correct the year of the source, or get the data elsewhere"
    return Problem("E-FETCH-EDITION", text, str(need.into), hint)


def _differs(edition: Edition, need: ReferenceNeed) -> bool:
    return need.year is not None and edition.date.year != need.year


def _of_other_year(edition: Edition, need: ReferenceNeed) -> str:
    return f"{edition.title} is the nearest edition to {need.year} for {edition.zone}"
