"""Which databases a configuration needs, and what of them is there already.

What is there is recognised by names alone, as the readers of the databases do it: a region or a
department and a year in the name of a file or of a folder above it. A file whose names do not say
them counts for all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from oso_pipeline.config import Config
from oso_pipeline.config.reference import Source
from oso_pipeline.config.retrieval import ReferenceData
from oso_pipeline.core.errors import Problems
from oso_pipeline.retrieval.reference_feed import plain_zone
from oso_pipeline.retrieval.reference_table import By, DatabaseTable

ADMIN_EXPRESS = "admin_express"

_VECTORS = (".shp", ".gpkg", ".parquet")
_ZONES = {
    "region": re.compile(r"_(R\d{2,3}|FXX|FR)(?=[_.-]|$)", re.IGNORECASE),
    "department": re.compile(r"_(D\d{3}|D\d{2}[AB]|D\d[AB]|D\d{2})(?=[-_.]|$)", re.IGNORECASE),
}
_YEAR = re.compile(r"[_-]((?:19|20)\d{2})(?:-\d{2}-\d{2})?(?=$|[_.])")


@dataclass(frozen=True, slots=True)
class ReferenceNeed:
    """A database that is needed.

    Parameters
    ----------
    database
        Its name in the table.
    into
        Folder of the source.
    year
        Year of the labels; None where the source names none.
    zones
        Regions or departments that are named, as of `plain_zone`; empty for those that the tiles
        meet.
    """

    database: str
    into: Path
    year: int | None = None
    zones: tuple[str, ...] = ()


@dataclass(frozen=True)
class Needed:
    """All databases that a configuration needs.

    Parameters
    ----------
    needs
        What can be fetched.
    own
        Sources that come from the user: kind and path, with whether it is there.
    """

    needs: tuple[ReferenceNeed, ...]
    own: tuple[tuple[str, Path, bool], ...] = field(default=())


def reference_needs(config: Config, table: DatabaseTable, problems: Problems) -> Needed:
    """Return the databases of all seasons: items of ``reference.sources`` with their years.

    Problems found: a source that names a file which is not there (``E-FETCH-PATH``), as what is
    fetched is a folder.
    """
    named = config.retrieval.reference
    needs: dict[ReferenceNeed, None] = {}
    own = []
    for source in config.reference.sources:
        if source.kind not in table:
            own.append((source.kind, source.path, source.path.exists()))
        elif source.path.suffix.lower() in _VECTORS and not source.path.is_dir():
            if not source.path.exists():
                text = f"the {source.kind} source names a file, and what is fetched is a folder"
                hint = "name a folder as `path`, then run again; or get the file yourself"
                problems.error("E-FETCH-PATH", text, source.path, hint)
        else:
            needs[_need(source, table[source.kind].by, named)] = None
    if named.admin_express is not None and ADMIN_EXPRESS in table:
        needs[ReferenceNeed(ADMIN_EXPRESS, named.admin_express)] = None
    return Needed(tuple(needs), tuple(own))


def _need(source: Source, by: By, named: ReferenceData) -> ReferenceNeed:
    zones: Iterable[str | int] = ()
    if by == "region":
        zones = named.regions
    elif by == "department":
        zones = getattr(source, "departments", ()) or named.departments
    letter = by[0].upper()
    plain = (zone_of(one, letter) for one in zones)
    return ReferenceNeed(
        source.kind,
        source.path,
        source.year,
        tuple(dict.fromkeys(plain)) if by != "country" else (),
    )


def zone_of(code: str | int, letter: str) -> str:
    """Return a code of INSEE as a zone.

    Examples
    --------
    >>> zone_of(76, "R"), zone_of("R076", "R"), zone_of("31", "D"), zone_of("2a", "D")
    ('R76', 'R76', 'D031', 'D02A')
    >>> zone_of("FXX", "R")
    'FXX'
    """
    text = str(code).strip().upper()
    return plain_zone(text if text.startswith((letter, "F")) else f"{letter}{text}")


@dataclass(frozen=True)
class Present:
    """What of a database is in a folder.

    Parameters
    ----------
    found
        Zone and year of each file; None where no name says it.
    folders
        Names of all folders.
    """

    found: frozenset[tuple[str | None, int | None]]
    folders: frozenset[str]

    @classmethod
    def below(cls, folder: Path, by: By) -> Present:
        """Return what is below a folder; nothing where it is not there."""
        pattern, found, folders = _ZONES.get(by), set(), set()
        for root, names, files in os.walk(folder):
            names[:] = [one for one in names if not one.startswith((".", "__MACOSX"))]
            folders.update(names)
            for file in files:
                if file.lower().endswith(_VECTORS) and not file.startswith("."):
                    parts = (*Path(root).relative_to(folder).parts, Path(file).stem)
                    found.add((_zone_in(parts, pattern), _year_in(parts)))
        return cls(frozenset(found), frozenset(folders))

    def has(self, zone: str, year: int | None, whole: tuple[str, ...] = ()) -> bool:
        """Return whether a zone is there, of a year where one is given."""
        zones = {None, zone, *map(plain_zone, whole)}
        return any(
            found in zones and (year is None or of is None or of == year)
            for found, of in self.found
        )


def _zone_in(parts: tuple[str, ...], pattern: re.Pattern[str] | None) -> str | None:
    if pattern is None:
        return None
    found = [match[1] for part in parts for match in pattern.finditer(part)]
    return plain_zone(found[-1]) if found else None


def _year_in(parts: tuple[str, ...]) -> int | None:
    found = [int(match[1]) for part in parts for match in _YEAR.finditer(part)]
    return found[-1] if found else None
