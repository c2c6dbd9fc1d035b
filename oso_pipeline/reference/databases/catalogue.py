"""From the section `reference` of a configuration to the sources that it names."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from oso_pipeline.config.reference import Reference, Source
from oso_pipeline.core.errors import ConfigError, Problem, Problems
from oso_pipeline.core.nomenclature import Nomenclature
from oso_pipeline.core.plugins import plugin_of
from oso_pipeline.reference.databases.sources import LabelledPolygons, Labelling, ReferenceSource
from oso_pipeline.vectors.window import Window

MEMBERS = ("name", "priority", "files", "check", "read")
"""Members of a `ReferenceSource`."""


@runtime_checkable
class HelpedSource(Protocol):
    """A source that other sources of the configuration help, as land cover helps BD TOPO."""

    def beside(self, others: Sequence[ReferenceSource]) -> ReferenceSource:
        """Return the source as it is with the others, which are opened and not yet checked."""
        ...


def open_sources(reference: Reference, nomenclature: Nomenclature) -> tuple[ReferenceSource, ...]:
    """Return the sources in the order of the configuration, each with a name of its own.

    Raises
    ------
    ConfigError
        If a source cannot be imported (``E-PLUGIN-LOAD``) or lacks a member
        (``E-PLUGIN-FAULT``).
    """
    labelling = Labelling(
        nomenclature, reference.unknown_codes, reference.erosion_m, reference.split.column
    )
    opened = [open_source(section, labelling) for section in reference.sources]
    opened = [one.beside(opened) if isinstance(one, HelpedSource) else one for one in opened]
    seen: Counter[str] = Counter()
    named: list[ReferenceSource] = []
    for source in opened:
        seen[source.name] += 1
        number = seen[source.name]
        named.append(source if number == 1 else _Numbered(source, number))
    return tuple(named)


def open_source(section: Source, labelling: Labelling) -> ReferenceSource:
    """Return the source of a section; opening reads nothing.

    Raises
    ------
    ConfigError
        As of `open_sources`.
    """
    plugin = plugin_of("sources", section.kind)
    member = plugin.load()
    if not callable(member):
        raise ConfigError(_fault(section.kind, plugin.member, "it cannot be called"))
    source: ReferenceSource = member(section, labelling)
    # A look at names only: properties may read files.
    lacks = [name for name in MEMBERS if inspect.getattr_static(source, name, None) is None]
    if lacks:
        raise ConfigError(_fault(section.kind, plugin.member, f"it lacks {', '.join(lacks)}"))
    return source


def original(source: ReferenceSource) -> ReferenceSource:
    """Return the source that was opened, of one that has a number in its name."""
    return source.source if isinstance(source, _Numbered) else source


def _fault(kind: str, member: str, what: str) -> Problem:
    return Problem(
        "E-PLUGIN-FAULT",
        f"the source {kind!r} cannot be used: {what}",
        member,
        "fix the package that offers it; see docs/write_your_own_source.md",
    )


@dataclass(frozen=True)
class _Numbered:
    """Another source of the same name gets a number."""

    source: ReferenceSource
    number: int

    @property
    def name(self) -> str:
        return f"{self.source.name} ({self.number})"

    @property
    def priority(self) -> int:
        return self.source.priority

    @property
    def files(self) -> tuple[Path, ...]:
        return self.source.files

    def check(self, problems: Problems) -> None:
        self.source.check(problems)

    def read(self, window: Window, problems: Problems) -> LabelledPolygons | None:
        found = self.source.read(window, problems)
        return None if found is None else replace(found, name=self.name)
